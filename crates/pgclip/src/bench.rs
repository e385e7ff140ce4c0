//! `bench`: milliseconds of the engine's parts on this machine.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clip_core::image::{Limits, pixel_values};
use clip_core::spec::TextPooling;
use clip_core::{Compute, Context, Error, ErrorKind, Installed, Model, ModelDir, Precision, Result};

use crate::files::read;

/// Images of a batch.
const IMAGES: [usize; 3] = [1, 8, 32];
/// Texts of a batch, and tokens of each.
const TEXTS: [(usize, usize); 3] = [(1, 10), (1, 77), (32, 10)];
/// All photos that were given, from their bytes to their embeddings.
const PHOTOS: &str = "photos";

/// Prints one line a case, `CASE PRECISION MILLISECONDS`, the time being that of the whole batch: the best of several
/// runs after a first one.
pub fn bench(
    name: &str,
    precision: Option<Precision>,
    cases: &[String],
    threads: usize,
    photos: &[PathBuf],
    models: &ModelDir,
) -> Result<()> {
    let (installed, compute) = (models.open(name)?, Compute::new(threads)?);
    let ctx = Context { compute: &compute, stop: &|| false };
    let photos: Vec<(String, Vec<u8>)> =
        photos.iter().map(|path| Ok((pixels_case(path), read(path)?))).collect::<Result<_>>()?;
    let known = known(photos.iter().map(|(case, _)| case.clone()));
    if let Some(unknown) = cases.iter().find(|case| !known.contains(case)) {
        let message = format!("unknown case \"{unknown}\": expected one of {}", known.join(", "));
        return Err(Error::new(ErrorKind::InvalidArgument, message));
    }
    let wanted = |case: &str| cases.is_empty() || cases.iter().any(|wanted| wanted == case);
    let encoded: Vec<&[u8]> = photos.iter().map(|(_, bytes)| bytes.as_slice()).collect();
    let precisions = precision.map_or_else(|| installed.precisions(), |precision| vec![precision]);
    for precision in precisions {
        let model = towers(&installed, precision, &wanted, &ctx)?;
        if !encoded.is_empty() && wanted(PHOTOS) {
            line(PHOTOS, precision.name(), best(|| model.embed_images(&encoded, &Limits::default(), &ctx))?);
        }
    }
    let model = Model::new(installed, None)?;
    if wanted("tokenize") {
        let tokenizer = model.tokenizer()?;
        line("tokenize", "-", best(|| tokenizer.encode("a photo of a small dog on a beach"))?);
    }
    for (case, bytes) in &photos {
        if wanted(case) {
            line(case, "-", best(|| pixel_values(bytes, &Limits::default(), &model.spec().image))?);
        }
    }
    Ok(())
}

fn pixels_case(photo: &Path) -> String {
    format!("pixels:{}", photo.file_name().unwrap_or_default().to_string_lossy().replace(' ', "_"))
}

fn known(photos: impl Iterator<Item = String>) -> Vec<String> {
    let images = IMAGES.map(|images| format!("image_b{images}"));
    let texts = TEXTS.map(|(texts, tokens)| format!("text_b{texts}_l{tokens}"));
    let others = ["cold_start_text", "tokenize", PHOTOS].map(str::to_owned);
    others.into_iter().chain(images).chain(texts).chain(photos).collect()
}

/// The model that was timed comes back.
fn towers(installed: &Installed, precision: Precision, wanted: &dyn Fn(&str) -> bool, ctx: &Context) -> Result<Model> {
    let start = Instant::now();
    let model = Model::new(installed.clone(), Some(precision))?;
    let precision = precision.name();
    if wanted("cold_start_text") {
        model.embed_texts(&["a cold start"], ctx)?;
        line("cold_start_text", precision, start.elapsed());
    }

    let spec = model.spec();
    let mut random = Random(1);
    let size = spec.vision.image_size;
    for images in IMAGES {
        let case = format!("image_b{images}");
        if !wanted(&case) {
            continue;
        }
        let pixels: Vec<Vec<f32>> =
            (0..images).map(|_| (0..3 * size * size).map(|_| random.number() * 4.0 - 2.0).collect()).collect();
        line(&case, precision, best(|| model.embed_pixels(&pixels, ctx))?);
    }
    let end = match spec.text.pooling {
        TextPooling::FirstEos(id) => id,
        TextPooling::LargestId => spec.text.vocab_size as u32 - 1,
        TextPooling::Last { pad } => pad,
        // any id
        TextPooling::Mean | TextPooling::First => 2,
    };
    for (texts, tokens) in TEXTS {
        let case = format!("text_b{texts}_l{tokens}");
        if !wanted(&case) {
            continue;
        }
        let tokens = tokens.min(spec.text.context_length);
        let mut text = || -> Vec<u32> {
            let ids = (1..tokens).map(|_| (random.number() * (spec.text.vocab_size - 3) as f32) as u32);
            // another end in the middle would make the text shorter
            ids.map(|id| if id == end { 0 } else { id }).chain([end]).collect()
        };
        let ids: Vec<Vec<u32>> = (0..texts).map(|_| text()).collect();
        line(&case, precision, best(|| model.embed_tokens(&ids, ctx))?);
    }
    Ok(model)
}

fn line(case: &str, precision: &str, time: Duration) {
    println!("{case} {precision} {:.4}", time.as_secs_f64() * 1e3);
}

fn best<T>(mut f: impl FnMut() -> Result<T>) -> Result<Duration> {
    f()?;
    let (mut best, mut spent, mut runs) = (Duration::MAX, Duration::ZERO, 0);
    while runs < 3 || (spent < Duration::from_millis(400) && runs < 20) {
        let start = Instant::now();
        f()?;
        let time = start.elapsed();
        (best, spent, runs) = (best.min(time), spent + time, runs + 1);
    }
    Ok(best)
}

/// Numbers in [0, 1) that are the same everywhere; good enough to keep values from being all alike.
struct Random(u64);

impl Random {
    fn number(&mut self) -> f32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 40) as f32 / (1u64 << 24) as f32
    }
}
