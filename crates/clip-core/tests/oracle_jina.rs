//! The goldens of Jina CLIP v1's texts against another implementation, `candle-transformers`' JinaBERT: their reference is put
//! together by hand, as no library of Python has one.

mod common;

use std::collections::HashMap;

use candle_core::{DType, Device, Module, Tensor};
use candle_nn::{Activation, VarBuilder};
use candle_transformers::models::jina_bert::{BertModel, Config, PositionEmbeddingType};
use common::*;

const TOWER: &str = "text_model.transformer.";

/// The names of JinaBERT's own checkpoints, whose query, key and value lie apart.
fn renamed(tensors: HashMap<String, Tensor>) -> HashMap<String, Tensor> {
    let mut all = HashMap::new();
    for (name, tensor) in tensors {
        let Some(name) = name.strip_prefix(TOWER) else { continue };
        let (name, tensor) = (name.replace("encoder.layers.", "encoder.layer."), tensor.to_dtype(DType::F32).unwrap());
        if let Some((layer, what)) = name.split_once(".mixer.Wqkv.") {
            for (part, tensor) in ["query", "key", "value"].into_iter().zip(tensor.chunk(3, 0).unwrap()) {
                all.insert(format!("{layer}.attention.self.{part}.{what}"), tensor.contiguous().unwrap());
            }
            continue;
        }
        let name = name
            .replace("emb_ln.", "embeddings.LayerNorm.")
            .replace(".mixer.out_proj.", ".attention.output.dense.")
            .replace(".norm1.", ".attention.output.LayerNorm.")
            .replace(".norm2.", ".mlp.layernorm.");
        all.insert(name, tensor);
    }
    all
}

#[test]
fn texts_are_those_of_another_jina_bert() {
    let file = model_dir("tiny-jina-clip-v1").join("model.safetensors");
    let tensors = renamed(candle_core::safetensors::load(file, &Device::Cpu).unwrap());
    let vocabulary = tensors["embeddings.word_embeddings.weight"].dim(0).unwrap();
    // as `make_family_models.py` has it, and all else as JinaBERT's
    let config = Config {
        vocab_size: vocabulary,
        hidden_size: 48,
        num_hidden_layers: 2,
        num_attention_heads: 3,
        intermediate_size: 72,
        hidden_act: Activation::Gelu,
        max_position_embeddings: 512,
        position_embedding_type: PositionEmbeddingType::Alibi,
        ..Config::v2_base()
    };
    let builder = VarBuilder::from_tensors(tensors, DType::F32, &Device::Cpu);
    let model = BertModel::new(builder, &config).unwrap();
    for case in golden_model("tiny-jina-clip-v1").texts {
        let ids = Tensor::new(case.ids.as_slice(), &Device::Cpu).unwrap().unsqueeze(0).unwrap();
        let mean = model.forward(&ids).unwrap().mean(1).unwrap().squeeze(0).unwrap();
        let mean = mean.to_vec1::<f32>().unwrap();
        let length = mean.iter().map(|value| value * value).sum::<f32>().sqrt();
        let unit: Vec<f32> = mean.iter().map(|value| value / length).collect();
        let distance = max_abs(&unit, &case.embedding);
        assert!(distance < 1e-5, "{}: {distance:e}", case.name);
    }
}
