//! Encoders of texts beside a model for the images, against their own libraries (`golden/make_encoders.py`).

mod common;
#[path = "common/wrong.rs"]
mod wrong;

use std::fs;
use std::path::{Path, PathBuf};

use clip_core::import::{Directories, Imported, import, inspect};
use clip_core::spec::{TextHead, TextLayers, TextPooling};
use clip_core::{Compute, Context, Error, ErrorKind, Model, ModelDir, Precision};
use common::*;
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors, serialize_to_file};
use serde_json::{Value, json};
use tempfile::TempDir;
use wrong::{copy_of, edit_json};

const ENCODERS: [&str; 2] = ["tiny-sentence", "tiny-m-clip"];

fn encoders() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/encoders")
}

/// A copy of an encoder that a test may change.
fn copy(name: &str) -> TempDir {
    copy_of(&encoders().join(name))
}

/// A whole model of the images that the encoders were made for.
fn with_images<'a>(model: &'a Path, images: &'a Path) -> Directories<'a> {
    Directories { model, images: Some(images) }
}

fn refused(dir: &Path, images: &str) -> Error {
    inspect(with_images(dir, &model_dir(images))).err().expect("it is accepted")
}

#[test]
fn texts_and_images_are_those_of_either_library() {
    let (models, images) = (TempDir::new().unwrap(), golden_model("tiny-clip"));
    let models = ModelDir::new(models.path());
    let compute = Compute::new(2).unwrap();
    let ctx = &Context { compute: &compute, stop: &|| false };
    for name in ENCODERS {
        let (encoder, tiny) = (encoders().join(name), model_dir("tiny-clip"));
        let Imported::New(installed) = import(with_images(&encoder, &tiny), &models, name, None, &|_, _| {}).unwrap()
        else {
            panic!("it was there")
        };
        assert_eq!(installed.spec().text.pooling, TextPooling::Mean);
        let bytes = fs::read(encoders().join(format!("{name}.safetensors"))).unwrap();
        let (_, metadata) = SafeTensors::read_metadata(&bytes).unwrap();
        let texts: Vec<String> = serde_json::from_str(&metadata.metadata().as_ref().unwrap()["texts"]).unwrap();
        let file = SafeTensors::deserialize(&bytes).unwrap();
        let (vectors, ids) = (f32s(&file, "text_embeds").0, i64s(&file, "ids"));
        for (precision, most, least) in
            [(Precision::F32, 1e-5, 0.999_999), (Precision::Bf16, 0.03, 0.999), (Precision::Int8, 0.15, 0.97)]
        {
            let model = Model::new(installed.clone(), Some(precision)).unwrap();
            for (i, text) in texts.iter().enumerate() {
                let expected: Vec<u32> =
                    ids.0[i * ids.1[1]..][..ids.1[1]].iter().filter(|id| **id >= 0).map(|id| *id as u32).collect();
                assert_eq!(model.tokenizer().unwrap().encode(text).unwrap(), expected, "{name} {text:?}");
                let ours = &model.embed_texts(&[text.as_str()], ctx).unwrap()[0];
                let theirs = &vectors[i * 24..][..24];
                let (error, cosine) = (max_abs(ours, theirs), cosine(ours, theirs));
                assert!(error <= most && cosine >= least, "{name} {precision} {text:?}: {error:e}, {cosine}");
            }
            let all = model.embed_texts(&texts.iter().map(String::as_str).collect::<Vec<_>>(), ctx).unwrap();
            let alone = model.embed_texts(&[texts[3].as_str()], ctx).unwrap();
            assert!(max_abs(&all[3], &alone[0]) <= 1e-6, "a batch gives the same");
        }
        let model = Model::new(installed, Some(Precision::F32)).unwrap();
        for case in &images.images {
            let ours = model.embed_pixels(std::slice::from_ref(&case.pixels), ctx).unwrap();
            assert!(max_abs(&ours[0], &case.embedding) <= 1e-5, "{name} {}", case.name);
        }
    }
}

/// As versions before 6 of sentence-transformers write it, which published encoders have.
#[test]
fn older_files_of_sentence_transformers() {
    let images = model_dir("tiny-clip");
    let newer = inspect(with_images(&encoders().join("tiny-sentence"), &images)).unwrap();
    let dir = copy("tiny-sentence");
    let pooling = |mode: &str| json!({ "word_embedding_dimension": 48, mode: true, "pooling_mode_max_tokens": false });
    edit_json(dir.path(), "1_Pooling/config.json", |c| *c = pooling("pooling_mode_mean_tokens"));
    edit_json(dir.path(), "sentence_bert_config.json", |c| {
        *c = json!({ "max_seq_length": 24, "do_lower_case": false })
    });
    edit_json(dir.path(), "modules.json", |c| {
        for (module, kind) in c.as_array_mut().unwrap().iter_mut().zip(["Transformer", "Pooling", "Dense"]) {
            module["type"] = format!("sentence_transformers.models.{kind}").into();
        }
    });
    assert_eq!(inspect(with_images(dir.path(), &images)).unwrap().spec, newer.spec);
    edit_json(dir.path(), "1_Pooling/config.json", |c| *c = pooling("pooling_mode_cls_token"));
    let first = inspect(with_images(dir.path(), &images)).unwrap().spec.text;
    assert_eq!((first.pooling, first.context_length), (TextPooling::First, 24));
    assert_eq!(first.layers, TextLayers::Bert { head: TextHead::Projection });
}

#[test]
fn what_is_wrong_is_named() {
    type Edit = fn(&mut Value);
    let cases: [(&str, &str, ErrorKind, &str, Edit); 9] = [
        ("tiny-sentence", "1_Pooling/config.json", ErrorKind::Unsupported, "max", |c| c["pooling_mode"] = "max".into()),
        ("tiny-sentence", "2_Dense/config.json", ErrorKind::Unsupported, "Tanh", |c| {
            c["activation_function"] = "torch.nn.modules.activation.Tanh".into();
        }),
        ("tiny-sentence", "2_Dense/config.json", ErrorKind::InvalidModel, "24", |c| c["out_features"] = 20.into()),
        ("tiny-sentence", "2_Dense/config.json", ErrorKind::InvalidModel, "dense.linear.bias", |c| {
            c["bias"] = true.into()
        }),
        ("tiny-sentence", "config.json", ErrorKind::Unsupported, "bert", |c| c["model_type"] = "bert".into()),
        ("tiny-sentence", "config.json", ErrorKind::Unsupported, "relu", |c| c["activation"] = "relu".into()),
        ("tiny-sentence", "modules.json", ErrorKind::InvalidModel, "../x", |c| c[1]["path"] = "../x".into()),
        ("tiny-m-clip", "config.json", ErrorKind::Unsupported, "LaBSE", |c| c["modelBase"] = "LaBSE".into()),
        ("tiny-m-clip", "config.json", ErrorKind::InvalidModel, "numDims", |c| c["numDims"] = Value::Null),
    ];
    for (name, file, kind, what, change) in cases {
        let dir = copy(name);
        edit_json(dir.path(), file, change);
        let error = refused(dir.path(), "tiny-clip");
        assert_eq!((error.kind, error.message.contains(what)), (kind, true), "{error}");
    }
    // images of another space, a whole model in the place of an encoder
    assert!(refused(&encoders().join("tiny-sentence"), "tiny-openclip").message.contains("dimensions"));
    assert!(refused(&model_dir("tiny-clip"), "tiny-clip").hint.unwrap().contains("modules.json"));
    for name in ENCODERS {
        let dir = copy(name);
        fs::remove_file(dir.path().join("tokenizer.json")).unwrap();
        assert_eq!(refused(dir.path(), "tiny-clip").kind, ErrorKind::MissingFile);
        let error = inspect(encoders().join(name).as_path()).err().expect("it has no images");
        assert!(error.hint.unwrap_or_default().contains("--images"), "{name}: {}", error.message);
    }
}

type Tensors = Vec<(String, Dtype, Vec<usize>, Vec<u8>)>;

/// A checkpoint that lacks a tensor, has one more, or one of another shape.
#[test]
fn tensors_are_compared_by_name() {
    let dir = copy("tiny-sentence");
    for (file, tensor) in [
        ("model.safetensors", "transformer.layer.1.attention.q_lin.bias"),
        ("model.safetensors", "embeddings.position_embeddings.weight"),
        ("2_Dense/model.safetensors", "linear.weight"),
    ] {
        let path = dir.path().join(file);
        let whole = fs::read(&path).unwrap();
        let with = |change: &dyn Fn(&mut Tensors, usize)| {
            let read = SafeTensors::deserialize(&whole).unwrap();
            let all = read.tensors().into_iter();
            let mut tensors: Tensors =
                all.map(|(name, t)| (name, t.dtype(), t.shape().to_vec(), t.data().to_vec())).collect();
            let at = tensors.iter().position(|(name, ..)| name == tensor).unwrap();
            change(&mut tensors, at);
            let views = tensors.iter().map(|(name, dtype, shape, data)| {
                (name.clone(), TensorView::new(*dtype, shape.clone(), data).unwrap())
            });
            serialize_to_file(views, None, &path).unwrap();
            refused(dir.path(), "tiny-clip").message
        };
        assert!(with(&|tensors, at| drop(tensors.remove(at))).contains(tensor));
        assert!(with(&|tensors, at| tensors[at].0.push('x')).contains(tensor));
        let more = ("left.over".to_owned(), Dtype::F16, vec![1], vec![0; 2]);
        assert!(with(&|tensors, _| tensors.push(more.clone())).contains("left.over"));
        assert!(with(&|tensors, at| tensors[at].2.insert(0, 1)).contains(tensor));
        fs::write(&path, whole).unwrap();
    }
}
