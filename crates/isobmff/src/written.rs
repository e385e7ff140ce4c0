//! Boxes written by hand, for the tests.

use crate::FourCc;

pub fn atom(kind: &FourCc, body: &[u8]) -> Vec<u8> {
    let size = u32::try_from(body.len() + 8).unwrap();
    [&size.to_be_bytes()[..], kind, body].concat()
}

/// With version and flags.
pub fn full(kind: &FourCc, version: u8, flags: u8, body: &[u8]) -> Vec<u8> {
    atom(kind, &[&[version, 0, 0, flags], body].concat())
}

/// A file with items 1 (`hvc1`, in `mdat`, in two pieces), 2 (`grid`, in `idat`, made of 1 twice) and 3 (`Exif`, no data).
pub fn heic() -> Vec<u8> {
    let ftyp = atom(b"ftyp", b"heic\0\0\0\0mif1heic");
    let mdat = atom(b"mdat", b"abcdef");
    // The locations have the offsets, whose size is that of zeros.
    let meta = meta(0);
    let at = ftyp.len() + meta.len() + 8;
    [ftyp, self::meta(u32::try_from(at).unwrap()), mdat].concat()
}

fn meta(at: u32) -> Vec<u8> {
    let entry = |id: u8, kind: &FourCc| full(b"infe", 2, id & 1, &[&[0, id, 0, 0], &kind[..], b"\0"].concat());
    let iinf = full(b"iinf", 0, 0, &[vec![0, 3], entry(1, b"hvc1"), entry(3, b"Exif"), entry(2, b"grid")].concat());
    let piece = |offset: u32, len: u32| [offset.to_be_bytes(), len.to_be_bytes()].concat();
    let first = [vec![0, 1, 0, 0, 0, 0], at.to_be_bytes().to_vec(), vec![0, 2], piece(4, 2), piece(0, 3)].concat();
    let second = [vec![0, 2, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1], piece(0, 8)].concat();
    let iloc = full(b"iloc", 1, 0, &[vec![0x44, 0x40, 0, 2], first, second].concat());
    let iref = full(b"iref", 0, 0, &atom(b"dimg", &[0, 2, 0, 2, 0, 1, 0, 1]));
    let hvcc = [&[1; 21][..], &[0xff, 1, 0xa1, 0, 1, 0, 2, b'x', b'y']].concat();
    let ispe = full(b"ispe", 0, 0, &[0, 0, 0, 64, 0, 0, 0, 48]);
    let nclx = atom(b"colr", b"nclx\0\x01\0\x0d\0\x06\x80");
    let ipco = atom(b"ipco", &[ispe, atom(b"hvcC", &hvcc), atom(b"irot", &[1]), nclx, atom(b"what", b"ever")].concat());
    // Number 0, then 2 as an essential one, 1, 5.
    let ipma = full(b"ipma", 0, 0, &[0, 0, 0, 2, 0, 2, 2, 0x83, 4, 0, 1, 4, 0, 0x82, 1, 5]);
    let iprp = atom(b"iprp", &[ipco, ipma].concat());
    let idat = atom(b"idat", &[0, 0, 0, 1, 0, 128, 0, 48]);
    let hdlr = full(b"hdlr", 0, 0, b"\0\0\0\0pict\0\0\0\0\0\0\0\0\0\0\0\0\0");
    let pitm = full(b"pitm", 0, 0, &[0, 2]);
    full(b"meta", 0, 0, &[hdlr, pitm, iloc, iinf, iref, iprp, idat].concat())
}

/// A film of five samples of 10, 20, 30, 40 and 50 bytes in three chunks, the third of which can be decoded first.
pub fn film() -> Vec<u8> {
    let ftyp = atom(b"ftyp", b"hevc\0\0\0\0msf1");
    let mdat = atom(b"mdat", &(0..150).collect::<Vec<u8>>());
    let moov = moov(0);
    let at = ftyp.len() + moov.len() + 8;
    [ftyp, self::moov(u32::try_from(at).unwrap()), mdat].concat()
}

fn moov(at: u32) -> Vec<u8> {
    let words = |words: &[u32]| words.iter().flat_map(|word| word.to_be_bytes()).collect::<Vec<u8>>();
    let table = |kind: &FourCc, rows: &[u32]| full(kind, 0, 0, &words(rows));
    let entry = [&[0; 7][..], &[1], &[0; 16], &[0, 64, 0, 48], &[0; 50], &atom(b"irot", &[2])].concat();
    let stbl = [
        full(b"stsd", 0, 0, &[words(&[1]), atom(b"hvc1", &entry)].concat()),
        table(b"stsz", &[0, 5, 10, 20, 30, 40, 50]),
        table(b"stsc", &[2, 1, 2, 1, 3, 1, 1]),
        table(b"stco", &[3, at, at + 30, at + 100]),
        table(b"stts", &[2, 2, 7, 3, 9]),
        table(b"ctts", &[2, 1, 3, 1, 2_u32.wrapping_neg()]),
        table(b"stss", &[1, 3]),
    ];
    let minf = atom(b"minf", &atom(b"stbl", &stbl.concat()));
    let hdlr = full(b"hdlr", 0, 0, b"\0\0\0\0pict\0\0\0\0\0\0\0\0\0\0\0\0\0");
    let mdia = atom(b"mdia", &[hdlr, table(b"mdhd", &[0, 0, 600, 0, 0]), minf].concat());
    let tkhd =
        full(b"tkhd", 0, 1, &words(&[0, 0, 4, 0, 0, 0, 0, 0, 0, 65536, 0, 0, 0, 65536, 0, 0, 0, 1 << 30, 64, 48]));
    let trak = atom(b"trak", &[tkhd, atom(b"tref", &table(b"auxl", &[])), mdia].concat());
    let sound = atom(b"trak", &atom(b"mdia", &full(b"hdlr", 0, 0, b"\0\0\0\0soun")));
    atom(b"moov", &[sound, trak].concat())
}
