//! Trees and codes for all groups of a frame.

use jxl_levels::Error;

use crate::bits::{Bits, NOISE, header, large_header, last_frame, passes_frame, sections_frame};
use crate::{measured, refused};

/// What comes before the tree in a modular frame: no noise, quantizers of the average.
fn start() -> Bits {
    let mut section = Bits::default();
    section.put(64, 0).put(16, 0).put(1, 1).clone()
}

/// A tree with so many inner nodes. All split at the same place, which is found wrong when the tree is there.
fn tree(section: &mut Bits, inner: usize) {
    section.put(1, 1);
    // Properties have a code of two symbols, and all else none.
    section.put(1, 0).put(1, 1).put(2, 1).put(6, 0b10);
    section.put(1, 1).put(4, 15).put(4, 15).put(1, 0).put(1, 1).put(4, 0);
    section.put(2, 1).put(2, 1).put(1, 0).put(1, 1);
    section.0.extend([true].repeat(inner));
    section.0.extend([false].repeat(inner + 1));
}

#[test]
fn a_tree() {
    let of = |inner| {
        let mut section = start();
        tree(&mut section, inner);
        // One code for all its leaves; no transforms.
        section.put(1, 0).put(1, 1).put(2, 0).put(1, 1).put(4, 15).put(1, 0).put(1, 1).put(1, 1).put(2, 0);
        let sections = [vec![section], vec![Bits::default(); 2 + 9]].concat();
        [large_header(2100), sections_frame(NOISE, 1024, &sections)].concat()
    };
    let (result, most, told) = measured(&of(405_000));
    assert!(matches!(result, Err(Error::Damaged(_))), "{result:?}");
    // Beside the samples, a tree that has just grown to three times its size.
    assert!(most > 6 * 2100 * 2100 + 4 * 797_161 * 16, "{most}");
    assert!(most <= told, "{most}, {told} told");
    refused(&of(415_000), "the tree of its pixels is too large");
}

#[test]
fn codes_of_a_tree() {
    let of = |tables| {
        let mut section = start();
        tree(&mut section, 255);
        section.large_tables(tables);
        [header(), last_frame(NOISE, &section)].concat()
    };
    // All nodes split at the same place, so that nothing is made of the codes.
    let (result, most, told) = measured(&of(40));
    assert!(matches!(result, Err(Error::Damaged(_))), "{result:?}");
    assert!(most <= told, "{most}, {told} told");
    refused(&of(256), "the tables of its codes are too large");
}

#[test]
fn codes_of_passes() {
    let of = |tables| {
        let mut global = Bits::default();
        // No noise, factors of the average, scales, and all that is usual of contexts and colours.
        global.put(64, 0).put(16, 0).put(1, 1).put(2, 0).put(11, 1000).put(2, 0).put(1, 1).put(1, 1).put(1, 0);
        let mut group = Bits::default();
        group.put(2, 0).group_of_zeros().put(10, 1023).group_of_zeros();
        let mut coefficients = Bits::default();
        coefficients.put(1, 1);
        for _ in 0..11 {
            // Usual orders.
            coefficients.put(2, 2).large_tables(tables);
        }
        let sections = [vec![global, group, coefficients], vec![Bits::default(); 11]].concat();
        [header(), passes_frame(11, &sections)].concat()
    };
    let (_, most, told) = measured(&of(40));
    assert!(most > 11 * 40 * 4 * (1 << 15), "{most}");
    assert!(most <= told, "{most}, {told} told");
    refused(&of(60), "the tables of its codes are too large");
}
