//! The inverse transform of two blocks at a time, one in each half of the vectors.

use pulp::x86::V3;
use pulp::{NullaryFnOnce, cast};
use std::arch::x86_64::__m256i;

use crate::block::BLOCK;
use crate::idct::*;

pub struct Run<'a> {
    pub simd: V3,
    pub blocks: &'a [[u8; BLOCK]],
    pub factors: &'a Factors,
    pub out: &'a mut [u8],
    pub stride: usize,
}

impl NullaryFnOnce for Run<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Self { simd, blocks, factors, out, stride } = self;
        let factors: &[[i16; 8]; 8] = pulp::bytemuck::cast_ref(factors);
        let factors = factors.map(|row| both(row, row));
        let (pairs, rest) = blocks.as_chunks::<2>();
        for (x, pair) in pairs.iter().enumerate() {
            match pair.each_ref().map(|block| flat(block, self.factors)) {
                [Some(a), Some(b)] => put(out, stride, 16 * x, [[u64::from_ne_bytes([a; 8]), u64::from_ne_bytes([b; 8])]; 8]),
                _ => put(out, stride, 16 * x, transform(simd, &pair[0], &pair[1], &factors)),
            }
        }
        if let [last] = rest {
            let samples = transform(simd, last, last, &factors);
            for (line, samples) in out.chunks_mut(stride).zip(samples) {
                if let Some(line) = line.get_mut(16 * pairs.len()..16 * pairs.len() + 8) {
                    line.copy_from_slice(&samples[0].to_ne_bytes());
                }
            }
        }
    }
}

#[inline(always)]
fn both(a: [i16; 8], b: [i16; 8]) -> __m256i {
    cast([a, b])
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
    for (row, (a, b)) in rows.iter_mut().zip(a.iter().zip(b)) {
        *row = cast([*a, *b]);
    }
    let any = rows[1..].iter().fold(cast([0u64; 4]), |any, &row| avx2._mm256_or_si256(any, row));
    // Which of the blocks have nothing below their first row.
    let any: [[u64; 2]; 2] = cast(any);
    let low = any.map(|half| half == [0; 2]);
    for (row, &factor) in rows.iter_mut().zip(factors) {
        *row = avx2._mm256_mullo_epi16(*row, factor);
    }
    let first = avx2._mm256_slli_epi16::<2>(rows[0]);
    let mut columns = pass::<COLUMNS>(simd, rows);
    if low != [false; 2] {
        let mask: __m256i = cast(low.map(|low| if low { [u64::MAX; 2] } else { [0; 2] }));
        columns = columns.map(|row| avx2._mm256_blendv_epi8(row, first, mask));
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
    let words = |a: usize, b: usize| (avx2._mm256_unpacklo_epi16(r[a], r[b]), avx2._mm256_unpackhi_epi16(r[a], r[b]));
    let ((a0, a1), (b0, b1), (c0, c1), (d0, d1)) = (words(0, 1), words(2, 3), words(4, 5), words(6, 7));
    let pairs = |a, b| (avx2._mm256_unpacklo_epi32(a, b), avx2._mm256_unpackhi_epi32(a, b));
    let ((e0, e1), (e2, e3)) = (pairs(a0, b0), pairs(a1, b1));
    let ((f0, f1), (f2, f3)) = (pairs(c0, d0), pairs(c1, d1));
    let quads = |a, b| [avx2._mm256_unpacklo_epi64(a, b), avx2._mm256_unpackhi_epi64(a, b)];
    let [[s0, s1], [s2, s3], [s4, s5], [s6, s7]] = [quads(e0, f0), quads(e1, f1), quads(e2, f2), quads(e3, f3)];
    [s0, s1, s2, s3, s4, s5, s6, s7]
}

/// The lower and the upper four columns of 32-bit numbers of each half.
type Wide = [__m256i; 2];

#[inline(always)]
fn pass<const SHIFT: i32>(simd: V3, r: [__m256i; 8]) -> [__m256i; 8] {
    let avx2 = simd.avx2;
    let wide = |a, b| [avx2._mm256_unpacklo_epi16(a, b), avx2._mm256_unpackhi_epi16(a, b)];
    // a·f + b·g of numbers that lie in pairs.
    let mixed = |pairs: Wide, f: i32, g: i32| {
        let factors = simd.avx._mm256_set1_epi32((f & 0xffff) | g << 16);
        pairs.map(|p| avx2._mm256_madd_epi16(p, factors))
    };
    let add = |a: Wide, b: Wide| [avx2._mm256_add_epi32(a[0], b[0]), avx2._mm256_add_epi32(a[1], b[1])];
    let sub = |a: Wide, b: Wide| [avx2._mm256_sub_epi32(a[0], b[0]), avx2._mm256_sub_epi32(a[1], b[1])];
    let zero: __m256i = cast([0u64; 4]);
    let scaled = |v| wide(zero, v).map(|v| avx2._mm256_srai_epi32::<3>(v));

    let even = scaled(avx2._mm256_add_epi16(r[0], r[4]));
    let odd = scaled(avx2._mm256_sub_epi16(r[0], r[4]));
    let r26 = wide(r[2], r[6]);
    let t2 = mixed(r26, F_0_541, F_0_541 - F_1_847);
    let t3 = mixed(r26, F_0_541 + F_0_765, F_0_541);
    let half = [add(even, t3), add(odd, t2), sub(odd, t2), sub(even, t3)];

    let z = wide(avx2._mm256_add_epi16(r[7], r[3]), avx2._mm256_add_epi16(r[1], r[5]));
    let z3 = mixed(z, F_1_175 - F_1_961, F_1_175);
    let z4 = mixed(z, F_1_175, F_1_175 - F_0_390);
    let (r71, r53) = (wide(r[7], r[1]), wide(r[5], r[3]));
    let rest = [
        add(mixed(r71, -F_0_899, F_1_501 - F_0_899), z4),
        add(mixed(r53, -F_2_562, F_3_072 - F_2_562), z3),
        add(mixed(r53, F_2_053 - F_2_562, -F_2_562), z4),
        add(mixed(r71, F_0_298 - F_0_899, -F_0_899), z3),
    ];
    let round = simd.avx._mm256_set1_epi32(1 << (SHIFT - 1));
    let rounded = |v: Wide| {
        let [a, b] = v.map(|v| avx2._mm256_srai_epi32::<SHIFT>(avx2._mm256_add_epi32(v, round)));
        avx2._mm256_packs_epi32(a, b)
    };
    let mut out = [zero; 8];
    for y in 0..4 {
        out[y] = rounded(add(half[y], rest[y]));
        out[7 - y] = rounded(sub(half[y], rest[y]));
    }
    out
}
