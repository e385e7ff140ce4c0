//! Where downloads lie until they are imported: one directory a repository, used by one process at a time.

use std::env;
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

use clip_core::{Error, ErrorKind, Result};
use nix::sys::statvfs::statvfs;

use super::hub::RemoteFile;
use crate::files::failed;

const LOCK: &str = ".pgclip.lock";

pub struct Cache {
    dir: PathBuf,
    lock: File,
}

impl Cache {
    /// Makes the directory; refuses one that another process downloads into.
    pub fn open(dir: PathBuf) -> Result<Self> {
        fs::create_dir_all(&dir).map_err(|e| failed("write", &dir, &e))?;
        let path = dir.join(LOCK);
        let lock = File::create(&path).map_err(|e| failed("write", &path, &e))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { dir, lock }),
            Err(TryLockError::WouldBlock) => Err(Error::new(
                ErrorKind::AlreadyExists,
                format!("another process downloads into \"{}\"", dir.display()),
            )),
            Err(TryLockError::Error(e)) => Err(failed("lock", &path, &e)),
        }
    }

    pub fn dir(&self) -> &Path {
        &self.dir
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// The unfinished file. Its name holds the checksum of what it becomes, so that parts of two contents never meet.
    pub fn part(&self, file: &RemoteFile) -> PathBuf {
        self.dir.join(format!("{}.{}.part", file.name, file.checksum.hex().get(..16).unwrap_or_default()))
    }

    /// Refuses a download that the file system has no room for.
    pub fn check_space(&self, files: &[RemoteFile]) -> Result<()> {
        let there = |path: &Path| fs::metadata(path).map_or(0, |m| m.len());
        let missing = |file: &RemoteFile| match there(&self.path(&file.name)) {
            0 => file.size.saturating_sub(there(&self.part(file))),
            size => file.size.saturating_sub(size),
        };
        check_space(&self.dir, files.iter().map(missing).fold(0, u64::saturating_add))
    }

    /// Removes all but `files`: what an import would read instead of them.
    pub fn keep_only(&self, files: &[RemoteFile]) -> Result<()> {
        let entries = fs::read_dir(&self.dir).map_err(|e| failed("read", &self.dir, &e))?;
        for entry in entries.flatten() {
            let name = entry.file_name();
            // Of a directory what is in it counts, which only a plan's files are.
            let top = |file: &RemoteFile| file.name.split('/').next().is_some_and(|top| name == top);
            if name != LOCK && !files.iter().any(top) {
                fs::remove_file(entry.path()).map_err(|e| failed("remove", &entry.path(), &e))?;
            }
        }
        Ok(())
    }

    /// Gives the directory up, with or without its files. Best effort: what stays does no harm.
    pub fn close(self, keep: bool) {
        if keep {
            let _ = fs::remove_file(self.dir.join(LOCK));
        } else {
            let _ = fs::remove_dir_all(&self.dir);
        }
        drop(self.lock);
    }
}

/// `--cache-dir`, or the user's directory for such files.
pub fn root(given: Option<&Path>) -> Result<PathBuf> {
    if let Some(dir) = given {
        return Ok(dir.to_owned());
    }
    let absolute = |name| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let caches = absolute("XDG_CACHE_HOME").or_else(|| Some(absolute("HOME")?.join(".cache")));
    caches.map(|dir| dir.join("pgclip")).ok_or_else(|| {
        Error::new(ErrorKind::InvalidArgument, "there is no directory to download to: HOME is not set")
            .with_hint("Name one with --cache-dir.")
    })
}

/// Refuses to write `bytes` more where there is no room for them.
pub fn check_space(dir: &Path, bytes: u64) -> Result<()> {
    // Of a directory that is still to be made, its parent counts. An unknown amount is found out by writing.
    let Some(found) = dir.ancestors().find_map(|dir| statvfs(dir).ok()) else { return Ok(()) };
    let free = found.blocks_available().saturating_mul(found.fragment_size());
    if bytes > free {
        let mb = |n: u64| n as f64 / 1e6;
        return Err(Error::limit(format!(
            "not enough space in \"{}\": {:.1} MB needed, {:.1} MB free",
            dir.display(),
            mb(bytes),
            mb(free)
        )));
    }
    Ok(())
}
