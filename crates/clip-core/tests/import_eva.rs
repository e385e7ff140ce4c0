//! timm's `Eva` in open_clip's layout: what an import takes, and what it refuses by name.

mod common;
#[path = "common/wrong.rs"]
mod wrong;

use clip_core::import::{Inspection, import, inspect};
use clip_core::spec::{Rope, RopeOrder, VisionLayers};
use clip_core::{ErrorKind, ModelDir, Precision, Result};
use common::*;
use serde_json::Value;
use tempfile::TempDir;
use wrong::{Edit, copy, edit_json};

/// What an import makes of a golden model whose `model_cfg` was edited.
fn inspected(name: &str, edit: Edit) -> Result<Inspection> {
    let dir = copy(name);
    edit_json(dir.path(), "open_clip_config.json", |config| edit(&mut config["model_cfg"]));
    inspect(dir.path())
}

/// At full width EVA-02 loses more by int8 than a default may.
#[test]
fn int8_is_for_the_asking_alone() {
    let models = TempDir::new().unwrap();
    let dir = ModelDir::new(models.path());
    for (name, is_default) in
        [("tiny-eva02", false), ("tiny-jina-clip-v2", false), ("tiny-mobileclip2-s3", false), ("tiny-pe-core", true)]
    {
        import(&*model_dir(name), &dir, name, None, &|_, _| {}).unwrap();
        let model = dir.open(name).unwrap();
        let taken = model.precision(None).unwrap();
        assert_eq!(taken == Precision::Int8, is_default && Precision::auto() == Precision::Int8, "{name}");
        assert_eq!(model.precision(Some(Precision::Int8)).unwrap(), Precision::Int8);
    }
}

#[test]
fn positions_of_a_perception_encoder() {
    for (name, class, reference, offset) in [("tiny-pe-core", true, 4, 1), ("tiny-pe-core-g-bin", false, 5, 0)] {
        let spec = inspected(name, |_| {}).unwrap().spec;
        let VisionLayers::PeCore { class_token, rope, .. } = spec.vision.layers else { panic!("{name}") };
        assert_eq!((class_token, rope), (class, Rope { reference, offset, order: RopeOrder::ColumnsFirst }));
        assert_eq!((spec.family(), spec.positions()), ("pe_core", reference * reference + usize::from(class)));
    }
}

#[test]
fn layers_of_eva_clip() {
    let rope = Rope { reference: 16, offset: 0, order: RopeOrder::RowsFirst };
    for (name, layers) in [
        ("tiny-eva01-bin", VisionLayers::Eva01),
        ("tiny-eva02", VisionLayers::Eva02 { rope }),
        ("tiny-eva02-e", VisionLayers::Eva02Enormous),
    ] {
        let spec = inspected(name, |_| {}).unwrap().spec;
        assert_eq!((spec.vision.layers, spec.family()), (layers, "eva"));
    }
    // A gated MLP, in the place of which the checkpoint has another.
    let error = inspected("tiny-eva02", |c| c["vision_cfg"]["timm_model_name"] = "eva_golden_patch5_20".into());
    assert_eq!(error.err().unwrap().kind, ErrorKind::InvalidModel);
}

#[test]
fn what_open_clips_config_says_of_timms_eva_and_we_do_not_know() {
    let cases: [(&str, ErrorKind, Edit); 7] = [
        ("vit_pe_lang_large_patch14_448", ErrorKind::Unsupported, |c| {
            c["vision_cfg"]["timm_model_name"] = "vit_pe_lang_large_patch14_448".into();
        }),
        ("timm_pool = \"avg\"", ErrorKind::Unsupported, |c| c["vision_cfg"]["timm_pool"] = Value::Null),
        ("timm_pool = \"token\"", ErrorKind::Unsupported, |c| c["vision_cfg"]["timm_pool"] = "token".into()),
        ("timm_proj = \"linear\"", ErrorKind::Unsupported, |c| {
            c["vision_cfg"].as_object_mut().unwrap().remove("timm_proj");
        }),
        ("timm_proj = \"none\"", ErrorKind::Unsupported, |c| c["vision_cfg"]["timm_proj"] = "none".into()),
        ("image_size is 224", ErrorKind::InvalidModel, |c| c["vision_cfg"]["image_size"] = Value::Null),
        // another tower of the same image: no class token, and other sizes
        ("visual.trunk", ErrorKind::InvalidModel, |c| {
            c["vision_cfg"]["timm_model_name"] = "vit_pe_core_golden_patch4_20".into();
        }),
    ];
    for (names, kind, edit) in cases {
        let error = inspected("tiny-pe-core", edit).err().expect("the import would succeed");
        assert!(error.kind == kind && error.message.contains(names), "\"{error}\" does not name \"{names}\"");
    }
}
