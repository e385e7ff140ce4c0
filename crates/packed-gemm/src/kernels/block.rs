//! What a kernel is given: some rows, a panel of 64 columns, and what becomes of the sums.

use pulp::Simd;

use crate::geometry::{AMX_ROWS, AccTile, GROUP_WORDS, LINE_WORDS, NR};
use crate::lhs::quantize::{Quantization, RowParams, ScaleScope};
use crate::ops::epilogue::Epilogue;
use crate::ops::output::Output;
use crate::rhs::relayout::{I16Groups, PanelRelayout, narrow, unpack};

/// Tiles of a block that are few: see [`KBlock::prefetch_of_tile`].
const FEW: usize = 3;

/// A panel's columns of the product for some rows.
pub struct OutputBlock<'a> {
    /// The left-hand side from the first row on, and the whole panel.
    pub operands: Operands<'a>,
    /// Words that this thread is likely to need after this block.
    pub prefetch: &'a [u32],
    /// The first row, of which `operands` has the values, and how many there are.
    pub row: usize,
    /// Rows of the block.
    pub rows: usize,
    /// First column of the panel, and how many of its 64 there are.
    pub column: usize,
    /// Columns of the panel that the product has: 64 but for the last panel.
    pub width: usize,
    /// What follows the sums.
    pub epilogue: &'a Epilogue<'a>,
    /// The whole product, of which a block writes its own rows and columns.
    pub out: &'a Output<'a>,
}

/// Some words of every column of the panel, for all rows of a block.
pub struct KBlock<'a> {
    /// Whose sums these are.
    pub output: &'a OutputBlock<'a>,
    /// Those of these words alone.
    pub operands: Operands<'a>,
    /// Words that are needed next, to be fetched from memory meanwhile.
    pub prefetch: &'a [u32],
    /// Goes on with the sums of those before, instead of zero.
    pub accumulate: bool,
    /// Finishes the sums.
    pub is_final: bool,
}

/// What a tile of rows is computed from.
#[derive(Clone, Copy)]
pub struct Tile<'a, O> {
    /// From the tile's first row on.
    pub operands: O,
    /// Words to fetch from memory meanwhile.
    pub prefetch: &'a [u32],
    /// Goes on with the sums that are there, instead of zero.
    pub accumulate: bool,
}

/// The left-hand side of a block and its panel.
#[derive(Clone, Copy)]
pub enum Operands<'a> {
    /// f32 on both sides.
    F32(Floats<'a, f32, f32>),
    /// f32, and two bf16 in each word of the panel, the first one in the low half.
    WeightsBf16(Floats<'a, f32, u32>),
    /// Pairs of bf16 on both sides.
    Bf16(Floats<'a, u32, u32>),
    /// Four integers in a word of both sides.
    Int8(Int8<'a>),
}

/// Rows of floating point, and a panel.
#[derive(Clone, Copy)]
pub struct Floats<'a, X, W> {
    /// The first row's words, and those of the others behind it.
    pub x: &'a [X],
    /// Words from one row to the next. They lie one after the other, or as
    /// [tiles](crate::lhs::format::LhsFormat::tiled).
    pub stride: usize,
    /// Words of `x` from one word of a panel's column to the next: 2 for weights in pairs, 16 of tiles.
    pub step: usize,
    /// The weights.
    pub panel: Panel<'a, W>,
}

/// Weights of 64 columns, `[64 / width, words, width]`.
#[derive(Clone, Copy)]
pub struct Panel<'a, W> {
    /// All of them.
    pub values: &'a [W],
    /// 64 as a panel is stored, 16 where it was laid out anew.
    pub width: usize,
}

impl<'a, W> Panel<'a, W> {
    /// As it is stored.
    pub fn stored(values: &'a [W]) -> Self {
        Self { values, width: NR }
    }

    /// Words of a column.
    pub fn words(self) -> usize {
        self.values.len() / NR
    }
}

impl<'a, X: Copy, W: Copy> Floats<'a, X, W> {
    /// From a row on.
    #[inline(always)]
    pub fn at_row(self, row: usize) -> Self {
        Self { x: &self.x[row * self.stride..], ..self }
    }

    /// Some words of a panel as it is stored.
    fn part(self, from: usize, to: usize) -> Self {
        let panel = Panel::stored(&self.panel.values[from * NR..to * NR]);
        Self { x: &self.x[self.step * from..], panel, ..self }
    }
}

/// Integers of 8 bits, four in each word.
#[derive(Clone, Copy)]
pub struct Int8<'a> {
    /// The first row's words, and those of the others behind it.
    pub x: &'a [u32],
    /// Words from one row to the next.
    pub stride: usize,
    /// Words of `x` from one word of a panel's column to the next: 16 of tiles.
    pub step: usize,
    /// What the integers of `x` are.
    pub quantization: Quantization,
    /// Of each row, or of each of its groups of 64.
    pub params: &'a [RowParams],
    /// Parameters from one row to the next.
    pub params_stride: usize,
    /// What an integer of each column of the product stands for.
    pub column_scales: &'a [f32; NR],
    /// For each group of 64: `[64]` sums of its weights, negative, then `[16, 64]` words, fewer in the last.
    pub panel: &'a [u32],
    /// Words of a row.
    pub words: usize,
    /// Negative sums of each column's weights. See [`Int8::with_sums`].
    pub sums: &'a [i32; NR],
    /// The panel laid out anew.
    #[cfg_attr(not(target_arch = "x86_64"), allow(dead_code))]
    pub groups: Option<I16Groups<'a>>,
}

impl<'a> Int8<'a> {
    /// From a row on.
    #[inline(always)]
    pub fn at_row(self, row: usize) -> Self {
        Self { x: &self.x[row * self.stride..], params: &self.params[row * self.params_stride..], ..self }
    }

    /// For kernels with parameters of whole rows: summed up once for all tiles of a block.
    #[inline(always)]
    pub fn with_sums(self, sums: &'a mut [i32; NR]) -> Self {
        sums.fill(0);
        for group in self.panel.chunks((GROUP_WORDS + 1) * NR) {
            for (sum, negative) in sums.iter_mut().zip(group) {
                *sum = sum.wrapping_add(negative.cast_signed());
            }
        }
        Self { sums, ..self }
    }

    fn part(self, from: usize, to: usize) -> Self {
        let (group, groups) = (from / GROUP_WORDS, (to - from).div_ceil(GROUP_WORDS));
        let panel = &self.panel[group * (GROUP_WORDS + 1) * NR..][..(to - from + groups) * NR];
        let params = match self.quantization.scope {
            ScaleScope::Row => self.params,
            ScaleScope::Group => &self.params[group..],
        };
        Self { x: &self.x[self.step * from..], params, panel, words: to - from, ..self }
    }
}

impl<'a> Operands<'a> {
    /// Words of a column.
    pub fn words(&self) -> usize {
        match *self {
            Self::F32(Floats { panel, .. }) => panel.words(),
            Self::WeightsBf16(Floats { panel, .. }) | Self::Bf16(Floats { panel, .. }) => panel.words(),
            Self::Int8(Int8 { words, .. }) => words,
        }
    }

    /// The words `from..to`, whole tiles and groups of integers, of a panel as it is stored.
    pub fn part(self, from: usize, to: usize) -> Self {
        match self {
            Self::F32(operands) => Self::F32(operands.part(from, to)),
            Self::WeightsBf16(operands) => Self::WeightsBf16(operands.part(from, to)),
            Self::Bf16(operands) => Self::Bf16(operands.part(from, to)),
            Self::Int8(operands) => Self::Int8(operands.part(from, to)),
        }
    }

    /// The panel.
    pub fn panel(&self) -> &'a [u32] {
        match *self {
            Self::F32(Floats { panel, .. }) => bytemuck::cast_slice(panel.values),
            Self::WeightsBf16(Floats { panel, .. }) | Self::Bf16(Floats { panel, .. }) => panel.values,
            Self::Int8(Int8 { panel, .. }) => panel,
        }
    }

    /// Lays the panel out anew, in those ways that need no instructions of a kernel's own.
    pub fn laid_out(self, relayout: PanelRelayout, room: &'a mut [f32]) -> Self {
        match (relayout, self) {
            (PanelRelayout::Narrow, Self::F32(Floats { x, stride, step, panel })) => {
                let room = &mut room[..panel.values.len()];
                narrow(panel.values, room);
                Self::F32(Floats { x, stride, step, panel: Panel { values: room, width: crate::geometry::NARROW_NR } })
            }
            (PanelRelayout::Unpacked, Self::WeightsBf16(Floats { x, stride, panel, .. })) => {
                let room = &mut room[..2 * panel.values.len()];
                unpack(panel.values, room);
                Self::F32(Floats { x, stride, step: 1, panel: Panel::stored(room) })
            }
            #[cfg(target_arch = "aarch64")]
            (PanelRelayout::UnpackedNarrow, Self::WeightsBf16(Floats { x, stride, panel, .. })) => {
                let room = &mut room[..2 * panel.values.len()];
                crate::rhs::relayout::unpack_narrow(panel.values, room);
                Self::F32(Floats {
                    x,
                    stride,
                    step: 1,
                    panel: Panel { values: room, width: crate::geometry::NARROW_NR },
                })
            }
            _ => self,
        }
    }
}

/// Goes through the rows, six at a time or, where that would leave a short rest, fewer: 10 rows are 5 and 5.
///
/// A macro, as the loop has to be compiled with the features of the kernel that it calls. `$kernel` is called with the
/// number of rows as its constant.
macro_rules! tiles {
    ($block:ident, $acc:ident, $simd:expr, $finish:ident, $scales:expr, $operands:ident, $kernel:ident) => {{
        let rows = $block.output.rows;
        let tiles = rows.div_ceil(MR);
        for tile in 0..tiles {
            let (row, to) = (rows * tile / tiles, rows * (tile + 1) / tiles);
            let at = $block.place(row, 1);
            let sums = &mut $acc[at..at + to - row];
            let tile = Tile {
                operands: $operands.at_row(row),
                prefetch: $block.prefetch_of_tile($simd, tile, tiles),
                accumulate: $block.accumulate,
            };
            if $block.is_final {
                (row..to).for_each(|row| $block.output.out.prefetch(row, $block.output.column));
            }
            match sums.len() {
                1 => $kernel::<1>(tile, sums),
                2 => $kernel::<2>(tile, sums),
                3 => $kernel::<3>(tile, sums),
                4 => $kernel::<4>(tile, sums),
                5 => $kernel::<5>(tile, sums),
                _ => $kernel::<6>(tile, sums),
            }
            if $block.is_final {
                $finish($block, &mut $acc[at..at + to - row], row, $scales);
            }
        }
    }};
}

/// The loop for every kind of operands: `product!(block, sums, simd, finish, f32, weights of bf16, bf16, int8)`. `finish`
/// is [`KBlock::finish`] with the kernel's features: there is one of it, and not one in each loop.
macro_rules! product {
    ($block:ident, $acc:ident, $simd:expr, $finish:ident, $f32:ident, $weights_bf16:ident, $bf16:ident, $int8:ident) => {{
        use crate::geometry::MR;
        use crate::kernels::block::{Operands, Tile, tiles};
        let (block, acc): (&KBlock, &mut AccTile) = ($block, $acc);
        match block.operands {
            Operands::F32(operands) => tiles!(block, acc, $simd, $finish, None, operands, $f32),
            Operands::WeightsBf16(operands) => tiles!(block, acc, $simd, $finish, None, operands, $weights_bf16),
            Operands::Bf16(operands) => tiles!(block, acc, $simd, $finish, None, operands, $bf16),
            Operands::Int8(operands) => {
                tiles!(block, acc, $simd, $finish, Some(operands.column_scales), operands, $int8)
            }
        }
    }};
}

pub(crate) use {product, tiles};

impl<'a> KBlock<'a> {
    /// With the sums of the weights, where those are integers.
    pub fn with_sums(&self, sums: &'a mut [i32; NR]) -> Self {
        let operands = match self.operands {
            Operands::Int8(operands) => Operands::Int8(operands.with_sums(sums)),
            operands => operands,
        };
        KBlock { operands, ..*self }
    }
}

impl KBlock<'_> {
    /// Where the sums of rows from this one on are. Where there is no other k-block to keep them for, rows that are a multiple
    /// of `turn` apart have the same place.
    #[inline(always)]
    pub fn place(&self, row: usize, turn: usize) -> usize {
        if self.is_final && !self.accumulate { row % turn } else { row }
    }

    /// What one of so many tiles of rows is to fetch.
    #[inline(always)]
    pub fn part_of_prefetch(&self, tile: usize, tiles: usize) -> &[u32] {
        let len = self.prefetch.len();
        &self.prefetch[len * tile / tiles..len * (tile + 1) / tiles]
    }

    /// What a tile of [`MR`](crate::geometry::MR) rows is to fetch. Of few tiles that are as wide as the panel the last one
    /// fetches: the others have the panel itself to wait for.
    ///
    /// Narrower ones wait for its parts, each of them.
    #[inline(always)]
    pub fn prefetch_of_tile<S: Simd>(&self, _: S, tile: usize, tiles: usize) -> &[u32] {
        match tiles {
            1 if S::F32_LANES == LINE_WORDS => &[],
            2..=FEW if S::F32_LANES == LINE_WORDS => {
                if tile + 1 == tiles {
                    self.prefetch
                } else {
                    &[]
                }
            }
            _ => self.part_of_prefetch(tile, tiles),
        }
    }

    /// Takes the sums of some rows, `row` being the first, which are complete, to their end.
    #[inline(always)]
    pub fn finish<S: Simd, const FMA: bool>(
        &self,
        simd: S,
        sums: &mut AccTile,
        row: usize,
        scales: Option<&[f32; NR]>,
    ) {
        let output = self.output;
        let columns = output.column..output.column + output.width;
        output.epilogue.apply::<S, FMA>(simd, sums, scales, columns, output.out.rounds());
        output.out.store(output.row + row, output.column, output.width, sums);
    }
}

/// Rows of sums that a block of so many rows takes: tiles of AMX are written whole.
pub fn acc_rows(rows: usize) -> usize {
    rows.next_multiple_of(AMX_ROWS)
}
