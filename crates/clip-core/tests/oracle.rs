//! The towers against another implementation in Rust, `candle-transformers`: the same random weights in both, through the
//! import into ours, on shapes for which there are no goldens.
//!
//! It knows one kind of CLIP: quick GELU, an eps of 1e-5 in every norm, a text's vector at its largest token.

mod common;

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use candle_core::{DType, Device, Tensor};
use candle_nn::{VarBuilder, VarMap};
use candle_transformers::models::clip::text_model::{Activation, ClipTextConfig};
use candle_transformers::models::clip::vision_model::ClipVisionConfig;
use candle_transformers::models::clip::{ClipConfig, ClipModel};
use clip_core::import::{Imported, import};
use clip_core::spec::TextPooling;
use clip_core::{Compute, Context, Embedding, Model, ModelDir, Precision};
use common::*;
use serde_json::{Value, json};
use tempfile::TempDir;

const MIN_COSINE: f64 = 0.999_999;
/// Of the tokenizer that comes with the tiny models.
const VOCABULARY: usize = 1000;
const BEGIN: u32 = 998;
const END: u32 = 999;

/// Hidden size, heads, layers and intermediate size of a tower.
type Tower = (usize, usize, usize, usize);

struct Shape {
    text: Tower,
    vision: Tower,
    context: usize,
    image: usize,
    patch: usize,
    dimensions: usize,
}

#[rustfmt::skip]
const SHAPES: &[Shape] = &[
    Shape { text: (32, 4, 2, 96), vision: (48, 4, 2, 112), context: 77, image: 32, patch: 8, dimensions: 24 },
    // heads of 64 as in every published model, several panels of columns
    Shape { text: (128, 2, 4, 512), vision: (192, 3, 4, 768), context: 77, image: 96, patch: 16, dimensions: 64 },
    // nothing that is a multiple of a register
    Shape { text: (60, 5, 3, 100), vision: (85, 5, 3, 203), context: 21, image: 42, patch: 14, dimensions: 37 },
    // one patch, one layer, one head
    Shape { text: (16, 1, 1, 8), vision: (24, 1, 1, 8), context: 9, image: 30, patch: 30, dimensions: 5 },
];

/// splitmix64: the same numbers wherever the test runs.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, most: usize) -> usize {
        (self.next() % most as u64) as usize
    }

    /// Between -1 and 1.
    fn value(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    }

    fn values(&mut self, count: usize, scale: f32) -> Vec<f32> {
        (0..count).map(|_| scale * self.value()).collect()
    }
}

/// The tensors that the other implementation asks for, with values that let every part matter.
fn tensors(config: &ClipConfig, random: &mut Random) -> HashMap<String, Tensor> {
    let (asked, device) = (VarMap::new(), Device::Cpu);
    ClipModel::new(VarBuilder::from_varmap(&asked, DType::F32, &device), config).unwrap();
    let mut shapes: Vec<(String, Vec<usize>)> =
        asked.data().lock().unwrap().iter().map(|(name, var)| (name.clone(), var.dims().to_vec())).collect();
    // It makes these two up where they are not given.
    shapes.push(("vision_model.embeddings.class_embedding".to_owned(), vec![config.vision_config.embed_dim]));
    shapes.push(("logit_scale".to_owned(), vec![]));
    shapes.sort();
    let tensor = |(name, shape): (String, Vec<usize>)| {
        let count = shape.iter().product();
        let inputs: usize = shape.iter().skip(1).product();
        let norm = name.contains("norm") || name.contains("layrnorm");
        let values = match shape.len() {
            0 => vec![2.5],
            1 if norm && name.ends_with("weight") => random.values(count, 0.4).iter().map(|v| 1.0 + v).collect(),
            1 => random.values(count, 0.3),
            _ if name.contains("embeddings.token") || name.contains("position") => random.values(count, 1.0),
            _ => random.values(count, 3.0 / (inputs as f32).sqrt()),
        };
        (name, Tensor::from_vec(values, shape, &device).unwrap())
    };
    shapes.into_iter().map(tensor).collect()
}

fn config(shape: &Shape) -> ClipConfig {
    let ((text, text_heads, text_layers, text_wide), (vision, heads, layers, wide)) = (shape.text, shape.vision);
    ClipConfig {
        text_config: ClipTextConfig {
            vocab_size: VOCABULARY,
            embed_dim: text,
            activation: Activation::QuickGelu,
            intermediate_size: text_wide,
            max_position_embeddings: shape.context,
            pad_with: None,
            num_hidden_layers: text_layers,
            num_attention_heads: text_heads,
            projection_dim: shape.dimensions,
        },
        vision_config: ClipVisionConfig {
            embed_dim: vision,
            activation: Activation::QuickGelu,
            intermediate_size: wide,
            num_hidden_layers: layers,
            num_attention_heads: heads,
            projection_dim: shape.dimensions,
            num_channels: 3,
            image_size: shape.image,
            patch_size: shape.patch,
        },
        logit_scale_init_value: 2.5,
        image_size: shape.image,
    }
}

/// A directory as on the Hugging Face hub: the tokenizer and the rest of `base`, another shape, these tensors.
fn checkpoint(base: &str, shape: &Shape, tensors: &HashMap<String, Tensor>, edit: impl FnOnce(&mut Value)) -> TempDir {
    let dir = TempDir::new().unwrap();
    let (from, to) = (model_dir(base), dir.path());
    let read = |file: &str| serde_json::from_slice::<Value>(&fs::read(from.join(file)).unwrap()).unwrap();
    let write = |file: &str, value: &Value| fs::write(to.join(file), value.to_string()).unwrap();
    for file in ["tokenizer.json", "tokenizer_config.json"] {
        fs::copy(from.join(file), to.join(file)).unwrap();
    }
    let mut config = read("config.json");
    for (part, (hidden, heads, layers, wide)) in [("text_config", shape.text), ("vision_config", shape.vision)] {
        config[part]["hidden_size"] = json!(hidden);
        config[part]["num_attention_heads"] = json!(heads);
        config[part]["num_hidden_layers"] = json!(layers);
        config[part]["intermediate_size"] = json!(wide);
        config[part]["projection_dim"] = json!(shape.dimensions);
    }
    config["projection_dim"] = json!(shape.dimensions);
    config["text_config"]["max_position_embeddings"] = json!(shape.context);
    config["vision_config"]["image_size"] = json!(shape.image);
    config["vision_config"]["patch_size"] = json!(shape.patch);
    edit(&mut config);
    write("config.json", &config);
    let mut preprocessor = read("preprocessor_config.json");
    preprocessor["crop_size"] = json!({"height": shape.image, "width": shape.image});
    preprocessor["size"] = json!({"shortest_edge": shape.image});
    write("preprocessor_config.json", &preprocessor);
    candle_core::safetensors::save(tensors, to.join("model.safetensors")).unwrap();
    dir
}

fn installed(source: &Path, models: &ModelDir, name: &str) -> Model {
    match import(source, models, name, None, &|_, _| {}).unwrap_or_else(|e| panic!("{name}: {e}")) {
        Imported::New(installed) | Imported::AlreadyThere(installed) => {
            Model::new(installed, Some(Precision::F32)).unwrap()
        }
    }
}

/// Token sequences of all lengths, and pixel values.
struct Inputs {
    ids: Vec<Vec<u32>>,
    pixels: Vec<Vec<f32>>,
}

impl Inputs {
    fn new(shape: &Shape, random: &mut Random) -> Self {
        let sequence = |length: usize, random: &mut Random| {
            let inner = (2..length).map(|_| random.below(BEGIN as usize) as u32);
            [BEGIN].into_iter().chain(inner).chain([END]).collect()
        };
        let mut lengths = vec![2, 3, shape.context];
        lengths.extend((0..20).map(|_| 2 + random.below(shape.context - 1)));
        let ids = lengths.into_iter().map(|length| sequence(length, random)).collect();
        let pixels = (0..9).map(|_| random.values(3 * shape.image * shape.image, 2.0)).collect();
        Self { ids, pixels }
    }

    fn ours(&self, model: &Model) -> (Vec<Vec<f32>>, Vec<Vec<f32>>) {
        let compute = Compute::new(2).unwrap();
        let ctx = Context { compute: &compute, stop: &|| false };
        let vectors = |embedded: Vec<Embedding>| embedded.iter().map(|embedding| embedding.to_vec()).collect();
        let (texts, images) = (model.embed_tokens(&self.ids, &ctx), model.embed_pixels(&self.pixels, &ctx));
        (vectors(texts.unwrap()), vectors(images.unwrap()))
    }

    fn theirs(&self, model: &ClipModel, image: usize) -> (Vec<Vec<f32>>, Vec<Vec<f32>>) {
        let row = |tensor: Tensor| tensor.squeeze(0).unwrap().to_vec1::<f32>().unwrap();
        let text = |ids: &Vec<u32>| {
            let ids = Tensor::new(ids.as_slice(), &Device::Cpu).unwrap().unsqueeze(0).unwrap();
            row(model.get_text_features(&ids).unwrap())
        };
        let picture = |pixels: &Vec<f32>| {
            let pixels = Tensor::from_slice(pixels, (1, 3, image, image), &Device::Cpu).unwrap();
            row(model.get_image_features(&pixels).unwrap())
        };
        (self.ids.iter().map(text).collect(), self.pixels.iter().map(picture).collect())
    }
}

/// The smallest cosine of texts and that of images.
fn smallest(ours: &(Vec<Vec<f32>>, Vec<Vec<f32>>), theirs: &(Vec<Vec<f32>>, Vec<Vec<f32>>)) -> (f64, f64) {
    let smallest = |a: &[Vec<f32>], b: &[Vec<f32>]| {
        assert_eq!(a.len(), b.len());
        a.iter().zip(b).map(|(a, b)| cosine(a, b)).fold(1.0, f64::min)
    };
    (smallest(&ours.0, &theirs.0), smallest(&ours.1, &theirs.1))
}

#[test]
fn random_models_of_every_shape_give_the_oracles_vectors() {
    let target = TempDir::new().unwrap();
    let models = ModelDir::new(target.path());
    for (seed, shape) in SHAPES.iter().enumerate() {
        let (mut random, config) = (Random(seed as u64), config(shape));
        let tensors = tensors(&config, &mut random);
        let builder = VarBuilder::from_tensors(tensors.clone(), DType::F32, &Device::Cpu);
        let oracle = ClipModel::new(builder, &config).unwrap();
        let inputs = Inputs::new(shape, &mut random);
        let theirs = inputs.theirs(&oracle, shape.image);
        // the two ways in which a configuration asks for the end of a text
        for (base, largest) in [("tiny-clip", false), ("tiny-clip-legacy-eos", true)] {
            let source = checkpoint(base, shape, &tensors, |_| {});
            let model = installed(source.path(), &models, &format!("{base}-{seed}"));
            assert_eq!(matches!(model.spec().text.pooling, TextPooling::LargestId), largest);
            let (texts, images) = smallest(&inputs.ours(&model), &theirs);
            println!("shape {seed}, {base}: cosines of texts {texts:.9}, of images {images:.9}");
            assert!(texts > MIN_COSINE && images > MIN_COSINE, "shape {seed}, {base}: {texts}, {images}");
        }
        // the bound tells another model apart
        for (field, value) in [("hidden_act", json!("gelu")), ("layer_norm_eps", json!(1e-2))] {
            let source = checkpoint("tiny-clip", shape, &tensors, |config| {
                for part in ["text_config", "vision_config"] {
                    config[part][field] = value.clone();
                }
            });
            let other = installed(source.path(), &models, &format!("{}-{seed}", field.replace('_', "-")));
            let (texts, images) = smallest(&inputs.ours(&other), &theirs);
            assert!(texts < MIN_COSINE && images < MIN_COSINE, "shape {seed}, {field}: {texts}, {images}");
        }
    }
}
