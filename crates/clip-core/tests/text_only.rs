//! A process that embeds only text maps the vision tower, but reads nothing of it.

mod common;

use std::fs;
use std::path::Path;

use clip_core::import::import;
use clip_core::{Compute, Context, Model, ModelDir, Precision};
use common::*;
use safetensors::tensor::TensorView;
use safetensors::{Dtype, serialize_to_file};
use serde_json::json;
use tempfile::TempDir;

/// A small text tower beside a vision tower of some 50 MB.
const TEXT: (usize, usize) = (32, 64);
const VISION: (usize, usize) = (512, 2048);
const LAYERS: usize = 4;

fn write_model(dir: &Path) {
    for file in ["tokenizer.json", "preprocessor_config.json"] {
        fs::copy(model_dir("tiny-clip").join(file), dir.join(file)).unwrap();
    }
    let tower = |(hidden, inner): (usize, usize)| {
        json!({ "hidden_size": hidden, "intermediate_size": inner, "num_hidden_layers": LAYERS, "num_attention_heads": 4,
            "vocab_size": 1000, "eos_token_id": 999, "image_size": 32, "patch_size": 8 })
    };
    let config = json!({ "model_type": "clip", "projection_dim": 24, "text_config": tower(TEXT), "vision_config": tower(VISION) });
    fs::write(dir.join("config.json"), config.to_string()).unwrap();

    let mut shapes = vec![
        ("logit_scale".to_owned(), vec![]),
        ("text_projection.weight".into(), vec![24, TEXT.0]),
        ("visual_projection.weight".into(), vec![24, VISION.0]),
        ("text_model.embeddings.token_embedding.weight".into(), vec![1000, TEXT.0]),
        ("text_model.embeddings.position_embedding.weight".into(), vec![77, TEXT.0]),
        ("vision_model.embeddings.class_embedding".into(), vec![VISION.0]),
        ("vision_model.embeddings.patch_embedding.weight".into(), vec![VISION.0, 3, 8, 8]),
        ("vision_model.embeddings.position_embedding.weight".into(), vec![17, VISION.0]),
    ];
    let mut pair = |name: String, outputs: usize, inputs: Option<usize>| {
        shapes.push((format!("{name}.weight"), std::iter::once(outputs).chain(inputs).collect()));
        shapes.push((format!("{name}.bias"), vec![outputs]));
    };
    pair("text_model.final_layer_norm".into(), TEXT.0, None);
    pair("vision_model.pre_layrnorm".into(), VISION.0, None);
    pair("vision_model.post_layernorm".into(), VISION.0, None);
    for (tower, (hidden, inner)) in [("text_model", TEXT), ("vision_model", VISION)] {
        for layer in (0..LAYERS).map(|i| format!("{tower}.encoder.layers.{i}")) {
            pair(format!("{layer}.layer_norm1"), hidden, None);
            pair(format!("{layer}.layer_norm2"), hidden, None);
            for part in ["q_proj", "k_proj", "v_proj", "out_proj"] {
                pair(format!("{layer}.self_attn.{part}"), hidden, Some(hidden));
            }
            pair(format!("{layer}.mlp.fc1"), inner, Some(hidden));
            pair(format!("{layer}.mlp.fc2"), hidden, Some(inner));
        }
    }
    let data: Vec<Vec<u8>> = shapes
        .iter()
        .enumerate()
        .map(|(i, (_, shape))| {
            let value = |at: usize| ((at * 7919 + i * 104_729) % 1009) as f32 / 10_090.0 - 0.04;
            (0..shape.iter().product::<usize>()).flat_map(|at| value(at).to_le_bytes()).collect()
        })
        .collect();
    let views = shapes
        .iter()
        .zip(&data)
        .map(|((name, shape), data)| (name.clone(), TensorView::new(Dtype::F32, shape.clone(), data).unwrap()));
    serialize_to_file(views, None, &dir.join("model.safetensors")).unwrap();
}

/// Size and resident part of this process's mappings of a file, in kB.
fn mapped(file: &Path) -> (usize, usize) {
    let smaps = fs::read_to_string("/proc/self/smaps").unwrap();
    let (mut inside, mut sums) = (false, (0, 0));
    for line in smaps.lines() {
        let mut words = line.split_whitespace();
        match words.next().unwrap_or_default() {
            "Size:" if inside => sums.0 += words.next().unwrap().parse::<usize>().unwrap(),
            "Rss:" if inside => sums.1 += words.next().unwrap().parse::<usize>().unwrap(),
            word if !word.ends_with(':') => inside = line.ends_with(file.to_str().unwrap()),
            _ => {}
        }
    }
    sums
}

#[test]
#[cfg(target_os = "linux")]
fn text_reads_nothing_of_the_vision_tower() {
    if std::env::var_os("TEST_RUNNER").is_some() {
        // qemu makes up smaps, and says 0 of every mapping.
        return;
    }
    let (source, target) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    write_model(source.path());
    let models = ModelDir::new(target.path());
    import(source.path(), &models, "wide", None, &|_, _| {}).map(|_| ()).unwrap();
    let compute = Compute::new(1).unwrap();
    let ctx = Context { compute: &compute, stop: &|| false };
    for precision in [Precision::F32, Precision::Bf16] {
        let model = Model::new(models.open("wide").unwrap(), Some(precision)).unwrap();
        let weights = target.path().join("wide").join(precision.file()).canonicalize().unwrap();
        model.embed_texts(&["a photo of a cat", "two dogs"], &ctx).unwrap();
        let (size, read) = mapped(&weights);
        assert!(size > 25_000, "{size} kB are mapped");
        assert!(read > 0 && read < 1500, "{read} kB of {size} kB were read for a text");
        // what an image reads does count
        model.embed_pixels(&[vec![0.5; 3 * 32 * 32]], &ctx).unwrap();
        let (size, read) = mapped(&weights);
        assert!(read > size / 10 * 9, "{read} kB of {size} kB were read for an image");
    }
}
