//! The chunks of a PNG, before and beside the decoder: checksums of those that a picture depends on, and the metadata.

use std::borrow::Cow;

use super::decode::damaged;
use super::format::Format::Png;
use super::reader::{array, slice, u32_be};
use crate::Result;
use crate::guarded::look;

/// Bytes of a text that is deflated, as in Pillow.
const LONGEST_TEXT: usize = 1 << 20;

/// Metadata as they lie in the file, or inflated.
type Block<'a> = Option<Cow<'a, [u8]>>;

/// Kind and data of each chunk, as far as the file has them, and where the data lie.
pub(super) fn chunks(bytes: &[u8]) -> impl Iterator<Item = ([u8; 4], usize, &[u8])> {
    let mut at = 8usize;
    std::iter::from_fn(move || {
        let (len, kind) = (u32_be(bytes, at)? as usize, array::<4>(bytes, at.checked_add(4)?)?);
        let start = at + 8;
        let data = slice(bytes, start, len)?;
        at = start + len + 4;
        Some((kind, start, data))
    })
}

/// Header and palette have to be as their checksums say. Those of the pixels do not matter, as in Pillow, nor do those of all
/// else, which says nothing of the pixels.
pub(super) fn check(bytes: &[u8]) -> Result<()> {
    for (kind, at, data) in chunks(bytes).take_while(|(kind, ..)| kind != b"IDAT") {
        if !matches!(&kind, b"IHDR" | b"PLTE") {
            continue;
        }
        // Neither is long in a file that the decoder takes.
        let given = u32_be(bytes, at + data.len());
        if data.len() > 768 || given != Some(crc32(&[&kind, data])) {
            return Err(damaged(Png, format_args!("wrong checksum of {}", kind.escape_ascii())));
        }
    }
    Ok(())
}

fn crc32(parts: &[&[u8]]) -> u32 {
    let bit = |crc: u32| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 };
    let byte = |crc: u32, byte: &u8| (0..8).fold(crc ^ u32::from(*byte), |crc, _| bit(crc));
    !parts.iter().copied().flatten().fold(!0, byte)
}

/// The EXIF block (from `eXIf`, or from ImageMagick's hexadecimal text) and the XMP packet. Of several the last one counts.
pub(super) fn metadata(bytes: &[u8]) -> (Block<'_>, Block<'_>) {
    let (mut exif, mut profile, mut xmp) = (None, None, None);
    for (kind, _, data) in chunks(bytes).take_while(|(kind, ..)| kind != b"IEND") {
        look();
        if &kind == b"eXIf" {
            exif = Some(Cow::Borrowed(data));
        } else if let Some((keyword, text)) = text(&kind, data) {
            match keyword {
                b"Raw profile type exif" => profile = raw_profile(&text).or(profile),
                b"XML:com.adobe.xmp" => xmp = Some(text),
                _ => {}
            }
        }
    }
    (exif.or(profile.map(Cow::Owned)), xmp)
}

/// Keyword and text of a chunk of any of the three kinds. Only texts that are looked for are inflated.
fn text<'a>(kind: &[u8; 4], data: &'a [u8]) -> Option<(&'a [u8], Cow<'a, [u8]>)> {
    if !matches!(kind, b"tEXt" | b"zTXt" | b"iTXt") {
        return None;
    }
    let (keyword, rest) = split(data)?;
    if !matches!(keyword, b"Raw profile type exif" | b"XML:com.adobe.xmp") {
        return None;
    }
    let text = match kind {
        b"tEXt" => Cow::Borrowed(rest),
        b"zTXt" => Cow::Owned(inflate(rest.strip_prefix(b"\0")?)?),
        _ => {
            let (&[flag, method], rest) = rest.split_first_chunk::<2>()?;
            let text = split(split(rest)?.1)?.1;
            match (flag, method) {
                (0, _) => Cow::Borrowed(text),
                (_, 0) => Cow::Owned(inflate(text)?),
                _ => return None,
            }
        }
    };
    Some((keyword, text))
}

/// What is before and behind the first zero.
fn split(data: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = memchr::memchr(0, data)?;
    Some((&data[..end], &data[end + 1..]))
}

fn inflate(data: &[u8]) -> Option<Vec<u8>> {
    fdeflate::decompress_to_vec_bounded(data, LONGEST_TEXT).ok()
}

/// ImageMagick's `Raw profile type exif`: a line feed, the name, the length, then hexadecimal digits in lines.
fn raw_profile(text: &[u8]) -> Option<Vec<u8>> {
    let digits: Vec<u8> =
        text.splitn(4, |b| *b == b'\n').nth(3)?.iter().copied().filter(|b| !b.is_ascii_whitespace()).collect();
    let digit = |b: u8| (b as char).to_digit(16).map(|d| d as u8);
    digits.as_chunks::<2>().0.iter().map(|[hi, lo]| Some(digit(*hi)? << 4 | digit(*lo)?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn png(chunks: &[(&[u8; 4], &[u8])]) -> Vec<u8> {
        let mut file = b"\x89PNG\r\n\x1a\n".to_vec();
        for (kind, data) in chunks {
            file.extend((data.len() as u32).to_be_bytes());
            file.extend(*kind);
            file.extend(*data);
            file.extend(crc32(&[*kind, data]).to_be_bytes());
        }
        file
    }

    fn found(png: &[u8]) -> (Option<Vec<u8>>, Option<Vec<u8>>) {
        let (exif, xmp) = metadata(png);
        (exif.map(Cow::into_owned), xmp.map(Cow::into_owned))
    }

    #[test]
    fn checksums_of_what_the_picture_depends_on() {
        assert_eq!(crc32(&[b"123456789"]), 0xcbf4_3926);
        let good =
            png(&[(b"IHDR", &[1; 13]), (b"tEXt", b"a\0b"), (b"PLTE", &[7; 6]), (b"IDAT", &[1]), (b"PLTE", &[8])]);
        check(&good).unwrap();
        let mut refused = Vec::new();
        for at in 8..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 1;
            if check(&bad).is_err() {
                refused.push(at);
            }
        }
        // Data and checksums of IHDR and PLTE. One whose kind or length is another is none of them.
        let expected: Vec<usize> = (16..33).chain(56..66).collect();
        assert!(expected.iter().all(|at| refused.contains(at)), "{refused:?}");
        assert!(refused.iter().all(|at| (8..33).contains(at) || (33..66).contains(at)), "{refused:?}");
    }

    #[test]
    fn the_last_one_counts_wherever_it_is() {
        let zlib = |text: &[u8]| fdeflate::compress_to_vec(text);
        let profile = |digits: &str| format!("\nexif\n  8\n{digits}\n").into_bytes();
        let ztxt = [b"Raw profile type exif\0\0".as_slice(), &zlib(&profile("4d4d002a\n00000008"))].concat();
        let (exif, xmp) = found(&png(&[(b"IDAT", b""), (b"zTXt", &ztxt)]));
        assert_eq!((exif.as_deref(), xmp), (Some(b"MM\0\x2a\0\0\0\x08".as_slice()), None));
        let (exif, _) = found(&png(&[(b"eXIf", b"one"), (b"IDAT", b""), (b"eXIf", b"two"), (b"zTXt", &ztxt)]));
        assert_eq!(exif.as_deref(), Some(b"two".as_slice()));
        let plain = b"XML:com.adobe.xmp\0\0\0en\0name\0<a/>".as_slice();
        let deflated = [b"XML:com.adobe.xmp\0\x01\0\0\0".as_slice(), &zlib(b"<b/>")].concat();
        assert_eq!(found(&png(&[(b"iTXt", plain)])).1.as_deref(), Some(b"<a/>".as_slice()));
        let both = png(&[(b"iTXt", plain), (b"iTXt", &deflated)]);
        assert_eq!(found(&both).1.as_deref(), Some(b"<b/>".as_slice()));
        for end in 0..both.len() {
            metadata(&both[..end]);
        }
    }

    /// A bomb in a text costs no more than a megabyte, and is no metadata.
    #[test]
    fn long_texts_are_left_out() {
        let bomb = [b"XML:com.adobe.xmp\0\0".as_slice(), &fdeflate::compress_to_vec(&vec![b' '; 2 << 20])].concat();
        assert!(metadata(&png(&[(b"zTXt", &bomb)])).1.is_none());
    }
}
