//! The boxes around a codestream (ISO/IEC 18181-2). A file may also be the codestream alone.

use std::borrow::Cow;

use crate::error::{Error, Result};

const SIGNATURE: &[u8] = b"\0\0\0\x0cJXL \r\n\x87\n";

/// Empty ones would be gone through for long.
const MOST_BOXES: usize = 1 << 20;

/// What a file has in its boxes.
#[derive(Debug)]
pub struct Container<'a> {
    /// The codestream, put together where it is in parts.
    pub codestream: Cow<'a, [u8]>,
    /// The metadata, without the offset before them.
    pub exif: Option<&'a [u8]>,
    pub xmp: Option<&'a [u8]>,
    /// How to make a JPEG of the codestream.
    pub jpeg: Option<&'a [u8]>,
}

impl<'a> Container<'a> {
    pub fn read(bytes: &'a [u8]) -> Result<Self> {
        let mut container = Self { codestream: Cow::default(), exif: None, xmp: None, jpeg: None };
        if bytes.starts_with(b"\xff\x0a") {
            container.codestream = Cow::Borrowed(bytes);
            return Ok(container);
        }
        if !bytes.starts_with(SIGNATURE) {
            return Err(Error::NotJxl);
        }
        for (count, (kind, body)) in Boxes(bytes).enumerate() {
            if count >= MOST_BOXES {
                return Err(Error::TooMuch("its boxes"));
            }
            match &kind {
                b"Exif" if container.exif.is_none() => container.exif = behind_offset(body),
                b"xml " if container.xmp.is_none() => container.xmp = Some(body),
                b"jbrd" if container.jpeg.is_none() => container.jpeg = Some(body),
                _ => {}
            }
        }
        container.codestream = codestream(bytes)?;
        Ok(container)
    }
}

/// The codestream of a file's boxes.
fn codestream(bytes: &[u8]) -> Result<Cow<'_, [u8]>> {
    let parts = || {
        Boxes(bytes).filter_map(|(kind, body)| match &kind {
            b"jxlc" => Some(body),
            // Behind a number.
            b"jxlp" => Some(body.get(4..).unwrap_or_default()),
            _ => None,
        })
    };
    let len = parts().map(<[u8]>::len).sum();
    match parts().find(|part| !part.is_empty()) {
        None => Ok(Cow::default()),
        Some(part) if part.len() == len => Ok(Cow::Borrowed(part)),
        Some(_) => {
            let mut whole = Vec::new();
            whole.try_reserve_exact(len).map_err(|_| Error::OutOfMemory(len))?;
            parts().for_each(|part| whole.extend_from_slice(part));
            Ok(Cow::Owned(whole))
        }
    }
}

/// EXIF data begin at an offset, which is nearly always 0. Pillow's plugin writes none.
fn behind_offset(body: &[u8]) -> Option<&[u8]> {
    if body.starts_with(b"II\x2a\0") || body.starts_with(b"MM\0\x2a") {
        return Some(body);
    }
    let (offset, rest) = body.split_first_chunk()?;
    rest.get(u32::from_be_bytes(*offset) as usize..)
}

/// Boxes one after the other, up to one that is not whole.
pub struct Boxes<'a>(pub &'a [u8]);

impl<'a> Iterator for Boxes<'a> {
    type Item = ([u8; 4], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (size, rest) = self.0.split_first_chunk()?;
        let (kind, mut rest) = rest.split_first_chunk::<4>()?;
        let body = match u32::from_be_bytes(*size) {
            // To the end of the file.
            0 => rest.len(),
            1 => {
                let (size, after) = rest.split_first_chunk()?;
                rest = after;
                usize::try_from(u64::from_be_bytes(*size)).ok()?.checked_sub(16)?
            }
            size => (size as usize).checked_sub(8)?,
        };
        // Of one that was cut off, what there is.
        let (body, rest) = rest.split_at(body.min(rest.len()));
        self.0 = rest;
        Some((*kind, body))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_boxes_than_a_picture_has() {
        let of = |boxes: usize| [SIGNATURE, &b"\0\0\0\x08free".repeat(boxes)].concat();
        // The signature is one of them.
        assert!(Container::read(&of(MOST_BOXES - 1)).is_ok());
        assert!(matches!(Container::read(&of(MOST_BOXES)), Err(Error::TooMuch(_))));
    }
}
