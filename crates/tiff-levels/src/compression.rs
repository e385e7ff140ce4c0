//! Compressions, by their numbers.

use crate::directory::{Directory, tag};
use crate::error::{Error, Result, Unsupported};

/// How fax is coded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    /// Modified Huffman: each row by itself.
    Rle {
        /// Rows begin at pairs of bytes.
        pairs: bool,
    },
    /// ITU-T T.4, rows by themselves or by the row before.
    Group3 {
        /// Some rows are coded by the one before.
        two_dimensions: bool,
    },
    /// ITU-T T.6, each row by the one before.
    Group4,
}

/// How strips and tiles are coded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// Not at all: Pillow reads these itself. All others are libtiff's.
    None,
    Fax(Coding),
    Lzw,
    OldJpeg,
    Jpeg,
    Deflate,
    PackBits,
    Lzma,
    Zstandard,
}

impl Compression {
    /// By the tag, 1 without one. Numbers that are not known are refused.
    pub fn read(directory: &Directory<'_>) -> Result<Self> {
        use Coding::{Group3, Group4, Rle};
        Ok(match directory.first(tag::COMPRESSION).unwrap_or(1) {
            1 => Self::None,
            2 => Self::Fax(Rle { pairs: false }),
            3 => Self::Fax(Group3 { two_dimensions: directory.first(tag::GROUP3_OPTIONS).unwrap_or(0) & 1 == 1 }),
            4 => Self::Fax(Group4),
            5 => Self::Lzw,
            6 => Self::OldJpeg,
            7 => Self::Jpeg,
            8 | 32946 => Self::Deflate,
            32771 => Self::Fax(Rle { pairs: true }),
            32773 => Self::PackBits,
            34925 => Self::Lzma,
            50000 => Self::Zstandard,
            other => return Err(Error::Unsupported(Unsupported::Compression(other))),
        })
    }

    /// New-style or old-style.
    pub fn is_jpeg(self) -> bool {
        matches!(self, Self::Jpeg | Self::OldJpeg)
    }
}
