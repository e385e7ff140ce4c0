//! Texts as ftfy and Python leave them (`golden/make_golden.py`).

use std::path::Path;

use fix_text::{fix_text, unescape};
use serde_json::Value;

/// Differences from the golden texts in `path`, each told, and how many texts there are.
fn differences(path: &Path) -> (usize, usize) {
    let file: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let cases = file["cases"].as_array().unwrap();
    let mut different = 0;
    for case in cases {
        let [text, fixed, unescaped] = [0, 1, 2].map(|i| case[i].as_str().unwrap());
        let ours = fix_text(text);
        let ours = (unescape(&unescape(&ours)), ours);
        if ours != (unescaped.to_owned(), fixed.to_owned()) {
            different += 1;
            println!("{text:?}\n  ours {:?}\n ftfys {fixed:?}\n  ours {:?}\npythons {unescaped:?}", ours.1, ours.0);
        }
    }
    (different, cases.len())
}

#[test]
fn texts_become_what_ftfy_makes_of_them() {
    let (different, cases) = differences(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/fixed.json"));
    assert!(cases > 500);
    assert_eq!(different, 0);
}

/// `make_golden.py --sweep N FILE`, then `FIX_TEXT_SWEEP=FILE cargo test -p fix-text sweep -- --nocapture`.
#[test]
fn sweep() {
    let Ok(path) = std::env::var("FIX_TEXT_SWEEP") else {
        eprintln!("not run: FIX_TEXT_SWEEP names no file");
        return;
    };
    let (different, cases) = differences(Path::new(&path));
    println!("{different} of {cases} texts differ");
    assert_eq!(different, 0);
}
