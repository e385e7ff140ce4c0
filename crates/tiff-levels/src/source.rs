//! What a file tells of its picture, all together.

use std::cell::Cell;

use crate::compression::Compression;
use crate::directory::{Directory, tag};
use crate::error::{Error, Result, Unsupported};
use crate::layout::{Chunk, Layout};
use crate::samples::{Kind, Samples};
use crate::ycbcr::Tables;

/// How often a file's bytes may be decoded, all chunks taken together, beyond the first megabytes.
const MOST_TIMES: usize = 16;
/// Coded bytes that any file may have decoded.
const ALLOWED: usize = 64 << 20;
/// A chunk may be so many times wider than the picture, or than this.
const MOST_WIDER: usize = 16;
const WIDE: usize = 4096;

/// What of a picture may be missing, and whether something is.
pub struct Gaps {
    /// Whoever asks takes a picture with gaps.
    pub allowed: bool,
    /// There is a gap.
    pub met: Cell<bool>,
}

impl Gaps {
    /// No gap yet.
    pub fn allowed(allowed: bool) -> Self {
        Self { allowed, met: Cell::new(false) }
    }
}

/// All that the header tells, with the file.
#[derive(Clone, Copy)]
pub struct Source<'s, 'a> {
    /// The tags.
    pub directory: &'s Directory<'a>,
    /// How chunks are coded.
    pub compression: Compression,
    /// What pixels are made of.
    pub samples: &'s Samples,
    /// Where they lie.
    pub layout: &'s Layout,
    /// What may be missing.
    pub gaps: &'s Gaps,
}

impl<'a> Source<'_, 'a> {
    /// Planes that have to be decoded.
    pub fn planes(&self) -> usize {
        if self.layout.planes { self.samples.kind.used() } else { 1 }
    }

    /// Bytes of a row of a chunk, and of the rows of the largest one that are in the picture.
    pub fn sizes(&self) -> Result<(usize, usize)> {
        let Layout { chunk_width, chunk_height, width, height, .. } = *self.layout;
        const HUGE: Error = Error::TooMuch("its strips or tiles are much larger than the picture");
        if chunk_width > width.max(WIDE).saturating_mul(MOST_WIDER) {
            return Err(HUGE);
        }
        let row = self.layout.row_bytes(self.samples).ok_or(HUGE)?;
        let most = self.layout.bytes(self.samples, chunk_height.min(height)).ok_or(HUGE)?;
        Ok((row, most))
    }

    /// How chroma becomes colours.
    pub fn chroma(&self) -> Result<Option<Tables>> {
        if self.samples.kind != Kind::YCbCr {
            return Ok(None);
        }
        if self.layout.planes && self.declared_subsampling() != (1, 1) {
            return Err(Error::Unsupported(Unsupported::SubsampledPlanes));
        }
        Ok(Some(match self.compression {
            Compression::None if self.layout.subsampling == (1, 1) => Tables::pillow(),
            Compression::Jpeg if !self.layout.planes => Tables::jpeg(),
            _ => Tables::libtiff(self.directory)?,
        }))
    }

    /// JPEG data have their own, but not those of planes.
    fn declared_subsampling(&self) -> (usize, usize) {
        match self.directory.values(tag::SUBSAMPLING, 2)[..] {
            [across, down] if self.compression.is_jpeg() => (across, down),
            _ => self.layout.subsampling,
        }
    }

    /// What comes of a chunk, which may be damaged where gaps are allowed.
    pub fn or_none<T>(&self, result: Result<T>) -> Result<Option<T>> {
        match result {
            Err(e) if self.gaps.allowed && e.is_of_data() => {
                self.gaps.met.set(true);
                Ok(None)
            }
            other => other.map(Some),
        }
    }

    /// Takes a damaged chunk for a gap where those are allowed.
    pub fn or_gap(&self, result: Result<()>) -> Result<()> {
        self.or_none(result).map(drop)
    }

    /// A chunk's data, those of one plane.
    pub fn coded(&self, chunk: &Chunk, plane: usize) -> Result<&'a [u8]> {
        let (offset, length) = self.layout.place(self.directory, chunk, plane)?;
        let rest = self.directory.data.get(offset..).filter(|rest| !rest.is_empty()).ok_or(Error::Truncated)?;
        // Where the length is wrong, the data tell.
        Ok(&rest[..length.min(rest.len())])
    }
}

/// Coded bytes that may still be decoded.
pub struct Work(usize);

impl Work {
    /// As many bytes as sixteen times the file's, and 64 MiB.
    pub fn new(directory: &Directory<'_>) -> Self {
        Self(directory.data.len().saturating_mul(MOST_TIMES).saturating_add(ALLOWED))
    }

    /// Takes some of them. [`Error::TooMuch`] where there are no more.
    pub fn spend(&mut self, bytes: usize) -> Result<()> {
        self.0 = self.0.checked_sub(bytes).ok_or(Error::TooMuch("its strips or tiles lie over each other"))?;
        Ok(())
    }
}
