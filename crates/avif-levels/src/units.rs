//! AV1's open bitstream units (section 5.3), and which of them make a frame.

use std::borrow::Cow;

use crate::error::{Error, Result};

/// `obu_type`.
pub mod kind {
    pub const SEQUENCE_HEADER: u8 = 1;
    pub const TEMPORAL_DELIMITER: u8 = 2;
    pub const FRAME_HEADER: u8 = 3;
    pub const TILE_GROUP: u8 = 4;
    pub const FRAME: u8 = 6;
    pub const REDUNDANT_FRAME_HEADER: u8 = 7;
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unit<'a> {
    pub kind: u8,
    pub spatial_layer: u8,
    /// Of an extension, which tells the layers.
    extension: Option<u8>,
    /// Its size is there, and it does not just go on to the end.
    sized: bool,
    pub payload: &'a [u8],
}

impl Unit<'_> {
    /// Belongs to the layers of an operating point (`drop_obu`, section 5.9.1's `OperatingPointIdc`).
    pub fn is_of(&self, operating_point_idc: u16) -> bool {
        let layer = |byte: u8| {
            let (temporal, spatial) = (byte >> 5, (byte >> 3) & 3);
            operating_point_idc >> temporal & 1 == 1 && operating_point_idc >> (spatial + 8) & 1 == 1
        };
        operating_point_idc == 0 || self.extension.is_none_or(layer)
    }
}

/// The units in some bytes. After an error there are no more.
#[derive(Clone, Copy, Debug)]
pub struct Units<'a>(pub &'a [u8]);

impl<'a> Units<'a> {
    fn read(&mut self) -> Result<Unit<'a>> {
        const SHORT: Error = Error::Av1("a unit ends after the data do");
        let (&header, mut rest) = self.0.split_first().ok_or(SHORT)?;
        if header & 0x80 != 0 {
            return Err(Error::Av1("a unit begins with a forbidden bit"));
        }
        let mut extension = None;
        if header & 4 != 0 {
            let (&byte, after) = rest.split_first().ok_or(SHORT)?;
            (extension, rest) = (Some(byte), after);
        }
        // The last one may have no size.
        let sized = header & 2 != 0;
        let len = if sized { leb128(&mut rest).ok_or(SHORT)? } else { rest.len() };
        let (payload, rest) = rest.split_at_checked(len).ok_or(SHORT)?;
        self.0 = rest;
        let spatial_layer = extension.map_or(0, |byte| (byte >> 3) & 3);
        Ok(Unit { kind: (header >> 3) & 15, spatial_layer, extension, sized, payload })
    }
}

impl<'a> Iterator for Units<'a> {
    type Item = Result<Unit<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let unit = self.read();
        if unit.is_err() {
            self.0 = &[];
        }
        Some(unit)
    }
}

fn leb128(bytes: &mut &[u8]) -> Option<usize> {
    let mut value = 0u64;
    for i in 0..8 {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << (7 * i);
        if byte & 0x80 == 0 {
            return u32::try_from(value).ok().map(|value| value as usize);
        }
    }
    None
}

/// What a decoder is given at a time.
#[derive(Debug)]
pub struct Step<'a> {
    /// The first unit.
    pub first: Unit<'a>,
    /// Units with their sizes.
    pub bytes: Cow<'a, [u8]>,
}

impl Step<'_> {
    /// Tile groups, in their order, of a frame whose header has so many bits.
    pub fn groups(&self, header: usize) -> Result<Vec<&[u8]>> {
        let mut groups = Vec::new();
        for unit in Units(&self.bytes) {
            let unit = unit?;
            match unit.kind {
                kind::FRAME => groups.push(unit.payload.get(header.div_ceil(8)..).unwrap_or_default()),
                kind::TILE_GROUP => groups.push(unit.payload),
                _ => {}
            }
        }
        Ok(groups)
    }
}

/// Sequence headers, and frames: a unit that holds all of one, or its header with the tiles that follow.
#[derive(Debug)]
pub struct Steps<'a> {
    rest: &'a [u8],
}

impl<'a> Steps<'a> {
    pub fn new(data: &'a [u8]) -> Self {
        Self { rest: data }
    }

    fn read(&mut self) -> Result<Option<Step<'a>>> {
        let mut units = Units(self.rest);
        let (start, first) = loop {
            let start = units.0;
            let Some(unit) = units.next() else { return Ok(None) };
            let unit = unit?;
            if matches!(unit.kind, kind::SEQUENCE_HEADER | kind::FRAME_HEADER | kind::FRAME) {
                break (start, unit);
            }
        };
        let mut last = first;
        if first.kind == kind::FRAME_HEADER {
            let mut ahead = units;
            while let Some(unit) = ahead.next() {
                let unit = unit?;
                match unit.kind {
                    kind::TILE_GROUP | kind::REDUNDANT_FRAME_HEADER => (units, last) = (ahead, unit),
                    kind::SEQUENCE_HEADER | kind::TEMPORAL_DELIMITER | kind::FRAME_HEADER | kind::FRAME => break,
                    _ => {}
                }
            }
        }
        self.rest = units.0;
        let len = start.len() - units.0.len();
        let bytes = start.get(..len).unwrap_or_default();
        let bytes = if last.sized { Cow::Borrowed(bytes) } else { with_size(bytes, last)? };
        Ok(Some(Step { first, bytes }))
    }
}

impl<'a> Iterator for Steps<'a> {
    type Item = Result<Step<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        let step = self.read();
        if step.is_err() {
            self.rest = &[];
        }
        step.transpose()
    }
}

/// The same units, the last of which is `last`, with its size.
fn with_size<'a>(bytes: &'a [u8], last: Unit<'a>) -> Result<Cow<'a, [u8]>> {
    let header = 1 + usize::from(last.extension.is_some());
    let before = bytes.len().checked_sub(last.payload.len() + header).and_then(|at| bytes.get(..at));
    let before = before.unwrap_or_default();
    let mut copy = Vec::new();
    copy.try_reserve_exact(bytes.len() + 8).map_err(|_| Error::OutOfMemory(bytes.len()))?;
    copy.extend_from_slice(before);
    copy.push((last.kind << 3) | 2 | if last.extension.is_some() { 4 } else { 0 });
    copy.extend(last.extension);
    let mut size = last.payload.len();
    while size > 0x7f {
        copy.push(size as u8 | 0x80);
        size >>= 7;
    }
    copy.push(size as u8);
    copy.extend_from_slice(last.payload);
    Ok(Cow::Owned(copy))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_with_what_belongs_to_them() {
        // Delimiter, sequence header, frame header, padding, two tile groups, a frame without a size.
        let data =
            [&[0x12, 0][..], &[0x0a, 1, 7], &[0x1a, 2, 1, 2], &[0x7a, 0], &[0x22, 1, 3], &[0x22, 1, 4], &[0x30, 9, 8]];
        let data = data.concat();
        let steps: Vec<_> = Steps::new(&data).map(Result::unwrap).collect();
        assert_eq!(steps.len(), 3);
        assert_eq!((steps[0].first.kind, &*steps[0].bytes), (kind::SEQUENCE_HEADER, &data[2..5]));
        assert_eq!((steps[1].first.kind, &*steps[1].bytes), (kind::FRAME_HEADER, &data[5..17]));
        assert_eq!((steps[2].first.kind, &*steps[2].bytes), (kind::FRAME, &[0x32, 2, 9, 8][..]));
        assert!(matches!(steps[1].bytes, Cow::Borrowed(_)) && matches!(steps[2].bytes, Cow::Owned(_)));
    }

    #[test]
    fn layers_and_sizes() {
        let long = [&[0x36, 0x08, 0xc8, 0x01][..], &[5; 200]].concat();
        let unit = Units(&long).next().unwrap().unwrap();
        assert_eq!((unit.kind, unit.spatial_layer, unit.payload.len()), (kind::FRAME, 1, 200));
        let unsized_unit = [&[0x34, 0x08][..], &[5; 200]].concat();
        let steps: Vec<_> = Steps::new(&unsized_unit).map(Result::unwrap).collect();
        assert_eq!(&*steps[0].bytes, long);
    }

    #[test]
    fn sizes_that_look_like_headers() {
        let data = [&[0x32, 0x80, 0x30][..], &[5; 0x1800]].concat();
        let step = Steps::new(&data).next().unwrap().unwrap();
        assert!(matches!(step.bytes, Cow::Borrowed(_)) && *step.bytes == data);
    }

    #[test]
    fn damage_ends_it() {
        for data in
            [&[0x32][..], &[0x32, 2, 1], &[0x92, 0], &[0x36], &[0x32, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]]
        {
            let steps: Vec<_> = Steps::new(data).collect();
            assert!(matches!(steps[..], [Err(Error::Av1(_))]), "{data:?}: {steps:?}");
        }
        assert!(Steps::new(&[]).next().is_none());
    }
}
