//! Products of few rows of pairs of bf16.

use std::arch::x86_64::*;

use crate::geometry::PAIR_ROWS;

/// See [`crate::pairs::multiply_pairs`], which has checked that lengths fit.
///
/// # Safety
/// `weights` are equally long, `matrix` has `width` words for each of theirs, `out` has four times `width` values, and
/// `columns` is a multiple of 16 that is not above `width`.
#[target_feature(enable = "avx512f,avx512bf16")]
pub unsafe fn multiply_pairs(
    weights: [&[u32]; PAIR_ROWS],
    matrix: &[u32],
    width: usize,
    columns: usize,
    out: &mut [f32],
) {
    let mut first = 0;
    while first < columns {
        let vectors = ((columns - first) / 16).min(4);
        // SAFETY: as the caller promised, for columns below `columns`.
        unsafe {
            let (matrix, out) = (matrix.as_ptr().add(first), out.as_mut_ptr().add(first));
            match vectors {
                1 => pairs_512::<1>(weights, matrix, width, out),
                2 => pairs_512::<2>(weights, matrix, width, out),
                3 => pairs_512::<3>(weights, matrix, width, out),
                _ => pairs_512::<4>(weights, matrix, width, out),
            }
        }
        first += 16 * vectors;
    }
}

/// # Safety
/// As above, for so many vectors of columns.
#[inline]
#[target_feature(enable = "avx512f,avx512bf16")]
unsafe fn pairs_512<const VECTORS: usize>(
    weights: [&[u32]; PAIR_ROWS],
    matrix: *const u32,
    width: usize,
    out: *mut f32,
) {
    let mut sums = [[_mm512_setzero_ps(); VECTORS]; PAIR_ROWS];
    // SAFETY: as the caller promised. The intrinsic's own type for 32 bf16 has no cast: the bits are the same.
    unsafe {
        for s in 0..weights[0].len() {
            let mut row = [std::mem::transmute::<__m512i, __m512bh>(_mm512_setzero_si512()); VECTORS];
            for j in 0..VECTORS {
                row[j] =
                    std::mem::transmute::<__m512i, __m512bh>(_mm512_loadu_si512(matrix.add(s * width + 16 * j).cast()));
            }
            for i in 0..PAIR_ROWS {
                let pair = _mm512_set1_epi32((*weights[i].as_ptr().add(s)).cast_signed());
                for j in 0..VECTORS {
                    sums[i][j] = _mm512_dpbf16_ps(sums[i][j], std::mem::transmute::<__m512i, __m512bh>(pair), row[j]);
                }
            }
        }
        for i in 0..PAIR_ROWS {
            for j in 0..VECTORS {
                _mm512_storeu_ps(out.add(i * width + 16 * j), sums[i][j]);
            }
        }
    }
}
