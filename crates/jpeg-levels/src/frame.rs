//! The frame header, and what follows from it. Follows `get_sof` of `jdmarker.c`, `initial_setup` of `jdinput.c`,
//! `default_decompress_parms` of `jdapimin.c` and `_jinit_upsampler` of `jdsample.c`.

use crate::error::{Error, Result, Unsupported};

/// How the samples encode colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colour {
    /// One component.
    Grey,
    /// Two components, of which libjpeg does not know what they are.
    Unknown,
    /// JFIF's YCbCr, of ITU-R BT.601 with full range.
    YCbCr,
    /// Red, green and blue as they are.
    Rgb,
    /// Inks as they are.
    Cmyk,
    /// YCbCr of inverted inks, and black.
    Ycck,
}

/// How a component becomes as large as the picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Upsampling {
    /// It is as large already.
    None,
    /// Twice as wide, by the triangle filter.
    Across,
    /// Twice as high, by the triangle filter.
    Down,
    /// Twice as wide and high, by the triangle filter.
    Both,
    /// Every sample so many times across and down.
    Repeat(usize, usize),
}

/// What a frame header says of a component, and what follows from it.
#[derive(Clone, Debug)]
pub struct Component {
    /// By which scan headers name it.
    pub id: u8,
    /// Blocks in a unit of all components, across: 1 to 4.
    pub h: usize,
    /// Blocks in a unit of all components, down: 1 to 4.
    pub v: usize,
    /// Number of its quantization table.
    pub table: u8,
    /// Samples across, those that only fill up the last blocks not among them.
    pub width: usize,
    /// Samples down, those that only fill up the last blocks not among them.
    pub height: usize,
    /// Blocks across with at least one of these samples.
    pub blocks_across: usize,
    /// Blocks down with at least one of these samples.
    pub blocks_down: usize,
    /// Samples that a block becomes, across and down: 8, and less where the picture is decoded smaller.
    pub size: usize,
    /// How it becomes as large as the picture.
    pub upsampling: Upsampling,
}

impl Component {
    /// Without the triangle filter.
    pub fn repeat(&mut self) {
        self.upsampling = match self.upsampling {
            Upsampling::Across => Upsampling::Repeat(2, 1),
            Upsampling::Down => Upsampling::Repeat(1, 2),
            Upsampling::Both => Upsampling::Repeat(2, 2),
            other => other,
        };
    }
}

/// A frame header.
#[derive(Clone, Debug)]
pub struct Frame {
    /// Pixels of a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// In the file's order.
    pub components: Vec<Component>,
    /// Scans have bands and bits of coefficients.
    pub progressive: bool,
    /// Entropy coding is arithmetic, else Huffman's.
    pub arithmetic: bool,
    /// Rows of pixels in a row of units: eight for each block, and less where the picture is decoded smaller.
    pub unit_rows: usize,
    /// Units of all components in a row.
    pub units_across: usize,
    /// Rows of them.
    pub units_down: usize,
}

/// What a frame header's marker tells.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    progressive: bool,
    arithmetic: bool,
}

impl Kind {
    /// By the header's marker, from SOF0 on. Lossless and hierarchical ones are refused.
    pub fn new(marker: u8) -> Result<Self> {
        match marker {
            0xc0 | 0xc1 | 0xc2 | 0xc9 | 0xca => {}
            0xc3 | 0xcb => return Err(Error::Unsupported(Unsupported::Lossless)),
            _ => return Err(Error::Unsupported(Unsupported::Hierarchical)),
        }
        Ok(Self { progressive: matches!(marker, 0xc2 | 0xca), arithmetic: marker >= 0xc9 })
    }
}

/// What the APP0 and APP14 segments say of the colours.
#[derive(Clone, Copy, Debug, Default)]
pub struct Hints {
    /// There is a JFIF segment: three components are YCbCr.
    pub jfif: bool,
    /// The transform of an Adobe segment: 0 none, 1 YCbCr, 2 YCCK.
    pub adobe: Option<u8>,
}

impl Frame {
    /// Reads a frame header's segment, without its length. `None` where that was too short.
    pub fn read(kind: Kind, segment: Option<&[u8]>) -> Result<Self> {
        const SHORT: Error = Error::Damaged("frame header is too short");
        let segment = segment.ok_or(SHORT)?;
        let ([precision, h1, h0, w1, w0, count], table) = segment.split_first_chunk().ok_or(SHORT)?;
        let height = usize::from(u16::from_be_bytes([*h1, *h0]));
        let width = usize::from(u16::from_be_bytes([*w1, *w0]));
        if height == 0 && width > 0 && *count > 0 {
            return Err(Error::Unsupported(Unsupported::LateHeight));
        }
        if width == 0 || *count == 0 {
            return Err(Error::Damaged("picture is empty"));
        }
        if table.len() != 3 * usize::from(*count) {
            return Err(Error::Damaged("frame header is of another length than its components need"));
        }
        match precision {
            8 => {}
            2..=16 => return Err(Error::Unsupported(Unsupported::Precision(*precision))),
            _ => return Err(Error::Damaged("bits per sample are out of range")),
        }
        if !(1..=4).contains(count) {
            return Err(Error::Unsupported(Unsupported::Components(*count)));
        }
        Self::new(width, height, table, kind)
    }

    fn new(width: usize, height: usize, table: &[u8], kind: Kind) -> Result<Self> {
        let mut factors: Vec<_> =
            table.as_chunks::<3>().0.iter().map(|c| (usize::from(c[1] >> 4), usize::from(c[1] & 15))).collect();
        if factors.iter().any(|&(h, v)| !(1..=4).contains(&h) || !(1..=4).contains(&v)) {
            return Err(Error::Damaged("sampling factor is out of range"));
        }
        if let ([only], false) = (&mut factors[..], kind.progressive) {
            // Its blocks come one by one whatever the factors are. Of a progressive picture the smoothing looks at them.
            *only = (1, 1);
        }
        let (across, down) = most(factors.iter().copied());
        let component = |(c, &(h, v)): (&[u8; 3], &(usize, usize))| {
            let samples = ((width * h).div_ceil(across), (height * v).div_ceil(down));
            Ok(Component {
                id: c[0],
                h,
                v,
                table: c[2],
                width: samples.0,
                height: samples.1,
                blocks_across: (width * h).div_ceil(8 * across),
                blocks_down: (height * v).div_ceil(8 * down),
                size: 8,
                upsampling: upsampling((h, v), (across, down), samples.0, true)?,
            })
        };
        let components = table.as_chunks::<3>().0.iter().zip(&factors).map(component).collect::<Result<_>>()?;
        Ok(Self {
            width,
            height,
            components,
            progressive: kind.progressive,
            arithmetic: kind.arithmetic,
            unit_rows: 8 * down,
            units_across: width.div_ceil(8 * across),
            units_down: height.div_ceil(8 * down),
        })
    }

    /// Makes of each block so many samples across and down, instead of eight: 4, 2 or 1. Chroma that has fewer samples than the
    /// picture keeps as many of them as the picture gets. `jpeg_calc_output_dimensions` of `jdmaster.c`.
    pub fn reduce(&mut self, least: usize) -> Result<()> {
        let (width, height) = (self.width, self.height);
        let (across, down) = most(self.components.iter().map(|c| (c.h, c.v)));
        for c in &mut self.components {
            let doubles = |size: usize| {
                (across * least).is_multiple_of(2 * c.h * size) && (down * least).is_multiple_of(2 * c.v * size)
            };
            c.size = least;
            while c.size < 8 && doubles(c.size) {
                c.size *= 2;
            }
            c.width = (width * c.h * c.size).div_ceil(8 * across);
            c.height = (height * c.v * c.size).div_ceil(8 * down);
            let samples = (c.h * c.size / least, c.v * c.size / least);
            c.upsampling = upsampling(samples, (across, down), c.width, least > 1)?;
        }
        self.width = (width * least).div_ceil(8);
        self.height = (height * least).div_ceil(8);
        self.unit_rows = least * down;
        Ok(())
    }

    /// `default_decompress_parms` of `jdapimin.c`.
    pub fn colour(&self, hints: Hints) -> Colour {
        let ids: Vec<u8> = self.components.iter().map(|c| c.id).collect();
        match (&ids[..], hints.adobe) {
            ([_], _) => Colour::Grey,
            ([_, _, _], _) if hints.jfif => Colour::YCbCr,
            ([_, _, _], Some(0)) => Colour::Rgb,
            ([_, _, _], Some(_)) => Colour::YCbCr,
            ([b'R', b'G', b'B'], None) => Colour::Rgb,
            ([_, _, _], None) => Colour::YCbCr,
            ([_, _, _, _], None | Some(0)) => Colour::Cmyk,
            ([_, _, _, _], Some(_)) => Colour::Ycck,
            _ => Colour::Unknown,
        }
    }

    /// Bytes that a row of units has as coefficients.
    pub fn coefficient_row(&self) -> usize {
        self.components.iter().map(|c| 128 * c.h * c.v * self.units_across).sum()
    }

    /// Blocks of all components.
    pub fn blocks(&self) -> usize {
        self.components.iter().map(|c| c.blocks_across * c.blocks_down).sum()
    }
}

/// libjpeg's `JPEG_MAX_DIMENSION`.
pub const MOST: usize = 65500;

/// The largest factors of all components, across and down.
fn most(factors: impl Iterator<Item = (usize, usize)>) -> (usize, usize) {
    factors.fold((1, 1), |most, (h, v)| (most.0.max(h), most.1.max(v)))
}

/// Of `h` and `v` samples in the place of `across` and `down` pixels. `filter`: by the triangle filter, where it can be.
fn upsampling(
    (h, v): (usize, usize),
    (across, down): (usize, usize),
    width: usize,
    filter: bool,
) -> Result<Upsampling> {
    Ok(match (h == across, 2 * h == across, v == down, 2 * v == down) {
        (true, _, true, _) => Upsampling::None,
        // Two samples and less are repeated.
        (_, true, true, _) if filter && width > 2 => Upsampling::Across,
        (true, _, _, true) if filter => Upsampling::Down,
        (_, true, _, true) if filter && width > 2 => Upsampling::Both,
        _ if across.is_multiple_of(h) && down.is_multiple_of(v) => Upsampling::Repeat(across / h, down / v),
        _ => return Err(Error::Unsupported(Unsupported::FractionalSampling)),
    })
}
