//! The packed matrix and its product.

use std::fmt;

use rayon::prelude::*;

use crate::epilogue::Epilogue;
use crate::kernel::Kernel;
use crate::output::Output;
use crate::tile::{COLUMNS, Job};

/// Products of fewer multiplications than this stay on the calling thread: handing out work costs some microseconds.
const SMALL: usize = 1 << 16;

/// `W` of shape `[n, k]`, packed.
#[derive(Clone, Debug)]
pub struct PackedMatrix {
    /// `[n / 64, k, 64]`
    panels: Vec<f32>,
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
        write!(f, "{} has {} values, expected {}", self.what, self.given, self.expected)
    }
}

impl std::error::Error for ShapeError {}

impl PackedMatrix {
    /// Packs `weights`, `[n, k]` row-major.
    pub fn pack(weights: &[f32], n: usize, k: usize) -> Result<Self, ShapeError> {
        check("matrix", weights.len(), n.saturating_mul(k))?;
        check("empty matrix", usize::from(n == 0 || k == 0), 0)?;
        let mut panels = vec![0.0; n.div_ceil(COLUMNS) * COLUMNS * k];
        for (rows, panel) in weights.chunks(COLUMNS * k).zip(panels.chunks_exact_mut(COLUMNS * k)) {
            for (column, row) in rows.chunks_exact(k).enumerate() {
                for (value, step) in row.iter().zip(panel.chunks_exact_mut(COLUMNS)) {
                    step[column] = *value;
                }
            }
        }
        Ok(Self { panels, n, k })
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
        check("left-hand side", x.len(), m * k)?;
        check("output", out.len(), m * n)?;
        check("bias", epilogue.bias.map_or(n, <[f32]>::len), n)?;
        check("residual", epilogue.residual.map_or(m * n, <[f32]>::len), m * n)?;
        let out = Output::new(out, n);
        let one = |(i, panel): (usize, &[f32])| {
            let column = i * COLUMNS;
            let width = COLUMNS.min(n - column);
            Job { x, k, panel, column, width, epilogue, out: &out }.run(kernel);
        };
        if m * n * k < SMALL {
            self.panels.chunks_exact(COLUMNS * k).enumerate().for_each(one);
        } else {
            self.panels.par_chunks_exact(COLUMNS * k).enumerate().for_each(one);
        }
        Ok(())
    }
}

fn check(what: &'static str, given: usize, expected: usize) -> Result<(), ShapeError> {
    if given == expected { Ok(()) } else { Err(ShapeError { what, given, expected }) }
}
