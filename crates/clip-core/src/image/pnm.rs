//! PBM, PGM and PPM, binary and as text, and PFM of grey. Follows Pillow's `PpmImagePlugin.py`.
//!
//! PFM of colours and PAM (`P7`) are left out, as Pillow opens neither.

use super::decode::{Decoded, check_pixels, damaged, incomplete, truncated};
use super::estimate::Need;
use super::format::Format::Pnm;
use super::options::{ReadOptions, Remarks};
use super::{Rgb8, grey16};
use crate::Result;
use crate::guarded::look;
use crate::memory::zeroed;

/// Pixels of a row between two looks: whole bytes of bits.
const PIECE: usize = 1 << 14;

/// What the letters at the beginning say.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Black and white.
    Bits,
    Grey,
    Colour,
    /// Floats, the lowest row first.
    Floats,
}

struct Header<'a> {
    kind: Kind,
    /// As text.
    plain: bool,
    width: u32,
    height: u32,
    /// The whitest level. Of floats a number whose sign tells the order of bytes.
    most: f64,
    /// Behind the header.
    data: &'a [u8],
}

/// `P1` to `P6` or `Pf`, then white space or a comment, then the width. Text that begins with such letters is no picture.
pub(super) fn is_pnm(bytes: &[u8]) -> bool {
    matches!(
        bytes,
        [b'P', b'1'..=b'6' | b'f', b'\n' | b'\r' | b' ' | b'\t' | b'#', b'0'..=b'9' | b'#' | b' ' | b'\n' | b'\r', ..]
    )
}

/// The picture in RGB.
pub(super) fn decode(bytes: &[u8], options: &ReadOptions) -> Result<Decoded> {
    let header = Header::read(bytes)?;
    let area = check_pixels(Pnm, header.width, header.height, &options.limits)?;
    let mut remarks = Remarks::default();
    let (pixels, whole) = match header.kind {
        Kind::Floats => header.floats(area, options, &mut remarks)?,
        Kind::Grey if header.is_wide() => {
            let mut samples = zeroed(2 * area)?;
            let whole = header.wide_grey(samples.as_chunks_mut().0)?;
            (grey16::to_rgb(&samples, options.grey16, &mut remarks)?, whole)
        }
        _ => {
            let mut pixels = zeroed(3 * area)?;
            let whole = header.levels(pixels.as_chunks_mut().0)?;
            (pixels, whole)
        }
    };
    remarks.incomplete = incomplete(Pnm, whole, options)?;
    Ok(Decoded { remarks, ..Decoded::rgb(Rgb8 { width: header.width, height: header.height, pixels }, 1) })
}

/// The picture, samples of 16 bits, and those of a piece.
pub(super) fn need(bytes: &[u8]) -> Option<Need<'_>> {
    let header = Header::read(bytes).ok()?;
    let each = if header.kind == Kind::Grey && header.is_wide() { 5 } else { 3 };
    let (width, height) = (header.width as usize, header.height as usize);
    let all = move || width.checked_mul(height)?.checked_mul(each)?.checked_add(6 * PIECE + (1 << 16));
    Some(Need::new((header.width, header.height), all))
}

impl<'a> Header<'a> {
    fn read(bytes: &'a [u8]) -> Result<Self> {
        let Some(([_, letter], mut data)) = bytes.split_first_chunk() else { return Err(truncated(Pnm)) };
        let (kind, plain) = match letter {
            b'1' | b'4' => (Kind::Bits, *letter == b'1'),
            b'2' | b'5' => (Kind::Grey, *letter == b'2'),
            b'3' | b'6' => (Kind::Colour, *letter == b'3'),
            _ => (Kind::Floats, false),
        };
        let mut number = || Word::read(&mut data).ok_or_else(|| truncated(Pnm));
        let [width, height] = [number()?, number()?];
        let most = if kind == Kind::Bits { Word::ONE } else { number()? };
        let side = |word: &Word| word.text().and_then(|text| text.parse().ok());
        let (Some(width), Some(height)) = (side(&width), side(&height)) else {
            return Err(damaged(Pnm, "its size is no number"));
        };
        let most = match kind {
            Kind::Floats => most.text().and_then(|text| text.parse().ok()).filter(|n: &f64| n.is_finite() && *n != 0.0),
            _ => most.text().and_then(|text| text.parse().ok()).filter(|n: &u16| *n > 0).map(f64::from),
        };
        let most = most.ok_or_else(|| damaged(Pnm, "its range is none"))?;
        Ok(Self { kind, plain, width, height, most, data })
    }

    /// Samples have two bytes.
    fn is_wide(&self) -> bool {
        self.most > 255.0
    }

    /// Says whether all of the picture was there.
    fn levels(&self, pixels: &mut [[u8; 3]]) -> Result<bool> {
        let mut table = zeroed::<u8>(if self.is_wide() { 1 << 16 } else { 1 << 8 })?;
        for (level, sample) in table.iter_mut().zip(0..=u16::MAX) {
            *level = match self.kind {
                Kind::Bits if sample == 0 => 255,
                Kind::Bits => 0,
                _ => self.scaled(sample, 255.0) as u8,
            };
        }
        let level = |sample: &u16| table.get(usize::from(*sample)).copied().unwrap_or_default();
        let each = if self.kind == Kind::Colour { 3 } else { 1 };
        self.pieces(each, pixels, |row, samples| {
            if each == 1 {
                row.iter_mut().zip(samples).for_each(|(pixel, sample)| *pixel = [level(sample); 3]);
            } else {
                row.as_flattened_mut().iter_mut().zip(samples).for_each(|(to, sample)| *to = level(sample));
            }
        })
    }

    /// The same in 16 bits, in the machine's order.
    fn wide_grey(&self, pixels: &mut [[u8; 2]]) -> Result<bool> {
        self.pieces(1, pixels, |row, samples| {
            for (pixel, sample) in row.iter_mut().zip(samples) {
                *pixel = (self.scaled(*sample, 65535.0) as u16).to_ne_bytes();
            }
        })
    }

    /// To the nearest, of halves to the even one, as Python's `round`.
    fn scaled(&self, sample: u16, to: f64) -> f64 {
        (f64::from(sample) / self.most * to).round_ties_even().min(to)
    }

    /// Hands out pieces of rows, and the samples of each, which are fewer where the data end.
    fn pieces<P>(&self, each: usize, pixels: &mut [P], mut put: impl FnMut(&mut [P], &[u16])) -> Result<bool> {
        let width = self.width as usize;
        let (mut data, mut samples) = (self.data, zeroed::<u16>(each * width.min(PIECE))?);
        for piece in pixels.chunks_exact_mut(width).flat_map(|row| row.chunks_mut(PIECE)) {
            look();
            let samples = samples.get_mut(..each * piece.len()).unwrap_or_default();
            let count = self.read_samples(&mut data, samples)?;
            put(piece, samples.get(..count).unwrap_or_default());
            if count < samples.len() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// How many of the samples there were.
    fn read_samples(&self, data: &mut &[u8], line: &mut [u16]) -> Result<usize> {
        if self.plain {
            for (count, sample) in line.iter_mut().enumerate() {
                match self.plain_sample(data)? {
                    Some(there) => *sample = there,
                    None => return Ok(count),
                }
            }
            return Ok(line.len());
        }
        let mut take = |bytes: usize| data.split_off(..bytes.min(data.len())).unwrap_or_default();
        Ok(match self.kind {
            Kind::Bits => {
                let bytes = take(line.len().div_ceil(8));
                for (sample, i) in line.iter_mut().zip(0..8 * bytes.len()) {
                    *sample = u16::from(bytes[i / 8] >> (7 - i % 8) & 1);
                }
                line.len().min(8 * bytes.len())
            }
            _ if self.is_wide() => {
                let samples = take(2 * line.len()).as_chunks().0;
                line.iter_mut().zip(samples).for_each(|(to, from)| *to = u16::from_be_bytes(*from));
                samples.len()
            }
            _ => {
                let samples = take(line.len());
                line.iter_mut().zip(samples).for_each(|(to, from)| *to = (*from).into());
                samples.len()
            }
        })
    }

    /// `None` behind the last one.
    fn plain_sample(&self, data: &mut &[u8]) -> Result<Option<u16>> {
        if self.kind == Kind::Bits {
            // Nothing needs to be between them.
            return match Word::letter(data) {
                Some(bit @ b'0'..=b'1') => Ok(Some(u16::from(bit - b'0'))),
                Some(other) => Err(damaged(Pnm, format_args!("a pixel is {}", other.escape_ascii()))),
                None => Ok(None),
            };
        }
        let Some(word) = Word::read(data) else { return Ok(None) };
        let sample = word.text().and_then(|text| text.parse().ok()).filter(|sample| f64::from(*sample) <= self.most);
        sample.map(Some).ok_or_else(|| damaged(Pnm, "a level is none of its range"))
    }

    fn floats(&self, area: usize, options: &ReadOptions, remarks: &mut Remarks) -> Result<(Vec<u8>, bool)> {
        let value = |bytes: &[u8; 4]| {
            f64::from(if self.most < 0.0 { f32::from_le_bytes(*bytes) } else { f32::from_be_bytes(*bytes) })
        };
        let values = self.data.as_chunks::<4>().0;
        let values = &values[..area.min(values.len())];
        let width = self.width as usize;
        let (mut darkest, mut brightest) = (f64::INFINITY, f64::NEG_INFINITY);
        for piece in values.chunks(PIECE) {
            look();
            for number in piece.iter().map(value).filter(|number| number.is_finite()) {
                (darkest, brightest) = (darkest.min(number), brightest.max(number));
            }
        }
        let (from, factor) = grey16::scale(options.grey16, darkest, brightest, false);
        remarks.clipped = grey16::is_cut(options.grey16, darkest, brightest);
        let mut pixels = zeroed(3 * area)?;
        let rows = pixels.as_chunks_mut::<3>().0.chunks_exact_mut(width).rev().zip(values.chunks(width));
        for (piece, values) in rows.flat_map(|(row, values)| row.chunks_mut(PIECE).zip(values.chunks(PIECE))) {
            look();
            for (pixel, bytes) in piece.iter_mut().zip(values) {
                *pixel = [((value(bytes) - from) * factor).clamp(0.0, 255.0) as u8; 3];
            }
        }
        Ok((pixels, values.len() == area))
    }
}

/// What is between white space. A comment in it is left out, and does not end it.
struct Word {
    letters: [u8; 16],
    len: usize,
}

impl Word {
    const ONE: Self = Self { letters: [b'1'; 16], len: 1 };

    /// Takes a byte of white space behind it, too. `None` where there is no more.
    fn read(data: &mut &[u8]) -> Option<Self> {
        let first = Self::letter(data)?;
        let mut word = Self { letters: [first; 16], len: 1 };
        while let Some(byte) = data.split_off_first() {
            match byte {
                b'#' => Self::skip_comment(data),
                byte if is_space(*byte) => break,
                byte => {
                    if let Some(to) = word.letters.get_mut(word.len) {
                        *to = *byte;
                    }
                    word.len = word.len.saturating_add(1);
                }
            }
        }
        Some(word)
    }

    /// The next letter of any word.
    fn letter(data: &mut &[u8]) -> Option<u8> {
        loop {
            match data.split_off_first()? {
                b'#' => Self::skip_comment(data),
                byte if is_space(*byte) => {}
                byte => return Some(*byte),
            }
        }
    }

    fn skip_comment(data: &mut &[u8]) {
        look();
        let len = memchr::memchr2(b'\n', b'\r', data).map_or(data.len(), |end| end + 1);
        *data = data.get(len..).unwrap_or_default();
    }

    /// `None` where it is longer than any number.
    fn text(&self) -> Option<&str> {
        std::str::from_utf8(self.letters.get(..self.len)?).ok()
    }
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}
