//! The decoder of symbols whose probabilities adapt (section 8.2).

/// Bits that are looked at for a symbol.
use lanes::each;

const LOOK: u32 = 16;
/// So many bits may be read beyond the data (section 8.2.4).
const BEYOND: i32 = -14;

/// Copied while many symbols are read: what lies in a structure of others is loaded and stored for each.
#[derive(Clone, Copy)]
pub struct Symbols<'a> {
    data: &'a [u8],
    /// What the standard calls SymbolValue, at the top, with the bits that follow.
    window: u64,
    range: u32,
    /// Bits of the window beyond those that are looked at.
    bits: i32,
    adapt: bool,
}

impl<'a> Symbols<'a> {
    pub fn new(data: &'a [u8], adapt: bool) -> Self {
        Self { data, window: (1 << 63) - 1, range: 1 << 15, bits: -15, adapt }.refilled()
    }

    /// By value, so that no address keeps the numbers out of registers.
    #[cold]
    #[inline(never)]
    fn refilled(mut self) -> Self {
        // Where the next byte's last bit goes.
        let mut shift = 64 - 24 - self.bits;
        if let Some((bytes, _)) = self.data.split_first_chunk::<8>()
            && shift < 56
        {
            let many = (shift >> 3) + 1;
            let word = u64::from_be_bytes(*bytes) & !(u64::MAX >> (8 * many));
            self.window ^= word >> (56 - shift);
            self.data = self.data.get(many as usize..).unwrap_or_default();
            self.bits += 8 * many;
            return self;
        }
        while shift >= 0
            && let Some((&byte, rest)) = self.data.split_first()
        {
            self.window ^= u64::from(byte) << shift;
            self.data = rest;
            shift -= 8;
        }
        // At the end of the data zeros follow, of which a few are lawful.
        self.bits = if self.data.is_empty() { (64 - 24 - shift).max(-0x4000) } else { 64 - 24 - shift };
        self
    }

    /// More has been read than there was.
    pub fn is_beyond(&self) -> bool {
        self.bits < BEYOND
    }

    #[inline(always)]
    fn narrow(&mut self, below: u32, range: u32) {
        let shift = range.leading_zeros() - LOOK;
        self.window = self.window.wrapping_sub(u64::from(below) << (64 - LOOK));
        self.window = (self.window.wrapping_add(1) << shift).wrapping_sub(1);
        self.range = range << shift;
        self.bits -= shift as i32;
        if self.bits < 0 {
            *self = self.refilled();
        }
    }

    /// Of as many kinds as the probabilities have numbers but one, the count of the symbols before.
    #[inline(always)]
    pub fn symbol<const M: usize>(&mut self, odds: &mut [u16; M]) -> usize {
        if M != 5 {
            return self.symbol_of(odds);
        }
        // Four kinds, which most symbols have: counted, as none is likely enough to be guessed.
        let value = (self.window >> (64 - LOOK)) as u32;
        let scale = self.range >> 8;
        let ends: [u32; 3] = each(|i| ((scale * u32::from(odds[i] >> 6)) >> 1) + 12 - 4 * i as u32);
        let found = ends.iter().map(|&end| usize::from(value < end)).sum::<usize>();
        let bounds = [self.range, ends[0], ends[1], ends[2], 0];
        let (above, below) = (bounds[found & 3], bounds[(found & 3) + 1]);
        self.narrow(below, above - below);
        self.adapt(odds, found);
        found
    }

    #[inline(always)]
    pub fn symbol_of(&mut self, odds: &mut [u16]) -> usize {
        let Some((_, kinds)) = odds.split_last() else { return 0 };
        let value = (self.window >> (64 - LOOK)) as u32;
        let scale = self.range >> 8;
        let (mut above, mut below, mut found) = (self.range, self.range, 0);
        let mut least = 4 * kinds.len() as u32;
        for (i, &odds) in kinds.iter().enumerate() {
            above = below;
            least -= 4;
            below = ((scale * u32::from(odds >> 6)) >> 1) + least;
            found = i;
            if value >= below {
                break;
            }
        }
        self.narrow(below, above - below);
        self.adapt(odds, found);
        found
    }

    /// The more often a symbol was read, the slower.
    #[inline(always)]
    fn adapt(&self, odds: &mut [u16], found: usize) {
        // The last kind's number is always 0.
        if self.adapt
            && let [kinds @ .., _, count] = odds
        {
            let rate = 4 + (*count >> 4) + u16::from(kinds.len() > 2);
            *count += u16::from(*count < 32);
            for (i, odds) in kinds.iter_mut().enumerate() {
                *odds = if i < found { *odds + ((32768 - *odds) >> rate) } else { *odds - (*odds >> rate) };
            }
        }
    }

    /// A symbol of two, the first as likely as told (of 32768, from the other end), which does not adapt.
    #[inline(always)]
    pub fn fixed(&mut self, odds: u16) -> bool {
        let value = (self.window >> (64 - LOOK)) as u32;
        let below = (((self.range >> 8) * u32::from(odds >> 6)) >> 1) + 4;
        // Signs are as often one as the other: a mask costs less than a branch that is guessed wrong.
        let mask = u32::from(value >= below).wrapping_neg();
        self.narrow(below & mask, below.wrapping_add(mask & self.range.wrapping_sub(2 * below)));
        mask == 0
    }

    #[inline(always)]
    pub fn bit(&mut self) -> bool {
        self.fixed(1 << 14)
    }

    /// `L(n)`, at most 32.
    #[inline(always)]
    pub fn literal(&mut self, bits: u32) -> u32 {
        let mut number = 0;
        for _ in 0..bits {
            number = number << 1 | u32::from(self.bit());
        }
        number
    }

    /// `NS(n)`: one of so many numbers.
    pub fn one_of(&mut self, many: u32) -> u32 {
        let bits = many.max(1).ilog2() + 1;
        let short = (1u32 << bits) - many;
        let number = self.literal(bits - 1);
        if number < short { number } else { (number << 1) - short + u32::from(self.bit()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The decoder as the standard writes it, bit by bit.
    struct Plain<'a> {
        data: &'a [u8],
        at: usize,
        value: u32,
        range: u32,
    }

    impl<'a> Plain<'a> {
        fn new(data: &'a [u8]) -> Self {
            let mut plain = Self { data, at: 0, value: 0, range: 1 << 15 };
            let first = plain.bits(15);
            plain.value = ((1 << 15) - 1) ^ first;
            plain
        }

        fn bits(&mut self, many: u32) -> u32 {
            (0..many).fold(0, |number, _| {
                let bit = self.data.get(self.at / 8).map_or(0, |byte| byte >> (7 - self.at % 8) & 1);
                self.at += 1;
                number << 1 | u32::from(bit)
            })
        }

        fn symbol(&mut self, cdf: &mut [u16]) -> usize {
            let n = cdf.len() - 1;
            let (mut cur, mut prev, mut symbol) = (self.range, self.range, 0);
            for (i, &number) in cdf.iter().enumerate().take(n) {
                symbol = i;
                prev = cur;
                let f = 32768 - u32::from(number);
                cur = (((self.range >> 8) * (f >> 6)) >> 1) + 4 * (n - i - 1) as u32;
                if self.value >= cur {
                    break;
                }
            }
            self.range = prev - cur;
            self.value -= cur;
            let bits = 15 - self.range.ilog2();
            self.range <<= bits;
            let new = self.bits(bits);
            self.value = new ^ (((self.value + 1) << bits) - 1);
            let rate = 3 + u32::from(cdf[n] > 15) + u32::from(cdf[n] > 31) + n.ilog2().min(2);
            for (i, number) in cdf.iter_mut().enumerate().take(n - 1) {
                if i >= symbol {
                    *number += (32768 - *number) >> rate;
                } else {
                    *number -= *number >> rate;
                }
            }
            cdf[n] += u16::from(cdf[n] < 32);
            symbol
        }
    }

    #[test]
    fn symbols_as_the_standard_reads_them() {
        let mut seed = 7u64;
        let data: Vec<u8> = (0..400)
            .map(|_| {
                seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                (seed >> 56) as u8
            })
            .collect();
        for len in [0, 1, 2, 7, 8, 9, 100, 400] {
            let (mut ours, mut plain) = (Symbols::new(&data[..len], true), Plain::new(&data[..len]));
            let (mut two, mut four, mut ten) = ([16384, 0, 0], [24576, 16384, 8192, 0, 0], [0; 11]);
            for (i, odds) in ten.iter_mut().enumerate().take(9) {
                *odds = 32768 - 3000 * (i as u16 + 1);
            }
            let cdf = |odds: &[u16]| {
                let mut cdf = odds.to_vec();
                cdf.iter_mut().take(odds.len() - 1).for_each(|odds| *odds = 32768 - *odds);
                cdf
            };
            let (mut plain_two, mut plain_four, mut plain_ten) = (cdf(&two), cdf(&four), cdf(&ten));
            while !ours.is_beyond() {
                assert_eq!(ours.symbol(&mut two), plain.symbol(&mut plain_two));
                assert_eq!(ours.symbol(&mut four), plain.symbol(&mut plain_four));
                assert_eq!(ours.symbol(&mut ten), plain.symbol(&mut plain_ten));
                assert_eq!(usize::from(ours.bit()), plain.symbol(&mut [16384, 32768, 0]));
            }
            assert!(plain.at >= 8 * len + 14, "{len}");
        }
    }

    #[test]
    fn numbers_of_a_range_are_within() {
        let data = [0x5a; 64];
        let mut symbols = Symbols::new(&data, false);
        for many in 1..60 {
            assert!(symbols.one_of(many) < many);
        }
    }
}
