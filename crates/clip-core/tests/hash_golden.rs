//! The perceptual hash against the Python library ImageHash.

#[path = "common/images.rs"]
mod images;

use std::collections::BTreeMap;

use clip_core::image::{Limits, perceptual_hash};
use images::{index, read};
use serde::Deserialize;

#[derive(Deserialize)]
struct Golden {
    /// With the bits that the reference leaves to the rounding of its floats.
    hashes: BTreeMap<String, (String, String)>,
}

#[test]
fn hashes_are_the_references() {
    let golden: Golden = serde_json::from_slice(&read("hashes.json")).unwrap();
    let (mut equal, mut failures) = (0, Vec::new());
    for case in index().cases {
        let (expected, undecided) = &golden.hashes[&case.file];
        let [expected, undecided] = [expected, undecided].map(|bits| u64::from_str_radix(bits, 16).unwrap());
        let given = perceptual_hash(&case.bytes(), &Limits::default()).unwrap();
        let bits = ((given ^ expected) & !undecided).count_ones();
        match bits {
            0 => equal += 1,
            _ => failures.push(format!("{} ({}): {given:016x}, not {expected:016x}", case.file, case.note)),
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert!(equal > 100);
}
