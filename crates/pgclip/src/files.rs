//! Files named on the command line.

use std::fs;
use std::path::Path;

use clip_core::{Error, ErrorKind, Result};

pub fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).map_err(|e| failed("read", path, &e))
}

pub fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    fs::write(path, bytes).map_err(|e| failed("write", path, &e))
}

pub fn failed(what: &str, path: &Path, e: &std::io::Error) -> Error {
    Error::new(ErrorKind::MissingFile, format!("could not {what} \"{}\": {e}", path.display()))
}

/// For a file that can be read and makes no sense.
pub fn invalid(path: &Path, what: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::InvalidArgument, format!("file \"{}\": {what}", path.display()))
}
