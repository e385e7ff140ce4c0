//! The one way in: guards in their order, then the format's decoder, then orientation.

#[cfg(feature = "more-formats")]
use super::Truncated;
use super::format::{Format, sniff};
use super::ycc::{Levels, ycc_pixels_to_rgb};
use super::{Limits, ReadOptions, Remarks, Rgb8, orient};
use crate::guarded::guarded;
use crate::{Error, Result};

/// What a format's decoder gives: the pixels as stored, and the EXIF orientation that turns them upright.
pub(super) struct Decoded {
    /// The picture as it is stored. Its pixels are RGB or still YCbCr, by `levels`.
    pub image: Rgb8,
    /// What the three bytes of a pixel are.
    pub levels: Levels,
    /// 1 to 8, of which 1 is upright.
    pub orientation: u8,
    /// Where the decoder made a smaller picture than there is.
    pub reduced: Option<Reduced>,
    /// Has the picture been cut, or its levels?
    pub remarks: Remarks,
}

/// A picture that was decoded smaller.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reduced {
    /// Width and height of the file's picture, as stored.
    pub whole: (u32, u32),
    /// What both were divided by. The last pixels may stand for less than those before.
    pub divisor: u32,
}

impl Decoded {
    /// A whole picture in RGB, without remarks.
    pub fn rgb(image: Rgb8, orientation: u8) -> Self {
        Self { image, levels: Levels::Rgb, orientation, reduced: None, remarks: Remarks::default() }
    }
}

/// Decodes an image of any [`Format`], applies the EXIF orientation and drops alpha. Of animations and multi-page
/// files it is the first picture.
///
/// The levels are those of `ImageOps.exif_transpose(Image.open(b)).convert("RGB")` in Pillow. Bytes after a complete
/// image do not matter.
///
/// ```
/// use clip_core::ErrorKind;
/// use clip_core::image::{Limits, decode};
///
/// let gif = b"GIF89a\x01\0\x01\0\x80\0\0\xff\xff\xff\0\0\0,\0\0\0\0\x01\0\x01\0\0\x02\x02D\x01\0;";
/// let picture = decode(gif, &Limits::default()).unwrap();
/// assert_eq!((picture.width, picture.height, &picture.pixels[..]), (1, 1, &[255, 255, 255][..]));
///
/// let error = decode(&gif[..20], &Limits::default()).unwrap_err();
/// assert_eq!(error.kind, ErrorKind::InvalidImage);
/// ```
///
/// # Errors
///
/// - `LimitExceeded` when the bytes or, by the header, the pixels exceed the limits
/// - `Unsupported` when the image is of a kind that no decoder here reads
/// - `InvalidImage` when it is damaged, truncated or no image at all
/// - `OutOfMemory` when the system refuses memory
pub fn decode(bytes: &[u8], limits: &Limits) -> Result<Rgb8> {
    Ok(decode_with(bytes, limits)?.0)
}

/// Decodes an image with choices, and says what has to be known of the picture.
///
/// A truncated one that is accepted has grey or black in the place of what is missing. Where that is all, it is an
/// error even so.
///
/// Fails as [`decode`] does.
pub fn decode_with(bytes: &[u8], options: impl Into<ReadOptions>) -> Result<(Rgb8, Remarks)> {
    let mut picture = stored(bytes, &options.into())?;
    if picture.levels == Levels::YCbCr {
        ycc_pixels_to_rgb(&mut picture.image.pixels);
    }
    Ok((orient::apply(picture.image, picture.orientation)?, picture.remarks))
}

/// Decodes an image, and leaves its pixels as they are stored: neither turned nor converted to RGB. A decoder's panic
/// is `InvalidImage`.
pub(super) fn stored(bytes: &[u8], options: &ReadOptions) -> Result<Decoded> {
    check_bytes(bytes.len(), &options.limits)?;
    let format = sniff(bytes)?;
    // A decoder that panics on damaged input must not take its caller's process or transaction with it.
    let decoded = guarded(|| format.decode(bytes, options));
    let decoded = decoded.unwrap_or_else(|| Err(damaged(format, "decoder failed")))?;
    check_buffer(&decoded.image)?;
    // Of a picture that is one colour nothing was decoded, or nothing that tells it from others.
    if decoded.remarks.incomplete.is_some() && is_flat(&decoded.image) {
        return Err(truncated(format));
    }
    Ok(decoded)
}

/// The first guard: `LimitExceeded` for a file of too many bytes.
pub(super) fn check_bytes(given: usize, limits: &Limits) -> Result<()> {
    if given > limits.max_bytes {
        return Err(Error::limit(format!("image of {given} bytes exceeds the limit of {} bytes", limits.max_bytes))
            .with_hint("A superuser may raise clip.max_image_bytes; of pgclip it is --max-image-bytes."));
    }
    Ok(())
}

/// Every decoder calls this with the header's size, before it allocates. Returns width × height.
///
/// `InvalidImage` where a side is zero, `LimitExceeded` where there are too many pixels.
pub(super) fn check_pixels(format: Format, width: u32, height: u32, limits: &Limits) -> Result<usize> {
    if width == 0 || height == 0 {
        return Err(damaged(format, format_args!("size is {width} x {height} pixels")));
    }
    let pixels = u64::from(width) * u64::from(height);
    // The second bound keeps `3 * pixels` and its like within `usize` on every machine.
    if pixels > limits.max_pixels || pixels > (isize::MAX as u64) / 16 {
        return Err(Error::limit(format!(
            "image of {width} x {height} pixels exceeds the limit of {} pixels",
            limits.max_pixels
        ))
        .with_hint("A superuser may raise clip.max_image_pixels; of pgclip it is --max-image-pixels."));
    }
    Ok(pixels as usize)
}

/// Is every pixel of one colour?
fn is_flat(image: &Rgb8) -> bool {
    let pixels = image.pixels.as_chunks::<3>().0;
    pixels.windows(2).all(|pair| pair[0] == pair[1])
}

/// Has the decoder given three bytes a pixel? What follows relies on it, so another number is `Internal`.
fn check_buffer(image: &Rgb8) -> Result<()> {
    if image.pixels.len() as u64 != 3 * u64::from(image.width) * u64::from(image.height) {
        return Err(Error::internal(format!(
            "decoder returned {} bytes for {} x {} pixels",
            image.pixels.len(),
            image.width,
            image.height
        )));
    }
    Ok(())
}

/// `InvalidImage`: the file contradicts its format.
pub(super) fn damaged(format: Format, what: impl std::fmt::Display) -> Error {
    Error::invalid_image(format!("damaged {} image: {what}", format.name()))
}

/// `InvalidImage`: the file ends before the picture does.
pub(super) fn truncated(format: Format) -> Error {
    Error::invalid_image(format!("truncated {} image", format.name()))
}

/// The mark of a picture that is not whole, where such are accepted; `InvalidImage` where they are not.
#[cfg(feature = "more-formats")]
pub(super) fn incomplete(format: Format, whole: bool, options: &ReadOptions) -> Result<Option<Format>> {
    match options.truncated {
        _ if whole => Ok(None),
        Truncated::Accept => Ok(Some(format)),
        Truncated::Refuse => Err(truncated(format)),
    }
}

/// `Unsupported`: the file may be sound, and is of a variant that is not read.
pub(super) fn unsupported(format: Format, what: impl std::fmt::Display) -> Error {
    Error::unsupported(format!("{} image is not supported: {what}", format.name()))
}
