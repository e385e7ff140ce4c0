//! Jina CLIP: what an import takes, what it makes of adapters, and what it refuses by name.

mod common;
#[path = "common/wrong.rs"]
mod wrong;

use clip_core::import::{Imported, import, inspect};
use clip_core::spec::*;
use clip_core::{Compute, Context, Embedding, ErrorKind, Model, ModelDir, Precision};
use common::*;
use serde_json::json;
use tempfile::TempDir;
use wrong::*;

const V1: &str = "tiny-jina-clip-v1";
const V2: &str = "tiny-jina-clip-v2";
const CONFIG: &str = "config.json";

#[test]
fn what_the_two_versions_are() {
    for (name, positions, gated) in
        [(V1, TextPositions::Alibi, true), (V2, TextPositions::Rotary { base: 20_000.0 }, false)]
    {
        let spec = inspect(&model_dir(name)).unwrap().spec;
        assert_eq!(spec.text.layers, TextLayers::Jina { positions, gated });
        assert_eq!((spec.text.context_length, spec.text.pooling), (512, TextPooling::Mean));
        let rope = Rope { reference: 16, offset: 0, order: RopeOrder::RowsFirst };
        assert_eq!((spec.vision.layers, spec.family()), (VisionLayers::JinaClip { rope }, "jina_clip"));
        assert_eq!((spec.dimensions, spec.positions(), spec.vision.tower.intermediate), (48, 17, 128));
        let (resize, centre) = (ResizeRule::ShortestEdge(20), Centre::HalfEven);
        assert_eq!((spec.image.resize, spec.image.centre, spec.image.crop), (resize, centre, 20));
        assert_eq!((spec.image.filter, spec.image.std[1]), (ResizeFilter::Bicubic, 0.261_302_6));
        assert_eq!(spec.text_parts().head, TextHead::None);
    }
}

/// Vectors of the golden texts, of a copy whose configuration was edited.
fn texts(name: &str, edit: Edit) -> Vec<Embedding> {
    let (source, target) = (copy(name), TempDir::new().unwrap());
    edit_json(source.path(), CONFIG, edit);
    let imported = import(source.path(), &ModelDir::new(target.path()), "x", None, &|_, _| {}).unwrap();
    let (Imported::New(installed) | Imported::AlreadyThere(installed)) = imported;
    let model = Model::new(installed, Some(Precision::F32)).unwrap();
    let compute = Compute::new(1).unwrap();
    let ids: Vec<Vec<u32>> = golden_model(name).texts.iter().map(|case| case.ids.clone()).collect();
    model.embed_tokens(&ids, &Context { compute: &compute, stop: &|| false }).unwrap()
}

/// Another adapter, factor or base is another space, which the bound of the goldens tells apart.
#[test]
fn every_text_goes_through_the_default_adapter() {
    let edits: [Edit; 3] = [
        |c| c["text_config"]["default_lora_task"] = json!("retrieval.passage"),
        |c| c["text_config"]["hf_model_config_kwargs"]["lora_alpha"] = json!(4),
        |c| c["text_config"]["hf_model_config_kwargs"]["rotary_emb_base"] = json!(10_000.0),
    ];
    for (i, edit) in edits.into_iter().enumerate() {
        for (case, ours) in golden_model(V2).texts.iter().zip(texts(V2, edit)) {
            let distance = max_abs(&ours, &case.embedding);
            assert!(distance > 1e-4, "{i}, {}: {distance:e}", case.name);
        }
    }
}

/// The mean knows no order, but the distances of ALiBi do.
#[test]
fn words_have_places() {
    for name in [V1, V2] {
        let golden = golden_model(name);
        let (source, target) = (model_dir(name), TempDir::new().unwrap());
        let imported = import(&*source, &ModelDir::new(target.path()), "x", None, &|_, _| {}).unwrap();
        let (Imported::New(installed) | Imported::AlreadyThere(installed)) = imported;
        let (model, compute) = (Model::new(installed, Some(Precision::F32)).unwrap(), Compute::new(1).unwrap());
        let ids = golden.texts.iter().find(|case| case.name == "ended").unwrap().ids.clone();
        let mut other = ids.clone();
        other.swap(1, 3);
        let both = model.embed_tokens(&[ids, other], &Context { compute: &compute, stop: &|| false }).unwrap();
        assert!(max_abs(&both[0], &both[1]) > 1e-3, "{name}");
    }
}

#[test]
fn what_a_configuration_says_and_we_do_not_know() {
    let unsupported: [(&str, &str, Edit); 22] = [
        (V1, "add_projections = true", |c| c["add_projections"] = json!(true)),
        (V2, "truncate_dim = 64", |c| c["truncate_dim"] = json!(64)),
        (V2, "default_instruction_task = \"retrieval.query\"", |c| {
            c["text_config"]["default_instruction_task"] = json!("retrieval.query");
        }),
        (V1, "pooler_type = \"cls_pooler\"", |c| c["text_config"]["pooler_type"] = json!("cls_pooler")),
        (V1, "pooler_type = null", |c| c["text_config"]["pooler_type"] = json!(null)),
        (V1, "proj_type = \"linear\"", |c| c["text_config"]["proj_type"] = json!("linear")),
        (V1, "from 32 to 48", |c| c["text_config"]["hf_model_config_kwargs"]["hidden_size"] = json!(32)),
        (V1, "\"jinaai/jina-embeddings-v4\"", |c| {
            c["text_config"]["hf_model_name_or_path"] = json!("jinaai/jina-embeddings-v4");
        }),
        (V1, "hf_model_config_kwargs.rotary_emb_base", |c| {
            c["text_config"]["hf_model_config_kwargs"]["rotary_emb_base"] = json!(10_000);
        }),
        (V1, "use_qk_norm = true", |c| c["text_config"]["hf_model_config_kwargs"]["use_qk_norm"] = json!(true)),
        (V2, "type_vocab_size = 0", |c| c["text_config"]["hf_model_config_kwargs"]["type_vocab_size"] = json!(0)),
        (V2, "position_embedding_type = \"alibi\"", |c| {
            c["text_config"]["hf_model_config_kwargs"]["position_embedding_type"] = json!("alibi");
        }),
        (V2, "default_lora_task = null", |c| c["text_config"]["default_lora_task"] = json!(null)),
        (V2, "default_lora_task = \"separation\"", |c| c["text_config"]["default_lora_task"] = json!("separation")),
        (V1, "default_lora_task = \"x\"", |c| c["text_config"]["default_lora_task"] = json!("x")),
        (V1, "activation \"swish\"", |c| c["text_config"]["hf_model_config_kwargs"]["hidden_act"] = json!("swish")),
        (V1, "vision_config.subln = false", |c| c["vision_config"]["subln"] = json!(false)),
        (V1, "vision_config.intp_freq = null", |c| {
            c["vision_config"].as_object_mut().unwrap().remove("intp_freq");
        }),
        (V2, "vision_config.naive_swiglu = false", |c| c["vision_config"]["naive_swiglu"] = json!(false)),
        (V2, "vision_config.rope_embeddings = false", |c| c["vision_config"]["rope_embeddings"] = json!(false)),
        (V2, "vision_config.post_norm = true", |c| c["vision_config"]["post_norm"] = json!(true)),
        (V2, "vision_config.ls_init_value = 0.1", |c| c["vision_config"]["ls_init_value"] = json!(0.1)),
    ];
    for (name, names, edit) in unsupported {
        let source = copy(name);
        edit_json(source.path(), CONFIG, edit);
        assert_refused(source.path(), ErrorKind::Unsupported, names);
    }
    let invalid: [(&str, &str, Edit); 6] = [
        (V1, "texts have 48 dimensions, images 64", |c| c["vision_config"]["embed_dim"] = json!(64)),
        (V2, "head_width is 0", |c| c["vision_config"]["head_width"] = json!(0)),
        (V2, "lora_rank 0", |c| c["text_config"]["hf_model_config_kwargs"]["lora_rank"] = json!(0)),
        (V2, "rotary base 0", |c| c["text_config"]["hf_model_config_kwargs"]["rotary_emb_base"] = json!(0)),
        (V2, "heads (num_attention_heads) 0", |c| {
            c["text_config"]["hf_model_config_kwargs"]["num_attention_heads"] = json!(0);
        }),
        (V2, "heads of 3 cannot be turned", |c| {
            c["text_config"]["hf_model_config_kwargs"]["num_attention_heads"] = json!(16);
        }),
    ];
    for (name, names, edit) in invalid {
        let source = copy(name);
        edit_json(source.path(), CONFIG, edit);
        assert_refused(source.path(), ErrorKind::InvalidModel, names);
    }
}

#[test]
fn what_a_preprocessor_says_and_we_do_not_know() {
    let cases: [(&str, ErrorKind, Edit); 5] = [
        ("resize_mode = \"longest\"", ErrorKind::Unsupported, |p| p["resize_mode"] = json!("longest")),
        ("interpolation = \"nearest\"", ErrorKind::Unsupported, |p| p["interpolation"] = json!("nearest")),
        ("\"CLIPImageProcessor\"", ErrorKind::Unsupported, |p| {
            p["image_processor_type"] = json!("CLIPImageProcessor");
        }),
        ("crops to 24, config.json expects 20", ErrorKind::InvalidModel, |p| p["size"] = json!(24)),
        ("deviation", ErrorKind::InvalidModel, |p| p["std"] = json!([1, 0, 1])),
    ];
    for (names, kind, edit) in cases {
        let source = copy(V1);
        edit_json(source.path(), "preprocessor_config.json", edit);
        assert_refused(source.path(), kind, names);
    }
}

/// By the name that the checkpoint has, or lacks.
#[test]
fn tensors_are_the_expected_ones() {
    const ADAPTER: &str = "text_model.transformer.roberta.encoder.layers.1.mixer.Wqkv.parametrizations.weight.0.lora_A";
    const TYPES: &str =
        "text_model.transformer.roberta.embeddings.token_type_embeddings.parametrizations.weight.original";
    const GATED: &str = "text_model.transformer.encoder.layers.0.mlp.gated_layers.weight";
    const NORM: &str = "vision_model.blocks.1.attn.inner_attn_ln.bias";
    for (name, tensor) in [(V2, ADAPTER), (V2, TYPES), (V2, NORM), (V1, GATED), (V1, NORM), (V1, "logit_scale")] {
        let source = copy(name);
        edit_tensors(source.path(), |tensors| drop(tensors.remove(tensor)));
        assert_refused(source.path(), ErrorKind::InvalidModel, &format!("tensor \"{tensor}\" is missing"));
    }
    for (name, tensor) in [(V2, ADAPTER), (V1, GATED), (V1, "vision_model.pos_embed")] {
        // renamed: one is missing, whose name comes first
        let source = copy(name);
        edit_tensors(source.path(), |tensors| {
            let moved = tensors.remove(tensor).unwrap();
            tensors.insert(format!("{tensor}s"), moved);
        });
        assert_refused(source.path(), ErrorKind::InvalidModel, &format!("tensor \"{tensor}\" is missing"));
        // one too many
        let source = copy(name);
        edit_tensors(source.path(), |tensors| {
            tensors.insert("text_model.transformer.extra".into(), tensors[tensor].clone());
        });
        assert_refused(source.path(), ErrorKind::InvalidModel, "\"text_model.transformer.extra\" is left over");
        // of another shape
        let source = copy(name);
        edit_tensors(source.path(), |tensors| tensors.get_mut(tensor).unwrap().1.push(1));
        assert_refused(source.path(), ErrorKind::InvalidModel, &format!("tensor \"{tensor}\" has shape"));
    }
    // Adapters of more tasks than the configuration has.
    let source = copy(V2);
    edit_json(source.path(), CONFIG, |c| {
        c["text_config"]["hf_model_config_kwargs"]["lora_adaptations"] = json!(["retrieval.query"]);
    });
    assert_refused(source.path(), ErrorKind::InvalidModel, "lora_");
}

/// What older code wrote beside the tensors, and the configuration tells.
#[test]
fn buffers_of_positions_are_no_tensors() {
    let source = copy(V1);
    edit_tensors(source.path(), |tensors| {
        let some = tensors["logit_scale"].clone();
        for name in ["vision_model.rope.freqs_cos", "vision_model.blocks.0.attn.rope.freqs_sin"] {
            tensors.insert(name.into(), some.clone());
        }
    });
    inspect(source.path()).unwrap();
}
