//! Bytes that are no image: the error's kind, and a hint that names what they look like.

use clip_core::ErrorKind::{self, InvalidImage, Unsupported};
use clip_core::image::{Format, format_names, sniff};

/// Kind, message and hint.
fn refused(bytes: &[u8]) -> (ErrorKind, String, Option<String>) {
    let e = sniff(bytes).unwrap_err();
    (e.kind, e.message, e.hint)
}

#[track_caller]
fn looks_like(bytes: &[u8], what: &str) {
    let (kind, message, hint) = refused(bytes);
    assert_eq!(kind, InvalidImage, "{message}");
    assert_eq!(message, "image is not of a supported format");
    let hint = hint.unwrap_or_default();
    assert!(hint.starts_with(&format!("The bytes look like {what}. ")), "{what}: {hint}");
    assert!(hint.ends_with('.'), "{hint}");
}

#[test]
fn pictures_of_other_formats_are_named() {
    let ftyp = |brand: &str| [b"\0\0\0\x18ftyp", brand.as_bytes(), b"\0\0\0\0"].concat();
    let cases = [
        #[cfg(not(feature = "heic"))]
        (ftyp("heic"), "HEIC"),
        (ftyp("mif1"), "HEIF"),
        #[cfg(not(feature = "avif"))]
        (ftyp("avif"), "AVIF"),
        #[cfg(not(feature = "jxl"))]
        (b"\xff\x0a\0\0".to_vec(), "JPEG XL"),
        #[cfg(not(feature = "jxl"))]
        (b"\0\0\0\x0cJXL \r\n\x87\n".to_vec(), "JPEG XL"),
        #[cfg(not(feature = "more-formats"))]
        (b"\0\0\0\x0cjP  \r\n\x87\n\0".to_vec(), "JPEG 2000"),
        (b"8BPS\0\x01".to_vec(), "Photoshop"),
        #[cfg(not(feature = "more-formats"))]
        (b"\0\0\x01\0\x01\0\x10\x10".to_vec(), "ICO"),
        #[cfg(not(feature = "more-formats"))]
        (b"P6\n640 480\n255\n".to_vec(), "PBM, PGM, PPM or PFM"),
        ([vec![0; 128], b"DICM".to_vec()].concat(), "DICOM"),
        #[cfg(not(feature = "more-formats"))]
        (b"DDS |\0\0\0".to_vec(), "DDS"),
        #[cfg(not(feature = "more-formats"))]
        (b"qoif\0\0\x01\0".to_vec(), "QOI"),
    ];
    for (bytes, name) in cases {
        let (kind, message, hint) = refused(&bytes);
        assert_eq!((kind, message), (Unsupported, format!("{name} images are not supported")));
        assert_eq!(hint.as_deref(), Some("Convert the image to JPEG or PNG."));
    }
}

#[test]
fn files_are_named() {
    looks_like(b"%PDF-1.7\n%\xe2\xe3", "a PDF document");
    looks_like(b"\0\0\0\x20ftypisom\0\0\x02\0", "an MP4 video");
    looks_like(b"\0\0\0\x14ftypqt  \0\0", "a QuickTime video");
    looks_like(b"\0\0\0\x08wide\0\x01", "a QuickTime video");
    looks_like(b"\x1a\x45\xdf\xa3\x9fB\x86", "a Matroska or WebM video");
    looks_like(b"RIFF\0\0\0\0AVI LIST", "an AVI video");
    looks_like(b"RIFF\0\0\0\0WAVEfmt ", "a WAV file");
    looks_like(b"ID3\x04\0\0\0", "an MP3 file");
    looks_like(b"\0\0\0\x1cftypM4A \0", "an MPEG-4 audio file");
    looks_like(b"PK\x03\x04\x14\0", "a ZIP archive, or an Office document");
    looks_like(b"\x1f\x8b\x08\0", "gzip");
    looks_like(b"\x93NUMPY\x01\0v\0", "a NumPy array");
    looks_like(b"\x80\x04\x95\x10\0", "a Python pickle");
    let mut transport = vec![0; 400];
    (transport[0], transport[188], transport[376]) = (0x47, 0x47, 0x47);
    looks_like(&transport, "an MPEG transport stream");
}

/// What is left of an image that went through text.
#[test]
fn images_that_were_read_as_text_are_named() {
    let png: Vec<u8> = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x02".to_vec();
    let latin: String = png.iter().map(|byte| *byte as char).collect();
    looks_like(latin.as_bytes(), "a PNG image that was written as Latin-1 and read as UTF-8");
    looks_like(
        String::from_utf8_lossy(&png).as_bytes(),
        "a PNG image that was read as UTF-8 text, which cannot be undone",
    );
    let jpeg = b"\xff\xd8\xff\xe0\0\x10JFIF\0\x01\x01";
    let latin: String = jpeg.iter().map(|byte| *byte as char).collect();
    looks_like(latin.as_bytes(), "a JPEG image that was written as Latin-1 and read as UTF-8");
    looks_like(String::from_utf8_lossy(jpeg).as_bytes(), "binary data read as UTF-8 text, which cannot be undone");
    looks_like(
        b"\x89PNG\n\x1a\n\0\0\0\rIHDR",
        "a PNG image whose line ends were converted, or that is damaged otherwise",
    );
}

#[test]
fn encodings_are_named_with_the_image_in_them() {
    looks_like(b"iVBORw0KGgoAAAANSUhEUgAAABAAAAAYCAIAAAB8wupb", "base64, a PNG image in it");
    looks_like(b"/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAAMCAgMCAgMDAwME", "base64, a JPEG image in it");
    looks_like(b"  iVBORw0KGgoAAAAN\r\nSUhEUgAAABAAAAAY\r\nCAIAAAB8wupb\r\n", "base64, a PNG image in it");
    looks_like(b"_9j_4AAQSkZJRgABAQAAAQABAAD_2wBDAAMCAgMCAgMDAwME", "base64, a JPEG image in it");
    let hint = refused(b"_9j_4AAQSkZJRgABAQAAAQABAAD_2wBDAAMCAgMCAgMDAwME").2.unwrap();
    assert!(hint.contains("translate(..., '-_', '+/')"), "{hint}");
    // of something else
    looks_like(b"QmFzZTY0IG9mIHNvbWUgdGV4dCB0aGF0IGlzIG5vIGltYWdlLCBidXQgbG9uZyBlbm91Z2ggdG8gdGVsbA==", "base64");
    looks_like(b"data:image/png;base64,iVBORw0KGgo=", "a data URI");
    looks_like(b"\\x89504e470d0a1a0a0000000d49484452", "hexadecimal text of a bytea, a PNG image in it");
    looks_like(b"\\xffd8ffe000104a464946", "hexadecimal text of a bytea, a JPEG image in it");
    looks_like(b"89504e470d0a1a0a0000000d49484452", "hexadecimal text, a PNG image in it");
    looks_like(b"\\211PNG\\015\\012\\032\\012", "a bytea in PostgreSQL's escape format");
    looks_like(b"b'\\x89PNG\\r\\n\\x1a\\n'", "what Python prints for bytes");
    looks_like(b"<memory at 0x7f2b3c0d1e40>", "what Python prints for bytes");
}

#[test]
fn texts_are_named() {
    looks_like(b"<!DOCTYPE html>\n<html lang=\"en\">", "an HTML page");
    looks_like(b"\xef\xbb\xbf\n<!-- gone --><HTML><BODY>404", "an HTML page");
    looks_like(b"<svg xmlns=", "an SVG drawing");
    looks_like(b"<?xml version=\"1.0\"?>\n<!-- drawn by hand -->\n<svg width=\"1\">", "an SVG drawing");
    looks_like(b"<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code></Error>", "XML");
    looks_like(b"{\"error\": \"not found\"}", "JSON");
    looks_like(b" [137, 80, 78, 71]", "JSON");
    looks_like(b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a", "a Git LFS pointer");
    looks_like(b"https://example.org/cat.jpg", "an address");
    looks_like(b"S3://bucket/cat.jpg", "an address");
    looks_like(b"/srv/photos/cat.jpg", "the path of a file");
    looks_like(b"C:\\photos\\cat.jpg", "the path of a file");
    looks_like(b"photos/cat.JPEG\n", "the path of a file");
    looks_like("die Straße".as_bytes(), "text");
    // cut within a character where the look ends
    looks_like("ß".repeat(600).as_bytes(), "text");
    looks_like(format!("a{}", "ß".repeat(600)).as_bytes(), "text");
}

#[test]
fn of_what_looks_like_nothing_the_hint_lists_the_formats() {
    let hint = Some(format!("Supported formats: {}.", format_names()));
    assert!(hint.as_ref().is_some_and(|hint| hint.contains("JPEG, PNG, ")), "{hint:?}");
    for bytes in [&b"\x01\x02\x03\x04\x05"[..], b"\xfe\xfe\xfe\xfe\xfe", b"RIFF\0\0\0\0WXYZ"] {
        assert_eq!(refused(bytes), (InvalidImage, "image is not of a supported format".into(), hint.clone()));
    }
    let (_, message, hint) = refused(b"");
    assert_eq!((message.as_str(), hint.is_some()), ("image is empty", true));
    assert!(refused(&[0; 100]).2.unwrap().starts_with("The bytes begin with zeros"));
}

/// Each known beginning, cut anywhere, is still no panic.
#[test]
fn short_ones() {
    let starts: [&[u8]; 8] =
        [b"\\x", b"data:", b"<?xml", b"{", b"b'\\x89", b"\0\0\0\x18ftypheic", b"RIFF\0\0\0\0WEBP", b"\xef\xbb\xbf<"];
    for start in starts {
        for end in 0..=start.len() {
            let known = sniff(&start[..end]);
            assert!(
                known.is_ok_and(|format| format == Format::WebP) == (start.ends_with(b"WEBP") && end == start.len()),
                "{start:?} to {end}"
            );
        }
    }
}
