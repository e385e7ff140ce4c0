//! Raw files of cameras, of which only the skeleton is made here: directories or boxes, and JPEGs.

use std::fs;
use std::path::PathBuf;

use clip_core::ErrorKind;
use clip_core::image::{Limits, decode, preview, sniff};

fn jpegs() -> [Vec<u8>; 2] {
    let directory = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../jpeg-levels/tests/golden");
    let mut found: Vec<(u32, Vec<u8>)> = Vec::new();
    let mut paths: Vec<_> = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    for path in paths.iter().filter(|path| path.extension().is_some_and(|ending| ending == "jpg")) {
        let bytes = fs::read(path).unwrap();
        if let Ok(picture) = decode(&bytes, &Limits::default()) {
            found.push((picture.width * picture.height, bytes));
        }
    }
    found.sort();
    [found.remove(0).1, found.pop().unwrap().1]
}

/// A JPEG that holds the sensor's data: lossless, of a size beyond all others.
fn lossless() -> Vec<u8> {
    let mut jpeg = b"\xff\xd8\xff\xc3\0\x0b\x0e\x20\0\x20\0\x01\x01\x11\0".to_vec();
    jpeg.extend(b"\xff\xd9");
    jpeg
}

#[derive(Clone)]
enum Value {
    Short(u16),
    Long(u32),
    Text(&'static str),
    /// Places of the directories that follow, by their numbers.
    Directories(Vec<usize>),
    /// The place of a part, by its number, and its length.
    PartAt(usize),
    PartLength(usize),
}

/// A file of directories, of which `chain` are one after the other, and of parts.
fn tiff(
    is_little: bool,
    mark: &[u8],
    chain: &[usize],
    directories: &[Vec<(u16, Value)>],
    parts: &[Vec<u8>],
) -> Vec<u8> {
    let n16 = |v: u16| if is_little { v.to_le_bytes() } else { v.to_be_bytes() };
    let n32 = |v: u32| if is_little { v.to_le_bytes() } else { v.to_be_bytes() };
    // Directories lie every 1,024 bytes, then the parts.
    let place = |i: usize| 64 + 1024 * i as u32;
    let part = |i: usize| place(directories.len()) + parts[..i].iter().map(|part| part.len() as u32).sum::<u32>();
    let mut file = mark.to_vec();
    file.extend(n32(place(chain[0])));
    file.resize(64, 0);
    for (i, entries) in directories.iter().enumerate() {
        let (mut directory, mut outside) = (n16(entries.len() as u16).to_vec(), Vec::new());
        let values = place(i) + 2 + 12 * entries.len() as u32 + 4;
        for (tag, value) in entries {
            let (kind, count, bytes) = match value {
                Value::Short(v) => (3, 1, n16(*v).to_vec()),
                Value::Long(v) => (4, 1, n32(*v).to_vec()),
                Value::Text(text) => (2, text.len(), text.as_bytes().to_vec()),
                Value::Directories(numbers) => {
                    (4, numbers.len(), numbers.iter().flat_map(|d| n32(place(*d))).collect())
                }
                Value::PartAt(i) => (4, 1, n32(part(*i)).to_vec()),
                Value::PartLength(i) => (4, 1, n32(parts[*i].len() as u32).to_vec()),
            };
            directory.extend([n16(*tag), n16(kind)].concat());
            directory.extend(n32(count as u32));
            if bytes.len() <= 4 {
                directory.extend(bytes.iter().copied().chain([0; 4]).take(4));
            } else {
                directory.extend(n32(values + outside.len() as u32));
                outside.extend(bytes);
            }
        }
        let next = chain.iter().skip_while(|at| **at != i).nth(1);
        directory.extend(n32(next.map_or(0, |next| place(*next))));
        directory.extend(outside);
        directory.resize(1024, 0);
        file.extend(directory);
    }
    parts.iter().for_each(|part| file.extend(part));
    file
}

fn jpeg_in(part: usize) -> [(u16, Value); 2] {
    [(513, Value::PartAt(part)), (514, Value::PartLength(part))]
}

fn strip(part: usize, compression: u16, colours: u16) -> [(u16, Value); 4] {
    [
        (259, Value::Short(compression)),
        (262, Value::Short(colours)),
        (273, Value::PartAt(part)),
        (279, Value::PartLength(part)),
    ]
}

/// Name of the kind, and the file with two JPEGs of a camera's and its raw data.
fn files() -> Vec<(&'static str, Vec<u8>)> {
    let [small, large] = jpegs();
    let parts = [small, large, lossless()];
    let sensor = || strip(2, 7, 32803).to_vec();
    let mut nef = vec![(271, Value::Text("NIKON CORPORATION\0")), (330, Value::Directories(vec![1, 2]))];
    nef.extend(strip(2, 1, 2));
    let mut dng = vec![(50706, Value::Long(0x0104_0000)), (330, Value::Directories(vec![1, 2]))];
    dng.extend(jpeg_in(0));
    let mut arw = vec![(271, Value::Text("SONY\0")), (330, Value::Directories(vec![2]))];
    arw.extend(jpeg_in(1));
    let mut other = vec![(271, Value::Text("Unheard of\0")), (330, Value::Directories(vec![1]))];
    other.extend(jpeg_in(1));
    let mut arw_sensor = sensor();
    arw_sensor[0].1 = Value::Short(32767);
    vec![
        ("NEF", tiff(false, b"MM\0\x2a", &[0, 3], &[nef, jpeg_in(1).to_vec(), sensor(), jpeg_in(0).to_vec()], &parts)),
        ("DNG", tiff(true, b"II\x2a\0", &[0], &[dng, sensor(), strip(1, 7, 6).to_vec()], &parts)),
        ("ARW", tiff(true, b"II\x2a\0", &[0, 1], &[arw, jpeg_in(0).to_vec(), arw_sensor], &parts)),
        ("camera raw", tiff(true, b"II\x2a\0", &[0], &[other, sensor()], &parts)),
        ("ORF", tiff(true, b"IIRO", &[0], &[jpeg_in(1).to_vec()], &parts)),
        ("CR2", {
            let chain = [strip(1, 6, 6).to_vec(), jpeg_in(0).to_vec(), strip(2, 6, 1).to_vec()];
            let mut file = tiff(true, b"II\x2a\0", &[0, 1, 2], &chain, &parts);
            file[8..12].copy_from_slice(b"CR\x02\0");
            file
        }),
        ("CR3", cr3(&parts)),
        ("RAF", {
            let mut file = b"FUJIFILMCCD-RAW 0201".to_vec();
            file.resize(84, 0);
            file.extend(120u32.to_be_bytes());
            file.extend((parts[1].len() as u32).to_be_bytes());
            file.resize(120, 0);
            file.extend(&parts[1]);
            file.extend(&parts[0]);
            file
        }),
    ]
}

fn boxed(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
    [(body.len() as u32 + 8).to_be_bytes().as_slice(), kind, body].concat()
}

fn cr3(parts: &[Vec<u8>; 3]) -> Vec<u8> {
    let canon = |before: usize, kind: &[u8; 4], jpeg: &[u8]| {
        let mut body = vec![0; 12];
        body.extend((jpeg.len() as u32).to_be_bytes());
        body.extend(jpeg);
        boxed(b"uuid", &[vec![7; 16], vec![0; before - 16], boxed(kind, &body)].concat())
    };
    let track = |at: u32, len: u32| {
        let sizes = [[0; 4], len.to_be_bytes(), 1u32.to_be_bytes()].concat();
        let places = [[0; 4], 1u32.to_be_bytes(), [0; 4], at.to_be_bytes()].concat();
        let table = boxed(b"stbl", &[boxed(b"stsz", &sizes), boxed(b"co64", &places)].concat());
        boxed(b"trak", &boxed(b"mdia", &boxed(b"minf", &table)))
    };
    let make = |at: u32| {
        let tracks =
            [track(at, parts[1].len() as u32), track(at + parts[1].len() as u32, parts[2].len() as u32)].concat();
        let moov = boxed(b"moov", &[canon(16, b"THMB", &parts[0]), tracks].concat());
        let preview = canon(24, b"PRVW", &parts[0]);
        [boxed(b"ftyp", b"crx \0\0\0\x01crx isom"), moov, preview].concat()
    };
    let head = make(0);
    let mut file = make(head.len() as u32 + 8);
    file.extend(boxed(b"mdat", &[parts[1].as_slice(), &parts[2]].concat()));
    file
}

#[test]
fn the_largest_jpeg_is_the_preview() {
    let [_, large] = jpegs();
    for (kind, file) in files() {
        let found = preview(&file, &Limits::default()).unwrap();
        assert!(found == Some(large.as_slice()), "{kind}: {:?}", found.map(<[u8]>::len));
        decode(found.unwrap(), &Limits::default()).unwrap();
    }
}

#[test]
fn raw_files_are_refused_by_name() {
    for (kind, file) in files() {
        let e = decode(&file, &Limits::default()).unwrap_err();
        assert_eq!((e.kind, e.message), (ErrorKind::Unsupported, format!("{kind} images are not supported")));
        assert!(e.hint.unwrap().contains("clip_image_preview"), "{kind}");
    }
}

#[test]
fn other_images_have_none() {
    let [small, _] = jpegs();
    assert_eq!(preview(&small, &Limits::default()).unwrap(), None);
    assert_eq!(preview(b"text", &Limits::default()).unwrap_err().kind, ErrorKind::InvalidImage);
    let few = Limits { max_bytes: 10, ..Limits::default() };
    assert_eq!(preview(&small, &few).unwrap_err().kind, ErrorKind::LimitExceeded);
    // A TIFF of scanners has neither a camera's directories nor its marks.
    let directory = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tiff-levels/tests/golden");
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|ending| ending == "tif") {
            let bytes = fs::read(&path).unwrap();
            assert!(sniff(&bytes).is_ok());
            assert_eq!(preview(&bytes, &Limits::default()).unwrap(), None, "{path:?}");
        }
    }
}

/// Boxes that all have the same part of the file: it is not read for each of them.
#[test]
fn more_jpegs_than_a_camera_makes() {
    let [small, large] = jpegs();
    let canon = |jpeg: &[u8]| boxed(b"PRVW", &[&[0; 16], jpeg].concat());
    let file = |small_ones: usize| {
        let boxes = [canon(&small).repeat(small_ones), canon(&large)].concat();
        [boxed(b"ftyp", b"crx \0\0\0\x01crx isom"), boxed(b"moov", &boxes)].concat()
    };
    let found = |file: &[u8]| preview(file, &Limits::default()).unwrap().map(<[u8]>::len);
    assert_eq!(found(&file(31)), Some(large.len()));
    assert_eq!(found(&file(32)), Some(small.len()));
}

/// Whatever is damaged: an end, and nothing but parts of the file.
#[test]
fn damage() {
    let mut state = 99u64;
    let mut next = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    let files = files();
    let mut found = 0;
    for i in 0..20_000 {
        let mut bytes = files[i % files.len()].1.clone();
        for _ in 0..=next(4) {
            // Where the structure is.
            let at = next(bytes.len().min(5 << 10));
            match next(3) {
                0 => bytes[at] ^= 1 << next(8),
                1 => bytes[at] = next(256) as u8,
                _ => bytes.truncate(at.max(4)),
            }
        }
        found += usize::from(preview(&bytes, &Limits::default()).is_ok_and(|part| part.is_some()));
    }
    assert!(found > 0);
}
