//! What headers say of a picture, and what is wrong with it.

use oxideav_av1::sequence_header::{SequenceHeader, parse_sequence_header};

use crate::colour::Colour;
use crate::error::{Error, Result, Unsupported};
use crate::planes::{Kind, Subsampling};
use crate::tile::Tile;
use crate::units::{Units, kind};

/// What the first sequence header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    pub kind: Kind,
    pub colour: Colour,
    /// There may be film grain.
    pub grain: bool,
}

impl Header {
    pub fn read(data: &[u8]) -> Result<Self> {
        for unit in Units(data) {
            let unit = unit?;
            if unit.kind == kind::SEQUENCE_HEADER {
                return Ok(Self::of(&parse_sequence_header(unit.payload).map_err(fault)?));
            }
        }
        Err(Error::Av1("no sequence header"))
    }

    pub fn of(header: &SequenceHeader) -> Self {
        let config = &header.color_config;
        let subsampling = Subsampling { across: config.subsampling_x, down: config.subsampling_y };
        let kind = Kind { depth: config.bit_depth, chroma: (!config.mono_chrome).then_some(subsampling) };
        let colour = Colour {
            primaries: config.color_primaries.into(),
            matrix: config.matrix_coefficients.into(),
            full_range: config.color_range,
        };
        Self { kind, colour, grain: header.film_grain_params_present }
    }
}

/// A frame has the tile's size.
pub fn fits((width, height): (u32, u32), tile: &Tile<'_>) -> Result<()> {
    if (width, height) == (tile.width, tile.height) {
        return Ok(());
    }
    let larger = width > tile.width || height > tile.height;
    Err(if larger { LARGER } else { Error::Unsupported(Unsupported::Scaled) })
}

pub const LARGER: Error = Error::Damaged("a frame is larger than the picture");

pub fn fault(error: oxideav_av1::Error) -> Error {
    match error {
        oxideav_av1::Error::PictureSizeExceedsLimit => LARGER,
        oxideav_av1::Error::UnexpectedEnd => Error::Av1("a unit ends early"),
        _ => Error::Av1("the data are damaged"),
    }
}
