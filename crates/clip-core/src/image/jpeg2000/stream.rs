//! A codestream's headers: sizes, and what the library makes of them before it decodes anything. Few bytes may ask for a hundred of them
//! for each coefficient, or for more work than anybody waits for.

use super::u16_be;
use crate::guarded::look;
use crate::image::reader::{slice, u8_at, u32_be};

/// Components of a picture, colours and others.
const MOST_COMPONENTS: usize = 5;
const MOST_LEVELS: u32 = 32;
/// Changes of the progression: each goes through all packets.
const MOST_CHANGES: usize = 32;
/// Ways of coding that differ: a file has one for all of its components, or one for each.
const MOST_STYLES: usize = 64;
/// Steps of a quantization: one for each band of all levels.
const MOST_STEPS: usize = 97;
/// Of a place, and of a precinct's side on the reference grid: the library computes both with 32 bits.
const LARGEST: u32 = 1 << 30;
/// Passes over the coefficients of a block.
const MOST_PASSES: usize = 164;
/// Nodes of trees that are visited for a coefficient, beside those of small pictures.
const MOST_NODES: usize = 8;
const NODES: usize = 1 << 22;

/// Bytes that the library keeps for a block, each of its layers, a segment, a precinct of a band, and a precinct's place in the
/// progression: three times what they are, as lists are copied while they grow.
const BLOCK: usize = 3 * (64 + 4 * 48);
const LAYER: usize = 3 * 24;
const SEGMENT: usize = 3 * 32;
const PRECINCT: usize = 3 * (48 + 2 * 48);
const PLACE: usize = 3 * 32;
/// The same for a tile, a component in it, and a part of it.
const TILE: usize = 512;
const TILE_COMPONENT: usize = 1024;
const TILE_PART: usize = 256;

/// Why a codestream is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    Damaged,
    Components(usize),
    /// Decoding would not end.
    TooMuch,
}

/// What the headers say.
pub struct Stream {
    pub components: usize,
    /// Bytes for tiles, precincts and blocks.
    pub structures: usize,
}

impl Stream {
    /// Width and height, which come first.
    pub fn size(stream: &[u8]) -> Option<(u32, u32)> {
        Size::read(stream).map(|size| size.image.into())
    }

    pub fn read(stream: &[u8]) -> Result<Self, Fault> {
        let size = Size::read(stream).ok_or(Fault::Damaged)?;
        if size.subsampling.len() > MOST_COMPONENTS {
            return Err(Fault::Components(size.subsampling.len()));
        }
        let headers = Headers::read(stream).ok_or(Fault::Damaged)?;
        let counts = size.counts(&headers).ok_or(Fault::Damaged)?;
        let [width, height] = size.image;
        let samples = size.subsampling.len().saturating_mul(width as usize).saturating_mul(height as usize);
        let most = samples.saturating_mul(MOST_NODES).saturating_add(NODES);
        if counts.nodes.saturating_mul(size.tiles) > most
            || headers.changes > MOST_CHANGES
            || headers.styles.len() > MOST_STYLES
        {
            return Err(Fault::TooMuch);
        }
        let structures = size.structures(&headers, &counts, stream.len()).ok_or(Fault::TooMuch)?;
        Ok(Self { components: size.subsampling.len(), structures })
    }
}

/// The first segment.
struct Size {
    image: [u32; 2],
    /// The part of a tile that is in the picture.
    tile: [u32; 2],
    tiles: usize,
    subsampling: Vec<[u32; 2]>,
}

impl Size {
    fn read(stream: &[u8]) -> Option<Self> {
        if stream.get(..4)? != b"\xff\x4f\xff\x51" {
            return None;
        }
        let pair = |at| Some([u32_be(stream, at)?, u32_be(stream, at + 4)?]);
        let [end, start, tile, first_tile] = [pair(8)?, pair(16)?, pair(24)?, pair(32)?];
        let components = usize::from(u16_be(stream, 40)?);
        if usize::from(u16_be(stream, 4)?) != 38 + 3 * components
            || components == 0
            || end.iter().any(|end| *end > LARGEST)
        {
            return None;
        }
        // Of one direction: the picture's side, that of a tile in it, and how many tiles there are.
        let along = |i: usize| {
            let side = end[i].checked_sub(start[i]).filter(|side| *side > 0)?;
            let of_tile = Some(tile[i]).filter(|side| *side > 0)?;
            Some((side, side.min(of_tile), end[i].checked_sub(first_tile[i])?.div_ceil(of_tile) as usize))
        };
        let (x, y) = (along(0)?, along(1)?);
        // Parts tell their tile with 16 bits.
        let tiles = x.2.checked_mul(y.2).filter(|tiles| *tiles <= usize::from(u16::MAX))?;
        let mut subsampling = Vec::new();
        for i in 0..components.min(MOST_COMPONENTS + 1) {
            let [x, y] = [u8_at(stream, 43 + 3 * i)?, u8_at(stream, 44 + 3 * i)?].map(u32::from);
            if x == 0 || y == 0 {
                return None;
            }
            subsampling.push([x, y]);
        }
        Some(Self { image: [x.0, y.0], tile: [x.1, y.1], tiles, subsampling })
    }

    /// What is made for the largest tile: for each component by the style that makes the most of each, whichever it has.
    fn counts(&self, headers: &Headers) -> Option<Counts> {
        let mut sum = Counts::default();
        for subsampling in &self.subsampling {
            let tile = [0, 1].map(|i| self.tile[i].div_ceil(subsampling[i]));
            let mut most = Counts::default();
            for style in &headers.styles {
                look();
                most = most.with(&style.counts(tile, *subsampling, headers.layers)?, usize::max);
            }
            sum = sum.with(&most, usize::saturating_add);
        }
        Some(sum)
    }

    fn structures(&self, headers: &Headers, counts: &Counts, bytes: usize) -> Option<usize> {
        let components = self.subsampling.len();
        // A segment takes three bits of a header, and a packet one.
        let segments = counts.segments.min(bytes.checked_mul(3)?);
        let packets = counts.places.checked_mul(headers.layers)?.min(bytes.checked_mul(8)?);
        let of_places = match headers.changes {
            0 => counts.places.checked_mul(PLACE)?,
            changes => counts.places.checked_mul(changes)?.checked_add(packets)?.checked_mul(PLACE)?,
        };
        let of_blocks = counts.blocks.checked_mul(BLOCK + headers.layers * LAYER)?;
        let of_precincts = counts.precincts.checked_mul(PRECINCT)?;
        let of_tiles = self.tiles * (TILE + components * TILE_COMPONENT) + headers.parts.checked_mul(TILE_PART)?;
        [segments.checked_mul(SEGMENT)?, of_places, of_precincts, of_tiles]
            .iter()
            .try_fold(of_blocks, |sum, more| sum.checked_add(*more))
    }
}

/// What is made for the components of a tile.
#[derive(Clone, Copy, Default)]
struct Counts {
    blocks: usize,
    segments: usize,
    /// In bands.
    precincts: usize,
    places: usize,
    /// Visited while the trees of precincts are made.
    nodes: usize,
}

impl Counts {
    fn with(&self, other: &Self, of_both: fn(usize, usize) -> usize) -> Self {
        Self {
            blocks: of_both(self.blocks, other.blocks),
            segments: of_both(self.segments, other.segments),
            precincts: of_both(self.precincts, other.precincts),
            places: of_both(self.places, other.places),
            nodes: of_both(self.nodes, other.nodes),
        }
    }
}

/// How components are coded, by one of the headers.
#[derive(PartialEq, Eq)]
struct Style {
    levels: u32,
    /// Powers of two, as the others.
    block: [u32; 2],
    /// Segments end with passes, and not with layers alone.
    is_terminated: bool,
    /// Of each resolution; where there are none they are as large as they can be.
    precincts: Vec<[u32; 2]>,
}

impl Style {
    fn counts(&self, tile: [u32; 2], subsampling: [u32; 2], layers: usize) -> Option<Counts> {
        let mut sum = Counts::default();
        for resolution in 0..=self.levels {
            let below = self.levels - resolution;
            let precinct = *self.precincts.get(resolution as usize).unwrap_or(&[15; 2]);
            let bands = if resolution == 0 { 1 } else { 3 };
            // Of one direction: precincts, blocks, and the levels of a precinct's trees.
            let along = |i: usize| {
                if (u64::from(subsampling[i]) << (precinct[i] + below)) > u64::from(LARGEST) {
                    return None;
                }
                let side = halved(tile[i], below);
                let in_band = if resolution == 0 { side } else { halved(tile[i], below + 1) };
                // Half as large in a band as in its resolution.
                let of_band = if resolution == 0 { precinct[i] } else { precinct[i].checked_sub(1)? };
                let block = self.block[i].min(of_band);
                // They need not begin where the tile does.
                let blocks = halved(in_band, block) + 1;
                let of_precinct = blocks.min(1 << (of_band - block));
                let levels = of_precinct.next_power_of_two().ilog2();
                Some((halved(side, precinct[i]) as usize + 1, blocks as usize, levels))
            };
            let (x, y) = (along(0)?, along(1)?);
            let places = x.0.checked_mul(y.0)?;
            let blocks = x.1.checked_mul(y.1)?.checked_mul(bands)?;
            let precincts = places.checked_mul(bands)?;
            // Two trees of a precinct, in which all four parts of each part are visited.
            let nodes = precincts.checked_mul(3 << (2 * x.2.max(y.2)))?;
            let segments = blocks.checked_mul(if self.is_terminated { MOST_PASSES } else { layers })?;
            sum = sum.with(&Counts { blocks, segments, precincts, places, nodes }, usize::saturating_add);
        }
        Some(sum)
    }
}

/// A side after so many divisions by two.
fn halved(side: u32, times: u32) -> u32 {
    u64::from(side).div_ceil(1 << times) as u32
}

/// What the main header and those of all parts say.
#[derive(Default)]
struct Headers {
    /// Each once, as any part of a file may say the same again.
    styles: Vec<Style>,
    layers: usize,
    changes: usize,
    parts: usize,
}

impl Headers {
    fn read(stream: &[u8]) -> Option<Self> {
        let mut headers = Self::default();
        let mut reader = Reader { stream, at: 2 };
        headers.segments(&mut reader, 0x90)?;
        while reader.marker()? == 0x90 {
            let start = reader.at;
            let part = reader.segment().filter(|part| part.len() == 8)?;
            let end = match u32_be(part, 2)? as usize {
                0 => stream.len(),
                length => start.checked_add(length)?,
            };
            headers.parts += 1;
            headers.segments(&mut reader, 0x93)?;
            // Data, behind a marker without a length.
            if reader.at + 2 > end {
                return None;
            }
            reader.at = end;
            // What comes after the last part is for the decoder to tell.
            if reader.marker().is_none() {
                break;
            }
        }
        (!headers.styles.is_empty()).then_some(headers)
    }

    fn add(&mut self, style: Style) {
        if self.styles.len() <= MOST_STYLES && !self.styles.contains(&style) {
            self.styles.push(style);
        }
    }

    /// Up to a marker. Lengths are as they have to be: the decoder does not look at all of them.
    fn segments(&mut self, reader: &mut Reader, last: u8) -> Option<()> {
        loop {
            look();
            let marker = reader.marker()?;
            if marker == last {
                return Some(());
            }
            match marker {
                0x30..=0x3f => {
                    reader.at += 2;
                    continue;
                }
                // Of tiles that end without data.
                0xd9 if last == 0x93 => return Some(()),
                _ => {}
            }
            let body = reader.segment()?;
            match marker {
                0x52 => {
                    let layers = usize::from(u16_be(body, 2)?);
                    self.layers = self.layers.max(layers);
                    self.add(style(body, 0, 5)?);
                }
                0x53 => self.add(style(body, 1, 2)?),
                0x5c => steps(body)?,
                0x5d => steps(body.get(1..)?)?,
                0x5e if body.len() == 3 => {}
                0x5f => self.changes += body.len() / 7,
                0x51 | 0x55 | 0x58 | 0x60 | 0x61 | 0x63 | 0x64 => {}
                _ => return None,
            }
        }
    }
}

struct Reader<'a> {
    stream: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn marker(&self) -> Option<u8> {
        u8_at(self.stream, self.at).filter(|byte| *byte == 0xff)?;
        u8_at(self.stream, self.at + 1)
    }

    /// The body of the segment here, which is left behind.
    fn segment(&mut self) -> Option<&'a [u8]> {
        let length = usize::from(u16_be(self.stream, self.at + 2)?);
        let body = slice(self.stream, self.at + 4, length.checked_sub(2)?)?;
        self.at += 2 + length;
        Some(body)
    }
}

/// `flags`, `levels`: where those are.
fn style(body: &[u8], flags: usize, levels: usize) -> Option<Style> {
    let (has_precincts, rest) = (u8_at(body, flags)? & 1 != 0, body.get(levels..)?);
    let (&[levels, width, height, passes, _], precincts) = rest.split_first_chunk()?;
    let levels = u32::from(levels);
    if levels > MOST_LEVELS || precincts.len() != if has_precincts { levels as usize + 1 } else { 0 } {
        return None;
    }
    Some(Style {
        levels,
        block: [width, height].map(|side| u32::from(side.min(8)) + 2),
        is_terminated: passes & 5 != 0,
        precincts: precincts.iter().map(|sides| [sides & 15, sides >> 4].map(u32::from)).collect(),
    })
}

/// Those of a quantization have a place each in every tile.
fn steps(body: &[u8]) -> Option<()> {
    let (kind, steps) = body.split_first()?;
    let is_right = match kind & 31 {
        0 => steps.len() <= MOST_STEPS,
        1 => steps.len() == 2,
        _ => steps.len() % 2 == 0 && steps.len() <= 2 * MOST_STEPS,
    };
    is_right.then_some(())
}
