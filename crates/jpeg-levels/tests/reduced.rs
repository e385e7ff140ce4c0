//! Pictures at a half, a quarter and an eighth of their size, and Pillow's levels of them, as after its `draft`.
//! `golden/make_goldens.py` makes both.

use std::cell::Cell;
use std::path::Path;

use jpeg_levels::{Decoder, Env, Output, Picture, Reduction, Result, portable};

fn decode(bytes: &[u8], to: Reduction, env: &Env) -> Result<Picture> {
    Decoder::new(bytes)?.reduced(to)?.decode(Output::Rgb, env)
}

/// FNV-1a.
fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |h, &b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3))
}

#[test]
fn levels_memory_and_rows_are_right() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let table = std::fs::read_to_string(folder.join("reduced.tsv")).unwrap();
    let (mut compared, mut wrong) = (0, Vec::new());
    for line in table.lines().filter(|line| !line.starts_with('#')) {
        let fields: Vec<&str> = line.split('\t').collect();
        let bytes = std::fs::read(folder.join(fields[0]).with_extension("jpg")).unwrap();
        let to = Reduction::ALL.into_iter().find(|to| to.divisor().to_string() == fields[1]).unwrap();
        let (needs, taken) = (
            Decoder::new(&bytes).and_then(|d| d.reduced(to)).map_or(0, |decoder| decoder.needs(Output::Rgb)),
            Cell::new(0),
        );
        let zeroed = |len| {
            taken.set(taken.get() + len);
            Some(vec![0; len])
        };
        let given = decode(&bytes, to, &Env { zeroed: &zeroed, go_on: &|| true });
        assert!(taken.get() <= needs, "{line}: {} of {needs}", taken.get());
        portable(true);
        assert!(decode(&bytes, to, &Env::default()) == given, "{line}: other levels without vectors");
        portable(false);
        let mut rows = Vec::new();
        let by_rows = Decoder::new(&bytes).and_then(|decoder| decoder.reduced(to)).and_then(|decoder| {
            decoder.decode_rows(Output::Rgb, &Env::default(), &mut |_, more| {
                rows.extend_from_slice(more);
                Ok(())
            })
        });
        assert_eq!(by_rows.as_ref().err(), given.as_ref().err(), "{line}");
        let ok = match (&given, fields[2]) {
            (Ok(p), "refused") => p.warnings.truncated,
            (Err(_), expected) => expected == "refused",
            (Ok(p), _) => {
                compared += 1;
                assert!(rows == p.pixels, "{line}: rows");
                let size = format!("{}\t{}\t{:016x}", p.width, p.height, hash(&p.pixels));
                size == fields[2..].join("\t") && !p.warnings.truncated
            }
        };
        if !ok {
            wrong.push(format!("{line}: {:?}", given.map(|p| (p.width, p.height, hash(&p.pixels)))));
        }
    }
    assert!(wrong.is_empty(), "{} of {compared} differ:\n{}", wrong.len(), wrong.join("\n"));
    assert!(compared > 600);
}
