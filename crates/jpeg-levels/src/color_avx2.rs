//! Three lines to pixels, 32 at a time.

use std::arch::x86_64::__m128i;

use pulp::cast;
use pulp::x86::V3;

use crate::color::{Interleave, Portable};

/// For each third of 48 bytes of pixels, where its levels are in 16 levels of each line; a byte with its top bit set: not there.
const PLACES: [[[u8; 16]; 3]; 3] = {
    let mut places = [[[0x80; 16]; 3]; 3];
    let mut at = 0;
    while at < 48 {
        places[at / 16][at % 3][at % 16] = (at / 3) as u8;
        at += 1;
    }
    places
};

#[derive(Clone, Copy)]
pub struct Avx2(pub V3);

impl Interleave for Avx2 {
    #[inline(always)]
    fn three(self, [a, b, c]: [&[u8]; 3], out: &mut [u8]) {
        let simd = self.0;
        let (a, a_rest) = a.as_chunks::<16>();
        let (b, b_rest) = b.as_chunks::<16>();
        let (c, c_rest) = c.as_chunks::<16>();
        let count = (out.len() / 48).min(a.len()).min(b.len()).min(c.len());
        let (whole, rest) = out.split_at_mut(48 * count);
        let whole = whole.as_chunks_mut::<48>().0;
        for x in 0..count {
            let lines: [__m128i; 3] = [cast(a[x]), cast(b[x]), cast(c[x])];
            let thirds = whole[x].as_chunks_mut::<16>().0;
            for i in 0..3 {
                let levels = |line: usize| simd.ssse3._mm_shuffle_epi8(lines[line], cast(PLACES[i][line]));
                let any = simd.sse2._mm_or_si128(levels(0), levels(1));
                thirds[i] = cast(simd.sse2._mm_or_si128(any, levels(2)));
            }
        }
        Portable.three([a_rest, b_rest, c_rest], rest);
    }
}
