//! JPEG, without what clip-core does around it: the memory that was told before, rows and the whole picture the same, the same
//! without vector instructions, in full and smaller, and an end when told.

#![no_main]

use std::cell::Cell;

use jpeg_levels::{Colour, Decoder, Env, Error, Output, Reduction, portable};
use libfuzzer_sys::fuzz_target;
use pg_clip_fuzz::picture::{beginning_with, check};

const MOST: usize = 1 << 18;

fuzz_target!(|bytes: &[u8]| {
    let bytes = beginning_with(bytes, &[b"\xff\xd8\xff"]);
    let Ok(decoder) = Decoder::new(&bytes) else { return };
    try_each_way(decoder.clone());
    for to in Reduction::ALL {
        if let Ok(decoder) = decoder.clone().reduced(to) {
            try_each_way(decoder);
        }
    }
    check(&bytes);
});

fn try_each_way(decoder: Decoder) {
    let (width, height) = (decoder.width(), decoder.height());
    assert!(width > 0 && height > 0);
    if width * height > MOST {
        return;
    }
    let output = if decoder.colour() == Colour::Unknown { Output::Native } else { Output::Rgb };
    let (needs, taken, looks) = (decoder.needs(output), Cell::new(0), Cell::new(0usize));
    let env = Env {
        zeroed: &|len| {
            taken.set(taken.get() + len);
            Some(vec![0; len])
        },
        go_on: &|| {
            looks.set(looks.get() + 1);
            true
        },
    };
    let whole = decoder.clone().decode(output, &env);
    assert!(taken.get() <= needs, "took {} bytes, told {needs}", taken.get());
    if let Ok(picture) = &whole {
        assert_eq!((picture.width, picture.height), (width, height));
        assert_eq!(picture.pixels.len(), picture.channels * width * height);
    }

    let mut rows = Vec::new();
    let by_rows = decoder.clone().decode_rows(output, &Env::default(), &mut |_, more| {
        rows.extend_from_slice(more);
        Ok(())
    });
    assert_eq!(whole.as_ref().err(), by_rows.as_ref().err());

    portable(true);
    let plain = decoder.clone().decode(output, &Env::default());
    portable(false);
    assert!(plain == whole, "another picture without vectors");

    if let Ok(picture) = whole {
        assert!(rows == picture.pixels, "rows of another picture");
        let left = Cell::new(looks.get() / 2);
        let go_on = || left.replace(left.get().saturating_sub(1)) > 0;
        let stopped = decoder.decode(output, &Env { go_on: &go_on, ..Env::default() });
        assert_eq!(stopped.err(), Some(Error::Stopped));
    }
}
