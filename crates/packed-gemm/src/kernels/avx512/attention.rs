//! What attention's rows are multiplied by: some rows of pairs of bf16 by a panel that is made for one head.

use std::arch::x86_64::*;

use crate::geometry::MR;
use crate::kernels::pairs::PairProduct;

/// See [`crate::attention::multiply_pairs`], which has checked that lengths fit.
///
/// # Safety
/// `x`, `panel` and `out` have what [`PairProduct`] says, and `width` is 16, 32, 48 or 64.
#[target_feature(enable = "avx512f,avx512bf16")]
pub unsafe fn multiply_pairs(product: &mut PairProduct) {
    // SAFETY: as the caller promised.
    unsafe {
        match product.width / 16 {
            1 => tiles::<1>(product),
            2 => tiles::<2>(product),
            3 => tiles::<3>(product),
            _ => tiles::<4>(product),
        }
    }
}

/// # Safety
/// As above, for so many vectors of columns.
#[inline]
#[target_feature(enable = "avx512f,avx512bf16")]
unsafe fn tiles<const VECTORS: usize>(product: &mut PairProduct) {
    let tiles = product.rows.div_ceil(MR);
    for tile in 0..tiles {
        let (from, to) = (product.rows * tile / tiles, product.rows * (tile + 1) / tiles);
        // SAFETY: as the caller promised, of rows that are there.
        unsafe {
            match to - from {
                1 => pairs_512::<1, VECTORS>(product, from),
                2 => pairs_512::<2, VECTORS>(product, from),
                3 => pairs_512::<3, VECTORS>(product, from),
                4 => pairs_512::<4, VECTORS>(product, from),
                5 => pairs_512::<5, VECTORS>(product, from),
                _ => pairs_512::<6, VECTORS>(product, from),
            }
        }
    }
}

/// # Safety
/// As above, for so many rows from `row` on.
#[inline]
#[target_feature(enable = "avx512f,avx512bf16")]
unsafe fn pairs_512<const M: usize, const VECTORS: usize>(product: &mut PairProduct, row: usize) {
    let (steps, stride, out_stride) = (product.steps, product.x_stride, product.out_stride);
    let panel = product.panel.as_ptr();
    let mut sums = [[_mm512_setzero_ps(); VECTORS]; M];
    // SAFETY: as the caller promised. The intrinsic's own type for 32 bf16 has no cast: the bits are the same.
    unsafe {
        let (x, out) = (product.x.as_ptr().add(row * stride), product.out.as_mut_ptr().add(row * out_stride));
        for s in 0..steps {
            let mut step = [_mm512_setzero_si512(); VECTORS];
            for j in 0..VECTORS {
                step[j] = _mm512_loadu_si512(panel.add((s * VECTORS + j) * 16).cast());
            }
            for i in 0..M {
                let pair =
                    std::mem::transmute::<__m512i, __m512bh>(_mm512_set1_epi32((*x.add(i * stride + s)).cast_signed()));
                for j in 0..VECTORS {
                    sums[i][j] = _mm512_dpbf16_ps(sums[i][j], pair, std::mem::transmute::<__m512i, __m512bh>(step[j]));
                }
            }
        }
        for i in 0..M {
            for j in 0..VECTORS {
                _mm512_storeu_ps(out.add(i * out_stride + 16 * j), sums[i][j]);
            }
        }
    }
}

/// 16 rows of `steps` words become columns of `out`, whose rows are `width` words apart.
///
/// # Safety
/// `rows` has 16 times `steps` words, and `out` 16 in each of `steps` rows.
#[target_feature(enable = "avx512f")]
pub unsafe fn columns_of_16(rows: &[u32], steps: usize, out: &mut [u32], width: usize) {
    for first in (0..steps).step_by(16) {
        let some = (steps - first).min(16);
        let mask = u16::MAX >> (16 - some);
        let mut a = [_mm512_setzero_si512(); 16];
        for i in 0..16 {
            // SAFETY: as the caller promised.
            a[i] = unsafe { _mm512_maskz_loadu_epi32(mask, rows.as_ptr().add(i * steps + first).cast()) };
        }
        // Of each two rows the words of pairs of columns, of each four then those of four, within 128 bits.
        let mut b = a;
        for i in (0..16).step_by(2) {
            b[i] = _mm512_unpacklo_epi32(a[i], a[i + 1]);
            b[i + 1] = _mm512_unpackhi_epi32(a[i], a[i + 1]);
        }
        for i in (0..16).step_by(4) {
            a[i] = _mm512_unpacklo_epi64(b[i], b[i + 2]);
            a[i + 1] = _mm512_unpackhi_epi64(b[i], b[i + 2]);
            a[i + 2] = _mm512_unpacklo_epi64(b[i + 1], b[i + 3]);
            a[i + 3] = _mm512_unpackhi_epi64(b[i + 1], b[i + 3]);
        }
        // `a[4 * i + j]` now has columns j, 4 + j, 8 + j and 12 + j of rows 4 * i to 4 * i + 3.
        for j in 0..4 {
            let [p, q, r, s] = [a[j], a[4 + j], a[8 + j], a[12 + j]];
            let (low, high) = (_mm512_shuffle_i32x4::<0x88>(p, q), _mm512_shuffle_i32x4::<0xdd>(p, q));
            let (low_2, high_2) = (_mm512_shuffle_i32x4::<0x88>(r, s), _mm512_shuffle_i32x4::<0xdd>(r, s));
            b[j] = _mm512_shuffle_i32x4::<0x88>(low, low_2);
            b[4 + j] = _mm512_shuffle_i32x4::<0x88>(high, high_2);
            b[8 + j] = _mm512_shuffle_i32x4::<0xdd>(low, low_2);
            b[12 + j] = _mm512_shuffle_i32x4::<0xdd>(high, high_2);
        }
        for j in 0..some {
            // SAFETY: as the caller promised.
            unsafe { _mm512_storeu_si512(out.as_mut_ptr().add((first + j) * width).cast(), b[j]) };
        }
    }
}

/// As [`columns_of_16`], with AVX2: `steps` being a multiple of 8.
///
/// # Safety
/// The same.
#[target_feature(enable = "avx2")]
pub unsafe fn columns_of_16_avx2(rows: &[u32], steps: usize, out: &mut [u32], width: usize) {
    for (first, row) in (0..steps).step_by(8).flat_map(|first| [(first, 0), (first, 8)]) {
        let mut a = [_mm256_setzero_ps(); 8];
        for i in 0..8 {
            // SAFETY: as the caller promised.
            a[i] = unsafe { _mm256_loadu_ps(rows.as_ptr().add((row + i) * steps + first).cast()) };
        }
        let mut b = a;
        for i in (0..8).step_by(2) {
            b[i] = _mm256_unpacklo_ps(a[i], a[i + 1]);
            b[i + 1] = _mm256_unpackhi_ps(a[i], a[i + 1]);
        }
        for i in (0..8).step_by(4) {
            a[i] = _mm256_shuffle_ps::<0x44>(b[i], b[i + 2]);
            a[i + 1] = _mm256_shuffle_ps::<0xee>(b[i], b[i + 2]);
            a[i + 2] = _mm256_shuffle_ps::<0x44>(b[i + 1], b[i + 3]);
            a[i + 3] = _mm256_shuffle_ps::<0xee>(b[i + 1], b[i + 3]);
        }
        // `a[4 * i + j]` now has columns j and 4 + j of rows 4 * i to 4 * i + 3.
        for j in 0..4 {
            let (low, high) =
                (_mm256_permute2f128_ps::<0x20>(a[j], a[4 + j]), _mm256_permute2f128_ps::<0x31>(a[j], a[4 + j]));
            // SAFETY: as the caller promised.
            unsafe {
                _mm256_storeu_ps(out.as_mut_ptr().add((first + j) * width + row).cast(), low);
                _mm256_storeu_ps(out.as_mut_ptr().add((first + 4 + j) * width + row).cast(), high);
            }
        }
    }
}
