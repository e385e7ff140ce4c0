//! Terminals that take a picture as it is.

use std::io::{self, Write};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::ZlibEncoder;
use image::RgbImage;

use crate::pictures::{QUALITY, jpeg};

/// Of base64 in one part, as the protocol has it.
const PART: usize = 4096;

/// Pixels, compressed and in parts; no answer is asked for.
pub fn kitty(out: &mut impl Write, picture: &RgbImage, columns: u32, rows: u32) -> io::Result<()> {
    let mut compressed = ZlibEncoder::new(Vec::new(), Compression::fast());
    compressed.write_all(picture.as_raw())?;
    let data = STANDARD.encode(compressed.finish()?);
    let mut parts = data.as_bytes().chunks(PART).peekable();
    let (width, height) = picture.dimensions();
    let mut first = format!("a=T,f=24,o=z,s={width},v={height},c={columns},r={rows},q=2,");
    while let Some(part) = parts.next() {
        write!(out, "\x1b_G{first}m={};", u8::from(parts.peek().is_some()))?;
        out.write_all(part)?;
        out.write_all(b"\x1b\\")?;
        first.clear();
    }
    Ok(())
}

/// A file.
pub fn iterm(out: &mut impl Write, picture: &RgbImage, columns: u32, rows: u32) -> io::Result<()> {
    let file = jpeg(picture, QUALITY).map_err(io::Error::other)?;
    let data = STANDARD.encode(&file);
    let size = file.len();
    write!(out, "\x1b]1337;File=inline=1;size={size};width={columns};height={rows};preserveAspectRatio=0:{data}\x07")
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use flate2::read::ZlibDecoder;

    use super::*;

    #[test]
    fn parts_are_the_picture() {
        let picture = RgbImage::from_fn(60, 40, |x, y| {
            image::Rgb([(x * x * 7 + y * 91) as u8, (y * y * x) as u8, (x ^ (y * 13)) as u8])
        });
        let mut out = Vec::new();
        kitty(&mut out, &picture, 6, 2).unwrap();
        let text = String::from_utf8(out).unwrap();
        let parts: Vec<_> = text
            .split_terminator("\x1b\\")
            .map(|part| part.strip_prefix("\x1b_G").unwrap().split_once(';').unwrap())
            .collect();
        assert!(parts.len() > 1);
        assert_eq!(parts[0].0, "a=T,f=24,o=z,s=60,v=40,c=6,r=2,q=2,m=1");
        assert_eq!(parts.last().unwrap().0, "m=0");
        let data: String = parts.iter().map(|(_, data)| *data).collect();
        let mut pixels = Vec::new();
        ZlibDecoder::new(&STANDARD.decode(data).unwrap()[..]).read_to_end(&mut pixels).unwrap();
        assert_eq!(pixels, picture.into_raw());
    }
}
