//! Opening a model's files: regular ones alone, and never a wait.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use nix::libc;

use crate::error::{Error, Result};
use crate::tensor_file::missing_file;

/// Opens a file to read. A FIFO, a device, a socket or a directory is `MissingFile` at once: to open some of those
/// waits.
pub fn open(path: &Path) -> Result<File> {
    let open = || -> io::Result<File> {
        // A FIFO that nobody writes to would wait, whatever signals come. Regular files do not know the flag.
        let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC).open(path)?;
        if !file.metadata()?.is_file() {
            return Err(io::Error::other("is not a regular file"));
        }
        Ok(file)
    };
    open().map_err(|e| missing_file(path, &e))
}

/// Reads a whole file of at most `most` bytes.
///
/// # Errors
///
/// `MissingFile` where it cannot be read, `Corrupted` where it is larger, `OutOfMemory` where there is no memory for
/// it.
pub fn read(path: &Path, most: u64) -> Result<Vec<u8>> {
    let file = open(path)?;
    let size = file.metadata().map_err(|e| missing_file(path, &e))?.len();
    let too_large =
        |size| Error::corrupted(format!("file {} has {size} bytes, expected at most {most}", path.display()));
    if size > most {
        return Err(too_large(size));
    }
    let mut bytes = Vec::new();
    let refused = |_| Error::out_of_memory(format!("could not get {size} bytes for file {}", path.display()));
    bytes.try_reserve_exact(size as usize).map_err(refused)?;
    // It may grow meanwhile, and what a file in /proc has is not in its size.
    file.take(most + 1).read_to_end(&mut bytes).map_err(|e| missing_file(path, &e))?;
    if bytes.len() as u64 > most { Err(too_large(bytes.len() as u64)) } else { Ok(bytes) }
}
