//! Differences between neighbours of a row, undone. The samples stay in the file's byte order.

use jpeg_levels::Env;

use crate::directory::{Directory, tag};
use crate::error::{Error, Result, Unsupported, look, zeroed};
use crate::layout::Layout;
use crate::samples::{Kind, Number, Samples};

/// What has been taken from each sample before it was coded (TIFF 6.0, section 14; Technical Note 3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Predictor {
    None,
    /// Each sample is less the one `stride` samples before it.
    Horizontal {
        bytes: usize,
        stride: usize,
        little: bool,
    },
    /// Of floats: all the bytes of a row, the highest of each first, and each less the one `stride` bytes before it.
    Floats {
        stride: usize,
        little: bool,
    },
}

impl Predictor {
    /// By the tag. Combinations that libtiff does not read are refused.
    pub fn read(directory: &Directory<'_>, samples: &Samples, layout: &Layout) -> Result<Self> {
        let predictor = directory.first(tag::PREDICTOR).unwrap_or(1);
        let Samples { bits, little, .. } = *samples;
        let stride = if layout.planes { 1 } else { samples.count };
        let blocks = layout.subsampling != (1, 1);
        Ok(match (predictor, bits) {
            (1, _) => Self::None,
            (2, 8 | 16 | 32) if !blocks => Self::Horizontal { bytes: bits / 8, stride, little },
            (3, 32) if samples.kind == Kind::Wide(Number::F32) => Self::Floats { stride, little },
            _ => return Err(Error::Unsupported(Unsupported::Predictor { predictor, bits })),
        })
    }

    /// Adds up each row of `row_bytes`, in place.
    pub fn undo(self, rows: &mut [u8], row_bytes: usize, env: &Env<'_>) -> Result<()> {
        let mut copy = match self {
            Self::None => return Ok(()),
            Self::Floats { .. } => zeroed(row_bytes, env)?,
            Self::Horizontal { .. } => Vec::new(),
        };
        for (y, row) in rows.chunks_exact_mut(row_bytes).enumerate() {
            if y.is_multiple_of(16) {
                look(env)?;
            }
            match self {
                Self::None => {}
                Self::Horizontal { bytes: 1, stride, .. } => bytes(row, stride),
                Self::Horizontal { bytes: 2, stride, little } => {
                    add(row.as_chunks_mut().0, stride, |a, b| match little {
                        true => u16::from_le_bytes(a).wrapping_add(u16::from_le_bytes(b)).to_le_bytes(),
                        false => u16::from_be_bytes(a).wrapping_add(u16::from_be_bytes(b)).to_be_bytes(),
                    });
                }
                Self::Horizontal { stride, little, .. } => {
                    add(row.as_chunks_mut().0, stride, |a, b| match little {
                        true => u32::from_le_bytes(a).wrapping_add(u32::from_le_bytes(b)).to_le_bytes(),
                        false => u32::from_be_bytes(a).wrapping_add(u32::from_be_bytes(b)).to_be_bytes(),
                    });
                }
                Self::Floats { stride, little } => {
                    bytes(row, stride);
                    copy.copy_from_slice(row);
                    let count = row_bytes / 4;
                    for (i, float) in row.as_chunks_mut::<4>().0.iter_mut().enumerate() {
                        *float = std::array::from_fn(|byte| copy[(if little { 3 - byte } else { byte }) * count + i]);
                    }
                }
            }
        }
        Ok(())
    }
}

fn bytes(row: &mut [u8], stride: usize) {
    for i in stride..row.len() {
        row[i] = row[i].wrapping_add(row[i - stride]);
    }
}

fn add<const N: usize>(row: &mut [[u8; N]], stride: usize, sum: impl Fn([u8; N], [u8; N]) -> [u8; N]) {
    for i in stride..row.len() {
        row[i] = sum(row[i], row[i - stride]);
    }
}
