//! What the header of a VP8 key frame says about its coefficients: how many partitions there are, and how long. The decoder takes
//! memory for what each claims, up to 16 MiB, before it finds that the file has less. After RFC 6386, sections 9 and 19.2.

use super::reader::{slice, u24_le};

/// Frame tag, start code and sides.
const HEADER: usize = 10;

/// Do all partitions lie within the frame? `None` where the frame ends before that is known.
pub(super) fn fits(frame: &[u8]) -> Option<bool> {
    let first = (u24_le(frame, 0)? >> 5) as usize;
    let others = partitions(slice(frame, HEADER, first)?)? - 1;
    let sizes = frame.get(HEADER + first..)?;
    let claimed = (0..others).map(|i| u24_le(sizes, 3 * i).map(|size| size as usize)).sum::<Option<usize>>()?;
    Some(claimed <= sizes.len().checked_sub(3 * others)?)
}

/// How many: 1, 2, 4 or 8. `frame`: the first partition, up to where it says so.
fn partitions(frame: &[u8]) -> Option<usize> {
    let mut bits = Bits::new(frame)?;
    bits.skip(2)?; // colour space and clamping
    if bits.flag()? {
        // segments
        let (map, data) = (bits.flag()?, bits.flag()?);
        if data {
            bits.skip(1)?;
            bits.skip_optional(4, 7 + 1)?;
            bits.skip_optional(4, 6 + 1)?;
        }
        if map {
            bits.skip_optional(3, 8)?;
        }
    }
    bits.skip(1 + 6 + 3)?; // the filter, its level and sharpness
    if bits.flag()? && bits.flag()? {
        bits.skip_optional(8, 6 + 1)?;
    }
    let (high, low) = (bits.flag()?, bits.flag()?);
    Some(1 << (2 * u32::from(high) + u32::from(low)))
}

/// Bits of even chances, out of the arithmetic coder of section 7.
struct Bits<'a> {
    rest: &'a [u8],
    value: u32,
    range: u32,
    shifted: u32,
}

impl<'a> Bits<'a> {
    fn new(bytes: &'a [u8]) -> Option<Self> {
        let (first, rest) = bytes.split_first_chunk::<2>()?;
        Some(Self { rest, value: u16::from_be_bytes(*first).into(), range: 255, shifted: 0 })
    }

    /// The decoder reads zeros behind the end.
    fn flag(&mut self) -> Option<bool> {
        let split = 1 + ((self.range - 1) >> 1);
        let is_set = self.value >= split << 8;
        if is_set {
            self.range -= split;
            self.value -= split << 8;
        } else {
            self.range = split;
        }
        while self.range < 128 {
            (self.value, self.range, self.shifted) = (self.value << 1, self.range << 1, self.shifted + 1);
            if self.shifted == 8 {
                self.shifted = 0;
                if let Some((byte, rest)) = self.rest.split_first() {
                    self.value |= u32::from(*byte);
                    self.rest = rest;
                }
            }
        }
        Some(is_set)
    }

    fn skip(&mut self, count: usize) -> Option<()> {
        (0..count).try_for_each(|_| self.flag().map(drop))
    }

    /// Values of so many bits, each behind a flag that says whether it is there.
    fn skip_optional(&mut self, values: usize, bits: usize) -> Option<()> {
        (0..values).try_for_each(|_| if self.flag()? { self.skip(bits) } else { Some(()) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The coder of section 7.3, for bits of even chances.
    fn coded(bits: &[bool]) -> Vec<u8> {
        let (mut out, mut range, mut bottom, mut left) = (Vec::<u8>::new(), 255u32, 0u32, 24);
        // Some more, so that all are written.
        for is_set in bits.iter().copied().chain([false; 40]) {
            let split = 1 + ((range - 1) >> 1);
            if is_set {
                bottom = bottom.wrapping_add(split);
                range -= split;
            } else {
                range = split;
            }
            while range < 128 {
                range <<= 1;
                if bottom & 1 << 31 != 0 {
                    let carried = out.iter().rposition(|byte| *byte != 255).unwrap();
                    out[carried + 1..].fill(0);
                    out[carried] += 1;
                }
                bottom <<= 1;
                left -= 1;
                if left == 0 {
                    out.push((bottom >> 24) as u8);
                    bottom &= (1 << 24) - 1;
                    left = 8;
                }
            }
        }
        out
    }

    fn frame(header: &[bool], sizes: &[u32], data: usize) -> Vec<u8> {
        let first = coded(header);
        let mut frame = ((first.len() as u32) << 5).to_le_bytes()[..3].to_vec();
        frame.extend([0x9d, 0x01, 0x2a, 16, 0, 16, 0]);
        frame.extend(&first);
        sizes.iter().for_each(|size| frame.extend(&size.to_le_bytes()[..3]));
        frame.extend(vec![0; data]);
        frame
    }

    fn bits(text: &str) -> Vec<bool> {
        text.chars().filter(|c| !c.is_whitespace()).map(|c| c == '1').collect()
    }

    #[test]
    fn partitions_are_counted_behind_all_that_may_stand_before() {
        let plain = "00 0 1010101010 0";
        let segments = "00 1 11 1 0 1 10101010 1 00110011 1 10101010 0 0 0 1 1010101 0 1 00001111 0 1010101010 0";
        let deltas = "00 0 1010101010 1 1 0 1 1010101 0 0 1 0000001 0 0 0";
        for before in [plain, segments, deltas] {
            for (log, count) in [("00", 1), ("01", 2), ("10", 4), ("11", 8)] {
                let header = bits(&format!("{before} {log}"));
                assert_eq!(partitions(&coded(&header)), Some(count), "{before} {log}");
            }
        }
    }

    #[test]
    fn what_the_file_has_not_does_not_fit() {
        let four = bits("00 0 1010101010 0 10");
        assert_eq!(fits(&frame(&four, &[10, 0, 20], 30)), Some(true));
        assert_eq!(fits(&frame(&four, &[10, 0, 20], 29)), Some(false));
        assert_eq!(fits(&frame(&four, &[0xff_ffff; 3], 1000)), Some(false));
        assert_eq!(fits(&frame(&four, &[10], 0)), None);
        assert_eq!(fits(&[0; 12]), None);
        assert_eq!(fits(&frame(&bits("00 0 1010101010 0 00"), &[], 0)), Some(true));
    }
}
