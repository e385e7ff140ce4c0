//! The inverse transform of two blocks at a time, one in each half of the vectors.

use pulp::x86::V3;
use pulp::{NullaryFnOnce, cast};
use std::arch::x86_64::__m256i;

use crate::block::BLOCK;
use crate::idct::*;

/// Blocks side by side, into eight rows of samples.
pub struct Run<'a> {
    pub simd: V3,
    pub blocks: &'a [[u8; BLOCK]],
    pub factors: &'a Factors,
    pub out: &'a mut [u8],
    /// Samples from one row to the next.
    pub stride: usize,
}

impl NullaryFnOnce for Run<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Self { simd, blocks, factors, out, stride } = self;
        let mut doubled = [cast([0u64; 4]); 8];
        for (both, row) in doubled.iter_mut().zip(factors.as_chunks::<8>().0) {
            *both = cast([*row; 2]);
        }
        let (pairs, rest) = blocks.as_chunks::<2>();
        for (x, [a, b]) in pairs.iter().enumerate() {
            let samples = match (flat(a, factors), flat(b, factors)) {
                (Some(a), Some(b)) => [[u64::from_ne_bytes([a; 8]), u64::from_ne_bytes([b; 8])]; 8],
                _ => transform(simd, a, b, &doubled),
            };
            put(out, stride, 16 * x, samples);
        }
        if let [last] = rest {
            let samples = transform(simd, last, last, &doubled);
            for (line, samples) in out.chunks_mut(stride).zip(samples) {
                if let Some(line) = line.get_mut(16 * pairs.len()..16 * pairs.len() + 8) {
                    line.copy_from_slice(&samples[0].to_ne_bytes());
                }
            }
        }
    }
}

#[inline(always)]
fn put(out: &mut [u8], stride: usize, x: usize, samples: [[u64; 2]; 8]) {
    for (line, samples) in out.chunks_mut(stride).zip(samples) {
        if let Some(line) = line.get_mut(x..x + 16) {
            line.copy_from_slice(&cast::<[u64; 2], [u8; 16]>(samples));
        }
    }
}

/// Each row of samples of both blocks.
#[inline(always)]
fn transform(simd: V3, a: &[u8; BLOCK], b: &[u8; BLOCK], factors: &[__m256i; 8]) -> [[u64; 2]; 8] {
    let avx2 = simd.avx2;
    let (a, b) = (a.as_chunks::<16>().0, b.as_chunks::<16>().0);
    let mut rows = [cast([0u64; 4]); 8];
    for i in 0..8 {
        rows[i] = cast([a[i], b[i]]);
    }
    // Which of the blocks have nothing below their first row.
    let mut any = rows[1];
    for row in &rows[2..] {
        any = avx2._mm256_or_si256(any, *row);
    }
    let [a0, a1, b0, b1]: [u64; 4] = cast(any);
    let (a, b) = (a0 | a1 == 0, b0 | b1 == 0);
    for (row, factor) in rows.iter_mut().zip(factors) {
        *row = avx2._mm256_mullo_epi16(*row, *factor);
    }
    let first = avx2._mm256_slli_epi16::<2>(rows[0]);
    let mut columns = [first; 8];
    if !(a && b) {
        columns = pass::<COLUMNS>(simd, rows);
        if a || b {
            let [a, b] = [if a { u64::MAX } else { 0 }, if b { u64::MAX } else { 0 }];
            let mask: __m256i = cast([a, a, b, b]);
            for row in &mut columns {
                *row = avx2._mm256_blendv_epi8(*row, first, mask);
            }
        }
    }
    let samples = transposed(simd, pass::<ROWS>(simd, transposed(simd, columns)));
    let centre = simd.avx._mm256_set1_epi8(-128);
    let mut out = [[0; 2]; 8];
    for (out, pair) in out.as_chunks_mut::<2>().0.iter_mut().zip(samples.as_chunks::<2>().0) {
        let bytes = avx2._mm256_add_epi8(avx2._mm256_packs_epi16(pair[0], pair[1]), centre);
        let [a0, a1, b0, b1]: [u64; 4] = cast(bytes);
        *out = [[a0, b0], [a1, b1]];
    }
    out
}

/// In each half of the vectors.
#[inline(always)]
fn transposed(simd: V3, r: [__m256i; 8]) -> [__m256i; 8] {
    let avx2 = simd.avx2;
    let [a0, a1] = wide(simd, r[0], r[1]);
    let [b0, b1] = wide(simd, r[2], r[3]);
    let [c0, c1] = wide(simd, r[4], r[5]);
    let [d0, d1] = wide(simd, r[6], r[7]);
    let [e0, e1] = [avx2._mm256_unpacklo_epi32(a0, b0), avx2._mm256_unpackhi_epi32(a0, b0)];
    let [e2, e3] = [avx2._mm256_unpacklo_epi32(a1, b1), avx2._mm256_unpackhi_epi32(a1, b1)];
    let [f0, f1] = [avx2._mm256_unpacklo_epi32(c0, d0), avx2._mm256_unpackhi_epi32(c0, d0)];
    let [f2, f3] = [avx2._mm256_unpacklo_epi32(c1, d1), avx2._mm256_unpackhi_epi32(c1, d1)];
    [
        avx2._mm256_unpacklo_epi64(e0, f0),
        avx2._mm256_unpackhi_epi64(e0, f0),
        avx2._mm256_unpacklo_epi64(e1, f1),
        avx2._mm256_unpackhi_epi64(e1, f1),
        avx2._mm256_unpacklo_epi64(e2, f2),
        avx2._mm256_unpackhi_epi64(e2, f2),
        avx2._mm256_unpacklo_epi64(e3, f3),
        avx2._mm256_unpackhi_epi64(e3, f3),
    ]
}

/// 32 bits for each column: the lower and the upper four of each half.
type Wide = [__m256i; 2];

#[inline(always)]
fn wide(simd: V3, a: __m256i, b: __m256i) -> Wide {
    [simd.avx2._mm256_unpacklo_epi16(a, b), simd.avx2._mm256_unpackhi_epi16(a, b)]
}

#[inline(always)]
fn add(simd: V3, a: Wide, b: Wide) -> Wide {
    [simd.avx2._mm256_add_epi32(a[0], b[0]), simd.avx2._mm256_add_epi32(a[1], b[1])]
}

#[inline(always)]
fn sub(simd: V3, a: Wide, b: Wide) -> Wide {
    [simd.avx2._mm256_sub_epi32(a[0], b[0]), simd.avx2._mm256_sub_epi32(a[1], b[1])]
}

/// a·f + b·g of numbers that lie in pairs.
#[inline(always)]
fn mixed(simd: V3, pairs: Wide, f: i32, g: i32) -> Wide {
    let factors = simd.avx._mm256_set1_epi32((f & 0xffff) | g << 16);
    [simd.avx2._mm256_madd_epi16(pairs[0], factors), simd.avx2._mm256_madd_epi16(pairs[1], factors)]
}

/// With 13 fractional bits.
#[inline(always)]
fn scaled(simd: V3, v: __m256i) -> Wide {
    let [a, b] = wide(simd, cast([0u64; 4]), v);
    [simd.avx2._mm256_srai_epi32::<3>(a), simd.avx2._mm256_srai_epi32::<3>(b)]
}

#[inline(always)]
fn rounded<const SHIFT: i32>(simd: V3, v: Wide) -> __m256i {
    let round = simd.avx._mm256_set1_epi32(1 << (SHIFT - 1));
    let [a, b] = add(simd, v, [round; 2]);
    simd.avx2._mm256_packs_epi32(simd.avx2._mm256_srai_epi32::<SHIFT>(a), simd.avx2._mm256_srai_epi32::<SHIFT>(b))
}

#[inline(always)]
fn pass<const SHIFT: i32>(simd: V3, r: [__m256i; 8]) -> [__m256i; 8] {
    let avx2 = simd.avx2;
    let even = scaled(simd, avx2._mm256_add_epi16(r[0], r[4]));
    let odd = scaled(simd, avx2._mm256_sub_epi16(r[0], r[4]));
    let r26 = wide(simd, r[2], r[6]);
    let t2 = mixed(simd, r26, F_0_541, F_0_541 - F_1_847);
    let t3 = mixed(simd, r26, F_0_541 + F_0_765, F_0_541);
    let half = [add(simd, even, t3), add(simd, odd, t2), sub(simd, odd, t2), sub(simd, even, t3)];

    let z = wide(simd, avx2._mm256_add_epi16(r[7], r[3]), avx2._mm256_add_epi16(r[1], r[5]));
    let z3 = mixed(simd, z, F_1_175 - F_1_961, F_1_175);
    let z4 = mixed(simd, z, F_1_175, F_1_175 - F_0_390);
    let (r71, r53) = (wide(simd, r[7], r[1]), wide(simd, r[5], r[3]));
    let rest = [
        add(simd, mixed(simd, r71, -F_0_899, F_1_501 - F_0_899), z4),
        add(simd, mixed(simd, r53, -F_2_562, F_3_072 - F_2_562), z3),
        add(simd, mixed(simd, r53, F_2_053 - F_2_562, -F_2_562), z4),
        add(simd, mixed(simd, r71, F_0_298 - F_0_899, -F_0_899), z3),
    ];
    let mut out = [even[0]; 8];
    for y in 0..4 {
        out[y] = rounded::<SHIFT>(simd, add(simd, half[y], rest[y]));
        out[7 - y] = rounded::<SHIFT>(simd, sub(simd, half[y], rest[y]));
    }
    out
}
