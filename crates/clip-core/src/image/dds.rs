//! DDS: the first and largest of its pictures, uncompressed or in blocks of BC1 (DXT1) to BC5.
//!
//! Follows Pillow's `DdsImagePlugin.py` and `BcnDecode.c`. The `image` crate's decoder has other levels, takes blocks for whole alone, and
//! reads nothing uncompressed.

use super::Rgb8;
use super::decode::{Decoded, check_pixels, damaged, incomplete, truncated, unsupported};
use super::estimate::Need;
use super::format::Format::Dds;
use super::options::{ReadOptions, Remarks};
use super::reader::{slice, u32_le};
use crate::Result;
use crate::guarded::look;
use crate::memory::zeroed;

/// Where what follows the header begins: pixels, a palette, or a second header.
const BODY: usize = 128;
/// Bytes of the second header.
const DX10: usize = 20;

// What the pixels are, of which the first that is set counts; and that there is opacity.
const RGB: u32 = 0x40;
const LUMINANCE: u32 = 0x2_0000;
const PALETTE: u32 = 0x20;
const FOURCC: u32 = 4;
const ALPHA: u32 = 1;

/// Pixels between two looks.
const PIECE: usize = 1 << 14;

/// A colour; what a file has of opacity is dropped.
type Pixel = [u8; 3];

#[derive(Clone, Copy)]
enum Block {
    Bc1,
    /// BC2 and BC3, which differ in how opacity is coded: eight bytes, and then the colours.
    Bc3,
    /// One channel.
    Bc4,
    /// Red and green.
    Bc5 {
        signed: bool,
    },
}

enum Layout<'a> {
    Blocks(Block),
    /// Numbers of so many bytes, and which of their bits are red, green and blue.
    Masks(usize, [u32; 3]),
    /// Pixels of so many bytes, and which of those are red, green and blue.
    Bytes(usize, [usize; 3]),
    /// Four bytes a colour.
    Palette(&'a [u8]),
}

struct File<'a> {
    layout: Layout<'a>,
    data: &'a [u8],
}

/// The picture in RGB.
pub(super) fn decode(bytes: &[u8], options: &ReadOptions) -> Result<Decoded> {
    let (width, height) = size(bytes).ok_or_else(|| truncated(Dds))?;
    let area = check_pixels(Dds, width, height, &options.limits)?;
    let file = File::read(bytes)?;
    let mut pixels = zeroed(3 * area)?;
    let whole = file.fill(width as usize, pixels.as_chunks_mut().0);
    let remarks = Remarks { incomplete: incomplete(Dds, whole, options)?, ..Remarks::default() };
    Ok(Decoded { remarks, ..Decoded::rgb(Rgb8 { width, height, pixels }, 1) })
}

/// The picture alone.
pub(super) fn need(bytes: &[u8]) -> Option<Need<'_>> {
    Some(Need::each(size(bytes)?, 3))
}

fn size(bytes: &[u8]) -> Option<(u32, u32)> {
    Some((u32_le(bytes, 16)?, u32_le(bytes, 12)?))
}

impl<'a> File<'a> {
    fn read(bytes: &'a [u8]) -> Result<Self> {
        let number = |at| u32_le(bytes, at).ok_or_else(|| truncated(Dds));
        if number(4)? != 124 {
            return Err(damaged(Dds, format_args!("its header has {} bytes", number(4)?)));
        }
        let (flags, bits) = (number(80)?, number(88)?);
        let mut start = BODY;
        let layout = if flags & RGB != 0 {
            if bits < 8 {
                return Err(damaged(Dds, format_args!("pixels of {bits} bits")));
            }
            Layout::Masks(bits as usize / 8, [number(92)?, number(96)?, number(100)?])
        } else if flags & LUMINANCE != 0 {
            match bits {
                8 => Layout::Bytes(1, [0; 3]),
                16 if flags & ALPHA != 0 => Layout::Bytes(2, [0; 3]),
                _ => return Err(unsupported(Dds, format_args!("grey of {bits} bits"))),
            }
        } else if flags & PALETTE != 0 {
            start += 4 * 256;
            Layout::Palette(slice(bytes, BODY, 4 * 256).ok_or_else(|| truncated(Dds))?)
        } else if flags & FOURCC != 0 {
            let code = number(84)?.to_le_bytes();
            if &code == b"DX10" {
                start += DX10;
                dxgi(number(BODY)?)?
            } else {
                Layout::Blocks(block(code)?)
            }
        } else {
            return Err(unsupported(Dds, format_args!("pixels of the kind {flags:#x}")));
        };
        Ok(Self { layout, data: bytes.get(start..).ok_or_else(|| truncated(Dds))? })
    }

    /// Says whether all pixels were there. Others are left as they are.
    fn fill(&self, width: usize, pixels: &mut [Pixel]) -> bool {
        match self.layout {
            Layout::Blocks(kind) => self.fill_blocks(kind, width, pixels),
            Layout::Masks(bytes, masks) => {
                let scales = masks.map(Scale::new);
                self.fill_each(bytes, pixels, |bytes| {
                    let mut low = [0; 4];
                    low.iter_mut().zip(bytes).for_each(|(to, byte)| *to = *byte);
                    scales.map(|scale| scale.level(u32::from_le_bytes(low)))
                })
            }
            Layout::Bytes(bytes, of) => self.fill_each(bytes, pixels, |bytes| of.map(|i| bytes[i])),
            Layout::Palette(colours) => self.fill_each(1, pixels, |bytes| {
                let [red, green, blue, _] = colours.as_chunks::<4>().0[usize::from(bytes[0])];
                [red, green, blue]
            }),
        }
    }

    /// `pixel` is handed as many bytes as a pixel has.
    fn fill_each(&self, bytes: usize, pixels: &mut [Pixel], pixel: impl Fn(&[u8]) -> Pixel) -> bool {
        let mut data = self.data.chunks_exact(bytes);
        for piece in pixels.chunks_mut(PIECE) {
            look();
            for (to, from) in piece.iter_mut().zip(&mut data) {
                *to = pixel(from);
            }
        }
        self.data.len() / bytes >= pixels.len()
    }

    /// Blocks of 4 x 4 pixels, of which some are beyond the picture's sides.
    fn fill_blocks(&self, kind: Block, width: usize, pixels: &mut [Pixel]) -> bool {
        let (across, down) = (width.div_ceil(4), (pixels.len() / width).div_ceil(4));
        let mut data = self.data.chunks_exact(kind.bytes());
        for rows in pixels.chunks_mut(4 * width) {
            for (left, from) in (0..across).map(|x| 4 * x).zip(&mut data) {
                if left % PIECE == 0 {
                    look();
                }
                let block = kind.pixels(from);
                for (row, from) in rows.chunks_exact_mut(width).zip(block.as_chunks::<4>().0) {
                    row[left..].iter_mut().zip(from).for_each(|(to, from)| *to = *from);
                }
            }
        }
        self.data.len() / kind.bytes() >= across.saturating_mul(down)
    }
}

fn block(code: [u8; 4]) -> Result<Block> {
    match &code {
        b"DXT1" => Ok(Block::Bc1),
        b"DXT3" | b"DXT5" => Ok(Block::Bc3),
        b"ATI1" | b"BC4U" => Ok(Block::Bc4),
        b"ATI2" | b"BC5U" => Ok(Block::Bc5 { signed: false }),
        b"BC5S" => Ok(Block::Bc5 { signed: true }),
        _ => Err(unsupported(Dds, format_args!("pixels of the kind {}", code.escape_ascii()))),
    }
}

/// By the numbers of `DXGI_FORMAT`.
fn dxgi(format: u32) -> Result<Layout<'static>> {
    let block = match format {
        27..=29 => return Ok(Layout::Bytes(4, [0, 1, 2])),
        70..=72 => Block::Bc1,
        73..=78 => Block::Bc3,
        79 | 80 => Block::Bc4,
        82 | 83 => Block::Bc5 { signed: false },
        84 => Block::Bc5 { signed: true },
        94..=96 => return Err(unsupported(Dds, "blocks of BC6H")),
        97..=99 => return Err(unsupported(Dds, "blocks of BC7")),
        other => return Err(unsupported(Dds, format_args!("pixels of DXGI's format {other}"))),
    };
    Ok(Layout::Blocks(block))
}

/// Bits of a number that are a level.
#[derive(Clone, Copy)]
struct Scale {
    mask: u32,
    shift: u32,
    most: f64,
}

impl Scale {
    fn new(mask: u32) -> Self {
        let shift = if mask == 0 { 0 } else { mask.trailing_zeros() };
        Self { mask, shift, most: f64::from(mask >> shift) }
    }

    /// To 8 bits, by Pillow's floats. A channel without bits is 0.
    fn level(self, number: u32) -> u8 {
        if self.mask == 0 { 0 } else { (f64::from((number & self.mask) >> self.shift) / self.most * 255.0) as u8 }
    }
}

impl Block {
    fn bytes(self) -> usize {
        match self {
            Self::Bc1 | Self::Bc4 => 8,
            Self::Bc3 | Self::Bc5 { .. } => 16,
        }
    }

    /// `bytes`: as many as [`bytes`](Self::bytes) says.
    fn pixels(self, bytes: &[u8]) -> [Pixel; 16] {
        let halves = bytes.as_chunks::<8>().0;
        match self {
            Self::Bc1 => colours(halves[0], false),
            Self::Bc3 => colours(halves[1], true),
            Self::Bc4 => levels(halves[0], false).map(|level| [level; 3]),
            Self::Bc5 { signed } => {
                let (red, green) = (levels(halves[0], signed), levels(halves[1], signed));
                std::array::from_fn(|i| [red[i], green[i], if signed { 128 } else { 0 }])
            }
        }
    }
}

/// Two colours of 5, 6 and 5 bits, and for each pixel which of four that are made of them: of three, where the first is not the larger,
/// and black.
fn colours([a, b, c, d, which @ ..]: [u8; 8], four: bool) -> [Pixel; 16] {
    let (first, second) = (u16::from_le_bytes([a, b]), u16::from_le_bytes([c, d]));
    let (from, to) = (expanded(first), expanded(second));
    let blend = |by: [u16; 2]| {
        let sum = by[0] + by[1];
        std::array::from_fn(|i| ((by[0] * u16::from(from[i]) + by[1] * u16::from(to[i])) / sum) as u8)
    };
    let table: [Pixel; 4] = if four || first > second {
        [from, to, blend([2, 1]), blend([1, 2])]
    } else {
        [from, to, blend([1, 1]), [0; 3]]
    };
    let which = u32::from_le_bytes(which);
    std::array::from_fn(|i| table[(which >> (2 * i) & 3) as usize])
}

fn expanded(colour: u16) -> Pixel {
    let (red, green, blue) = ((colour >> 11) as u8, (colour >> 5 & 63) as u8, (colour & 31) as u8);
    [red << 3 | red >> 2, green << 2 | green >> 4, blue << 3 | blue >> 2]
}

/// Two levels, and for each pixel which of eight that are made of them: of six, where the first is not the larger, 0 and 255.
fn levels([first, second, which @ ..]: [u8; 8], signed: bool) -> [u8; 16] {
    // Signed ones lie around 128.
    let [first, second] = [first, second].map(|level| u16::from(if signed { level ^ 128 } else { level }));
    let between = |part: u16, parts: u16| (((parts - part) * first + part * second) / parts) as u8;
    let table: [u8; 8] = std::array::from_fn(|i| match i as u16 {
        0 => first as u8,
        1 => second as u8,
        i if first > second => between(i - 1, 7),
        6 => 0,
        7 => 255,
        i => between(i - 1, 5),
    });
    let [a, b, c, d, e, f] = which;
    let which = u64::from_le_bytes([a, b, c, d, e, f, 0, 0]);
    std::array::from_fn(|i| table[(which >> (3 * i) & 7) as usize])
}
