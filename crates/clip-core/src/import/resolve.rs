//! From raw configuration files to a [`ModelSpec`] in which nothing is optional. What is not known is refused.

use crate::error::{Error, Result};
use crate::import::raw::{Config, Preprocessor, Size};
use crate::spec::*;

/// Bounds far above any published model, so that products of dimensions cannot overflow.
const MAX_WIDTH: usize = 1 << 16;
const MAX_VOCAB: usize = 1 << 22;

pub fn resolve(config: &Config, preprocessor: &Preprocessor) -> Result<ModelSpec> {
    match config.model_type.as_deref() {
        Some("clip") => {}
        other => {
            return Err(Error::unsupported(format!(
                "model type \"{}\" is not supported: expected \"clip\"",
                other.unwrap_or("(none)")
            )));
        }
    }
    let invalid = |e: serde_json::Error| Error::invalid_model(format!("config.json: {e}"));
    let (text, vision) = (config.text().map_err(invalid)?, config.vision().map_err(invalid)?);
    if vision.num_channels != 3 {
        return Err(Error::unsupported(format!(
            "images of {} channels are not supported: expected 3",
            vision.num_channels
        )));
    }
    let spec = ModelSpec {
        architecture: Architecture::Clip,
        dimensions: config.projection_dim,
        logit_scale: 0.0, // a tensor of the checkpoint, filled in by the caller
        text: TextSpec {
            tower: TowerSpec {
                hidden: text.hidden_size,
                layers: text.num_hidden_layers,
                heads: text.num_attention_heads,
                intermediate: text.intermediate_size,
                layer_norm_eps: text.layer_norm_eps,
                activation: activation(&text.hidden_act)?,
            },
            vocab_size: text.vocab_size,
            context_length: text.max_position_embeddings,
            // OpenAI's published configs say 2, which is not the end token of their vocabulary; the reference then
            // takes the largest id, which is.
            pooling: if text.eos_token_id == 2 {
                TextPooling::LargestId
            } else {
                TextPooling::FirstEos(text.eos_token_id)
            },
        },
        vision: VisionSpec {
            tower: TowerSpec {
                hidden: vision.hidden_size,
                layers: vision.num_hidden_layers,
                heads: vision.num_attention_heads,
                intermediate: vision.intermediate_size,
                layer_norm_eps: vision.layer_norm_eps,
                activation: activation(&vision.hidden_act)?,
            },
            image_size: vision.image_size,
            patch_size: vision.patch_size,
        },
        image: image(preprocessor, vision.image_size)?,
    };
    check(&spec)?;
    Ok(spec)
}

fn activation(name: &str) -> Result<Activation> {
    match name {
        "quick_gelu" => Ok(Activation::QuickGelu),
        "gelu" => Ok(Activation::Gelu),
        "gelu_pytorch_tanh" | "gelu_new" => Ok(Activation::GeluTanh),
        other => Err(Error::unsupported(format!(
            "activation \"{other}\" is not supported: expected quick_gelu, gelu or gelu_pytorch_tanh"
        ))),
    }
}

fn image(p: &Preprocessor, image_size: usize) -> Result<ImageSpec> {
    let kind = p.image_processor_type.as_deref().or(p.feature_extractor_type.as_deref());
    match kind.unwrap_or("CLIPImageProcessor") {
        "CLIPImageProcessor" | "CLIPImageProcessorFast" | "CLIPImageProcessorPil" | "CLIPFeatureExtractor" => {}
        other => return Err(Error::unsupported(format!("image processor \"{other}\" is not supported"))),
    }
    for (step, on) in [
        ("do_resize", p.do_resize),
        ("do_center_crop", p.do_center_crop),
        ("do_rescale", p.do_rescale),
        ("do_normalize", p.do_normalize),
        ("do_convert_rgb", p.do_convert_rgb),
    ] {
        if !on {
            return Err(Error::unsupported(format!("preprocessor_config.json: {step} = false is not supported")));
        }
    }
    let resize = match p.size {
        Size::Side(side) | Size::Shortest { shortest_edge: side } => ResizeRule::ShortestEdge(side),
        Size::Exact { height, width } | Size::Pair([height, width]) if height == width => ResizeRule::Squash(height),
        Size::Exact { height, width } | Size::Pair([height, width]) => {
            return Err(Error::unsupported(format!(
                "resizing to {width} x {height} is not supported: expected a square"
            )));
        }
    };
    let crop = match p.crop_size {
        Size::Side(side) | Size::Shortest { shortest_edge: side } => (side, side),
        Size::Exact { height, width } | Size::Pair([height, width]) => (height, width),
    };
    if crop.0 != crop.1 || crop.0 as usize != image_size {
        return Err(Error::invalid_model(format!(
            "preprocessor_config.json crops to {} x {}, config.json expects {image_size} x {image_size}",
            crop.1, crop.0
        )));
    }
    let (ResizeRule::ShortestEdge(side) | ResizeRule::Squash(side)) = resize;
    if side < crop.0 {
        return Err(Error::unsupported(format!(
            "a crop of {} pixels out of a side of {side} is not supported",
            crop.0
        )));
    }
    let filter = match p.resample {
        1 => ResizeFilter::Lanczos,
        2 => ResizeFilter::Bilinear,
        3 => ResizeFilter::Bicubic,
        other => {
            return Err(Error::unsupported(format!(
                "resampling filter {other} is not supported: expected 1 (Lanczos), 2 (bilinear) or 3 (bicubic)"
            )));
        }
    };
    if p.image_std.iter().any(|s| !s.is_finite() || *s <= 0.0) || p.image_mean.iter().any(|m| !m.is_finite()) {
        return Err(Error::invalid_model(
            "preprocessor_config.json: image_mean and image_std must be finite, image_std positive",
        ));
    }
    Ok(ImageSpec {
        orientation: Orientation::Exif,
        alpha: AlphaRule::Drop,
        resize,
        filter,
        crop: crop.0,
        rescale: p.rescale_factor,
        mean: p.image_mean,
        std: p.image_std,
    })
}

fn check(spec: &ModelSpec) -> Result<()> {
    for (tower, t) in [("text", &spec.text.tower), ("vision", &spec.vision.tower)] {
        for (what, n) in [
            ("hidden_size", t.hidden),
            ("num_hidden_layers", t.layers),
            ("num_attention_heads", t.heads),
            ("intermediate_size", t.intermediate),
        ] {
            in_range(&format!("{tower} {what}"), n, MAX_WIDTH)?;
        }
        if t.hidden % t.heads != 0 {
            return Err(Error::invalid_model(format!(
                "{tower} hidden_size {} is no multiple of {} heads",
                t.hidden, t.heads
            )));
        }
        if !(t.layer_norm_eps > 0.0 && t.layer_norm_eps < 1.0) {
            return Err(Error::invalid_model(format!(
                "{tower} layer_norm_eps {} is not between 0 and 1",
                t.layer_norm_eps
            )));
        }
    }
    // pgvector's `vector` holds 16,000 dimensions at most.
    in_range("projection_dim", spec.dimensions, 16_000)?;
    in_range("vocab_size", spec.text.vocab_size, MAX_VOCAB)?;
    in_range("max_position_embeddings", spec.text.context_length, MAX_WIDTH)?;
    in_range("image_size", spec.vision.image_size, 4096)?;
    in_range("patch_size", spec.vision.patch_size, spec.vision.image_size)?;
    if spec.text.context_length < 3 {
        return Err(Error::invalid_model(format!(
            "max_position_embeddings {} leaves no room for text",
            spec.text.context_length
        )));
    }
    if spec.vision.image_size % spec.vision.patch_size != 0 {
        return Err(Error::unsupported(format!(
            "image_size {} is no multiple of patch_size {}",
            spec.vision.image_size, spec.vision.patch_size
        )));
    }
    Ok(())
}

fn in_range(what: &str, value: usize, max: usize) -> Result<()> {
    if value == 0 || value > max {
        return Err(Error::invalid_model(format!("{what} {value} is out of range: expected 1 to {max}")));
    }
    Ok(())
}
