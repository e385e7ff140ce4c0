//! What of a picture is shown.

use crate::sps::Sps;
use crate::{Format, Row};

/// The part of a picture that is shown, and what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Of the part.
    pub format: Format,
    left: usize,
    top: usize,
}

impl Window {
    /// As the parameter set has it.
    pub fn new(sps: &Sps) -> Self {
        let (width, height) = sps.shown();
        let [left, _, top, _] = sps.crop;
        let format = Format { width, height, chroma: sps.chroma, depth: sps.depth, signal: sps.signal };
        Self { format, left, top }
    }

    /// Hands out the part of row `y` as coded, if any is shown. Chroma rows are those of that luma row.
    pub fn show(&self, y: usize, [luma, cb, cr]: [&[u16]; 3], sink: &mut dyn FnMut(Row)) {
        let Self { format, left, top } = *self;
        let Some(y) = y.checked_sub(top).filter(|&y| y < format.height) else { return };
        let (across, _) = format.chroma.shifts();
        fn part(line: &[u16], left: usize, width: usize, across: u32) -> &[u16] {
            let start = (left >> across).min(line.len());
            let end = (start + width.div_ceil(1 << across)).min(line.len());
            line.get(start..end).unwrap_or_default()
        }
        let chroma = |line| part(line, left, format.width, across);
        sink(Row { y, luma: part(luma, left, format.width, 0), cb: chroma(cb), cr: chroma(cr) });
    }
}
