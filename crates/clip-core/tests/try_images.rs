//! A batch in which a bad image is a failure of its own: the others have the vectors that they have alone.

mod common;

use clip_core::image::Limits;
use clip_core::import::{Imported, import};
use clip_core::{Compute, Context, ErrorKind, Model, ModelDir};
use common::*;

#[test]
fn a_bad_image_sinks_no_other() {
    let dir = tempfile::TempDir::new().unwrap();
    let models = ModelDir::new(dir.path());
    let imported = import(&model_dir("tiny-clip"), &models, "tiny-clip", None, &|_, _| {}).unwrap();
    let (Imported::New(installed) | Imported::AlreadyThere(installed)) = imported;
    let model = Model::new(installed, None).unwrap();
    let compute = Compute::new(2).unwrap();
    let ctx = Context { compute: &compute, stop: &|| false };

    let picture = |name: &str| std::fs::read(root_dir().join("models/demo/pictures").join(name)).unwrap();
    let pictures = [picture("horse.png"), picture("ox.png"), picture("cat-face.png")];
    let limits = Limits { max_bytes: 1 << 20, max_pixels: 1 << 22 };
    let too_long = vec![0; 1 + (1 << 20)];
    // Bad ones first and last, a pass of nothing but bad ones, and more than one pass.
    let mut batch: Vec<&[u8]> = vec![b"no image"; 8];
    for picture in pictures.iter().cycle().take(20) {
        batch.push(picture);
        batch.push(&picture[..picture.len() / 2]);
    }
    batch.push(&too_long);

    let embedded = model.try_embed_images(&batch, &limits, &ctx).unwrap();
    assert_eq!(embedded.len(), batch.len());
    for (bytes, result) in batch.iter().zip(embedded) {
        match (pictures.iter().any(|picture| picture == bytes), result) {
            (true, Ok(embedding)) => {
                let alone = model.embed_images(&[bytes], &limits, &ctx).unwrap().remove(0);
                assert!(max_abs(&embedding, &alone) < 1e-6);
            }
            (false, Err(e)) if bytes.len() > 1 << 20 => assert_eq!(e.kind, ErrorKind::LimitExceeded),
            (false, Err(e)) => assert_eq!(e.kind, ErrorKind::InvalidImage, "{e}"),
            (_, other) => panic!("{} bytes: {other:?}", bytes.len()),
        }
    }
    assert!(model.try_embed_images(&[], &limits, &ctx).unwrap().is_empty());
}
