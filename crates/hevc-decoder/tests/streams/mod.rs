//! The golden streams: their pictures' data, as containers have them.

use std::path::PathBuf;

use hevc_decoder::{Chroma, Frame, Result, Sets, Stream};

/// The folder with the streams and what is expected of them.
pub fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

/// Each picture's units, after their lengths of four bytes.
pub fn pictures(name: &str) -> Vec<Vec<u8>> {
    let bytes = std::fs::read(folder().join(format!("{name}.hevc"))).unwrap();
    let starts: Vec<usize> = (3..bytes.len()).filter(|&i| bytes[i - 3..i] == [0, 0, 1]).collect();
    let (mut pictures, mut any_slice) = (vec![Vec::new()], false);
    for (i, &start) in starts.iter().enumerate() {
        let end = starts.get(i + 1).map_or(bytes.len(), |next| next - 3);
        let unit = &bytes[start..end];
        let unit = &unit[..=unit.iter().rposition(|&byte| byte != 0).unwrap()];
        let kind = unit[0] >> 1 & 63;
        // A picture begins with its parameter sets, messages, or first slice.
        if any_slice && if kind < 32 { unit[2] & 128 != 0 } else { kind < 40 } {
            pictures.push(Vec::new());
            any_slice = false;
        }
        any_slice |= kind < 32;
        let picture = pictures.last_mut().unwrap();
        picture.extend((unit.len() as u32).to_be_bytes());
        picture.extend(unit);
    }
    pictures
}

/// Decodes them, and hands out each as it is shown.
pub fn decode(pictures: &[Vec<u8>], mut each: impl FnMut(&Frame)) -> Result<()> {
    let mut stream = Stream::new(Sets::default(), 4);
    for picture in pictures {
        while !stream.decode(picture, &|| true)? {
            each(stream.shown().unwrap());
        }
    }
    stream.end();
    while let Some(frame) = stream.shown() {
        each(frame);
    }
    Ok(())
}

/// All samples, plane by plane.
pub fn samples(frame: &Frame) -> Vec<u16> {
    let (mut planes, chroma) = ([const { Vec::new() }; 3], frame.format().chroma);
    frame.rows(&mut |row| {
        planes[0].extend(row.luma);
        if chroma != Chroma::Monochrome && row.y % (1 << chroma.shifts().1) == 0 {
            planes[1].extend(row.cb);
            planes[2].extend(row.cr);
        }
    });
    planes.concat()
}
