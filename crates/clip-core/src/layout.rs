//! Which tensors a model has, with their shapes: the one list that import, loading and verification go by.
//!
//! Names are those of Hugging Face's `CLIPModel` state dict.

use crate::spec::{ModelSpec, TowerSpec};

/// A tensor's name and shape.
pub type TensorShape = (String, Vec<usize>);

pub const TEXT: &str = "text_model";
pub const VISION: &str = "vision_model";

/// Buffers of old checkpoints that hold 0, 1, 2, ... and carry no information.
pub const IGNORED: [&str; 2] = ["text_model.embeddings.position_ids", "vision_model.embeddings.position_ids"];

pub const LOGIT_SCALE: &str = "logit_scale";

/// All tensors of an installed model.
pub fn tensors(spec: &ModelSpec) -> Vec<TensorShape> {
    let mut all = text_tensors(spec);
    all.extend(vision_tensors(spec));
    all
}

pub fn text_tensors(spec: &ModelSpec) -> Vec<TensorShape> {
    let (text, hidden) = (&spec.text, spec.text.tower.hidden);
    let mut all = vec![
        (format!("{TEXT}.embeddings.token_embedding.weight"), vec![text.vocab_size, hidden]),
        (format!("{TEXT}.embeddings.position_embedding.weight"), vec![text.context_length, hidden]),
    ];
    encoder(TEXT, &text.tower, &mut all);
    norm(&format!("{TEXT}.final_layer_norm"), hidden, &mut all);
    all.push(("text_projection.weight".into(), vec![spec.dimensions, hidden]));
    all
}

pub fn vision_tensors(spec: &ModelSpec) -> Vec<TensorShape> {
    let (vision, hidden) = (&spec.vision, spec.vision.tower.hidden);
    let side = vision.image_size / vision.patch_size;
    let mut all = vec![
        (format!("{VISION}.embeddings.class_embedding"), vec![hidden]),
        (format!("{VISION}.embeddings.patch_embedding.weight"), vec![hidden, 3, vision.patch_size, vision.patch_size]),
        (format!("{VISION}.embeddings.position_embedding.weight"), vec![side * side + 1, hidden]),
    ];
    // "layrnorm" is how the reference spells it.
    norm(&format!("{VISION}.pre_layrnorm"), hidden, &mut all);
    encoder(VISION, &vision.tower, &mut all);
    norm(&format!("{VISION}.post_layernorm"), hidden, &mut all);
    all.push(("visual_projection.weight".into(), vec![spec.dimensions, hidden]));
    all
}

fn encoder(prefix: &str, tower: &TowerSpec, all: &mut Vec<TensorShape>) {
    for i in 0..tower.layers {
        let layer = format!("{prefix}.encoder.layers.{i}");
        norm(&format!("{layer}.layer_norm1"), tower.hidden, all);
        for projection in ["q_proj", "k_proj", "v_proj", "out_proj"] {
            linear(&format!("{layer}.self_attn.{projection}"), tower.hidden, tower.hidden, all);
        }
        norm(&format!("{layer}.layer_norm2"), tower.hidden, all);
        linear(&format!("{layer}.mlp.fc1"), tower.hidden, tower.intermediate, all);
        linear(&format!("{layer}.mlp.fc2"), tower.intermediate, tower.hidden, all);
    }
}

fn linear(name: &str, inputs: usize, outputs: usize, all: &mut Vec<TensorShape>) {
    all.push((format!("{name}.weight"), vec![outputs, inputs]));
    all.push((format!("{name}.bias"), vec![outputs]));
}

fn norm(name: &str, width: usize, all: &mut Vec<TensorShape>) {
    all.push((format!("{name}.weight"), vec![width]));
    all.push((format!("{name}.bias"), vec![width]));
}
