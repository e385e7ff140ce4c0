//! Reads the goldens of `tests/golden` (see its README.md) and compares vectors. Knows nothing of clip-core's own types,
//! so that a mistake there cannot hide itself here.

// each test file compiles this module anew and uses a part of it
#![allow(dead_code)]

use std::fs;
use std::path::{Path, PathBuf};

use safetensors::{Dtype, SafeTensors};
use serde::Deserialize;
use serde_json::Value;

pub fn golden_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

/// The root of the repository.
pub fn root_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The directory of a golden model, as on the Hugging Face hub.
pub fn model_dir(name: &str) -> PathBuf {
    golden_dir().join("models").join(name)
}

/// The names of all golden models, sorted.
pub fn model_names() -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(golden_dir().join("models"))
        .expect("golden models")
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// One image's input to the vision tower and its embedding.
pub struct ImageCase {
    pub name: String,
    /// `[3, S, S]`, row-major.
    pub pixels: Vec<f32>,
    pub embedding: Vec<f32>,
}

/// One token sequence, begin and end included, and its embedding.
pub struct TextCase {
    pub name: String,
    pub ids: Vec<u32>,
    pub embedding: Vec<f32>,
}

impl TextCase {
    /// Whether a tokenizer can have made it: "no end" is there only to tell the pooling rules apart.
    pub fn has_end(&self) -> bool {
        self.name != "no end"
    }
}

/// What the reference computes for one model; embeddings have length one.
pub struct GoldenModel {
    pub name: String,
    pub image_size: usize,
    pub dimensions: usize,
    pub logit_scale: f32,
    /// SigLIP's.
    pub logit_bias: Option<f32>,
    pub images: Vec<ImageCase>,
    pub texts: Vec<TextCase>,
}

/// The golden embeddings of a model of [`model_names`].
pub fn golden_model(name: &str) -> GoldenModel {
    read_embeddings(name, &golden_dir().join("embeddings").join(format!("{name}.safetensors")))
}

/// All of them.
pub fn golden_models() -> Vec<GoldenModel> {
    model_names().iter().map(|name| golden_model(name)).collect()
}

/// A file that `make_embeddings.py --model DIR --out FILE` wrote.
pub fn read_embeddings(name: &str, path: &Path) -> GoldenModel {
    #[derive(Deserialize)]
    struct Names {
        image_cases: Vec<String>,
        text_cases: Vec<String>,
    }

    let bytes = fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let (_, metadata) = SafeTensors::read_metadata(&bytes).unwrap();
    let names: Names = serde_json::from_str(&metadata.metadata().as_ref().unwrap()["golden"]).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();

    let (pixels, pixels_shape) = f32s(&file, "pixels");
    let (image_embeds, _) = f32s(&file, "image_embeds");
    let (text_embeds, text_shape) = f32s(&file, "text_embeds");
    let (ids, ids_shape) = i64s(&file, "ids");
    let (lengths, _) = i64s(&file, "lengths");
    let dimensions = text_shape[1];
    assert_eq!(pixels_shape[0], names.image_cases.len());
    assert_eq!(ids_shape[0], names.text_cases.len());

    let images = names
        .image_cases
        .into_iter()
        .zip(pixels.chunks_exact(pixels_shape[1..].iter().product()))
        .zip(image_embeds.chunks_exact(dimensions))
        .map(|((name, pixels), embedding)| ImageCase { name, pixels: pixels.to_vec(), embedding: embedding.to_vec() })
        .collect();
    let texts = names
        .text_cases
        .into_iter()
        .zip(ids.chunks_exact(ids_shape[1]).zip(&lengths))
        .zip(text_embeds.chunks_exact(dimensions))
        .map(|((name, (ids, &length)), embedding)| TextCase {
            name,
            ids: ids[..length as usize].iter().map(|&id| id as u32).collect(),
            embedding: embedding.to_vec(),
        })
        .collect();
    GoldenModel {
        name: name.to_owned(),
        image_size: pixels_shape[3],
        dimensions,
        logit_scale: f32s(&file, "logit_scale").0[0],
        logit_bias: file.tensor("logit_bias").is_ok().then(|| f32s(&file, "logit_bias").0[0]),
        images,
        texts,
    }
}

pub fn f32s(file: &SafeTensors, name: &str) -> (Vec<f32>, Vec<usize>) {
    let tensor = file.tensor(name).unwrap();
    assert_eq!(tensor.dtype(), Dtype::F32, "{name}");
    let (values, _) = tensor.data().as_chunks::<4>();
    (values.iter().map(|b| f32::from_le_bytes(*b)).collect(), tensor.shape().to_vec())
}

pub fn i64s(file: &SafeTensors, name: &str) -> (Vec<i64>, Vec<usize>) {
    let tensor = file.tensor(name).unwrap();
    assert_eq!(tensor.dtype(), Dtype::I64, "{name}");
    let (values, _) = tensor.data().as_chunks::<8>();
    (values.iter().map(|b| i64::from_le_bytes(*b)).collect(), tensor.shape().to_vec())
}

/// The golden token ids of one tokenizer.
#[derive(Deserialize)]
pub struct GoldenTokens {
    /// Ids at most, begin and end included.
    pub max_length: usize,
    pub cases: Vec<TokenCase>,
}

#[derive(Deserialize)]
pub struct TokenCase {
    pub text: String,
    pub ids: Vec<u32>,
}

/// `name`: one of `clip`, `tiny`, `pictograms`, `siglip`, `siglip2`; their tokenizers lie in [`tokenizer_dir`].
pub fn golden_tokens(name: &str) -> GoldenTokens {
    read_tokens(&golden_dir().join("tokens").join(format!("{name}.json")))
}

/// A file that `make_tokens.py` wrote.
pub fn read_tokens(path: &Path) -> GoldenTokens {
    read_json(path)
}

pub fn tokenizer_dir(name: &str) -> PathBuf {
    match name {
        "clip" => golden_dir().join("tokenizers/clip"),
        "tiny" => model_dir("tiny-clip"),
        "siglip" => model_dir("tiny-siglip"),
        "siglip2" => model_dir("tiny-siglip2"),
        "pictograms" => root_dir().join("models/pictograms"),
        _ => panic!("no golden tokens of {name}"),
    }
}

/// How the reference resolves raw configuration files.
#[derive(Deserialize)]
pub struct GoldenConfigs {
    pub configs: Vec<ConfigCase>,
    pub preprocessors: Vec<ConfigCase>,
}

#[derive(Deserialize)]
pub struct ConfigCase {
    pub name: String,
    /// The file as it lies in the model's directory.
    pub raw: Value,
    /// The values the reference works with; none where it refuses the file.
    pub resolved: Option<Value>,
}

pub fn golden_configs() -> GoldenConfigs {
    read_json(&golden_dir().join("configs.json"))
}

fn read_json<T: serde::de::DeserializeOwned>(path: &Path) -> T {
    let bytes = fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_json::from_slice(&bytes).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Cosine of the angle between two vectors, summed in f64.
pub fn cosine(a: &[f32], b: &[f32]) -> f64 {
    assert_eq!(a.len(), b.len(), "lengths");
    let dot = |x: &[f32], y: &[f32]| -> f64 { x.iter().zip(y).map(|(&p, &q)| f64::from(p) * f64::from(q)).sum() };
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

/// Largest absolute difference; NaN if any is NaN, so that a comparison with a bound fails.
pub fn max_abs(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len(), "lengths");
    let differences = a.iter().zip(b).map(|(p, q)| (p - q).abs());
    // f32::max would drop a NaN
    differences.fold(0.0, |most, d| if d.is_nan() || d > most { d } else { most })
}
