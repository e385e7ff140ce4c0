//! Raw files of cameras: which they are, and the JPEGs in them.
//!
//! They hold what the sensor saw, which is no picture yet, and JPEGs that the camera made of it. Those are parts of the file as it lies
//! there: nothing is decoded but their headers, and nothing is copied.

mod boxes;
mod directories;

use jpeg_levels::Decoder;

use super::decode::check_bytes;
use super::reader::{slice, u32_be};
use super::{Limits, sniff};
use crate::guarded::{guarded, look};
use crate::{Error, Result};
use directories::Directories;

/// JPEGs of a file whose headers are read. Real ones have up to five.
const MOST_JPEGS: usize = 32;

/// What to do with a raw file.
pub(super) const HINT: &str = "Embed the camera's own picture of it, which clip_image_preview gives.";

/// The largest JPEG in a raw file of a camera, as a part of `bytes`: DNG, CR2, NEF, ARW and others that are made like
/// TIFF; CR3; RAF.
///
/// `None` where there is none, and for images that are no raw files: `coalesce` then goes on with the image itself.
///
/// # Errors
///
/// `LimitExceeded` where the bytes are too many. For bytes that are of no known kind, what [`sniff`] fails with.
pub fn preview<'a>(bytes: &'a [u8], limits: &Limits) -> Result<Option<&'a [u8]>> {
    check_bytes(bytes.len(), limits)?;
    if kind(bytes).is_none() {
        sniff(bytes)?;
        return Ok(None);
    }
    let mut largest = None;
    let (mut most, mut left) = (0, MOST_JPEGS);
    let searched = guarded(|| {
        each(bytes, &mut |jpeg| {
            // Another one may begin anywhere in what was read before.
            let Some(fewer) = left.checked_sub(1).filter(|_| jpeg.starts_with(JPEG)) else { return };
            left = fewer;
            look();
            let area = area(jpeg).unwrap_or(0);
            if area > most {
                (most, largest) = (area, Some(jpeg));
            }
        });
    });
    searched.map(|()| largest).ok_or_else(|| Error::invalid_image("damaged raw file: decoder failed"))
}

/// The name of a raw format, where the bytes are of one.
pub(super) fn kind(bytes: &[u8]) -> Option<&'static str> {
    if bytes.starts_with(FUJIFILM) {
        return Some("RAF");
    }
    if boxes::is_cr3(bytes) {
        return Some("CR3");
    }
    Directories::new(bytes)?.raw_kind()
}

const JPEG: &[u8] = b"\xff\xd8\xff";
const FUJIFILM: &[u8] = b"FUJIFILMCCD-RAW";

/// Parts of the file that may be JPEGs.
fn each<'a>(bytes: &'a [u8], found: &mut dyn FnMut(&'a [u8])) {
    if bytes.starts_with(FUJIFILM) {
        let place = u32_be(bytes, 84).zip(u32_be(bytes, 88));
        if let Some(jpeg) = place.and_then(|(at, len)| slice(bytes, at as usize, len as usize)) {
            found(jpeg);
        }
    } else if boxes::is_cr3(bytes) {
        boxes::each(bytes, found);
    } else if let Some(directories) = Directories::new(bytes) {
        directories.each_jpeg(found);
    }
}

/// Pixels of a JPEG that can be read: raw data are JPEGs, too, of a kind that cannot.
fn area(jpeg: &[u8]) -> Option<usize> {
    let decoder = Decoder::new(jpeg).ok()?;
    Some(decoder.width().saturating_mul(decoder.height()))
}
