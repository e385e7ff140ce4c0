//! JPEG: baseline and progressive; grey, YCbCr, RGB, CMYK and YCCK.
//!
//! `zune-jpeg` decodes and upsamples; the colour conversion is here, because it has to be libjpeg's and Pillow's to the
//! last bit, also for CMYK, and because the decoder guesses the colour space by other rules than libjpeg.

use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;
use zune_jpeg::JpegDecoder;

use super::decode::{Decoded, check_pixels, damaged, look};
use super::estimate::Need;
use super::format::Format::Jpeg;
use super::jpeg_scan::{Colour, head, scan};
use super::reader::Bytewise;
use super::ycc::{Levels, ycc_to_rgb};
use super::{Limits, Rgb8, exif};
use crate::Result;
use crate::memory::{with_capacity, zeroed};

/// Pixels converted between two looks.
const PIECE: usize = 1 << 16;

pub(super) fn decode(bytes: &[u8], limits: &Limits) -> Result<Decoded> {
    let scan = scan(bytes)?;
    let area = check_pixels(Jpeg, scan.width, scan.height, limits)?;
    let samples = decode_samples(&sealed(bytes.get(..scan.len).unwrap_or(bytes))?, scan.colour, area)?;
    let (pixels, levels) = to_pixels(samples, scan.colour)?;
    let orientation = exif::orientation(scan.exif, scan.xmp);
    Ok(Decoded { image: Rgb8 { width: scan.width, height: scan.height, pixels }, levels, orientation })
}

/// The picture with one bits before its end marker. No Huffman code consists of ones only, so they end a scan whose data
/// stop early with an error; the decoder would otherwise read on in zeros, which are valid codes, and fill up with grey.
/// A complete scan is decoded without them.
fn sealed(bytes: &[u8]) -> Result<Vec<u8>> {
    // Longer than any code and value. A byte of ones is stuffed with a byte of zeros.
    let ones = [0xff, 0].repeat(16);
    let (mut data, end) = bytes.split_at(bytes.len().saturating_sub(2));
    while let Some(rest) = data.strip_suffix(&[0xff]) {
        data = rest; // a fill byte before the marker
    }
    let mut sealed = with_capacity(data.len() + ones.len() + end.len())?;
    [data, &ones, end].iter().for_each(|part| sealed.extend_from_slice(part));
    Ok(sealed)
}

/// Samples, and what is made of them. Where a picture comes in several scans the decoder keeps two bytes for each coefficient, of
/// whole blocks, until it has seen the last one; it then reads nothing more.
pub(super) fn need(bytes: &[u8]) -> Option<Need> {
    let frame = head(bytes)?;
    let (width, height) = (frame.width as usize, frame.height as usize);
    let area = width.checked_mul(height)?;
    let channels = frame.components.len();
    let most =
        |side: fn(&(u8, u8)) -> u8| frame.sampling.iter().map(|s| usize::from(side(s)).max(1)).max().unwrap_or(1);
    let (across, down) = (most(|s| s.0), most(|s| s.1));
    let units = width.div_ceil(8 * across) * height.div_ceil(8 * down);
    let coefficients = |&(h, v): &(u8, u8)| 64 * units * (usize::from(h) * usize::from(v)).max(1);
    let kept = if frame.several_scans { 2 * frame.sampling.iter().map(coefficients).sum::<usize>() } else { 0 };
    let pixels = if channels == 3 { 3 } else { channels + 3 };
    // Rows of blocks on their way, before and after the chroma is spread.
    let rows = 400 * width;
    Some(Need {
        width: frame.width,
        height: frame.height,
        bytes: (channels * area + kept).max(pixels * area) + rows + 2 * bytes.len(),
        deaf: frame.several_scans,
    })
}

/// The samples as stored, 1, 3 or 4 per pixel, before any colour conversion.
fn decode_samples(bytes: &[u8], colour: Colour, area: usize) -> Result<Vec<u8>> {
    // Strict: a scan whose data end early is an error. The decoder's own default is to fill up with grey.
    let options = DecoderOptions::default()
        .set_strict_mode(true)
        .set_max_width(usize::from(u16::MAX))
        .set_max_height(usize::from(u16::MAX));
    let mut decoder = JpegDecoder::new_with_options(Bytewise::new(bytes), options);
    decoder.decode_headers().map_err(|e| damaged(Jpeg, e))?;
    let stored = decoder.input_colorspace().unwrap_or(ColorSpace::Unknown);
    let channels = match colour {
        Colour::Grey => 1,
        Colour::Rgb | Colour::YCbCr => 3,
        Colour::Cmyk | Colour::Ycck => 4,
    };
    if stored.num_components() != channels {
        return Err(damaged(Jpeg, format_args!("{} components, expected {channels}", stored.num_components())));
    }
    decoder.set_options(options.jpeg_set_out_colorspace(stored));
    let mut samples = zeroed(area * channels)?;
    if decoder.output_buffer_size() != Some(samples.len()) {
        return Err(damaged(Jpeg, "frame headers disagree"));
    }
    decoder.decode_into(&mut samples).map_err(|e| damaged(Jpeg, e))?;
    Ok(samples)
}

/// Three bytes a pixel. Those of YCbCr stay as they are.
fn to_pixels(samples: Vec<u8>, colour: Colour) -> Result<(Vec<u8>, Levels)> {
    let pixels = match colour {
        Colour::Rgb => samples,
        Colour::YCbCr => return Ok((samples, Levels::YCbCr)),
        Colour::Grey => {
            let mut pixels = zeroed(3 * samples.len())?;
            for (pixels, samples) in pixels.chunks_mut(3 * PIECE).zip(samples.chunks(PIECE)) {
                look();
                pixels.as_chunks_mut().0.iter_mut().zip(samples).for_each(|(p, &level)| *p = [level; 3]);
            }
            pixels
        }
        // Pillow takes every four-channel JPEG for an inverted one, as Adobe writes them (raw mode `CMYK;I`).
        Colour::Cmyk => four_to_rgb(&samples, |[c, m, y, k]| [255 - c, 255 - m, 255 - y, 255 - k])?,
        // libjpeg makes CMYK of YCCK as 255 - RGB; the inversion takes that back.
        Colour::Ycck => four_to_rgb(&samples, |[y, cb, cr, k]| {
            let [r, g, b] = ycc_to_rgb([y, cb, cr]);
            [r, g, b, 255 - k]
        })?,
    };
    Ok((pixels, Levels::Rgb))
}

fn four_to_rgb(samples: &[u8], to_cmyk: impl Fn([u8; 4]) -> [u8; 4]) -> Result<Vec<u8>> {
    let mut pixels = zeroed(samples.len() / 4 * 3)?;
    for (pixels, samples) in pixels.chunks_mut(3 * PIECE).zip(samples.chunks(4 * PIECE)) {
        look();
        let samples = samples.as_chunks::<4>().0;
        pixels.as_chunks_mut().0.iter_mut().zip(samples).for_each(|(p, s)| *p = cmyk_to_rgb(to_cmyk(*s)));
    }
    Ok(pixels)
}

/// `cmyk2rgb` of Pillow's `src/libImaging/Convert.c`: level = (255 - k) - ink × (255 - k) / 255.
pub(super) fn cmyk_to_rgb([c, m, y, k]: [u8; 4]) -> [u8; 3] {
    let white = 255 - i32::from(k);
    [c, m, y].map(|ink| {
        let product = i32::from(ink) * white + 128;
        (white - (((product >> 8) + product) >> 8)).clamp(0, 255) as u8
    })
}
