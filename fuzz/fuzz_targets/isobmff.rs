//! The boxes of HEIC and AVIF: everything that may be asked of them, whatever it gives.

#![no_main]

use isobmff::{Error, File, Grid, Overlay, Property};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(file) = File::read(bytes) else { return };
    if let Some(meta) = &file.meta {
        // What is asked of each item is linear in the file; there may be many of both.
        for item in meta.items().iter().take(64) {
            for property in meta.properties(item.id).flatten() {
                if let Property::Hevc(config) = property.property {
                    let _ = config.units::<Error>(|unit| Ok(assert!(unit.len() <= bytes.len())));
                }
            }
            if let Ok(data) = meta.data(item.id) {
                assert!(data.len() <= bytes.len() && meta.data_len(item.id) == Ok(data.len()));
                let _ = Grid::read(&data).map(|grid| assert!(grid.tiles() <= 1 << 16));
                let _ = Overlay::read(&data).map(|overlay| overlay.offset(1));
            }
            assert!(meta.references(item.id, b"dimg").iter().count() <= bytes.len());
            meta.referring(item.id, *b"auxl").take(8).for_each(drop);
        }
    }
    for track in file.movie.iter().flat_map(|movie| &movie.tracks) {
        for i in [0, 1, track.samples.count().wrapping_sub(1), u32::MAX] {
            if let Ok(sample) = track.samples.get(i) {
                assert!(sample.data.len() <= bytes.len());
                let _ = track.entry(sample.description).map(|entry| entry.properties().count());
            }
        }
        let _ = (track.samples.first_sync(), track.refers_to(1, b"auxl"));
    }
});
