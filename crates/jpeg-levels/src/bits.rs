//! Bits of entropy-coded data, the first one in the highest place. Follows `jpeg_fill_bit_buffer` of `jdhuff.c`.

use crate::input::{EOI, Input};

/// A copy of it is what a decoder works on: it stays in registers.
#[derive(Clone, Copy, Debug)]
pub struct Bits<'a> {
    data: &'a [u8],
    /// At the end of the bytes, once the segment's are over.
    pos: usize,
    /// Where the marker after the segment ends.
    after: usize,
    /// The next bits. Below the first `count` there may be the beginning of those that follow.
    acc: u64,
    count: u32,
    /// Of them, the last ones, made up: zeros after the end of the segment.
    made_up: u32,
    marker: u8,
    ended: bool,
    /// A code was met that no table has.
    pub bad_code: bool,
    /// Length of the last symbol of a block, its further bits among it.
    pub last: u32,
}

impl<'a> Bits<'a> {
    /// From the place of `input` on, up to the next marker.
    pub fn new(input: &Input<'a>) -> Self {
        let Input { data, pos, marker, ended, .. } = *input;
        let at = if marker == 0 { pos } else { data.len() };
        Self { data, pos: at, after: pos, acc: 0, count: 0, made_up: 0, marker, ended, bad_code: false, last: 0 }
    }

    /// Drops what is left of the segment.
    pub fn leave(&self, input: &mut Input<'a>) {
        let pos = if self.marker == 0 { self.pos } else { self.after };
        (input.pos, input.marker, input.ended) = (pos, self.marker, self.ended);
    }

    /// Sees to it that 32 bits are there, as many as any symbol and its further bits take.
    #[inline(always)]
    pub fn refill(&mut self) {
        if self.count >= 32 {
            return;
        }
        if let Some(bytes) = self.data.get(self.pos..).and_then(<[u8]>::first_chunk) {
            let word = u64::from_be_bytes(*bytes);
            // No byte is 0xff, and so none is a marker's.
            if (!word).wrapping_sub(0x0101_0101_0101_0101) & word & 0x8080_8080_8080_8080 == 0 {
                self.acc |= word >> self.count;
                self.pos += ((63 - self.count) / 8) as usize;
                self.count |= 56;
                return;
            }
        }
        *self = self.refill_bytewise();
    }

    #[cold]
    #[inline(never)]
    fn refill_bytewise(mut self) -> Self {
        self.acc &= !(u64::MAX >> self.count);
        while self.count <= 56 {
            let Some(byte) = self.next_byte() else {
                let more = 63 - self.count;
                self.made_up += more;
                self.count += more;
                break;
            };
            self.acc |= u64::from(byte) << (56 - self.count);
            self.count += 8;
        }
        self
    }

    /// `None` at a marker.
    fn next_byte(&mut self) -> Option<u8> {
        if self.marker != 0 {
            return None;
        }
        let byte = *self.data.get(self.pos).or_else(|| self.end())?;
        self.pos += 1;
        if byte != 0xff {
            return Some(byte);
        }
        loop {
            let code = *self.data.get(self.pos).or_else(|| self.end())?;
            self.pos += 1;
            match code {
                0xff => {}
                0 => return Some(0xff),
                _ => {
                    self.marker = code;
                    self.after = self.pos;
                    self.pos = self.data.len();
                    return None;
                }
            }
        }
    }

    #[cold]
    fn end(&mut self) -> Option<&'a u8> {
        self.marker = EOI;
        self.ended = true;
        self.after = self.data.len();
        None
    }

    /// The next `n` bits, 1 to 32, which stay.
    #[inline(always)]
    pub fn peek(&self, n: u32) -> u32 {
        (self.acc >> (64 - n)) as u32
    }

    /// Drops `n` bits, which have to be there.
    #[inline(always)]
    pub fn skip(&mut self, n: u32) {
        self.acc <<= n;
        self.count -= n;
    }

    /// The next `n` bits, which have to be there.
    #[inline(always)]
    pub fn take(&mut self, n: u32) -> u32 {
        let bits = self.peek(n);
        self.skip(n);
        bits
    }

    /// A bit, which is there.
    #[inline(always)]
    pub fn bit(&mut self) -> bool {
        let bit = self.acc >> 63 == 1;
        self.skip(1);
        bit
    }

    /// A bit, after a look whether there is one.
    #[inline(always)]
    pub fn next_bit(&mut self) -> bool {
        self.refill();
        self.bit()
    }

    /// The value of `size` further bits, 1 to 15 (`HUFF_EXTEND`).
    #[inline(always)]
    pub fn value(&mut self, size: u32) -> i32 {
        extend(self.take(size) as i32, size)
    }

    /// The segment has ended.
    #[inline(always)]
    pub fn is_made_up(&self) -> bool {
        self.made_up > 0
    }

    /// Bits were taken that the segment does not have.
    pub fn overrun(&self) -> bool {
        self.count < self.made_up
    }

    /// libjpeg, with a source that waits for further bytes, would wait: it looks 8 bits ahead before each symbol.
    pub fn starved(&self) -> bool {
        self.ended && self.made_up > 0 && (self.overrun() || self.count + self.last < self.made_up + 8)
    }
}

/// `HUFF_EXTEND`: of `size` bits the lower half of the values is negative.
#[inline(always)]
pub fn extend(bits: i32, size: u32) -> i32 {
    if bits < 1 << (size - 1) { bits - (1 << size) + 1 } else { bits }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stuffed_bytes_are_one_and_a_marker_ends_them() {
        let data = [0x12, 0xff, 0x00, 0x34, 0xff, 0xff, 0x00, 0xa5, 0xff, 0xff, 0xd3, 0x77];
        let mut bits = Bits::new(&Input::new(&data));
        for expected in [0x12, 0xff, 0x34, 0xff, 0xa5] {
            bits.refill();
            assert!(!bits.overrun());
            assert_eq!(bits.take(8), expected);
        }
        assert!(!bits.overrun());
        bits.refill();
        assert_eq!(bits.take(8), 0);
        assert!(bits.overrun() && !bits.starved());
        let mut input = Input::new(&data);
        bits.leave(&mut input);
        assert_eq!((input.marker, input.pos), (0xd3, 11));
    }

    #[test]
    fn the_end_of_the_bytes_is_told_from_a_marker() {
        let mut bits = Bits::new(&Input::new(&[0xa5; 3]));
        bits.refill();
        assert!(!bits.overrun());
        bits.skip(25);
        assert!(bits.overrun() && bits.starved());
    }

    #[test]
    fn bits_come_in_order_however_many_are_taken() {
        let data: Vec<u8> = (0..400u32).map(|i| (i * 37 % 251) as u8).collect();
        let expected: Vec<bool> = data.iter().flat_map(|b| (0..8).rev().map(move |i| b >> i & 1 == 1)).collect();
        let mut bits = Bits::new(&Input::new(&data));
        let (mut at, mut step) = (0, 1);
        while at + step <= expected.len() {
            bits.refill();
            let value = expected[at..at + step].iter().fold(0, |v, &b| 2 * v + u32::from(b));
            assert_eq!(bits.take(step as u32), value);
            at += step;
            step = step % 17 + 1;
        }
    }
}
