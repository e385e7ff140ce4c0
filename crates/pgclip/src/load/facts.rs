//! What `metadata` says of a file.

use std::io::Cursor;
use std::time::SystemTime;

use clip_core::image;
use exif::{Exif, In, Rational, Reader, Tag, Value};
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::options::Options;

/// The keys of `metadata`, each left out where it is not known or was not asked for.
#[derive(Serialize, Debug)]
pub struct Facts {
    /// Bytes of the file.
    pub size: u64,
    /// When it was last written, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mtime: Option<String>,
    /// Of the file, in hexadecimal digits.
    pub sha256: String,
    /// Pixels, as they are stored: a photo that was taken upright may be turned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub width: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub height: Option<u32>,
    #[serde(flatten)]
    pub taken: Taken,
}

/// From EXIF.
#[derive(Serialize, Default, Debug, PartialEq)]
pub struct Taken {
    /// When, as the camera's clock said: `2026-05-01T12:00:00`, with `+02:00` where it knew its zone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub taken: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub camera: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lens: Option<String>,
    /// Degrees, north and east positive.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latitude: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub longitude: Option<f64>,
}

pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// As `metadata` has it, to the nanosecond.
pub fn rfc3339(time: SystemTime) -> Option<String> {
    jiff::Timestamp::try_from(time).ok().map(|time| time.to_string())
}

pub fn facts(bytes: &[u8], sha256: String, modified: Option<SystemTime>, options: &Options) -> Facts {
    let (width, height) = image::size(bytes).unzip();
    Facts {
        size: bytes.len() as u64,
        mtime: modified.and_then(rfc3339),
        sha256,
        width,
        height,
        taken: if options.exif || options.gps { taken(bytes, options.exif, options.gps) } else { Taken::default() },
    }
}

fn taken(bytes: &[u8], facts: bool, place: bool) -> Taken {
    let mut reader = Reader::new();
    reader.continue_on_error(true);
    let read = reader.read_from_container(&mut Cursor::new(bytes));
    let Ok(exif) = read.or_else(|e| e.distill_partial_result(|_| ())) else { return Taken::default() };
    let mut taken = Taken::default();
    if facts {
        taken.taken = date(&exif);
        let (maker, model) = (text(&exif, Tag::Make).unwrap_or_default(), text(&exif, Tag::Model).unwrap_or_default());
        // Most models begin with their maker's name, or the first word of it.
        let first = |text: &str| text.split_whitespace().next().map(str::to_lowercase);
        let camera = if first(&maker) == first(&model) { model } else { format!("{maker} {model}") };
        taken.camera = Some(camera.trim().to_owned()).filter(|camera| !camera.is_empty());
        taken.lens = text(&exif, Tag::LensModel);
    }
    if place {
        taken.latitude = degrees(&exif, Tag::GPSLatitude, Tag::GPSLatitudeRef, "S", 90.0);
        taken.longitude = degrees(&exif, Tag::GPSLongitude, Tag::GPSLongitudeRef, "W", 180.0);
    }
    taken
}

/// JSON has no NUL characters, which cameras fill up names with.
fn text(exif: &Exif, tag: Tag) -> Option<String> {
    let Value::Ascii(parts) = &exif.get_field(tag, In::PRIMARY)?.value else { return None };
    let text = String::from_utf8_lossy(parts.first()?).replace('\0', " ").trim().to_owned();
    Some(text).filter(|text| !text.is_empty())
}

/// EXIF writes `2026:05:01 12:00:00`.
fn date(exif: &Exif) -> Option<String> {
    let written = text(exif, Tag::DateTimeOriginal).or_else(|| text(exif, Tag::DateTime))?;
    let (day, time) = written.split_once(' ')?;
    let date = format!("{}T{time}", day.replace(':', "-"));
    date.parse::<jiff::civil::DateTime>().ok()?;
    let zone =
        text(exif, Tag::OffsetTimeOriginal).filter(|zone| format!("{date}{zone}").parse::<jiff::Timestamp>().is_ok());
    Some(date + &zone.unwrap_or_default())
}

fn degrees(exif: &Exif, tag: Tag, side: Tag, negative: &str, most: f64) -> Option<f64> {
    let Value::Rational(parts) = &exif.get_field(tag, In::PRIMARY)?.value else { return None };
    let value: f64 = parts.iter().map(Rational::to_f64).zip([1.0, 60.0, 3600.0]).map(|(part, unit)| part / unit).sum();
    let value = if text(exif, side)?.eq_ignore_ascii_case(negative) { -value } else { value };
    (value.is_finite() && value.abs() <= most && parts.len() <= 3).then(|| (value * 1e7).round() / 1e7)
}

#[cfg(test)]
mod tests {
    use exif::experimental::Writer;
    use exif::{Field, Value};

    use super::*;

    fn ascii(text: &[u8]) -> Value {
        Value::Ascii(vec![text.to_vec()])
    }

    fn degrees(parts: [(u32, u32); 3]) -> Value {
        Value::Rational(parts.map(|(num, denom)| Rational { num, denom }).to_vec())
    }

    /// What EXIF is stored in is a TIFF file.
    fn file(fields: Vec<(Tag, Value)>) -> Vec<u8> {
        let fields: Vec<Field> =
            fields.into_iter().map(|(tag, value)| Field { tag, ifd_num: In::PRIMARY, value }).collect();
        let mut writer = Writer::new();
        fields.iter().for_each(|field| writer.push_field(field));
        let mut file = Cursor::new(Vec::new());
        writer.write(&mut file, false).unwrap();
        file.into_inner()
    }

    #[test]
    fn camera_date_and_place() {
        let bytes = file(vec![
            (Tag::Make, ascii(b"Apple")),
            (Tag::Model, ascii(b"iPhone 11\0\0")),
            (Tag::DateTimeOriginal, ascii(b"2026:05:01 12:00:00")),
            (Tag::OffsetTimeOriginal, ascii(b"+02:00")),
            (Tag::GPSLatitude, degrees([(33, 1), (51, 1), (2191, 100)])),
            (Tag::GPSLatitudeRef, ascii(b"S")),
            (Tag::GPSLongitude, degrees([(151, 1), (12, 1), (0, 1)])),
            (Tag::GPSLongitudeRef, ascii(b"E")),
        ]);
        let all = taken(&bytes, true, true);
        assert_eq!(all.camera.as_deref(), Some("Apple iPhone 11"));
        assert_eq!(all.taken.as_deref(), Some("2026-05-01T12:00:00+02:00"));
        assert_eq!((all.latitude, all.longitude), (Some(-33.8560861), Some(151.2)));
        // The place is for who asks for it.
        assert_eq!(taken(&bytes, true, false), Taken { latitude: None, longitude: None, ..taken(&bytes, true, true) });
        assert_eq!(taken(&bytes, false, false), Taken::default());
    }

    #[test]
    fn what_makes_no_sense_is_left_out() {
        let bytes = file(vec![
            (Tag::Make, ascii(b"NIKON CORPORATION")),
            (Tag::Model, ascii(b"NIKON D70")),
            (Tag::DateTimeOriginal, ascii(b"0000:00:00 00:00:00")),
            (Tag::GPSLatitude, degrees([(99, 0), (0, 1), (0, 1)])),
            (Tag::GPSLatitudeRef, ascii(b"N")),
            (Tag::GPSLongitude, degrees([(181, 1), (0, 1), (0, 1)])),
            (Tag::GPSLongitudeRef, ascii(b"E")),
        ]);
        let expected = Taken { camera: Some("NIKON D70".into()), ..Taken::default() };
        assert_eq!(taken(&bytes, true, true), expected);
        for end in 0..bytes.len() {
            let _ = taken(&bytes[..end], true, true);
        }
        assert_eq!(taken(b"no EXIF", true, true), Taken::default());
    }
}
