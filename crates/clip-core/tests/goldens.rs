//! The goldens themselves: complete, well-formed, and able to tell a wrong importer from a right one.

mod common;

use common::*;

#[test]
fn every_model_has_embeddings_of_length_one() {
    let models = golden_models();
    assert!(models.len() >= 8, "{} models", models.len());
    for model in models {
        assert!(!model.images.is_empty() && !model.texts.is_empty());
        let images = model.images.iter().map(|c| (&c.name, &c.embedding));
        let texts = model.texts.iter().map(|c| (&c.name, &c.embedding));
        for (case, embedding) in images.chain(texts) {
            assert_eq!(embedding.len(), model.dimensions);
            let length = embedding.iter().map(|x| x * x).sum::<f32>().sqrt();
            assert!((length - 1.0).abs() < 1e-5, "{} {case}: length {length}", model.name);
        }
        for image in &model.images {
            assert_eq!(image.pixels.len(), 3 * model.image_size * model.image_size);
        }
    }
}

#[test]
fn models_with_the_same_tensors_have_the_same_embeddings() {
    let plain = golden_model("tiny-clip");
    for name in ["tiny-clip-sharded", "tiny-clip-bin", "tiny-clip-legacy-eos"] {
        let other = golden_model(name);
        for (a, b) in plain.images.iter().zip(&other.images) {
            assert_eq!(a.embedding, b.embedding, "{name} {}", a.name);
        }
        for (a, b) in plain.texts.iter().zip(&other.texts) {
            assert_eq!(a.ids, b.ids);
            // only there does the rule "largest id" part from the rule "first end"
            let same = name != "tiny-clip-legacy-eos" || a.has_end();
            assert_eq!(a.embedding == b.embedding, same, "{name} {}", a.name);
        }
    }
}

#[test]
fn token_cases_begin_and_end() {
    for name in ["clip", "tiny", "pictograms"] {
        let tokens = golden_tokens(name);
        assert!(tokens.cases.len() >= 220);
        let (first, last) = (tokens.cases[0].ids[0], *tokens.cases[0].ids.last().unwrap());
        for case in &tokens.cases {
            assert!((2..=tokens.max_length).contains(&case.ids.len()), "{name} {:?}", case.text);
            assert_eq!(case.ids[0], first, "{name} {:?}", case.text);
            assert_eq!(case.ids.last(), Some(&last), "{name} {:?}", case.text);
        }
        assert!(tokens.cases.iter().any(|c| c.ids.len() == tokens.max_length));
    }
}

#[test]
fn siglips_token_cases_end() {
    for name in ["siglip", "siglip2"] {
        let tokens = golden_tokens(name);
        assert!(tokens.cases.len() >= 400);
        for case in &tokens.cases {
            assert!((1..=tokens.max_length).contains(&case.ids.len()), "{name} {:?}", case.text);
            assert_eq!(case.ids.last(), Some(&1), "{name} {:?}", case.text);
        }
    }
}

#[test]
fn config_cases_resolve_or_are_refused() {
    let golden = golden_configs();
    for cases in [&golden.configs, &golden.preprocessors] {
        assert!(cases.iter().any(|c| c.resolved.is_some()));
        assert!(cases.iter().any(|c| c.resolved.is_none()));
    }
}

#[test]
fn comparisons() {
    assert_eq!(max_abs(&[1.0, -2.0], &[1.5, -2.25]), 0.5);
    assert!(max_abs(&[f32::NAN, 0.0], &[0.0, 1.0]).is_nan());
    assert!(max_abs(&[0.0, f32::NAN, 0.0], &[9.0, 0.0, 1.0]).is_nan());
    assert!((cosine(&[1.0, 0.0], &[1.0, 1.0]) - 0.5f64.sqrt()).abs() < 1e-12);
}
