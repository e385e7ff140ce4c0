//! Pictures of any aspect, against transformers (`golden/make_naflex.py`).

mod common;

use std::path::Path;

use clip_core::image::{Limits, Pixels, pixel_values};
use clip_core::import::{Imported, import, inspect};
use clip_core::spec::ResizeRule;
use clip_core::{Compute, Context, Installed, Model, ModelDir, Precision};
use common::*;
use safetensors::SafeTensors;
use tempfile::TempDir;

struct Case {
    name: String,
    file: Vec<u8>,
    values: Vec<f32>,
    /// Height and width.
    size: [usize; 2],
    embedding: Vec<f32>,
}

fn cases(path: &Path) -> Vec<Case> {
    let bytes = std::fs::read(path).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let mut names: Vec<&str> = file.names().into_iter().filter_map(|name| name.strip_prefix("file.")).collect();
    names.sort();
    let case = |name: &str| {
        let (values, shape) = f32s(&file, &format!("values.{name}"));
        Case {
            name: name.to_owned(),
            file: file.tensor(&format!("file.{name}")).unwrap().data().to_vec(),
            values,
            size: [shape[1], shape[2]],
            embedding: f32s(&file, &format!("embed.{name}")).0,
        }
    };
    names.into_iter().map(case).collect()
}

fn install(source: &Path, models: &TempDir) -> Installed {
    match import(source, &ModelDir::new(models.path()), "naflex", None, &|_, _| {}).unwrap() {
        Imported::New(installed) | Imported::AlreadyThere(installed) => installed,
    }
}

/// The largest error and the smallest cosine, of a batch of pictures and of each alone.
fn compare(model: &Model, cases: &[Case]) -> (f32, f64) {
    let compute = Compute::new(2).unwrap();
    let ctx = &Context { compute: &compute, stop: &|| false };
    let files: Vec<&[u8]> = cases.iter().map(|case| &*case.file).collect();
    let all = model.embed_images(&files, &Limits::default(), ctx).unwrap();
    let mut worst = (0f32, 1f64);
    for ((case, file), batch) in cases.iter().zip(&files).zip(&all) {
        let alone = &model.embed_images(&[file], &Limits::default(), ctx).unwrap()[0];
        assert_eq!(alone.to_vec(), batch.to_vec(), "{}: its neighbours matter", case.name);
        worst.0 = worst.0.max(max_abs(alone, &case.embedding));
        worst.1 = worst.1.min(cosine(alone, &case.embedding));
    }
    worst
}

#[test]
fn pictures_of_any_aspect_are_those_of_the_reference() {
    let models = TempDir::new().unwrap();
    let installed = install(&model_dir("tiny-siglip2-naflex"), &models);
    let cases = cases(&golden_dir().join("naflex.safetensors"));
    assert_eq!(cases.len(), 8);
    for case in &cases {
        let seen = pixel_values(&case.file, &Limits::default(), &installed.spec().image).unwrap();
        assert_eq!([seen.height, seen.width], case.size, "{}", case.name);
        assert!(max_abs(&seen.values, &case.values) < 1e-6, "{}", case.name);
    }
    for (precision, most, least) in
        [(Precision::F32, 1e-5, 0.999_999), (Precision::Bf16, 0.03, 0.999), (Precision::Int8, 0.15, 0.97)]
    {
        let (error, cosine) = compare(&Model::new(installed.clone(), Some(precision)).unwrap(), &cases);
        assert!(error <= most && cosine >= least, "{precision}: max abs {error:e}, cosine {cosine}");
    }
}

#[test]
fn what_the_tower_does_not_see_is_an_error() {
    let models = TempDir::new().unwrap();
    let model = Model::new(install(&model_dir("tiny-siglip2-naflex"), &models), Some(Precision::F32)).unwrap();
    let compute = Compute::new(1).unwrap();
    let ctx = &Context { compute: &compute, stop: &|| false };
    let embed = |width: usize, height: usize, values: usize| {
        let pixels = Pixels { values: vec![0.5; values], width, height, remarks: Default::default() };
        model.embed_seen(&[pixels], ctx).map(|_| ()).map_err(|e| e.message)
    };
    assert_eq!(embed(80, 4, 960), Ok(()));
    // too many patches, half a one, none, and another number of values
    for (width, height, values) in [(84, 4, 1008), (6, 4, 72), (0, 4, 0), (8, 8, 191), (usize::MAX - 3, 4, 0)] {
        let error = embed(width, height, values).unwrap_err();
        assert!(error.contains("expected up to 20 patches of 4 x 4"), "{error}");
    }
}

/// A picture that is all patches takes as much memory as any.
#[test]
fn a_pass_has_room_for_the_longest_picture() {
    let models = TempDir::new().unwrap();
    let spec = install(&model_dir("tiny-siglip2-naflex"), &models).manifest.spec;
    assert_eq!(spec.image.resize, ResizeRule::Patches { size: 4, most: 20 });
    assert_eq!((spec.positions(), spec.most_rows()), (16, 20));
    assert_eq!(clip_core::image::most_pixels(&spec.image), 20 * 16);
    let square = inspect(&model_dir("tiny-siglip2")).unwrap().spec;
    assert_eq!(square.most_rows(), square.positions());
}

/// A full-size model, made as tests/golden/README.md says.
#[test]
fn a_full_size_model_gives_the_references_vectors() {
    let (Ok(model), Ok(golden)) = (std::env::var("PG_CLIP_FULL_MODEL"), std::env::var("PG_CLIP_NAFLEX_GOLDEN")) else {
        eprintln!("not run: PG_CLIP_FULL_MODEL and PG_CLIP_NAFLEX_GOLDEN do not name a full-size model and its golden");
        return;
    };
    let models = TempDir::new().unwrap();
    let (installed, cases) = (install(Path::new(&model), &models), cases(Path::new(&golden)));
    for (precision, least) in [(Precision::F32, 0.99999), (Precision::Bf16, 0.999), (Precision::Int8, 0.99)] {
        let (error, cosine) = compare(&Model::new(installed.clone(), Some(precision)).unwrap(), &cases);
        println!("{precision}: max abs {error:e}, cosine {cosine:.7}");
        assert!(cosine >= least);
    }
}
