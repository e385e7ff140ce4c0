//! What bytes are that are none of the images read here: pictures of other formats, and files that are no pictures.

use super::reader::slice;

/// What some bytes look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Other {
    /// A picture of a format that is not read.
    Picture(&'static str),
    /// A camera's raw file, in which there is a picture.
    Raw(&'static str),
    /// No picture: what it is, and what to do.
    File(&'static str, &'static str),
}

const FRAME: &str = "Embed images of its frames, for example those of ffmpeg -i FILE -vf fps=1 %d.png.";
const PAGE: &str = "Make an image of each page, for example with pdftoppm.";
const AUDIO: &str = "Sound cannot be embedded.";
const UNPACK: &str = "Unpack it first.";

/// At an offset some bytes, and what begins so. The first match counts.
const SIGNATURES: &[(usize, &[u8], Other)] = {
    use Other::{File, Picture, Raw};
    &[
        (0, b"\xff\x0a", Picture("JPEG XL")),
        (0, b"\0\0\0\x0cJXL \r\n\x87\n", Picture("JPEG XL")),
        (0, b"\0\0\0\x0cjP  \r\n\x87\n", Picture("JPEG 2000")),
        (0, b"\xff\x4f\xff\x51", Picture("JPEG 2000")),
        (0, b"II\xbc\x01", Picture("JPEG XR")),
        (0, b"8BPS", Picture("Photoshop")),
        (0, b"\0\0\x01\0", Picture("ICO")),
        (0, b"\0\0\x02\0", Picture("CUR")),
        (0, b"icns", Picture("ICNS")),
        (0, b"DDS ", Picture("DDS")),
        (0, b"qoif", Picture("QOI")),
        (0, b"\x76\x2f\x31\x01", Picture("OpenEXR")),
        (0, b"#?RADIANCE", Picture("Radiance HDR")),
        (0, b"SIMPLE  =", Picture("FITS")),
        (0, b"gimp xcf", Picture("GIMP")),
        (0, b"BPG\xfb", Picture("BPG")),
        (0, b"\x8aMNG\r\n\x1a\n", Picture("MNG")),
        (0, b"\x01\xda\0", Picture("SGI")),
        (0, b"\x01\xda\x01", Picture("SGI")),
        (0, b"\xd7\xcd\xc6\x9a", Picture("WMF")),
        (40, b" EMF", Picture("EMF")),
        (128, b"DICM", Picture("DICOM")),
        (0, b"FUJIFILMCCD-RAW", Raw("RAF")),
        (0, b"IIU\0", Raw("RW2")),
        (0, b"IIRO", Raw("ORF")),
        (0, b"IIRS", Raw("ORF")),
        (0, b"/* XPM */", Picture("XPM")),
        (0, b"%PDF-", File("a PDF document", PAGE)),
        (0, b"%!PS", File("PostScript", PAGE)),
        (0, b"\x1a\x45\xdf\xa3", File("a Matroska or WebM video", FRAME)),
        (0, b"FLV\x01", File("a Flash video", FRAME)),
        (0, b"\0\0\x01\xba", File("an MPEG video", FRAME)),
        (0, b"\0\0\x01\xb3", File("an MPEG video", FRAME)),
        (0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", File("a Windows Media file", FRAME)),
        (4, b"moov", File("a QuickTime video", FRAME)),
        (4, b"mdat", File("a QuickTime video", FRAME)),
        (4, b"wide", File("a QuickTime video", FRAME)),
        (0, b"OggS", File("an Ogg file", FRAME)),
        (0, b"ID3", File("an MP3 file", AUDIO)),
        (0, b"\xff\xfb", File("an MP3 file", AUDIO)),
        (0, b"\xff\xf3", File("an MP3 file", AUDIO)),
        (0, b"fLaC", File("a FLAC file", AUDIO)),
        (0, b"#!AMR", File("an AMR file", AUDIO)),
        (8, b"AIFF", File("an AIFF file", AUDIO)),
        (0, b"PK\x03\x04", File("a ZIP archive, or an Office document", UNPACK)),
        (0, b"\x1f\x8b", File("gzip", UNPACK)),
        (0, b"BZh", File("bzip2", UNPACK)),
        (0, b"\xfd7zXZ\0", File("xz", UNPACK)),
        (0, b"\x28\xb5\x2f\xfd", File("Zstandard", UNPACK)),
        (0, b"7z\xbc\xaf\x27\x1c", File("a 7z archive", UNPACK)),
        (0, b"Rar!\x1a\x07", File("a RAR archive", UNPACK)),
        (257, b"ustar", File("a tar archive", UNPACK)),
        (0, b"\x93NUMPY", File("a NumPy array", "Save the array as an image, for example by Pillow as PNG.")),
        (0, b"\x80\x04\x95", File("a Python pickle", "Pass the image file's own bytes.")),
        (0, b"\xc2\x89PNG", File("a PNG image that was written as Latin-1 and read as UTF-8", BINARY)),
        (0, b"\xef\xbf\xbdPNG", File("a PNG image that was read as UTF-8 text, which cannot be undone", BINARY)),
        (0, b"\xc3\xbf\xc3\x98\xc3\xbf", File("a JPEG image that was written as Latin-1 and read as UTF-8", BINARY)),
        (
            0,
            b"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd",
            File("binary data read as UTF-8 text, which cannot be undone", BINARY),
        ),
        (0, b"\x89PNG", File("a PNG image whose line ends were converted, or that is damaged otherwise", BINARY)),
    ]
};

/// For bytes that went through text.
pub(super) const BINARY: &str = "Read the file in binary mode, and pass the bytes as a parameter of type bytea.";

/// `None` for bytes that begin like nothing known.
pub(super) fn signature(bytes: &[u8]) -> Option<Other> {
    let is_at = |at: usize, magic: &[u8]| slice(bytes, at, magic.len()) == Some(magic);
    if is_at(4, b"ftyp") {
        return Some(media(bytes.get(8..12).unwrap_or_default()));
    }
    if is_at(0, b"RIFF") {
        return match bytes.get(8..12)? {
            b"AVI " => Some(Other::File("an AVI video", FRAME)),
            b"WAVE" => Some(Other::File("a WAV file", AUDIO)),
            _ => None,
        };
    }
    if bytes.first() == Some(&0x47) && bytes.get(188) == Some(&0x47) && bytes.get(376) == Some(&0x47) {
        return Some(Other::File("an MPEG transport stream", FRAME));
    }
    if let [b'P', letter, b'\n' | b'\r' | b' ' | b'\t', b'0'..=b'9' | b'#' | b'W', ..] = bytes {
        match letter {
            b'1'..=b'6' | b'f' => return Some(Other::Picture("PBM, PGM, PPM or PFM")),
            b'7' => return Some(Other::Picture("PAM")),
            b'F' => return Some(Other::Picture("Coloured PFM")),
            _ => {}
        }
    }
    SIGNATURES.iter().find(|(at, magic, _)| is_at(*at, magic)).map(|(_, _, other)| *other)
}

/// The ISO base media file format names its brand after `ftyp`.
fn media(brand: &[u8]) -> Other {
    match brand {
        b"avif" | b"avis" => Other::Picture("AVIF"),
        b"heic" | b"heix" | b"heim" | b"heis" | b"hevc" | b"hevx" => Other::Picture("HEIC"),
        b"mif1" | b"msf1" => Other::Picture("HEIF"),
        b"crx " => Other::Raw("CR3"),
        b"jp2 " | b"jpx " => Other::Picture("JPEG 2000"),
        b"M4A " | b"M4B " | b"F4A " => Other::File("an MPEG-4 audio file", AUDIO),
        b"qt  " => Other::File("a QuickTime video", FRAME),
        _ => Other::File("an MP4 video", FRAME),
    }
}
