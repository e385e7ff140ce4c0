//! The products of attention in f32: some rows by a panel.

use pulp::{Simd, WithSimd};

use super::panels::Panels;

/// `out = x panel`, for `rows` rows of `x`, `[rows, steps]`, and a panel of `[steps, width]`.
pub struct Product<'a, const FUSED: bool> {
    /// Rows that are `x_stride` apart.
    pub x: &'a [f32],
    pub x_stride: usize,
    pub rows: usize,
    pub panel: &'a [f32],
    /// Columns of the panel, those of whole groups.
    pub width: usize,
    /// Rows that are `out_stride` apart.
    pub out: &'a mut [f32],
    pub out_stride: usize,
}

/// Groups of columns that a panel has at most: with those of [`tile_rows`] rows their sums fill the registers.
#[inline(always)]
pub fn panel_groups<S: Simd>() -> usize {
    if S::F32_LANES == 16 { 4 } else { 1 }
}

/// Rows of a tile. AVX-512 has 24 of its 32 registers for 6 × 64 sums, AVX2 12 of 16 for 6 × 16, NEON 24 of 32 for
/// them, and SSE2 12 of 16 for 3 × 16.
#[inline(always)]
pub fn tile_rows<S: Simd, const FUSED: bool>() -> usize {
    if S::F32_LANES >= 8 || FUSED { 6 } else { 2 }
}

impl<const FUSED: bool> WithSimd for Product<'_, FUSED> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        match (S::F32_LANES, self.width / Panels::GROUP) {
            (16, 1) => self.tiles::<S, 1>(simd),
            (16, 2) => self.tiles::<S, 2>(simd),
            (16, 3) => self.tiles::<S, 3>(simd),
            (16, _) => self.tiles::<S, 4>(simd),
            (8, _) => self.tiles::<S, 2>(simd),
            (4, _) => self.tiles::<S, 4>(simd),
            (2, _) => self.tiles::<S, 8>(simd),
            _ => self.tiles::<S, 16>(simd),
        }
    }
}

impl<const FUSED: bool> Product<'_, FUSED> {
    #[inline(always)]
    fn tiles<S: Simd, const VECTORS: usize>(self, simd: S) {
        let Self { x, x_stride, rows, panel, width, out, out_stride } = self;
        let panel = S::as_simd_f32s(panel).0.as_chunks::<VECTORS>().0;
        let tiles = rows.div_ceil(tile_rows::<S, FUSED>());
        for tile in 0..tiles {
            let (from, to) = (rows * tile / tiles, rows * (tile + 1) / tiles);
            let (x, out) = (&x[from * x_stride..], &mut out[from * out_stride..]);
            match to - from {
                1 => sums::<S, FUSED, 1, VECTORS>(simd, x, x_stride, panel, out, out_stride, width),
                2 => sums::<S, FUSED, 2, VECTORS>(simd, x, x_stride, panel, out, out_stride, width),
                3 => sums::<S, FUSED, 3, VECTORS>(simd, x, x_stride, panel, out, out_stride, width),
                4 => sums::<S, FUSED, 4, VECTORS>(simd, x, x_stride, panel, out, out_stride, width),
                5 => sums::<S, FUSED, 5, VECTORS>(simd, x, x_stride, panel, out, out_stride, width),
                _ => sums::<S, FUSED, 6, VECTORS>(simd, x, x_stride, panel, out, out_stride, width),
            }
        }
    }
}

/// A tile, whose sums stay in registers over all steps.
#[inline(always)]
fn sums<S: Simd, const FUSED: bool, const ROWS: usize, const VECTORS: usize>(
    simd: S,
    x: &[f32],
    x_stride: usize,
    panel: &[[S::f32s; VECTORS]],
    out: &mut [f32],
    out_stride: usize,
    width: usize,
) {
    let steps = panel.len();
    // Indices: closures and iterators may stay functions, without the vectors' instructions.
    let mut rows = [&x[..0]; ROWS];
    for i in 0..ROWS {
        rows[i] = &x[i * x_stride..][..steps];
    }
    let mut sums = [[simd.splat_f32s(0.0); VECTORS]; ROWS];
    for s in 0..steps {
        let step = panel[s];
        for i in 0..ROWS {
            let weight = simd.splat_f32s(rows[i][s]);
            for j in 0..VECTORS {
                sums[i][j] = if FUSED {
                    simd.mul_add_f32s(step[j], weight, sums[i][j])
                } else {
                    simd.add_f32s(simd.mul_f32s(step[j], weight), sums[i][j])
                };
            }
        }
    }
    for (i, sums) in sums.iter().enumerate() {
        S::as_mut_simd_f32s(&mut out[i * out_stride..][..width]).0.copy_from_slice(sums);
    }
}
