//! Files below a directory, and no others.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::Read;
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Component, Path, PathBuf};

use clip_core::{Error, ErrorKind, Result};
use nix::fcntl::OFlag;

use crate::files;

/// A directory that `content_ref` is relative to. What a row names is a stranger's word: it leads to regular files in there alone.
pub struct Root {
    /// Without symbolic links.
    path: PathBuf,
}

/// A file in there that is open.
pub struct Found {
    file: File,
    /// Where it really is.
    pub path: PathBuf,
    pub metadata: Metadata,
}

impl Root {
    /// Fails where it is none.
    pub fn new(path: &Path) -> Result<Self> {
        let real = path.canonicalize().map_err(|e| files::failed("read", path, &e))?;
        if !real.is_dir() {
            let message = format!("\"{}\" is no directory", path.display());
            return Err(Error::new(ErrorKind::InvalidArgument, message)
                .with_hint("--root is the directory that content_ref is relative to."));
        }
        Ok(Self { path: real })
    }

    /// Opens what a row names.
    pub fn find(&self, name: &str) -> Result<Found> {
        let refused = || Error::new(ErrorKind::InvalidArgument, "the name does not lead to a file below the root");
        let relative = Path::new(name);
        let ordinary = relative.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
        if name.is_empty() || name.contains('\0') || !ordinary {
            return Err(refused());
        }
        let path = fs::canonicalize(self.path.join(relative)).map_err(|e| unreadable(&e))?;
        if !path.starts_with(&self.path) {
            return Err(refused());
        }
        // Neither a link that somebody puts there meanwhile, nor a pipe that nobody writes to.
        let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
        let file = OpenOptions::new().read(true).custom_flags(flags.bits()).open(&path).map_err(|e| unreadable(&e))?;
        let metadata = file.metadata().map_err(|e| unreadable(&e))?;
        if !metadata.is_file() {
            return Err(refused());
        }
        // A directory on the way may have become a link since: what is open says where it is, where the system tells.
        if let Ok(open) = fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd()))
            && !open.starts_with(&self.path)
        {
            return Err(refused());
        }
        Ok(Found { file, path, metadata })
    }
}

impl Found {
    /// All of it, where that is not more.
    pub fn read(self, max_bytes: usize) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let most = max_bytes as u64;
        self.file.take(most + 1).read_to_end(&mut bytes).map_err(|e| unreadable(&e))?;
        if bytes.len() as u64 > most {
            return Err(Error::limit(format!("file has more than {most} bytes")));
        }
        Ok(bytes)
    }
}

/// Without the path, which is the server's own.
fn unreadable(e: &std::io::Error) -> Error {
    Error::new(ErrorKind::MissingFile, format!("could not read the file: {}", e.kind()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn only_regular_files_below_the_root() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("root");
        fs::create_dir_all(root.join("sub")).unwrap();
        fs::create_dir(dir.path().join("root-of-another")).unwrap();
        fs::write(root.join("sub/in"), "in").unwrap();
        fs::write(dir.path().join("out"), "out").unwrap();
        fs::write(dir.path().join("root-of-another/out"), "out").unwrap();
        symlink("sub/in", root.join("inside")).unwrap();
        symlink("../out", root.join("outside")).unwrap();
        symlink("..", root.join("up")).unwrap();
        nix::unistd::mkfifo(&root.join("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        let at = Root::new(&root).unwrap();
        for name in ["sub/in", "./sub/in", "sub//in", "inside"] {
            assert_eq!(at.find(name).unwrap().read(2).unwrap(), b"in", "{name}");
        }
        let absolute = dir.path().join("out");
        for name in [
            "",
            ".",
            "sub",
            "pipe",
            "nothing",
            "../out",
            "sub/../../out",
            "sub/../sub/in",
            "outside",
            "up/out",
            "../root-of-another/out",
            "sub/in\0",
            "sub/in/",
            absolute.to_str().unwrap(),
            root.join("sub/in").to_str().unwrap(),
        ] {
            assert!(at.find(name).is_err(), "{name:?}");
        }
        assert!(at.find("sub/in").unwrap().read(1).is_err());
        assert!(Root::new(&absolute).is_err());
    }
}
