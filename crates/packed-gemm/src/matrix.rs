//! The packed matrix and its product.

use std::fmt;
use std::ops::Range;

use bytes::Bytes;

use crate::epilogue::Epilogue;
use crate::format::Format;
use crate::output::{Output, Values};
use crate::pack;
use crate::rows::{Aligned, Rows};
use crate::team::Team;
use crate::tile::{COLUMNS, Int8, Job, Operands, Panel, TILE};
use crate::watch::{look, reserved};

/// Products of fewer multiplications than this stay on the calling thread: sharing work costs a few microseconds.
const SMALL: usize = 1 << 16;
/// Bytes of the left-hand side that meet all panels before the next ones do: they stay in the last cache, and the weights
/// pass seldom.
const SPAN_BYTES: usize = 1 << 21;
/// Jobs of a thread in a span at least, where there are rows enough: threads are not equally fast.
const JOBS: usize = 6;
/// Rows of a job for which fetching a panel is worth it.
const MIN_ROWS: usize = 48;

/// The number format of a packed matrix. Sums are f32 in every one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precision {
    /// 32 bits a weight: the sums differ from an exact product's by rounding alone.
    F32,
    /// Half the bytes, 8 bits of mantissa; processors that multiply it round the left-hand side to it too.
    Bf16,
    /// A quarter: integers with a scale for each column of the product (row of `W`). The left-hand side becomes integers
    /// when the product is made, with a scale for each 64 values of a row; with AMX or VNNI for each row that is written whole
    /// ([`Rows::fill`], [`Rows::copy_rows`]).
    Int8,
}

impl Precision {
    /// Bits of one weight. Scales and sums of integers come on top.
    pub fn bits(self) -> usize {
        match self {
            Self::F32 => 32,
            Self::Bf16 => 16,
            Self::Int8 => 8,
        }
    }
}

/// `W` of shape `[n, k]`, packed for products `x Wᵀ`. A clone shares the bytes.
#[derive(Clone, Debug)]
pub struct PackedMatrix {
    precision: Precision,
    /// See the crate's documentation.
    panels: Bytes,
    n: usize,
    k: usize,
}

/// Lengths that do not belong together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShapeError {
    /// Of what the length is.
    pub(crate) what: &'static str,
    /// The length that was given.
    pub(crate) given: usize,
    /// The length that would fit.
    pub(crate) expected: usize,
}

impl fmt::Display for ShapeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is {}, expected {}", self.what, self.given, self.expected)
    }
}

impl std::error::Error for ShapeError {}

impl PackedMatrix {
    /// Packs `weights`, `[n, k]` row-major, as checkpoints have them.
    ///
    /// Fails where they are not `n * k`, or there are none.
    pub fn pack(precision: Precision, weights: &[f32], n: usize, k: usize) -> Result<Self, ShapeError> {
        check("number of weights", weights.len(), n.saturating_mul(k))?;
        let words = Self::packed_bytes(precision, n, k)? / 4;
        Self::from_bytes(precision, Bytes::from_owner(Words(pack::pack(precision, weights, k, words))), n, k)
    }

    /// Takes what [`PackedMatrix::as_bytes`] gave, for example from a mapped file, without a copy.
    ///
    /// Fails where the length is not that of such a matrix, or the bytes do not start at a multiple of four.
    pub fn from_bytes(precision: Precision, panels: Bytes, n: usize, k: usize) -> Result<Self, ShapeError> {
        check("number of bytes", panels.len(), Self::packed_bytes(precision, n, k)?)?;
        check("alignment's remainder", panels.as_ptr().addr() % 4, 0)?;
        Ok(Self { precision, panels, n, k })
    }

    /// How many bytes a packed matrix has. Fails where `n` or `k` is zero, or the bytes are no number.
    pub fn packed_bytes(precision: Precision, n: usize, k: usize) -> Result<usize, ShapeError> {
        let bytes = pack::panel_words(precision, k)
            .and_then(|words| n.div_ceil(COLUMNS).checked_mul(words)?.checked_mul(4))
            .filter(|bytes| *bytes > 0 && k > 0);
        bytes.ok_or(ShapeError { what: "number of columns or rows", given: n.min(k), expected: 1 })
    }

    /// The packed words, little-endian, to be stored and mapped again.
    pub fn as_bytes(&self) -> &Bytes {
        &self.panels
    }

    /// The format of the weights.
    pub fn precision(&self) -> Precision {
        self.precision
    }

    /// Columns of the product, `n`.
    pub fn outputs(&self) -> usize {
        self.n
    }

    /// Columns of the left-hand side, `k`.
    pub fn inputs(&self) -> usize {
        self.k
    }

    /// Some columns of the product, without a copy of their weights. `None` where they do not begin and end with panels of 64,
    /// the last of which may be narrower.
    pub fn columns(&self, columns: Range<usize>) -> Option<Self> {
        let ends = columns.end == self.n || columns.end.is_multiple_of(COLUMNS);
        if columns.is_empty() || columns.end > self.n || !columns.start.is_multiple_of(COLUMNS) || !ends {
            return None;
        }
        let panel = self.panels.len() / self.n.div_ceil(COLUMNS);
        let panels = self.panels.slice(columns.start / COLUMNS * panel..columns.end.div_ceil(COLUMNS) * panel);
        Some(Self { panels, n: columns.len(), ..*self })
    }

    /// `epilogue(x Wᵀ)`, `[m, n]` row-major in f32, for `x` of `[m, k]`.
    ///
    /// The sums do not depend on `m` nor on the number of threads.
    ///
    /// Fails where `x` is of another width or precision, or the bias of another length.
    ///
    /// # Panics
    /// With [`OutOfMemory`](crate::OutOfMemory) where there is no memory for the product. A loop that
    /// [`watched`](crate::watched) ends leaves by a panic, too.
    #[allow(unsafe_code)]
    pub fn multiply(&self, team: &Team, x: &Rows, epilogue: &Epilogue) -> Result<Vec<f32>, ShapeError> {
        self.check(x, epilogue)?;
        let mut out = Vec::new();
        reserved(out.try_reserve_exact(x.len() * self.n), 4 * x.len() * self.n);
        self.run(
            team,
            x,
            epilogue,
            &Output::Values(Values::unwritten(&mut out.spare_capacity_mut()[..x.len() * self.n], self.n)),
        );
        // SAFETY: `run` has written every row of every panel, which is all.
        unsafe { out.set_len(x.len() * self.n) };
        Ok(out)
    }

    /// Adds the product to what is there, `[m, n]` row-major: a residual connection.
    ///
    /// Fails as [`PackedMatrix::multiply`] does, and where `out` has another length.
    pub fn add_to(&self, team: &Team, x: &Rows, epilogue: &Epilogue, out: &mut [f32]) -> Result<(), ShapeError> {
        self.check(x, epilogue)?;
        check("number of values to add to", out.len(), x.len() * self.n)?;
        self.run(team, x, epilogue, &Output::Values(Values::to_add_to(out, self.n)));
        Ok(())
    }

    /// Makes `epilogue(x Wᵀ)` the left-hand side of another product, whose precision and kernel `out` has. It becomes
    /// `[m, n]`.
    ///
    /// Where that rounds, activations may be off by 2e-4 of themselves before. It fails and panics as
    /// [`PackedMatrix::multiply`] does.
    pub fn multiply_to_rows(
        &self,
        team: &Team,
        x: &Rows,
        epilogue: &Epilogue,
        out: &mut Rows,
    ) -> Result<(), ShapeError> {
        self.check(x, epilogue)?;
        self.run(team, x, epilogue, &Output::Rows(out.reset(x.len(), self.n)));
        Ok(())
    }

    fn check(&self, x: &Rows, epilogue: &Epilogue) -> Result<(), ShapeError> {
        let (m, n) = (x.len(), self.n);
        check("width of the left-hand side", if m == 0 { self.k } else { x.width() }, self.k)?;
        check("bits of the left-hand side's precision", x.precision().bits(), self.precision.bits())?;
        check("length of the bias", epilogue.bias.map_or(n, <[f32]>::len), n)
    }

    fn run(&self, team: &Team, x: &Rows, epilogue: &Epilogue, out: &Output) {
        let (m, n, k) = (x.len(), self.n, self.k);
        if m == 0 {
            return;
        }
        let words: &[u32] = bytemuck::cast_slice(&self.panels);
        let panels = n.div_ceil(COLUMNS);
        let panel_words = words.len() / panels;
        let rows_of_span = (SPAN_BYTES / (4 * x.shape().stride)).max(crate::tile::ROWS);
        let spans = m.div_ceil(rows_of_span);
        // As few jobs as keep all threads at work: each has to fetch its panel.
        let threads = team.free_threads();
        let ranges = (JOBS * threads).div_ceil(panels).min(m.div_ceil(spans).div_ceil(MIN_ROWS));
        // Tiles belong to one job each.
        let unit = if x.shape().tiled { TILE } else { 1 };
        let parts = spans * ranges;
        let first_row = |part: usize| m.min((m * part / parts).next_multiple_of(unit));
        let job = |turn: usize| {
            let (span, range, panel) = (turn / (panels * ranges), turn / panels % ranges, turn % panels);
            let part = span * ranges + range;
            let (from, to) = (first_row(part), first_row(part + 1));
            let operands = self.operands(x, from, &words[panel * panel_words..][..panel_words]);
            let ahead = match turn + threads {
                next if next < panels * parts => &words[next % panels * panel_words..][..panel_words],
                _ => &[],
            };
            let column = panel * COLUMNS;
            let width = COLUMNS.min(n - column);
            Job { operands, ahead, row: from, rows: to - from, column, width, epilogue, out }.run(x.kernel());
        };
        if m * n * k < SMALL {
            look();
            (0..panels * parts).for_each(job);
        } else {
            team.for_each(panels * parts, job);
        }
    }

    /// The rows of `x` from one on and one panel, as the kernel reads them.
    fn operands<'a>(&self, x: &'a Rows, from: usize, panel: &'a [u32]) -> Operands<'a> {
        let ((words, scales), shape) = (x.from(from), x.shape());
        let stride = shape.stride;
        match self.precision {
            Precision::F32 => Operands::F32 {
                x: bytemuck::cast_slice(words),
                stride,
                panel: Panel::stored(bytemuck::cast_slice(panel)),
            },
            Precision::Bf16 if shape.format == Format::Pairs => {
                Operands::Bf16 { x: words, stride, panel: Panel::stored(panel) }
            }
            Precision::Bf16 => {
                Operands::WeightsBf16 { x: bytemuck::cast_slice(words), stride, panel: Panel::stored(panel) }
            }
            Precision::Int8 => {
                let (column_scales, panel) = panel.split_first_chunk().unwrap_or((&[0; COLUMNS], &[]));
                Operands::Int8(Int8 {
                    x: words,
                    stride,
                    levels: x.kernel().levels(),
                    scales,
                    scale_stride: shape.blocks,
                    column_scales: bytemuck::cast_ref(column_scales),
                    panel,
                    quads: shape.words(),
                    starts: &[0; COLUMNS],
                    groups: None,
                })
            }
        }
    }
}

/// Words as bytes, which so start at a multiple of four.
struct Words(Aligned<u32>);

impl AsRef<[u8]> for Words {
    fn as_ref(&self) -> &[u8] {
        bytemuck::cast_slice(&self.0)
    }
}

/// The error of a length that is not the expected one.
pub fn check(what: &'static str, given: usize, expected: usize) -> Result<(), ShapeError> {
    if given == expected { Ok(()) } else { Err(ShapeError { what, given, expected }) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::Kernel;

    #[test]
    fn some_columns() {
        let (m, k, n) = (3, 70, 200);
        let numbers = |count: usize| -> Vec<f32> { (0..count).map(|i| (i * 37 % 101) as f32 - 50.0).collect() };
        for precision in [Precision::F32, Precision::Bf16, Precision::Int8] {
            let packed = PackedMatrix::pack(precision, &numbers(n * k), n, k).unwrap();
            let mut x = Rows::new(precision, Kernel::best());
            x.copy_from(&Team::solo(), &numbers(m * k), k).unwrap();
            let product = |packed: &PackedMatrix| packed.multiply(&Team::solo(), &x, &Epilogue::default()).unwrap();
            let whole = product(&packed);
            for columns in [0..n, 0..64, 64..n, 64..192, 192..n] {
                let part = packed.columns(columns.clone()).unwrap();
                assert_eq!(part.outputs(), columns.len());
                let expected: Vec<f32> = whole.chunks(n).flat_map(|row| &row[columns.clone()]).copied().collect();
                assert_eq!(product(&part), expected, "{precision:?} {columns:?}");
            }
            for columns in [0..0, 1..64, 0..63, 64..193, 128..n + 1, 256..320] {
                assert!(packed.columns(columns.clone()).is_none(), "{columns:?}");
            }
        }
    }
}
