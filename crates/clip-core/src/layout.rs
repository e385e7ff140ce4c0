//! Which tensors a model has, with their shapes: the one list that import, loading and verification go by.
//!
//! Names are those of Hugging Face's `CLIPModel` and `SiglipModel` state dicts, but for the query, key and value of an
//! attention, which always lie apart here; `import/checkpoint.rs` knows what checkpoints call them.

mod fast_vit;

use crate::spec::{Gating, LayerParts, ModelSpec, Norms, Pool, TextHead, TowerSpec, VisionHead, VisionLayers, stem};

/// A tensor's name and shape, the outermost dimension first.
pub type TensorShape = (String, Vec<usize>);

/// What names of the text tower's tensors begin with.
pub const TEXT: &str = "text_model";
/// What names of the vision tower's tensors begin with.
pub const VISION: &str = "vision_model";

/// What names of the convolutions that make rows of patches begin with. Each is a matrix of `[outputs, side * side * inputs]`,
/// its norm folded into it: a pixel's values lie side by side.
pub const STEM: &str = "vision_model.embeddings.stem";

/// A checkpoint's scalar, which an import moves to [`ModelSpec::logit_scale`].
pub const LOGIT_SCALE: &str = "logit_scale";
/// A checkpoint's scalar of models that score by a sigmoid, which an import moves to [`ModelSpec::scoring`].
pub const LOGIT_BIAS: &str = "logit_bias";

/// All tensors of an installed model, the text tower's first. The order is part of every fingerprint.
pub fn tensors(spec: &ModelSpec) -> Vec<TensorShape> {
    let mut all = text_tensors(spec);
    all.extend(vision_tensors(spec));
    all
}

/// Values of all tensors, however many layers there are, without a list of them. `None` where that is no 64-bit
/// number.
pub fn values(spec: &ModelSpec) -> Option<u64> {
    sum_over_layers(spec, |spec| {
        let size = |shape: &[usize]| shape.iter().try_fold(1, |all: u64, n| all.checked_mul(*n as u64));
        tensors(spec).iter().try_fold(0, |sum: u64, (_, shape)| sum.checked_add(size(shape)?))
    })
}

/// What `of` gives for the model, from what it gives for models of no layer and of one: all layers of a tower are
/// alike.
///
/// So a manifest that claims a billion layers costs nothing to refuse.
pub fn sum_over_layers(spec: &ModelSpec, of: impl Fn(&ModelSpec) -> Option<u64>) -> Option<u64> {
    let with = |text: usize, vision: usize| {
        let mut small = spec.clone();
        (small.text.tower.layers, small.vision.tower.layers) = (text, vision);
        of(&small)
    };
    let none = with(0, 0)?;
    let layers = |one: u64, layers: usize| one.checked_sub(none)?.checked_mul(layers as u64);
    let text = layers(with(1, 0)?, spec.text.tower.layers)?;
    none.checked_add(text)?.checked_add(layers(with(0, 1)?, spec.vision.tower.layers)?)
}

/// The text tower's tensors (transformers, `CLIPTextTransformer` and `SiglipTextTransformer`; BERT's have those names,
/// too, where the layout has a place for them).
pub fn text_tensors(spec: &ModelSpec) -> Vec<TensorShape> {
    let (text, hidden) = (&spec.text, spec.text.tower.hidden);
    let parts = spec.text_parts();
    let mut all = vec![(format!("{TEXT}.embeddings.token_embedding.weight"), vec![text.vocab_size, hidden])];
    if parts.positions.is_none() {
        all.push((format!("{TEXT}.embeddings.position_embedding.weight"), vec![text.context_length, hidden]));
    }
    if parts.layers.norms == Norms::After {
        norm(&format!("{TEXT}.embeddings.layer_norm"), hidden, &mut all);
    }
    encoder(TEXT, &text.tower, parts.layers, &mut all);
    if parts.layers.norms != Norms::After {
        norm(&format!("{TEXT}.final_layer_norm"), hidden, &mut all);
    }
    match parts.head {
        TextHead::Projection => all.push(("text_projection.weight".into(), vec![spec.dimensions, hidden])),
        TextHead::Biased => linear(&format!("{TEXT}.head"), hidden, spec.dimensions, &mut all),
        TextHead::Mlp { intermediate } => {
            all.push((format!("{TEXT}.head.fc1.weight"), vec![intermediate, hidden]));
            all.push((format!("{TEXT}.head.fc2.weight"), vec![spec.dimensions, intermediate]));
        }
        TextHead::None => {}
    }
    all
}

/// The vision tower's tensors (transformers, `CLIPVisionTransformer` and `SiglipVisionTransformer`; timm's `Eva` has
/// those names, too, where the layout has a place for them).
pub fn vision_tensors(spec: &ModelSpec) -> Vec<TensorShape> {
    let (vision, hidden) = (&spec.vision, spec.vision.tower.hidden);
    let embeddings = format!("{VISION}.embeddings");
    let parts = spec.vision_parts();
    // The order is part of every fingerprint.
    let mut all = Vec::new();
    if let VisionLayers::FastVit(size) = vision.layers {
        fast_vit::tensors(size, &mut all);
        linear("visual_projection", size.last_width(), spec.dimensions, &mut all);
        return all;
    }
    if parts.class_token {
        all.push((format!("{embeddings}.class_embedding"), vec![hidden]));
    }
    if parts.conv_stem {
        for (i, layer) in stem(hidden).into_iter().enumerate() {
            linear(&format!("{STEM}.{i}"), layer.side * layer.side * layer.inputs, layer.outputs, &mut all);
        }
    } else {
        let side = vision.patch_size;
        all.push((format!("{embeddings}.patch_embedding.weight"), vec![hidden, 3, side, side]));
    }
    if parts.patch_bias {
        all.push((format!("{embeddings}.patch_embedding.bias"), vec![hidden]));
    }
    let positions = if parts.conv_stem { vision.patches() } else { spec.positions() };
    all.push((format!("{embeddings}.position_embedding.weight"), vec![positions, hidden]));
    if parts.pre_norm {
        // "layrnorm" is how the reference spells it.
        norm(&format!("{VISION}.pre_layrnorm"), hidden, &mut all);
    }
    encoder(VISION, &vision.tower, parts.layers, &mut all);
    norm(&format!("{VISION}.post_layernorm"), hidden, &mut all);
    match parts.head {
        VisionHead::Projection => all.push(("visual_projection.weight".into(), vec![spec.dimensions, hidden])),
        VisionHead::Linear | VisionHead::Mean => linear("visual_projection", hidden, spec.dimensions, &mut all),
        VisionHead::Class => {}
        VisionHead::Attention => pooling_head(hidden, vision.tower.intermediate, &mut all),
        VisionHead::AttentionLinear(Pool { intermediate, .. }) => {
            pooling_head(hidden, intermediate, &mut all);
            linear("visual_projection", hidden, spec.dimensions, &mut all);
        }
    }
    all
}

/// SigLIP's head: a probe of `[1, 1, hidden]`, an attention, a norm and an MLP.
fn pooling_head(hidden: usize, intermediate: usize, all: &mut Vec<TensorShape>) {
    all.push((format!("{VISION}.head.probe"), vec![1, 1, hidden]));
    for projection in ["q_proj", "k_proj", "v_proj", "out_proj"] {
        linear(&format!("{VISION}.head.attention.{projection}"), hidden, hidden, all);
    }
    norm(&format!("{VISION}.head.layernorm"), hidden, all);
    linear(&format!("{VISION}.head.mlp.fc1"), hidden, intermediate, all);
    linear(&format!("{VISION}.head.mlp.fc2"), intermediate, hidden, all);
}

/// The layers of a transformer, `prefix.encoder.layers.0` and so on.
fn encoder(prefix: &str, tower: &TowerSpec, parts: LayerParts, all: &mut Vec<TensorShape>) {
    for i in 0..tower.layers {
        let layer = format!("{prefix}.encoder.layers.{i}");
        norm(&format!("{layer}.layer_norm1"), tower.hidden, all);
        for projection in ["q_proj", "k_proj", "v_proj", "out_proj"] {
            linear(&format!("{layer}.self_attn.{projection}"), tower.hidden, tower.hidden, all);
            if projection == "k_proj" && !parts.key_bias {
                all.pop();
            }
        }
        norm(&format!("{layer}.layer_norm2"), tower.hidden, all);
        match parts.gating {
            Gating::None => linear(&format!("{layer}.mlp.fc1"), tower.hidden, tower.intermediate, all),
            Gating::Normed => {
                linear(&format!("{layer}.mlp.fc1"), tower.hidden, tower.intermediate, all);
                norm(&format!("{layer}.self_attn.layer_norm"), tower.hidden, all);
                linear(&format!("{layer}.mlp.gate"), tower.hidden, tower.intermediate, all);
                norm(&format!("{layer}.mlp.layer_norm"), tower.intermediate, all);
            }
            Gating::Plain => {
                let matrix = |name| (format!("{layer}.mlp.{name}.weight"), vec![tower.intermediate, tower.hidden]);
                all.extend(["fc1", "gate"].map(matrix));
            }
        }
        linear(&format!("{layer}.mlp.fc2"), tower.intermediate, tower.hidden, all);
    }
}

/// A weight of `[outputs, inputs]` and a bias of `[outputs]`, as torch's `Linear` has them.
fn linear(name: &str, inputs: usize, outputs: usize, all: &mut Vec<TensorShape>) {
    all.push((format!("{name}.weight"), vec![outputs, inputs]));
    all.push((format!("{name}.bias"), vec![outputs]));
}

/// A weight and a bias, each of `[width]`.
fn norm(name: &str, width: usize, all: &mut Vec<TensorShape>) {
    all.push((format!("{name}.weight"), vec![width]));
    all.push((format!("{name}.bias"), vec![width]));
}
