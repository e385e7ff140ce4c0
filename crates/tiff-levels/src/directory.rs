//! The first directory of a file: tags and where their values lie. Follows `ImageFileDirectory_v2.load` of Pillow: of a tag that
//! occurs twice the first one counts.

use crate::error::{Error, Result};

/// Numbers of tags that a picture depends on (TIFF 6.0, appendix A; Technical Notes 1 and 2; XMP specification).
pub mod tag {
    /// ImageWidth.
    pub const WIDTH: u16 = 256;
    /// ImageLength.
    pub const HEIGHT: u16 = 257;
    /// BitsPerSample, a number for each sample.
    pub const BITS: u16 = 258;
    /// Compression.
    pub const COMPRESSION: u16 = 259;
    /// PhotometricInterpretation.
    pub const COLOURS: u16 = 262;
    /// FillOrder: 2 where the first pixel is in the lowest bit.
    pub const FILL_ORDER: u16 = 266;
    /// StripOffsets.
    pub const STRIP_OFFSETS: u16 = 273;
    /// Orientation, EXIF's number.
    pub const ORIENTATION: u16 = 274;
    /// SamplesPerPixel.
    pub const SAMPLES: u16 = 277;
    /// RowsPerStrip.
    pub const ROWS_PER_STRIP: u16 = 278;
    /// StripByteCounts.
    pub const STRIP_LENGTHS: u16 = 279;
    /// PlanarConfiguration: 2 where each sample has a plane.
    pub const PLANES: u16 = 284;
    /// T4Options: the lowest bit stands for two dimensions.
    pub const GROUP3_OPTIONS: u16 = 292;
    /// Predictor.
    pub const PREDICTOR: u16 = 317;
    /// ColorMap: all reds, then greens, then blues, of 16 bits.
    pub const COLOUR_MAP: u16 = 320;
    /// TileWidth.
    pub const TILE_WIDTH: u16 = 322;
    /// TileLength.
    pub const TILE_HEIGHT: u16 = 323;
    /// TileOffsets.
    pub const TILE_OFFSETS: u16 = 324;
    /// TileByteCounts.
    pub const TILE_LENGTHS: u16 = 325;
    /// ExtraSamples: what follows the colours.
    pub const EXTRA_SAMPLES: u16 = 338;
    /// SampleFormat: 1 unsigned, 2 signed, 3 floats.
    pub const SAMPLE_FORMAT: u16 = 339;
    /// JPEGTables, of new-style JPEG.
    pub const JPEG_TABLES: u16 = 347;
    /// JPEGInterchangeFormat: where a stream begins, of old-style JPEG.
    pub const JPEG_STREAM: u16 = 513;
    /// JPEGInterchangeFormatLength.
    pub const JPEG_STREAM_LENGTH: u16 = 514;
    /// JPEGRestartInterval.
    pub const JPEG_RESTARTS: u16 = 515;
    /// JPEGQTables: where they lie.
    pub const JPEG_STEPS: u16 = 519;
    /// JPEGDCTables: where they lie.
    pub const JPEG_DC: u16 = 520;
    /// JPEGACTables: where they lie.
    pub const JPEG_AC: u16 = 521;
    /// YCbCrCoefficients.
    pub const LUMA: u16 = 529;
    /// YCbCrSubSampling, across and down.
    pub const SUBSAMPLING: u16 = 530;
    /// ReferenceBlackWhite.
    pub const BLACK_WHITE: u16 = 532;
    /// An XMP packet.
    pub const XMP: u16 = 700;
}

use tag::*;

/// Those that are read.
const READ: [u16; 32] = [
    WIDTH,
    HEIGHT,
    BITS,
    COMPRESSION,
    COLOURS,
    FILL_ORDER,
    STRIP_OFFSETS,
    ORIENTATION,
    SAMPLES,
    ROWS_PER_STRIP,
    STRIP_LENGTHS,
    PLANES,
    GROUP3_OPTIONS,
    PREDICTOR,
    COLOUR_MAP,
    TILE_WIDTH,
    TILE_HEIGHT,
    TILE_OFFSETS,
    TILE_LENGTHS,
    EXTRA_SAMPLES,
    SAMPLE_FORMAT,
    JPEG_TABLES,
    JPEG_STREAM,
    JPEG_STREAM_LENGTH,
    JPEG_RESTARTS,
    JPEG_STEPS,
    JPEG_DC,
    JPEG_AC,
    LUMA,
    SUBSAMPLING,
    BLACK_WHITE,
    XMP,
];

/// Those that a picture may lose.
const SPARE: [u16; 6] = [ORIENTATION, STRIP_LENGTHS, TILE_LENGTHS, LUMA, BLACK_WHITE, XMP];

/// The first directory, and the file around it.
#[derive(Clone, Debug)]
pub struct Directory<'a> {
    /// The whole file.
    pub data: &'a [u8],
    /// The low byte of a number comes first.
    pub little: bool,
    /// By their tags, each at most once.
    entries: Vec<Entry>,
}

/// A tag, and where its values lie.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    tag: u16,
    kind: u16,
    /// Values that it has.
    pub count: usize,
    /// Where its values lie, which are all inside of the file.
    at: usize,
}

impl Entry {
    /// One whole number. A byte is none for Pillow: it may be text.
    pub fn is_one_number(&self) -> bool {
        self.count == 1 && matches!(self.kind, 3 | 4 | 6 | 8 | 9 | 13 | 16..=18)
    }
}

impl<'a> Directory<'a> {
    /// Reads the header and the first directory, classic or BigTIFF. Entries of other tags are passed over.
    pub fn read(data: &'a [u8]) -> Result<Self> {
        let mut directory = Self { data, little: false, entries: Vec::new() };
        // The order of the version number is not looked at, as by Pillow: some writers have it wrong.
        let (little, big) = match data.first_chunk() {
            Some(b"II\x2a\0" | b"II\0\x2a") => (true, false),
            Some(b"MM\0\x2a" | b"MM\x2a\0") => (false, false),
            Some(b"II\x2b\0") => (true, true),
            Some(b"MM\0\x2b") => (false, true),
            _ => return Err(Error::NotTiff),
        };
        directory.little = little;
        let place = if big { directory.u64_at(8) } else { directory.u32_at(4).map(u64::from) };
        let place = place.and_then(|at| usize::try_from(at).ok()).ok_or(Error::Truncated)?;
        directory.read_entries(place, big)?;
        Ok(directory)
    }

    fn read_entries(&mut self, place: usize, big: bool) -> Result<()> {
        let count = if big { self.u64_at(place) } else { self.u16_at(place).map(u64::from) };
        let count = count.ok_or(Error::Truncated)?;
        let (size, head) = if big { (20, 8) } else { (12, 2) };
        let count = usize::try_from(count).ok().filter(|&count| count <= self.data.len() / size);
        for i in 0..count.ok_or(Error::Truncated)? {
            let at = place + head + i * size;
            if at + size > self.data.len() {
                return Err(Error::Truncated);
            }
            let (Some(tag), Some(kind)) = (self.u16_at(at), self.u16_at(at + 2)) else { break };
            if READ.contains(&tag) && self.find(tag).is_none() {
                match self.entry(tag, kind, at, big) {
                    Some(entry) => self.entries.push(entry),
                    // Pillow goes on as if the tag were not there, with other pixels.
                    None if !SPARE.contains(&tag) && !self.is_empty_at(at, big) => return Err(Error::Truncated),
                    None => {}
                }
            }
        }
        Ok(())
    }

    /// `None` where the values are not in the file, or of a type that does not exist.
    fn entry(&self, tag: u16, kind: u16, at: usize, big: bool) -> Option<Entry> {
        let (count, value, inside) =
            if big { (self.u64_at(at + 4)?, at + 12, 8) } else { (self.u32_at(at + 4)?.into(), at + 8, 4) };
        let count = usize::try_from(count).ok().filter(|&count| count > 0)?;
        let bytes = size_of_kind(kind)?.checked_mul(count)?;
        let at = match (bytes <= inside, big) {
            (true, _) => value,
            (false, true) => usize::try_from(self.u64_at(value)?).ok()?,
            (false, false) => self.u32_at(value)? as usize,
        };
        at.checked_add(bytes).filter(|&end| end <= self.data.len())?;
        Some(Entry { tag, kind, count, at })
    }

    /// An entry without values is as good as none.
    fn is_empty_at(&self, at: usize, big: bool) -> bool {
        let count = if big { self.u64_at(at + 4) } else { self.u32_at(at + 4).map(u64::from) };
        count == Some(0)
    }

    fn bytes_at<const N: usize>(&self, at: usize) -> Option<[u8; N]> {
        self.data.get(at..at.checked_add(N)?)?.try_into().ok()
    }

    fn u16_at(&self, at: usize) -> Option<u16> {
        self.bytes_at(at).map(if self.little { u16::from_le_bytes } else { u16::from_be_bytes })
    }

    fn u32_at(&self, at: usize) -> Option<u32> {
        self.bytes_at(at).map(if self.little { u32::from_le_bytes } else { u32::from_be_bytes })
    }

    fn u64_at(&self, at: usize) -> Option<u64> {
        self.bytes_at(at).map(if self.little { u64::from_le_bytes } else { u64::from_be_bytes })
    }

    /// The entry of a tag.
    pub fn find(&self, tag: u16) -> Option<Entry> {
        self.entries.iter().find(|entry| entry.tag == tag).copied()
    }

    /// Value `i` of an entry, a whole number that is not negative. `None` for any other.
    pub fn value(&self, entry: Entry, i: usize) -> Option<usize> {
        if i >= entry.count {
            return None;
        }
        let at = |size: usize| entry.at.checked_add(i.checked_mul(size)?);
        let value: u64 = match entry.kind {
            1 => (*self.data.get(at(1)?)?).into(),
            6 => i8::from_le_bytes(self.bytes_at(at(1)?)?).try_into().ok()?,
            3 => self.u16_at(at(2)?)?.into(),
            8 => (self.u16_at(at(2)?)? as i16).try_into().ok()?,
            4 | 13 => self.u32_at(at(4)?)?.into(),
            9 => (self.u32_at(at(4)?)? as i32).try_into().ok()?,
            16 | 18 => self.u64_at(at(8)?)?,
            17 => (self.u64_at(at(8)?)? as i64).try_into().ok()?,
            _ => return None,
        };
        usize::try_from(value).ok()
    }

    /// The first value of a tag.
    pub fn first(&self, tag: u16) -> Option<usize> {
        self.value(self.find(tag)?, 0)
    }

    /// The values of a tag, at most `most` of them, up to the first that is no whole number.
    pub fn values(&self, tag: u16, most: usize) -> Vec<usize> {
        let Some(entry) = self.find(tag) else { return Vec::new() };
        (0..entry.count.min(most)).map_while(|i| self.value(entry, i)).collect()
    }

    /// Any number.
    pub fn number(&self, entry: Entry, i: usize) -> Option<f32> {
        if i >= entry.count {
            return None;
        }
        let at = |size: usize| entry.at.checked_add(i.checked_mul(size)?);
        Some(match entry.kind {
            5 => {
                let (over, under) = (self.u32_at(at(8)?)?, self.u32_at(at(8)? + 4)?);
                // As libtiff has it.
                if under == 0 { 0.0 } else { (f64::from(over) / f64::from(under)) as f32 }
            }
            10 => {
                let (over, under) = (self.u32_at(at(8)?)? as i32, self.u32_at(at(8)? + 4)? as i32);
                if under == 0 { 0.0 } else { (f64::from(over) / f64::from(under)) as f32 }
            }
            11 => f32::from_bits(self.u32_at(at(4)?)?),
            12 => f64::from_bits(self.u64_at(at(8)?)?) as f32,
            _ => self.value(entry, i)? as f32,
        })
    }

    /// The bytes of an entry that holds bytes.
    pub fn bytes(&self, tag: u16) -> Option<&'a [u8]> {
        let entry = self.find(tag).filter(|entry| matches!(entry.kind, 1 | 6 | 7))?;
        self.data.get(entry.at..entry.at.checked_add(entry.count)?)
    }
}

/// Bytes of a value, by its type.
fn size_of_kind(kind: u16) -> Option<usize> {
    Some(match kind {
        1 | 2 | 6 | 7 => 1,
        3 | 8 => 2,
        4 | 9 | 11 | 13 => 4,
        5 | 10 | 12 | 16..=18 => 8,
        _ => return None,
    })
}
