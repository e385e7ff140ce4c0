//! The packed matrix and its product.

use std::fmt;

use bytes::Bytes;
use half::bf16;
use rayon::prelude::*;

use crate::epilogue::Epilogue;
use crate::kernel::Kernel;
use crate::output::Output;
use crate::rounding;
use crate::tile::{COLUMNS, Job, Operands};

/// Products of fewer multiplications than this stay on the calling thread: handing out work costs some microseconds.
const SMALL: usize = 1 << 16;

/// The number format of a packed matrix. Sums are f32 in every one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precision {
    F32,
    /// Half the bytes, 8 bits of mantissa; the left-hand side is rounded to it too.
    Bf16,
}

/// `W` of shape `[n, k]`, packed.
#[derive(Clone, Debug)]
pub struct PackedMatrix {
    precision: Precision,
    /// `[n / 64, k, 64]` of f32, or `[n / 64, k / 2, 64, 2]` of bf16; what n and k leave over is filled up with zeros.
    panels: Bytes,
    n: usize,
    k: usize,
}

/// Lengths that do not belong together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShapeError {
    what: &'static str,
    given: usize,
    expected: usize,
}

impl fmt::Display for ShapeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is {}, expected {}", self.what, self.given, self.expected)
    }
}

impl std::error::Error for ShapeError {}

impl PackedMatrix {
    /// Packs `weights`, `[n, k]` row-major.
    pub fn pack(precision: Precision, weights: &[f32], n: usize, k: usize) -> Result<Self, ShapeError> {
        check("number of weights", weights.len(), n.saturating_mul(k))?;
        let mut words = vec![0u32; Self::packed_bytes(precision, n, k)? / 4];
        let pairs = k.div_ceil(2);
        for (row, weights) in weights.chunks_exact(k).enumerate() {
            let (panel, column) = (row / COLUMNS, row % COLUMNS);
            for (i, value) in weights.iter().enumerate() {
                match precision {
                    Precision::F32 => words[(panel * k + i) * COLUMNS + column] = value.to_bits(),
                    Precision::Bf16 => {
                        let bits = u32::from(bf16::from_f32(*value).to_bits());
                        words[(panel * pairs + i / 2) * COLUMNS + column] |= bits << (16 * (i % 2));
                    }
                }
            }
        }
        Self::from_bytes(precision, Bytes::from_owner(Words(words)), n, k)
    }

    /// Takes what [`PackedMatrix::as_bytes`] gave, for example from a mapped file, without a copy.
    ///
    /// Fails where the length is not that of such a matrix, or the bytes do not start at a multiple of four.
    pub fn from_bytes(precision: Precision, panels: Bytes, n: usize, k: usize) -> Result<Self, ShapeError> {
        check("number of bytes", panels.len(), Self::packed_bytes(precision, n, k)?)?;
        check("alignment's remainder", panels.as_ptr().addr() % 4, 0)?;
        Ok(Self { precision, panels, n, k })
    }

    /// How many bytes a packed matrix has.
    pub fn packed_bytes(precision: Precision, n: usize, k: usize) -> Result<usize, ShapeError> {
        let per_column = match precision {
            Precision::F32 => k.checked_mul(4),
            Precision::Bf16 => k.div_ceil(2).checked_mul(4),
        };
        let bytes = per_column.and_then(|bytes| n.checked_next_multiple_of(COLUMNS)?.checked_mul(bytes));
        match bytes {
            Some(bytes) if bytes > 0 => Ok(bytes),
            _ => Err(ShapeError { what: "number of columns or rows", given: n.min(k), expected: 1 }),
        }
    }

    pub fn as_bytes(&self) -> &Bytes {
        &self.panels
    }

    pub fn precision(&self) -> Precision {
        self.precision
    }

    /// Columns of the product.
    pub fn outputs(&self) -> usize {
        self.n
    }

    /// Columns of the left-hand side.
    pub fn inputs(&self) -> usize {
        self.k
    }

    /// `out = epilogue(x Wᵀ)` with `x` of `[m, k]` and `out` of `[m, n]`, on the rayon pool that the caller is in.
    ///
    /// The sums do not depend on `m` nor on the number of threads.
    ///
    /// # Panics
    /// If this machine cannot run `kernel`.
    pub fn multiply(&self, kernel: Kernel, x: &[f32], epilogue: &Epilogue, out: &mut [f32]) -> Result<(), ShapeError> {
        let (n, k, m) = (self.n, self.k, x.len() / self.k);
        check("length of the left-hand side", x.len(), m * k)?;
        check("length of the output", out.len(), m * n)?;
        check("length of the bias", epilogue.bias.map_or(n, <[f32]>::len), n)?;
        check("length of the residual", epilogue.residual.map_or(m * n, <[f32]>::len), m * n)?;
        let out = Output::new(out, n);
        let one = |(i, operands): (usize, Operands)| {
            let column = i * COLUMNS;
            let width = COLUMNS.min(n - column);
            Job { operands, column, width, epilogue, out: &out }.run(kernel);
        };
        let small = m * n * k < SMALL;
        match self.precision {
            Precision::F32 => {
                let panels = bytemuck::cast_slice::<u8, f32>(&self.panels).chunks_exact(COLUMNS * k);
                let jobs = panels.map(|panel| Operands::F32 { x, panel, k }).enumerate();
                if small { jobs.for_each(one) } else { jobs.collect::<Vec<_>>().into_par_iter().for_each(one) }
            }
            Precision::Bf16 => {
                let pairs = k.div_ceil(2);
                let x = &rounding::to_pairs(x, k, small);
                let panels = bytemuck::cast_slice::<u8, u32>(&self.panels).chunks_exact(COLUMNS * pairs);
                let jobs = panels.map(|panel| Operands::Bf16 { x, panel, pairs }).enumerate();
                if small { jobs.for_each(one) } else { jobs.collect::<Vec<_>>().into_par_iter().for_each(one) }
            }
        }
        Ok(())
    }
}

/// Words as bytes, which so start at a multiple of four.
struct Words(Vec<u32>);

impl AsRef<[u8]> for Words {
    fn as_ref(&self) -> &[u8] {
        bytemuck::cast_slice(&self.0)
    }
}

fn check(what: &'static str, given: usize, expected: usize) -> Result<(), ShapeError> {
    if given == expected { Ok(()) } else { Err(ShapeError { what, given, expected }) }
}
