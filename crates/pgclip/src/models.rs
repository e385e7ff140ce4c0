//! `import`, `list`, `verify`.

use std::path::Path;

use clip_core::import::{self, Directories, Imported};
use clip_core::{ModelDir, Result};

use crate::files::failed;
use crate::license;
use crate::progress::Bar;

pub fn import(
    from: Directories,
    name: Option<&str>,
    license: Option<&str>,
    accept_license: bool,
    models: &ModelDir,
) -> Result<()> {
    let name = match name {
        Some(name) => name.to_owned(),
        None => directory_name(from.model)?,
    };
    for dir in [Some(from.model), from.images].into_iter().flatten() {
        license::check(&import::license(dir), false, accept_license, "in the model's README.md and LICENSE")?;
    }
    let bar = Bar::new("{msg} [{bar:40}] {pos}/{len} tensors", "importing");
    let imported = import::import(from, models, &name, license, &|done, all| bar.set(done as u64, all as u64))?;
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

/// The name that a model gets where none is given.
pub fn directory_name(source: &Path) -> Result<String> {
    let path = source.canonicalize().map_err(|e| failed("read", source, &e))?;
    let name = path.file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
    ModelDir::check_name(&name).map_err(|e| e.with_hint("Name the model with --name."))?;
    Ok(name)
}

pub fn list(models: &ModelDir) -> Result<()> {
    let names = models.names()?;
    if names.is_empty() {
        println!("no model is installed in {}", models.root().display());
        return Ok(());
    }
    println!(
        "{:<32} {:<12} {:>10} {:>11}  {:<14} fingerprint",
        "name", "architecture", "dimensions", "on disk", "license"
    );
    for name in names {
        match models.open(&name) {
            Ok(model) => println!(
                "{name:<32} {:<12} {:>10} {:>11}  {:<14} {}",
                model.spec().family(),
                model.spec().dimensions,
                megabytes(model.bytes()),
                model.manifest.license,
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

/// For files, small ones too.
pub fn size(bytes: u64) -> String {
    if bytes < 100_000 { format!("{bytes} bytes") } else { megabytes(bytes) }
}

pub fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}
