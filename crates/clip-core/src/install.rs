//! How a model gets its name: all of it or nothing.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rustix::fs::{CWD, RenameFlags, renameat_with};

use crate::error::{Error, ErrorKind, Result};
use crate::installed::{Installed, MANIFEST, Manifest, ModelDir};
use crate::tensor_file::cannot_write;

/// The outcome of an import or a calibration. Either way the model is there.
pub enum Imported {
    /// The model was not there before, or was there in an older format, or with another claim of one cone.
    New(Installed),
    /// A model of this name and this very content was there before. Nothing was changed.
    AlreadyThere(Installed),
}

/// Installs what `write` puts into the empty directory that it is given. The manifest is written here.
///
/// Everything is written under a temporary name, synced and renamed, so that no half-installed model is ever seen. A
/// name that other content holds is refused: whoever stored vectors under it relies on it.
///
/// # Errors
///
/// - `InvalidName` for the name, `AlreadyExists` where other content has it
/// - `MissingFile` where the directory cannot be written to
/// - whatever `write` fails with
pub fn install(models: &ModelDir, name: &str, write: impl FnOnce(&Path) -> Result<Manifest>) -> Result<Imported> {
    ModelDir::check_name(name)?;
    fs::create_dir_all(models.root()).map_err(|e| cannot_write(models.root(), &e))?;
    remove_left_overs(models, name);
    let temporary = models.root().join(format!(".{name}.{}.tmp", std::process::id()));
    let result = create_locked(&temporary).and_then(|_lock| {
        let manifest = prepare(&temporary, write)?;
        publish(models, name, &temporary, &manifest)
    });
    if temporary.exists() {
        // Best effort: a left-over is invisible to every reader and does no harm.
        let _ = fs::remove_dir_all(&temporary);
    }
    result
}

/// Removes what installations of this name left behind that were killed: nobody holds the lock of their directory.
fn remove_left_overs(models: &ModelDir, name: &str) {
    for entry in fs::read_dir(models.root()).into_iter().flatten().flatten() {
        let file_name = entry.file_name();
        let rest = file_name.to_str().and_then(|file| file.strip_prefix(&format!(".{name}."))?.strip_suffix(".tmp"));
        let is_one = rest.is_some_and(|pid| pid.bytes().all(|b| b.is_ascii_digit()));
        if is_one && File::open(entry.path()).is_ok_and(|dir| dir.try_lock().is_ok()) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// Makes the directory, in place of one that is there, and locks it. The lock tells others that it is in use, and
/// ends with the process at the latest.
fn create_locked(dir: &Path) -> Result<File> {
    if dir.exists() {
        fs::remove_dir_all(dir).map_err(|e| cannot_write(dir, &e))?;
    }
    let lock = fs::create_dir(dir).and_then(|()| File::open(dir)).map_err(|e| cannot_write(dir, &e))?;
    // A file system without locks does without.
    let _ = lock.try_lock();
    Ok(lock)
}

/// Fills the directory, writes the manifest, and makes all of it readable by anybody and writable by nobody.
fn prepare(dir: &Path, write: impl FnOnce(&Path) -> Result<Manifest>) -> Result<Manifest> {
    let manifest = write(dir)?;
    let json = serde_json::to_vec_pretty(&manifest).map_err(|e| Error::internal(format!("{MANIFEST}: {e}")))?;
    write_file(&dir.join(MANIFEST), &json)?;
    // Models are no secrets, and the importing user is rarely the one that the server runs as.
    let open =
        |path: &Path, mode| fs::set_permissions(path, Permissions::from_mode(mode)).map_err(|e| cannot_write(path, &e));
    // Nor are they ever written to again: sessions have them mapped.
    open(&dir.join(MANIFEST), 0o444)?;
    for file in manifest.files.keys() {
        open(&dir.join(file), 0o444)?;
    }
    open(dir, 0o755)?;
    sync_dir(dir)?;
    Ok(manifest)
}

/// Gives the finished directory its name. A model that is there is replaced where its format is older, where it has other
/// files, as older int8 weights, or where what it says of one cone differs.
fn publish(models: &ModelDir, name: &str, temporary: &Path, manifest: &Manifest) -> Result<Imported> {
    let (target, new) = (models.path(name), &manifest.fingerprint);
    if let Some(old) = models.outdated(name) {
        check_same(name, &old, new)?;
        replace(temporary, &target)?;
    } else if target.exists() {
        let there = models.open(name)?;
        check_same(name, &there.manifest.fingerprint, new)?;
        let (there_has, new_has) = (there.manifest.files.keys(), manifest.files.keys());
        if there.manifest.one_cone == manifest.one_cone && there_has.eq(new_has) {
            return Ok(Imported::AlreadyThere(there));
        }
        replace(temporary, &target)?; // of the same content, and what is said of it is new, or how it is stored
    } else {
        fs::rename(temporary, &target).map_err(|e| cannot_write(&target, &e))?;
    }
    sync_dir(models.root())?;
    models.open(name).map(Imported::New)
}

/// Is the content that has the name the new one? `AlreadyExists` where it is not.
fn check_same(name: &str, old: &str, new: &str) -> Result<()> {
    if old == new {
        return Ok(());
    }
    let what = format!("model \"{name}\" exists with other content: expected fingerprint {old}, this one is {new}");
    Err(Error::new(ErrorKind::AlreadyExists, what).with_hint(
        "An installed name never changes its content, because stored vectors rely on it. Choose another name.",
    ))
}

/// Puts a directory in the place of an installed one. Whoever has mapped the old files keeps them.
fn replace(temporary: &Path, target: &Path) -> Result<()> {
    // The old one is then removed as what is left of the installation.
    let exchanged = renameat_with(CWD, temporary, CWD, target, RenameFlags::EXCHANGE);
    // A file system that cannot do that has no model for a moment, instead of one that nobody reads.
    let replaced = exchanged.or_else(|_| fs::remove_dir_all(target).and_then(|()| fs::rename(temporary, target)));
    replaced.map_err(|e| cannot_write(target, &e))
}

/// Writes a whole file and waits until it is on disk. `MissingFile` where that fails.
pub fn write_file(path: &Path, bytes: &[u8]) -> Result<()> {
    fs::write(path, bytes).and_then(|()| File::open(path)?.sync_all()).map_err(|e| cannot_write(path, &e))
}

/// Waits until the names in a directory are on disk, which the sync of a file says nothing of.
fn sync_dir(dir: &Path) -> Result<()> {
    File::open(dir).and_then(|d| d.sync_all()).map_err(|e| cannot_write(dir, &e))
}
