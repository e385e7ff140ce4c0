//! Import and towers against the reference: every golden model is imported, and its embeddings compared.

mod common;

use std::path::Path;

use clip_core::import::{Directories, Imported, import};
use clip_core::spec::{Scoring, TextCleaning};
use clip_core::text::Tokenizer;
use clip_core::{Compute, Context, Embedding, ErrorKind, Installed, Model, ModelDir, Precision};
use common::*;
use tempfile::TempDir;

/// Bounds on a unit vector in f32; a wrong activation moves these models' vectors by 7e-4 and more.
const MAX_ABS: f32 = 1e-5;
const MIN_COSINE: f64 = 0.999_999;
/// The same with weights and activations in bf16.
const BF16_MAX_ABS: f32 = 0.03;
const BF16_MIN_COSINE: f64 = 0.999;
/// The same in integers of 8 bits (with AVX2 alone, inputs of 7). The narrower a model, the fewer errors average out: these
/// are 32 and 48 wide.
const INT8_MAX_ABS: f32 = 0.15;
const INT8_MIN_COSINE: f64 = 0.97;
/// Of a model of full size. JinaBERT, whose gated MLPs have no norm before their last layer, loses most.
const INT8_FULL_MIN_COSINE: f64 = 0.985;

fn install<'a>(dir: impl Into<Directories<'a>>, name: &str, models: &ModelDir) -> Installed {
    match import(dir, models, name, None, &|_, _| {}).unwrap_or_else(|e| panic!("{name}: {e}")) {
        Imported::New(installed) | Imported::AlreadyThere(installed) => installed,
    }
}

fn temporary() -> (TempDir, ModelDir) {
    let dir = TempDir::new().unwrap();
    let models = ModelDir::new(dir.path());
    (dir, models)
}

fn with_context<R>(threads: usize, f: impl FnOnce(&Context) -> R) -> R {
    let compute = Compute::new(threads).unwrap();
    f(&Context { compute: &compute, stop: &|| false })
}

/// Returns the largest error and the smallest cosine.
fn compare(golden: &GoldenModel, model: &Model, max_abs_bound: f32, min_cosine: f64) -> (f32, f64) {
    let worst = std::cell::Cell::new((0.0f32, 1.0f64));
    assert_eq!(model.spec().dimensions, golden.dimensions);
    assert!((model.spec().logit_scale - golden.logit_scale).abs() < 1e-6);
    let bias = match model.spec().scoring {
        Scoring::Softmax => None,
        Scoring::Sigmoid { bias } => Some(bias),
    };
    assert_eq!(bias, golden.logit_bias);
    let close = |case: &str, ours: &[f32], theirs: &[f32]| {
        let (distance, cosine) = (max_abs(ours, theirs), cosine(ours, theirs));
        worst.set((worst.get().0.max(distance), worst.get().1.min(cosine)));
        assert!(
            distance <= max_abs_bound && cosine >= min_cosine,
            "{} {case}: max abs {distance:e}, cosine {cosine}",
            golden.name
        );
    };
    with_context(2, |ctx| {
        let pixels: Vec<Vec<f32>> = golden.images.iter().map(|case| case.pixels.clone()).collect();
        for (case, ours) in golden.images.iter().zip(model.embed_pixels(&pixels, ctx).unwrap()) {
            close(&case.name, &ours, &case.embedding);
        }
        let ids: Vec<Vec<u32>> = golden.texts.iter().map(|case| case.ids.clone()).collect();
        for (case, ours) in golden.texts.iter().zip(model.embed_tokens(&ids, ctx).unwrap()) {
            close(&case.name, &ours, &case.embedding);
        }
    });
    worst.get()
}

#[test]
fn every_golden_model_gives_the_references_vectors() {
    let (_dir, models) = temporary();
    for golden in golden_models() {
        let installed = install(&model_dir(&golden.name), &golden.name, &models);
        let model = |precision| Model::new(installed.clone(), Some(precision)).unwrap();
        compare(&golden, &model(Precision::F32), MAX_ABS, MIN_COSINE);
        compare(&golden, &model(Precision::Bf16), BF16_MAX_ABS, BF16_MIN_COSINE);
        compare(&golden, &model(Precision::Int8), INT8_MAX_ABS, INT8_MIN_COSINE);
    }
}

/// Branches that were put together before, as for a faster model, give the same vectors.
#[test]
fn a_checkpoint_whose_branches_are_one() {
    let (_dir, models) = temporary();
    let source = TempDir::new().unwrap();
    for file in ["open_clip_config.json", "tokenizer.json", "tokenizer_config.json"] {
        std::fs::copy(model_dir("tiny-mobileclip2-s0").join(file), source.path().join(file)).unwrap();
    }
    let weights = source.path().join("open_clip_model.safetensors");
    std::fs::copy(golden_dir().join("reparameterized.safetensors"), weights).unwrap();
    let model = Model::new(install(source.path(), "whole", &models), Some(Precision::F32)).unwrap();
    compare(&golden_model("tiny-mobileclip2-s0"), &model, MAX_ABS, MIN_COSINE);
}

/// The approximation of GELU and the exact one are that close, and the bound tells them apart.
#[test]
fn the_bound_sees_which_gelu_it_is() {
    let (_dir, models) = temporary();
    let source = TempDir::new().unwrap();
    for entry in std::fs::read_dir(model_dir("tiny-siglip2-timm-bin")).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, source.path().join(path.file_name().unwrap())).unwrap();
    }
    let config = source.path().join("open_clip_config.json");
    let mut json: serde_json::Value = serde_json::from_slice(&std::fs::read(&config).unwrap()).unwrap();
    json["model_cfg"]["text_cfg"]["act_kwargs"] = serde_json::Value::Null;
    std::fs::write(&config, json.to_string()).unwrap();
    let model = Model::new(install(source.path(), "exact", &models), Some(Precision::F32)).unwrap();
    let golden = golden_model("tiny-siglip2-timm-bin");
    let ids: Vec<Vec<u32>> = golden.texts.iter().map(|case| case.ids.clone()).collect();
    let ours = with_context(1, |ctx| model.embed_tokens(&ids, ctx).unwrap());
    for (case, ours) in golden.texts.iter().zip(ours) {
        let distance = max_abs(&ours, &case.embedding);
        assert!(distance > 2.0 * MAX_ABS && distance < 0.01, "{}: {distance:e}", case.name);
    }
}

#[test]
fn a_batch_gives_the_same_as_its_items_and_threads_do_not_matter() {
    let (_dir, models) = temporary();
    let golden = golden_model("tiny-clip");
    let installed = install(&model_dir("tiny-clip"), "tiny-clip", &models);
    let ids: Vec<Vec<u32>> = golden.texts.iter().map(|case| case.ids.clone()).collect();
    let pixels: Vec<Vec<f32>> = golden.images.iter().map(|case| case.pixels.clone()).collect();
    for precision in Precision::ALL {
        let model = Model::new(installed.clone(), Some(precision)).unwrap();
        let (texts, images) =
            with_context(2, |ctx| (model.embed_tokens(&ids, ctx).unwrap(), model.embed_pixels(&pixels, ctx).unwrap()));
        with_context(1, |ctx| {
            for (one, batch) in ids.iter().zip(&texts) {
                let one = model.embed_tokens(std::slice::from_ref(one), ctx).unwrap();
                assert!(max_abs(&one[0], batch) <= 1e-6);
            }
            for (one, batch) in pixels.iter().zip(&images) {
                let one = model.embed_pixels(std::slice::from_ref(one), ctx).unwrap();
                assert!(max_abs(&one[0], batch) <= 1e-6);
            }
        });
    }
}

#[test]
fn the_container_of_the_weights_does_not_matter() {
    let (_dir, models) = temporary();
    let fingerprint = |name: &str| install(&model_dir(name), name, &models).manifest.fingerprint;
    let plain = fingerprint("tiny-clip");
    assert_eq!(plain, fingerprint("tiny-clip-sharded"));
    assert_eq!(plain, fingerprint("tiny-clip-bin"));
    assert_ne!(plain, fingerprint("tiny-clip-eps"), "another eps is another space");
    assert_ne!(plain, fingerprint("tiny-clip-bf16"), "rounded weights are another space");
}

#[test]
fn token_ids_are_the_references() {
    for name in ["clip", "tiny", "pictograms"] {
        let golden = golden_tokens(name);
        let bytes = std::fs::read(tokenizer_dir(name).join("tokenizer.json")).unwrap();
        let tokenizer = clip_core::text::Tokenizer::from_bytes(&bytes, golden.max_length).unwrap();
        for case in &golden.cases {
            assert_eq!(tokenizer.encode(&case.text).unwrap(), case.ids, "{name}: {:?}", case.text);
        }
    }
}

/// BERT's, of a model that has its vocabulary alone.
#[test]
fn token_ids_of_a_vocabulary_are_the_references() {
    let golden = golden_tokens("bert");
    let found = clip_core::import::inspect(&model_dir("tiny-chinese-clip")).unwrap();
    let tokenizer = Tokenizer::from_bytes(found.tokenizer(), golden.max_length).unwrap();
    assert!(golden.cases.len() > 400);
    for case in &golden.cases {
        assert_eq!(tokenizer.encode(&case.text).unwrap(), case.ids, "{:?}", case.text);
    }
}

/// NLLB's as open_clip calls it, in the language of its file and in another one.
#[test]
fn token_ids_begin_with_the_language() {
    let found = clip_core::import::inspect(&model_dir("tiny-openclip-nllb")).unwrap();
    let (context, cleaning) = (golden_tokens("nllb").max_length, found.spec.text.cleaning);
    let tokenizer = Tokenizer::with_cleaning(found.tokenizer(), context, cleaning).unwrap().with_languages();
    let all = ["ace_Arab", "deu_Latn", "eng_Latn", "fra_Latn", "zho_Hans"];
    assert_eq!(tokenizer.languages().names().collect::<Vec<_>>(), all);
    with_context(1, |ctx| {
        for (name, language) in [("nllb", None), ("nllb", Some("eng_Latn")), ("nllb-deu", Some("deu_Latn"))] {
            let golden = golden_tokens(name);
            assert!(golden.cases.len() > 40);
            for case in &golden.cases {
                assert_eq!(tokenizer.encode_in(&case.text, language, ctx).unwrap(), case.ids, "{:?}", case.text);
            }
        }
        assert_eq!(tokenizer.encode_in("a cat", Some("de"), ctx).unwrap_err().kind, ErrorKind::InvalidArgument);
    });
}

#[test]
fn a_language_is_another_vector_of_the_same_space() {
    let (_dir, models) = temporary();
    let model = |name: &str| Model::new(install(&model_dir(name), name, &models), Some(Precision::F32)).unwrap();
    let (many, one) = (model("tiny-openclip-nllb"), model("tiny-clip"));
    with_context(2, |ctx| {
        let texts = ["a cat", "", &"many words ".repeat(100)];
        let flat = |all: Vec<Embedding>| all.iter().flat_map(|vector| vector.to_vec()).collect::<Vec<f32>>();
        let of = |model: &Model, language| model.embed_texts_in(&texts, language, ctx).map(flat);
        let english = of(&many, None).unwrap();
        assert_eq!(english, flat(many.embed_texts(&texts, ctx).unwrap()));
        assert_eq!(english, of(&many, Some("eng_Latn")).unwrap());
        let german = of(&many, Some("deu_Latn")).unwrap();
        assert!(max_abs(&english, &german) > 0.01);
        assert_eq!(of(&many, Some("Deutsch")).unwrap_err().kind, ErrorKind::InvalidArgument);
        // Nothing where a model has no languages.
        assert_eq!(of(&one, None).unwrap(), of(&one, Some("Deutsch")).unwrap());
        assert!(one.tokenizer().unwrap().languages().names().next().is_none());
    });
}

#[test]
fn siglips_token_ids_are_the_references() {
    for (name, cleaning) in [("siglip", TextCleaning::Canonical), ("siglip2", TextCleaning::Lowercase)] {
        let golden = golden_tokens(name);
        let bytes = std::fs::read(tokenizer_dir(name).join("tokenizer.json")).unwrap();
        let tokenizer = Tokenizer::with_cleaning(&bytes, golden.max_length, cleaning).unwrap();
        let plain = Tokenizer::from_bytes(&bytes, golden.max_length).unwrap();
        let mut uncleaned = 0;
        for case in &golden.cases {
            assert_eq!(tokenizer.encode(&case.text).unwrap(), case.ids, "{name}: {:?}", case.text);
            uncleaned += usize::from(plain.encode(&case.text).unwrap() != case.ids);
        }
        assert!(uncleaned > 20, "{name}: the cleaning matters for {uncleaned} texts");
        // without padding, the end token included, before anything is cut
        with_context(1, |ctx| {
            for case in golden.cases.iter().filter(|case| case.ids.len() < golden.max_length) {
                assert_eq!(tokenizer.count(&case.text, ctx).unwrap(), case.ids.len(), "{name}: {:?}", case.text);
            }
            let count = |text: &str| tokenizer.count(text, ctx).unwrap();
            let (one, two) = (count("cat"), count("cat cat"));
            assert_eq!(count("cat ".repeat(10_000).trim_end()), one + 9_999 * (two - one));
        });
    }
}

#[test]
fn counting_goes_over_the_whole_text() {
    let golden = golden_tokens("clip");
    let bytes = std::fs::read(tokenizer_dir("clip").join("tokenizer.json")).unwrap();
    let tokenizer = clip_core::text::Tokenizer::from_bytes(&bytes, golden.max_length).unwrap();
    with_context(1, |ctx| {
        for case in golden.cases.iter().filter(|case| case.ids.len() < golden.max_length) {
            assert_eq!(tokenizer.count(&case.text, ctx).unwrap(), case.ids.len(), "{:?}", case.text);
        }
        assert_eq!(tokenizer.count(&"cat ".repeat(100_000), ctx).unwrap(), 100_002);
    });
}

/// A full-size model is too large for the repository; tests/golden/README.md says how to make it and its golden.
#[test]
fn a_full_size_model_gives_the_references_vectors() {
    let (Ok(model), Ok(golden)) = (std::env::var("PG_CLIP_FULL_MODEL"), std::env::var("PG_CLIP_FULL_GOLDEN")) else {
        eprintln!("not run: PG_CLIP_FULL_MODEL and PG_CLIP_FULL_GOLDEN do not name a full-size model and its golden");
        return;
    };
    let (_dir, models) = temporary();
    let golden = read_embeddings("full", Path::new(&golden));
    let images = std::env::var("PG_CLIP_FULL_IMAGES").ok();
    let directories = Directories { model: Path::new(&model), images: images.as_deref().map(Path::new) };
    let installed = install(directories, "full", &models);
    let model = |precision| Model::new(installed.clone(), Some(precision)).unwrap();
    for (precision, max_abs_bound, min_cosine) in [
        (Precision::F32, 1e-4, 0.99999),
        (Precision::Bf16, BF16_MAX_ABS, BF16_MIN_COSINE),
        (Precision::Int8, INT8_MAX_ABS, INT8_FULL_MIN_COSINE),
    ] {
        let (distance, cosine) = compare(&golden, &model(precision), max_abs_bound, min_cosine);
        let megabytes = installed.manifest.files[&precision.file()].bytes as f64 / 1e6;
        println!("{precision}: {megabytes:.1} MB, max abs {distance:e}, cosine {cosine:.7}");
    }
}

/// The widths, layers and patches of every tower of timm's that open_clip knows; tests/golden/README.md says how to make the
/// directories.
#[test]
fn every_tower_of_timms_has_the_shapes_that_its_name_means() {
    let Ok(directory) = std::env::var("PG_CLIP_SHAPES") else {
        eprintln!("not run: PG_CLIP_SHAPES names no directory");
        return;
    };
    let mut names: Vec<_> = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    names.sort();
    assert!(names.len() > 20);
    for path in names {
        let found = clip_core::import::inspect(&path);
        // the only one whose texts have no projection
        if path.ends_with("ViT-SO400M-16-SigLIP-i18n-256") {
            assert!(found.err().unwrap().message.contains("text_cfg.proj_type = \"none\""));
            continue;
        }
        let found = found.unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let (text, vision) = (&found.spec.text, &found.spec.vision);
        println!(
            "{}: {} parameters, {} pixels, {:?} and {:?}",
            path.file_name().unwrap().display(),
            found.parameters,
            vision.image_size,
            text.tower.activation,
            vision.tower.activation
        );
    }
}

#[test]
fn cancelling_stops_between_layers() {
    let (_dir, models) = temporary();
    let model = Model::new(install(&model_dir("tiny-clip"), "tiny-clip", &models), Some(Precision::F32)).unwrap();
    let compute = Compute::new(1).unwrap();
    let asked = std::cell::Cell::new(0);
    let stop = || {
        asked.set(asked.get() + 1);
        asked.get() > 2
    };
    let pixels = golden_model("tiny-clip").images.into_iter().map(|case| case.pixels).collect::<Vec<_>>();
    let stopped = model.embed_pixels(&pixels, &Context { compute: &compute, stop: &stop });
    assert_eq!(stopped.unwrap_err().kind, clip_core::ErrorKind::Cancelled);
    assert_eq!(asked.get(), 3);
}
