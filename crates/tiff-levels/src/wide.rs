//! Grey of more than 8 bits, and of floats: which levels it becomes.

use crate::samples::Number;

/// What is made of a wide grey value before it is clipped to 0..=255: `(value - from) * factor`. The default is Pillow's, which is the
/// value as it is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scale {
    /// The value that becomes 0.
    pub from: f64,
    /// Levels for each 1 of value.
    pub factor: f64,
}

impl Default for Scale {
    fn default() -> Self {
        Self { from: 0.0, factor: 1.0 }
    }
}

impl Scale {
    /// What is no number becomes 0, and is not in the range.
    pub(crate) fn level(self, value: f64, range: &mut Range) -> u8 {
        if value.is_finite() {
            range.darkest = range.darkest.min(value);
            range.brightest = range.brightest.max(value);
        }
        ((value - self.from) * self.factor).clamp(0.0, 255.0) as u8
    }
}

/// The wide grey of a picture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Range {
    /// Infinite where there is no number.
    pub darkest: f64,
    /// Minus infinity where there is no number.
    pub brightest: f64,
    /// Whole numbers, no floats.
    pub whole: bool,
}

impl Range {
    /// No value yet, of such numbers.
    pub(crate) fn of(number: Number) -> Self {
        Self { darkest: f64::INFINITY, brightest: f64::NEG_INFINITY, whole: number != Number::F32 }
    }

    /// The range of both, of the same numbers.
    pub(crate) fn and(self, other: Self) -> Self {
        let (darkest, brightest) = (self.darkest.min(other.darkest), self.brightest.max(other.brightest));
        Self { darkest, brightest, ..self }
    }
}
