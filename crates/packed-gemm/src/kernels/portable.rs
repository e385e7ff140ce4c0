//! Plain Rust, right everywhere: the kernel to read first.

use pulp::Scalar128b;

use super::MicroKernel;
use super::block::{Floats, Int8, KBlock, Tile, product};
use crate::convert::halves;
use crate::geometry::{AccTile, GROUP_WORDS, NR};
use crate::lhs::format::LhsFormat;
use crate::lhs::quantize::{Quantization, ScaleScope};
use crate::precision::Precision;

/// Bytes as the panel's sums take them: unsigned.
const QUANTIZATION: Quantization = Quantization { qmax: 255, shift: 0, bias: 0, scope: ScaleScope::Group };

/// Plain Rust.
pub struct Portable;

impl MicroKernel for Portable {
    const IS_AS_FAST_WITH_BF16: bool = false;

    fn lhs_format(precision: Precision) -> LhsFormat {
        LhsFormat::without_bf16(precision, QUANTIZATION)
    }

    #[allow(unsafe_code)]
    unsafe fn block(block: &KBlock, acc: &mut AccTile) {
        product!(block, acc, Scalar128b, finish, sums_f32, sums_weights_bf16, sums_bf16, sums_int8);
    }
}

fn finish(block: &KBlock, sums: &mut AccTile, row: usize, scales: Option<&[f32; NR]>) {
    block.finish::<_, false>(Scalar128b, sums, row, scales);
}

/// Adds up the products of one step for a part of a panel, for `M` rows. Sixteen columns at a time, which is what the
/// registers of any machine hold of six rows.
macro_rules! portable_sums {
    ($name:ident, $x:ty, $w:ty, |$row:ident, $s:ident, $weight:ident, $sum:ident| $step:expr) => {
        fn $name<const M: usize>(tile: Tile<Floats<$x, $w>>, acc: &mut AccTile) {
            let Floats { x, stride, panel, .. } = tile.operands;
            for first in (0..NR).step_by(16) {
                let mut sums = [[0.0f32; 16]; M];
                if tile.accumulate {
                    for (sums, row) in sums.iter_mut().zip(&*acc) {
                        sums.copy_from_slice(&row[first..first + 16]);
                    }
                }
                for ($s, weights) in panel.values.as_chunks::<NR>().0.iter().enumerate() {
                    for ($row, sums) in x.chunks(stride).zip(&mut sums) {
                        for ($sum, $weight) in sums.iter_mut().zip(&weights[first..first + 16]) {
                            $step;
                        }
                    }
                }
                for (row, sums) in acc.iter_mut().zip(&sums) {
                    row[first..first + 16].copy_from_slice(sums);
                }
            }
        }
    };
}

portable_sums!(sums_f32, f32, f32, |x, s, w, sum| *sum += x[s] * w);
portable_sums!(sums_weights_bf16, f32, u32, |x, s, w, sum| {
    let w = halves(*w);
    *sum += x[2 * s] * w.0;
    *sum += x[2 * s + 1] * w.1
});
portable_sums!(sums_bf16, u32, u32, |x, s, w, sum| {
    let (x, w) = (halves(x[s]), halves(*w));
    *sum += x.0 * w.0;
    *sum += x.1 * w.1
});

fn sums_int8<const M: usize>(tile: Tile<Int8>, acc: &mut AccTile) {
    let Int8 { x, stride, params, params_stride, panel, words, .. } = tile.operands;
    for (i, row) in acc[..M].iter_mut().enumerate() {
        if !tile.accumulate {
            row.fill(0.0);
        }
        let groups = x[i * stride..][..words].chunks(GROUP_WORDS).zip(&params[i * params_stride..]);
        for ((x, params), panel) in groups.zip(panel.chunks((GROUP_WORDS + 1) * NR)) {
            let (negative, words) = panel.split_at(NR);
            for (column, sum) in row.iter_mut().enumerate() {
                let mut dot = negative[column].cast_signed().wrapping_mul(params.zero);
                for (x, words) in x.iter().zip(words.as_chunks::<NR>().0) {
                    let w = words[column].to_le_bytes().map(u8::cast_signed);
                    for (x, w) in x.to_le_bytes().into_iter().zip(w) {
                        dot = dot.wrapping_add(i32::from(x) * i32::from(w));
                    }
                }
                *sum += dot as f32 * params.scale;
            }
        }
    }
}
