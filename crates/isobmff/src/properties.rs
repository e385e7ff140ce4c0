//! What is said of an item beside its data: `iprp`.

use crate::FourCc;
use crate::av1::Av1Config;
use crate::boxes::{Atom, find};
use crate::cursor::Cursor;
use crate::error::{Error, Result};
use crate::hevc::HevcConfig;
use crate::lists::{first, push};

/// What a box in `ipco` or in a sample entry says of a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Property<'a> {
    /// `ispe`: the picture's size in pixels, before any turn.
    Size {
        /// Pixels across.
        width: u32,
        /// Pixels down.
        height: u32,
    },
    /// `pixi`: the bits of each channel.
    Depths(&'a [u8]),
    /// `colr` with numbers.
    Nclx(Nclx),
    /// `colr` with an ICC profile.
    Profile(&'a [u8]),
    /// `irot`: quarter turns to the left, 0 to 3.
    Rotation(u8),
    /// `imir`: 0 turns top and bottom round, 1 left and right.
    Mirror(u8),
    /// `clap`: the part of the picture that is shown.
    Crop(CleanAperture),
    /// `auxC`: what an auxiliary picture is, as a URN.
    Auxiliary(&'a [u8]),
    /// `hvcC`.
    Hevc(HevcConfig<'a>),
    /// `av1C`.
    Av1(Av1Config<'a>),
    /// `pasp`: width and height of a pixel, of which the quotient counts.
    PixelAspect {
        /// The width, in any unit.
        horizontal: u32,
        /// The height, in that unit.
        vertical: u32,
    },
    /// `lsel`: which spatial layer to show.
    Layer(u16),
    /// `a1op`: which operating point of AV1 to decode.
    OperatingPoint(u8),
    /// Any other box.
    Other(Atom<'a>),
}

/// Coding-independent code points (ISO/IEC 23091-2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nclx {
    /// ColourPrimaries: 1 BT.709, 9 BT.2020, 12 Display P3.
    pub primaries: u16,
    /// TransferCharacteristics: 1 BT.709, 13 sRGB, 16 PQ, 18 HLG.
    pub transfer: u16,
    /// MatrixCoefficients: 0 RGB, 1 BT.709, 5 and 6 BT.601, 9 BT.2020.
    pub matrix: u16,
    /// Samples have the full range, not the one of video.
    pub full_range: bool,
}

/// The part of a picture that is shown, in fractions of pixels: numerator and denominator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CleanAperture {
    /// Pixels across.
    pub width: (u32, u32),
    /// Pixels down.
    pub height: (u32, u32),
    /// From the picture's centre to the part's, to the right.
    pub horizontal: (i32, u32),
    /// From the picture's centre to the part's, down.
    pub vertical: (i32, u32),
}

/// A property of an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Associated<'a> {
    /// What is said of the item.
    pub property: Property<'a>,
    /// Whoever does not know it must not show the item.
    pub essential: bool,
}

impl<'a> Property<'a> {
    /// What a box in `ipco`, or in a sample entry, says.
    pub fn read(atom: Atom<'a>) -> Result<Self> {
        let mut cursor = Cursor::new(atom.body);
        let full = || -> Result<Cursor<'a>> { Ok(atom.full()?.2) };
        Ok(match &atom.kind {
            b"ispe" => {
                cursor = full()?;
                Self::Size { width: cursor.u32()?, height: cursor.u32()? }
            }
            b"pixi" => {
                cursor = full()?;
                let channels = usize::from(cursor.u8()?);
                Self::Depths(cursor.take(channels)?)
            }
            b"colr" => match &cursor.array::<4>()? {
                b"nclx" => Self::Nclx(Nclx {
                    primaries: cursor.u16()?,
                    transfer: cursor.u16()?,
                    matrix: cursor.u16()?,
                    full_range: cursor.u8()? & 0x80 != 0,
                }),
                b"prof" | b"rICC" => Self::Profile(cursor.rest()),
                _ => Self::Other(atom),
            },
            b"irot" => Self::Rotation(cursor.u8()? & 3),
            b"imir" => Self::Mirror(cursor.u8()? & 1),
            b"clap" => Self::Crop(CleanAperture {
                width: (cursor.u32()?, cursor.u32()?),
                height: (cursor.u32()?, cursor.u32()?),
                horizontal: (cursor.i32()?, cursor.u32()?),
                vertical: (cursor.i32()?, cursor.u32()?),
            }),
            b"auxC" => Self::Auxiliary(full()?.text()),
            b"hvcC" => Self::Hevc(HevcConfig::read(atom.body)?),
            b"av1C" => Self::Av1(Av1Config::read(atom.body)?),
            b"pasp" => Self::PixelAspect { horizontal: cursor.u32()?, vertical: cursor.u32()? },
            b"lsel" => Self::Layer(cursor.u16()?),
            b"a1op" => Self::OperatingPoint(cursor.u8()?),
            _ => Self::Other(atom),
        })
    }
}

/// The properties of all items, and whose they are.
#[derive(Clone, Debug, Default)]
pub struct Properties<'a> {
    container: Vec<Atom<'a>>,
    associations: Vec<Association<'a>>,
}

/// Those of an item, by their numbers, which stay where they are.
#[derive(Clone, Copy, Debug)]
struct Association<'a> {
    id: u32,
    numbers: &'a [u8],
    wide: bool,
}

impl<'a> Properties<'a> {
    /// The properties in an `iprp` box, and the associations of all `ipma` boxes there.
    pub fn read(iprp: &Atom<'a>) -> Result<Self> {
        let mut properties = Self::default();
        if let Some(ipco) = find(iprp.children()?, b"ipco")? {
            for atom in ipco.children()? {
                push(&mut properties.container, atom?)?;
            }
        }
        for atom in iprp.children()? {
            let atom = atom?;
            if atom.kind == *b"ipma" {
                associate(&atom, &mut properties.associations)?;
            }
        }
        properties.associations.sort_by_key(|association| association.id);
        Ok(properties)
    }

    /// Those of an item, in the file's order. An item may have a property that is not there, which is `Damaged`.
    pub fn of(&self, id: u32) -> impl Iterator<Item = Result<Associated<'a>>> + '_ {
        let found = first(&self.associations, id, |association| association.id);
        let (numbers, wide) = found.map_or((Default::default(), false), |found| (found.numbers, found.wide));
        let mut cursor = Cursor::new(numbers);
        std::iter::from_fn(move || {
            loop {
                let number = if wide { cursor.u16() } else { cursor.u8().map(u16::from) }.ok()?;
                let top = if wide { 0x8000 } else { 0x80 };
                // Number 0 stands for no property, and some cameras write it.
                if let Some(place) = (number & (top - 1)).checked_sub(1) {
                    let atom = self
                        .container
                        .get(usize::from(place))
                        .ok_or(Error::Damaged("an item has a property that is not there"));
                    let property = atom.and_then(|&atom| Property::read(atom));
                    return Some(property.map(|property| Associated { property, essential: number & top != 0 }));
                }
            }
        })
    }
}

fn associate<'a>(ipma: &Atom<'a>, associations: &mut Vec<Association<'a>>) -> Result<()> {
    let (version, flags, mut cursor) = ipma.full()?;
    let wide = flags & 1 != 0;
    for _ in 0..cursor.u32()? {
        let id = cursor.wide(version > 0)?;
        let count = usize::from(cursor.u8()?);
        let numbers = cursor.take(count * if wide { 2 } else { 1 })?;
        push(associations, Association { id, numbers, wide })?;
    }
    Ok(())
}

impl Associated<'_> {
    /// The type of a box that has no meaning here.
    pub fn unknown(&self) -> Option<FourCc> {
        match self.property {
            Property::Other(atom) => Some(atom.kind),
            _ => None,
        }
    }
}
