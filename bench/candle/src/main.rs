//! Times candle-transformers' CLIP in f32 as `pgclip bench` times pg_clip: one line a case, `CASE PRECISION MILLISECONDS`.
//!
//!     candle-clip MODEL_DIR CASE...     as image_b8 or text_b32_l10
//!
//! MODEL_DIR is a CLIPModel in Hugging Face layout, in one file. RAYON_NUM_THREADS is the number of threads.

use std::error::Error;
use std::path::Path;
use std::time::{Duration, Instant};

use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use candle_transformers::models::clip::text_model::{Activation, ClipTextConfig};
use candle_transformers::models::clip::vision_model::ClipVisionConfig;
use candle_transformers::models::clip::{ClipConfig, ClipModel, div_l2_norm};
use serde_json::Value;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let directory = args.next().ok_or("usage: candle-clip MODEL_DIR CASE...")?;
    let directory = Path::new(&directory);
    let config: Value = serde_json::from_slice(&std::fs::read(directory.join("config.json"))?)?;
    let config = read_config(&config)?;
    let weights = std::fs::read(directory.join("model.safetensors"))?;
    let weights = VarBuilder::from_buffered_safetensors(weights, DType::F32, &Device::Cpu)?;
    let model = ClipModel::new(weights, &config)?;
    for case in args {
        let time = time_case(&model, &config, &case)?;
        println!("{case} f32 {:.4}", time.as_secs_f64() * 1e3);
    }
    Ok(())
}

fn read_config(config: &Value) -> Result<ClipConfig> {
    let (text, vision) = (&config["text_config"], &config["vision_config"]);
    for tower in [text, vision] {
        // candle's towers have this activation alone
        if tower["hidden_act"] != "quick_gelu" {
            return Err(format!("candle's CLIP has no activation {}", tower["hidden_act"]).into());
        }
    }
    let projection_dim = number(config, "projection_dim")?;
    Ok(ClipConfig {
        text_config: ClipTextConfig {
            vocab_size: number(text, "vocab_size")?,
            embed_dim: number(text, "hidden_size")?,
            activation: Activation::QuickGelu,
            intermediate_size: number(text, "intermediate_size")?,
            max_position_embeddings: number(text, "max_position_embeddings")?,
            pad_with: None,
            num_hidden_layers: number(text, "num_hidden_layers")?,
            num_attention_heads: number(text, "num_attention_heads")?,
            projection_dim,
        },
        vision_config: ClipVisionConfig {
            embed_dim: number(vision, "hidden_size")?,
            activation: Activation::QuickGelu,
            intermediate_size: number(vision, "intermediate_size")?,
            num_hidden_layers: number(vision, "num_hidden_layers")?,
            num_attention_heads: number(vision, "num_attention_heads")?,
            projection_dim,
            num_channels: 3,
            image_size: number(vision, "image_size")?,
            patch_size: number(vision, "patch_size")?,
        },
        logit_scale_init_value: 2.6592,
        image_size: number(vision, "image_size")?,
    })
}

fn number(config: &Value, key: &str) -> Result<usize> {
    let number = config[key].as_u64().ok_or_else(|| format!("config.json has no number {key}"))?;
    Ok(usize::try_from(number)?)
}

fn time_case(model: &ClipModel, config: &ClipConfig, case: &str) -> Result<Duration> {
    let unknown = || format!("unknown case {case}: expected such as image_b8 or text_b32_l10");
    let (kind, shape) = case.split_once("_b").ok_or_else(unknown)?;
    match (kind, shape.split_once("_l")) {
        ("image", None) => {
            let size = config.image_size;
            let pixels = Tensor::randn(0f32, 1f32, (shape.parse()?, 3, size, size), &Device::Cpu)?;
            best(|| Ok(div_l2_norm(&model.get_image_features(&pixels)?)?))
        }
        ("text", Some((texts, tokens))) => {
            let (texts, tokens): (usize, usize) = (texts.parse()?, tokens.parse()?);
            let ids = token_ids(texts, tokens, config.text_config.vocab_size as u32);
            let ids = Tensor::from_vec(ids, (texts, tokens), &Device::Cpu)?;
            best(|| Ok(div_l2_norm(&model.get_text_features(&ids)?)?))
        }
        _ => Err(unknown().into()),
    }
}

/// Begin, any ids, end.
fn token_ids(texts: usize, tokens: usize, vocabulary: u32) -> Vec<u32> {
    let id = |text: usize, place: usize| match place {
        0 => vocabulary - 2,
        _ if place == tokens - 1 => vocabulary - 1,
        _ => ((text * tokens + place) as u32).wrapping_mul(2_654_435_761) % (vocabulary - 3),
    };
    (0..texts).flat_map(|text| (0..tokens).map(move |place| id(text, place))).collect()
}

/// As `pgclip bench`: a first run, then the best of at least three.
fn best(run: impl Fn() -> Result<Tensor>) -> Result<Duration> {
    run()?;
    let (mut best, mut spent, mut runs) = (Duration::MAX, Duration::ZERO, 0);
    while runs < 3 || (spent < Duration::from_millis(400) && runs < 20) {
        let start = Instant::now();
        run()?;
        let time = start.elapsed();
        (best, spent, runs) = (best.min(time), spent + time, runs + 1);
    }
    Ok(best)
}
