//! `calibrate`: a derived model whose texts and images lie around the same point.

use std::fs;
use std::path::{Path, PathBuf};

use clip_core::calibrate::{self, MeanVector, Means};
use clip_core::image::ReadOptions;
use clip_core::{Compute, Context, Error, ErrorKind, Model, ModelDir, Precision, Result};

use crate::embed::Reading;
use crate::files::{self, invalid, read};
use crate::models::report;
use crate::progress::Bar;
use crate::remarks::warn;

/// Where the means come from.
pub enum Sample<'a> {
    /// A file with one text a line, and a directory of images.
    Inputs { texts: &'a Path, images: &'a Path },
    /// A file that an earlier calibration wrote.
    Means(&'a Path),
}

const CHUNK: usize = 64;

pub fn calibrate(
    name: &str,
    new: &str,
    sample: &Sample,
    reading: &Reading,
    save: Option<&Path>,
    threads: usize,
    models: &ModelDir,
) -> Result<()> {
    ModelDir::check_name(new)?;
    let plain = models.open(name)?;
    calibrate::check_plain(&plain)?;
    let means = match sample {
        Sample::Means(path) => serde_json::from_slice(&read(path)?).map_err(|e| invalid(path, e))?,
        Sample::Inputs { texts, images } => {
            let (model, compute) = (Model::new(plain.clone(), Some(Precision::F32))?, Compute::new(threads)?);
            let ctx = Context { compute: &compute, stop: &|| false };
            Means {
                text: mean_text(&model, texts, reading.language, &ctx)?,
                image: mean_image(&model, images, &reading.images, &ctx)?,
            }
        }
    };
    if let Some(path) = save {
        let json = serde_json::to_vec(&means).map_err(|e| Error::internal(e.to_string()))?;
        files::write(path, &json)?;
    }
    report(new, &calibrate::derive(models, &plain, new, means)?);
    Ok(())
}

fn mean_text(model: &Model, path: &Path, language: Option<&str>, ctx: &Context) -> Result<Vec<f32>> {
    let text = String::from_utf8(read(path)?).map_err(|e| invalid(path, e))?;
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let (mut mean, bar) = (MeanVector::default(), Bar::new("{msg} [{bar:40}] {pos}/{len}", "texts"));
    for (i, chunk) in lines.chunks(CHUNK).enumerate() {
        model.embed_texts_in(chunk, language, ctx)?.iter().for_each(|vector| mean.add(vector));
        bar.set((i * CHUNK) as u64, lines.len() as u64);
    }
    bar.clear();
    mean.mean("texts")
}

/// Files that are no images are named and left out: directories of pictures hold other things too.
fn mean_image(model: &Model, dir: &Path, options: &ReadOptions, ctx: &Context) -> Result<Vec<f32>> {
    let files = listing(dir)?;
    let (mut mean, bar) = (MeanVector::default(), Bar::new("{msg} [{bar:40}] {pos}/{len}", "images"));
    for (i, path) in files.iter().enumerate() {
        match model.embed_images(&[&read(path)?], options, ctx) {
            Ok(vectors) => vectors.iter().for_each(|vector| {
                warn(path, vector.remarks);
                mean.add(vector);
            }),
            Err(e) if matches!(e.kind, ErrorKind::InvalidImage | ErrorKind::Unsupported | ErrorKind::LimitExceeded) => {
                eprintln!("pgclip: left out {}: {e}", path.display());
            }
            Err(e) => return Err(e),
        }
        bar.set(i as u64, files.len() as u64);
    }
    bar.clear();
    mean.mean("images")
}

/// The files of a directory, sorted, so that the sum and with it the fingerprint do not depend on the file system.
fn listing(dir: &Path) -> Result<Vec<PathBuf>> {
    let unreadable = |e| files::failed("read", dir, &e);
    let entries = fs::read_dir(dir).map_err(unreadable)?.collect::<std::result::Result<Vec<_>, _>>();
    let mut files: Vec<PathBuf> =
        entries.map_err(unreadable)?.iter().map(fs::DirEntry::path).filter(|path| path.is_file()).collect();
    files.sort();
    Ok(files)
}
