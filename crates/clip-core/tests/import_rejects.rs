//! What an import refuses, and that it says why by name and leaves nothing behind.

mod common;
#[path = "common/wrong.rs"]
mod wrong;

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use clip_core::import::{import, inspect};
use clip_core::{ErrorKind, ModelDir};
use common::*;
use safetensors::Dtype;
use serde_json::Value;
use tempfile::TempDir;
use wrong::*;

const SOME_TENSOR: &str = "vision_model.encoder.layers.1.mlp.fc2.bias";

#[test]
fn what_the_config_says_and_we_do_not_know() {
    let cases: [(&str, &str, Edit); 5] = [
        ("config.json", "relu", |c| c["text_config"]["hidden_act"] = "relu".into()),
        ("config.json", "blip", |c| c["model_type"] = "blip".into()),
        ("config.json", "4 channels", |c| c["vision_config"]["num_channels"] = 4.into()),
        ("preprocessor_config.json", "filter 0", |c| c["resample"] = 0.into()),
        ("preprocessor_config.json", "do_normalize", |c| c["do_normalize"] = false.into()),
    ];
    for (file, names, edit) in cases {
        let dir = copy("tiny-clip");
        edit_json(dir.path(), file, edit);
        assert_refused(dir.path(), ErrorKind::Unsupported, names);
    }
}

#[test]
fn configs_that_contradict_themselves_or_overflow() {
    let cases: [(&str, &str, Edit); 6] = [
        ("config.json", "heads", |c| c["text_config"]["num_attention_heads"] = 5.into()),
        ("config.json", "hidden_size", |c| c["vision_config"]["hidden_size"] = u64::MAX.into()),
        ("config.json", "projection_dim", |c| c["projection_dim"] = 100_000.into()),
        ("config.json", "vocab_size", |c| c["text_config"]["vocab_size"] = 0.into()),
        ("config.json", "layer_norm_eps", |c| c["text_config"]["layer_norm_eps"] = (-1.0).into()),
        ("preprocessor_config.json", "crops to", |c| c["crop_size"] = 16.into()),
    ];
    for (file, names, edit) in cases {
        let dir = copy("tiny-clip");
        edit_json(dir.path(), file, edit);
        assert_refused(dir.path(), ErrorKind::InvalidModel, names);
    }
}

#[test]
fn tensors_missing_renamed_left_over_misshapen() {
    let dir = copy("tiny-clip");
    edit_tensors(dir.path(), |t| drop(t.remove(SOME_TENSOR)));
    assert_refused(dir.path(), ErrorKind::InvalidModel, SOME_TENSOR);

    let dir = copy("tiny-clip");
    edit_tensors(dir.path(), |t| {
        let tensor = t.remove(SOME_TENSOR).unwrap();
        t.insert("renamed".into(), tensor);
    });
    assert_refused(dir.path(), ErrorKind::InvalidModel, SOME_TENSOR);

    let dir = copy("tiny-clip");
    edit_tensors(dir.path(), |t| drop(t.insert("left.over".into(), (Dtype::F32, vec![1], vec![0; 4]))));
    assert_refused(dir.path(), ErrorKind::InvalidModel, "left.over");

    let dir = copy("tiny-clip");
    edit_tensors(dir.path(), |t| {
        let tensor = t.get_mut(SOME_TENSOR).unwrap();
        tensor.1 = vec![tensor.1[0] / 2, 2];
    });
    assert_refused(dir.path(), ErrorKind::InvalidModel, SOME_TENSOR);

    let dir = copy("tiny-clip");
    edit_tensors(dir.path(), |t| t.get_mut(SOME_TENSOR).unwrap().0 = Dtype::I32);
    assert_refused(dir.path(), ErrorKind::Unsupported, SOME_TENSOR);

    let dir = copy("tiny-clip");
    edit_tensors(dir.path(), |t| t.get_mut(SOME_TENSOR).unwrap().2[..4].copy_from_slice(&f32::NAN.to_le_bytes()));
    assert_refused(dir.path(), ErrorKind::InvalidModel, SOME_TENSOR);
}

#[test]
fn files_missing_truncated_or_of_another_kind() {
    for file in ["config.json", "preprocessor_config.json", "tokenizer.json", "model.safetensors"] {
        let dir = copy("tiny-clip");
        fs::remove_file(dir.path().join(file)).unwrap();
        assert_refused(dir.path(), ErrorKind::MissingFile, file);
    }
    for length in [0, 7, 8, 500, 100_000] {
        let dir = copy("tiny-clip");
        let path = dir.path().join("model.safetensors");
        let bytes = fs::read(&path).unwrap();
        fs::write(&path, &bytes[..length]).unwrap();
        assert_refused(dir.path(), ErrorKind::Corrupted, "model.safetensors");
    }
    let dir = copy("tiny-clip-bin");
    fs::write(dir.path().join("pytorch_model.bin"), b"no archive").unwrap();
    assert_refused(dir.path(), ErrorKind::Corrupted, "pytorch_model.bin");

    let dir = copy("tiny-clip-sharded");
    let shard = fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
    let shard = shard.into_iter().find(|name| name.ends_with(".safetensors")).unwrap();
    fs::remove_file(dir.path().join(&shard)).unwrap();
    assert_refused(dir.path(), ErrorKind::MissingFile, &shard);

    let dir = copy("tiny-clip");
    fs::write(dir.path().join("config.json"), "{").unwrap();
    assert_refused(dir.path(), ErrorKind::InvalidModel, "config.json");
}

#[test]
fn of_two_layouts_in_one_directory_the_complete_one_is_taken() {
    // transformers' is complete: taken
    let dir = copy("tiny-openclip");
    for file in ["open_clip_config.json", "open_clip_model.safetensors"] {
        fs::copy(model_dir("tiny-openclip-native").join(file), dir.path().join(file)).unwrap();
    }
    assert_eq!(inspect(dir.path()).unwrap().spec, inspect(&model_dir("tiny-openclip")).unwrap().spec);
    // Pickled weights come last, as in a download.
    fs::remove_file(dir.path().join("model.safetensors")).unwrap();
    fs::copy(model_dir("tiny-clip-bin").join("pytorch_model.bin"), dir.path().join("pytorch_model.bin")).unwrap();
    assert_eq!(inspect(dir.path()).unwrap().spec, inspect(&model_dir("tiny-openclip-native")).unwrap().spec);
    // a config.json without weights, or one of timm: open_clip's is taken
    let native = inspect(&model_dir("tiny-openclip-native")).unwrap().spec;
    let dir = copy("tiny-openclip-native");
    fs::copy(model_dir("tiny-openclip").join("config.json"), dir.path().join("config.json")).unwrap();
    assert_eq!(inspect(dir.path()).unwrap().spec, native);
    fs::write(dir.path().join("config.json"), "{\"architecture\": \"vit_base_patch16_clip_224\"}").unwrap();
    fs::write(dir.path().join("model.safetensors"), "").unwrap();
    assert_eq!(inspect(dir.path()).unwrap().spec, native);
}

#[test]
fn a_tokenizer_that_does_not_belong_to_the_model() {
    let dir = copy("tiny-clip");
    edit_json(dir.path(), "config.json", |c| c["text_config"]["eos_token_id"] = 7.into());
    assert_refused(dir.path(), ErrorKind::InvalidModel, "pools at 7");

    let dir = copy("tiny-clip");
    fs::copy(tokenizer_dir("clip").join("tokenizer.json"), dir.path().join("tokenizer.json")).unwrap();
    assert_refused(dir.path(), ErrorKind::InvalidModel, "tokenizer.json");
}

/// Some tokenizers write no begin: it has to be the end that the tower looks for, and not a token of CLIP's kind.
#[test]
fn an_end_alone_is_enough_for_mt5() {
    inspect(&model_dir("tiny-metaclip2-mt5")).unwrap();
    let cases: [(&str, &str, Edit); 3] = [
        ("config.json", "no begin and end token", |c| c["text_config"]["eos_token_id"] = 2.into()),
        ("config.json", "token id", |c| c["text_config"]["vocab_size"] = 90.into()),
        ("tokenizer.json", "no begin and end token", |c| c["post_processor"] = Value::Null),
    ];
    for (file, names, edit) in cases {
        let dir = copy("tiny-metaclip2-mt5");
        edit_json(dir.path(), file, edit);
        assert_refused(dir.path(), ErrorKind::InvalidModel, names);
    }
    let dir = copy("tiny-clip");
    edit_json(dir.path(), "tokenizer.json", |t| {
        let end = t["post_processor"]["sep"].clone();
        let (token, id) = (end[0].clone(), end[1].clone());
        t["post_processor"] = serde_json::json!({
            "type": "TemplateProcessing",
            "single": [{"Sequence": {"id": "A", "type_id": 0}}, {"SpecialToken": {"id": token, "type_id": 0}}],
            "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 0}}],
            "special_tokens": {token.as_str().unwrap(): {"id": token, "ids": [id], "tokens": [token]}},
        });
    });
    assert_refused(dir.path(), ErrorKind::InvalidModel, "no begin and end token");
}

#[test]
fn names_are_no_paths() {
    let models = ModelDir::new("/nonexistent");
    for name in ["", ".", "..", "../x", "a/b", "A", "-x", ".x", "a b", "é", &"x".repeat(64)] {
        let error = import(&model_dir("tiny-clip"), &models, name, None, &|_, _| {}).err().unwrap();
        assert_eq!(error.kind, ErrorKind::InvalidName, "{name}");
        assert_eq!(models.open(name).unwrap_err().kind, ErrorKind::InvalidName, "{name}");
    }
}

#[test]
fn a_name_never_changes_its_content() {
    let target = TempDir::new().unwrap();
    let models = ModelDir::new(target.path());
    let install = |source: &str| import(&model_dir(source), &models, "x", None, &|_, _| {});
    install("tiny-clip").map(|_| ()).unwrap();
    let before = models.open("x").unwrap();
    assert_eq!(install("tiny-openclip").err().unwrap().kind, ErrorKind::AlreadyExists);
    install("tiny-clip-sharded").map(|_| ()).unwrap();
    assert_eq!(models.open("x").unwrap().manifest.fingerprint, before.manifest.fingerprint);
    models.open("x").unwrap().verify(&|_, _| {}).unwrap();
    assert_eq!(fs::read_dir(target.path()).unwrap().count(), 1, "files left behind");
}

#[test]
fn verify_notices_one_changed_bit() {
    let target = TempDir::new().unwrap();
    let models = ModelDir::new(target.path());
    import(&model_dir("tiny-clip"), &models, "x", None, &|_, _| {}).map(|_| ()).unwrap();
    let writable = |file: &str| {
        let path = target.path().join("x").join(file);
        fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        path
    };
    for file in ["weights.f32.safetensors", "tokenizer.json"] {
        let path = writable(file);
        let mut bytes = fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(&path, &bytes).unwrap();
        assert_eq!(models.open("x").unwrap().verify(&|_, _| {}).unwrap_err().kind, ErrorKind::Corrupted, "{file}");
        bytes[middle] ^= 1;
        fs::write(&path, &bytes).unwrap();
    }
    models.open("x").unwrap().verify(&|_, _| {}).unwrap();
    // the manifest itself is held together by what a spec may say, and by the fingerprint
    let manifest = fs::read(writable("model.json")).unwrap();
    let edits: [(&str, Edit); 3] = [
        ("crop 16 is out of range", |m| m["spec"]["image"]["crop"] = 16.into()),
        ("parameters are 1", |m| m["parameters"] = 1.into()),
        ("fingerprint is", |m| m["spec"]["text"]["tower"]["heads"] = 1.into()),
    ];
    for (names, edit) in edits {
        edit_json(&target.path().join("x"), "model.json", edit);
        let error = models.open("x").unwrap_err();
        assert!(error.kind == ErrorKind::Corrupted && error.message.contains(names), "{error}");
        fs::write(target.path().join("x/model.json"), &manifest).unwrap();
    }
    models.open("x").unwrap();
}

#[test]
fn the_file_of_a_whole_processor_serves_too() {
    let dir = copy("tiny-clip");
    let (from, to) = (dir.path().join("preprocessor_config.json"), dir.path().join("processor_config.json"));
    let inner: Value = serde_json::from_slice(&fs::read(&from).unwrap()).unwrap();
    fs::write(&to, serde_json::json!({ "image_processor": inner, "processor_class": "CLIPProcessor" }).to_string())
        .unwrap();
    fs::remove_file(&from).unwrap();
    assert_eq!(inspect(dir.path()).unwrap().spec, inspect(&model_dir("tiny-clip")).unwrap().spec);
}
