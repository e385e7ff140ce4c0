//! Files of every kind, and Pillow's levels of them. `golden/make_goldens.py` makes both.

use std::path::Path;

use avif_levels::{Decoder, Env, Error, Unsupported};

/// FNV-1a.
fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |h, &b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3))
}

fn levels(bytes: &[u8], size: &[&str], expected: &str) -> Result<(), String> {
    let decoder = Decoder::new(bytes).map_err(|error| error.to_string())?;
    if size != [decoder.width().to_string(), decoder.height().to_string()] {
        return Err("other size".to_owned());
    }
    let pixels = decoder.decode(&Env::default()).map_err(|error| error.to_string())?;
    if format!("{:016x}", hash(&pixels)) == expected { Ok(()) } else { Err("other levels".to_owned()) }
}

#[test]
fn levels_are_those_of_pillow() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let table = std::fs::read_to_string(folder.join("expected.tsv")).unwrap();
    let (mut count, mut refused, mut wrong) = (0, 0, Vec::new());
    for line in table.lines().filter(|line| !line.starts_with('#')) {
        let fields: Vec<&str> = line.split('\t').collect();
        let bytes = std::fs::read(folder.join(format!("{}.avif", fields[0]))).unwrap();
        assert!(avif_levels::is_avif(&bytes), "{}", fields[0]);
        if fields[1] == "refused" {
            let result = Decoder::new(&bytes).and_then(|decoder| decoder.decode(&Env::default()));
            assert!(matches!(result, Err(Error::Unsupported(_))), "{}: {:?}", fields[0], result.err());
            refused += 1;
        } else if fields[0].starts_with("12-") && fields[0].ends_with("-multiplied") {
            let result = Decoder::new(&bytes).unwrap().decode(&Env::default());
            assert_eq!(result, Err(Error::Unsupported(Unsupported::Multiplied)));
        } else if let Err(what) = levels(&bytes, &fields[1..3], fields[4]) {
            wrong.push(format!("{}: {what}", fields[0]));
        } else {
            count += 1;
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(count >= 140 && refused >= 10, "{count} files, {refused} refused");
}

#[test]
fn turns_are_those_of_pillow() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    for turn in 2..=8 {
        let bytes = std::fs::read(folder.join(format!("turn{turn}.avif"))).unwrap();
        assert_eq!(Decoder::new(&bytes).unwrap().turn(), Some(turn));
    }
    let bytes = std::fs::read(folder.join("xmp-turn.avif")).unwrap();
    let decoder = Decoder::new(&bytes).unwrap();
    assert!(decoder.turn().is_none() && decoder.xmp().is_some_and(|xmp| xmp.ends_with(b"</x:xmpmeta>")));
}
