//! Transforms of modular images.

use jxl_levels::{Error, Levels};

use crate::bits::{Bits, NOISE, header, in_boxes, large_header, last_frame, sections_frame};
use crate::{measured, refused};

fn first_section(transforms: &[Bits]) -> Bits {
    // No noise, quantizers of the average, no tree for all groups.
    Bits::default().put(64, 0).put(16, 0).put(1, 1).put(1, 0).transformed_zeros(transforms).clone()
}

/// In a box that declares level 10, which allows 512 transforms and 65,536 channels.
fn at_level_10(codestream: &[u8]) -> Vec<u8> {
    in_boxes(&[(b"jxll", &[10]), (b"jxlc", codestream)])
}

/// Of all channels, until they are small.
fn usual_squeeze() -> Bits {
    Bits::default().put(2, 2).put(2, 0).clone()
}

#[test]
fn a_squeezed_picture() {
    let group = Bits::default().group_of_zeros().clone();
    let sections = [vec![first_section(&[usual_squeeze()]), group.clone()], vec![Bits::default()], vec![group; 4]];
    let (picture, most, told) =
        measured(&[large_header(2048), sections_frame(NOISE, 1024, &sections.concat())].concat());
    assert!(matches!(picture, Ok(Levels::Rgb(levels)) if levels.len() == 3 << 22));
    assert!(most <= told, "{most}, {told} told");
}

#[test]
fn many_transforms() {
    let codestream = [header(), last_frame(NOISE, &first_section(&vec![usual_squeeze(); 9]))].concat();
    refused(&codestream, "too many transforms");
    refused(&at_level_10(&codestream), "too many transforms");
}

/// Each makes another channel, which has notes in each group.
#[test]
fn many_squeezes() {
    let of = |squeezes: u64| {
        let mut squeeze = Bits::default();
        squeeze.put(2, 2).put(2, 3).put(8, squeezes - 41);
        // All three, all six, and so on: one time across and one time down.
        let all = (0..8).flat_map(|round| (0..3 << round).map(move |channel| (round, channel)));
        for (round, channel) in all.take(squeezes as usize) {
            squeeze.put(1, round % 2).put(1, 0);
            match channel {
                ..8 => squeeze.put(2, 0).put(3, channel),
                8..72 => squeeze.put(2, 1).put(6, channel - 8),
                _ => squeeze.put(2, 2).put(10, channel - 72),
            };
            squeeze.put(2, 0);
        }
        let sections = [vec![first_section(&[squeeze])], vec![Bits::default(); 4 + 1 + 256]].concat();
        [large_header(2048), sections_frame(NOISE, 128, &sections)].concat()
    };
    let (picture, most, told) = measured(&of(250));
    assert!(picture.is_err(), "groups without bytes");
    assert!(most > (6 << 22) + (7 << 20), "{most}");
    assert!(most <= told, "{most}, {told} told");
    for bytes in [of(260), at_level_10(&of(260))] {
        let (picture, most, told) = measured(&bytes);
        assert_eq!(picture.map(|_| ()), Err(Error::TooMuch("it has more than level 5 of JPEG XL allows")));
        assert!(most <= told, "{most}, {told} told");
    }
}

#[test]
fn large_palettes() {
    let palette =
        Bits::default().put(2, 1).put(2, 0).put(3, 0).put(2, 0).put(2, 3).put(16, 65535).put(2, 0).put(4, 0).clone();
    let codestream = [header(), last_frame(NOISE, &first_section(&vec![palette; 8]))].concat();
    let (_, most, told) = measured(&codestream);
    assert!(most <= told, "{most}, {told} told");
}

#[test]
fn many_channels() {
    let mut bits = Bits::default();
    // Five channels of alpha, and else all that is usual.
    bits.put(16, 0x0aff).put(1, 1).put(5, 31).put(3, 1).put(1, 0).put(1, 0).put(1, 0).put(2, 0).put(1, 1);
    bits.put(2, 2).put(4, 3).put(5, 0b11111).put(1, 1).put(1, 1).put(2, 0).put(1, 1);
    let (result, ..) = measured(&at_level_10(&bits.bytes()));
    assert_eq!(result.map(|_| ()), Err(Error::TooMuch("it has more than level 5 of JPEG XL allows")));
}
