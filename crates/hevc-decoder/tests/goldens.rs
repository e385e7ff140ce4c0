//! Streams of every kind, and ffmpeg's samples of them. `golden/make_goldens.py` makes both.

mod streams;

use hevc_decoder::{Fate, Scan, Sets};

#[test]
fn samples_are_those_of_ffmpeg() {
    let table = std::fs::read_to_string(streams::folder().join("expected.tsv")).unwrap();
    let (mut count, mut wrong) = (0, Vec::new());
    for line in table.lines().filter(|line| !line.starts_with('#')) {
        let fields: Vec<&str> = line.split('\t').collect();
        // FNV-1a of samples.
        let (mut hash, mut shown) = (0xcbf2_9ce4_8422_2325u64, 0);
        let decoded = streams::decode(&streams::pictures(fields[0]), |frame| {
            let format = frame.format();
            let known = [format.width.to_string(), format.height.to_string(), format.depth[0].to_string()];
            assert_eq!(known, fields[1..4], "{}", fields[0]);
            for sample in streams::samples(frame) {
                hash = (hash ^ u64::from(sample)).wrapping_mul(0x0100_0000_01b3);
            }
            shown += 1;
        });
        match decoded {
            Ok(()) if fields[4..] == [shown.to_string(), format!("{hash:016x}")] => count += 1,
            Ok(()) => wrong.push(format!("{}: other samples, {shown} pictures", fields[0])),
            Err(error) => wrong.push(format!("{}: {error}", fields[0])),
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(count >= 40, "{count} streams");
}

/// Begins with the second picture that allows it: those that are shown before it and predicted from the first part are left out.
#[test]
fn pictures_that_lack_others_are_left_out() {
    let pictures = streams::pictures("open");
    let mut all = Vec::new();
    streams::decode(&pictures, |frame| all.push(streams::samples(frame))).unwrap();
    let kinds: Vec<u8> = pictures.iter().map(|picture| slice_kind(picture)).collect();
    let start = 1 + kinds[1..].iter().position(|&kind| kind == 21).unwrap();
    let leading = kinds[start..].iter().skip(1).take_while(|kind| (6..=9).contains(*kind)).count();
    assert!(leading > 0, "{kinds:?}");
    let part = [streams::pictures("open")[0].clone(), pictures[start].clone()].concat();
    // Parameter sets are with the first picture alone.
    let sets: Vec<u8> =
        units(&part).into_iter().filter(|unit| (32..=34).contains(&(unit[4] >> 1 & 63))).flatten().collect();
    let mut part = pictures[start..].to_vec();
    part[0] = [sets, part[0].clone()].concat();
    let mut shown = Vec::new();
    streams::decode(&part, |frame| shown.push(streams::samples(frame))).unwrap();
    assert_eq!(shown.len(), part.len() - leading);
    assert_eq!(shown[..], all[all.len() - shown.len()..]);
    let mut scan = Scan::new(Sets::default(), 4);
    let told = part.iter().filter(|picture| scan.next(picture).unwrap() == Fate::Shown).count();
    assert_eq!(told, shown.len());
}

/// With their lengths.
fn units(picture: &[u8]) -> Vec<Vec<u8>> {
    let (mut units, mut rest) = (Vec::new(), picture);
    while let Some((len, _)) = rest.split_first_chunk::<4>() {
        let (unit, more) = rest.split_at(4 + u32::from_be_bytes(*len) as usize);
        units.push(unit.to_vec());
        rest = more;
    }
    units
}

fn slice_kind(picture: &[u8]) -> u8 {
    units(picture).iter().map(|unit| unit[4] >> 1 & 63).find(|&kind| kind < 32).unwrap()
}
