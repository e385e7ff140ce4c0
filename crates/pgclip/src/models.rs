//! `import`, `inspect`, `list`, `verify`.

use std::path::Path;

use clip_core::import::{self, Imported};
use clip_core::spec::{ModelSpec, ResizeRule, TextPooling, TowerSpec};
use clip_core::{ModelDir, Result};

use crate::files::failed;
use crate::progress::Bar;

pub fn import(source: &Path, name: Option<&str>, licence: Option<&str>, models: &ModelDir) -> Result<()> {
    let name = match name {
        Some(name) => name.to_owned(),
        None => directory_name(source)?,
    };
    let bar = Bar::new("{msg} [{bar:40}] {pos}/{len} tensors", "importing");
    let imported = import::import(source, models, &name, licence, &|done, all| bar.set(done as u64, all as u64))?;
    bar.clear();
    report(&name, &imported);
    Ok(())
}

/// Says what was installed.
pub fn report(name: &str, imported: &Imported) {
    match imported {
        Imported::New(model) => println!(
            "installed {name}: {} dimensions, {} on disk, fingerprint {}",
            model.spec().dimensions,
            megabytes(model.bytes()),
            model.manifest.fingerprint
        ),
        Imported::AlreadyThere(model) => {
            println!("{name} is already installed, fingerprint {}", model.manifest.fingerprint);
        }
    }
}

fn directory_name(source: &Path) -> Result<String> {
    let path = source.canonicalize().map_err(|e| failed("read", source, &e))?;
    let name = path.file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
    ModelDir::check_name(&name).map_err(|e| e.with_hint("Name the model with --name."))?;
    Ok(name)
}

pub fn inspect(source: &Path) -> Result<()> {
    let found = import::inspect(source)?;
    let spec = &found.spec;
    println!("architecture     {}", spec.architecture.name());
    println!("dimensions       {}", spec.dimensions);
    println!("parameters       {:.1} million", found.parameters as f64 / 1e6);
    println!("licence          {}", found.licence);
    println!("softmax scale    {:.3}", spec.logit_scale.exp());
    println!("text tower       {}", tower(&spec.text.tower));
    println!("text input       {} tokens at most, vocabulary of {}", spec.text.context_length, spec.text.vocab_size);
    println!("text pooling     {}", pooling(spec));
    println!("vision tower     {}", tower(&spec.vision.tower));
    println!(
        "vision input     {0} x {0} pixels in patches of {1} x {1}",
        spec.vision.image_size, spec.vision.patch_size
    );
    println!("image resize     {}", resize(spec));
    println!("image mean, std  {:?}, {:?}", spec.image.mean, spec.image.std);
    println!(
        "would write      {} of f32, {} of bf16 and {} of int8 weights",
        megabytes(found.parameters as u64 * 4),
        megabytes(found.parameters as u64 * 2),
        megabytes(found.parameters as u64)
    );
    Ok(())
}

fn tower(t: &TowerSpec) -> String {
    format!(
        "{} layers, width {}, {} heads, MLP {}, {:?}, layer norm eps {:e}",
        t.layers, t.hidden, t.heads, t.intermediate, t.activation, t.layer_norm_eps
    )
}

fn pooling(spec: &ModelSpec) -> String {
    match spec.text.pooling {
        TextPooling::FirstEos(id) => format!("at the first end token ({id})"),
        TextPooling::LargestId => "at the largest token id".into(),
    }
}

fn resize(spec: &ModelSpec) -> String {
    let crop = spec.image.crop;
    match spec.image.resize {
        ResizeRule::ShortestEdge(side) => {
            format!("short side to {side}, {:?}, centre crop {crop} x {crop}", spec.image.filter)
        }
        ResizeRule::Squash(side) => format!("squash to {side} x {side}, {:?}", spec.image.filter),
    }
}

pub fn list(models: &ModelDir) -> Result<()> {
    let names = models.names()?;
    if names.is_empty() {
        println!("no model is installed in {}", models.root().display());
        return Ok(());
    }
    println!(
        "{:<32} {:<12} {:>10} {:>11}  {:<14} fingerprint",
        "name", "architecture", "dimensions", "on disk", "licence"
    );
    for name in names {
        match models.open(&name) {
            Ok(model) => println!(
                "{name:<32} {:<12} {:>10} {:>11}  {:<14} {}",
                model.spec().architecture.name(),
                model.spec().dimensions,
                megabytes(model.bytes()),
                model.manifest.licence,
                &model.manifest.fingerprint.get(..16).unwrap_or("")
            ),
            Err(e) => println!("{name:<32} unusable: {e}"),
        }
    }
    Ok(())
}

pub fn verify(name: &str, models: &ModelDir) -> Result<()> {
    let model = models.open(name)?;
    let bar = Bar::new("{msg} [{bar:40}] {bytes}/{total_bytes}", "verifying");
    model.verify(&|done, all| bar.set(done, all)).map_err(|e| e.context(format!("model \"{name}\"")))?;
    bar.clear();
    println!("{name} is intact, fingerprint {}", model.manifest.fingerprint);
    Ok(())
}

fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}
