//! The product: which rows meet which panel when, and on which thread.
//!
//! ```text
//! for each span of rows, which stay in the last cache:
//!     for each panel, some rows of the span:          an output block, the task of a thread
//!         lay the panel out anew where that pays
//!         for each k-block, which stays in the second cache:
//!             for each tile of rows:                  sums stay in registers
//!                 multiply and add
//!         scale, bias, activation, store              what is done with the last k-block
//! ```

use crate::error::{ShapeError, check, reserved};
use crate::geometry::{AMX_ROWS, GROUP_WORDS, MR, NR};
use crate::isa::Kernel;
use crate::kernels::MicroKernel;
use crate::kernels::block::{Floats, Int8, KBlock, Operands, OutputBlock, Panel, acc_rows};
use crate::kernels::dispatch::with_kernel;
use crate::lhs::buffer::Rows;
use crate::lhs::format::Word;
use crate::ops::epilogue::Epilogue;
use crate::ops::output::{Output, Values};
use crate::pool::ThreadPool;
use crate::pool::watch::look;
use crate::precision::Precision;
use crate::rhs::matrix::PackedMatrix;
use crate::scratch::scratch;

/// Products of fewer multiplications than this stay on the calling thread: sharing work costs a few microseconds.
const SMALL: usize = 1 << 16;
/// Bytes of the left-hand side that meet all panels before the next ones do: they stay in the last cache, and the weights
/// pass seldom.
const SPAN_BYTES: usize = 1 << 21;
/// Blocks of a thread in a span at least, where there are rows enough: threads are not equally fast.
const BLOCKS: usize = 6;
/// Rows of a block for which fetching a panel is worth it.
const MIN_ROWS: usize = 48;

impl Rows {
    /// No rows yet.
    ///
    /// # Panics
    /// If this machine cannot run `kernel`.
    pub fn new(precision: Precision, kernel: Kernel) -> Self {
        assert!(kernel.runs_here(), "{kernel:?} does not run on this machine");
        Self::in_formats(precision, kernel, kernel.formats(precision), false)
    }

    /// No rows yet, for something else than a product to read: as pairs of bf16 wherever the kernel has instructions for
    /// those.
    ///
    /// # Panics
    /// If this machine cannot run `kernel`.
    pub fn to_read(precision: Precision, kernel: Kernel) -> Self {
        assert!(kernel.runs_here(), "{kernel:?} does not run on this machine");
        Self::in_formats(precision, kernel, kernel.formats(precision), true)
    }
}

impl PackedMatrix {
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
    pub fn multiply(&self, pool: &ThreadPool, x: &Rows, epilogue: &Epilogue) -> Result<Vec<f32>, ShapeError> {
        self.check(x, epilogue)?;
        let mut out = Vec::new();
        reserved(out.try_reserve_exact(x.len() * self.outputs()), 4 * x.len() * self.outputs());
        self.run(
            pool,
            x,
            epilogue,
            &Output::Values(Values::unwritten(
                &mut out.spare_capacity_mut()[..x.len() * self.outputs()],
                self.outputs(),
            )),
        );
        // SAFETY: `run` has written every row of every panel, which is all.
        unsafe { out.set_len(x.len() * self.outputs()) };
        Ok(out)
    }

    /// Adds the product to what is there, `[m, n]` row-major: a residual connection.
    ///
    /// Fails as [`PackedMatrix::multiply`] does, and where `out` has another length.
    pub fn add_to(&self, pool: &ThreadPool, x: &Rows, epilogue: &Epilogue, out: &mut [f32]) -> Result<(), ShapeError> {
        self.check(x, epilogue)?;
        check("number of values to add to", out.len(), x.len() * self.outputs())?;
        self.run(pool, x, epilogue, &Output::Values(Values::to_add_to(out, self.outputs())));
        Ok(())
    }

    /// Makes `epilogue(x Wᵀ)` the left-hand side of another product, whose precision and kernel `out` has. It becomes
    /// `[m, n]`.
    ///
    /// Where that rounds, activations may be off by 2e-4 of themselves before. Integers with a scale for each row are
    /// rows of bf16 [to read](Rows::to_read) first, as a row has to be known whole. It fails and panics as [`PackedMatrix::multiply`] does.
    pub fn multiply_to_rows(
        &self,
        pool: &ThreadPool,
        x: &Rows,
        epilogue: &Epilogue,
        out: &mut Rows,
    ) -> Result<(), ShapeError> {
        self.check(x, epilogue)?;
        out.write_parts(pool, x.len(), self.outputs(), |out| self.run(pool, x, epilogue, &Output::Rows(out)));
        Ok(())
    }

    fn check(&self, x: &Rows, epilogue: &Epilogue) -> Result<(), ShapeError> {
        let (m, n) = (x.len(), self.outputs());
        check("width of the left-hand side", if m == 0 { self.inputs() } else { x.width() }, self.inputs())?;
        check("bits of the left-hand side's precision", x.precision().bits(), self.precision().bits())?;
        check("length of the bias", epilogue.bias.map_or(n, <[f32]>::len), n)
    }

    fn run(&self, pool: &ThreadPool, x: &Rows, epilogue: &Epilogue, out: &Output) {
        let (m, n, k) = (x.len(), self.outputs(), self.inputs());
        if m == 0 {
            return;
        }
        assert!(x.kernel().runs_here(), "{:?} does not run on this machine", x.kernel());
        let words = self.words();
        let panels = n.div_ceil(NR);
        let panel_words = words.len() / panels;
        let rows_of_span = (SPAN_BYTES / (4 * x.layout().stride)).max(MR);
        let spans = m.div_ceil(rows_of_span);
        // As few blocks as keep all threads at work: each has to fetch its panel.
        let threads = pool.free_threads();
        let ranges = (BLOCKS * threads).div_ceil(panels).min(m.div_ceil(spans).div_ceil(MIN_ROWS));
        // Tiles belong to one block each.
        let unit = if x.layout().tiled { AMX_ROWS } else { 1 };
        let parts = spans * ranges;
        let first_row = |part: usize| m.min((m * part / parts).next_multiple_of(unit));
        let block = |task: usize| {
            let (span, range, panel) = (task / (panels * ranges), task / panels % ranges, task % panels);
            let part = span * ranges + range;
            let (from, to) = (first_row(part), first_row(part + 1));
            let operands = self.operands(x, from, &words[panel * panel_words..][..panel_words]);
            let prefetch = match task + threads {
                next if next < panels * parts => &words[next % panels * panel_words..][..panel_words],
                _ => &[],
            };
            let column = panel * NR;
            let width = NR.min(n - column);
            let block = OutputBlock { operands, prefetch, row: from, rows: to - from, column, width, epilogue, out };
            with_kernel!(x.kernel(), K => run_block::<K>(&block));
        };
        if m * n * k < SMALL {
            look();
            (0..panels * parts).for_each(block);
        } else {
            pool.for_each(panels * parts, block);
        }
    }

    /// The rows of `x` from one on and one panel, as the kernel reads them.
    fn operands<'a>(&self, x: &'a Rows, from: usize, panel: &'a [u32]) -> Operands<'a> {
        let (words, layout) = (x.words_from(from), x.layout());
        let stride = layout.stride;
        let step = if layout.tiled { AMX_ROWS } else { 1 };
        match layout.word {
            Word::F32 => Operands::F32(Floats {
                x: bytemuck::cast_slice(words),
                stride,
                step,
                panel: Panel::stored(bytemuck::cast_slice(panel)),
            }),
            Word::F32Even => {
                let x = bytemuck::cast_slice(words);
                Operands::WeightsBf16(Floats { x, stride, step: 2, panel: Panel::stored(panel) })
            }
            Word::Bf16x2 => Operands::Bf16(Floats { x: words, stride, step, panel: Panel::stored(panel) }),
            Word::I8x4(quantization) => {
                let (column_scales, panel) = panel.split_first_chunk().unwrap_or((&[0; NR], &[]));
                Operands::Int8(Int8 {
                    x: words,
                    stride,
                    step,
                    quantization,
                    params: x.params_from(from),
                    params_stride: layout.params,
                    column_scales: bytemuck::cast_ref(column_scales),
                    panel,
                    words: layout.words(),
                    starts: &[0; NR],
                    groups: None,
                })
            }
        }
    }
}

/// Computes a block, k-block by k-block.
#[allow(unsafe_code)]
fn run_block<K: MicroKernel>(output: &OutputBlock) {
    let relayout = K::relayout(&output.operands, output.rows);
    let words = output.operands.words();
    // Equal ones, of whole groups of integers.
    let kc = words.div_ceil(words.div_ceil(relayout.kc())).next_multiple_of(GROUP_WORDS);
    let part = |from| output.operands.part(from, words.min(from + kc));
    let mut places = vec![0; relayout.places(kc)];
    let rows = acc_rows(output.rows);
    scratch(rows * NR + relayout.words(kc), |values| {
        let (acc, room) = values.split_at_mut(rows * NR);
        let acc = acc.as_chunks_mut().0;
        for from in (0..words).step_by(kc) {
            let (accumulate, is_final) = (from > 0, from + kc >= words);
            let prefetch = if is_final { output.prefetch } else { part(from + kc).panel() };
            // Of the next block no more than its first part, and scales that may precede it.
            let prefetch = &prefetch[..prefetch.len().min(part(0).panel().len() + NR)];
            // SAFETY: `multiply` has asserted that the machine has the instructions.
            unsafe {
                let operands = K::lay_out(relayout, part(from), room, &mut places);
                K::block(&KBlock { output, operands, prefetch, accumulate, is_final }, acc);
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_columns() {
        let (m, k, n) = (3, 70, 200);
        let numbers = |count: usize| -> Vec<f32> { (0..count).map(|i| (i * 37 % 101) as f32 - 50.0).collect() };
        for precision in [Precision::F32, Precision::Bf16, Precision::Int8] {
            let packed = PackedMatrix::pack(precision, &numbers(n * k), n, k).unwrap();
            let mut x = Rows::new(precision, Kernel::best());
            x.copy_from(&ThreadPool::solo(), &numbers(m * k), k).unwrap();
            let product =
                |packed: &PackedMatrix| packed.multiply(&ThreadPool::solo(), &x, &Epilogue::default()).unwrap();
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
