//! Files of every kind, and libheif's levels of them. `golden/make_goldens.py` makes both.

use std::path::Path;

use heic_levels::{Decoder, Env};

/// FNV-1a.
fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |h, &b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3))
}

#[test]
fn levels_are_those_of_libheif() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let table = std::fs::read_to_string(folder.join("expected.tsv")).unwrap();
    let (mut count, mut wrong) = (0, Vec::new());
    for line in table.lines().filter(|line| !line.starts_with('#')) {
        let fields: Vec<&str> = line.split('\t').collect();
        let bytes = std::fs::read(folder.join(format!("{}.heic", fields[0]))).unwrap();
        let decoder = Decoder::new(&bytes).unwrap();
        let size = [decoder.width().to_string(), decoder.height().to_string()];
        assert_eq!(size, fields[1..3], "{}", fields[0]);
        let expected = u64::from_str_radix(fields[3], 16).unwrap();
        match decoder.decode(&Env::default()) {
            Ok(pixels) if hash(&pixels) == expected => count += 1,
            Ok(_) => wrong.push(format!("{}: other levels", fields[0])),
            Err(error) => wrong.push(format!("{}: {error}", fields[0])),
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(count >= 60, "{count} files");
}
