//! What an import refuses of each layout, and of what its configuration says.

mod common;
#[path = "common/wrong.rs"]
mod wrong;

use std::fs;

use clip_core::ErrorKind;
use clip_core::import::inspect;
use clip_core::spec::TextCleaning;
use common::*;
use safetensors::Dtype;
use serde_json::Value;
use tempfile::TempDir;
use wrong::*;

/// A layout: model, file of weights, some tensors, the file that says which activation, and one that is not known.
type Layout = (&'static str, &'static str, [&'static str; 3], &'static str, Edit);

const LAYOUTS: [Layout; 17] = [
    (
        "tiny-siglip",
        "model.safetensors",
        ["vision_model.head.attention.in_proj_weight", "text_model.head.bias", "vision_model.head.probe"],
        "config.json",
        |c| c["vision_config"]["hidden_act"] = "silu".into(),
    ),
    (
        "tiny-siglip2",
        "model.safetensors",
        ["vision_model.embeddings.patch_embedding.bias", "logit_bias", "logit_scale"],
        "config.json",
        |c| c["text_config"]["hidden_act"] = "relu".into(),
    ),
    (
        "tiny-siglip2-naflex",
        "model.safetensors",
        [
            "vision_model.embeddings.patch_embedding.weight",
            "vision_model.embeddings.position_embedding.weight",
            "text_model.head.weight",
        ],
        "config.json",
        |c| c["vision_config"]["hidden_act"] = "relu".into(),
    ),
    (
        "tiny-openclip-native",
        "open_clip_model.safetensors",
        ["visual.transformer.resblocks.1.attn.in_proj_weight", "text_projection", "visual.conv1.weight"],
        "open_clip_config.json",
        |c| c["model_cfg"]["vision_cfg"]["act_kwargs"] = serde_json::json!({ "approximate": "none" }),
    ),
    (
        "tiny-siglip-timm",
        "open_clip_model.safetensors",
        ["visual.trunk.attn_pool.kv.weight", "visual.trunk.blocks.1.attn.qkv.bias", "text.text_projection.bias"],
        "open_clip_config.json",
        |c| c["model_cfg"]["text_cfg"]["act_kwargs"] = serde_json::json!({ "approximate": "none" }),
    ),
    (
        "tiny-pe-core",
        "open_clip_model.safetensors",
        ["visual.trunk.cls_token", "visual.trunk.blocks.1.attn.qkv.weight", "visual.trunk.head.bias"],
        "open_clip_config.json",
        |c| c["model_cfg"]["vision_cfg"]["act_kwargs"] = serde_json::json!({ "approximate": "none" }),
    ),
    (
        "tiny-pe-core",
        "open_clip_model.safetensors",
        ["visual.trunk.norm_pre.bias", "visual.trunk.attn_pool.latent", "text.text_projection"],
        "open_clip_config.json",
        |c| c["model_cfg"]["vision_cfg"]["timm_proj"] = "linear".into(),
    ),
    (
        "tiny-eva02",
        "open_clip_model.safetensors",
        [
            "visual.trunk.blocks.1.attn.k_proj.weight",
            "visual.trunk.blocks.0.mlp.fc1_g.bias",
            "visual.trunk.norm.weight",
        ],
        "open_clip_config.json",
        |c| c["model_cfg"]["vision_cfg"]["timm_proj"] = "mlp".into(),
    ),
    (
        "tiny-eva02-e",
        "open_clip_model.safetensors",
        ["visual.trunk.blocks.1.attn.q_bias", "visual.trunk.blocks.0.attn.qkv.weight", "visual.trunk.head.weight"],
        "open_clip_config.json",
        |c| c["model_cfg"]["vision_cfg"]["timm_pool"] = "map".into(),
    ),
    (
        "tiny-openclip-roberta",
        "open_clip_model.safetensors",
        [
            "text.transformer.embeddings.position_embeddings.weight",
            "text.transformer.embeddings.token_type_embeddings.weight",
            "text.proj.2.weight",
        ],
        "open_clip_config.json",
        |c| c["model_cfg"]["text_cfg"]["hf_pooler_type"] = "cls_pooler".into(),
    ),
    (
        "tiny-openclip-nllb",
        "open_clip_model.safetensors",
        [
            "text.transformer.embed_tokens.weight",
            "text.transformer.layers.1.fc2.bias",
            "text.transformer.layer_norm.weight",
        ],
        "open_clip_config.json",
        |c| c["model_cfg"]["text_cfg"]["hf_pooler_type"] = "max_pooler".into(),
    ),
    (
        "tiny-openclip-nllb-siglip",
        "open_clip_model.safetensors",
        ["text.transformer.layers.0.self_attn_layer_norm.bias", "text.proj.weight", "visual.trunk.attn_pool.latent"],
        "open_clip_config.json",
        |c| c["model_cfg"]["text_cfg"]["hf_model_name"] = "xlm-roberta-tiny".into(),
    ),
    (
        "tiny-chinese-clip",
        "model.safetensors",
        [
            "text_model.embeddings.token_type_embeddings.weight",
            "text_model.encoder.layer.1.attention.output.LayerNorm.bias",
            "text_projection.weight",
        ],
        "config.json",
        |c| c["text_config"]["hidden_act"] = "relu".into(),
    ),
    (
        "tiny-metaclip2",
        "model.safetensors",
        ["text_model.encoder.layers.1.self_attn.q_proj.bias", "visual_projection.weight", "logit_scale"],
        "config.json",
        |c| c["text_config"]["hidden_act"] = "silu".into(),
    ),
    (
        "tiny-mobileclip-b",
        "open_clip_model.safetensors",
        ["visual.trunk.patch_embed.backbone.1.bn.running_var", "visual.trunk.cls_token", "visual.trunk.head.bias"],
        "open_clip_config.json",
        |c| c["model_cfg"]["text_cfg"]["act_kwargs"] = serde_json::json!({ "approximate": "none" }),
    ),
    (
        "tiny-mobileclip2-s0",
        "open_clip_model.safetensors",
        [
            "visual.trunk.stages.1.blocks.1.token_mixer.layer_scale.gamma",
            "visual.trunk.stages.2.downsample.proj.0.small_conv.bn.running_mean",
            "visual.trunk.final_conv.se.fc2.weight",
        ],
        "open_clip_config.json",
        |c| c["model_cfg"]["vision_cfg"]["timm_pool"] = "token".into(),
    ),
    (
        "tiny-mobileclip2-l",
        "open_clip_model.safetensors",
        ["visual.trunk.patch_embed.proj.weight", "visual.trunk.norm_pre.weight", "text.text_projection"],
        "open_clip_config.json",
        |c| c["model_cfg"]["text_cfg"]["use_pad_mask"] = true.into(),
    ),
];

#[test]
fn every_layouts_tensors_and_files() {
    for (model, weights, tensors, config, activation) in LAYOUTS {
        for name in tensors {
            let damaged = |kind, names: &str, edit: &dyn Fn(&mut Tensors)| {
                let dir = copy(model);
                edit_tensors_of(&dir.path().join(weights), edit);
                assert_refused(dir.path(), kind, names);
            };
            damaged(ErrorKind::InvalidModel, name, &|t| drop(t.remove(name)));
            damaged(ErrorKind::InvalidModel, name, &|t| {
                let tensor = t.remove(name).unwrap();
                t.insert(format!("{name}.renamed"), tensor);
            });
            damaged(ErrorKind::InvalidModel, "left.over", &|t| {
                drop(t.insert("left.over".into(), (Dtype::F32, vec![1], vec![0; 4])));
            });
            damaged(ErrorKind::InvalidModel, name, &|t| {
                let tensor = t.get_mut(name).unwrap();
                tensor.1.insert(0, 2);
                tensor.2.extend(tensor.2.clone());
            });
            damaged(ErrorKind::InvalidModel, name, &|t| {
                t.get_mut(name).unwrap().2[..4].copy_from_slice(&f32::NAN.to_le_bytes());
            });
        }
        let dir = copy(model);
        edit_json(dir.path(), config, activation);
        assert_refused(dir.path(), ErrorKind::Unsupported, "is not supported");

        let bytes = fs::read(model_dir(model).join(weights)).unwrap();
        for length in [0, 8, 700, bytes.len() - 1] {
            let dir = copy(model);
            fs::write(dir.path().join(weights), &bytes[..length]).unwrap();
            assert_refused(dir.path(), ErrorKind::Corrupted, weights);
        }
        let tokenizer = if model == "tiny-chinese-clip" { "vocab.txt" } else { "tokenizer.json" };
        for file in [weights, config, tokenizer] {
            let dir = copy(model);
            fs::remove_file(dir.path().join(file)).unwrap();
            assert_eq!(refused(dir.path()).kind, ErrorKind::MissingFile, "{model} without {file}");
        }
    }
    let dir = copy("tiny-openclip-native-bin");
    let path = dir.path().join("open_clip_pytorch_model.bin");
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    assert_refused(dir.path(), ErrorKind::Corrupted, "open_clip_pytorch_model.bin");
}

/// An encoder of a published name has the published sizes; others, those of the checkpoint.
#[test]
fn text_encoders_by_name() {
    let edited = |edit: &dyn Fn(&mut Value)| {
        let dir = copy("tiny-openclip-roberta");
        edit_json(dir.path(), "open_clip_config.json", |c| edit(&mut c["model_cfg"]["text_cfg"]));
        dir
    };
    let dir = edited(&|c| c["hf_model_name"] = "xlm-roberta-base".into());
    assert_refused(dir.path(), ErrorKind::InvalidModel, "shape [");
    let dir = edited(&|c| c["hf_proj_type"] = "linear".into());
    assert_refused(dir.path(), ErrorKind::InvalidModel, "text.proj.weight");
    let dir = edited(&|c| c["hf_proj_type"] = "none".into());
    assert_refused(dir.path(), ErrorKind::Unsupported, "hf_proj_type = \"none\"");
    let dir = edited(&|c| c["context_length"] = 33.into());
    assert_refused(dir.path(), ErrorKind::InvalidModel, "at most 32");
    let dir = edited(&|c| c["context_length"] = 32.into());
    inspect(dir.path()).unwrap();
}

/// The positions are in no file, but for older libraries' buffer of them; the language is looked for.
#[test]
fn what_of_nllb_is_made_and_looked_for() {
    let edited = |edit: &dyn Fn(&mut Value)| {
        let dir = copy("tiny-openclip-nllb");
        edit_json(dir.path(), "open_clip_config.json", |c| edit(&mut c["model_cfg"]["text_cfg"]));
        dir
    };
    let dir = edited(&|c| c["context_length"] = 1025.into());
    assert_refused(dir.path(), ErrorKind::InvalidModel, "at most 1024");
    let dir = edited(&|c| c["hf_model_name"] = "facebook/nllb-200-distilled-600M".into());
    assert_refused(dir.path(), ErrorKind::InvalidModel, "shape [");
    let dir = edited(&|c| c["hf_pooler_type"] = Value::Null);
    let spec = inspect(dir.path()).unwrap().spec;
    assert_eq!(spec, inspect(&model_dir("tiny-openclip-nllb")).unwrap().spec, "open_clip's default of this encoder");

    const BUFFER: &str = "text.transformer.embed_positions.weights";
    let dir = copy("tiny-openclip-nllb");
    edit_tensors_of(&dir.path().join("open_clip_model.safetensors"), |t| {
        t.insert(BUFFER.into(), (Dtype::F32, vec![2, 2], vec![0; 16]));
    });
    inspect(dir.path()).unwrap();

    let cases: [(&str, &str, ErrorKind, Edit); 4] = [
        ("tokenizer_config.json", "legacy_behaviour", ErrorKind::Unsupported, |c| c["legacy_behaviour"] = true.into()),
        ("tokenizer_config.json", "src_lang", ErrorKind::Unsupported, |c| c["src_lang"] = "en".into()),
        ("tokenizer_config.json", "fin_Latn", ErrorKind::InvalidModel, |c| c["src_lang"] = "fin_Latn".into()),
        ("tokenizer.json", "eng_Latn", ErrorKind::InvalidModel, |c| c["added_tokens"] = Value::Array(Vec::new())),
    ];
    for (file, names, kind, edit) in cases {
        let dir = copy("tiny-openclip-nllb");
        edit_json(dir.path(), file, edit);
        assert_refused(dir.path(), kind, names);
    }
}

#[test]
fn what_open_clips_config_says_and_we_do_not_know() {
    let cases: [(&str, Edit); 16] = [
        ("fastvit_t8", |c| c["vision_cfg"]["timm_model_name"] = "fastvit_t8".into()),
        ("ResNet", |c| c["vision_cfg"]["layers"] = serde_json::json!([3, 4, 6, 3])),
        ("CoCa", |c| c["multimodal_cfg"] = serde_json::json!({ "width": 8 })),
        ("bert-base-uncased", |c| c["text_cfg"]["hf_model_name"] = "bert-base-uncased".into()),
        ("no_causal_mask = true", |c| {
            c["text_cfg"]["no_causal_mask"] = true.into();
            c["text_cfg"]["hf_tokenizer_name"] = "bert-base-uncased".into();
        }),
        ("pool_type = \"last\"", |c| c["text_cfg"]["pool_type"] = "last".into()),
        ("pool_type = \"avg\"", |c| c["vision_cfg"]["pool_type"] = "avg".into()),
        ("no_ln_pre = true", |c| c["vision_cfg"]["no_ln_pre"] = true.into()),
        ("ls_init_value = 0.1", |c| c["vision_cfg"]["ls_init_value"] = 0.1.into()),
        ("qk_norm = true", |c| c["text_cfg"]["qk_norm"] = true.into()),
        ("proj_bias = true", |c| c["text_cfg"]["proj_bias"] = true.into()),
        ("vision_cfg.novelty = 1", |c| c["vision_cfg"]["novelty"] = 1.into()),
        ("patch_size = [4,8]", |c| c["vision_cfg"]["patch_size"] = serde_json::json!([4, 8])),
        ("clean = \"whitespace\"", |c| {
            c["text_cfg"]["tokenizer_kwargs"] = serde_json::json!({ "clean": "whitespace" });
        }),
        ("clean = \"canonicalize\"", |c| {
            c["text_cfg"]["tokenizer_kwargs"] = serde_json::json!({ "clean": "canonicalize" });
        }),
        ("strip_sep_token = true", |c| {
            c["text_cfg"]["tokenizer_kwargs"] = serde_json::json!({ "strip_sep_token": true });
        }),
    ];
    for (names, edit) in cases {
        let dir = copy("tiny-openclip-native");
        edit_json(dir.path(), "open_clip_config.json", |c| edit(&mut c["model_cfg"]));
        assert_refused(dir.path(), ErrorKind::Unsupported, names);
    }
    let dir = copy("tiny-openclip-native");
    edit_json(dir.path(), "open_clip_config.json", |c| c["preprocess_cfg"]["resize_mode"] = "longest".into());
    assert_refused(dir.path(), ErrorKind::Unsupported, "longest");
    let dir = copy("tiny-openclip-native");
    edit_json(dir.path(), "open_clip_config.json", |c| c["model_cfg"]["vision_cfg"]["head_width"] = 13.into());
    assert_refused(dir.path(), ErrorKind::InvalidModel, "heads");
}

/// As in apple/MobileCLIP-S0, whose configuration says nothing.
#[test]
fn weights_of_apples_own_code() {
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join("config.json"), "{}").unwrap();
    fs::write(dir.path().join("mobileclip_s0.pt"), "").unwrap();
    assert_refused(dir.path(), ErrorKind::Unsupported, "mobileclip_s0.pt");
    assert!(refused(dir.path()).hint.unwrap().contains("timm/MobileCLIP2-S0-OpenCLIP"));
}

#[test]
fn what_open_clips_config_says_of_mobileclip_and_we_do_not_know() {
    let cases: [(&str, ErrorKind, Edit); 6] = [
        ("timm_pool = \"avg\"", ErrorKind::Unsupported, |c| c["vision_cfg"]["timm_pool"] = Value::Null),
        ("timm_proj = \"linear\"", ErrorKind::Unsupported, |c| {
            drop(c["vision_cfg"].as_object_mut().unwrap().remove("timm_proj"));
        }),
        ("image_size is 64", ErrorKind::InvalidModel, |c| c["vision_cfg"]["image_size"] = 64.into()),
        ("image_size is 1000000000", ErrorKind::InvalidModel, |c| c["vision_cfg"]["image_size"] = 1000000000.into()),
        ("vit_base_mci_256", ErrorKind::Unsupported, |c| {
            c["vision_cfg"]["timm_model_name"] = "vit_base_mci_256".into()
        }),
        ("xlm-roberta-base", ErrorKind::Unsupported, |c| c["text_cfg"]["hf_model_name"] = "xlm-roberta-base".into()),
    ];
    for (names, kind, edit) in cases {
        let dir = copy("tiny-mobileclip-b");
        edit_json(dir.path(), "open_clip_config.json", |c| edit(&mut c["model_cfg"]));
        assert_refused(dir.path(), kind, names);
    }
    // As many steps as the training took, and no variance.
    let weights = "open_clip_model.safetensors";
    let dir = copy("tiny-mobileclip-b");
    edit_tensors_of(&dir.path().join(weights), |t| t.retain(|name, _| !name.ends_with("num_batches_tracked")));
    inspect(dir.path()).unwrap();
    let dir = copy("tiny-mobileclip-b");
    edit_tensors_of(&dir.path().join(weights), |t| {
        let variance = &mut t.get_mut("visual.trunk.patch_embed.backbone.0.bn.running_var").unwrap().2;
        variance[..4].copy_from_slice(&(-1f32).to_le_bytes());
    });
    assert_refused(dir.path(), ErrorKind::InvalidModel, "stem.0.weight");
}

#[test]
fn what_open_clips_config_says_of_siglip_and_we_do_not_know() {
    let cases: [(&str, ErrorKind, Edit); 10] = [
        ("proj_type = \"none\"", ErrorKind::Unsupported, |c| c["text_cfg"]["proj_type"] = "none".into()),
        ("vit_base_patch16_siglip_gap_224", ErrorKind::Unsupported, |c| {
            c["vision_cfg"]["timm_model_name"] = "vit_base_patch16_siglip_gap_224".into();
        }),
        ("timm_pool = \"avg\"", ErrorKind::Unsupported, |c| c["vision_cfg"]["timm_pool"] = Value::Null),
        ("timm_proj = \"mlp\"", ErrorKind::Unsupported, |c| c["vision_cfg"]["timm_proj"] = "mlp".into()),
        ("image_size is 224", ErrorKind::InvalidModel, |c| c["vision_cfg"]["image_size"] = Value::Null),
        ("no_causal_mask = false", ErrorKind::Unsupported, |c| c["text_cfg"]["no_causal_mask"] = Value::Null),
        ("proj_bias = false", ErrorKind::Unsupported, |c| c["text_cfg"]["proj_bias"] = false.into()),
        ("pool_type = \"argmax\"", ErrorKind::Unsupported, |c| c["text_cfg"]["pool_type"] = Value::Null),
        ("clean = \"punctuation\"", ErrorKind::Unsupported, |c| {
            c["text_cfg"]["tokenizer_kwargs"]["clean"] = "punctuation".into();
        }),
        ("texts have 32 dimensions", ErrorKind::InvalidModel, |c| c["embed_dim"] = 32.into()),
    ];
    for (names, kind, edit) in cases {
        let dir = copy("tiny-siglip-timm");
        edit_json(dir.path(), "open_clip_config.json", |c| edit(&mut c["model_cfg"]));
        assert_refused(dir.path(), kind, names);
    }
    let dir = copy("tiny-siglip-timm");
    fs::remove_file(dir.path().join("tokenizer_config.json")).unwrap();
    assert_refused(dir.path(), ErrorKind::InvalidModel, "fills texts up");
}

#[test]
fn what_texts_go_through_in_open_clips_layout() {
    let cleaning = |name: &str| inspect(&model_dir(name)).unwrap().spec.text.cleaning;
    assert_eq!(cleaning("tiny-openclip-native"), TextCleaning::OpenClipLower);
    assert_eq!(cleaning("tiny-siglip-timm"), TextCleaning::OpenClipCanonical);
    assert_eq!(cleaning("tiny-clip"), TextCleaning::None);
    let dir = copy("tiny-siglip-timm");
    edit_json(dir.path(), "open_clip_config.json", |c| c["model_cfg"]["text_cfg"]["tokenizer_kwargs"] = Value::Null);
    assert_eq!(inspect(dir.path()).unwrap().spec.text.cleaning, TextCleaning::OpenClipWhitespace);
}

#[test]
fn what_siglips_config_says_and_we_do_not_know() {
    let cases: [(&str, &str, ErrorKind, Edit); 8] = [
        ("config.json", "SiglipImageProcessor", ErrorKind::Unsupported, |c| c["model_type"] = "siglip2".into()),
        ("config.json", "vision_use_head", ErrorKind::Unsupported, |c| {
            c["vision_config"]["vision_use_head"] = false.into();
        }),
        ("config.json", "dimensions", ErrorKind::InvalidModel, |c| c["text_config"]["projection_size"] = 48.into()),
        ("preprocessor_config.json", "Siglip2ImageProcessor", ErrorKind::Unsupported, |c| {
            c["image_processor_type"] = "Siglip2ImageProcessor".into();
        }),
        ("tokenizer_config.json", "padding_side", ErrorKind::Unsupported, |c| c["padding_side"] = "left".into()),
        ("tokenizer_config.json", "do_lower_case", ErrorKind::Unsupported, |c| c["do_lower_case"] = false.into()),
        ("tokenizer_config.json", "<none>", ErrorKind::InvalidModel, |c| c["pad_token"] = "<none>".into()),
        ("tokenizer.json", "adds 0 tokens", ErrorKind::InvalidModel, |c| c["post_processor"] = Value::Null),
    ];
    for (file, names, kind, edit) in cases {
        let dir = copy("tiny-siglip");
        edit_json(dir.path(), file, edit);
        assert_refused(dir.path(), kind, names);
    }
}

#[test]
fn what_naflex_says_and_we_do_not_know() {
    use ErrorKind::{InvalidModel, Unsupported};
    let huge = |c: &mut Value| {
        c["vision_config"]["num_patches"] = (1u64 << 40).into();
    };
    let cases: [(&str, &str, ErrorKind, Edit); 11] = [
        ("config.json", "num_patches 15 is no square", InvalidModel, |c| c["vision_config"]["num_patches"] = 15.into()),
        ("config.json", "image_size 4194304", InvalidModel, huge),
        ("config.json", "image_size 0", InvalidModel, |c| c["vision_config"]["num_patches"] = 0.into()),
        ("config.json", "[25, 40]", InvalidModel, |c| c["vision_config"]["num_patches"] = 25.into()),
        ("config.json", "patches of 4 pixels", InvalidModel, |c| c["vision_config"]["patch_size"] = 8.into()),
        ("config.json", "vision_use_head", Unsupported, |c| c["vision_config"]["vision_use_head"] = false.into()),
        ("preprocessor_config.json", "max_num_patches", InvalidModel, |c| c["max_num_patches"] = 0.into()),
        ("preprocessor_config.json", "max_num_patches", InvalidModel, |c| c["max_num_patches"] = u32::MAX.into()),
        ("preprocessor_config.json", "SiglipImageProcessor", Unsupported, |c| {
            c["image_processor_type"] = "SiglipImageProcessor".into();
        }),
        ("preprocessor_config.json", "do_center_crop", Unsupported, |c| c["do_center_crop"] = true.into()),
        ("preprocessor_config.json", "filter 5", Unsupported, |c| c["resample"] = 5.into()),
    ];
    for (file, names, kind, edit) in cases {
        let dir = copy("tiny-siglip2-naflex");
        edit_json(dir.path(), file, edit);
        assert_refused(dir.path(), kind, names);
    }
}
