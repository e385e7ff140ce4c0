//! How levels become RGB: libavif's choice by the numbers of ISO/IEC 23091-2.

use crate::error::{Error, Result, Unsupported};
use crate::planes::{Kind, Subsampling};
use crate::primaries;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Colour {
    pub primaries: u16,
    pub matrix: u16,
    pub full_range: bool,
}

/// libyuv's numbers, with six bits behind the point. Luma is of 16 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Integers {
    pub luma: u32,
    pub offset: i32,
    pub blue_by_u: i32,
    pub green_by_u: i32,
    pub green_by_v: i32,
    pub red_by_v: i32,
}

const fn integers([luma, offset, blue_by_u, green_by_u, green_by_v, red_by_v]: [i32; 6]) -> Integers {
    Integers { luma: luma as u32, offset, blue_by_u, green_by_u, green_by_v, red_by_v }
}

// Where 128 is a factor it would be more, but libyuv's vector code has 8 bits for it.
const FULL_601: Integers = integers([16320, 32, 113, 22, 46, 90]);
const FULL_709: Integers = integers([16320, 32, 119, 12, 30, 101]);
const FULL_2020: Integers = integers([16320, 32, 120, 11, 37, 94]);
const LIMITED_601: Integers = integers([18997, -1160, 128, 25, 52, 102]);
const LIMITED_709: Integers = integers([18997, -1160, 128, 14, 34, 115]);
const LIMITED_2020: Integers = integers([19003, -1160, 128, 12, 42, 107]);

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Matrix {
    /// The weights of red and blue in luma.
    Weights {
        red: f32,
        blue: f32,
    },
    /// Green, blue and red as they are.
    Identity,
    YCgCo,
    /// With two more bits for chroma, from which 8 bits come back exactly.
    YCgCoRe,
}

const IDENTITY: u16 = 0;
const YCGCO: u16 = 8;
const YCGCO_RE: u16 = 16;
const CHROMA_DERIVED: u16 = 12;

impl Colour {
    /// Where libyuv has this matrix.
    pub fn integers(self, kind: Kind) -> Option<Integers> {
        // Grey has no matrix, and may say anything.
        let matrix = if kind.chroma.is_none() && self.matrix == IDENTITY { 6 } else { self.matrix };
        let known = match (matrix, self.primaries) {
            (1, _) | (CHROMA_DERIVED, 1 | 2) => (FULL_709, LIMITED_709),
            (2 | 5 | 6, _) | (CHROMA_DERIVED, 5 | 6) => (FULL_601, LIMITED_601),
            (9, _) | (CHROMA_DERIVED, 9) => (FULL_2020, LIMITED_2020),
            _ => return None,
        };
        Some(if self.full_range { known.0 } else { known.1 })
    }

    /// Fails where libavif does.
    pub fn matrix(self, kind: Kind) -> Result<Matrix> {
        let number = self.matrix;
        let not_of = |what| Err(Error::Unsupported(Unsupported::MatrixOf(number, what)));
        let full_chroma = kind.chroma.is_none_or(|chroma| chroma == Subsampling { across: false, down: false });
        match number {
            IDENTITY if !full_chroma => not_of("with subsampled chroma"),
            YCGCO | YCGCO_RE if !self.full_range => not_of("of limited range"),
            YCGCO_RE if kind.depth != 10 => not_of("of other than 10 bits"),
            IDENTITY => Ok(Matrix::Identity),
            YCGCO => Ok(Matrix::YCgCo),
            YCGCO_RE => Ok(Matrix::YCgCoRe),
            1 => Ok(Matrix::Weights { red: 0.2126, blue: 0.0722 }),
            2 | 5 | 6 => Ok(Matrix::Weights { red: 0.299, blue: 0.114 }),
            4 => Ok(Matrix::Weights { red: 0.30, blue: 0.11 }),
            7 => Ok(Matrix::Weights { red: 0.212, blue: 0.087 }),
            9 => Ok(Matrix::Weights { red: 0.2627, blue: 0.0593 }),
            CHROMA_DERIVED => {
                let (red, blue) = primaries::weights(self.primaries);
                Ok(Matrix::Weights { red, blue })
            }
            _ => Err(Error::Unsupported(Unsupported::Matrix(number))),
        }
    }
}
