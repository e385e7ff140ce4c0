//! Times bytes to pixel values with CLIP's preprocessing, without a model: see `bench/pixels.py`.
//!
//! ```text
//! pixels THREADS IMAGES FILE...
//! ```
//!
//! Prints one line a file: the milliseconds of IMAGES copies of it on THREADS threads, the best of several runs.

use std::error::Error;
use std::time::{Duration, Instant};

use clip_core::image::ReadOptions;
use clip_core::pixels::decode_all;
use clip_core::spec::{AlphaRule, Centre, ImageSpec, Orientation, ResizeFilter, ResizeRule};
use clip_core::{Compute, Context};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [threads, images, files @ ..] = &arguments[..] else {
        return Err("usage: pixels THREADS IMAGES FILE...".into());
    };
    let (compute, images): (_, usize) = (Compute::new(threads.parse()?)?, images.parse()?);
    let ctx = Context { compute: &compute, stop: &|| false };
    let spec = ImageSpec {
        centre: Centre::Floor,
        orientation: Orientation::Exif,
        alpha: AlphaRule::Drop,
        resize: ResizeRule::ShortestEdge(224),
        filter: ResizeFilter::Bicubic,
        crop: 224,
        rescale: 1.0 / 255.0,
        mean: [0.48145466, 0.4578275, 0.40821073],
        std: [0.26862954, 0.261_302_6, 0.275_777_1],
    };
    for file in files {
        let bytes = std::fs::read(file)?;
        let copies = vec![&*bytes; images];
        let (mut best, start) = (Duration::MAX, Instant::now());
        while start.elapsed() < Duration::from_millis(500) {
            let run = Instant::now();
            let decoded = decode_all(&copies, usize::MAX, &ReadOptions::default(), &spec, &ctx)?;
            decoded.into_iter().collect::<Result<Vec<_>, _>>()?;
            best = best.min(run.elapsed());
        }
        println!("{file} {:.3}", best.as_secs_f64() * 1e3);
    }
    Ok(())
}
