//! A mapped file that must stay as it was: who uses it asks before and after.
//!
//! Before, a file that somebody has written to is compared with its checksum: as long as that fits, nothing has happened. After, there
//! is no telling what was read in between, so that whatever was computed is thrown away.

use std::collections::BTreeMap;
use std::fs::{File, Metadata};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use sha2::{Digest, Sha256};

use crate::error::{Error, Result};
use crate::installed::FileEntry;
use crate::mapping::Mapping;
use crate::regular;
use crate::relevant::Check;
use crate::tensor_file::{hex, missing_file};

/// Bytes that are hashed between two looks at whether the caller wants to stop.
const HASHED_AT_ONCE: usize = 1 << 20;

/// What changes when somebody writes to a file, or to its entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    file: (u64, u64),
    size: u64,
    written: (i64, i64),
    changed: (i64, i64),
    /// Links, mode and owner: what the time of a change may be of beside content.
    entry: (u64, u32, u32, u32),
}

impl Stamp {
    fn of(meta: &Metadata) -> Self {
        Self {
            file: (meta.dev(), meta.ino()),
            size: meta.len(),
            written: (meta.mtime(), meta.mtime_nsec()),
            changed: (meta.ctime(), meta.ctime_nsec()),
            entry: (meta.nlink(), meta.mode(), meta.uid(), meta.gid()),
        }
    }

    /// Was the file only linked, removed or given other rights? A copy that sets the time back changes none of these.
    fn is_same_content(&self, now: &Self) -> bool {
        let same = Self { changed: self.changed, entry: self.entry, ..*now } == *self;
        same && (self.changed == now.changed || self.entry != now.entry)
    }
}

/// Files that were found changed in this process, and whether that was seen in their checksum, with the stamp of then.
static DISTRUSTED: Mutex<BTreeMap<PathBuf, Option<Stamp>>> = Mutex::new(BTreeMap::new());

fn distrusted() -> std::sync::MutexGuard<'static, BTreeMap<PathBuf, Option<Stamp>>> {
    DISTRUSTED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A mapped file, and what it was when it was opened or last compared with its checksum.
pub struct Watched {
    path: PathBuf,
    file: File,
    stamp: Mutex<Stamp>,
    map: Arc<Mapping>,
}

impl Watched {
    /// Watches `file`, which `map` is of. `before`: of the file, before anything of it was read.
    pub fn new(path: &Path, file: File, before: &Metadata, map: Arc<Mapping>) -> Self {
        Self { path: path.to_owned(), file, stamp: Mutex::new(Stamp::of(before)), map }
    }

    /// What the file is at this moment, by its descriptor: its name may be another's by now.
    fn now(&self) -> Result<Stamp> {
        self.file.metadata().map(|meta| Stamp::of(&meta)).map_err(|e| missing_file(&self.path, &e))
    }

    fn stamp(&self) -> Stamp {
        *self.stamp.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// After a use: is the file what it was before? `Corrupted` where it is not: what was read in between may be
    /// anything.
    pub fn check(&self) -> Result<()> {
        if self.map.is_damaged() || !self.stamp().is_same_content(&self.now()?) {
            distrusted().entry(self.path.clone()).or_default();
            return Err(changed(&self.path));
        }
        Ok(())
    }

    /// Before a use: is the file what the manifest says, as far as it was written to since it was looked at?
    ///
    /// One that was written to is hashed: `check` is asked every megabyte, and its error ends that. `Corrupted` where
    /// the checksum is another.
    pub fn trust(&self, entry: &FileEntry, check: Check) -> Result<()> {
        if self.map.is_damaged() {
            return self.check();
        }
        let (then, now) = (self.stamp(), self.now()?);
        if then == now {
            return Ok(());
        }
        if !then.is_same_content(&now) && !has_checksum(&self.file, &self.path, entry, check)? {
            distrusted().insert(self.path.clone(), Some(now));
            return Err(changed(&self.path));
        }
        // Where it has changed once more since, `check` will say so.
        *self.stamp.lock().unwrap_or_else(PoisonError::into_inner) = now;
        Ok(())
    }
}

/// Before a file is opened: one that this process has found changed is compared with its checksum, once for each
/// change.
///
/// `Corrupted` where that is another, so that one who put the original back need not restart the server.
pub fn trust_path(path: &Path, entry: &FileEntry, check: Check) -> Result<()> {
    let Some(bad) = distrusted().get(path).copied() else { return Ok(()) };
    let file = regular::open(path)?;
    let now = Stamp::of(&file.metadata().map_err(|e| missing_file(path, &e))?);
    if bad != Some(now) {
        if has_checksum(&file, path, entry, check)? {
            distrusted().remove(path);
            return Ok(());
        }
        distrusted().insert(path.to_owned(), Some(now));
    }
    Err(changed(path))
}

/// The error of a file that is not what was installed.
fn changed(path: &Path) -> Error {
    Error::corrupted(format!("file {}: was changed after its model was installed", path.display())).with_hint(
        "Files of a model are never written to in place. Remove its directory and install it again with \"pgclip import\", or put the original file there.",
    )
}

/// Is the file of the size and checksum that the manifest says?
fn has_checksum(file: &File, path: &Path, entry: &FileEntry, check: Check) -> Result<bool> {
    let size = file.metadata().map_err(|e| missing_file(path, &e))?.len();
    Ok(size == entry.bytes && sha256(file, path, &mut |_| check())? == entry.sha256)
}

/// The SHA-256 of a whole file, in hexadecimal, read from its beginning wherever the descriptor stands.
///
/// `progress` is told the bytes of each step, and its error ends the work.
pub fn sha256(file: &File, path: &Path, progress: &mut dyn FnMut(u64) -> Result<()>) -> Result<String> {
    let (mut hash, mut buffer, mut at) = (Sha256::new(), vec![0; HASHED_AT_ONCE], 0);
    loop {
        let n = match file.read_at(&mut buffer, at) {
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => 0,
            Err(e) => return Err(missing_file(path, &e)),
            Ok(0) => return Ok(hex(&hash.finalize())),
            Ok(n) => n,
        };
        hash.update(&buffer[..n]);
        at += n as u64;
        progress(n as u64)?;
    }
}
