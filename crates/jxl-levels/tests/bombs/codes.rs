//! Trees and codes for all groups of a frame.

use jxl_levels::Error;

use crate::bits::{Bits, NOISE, header, large_header, last_frame, passes_frame, sections_frame};
use crate::{measured, refused};

/// What comes before the tree in a modular frame: no noise, quantizers of the average.
fn start() -> Bits {
    let mut section = Bits::default();
    section.put(64, 0).put(16, 0).put(1, 1).clone()
}

/// All of the first section, of a frame of cosines: no noise, quantizers of the average, scales, and all that is usual of contexts and colours.
fn start_of_cosines() -> Bits {
    let mut section = Bits::default();
    section.put(64, 0).put(16, 0).put(1, 1).put(2, 0).put(11, 1000).put(2, 0).put(1, 1).put(1, 1).put(1, 0).clone()
}

/// A tree with so many inner nodes. All split at the same place, which is found wrong when the tree is there.
fn tree(section: &mut Bits, inner: usize) {
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
        tree(section.put(1, 1), inner);
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
        tree(section.put(1, 1), 255);
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
    let of = |quantizers: &Bits, orders: &Bits, tables| {
        let mut group = Bits::default();
        group.put(2, 0).group_of_zeros().put(10, 1023).group_of_zeros();
        let mut coefficients = quantizers.clone();
        for _ in 0..11 {
            coefficients.0.extend(&orders.0);
            coefficients.large_tables(tables);
        }
        let sections = [vec![start_of_cosines(), group, coefficients], vec![Bits::default(); 11]].concat();
        [header(), passes_frame(11, &sections)].concat()
    };
    let usual = Bits::default().put(1, 1).clone();
    // One band of 1.0 in each channel for blocks of 8 x 8, and what is usual for the others.
    let mut own = Bits::default();
    own.put(1, 0).put(3, 6).put(4, 0).put(16, 0x3c00).put(16, 0x3c00).put(16, 0x3c00).put(48, 0);
    let no_orders = Bits::default().put(2, 2).clone();
    // Nothing changes its place, but all is noted.
    let all_orders = Bits::default().put(2, 3).put(13, 8191).constants(8, None).clone();
    for (quantizers, orders) in [(&usual, &no_orders), (&own, &no_orders), (&usual, &all_orders)] {
        let (_, most, told) = measured(&of(quantizers, orders, 40));
        assert!(most > 11 * 40 * 4 * (1 << 15), "{most}");
        assert!(most <= told, "{most}, {told} told");
        refused(&of(quantizers, orders, 60), "the tables of its codes are too large");
    }
}

/// What begins a group: no tree of all, the usual predictor, no transforms.
fn group(section: &mut Bits) -> &mut Bits {
    section.put(1, 0).put(1, 1).put(2, 0)
}

#[test]
fn a_tree_of_a_group() {
    let mut first = start();
    group(first.put(1, 0)).constants(6, None).constants(1, None);
    let mut large = Bits::default();
    tree(group(&mut large), 405_000);
    // One code for all its leaves; or the section ends within the tree.
    for rest in [6, 0] {
        let mut large = large.clone();
        match rest {
            0 => large.0.truncate(large.0.len() - 8),
            _ => large.0.extend([false, true, false, false, true, true, true, true, true, false]),
        }
        let sections = [vec![first.clone()], vec![Bits::default(); 2], vec![large], vec![Bits::default(); 3]].concat();
        let (result, most, told) = measured(&[large_header(2048), sections_frame(NOISE, 1024, &sections)].concat());
        assert!(result.is_err());
        assert!(most > (6 << 22) + 4 * 797_161 * 16, "{most}");
        assert!(most <= told, "{most}, {told} told");
    }
}

#[test]
fn codes_of_a_group() {
    let with_tables = |section: &mut Bits, tables| {
        tree(group(section), 255);
        section.large_tables(tables);
    };
    let modular = |tables| {
        let mut first = start();
        group(first.put(1, 0)).constants(6, None).constants(1, None);
        let mut large = Bits::default();
        with_tables(&mut large, tables);
        let sections = [vec![first], vec![Bits::default(); 2], vec![large], vec![Bits::default(); 3]].concat();
        [large_header(2048), sections_frame(NOISE, 1024, &sections)].concat()
    };
    let averages = |tables| {
        let mut section = Bits::default();
        with_tables(section.put(2, 0), tables);
        let sections = [vec![start_of_cosines(), section], vec![Bits::default(); 1 + 11]].concat();
        [header(), passes_frame(11, &sections)].concat()
    };
    let small = |tables| {
        let mut section = start_of_cosines();
        with_tables(section.put(2, 0), tables);
        [header(), passes_frame(1, &[section])].concat()
    };
    for of in [&modular as &dyn Fn(u64) -> Vec<u8>, &averages, &small] {
        let (result, most, told) = measured(&of(40));
        assert!(matches!(result, Err(Error::Damaged(_))), "{result:?}");
        assert!(most <= told, "{most}, {told} told");
        refused(&of(256), "the tables of its codes are too large");
    }
}
