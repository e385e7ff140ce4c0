use crate::written::{atom, film, full, heic};
use crate::{Error, File, Grid, Property};

/// The place of some bytes that are there once.
fn place(bytes: &[u8], of: &[u8]) -> usize {
    let mut places = bytes.windows(of.len()).enumerate().filter(|(_, window)| *window == of).map(|(at, _)| at);
    let at = places.next().unwrap();
    assert_eq!(places.next(), None);
    at
}

#[test]
fn items() {
    let bytes = heic();
    let file = File::read(&bytes).unwrap();
    let meta = file.meta.unwrap();
    assert!(file.movie.is_none() && meta.handler == *b"pict" && meta.primary == Some(2));
    let items: Vec<_> = meta.items().iter().map(|item| (item.id, item.kind, item.hidden)).collect();
    assert_eq!(items, [(1, *b"hvc1", true), (2, *b"grid", false), (3, *b"Exif", true)]);
    assert_eq!(meta.data(1).unwrap(), &b"efabc"[..]);
    assert_eq!((meta.copied(1), meta.copied(2)), (Ok(5), Ok(0)));
    let grid = Grid::read(&meta.data(2).unwrap()).unwrap();
    assert_eq!((grid.tiles(), grid.width, grid.height), (2, 128, 48));
    assert_eq!(meta.references(2, b"dimg").iter().collect::<Vec<_>>(), [1, 1]);
    assert!(meta.references(2, b"auxl").is_empty() && meta.references(1, b"dimg").is_empty());
    assert_eq!(meta.referring(1, *b"dimg").collect::<Vec<_>>(), [2]);
    assert!(meta.data(3).is_err() && meta.data(4).is_err() && meta.item(4).is_none());
}

#[test]
fn properties() {
    let bytes = heic();
    let meta = File::read(&bytes).unwrap().meta.unwrap();
    let of = |id| meta.properties(id).map(Result::unwrap).collect::<Vec<_>>();
    let [turn, colours] = of(2)[..] else { panic!() };
    assert!(turn.essential && turn.property == Property::Rotation(1));
    let Property::Nclx(nclx) = colours.property else { panic!() };
    assert_eq!((nclx.primaries, nclx.transfer, nclx.matrix, nclx.full_range), (1, 13, 6, true));
    let [codec, size, other] = of(1)[..] else { panic!() };
    assert!(codec.essential && !size.essential && size.property == Property::Size { width: 64, height: 48 });
    assert_eq!((codec.unknown(), other.unknown()), (None, Some(*b"what")));
    let Property::Hevc(config) = codec.property else { panic!() };
    assert_eq!(config.length_size, 4);
    assert!(of(3).is_empty() && of(0).is_empty());
}

#[test]
fn a_property_that_is_not_there() {
    let mut bytes = heic();
    let at = place(&bytes, &[0, 1, 4, 0, 0x82, 1, 5]);
    bytes[at + 5] = 6;
    let meta = File::read(&bytes).unwrap().meta.unwrap();
    let found: Vec<_> = meta.properties(1).collect();
    assert!(found[0].is_ok() && found[1].is_err());
}

#[test]
fn samples() {
    let bytes = film();
    let movie = File::read(&bytes).unwrap().movie.unwrap();
    let [track] = movie.tracks[..] else { panic!() };
    assert!(track.id == 4 && track.handler == *b"pict" && track.enabled && track.timescale == 600);
    assert_eq!((track.matrix[0], track.matrix[4], track.matrix[8]), (65536, 65536, 1 << 30));
    let samples: Vec<_> = (0..5).map(|i| track.samples.get(i).unwrap()).collect();
    let starts: Vec<_> =
        samples.iter().map(|sample| (sample.data[0], sample.data.len(), sample.duration, sample.sync)).collect();
    assert_eq!(
        starts,
        [(0, 10, 7, false), (10, 20, 7, false), (30, 30, 9, true), (60, 40, 9, false), (100, 50, 9, false)]
    );
    assert_eq!((track.samples.count(), track.samples.first_sync()), (5, Ok(2)));
    assert!(track.samples.get(5).is_err());
    let walked: Vec<_> = track.samples.iter().map(Result::unwrap).collect();
    assert_eq!(walked, samples.iter().map(|sample| (sample.data, sample.description)).collect::<Vec<_>>());
    assert_eq!(track.samples.delays().collect::<Vec<_>>(), [3, -2]);
    let entry = track.entry(1).unwrap();
    assert_eq!((entry.kind, entry.width, entry.height), (*b"hvc1", 64, 48));
    assert_eq!(entry.properties().collect::<Vec<_>>(), [Ok(Property::Rotation(2))]);
    assert!(track.entry(0).is_err() && track.entry(2).is_err() && track.entry(u32::MAX).is_err());
    assert_eq!(track.refers_to(1, b"auxl"), Ok(false));
}

/// Everything that there is, whatever it gives.
fn read_all(bytes: &[u8]) {
    let Ok(file) = File::read(bytes) else { return };
    if let Some(meta) = file.meta {
        for item in meta.items() {
            for property in meta.properties(item.id).flatten() {
                if let Property::Hevc(config) = property.property {
                    let _ = config.units::<Error>(|_| Ok(()));
                }
            }
            if let Ok(data) = meta.data(item.id) {
                assert!(data.len() <= bytes.len());
                let _ = (Grid::read(&data), crate::Overlay::read(&data).map(|overlay| overlay.offset(0)));
            }
            assert!(meta.references(item.id, b"dimg").iter().count() <= bytes.len());
            assert!(meta.referring(item.id, *b"dimg").count() <= bytes.len());
        }
    }
    for track in file.movie.iter().flat_map(|movie| &movie.tracks) {
        for i in [0, 1, 2, 5, u32::MAX] {
            let _ = track
                .samples
                .get(i)
                .map(|sample| track.entry(sample.description).map(|entry| entry.properties().count()));
        }
        assert!(
            track
                .samples
                .iter()
                .take(1000)
                .all(|sample| sample.is_err() || sample.is_ok_and(|(data, _)| data.len() <= bytes.len()))
        );
        let _ = track.samples.delays().take(1000).count();
        let _ = (track.samples.first_sync(), track.refers_to(1, b"auxl"));
    }
}

#[test]
fn files_cut_anywhere() {
    for whole in [heic(), film()] {
        for len in 0..whole.len() {
            read_all(&whole[..len]);
        }
    }
}

#[test]
fn bytes_of_any_value_anywhere() {
    for whole in [heic(), film()] {
        for at in 0..whole.len() {
            for value in [0, 1, 2, 7, 8, 15, 127, 128, 254, 255] {
                let mut bytes = whole.clone();
                bytes[at] = value;
                read_all(&bytes);
                // Two and four together, for counts and sizes.
                for end in [at + 2, at + 4] {
                    if let Some(some) = bytes.get_mut(at..end) {
                        some.fill(value);
                        read_all(&bytes);
                    }
                }
            }
        }
    }
}

#[test]
fn counts_without_entries_end_at_once() {
    let ftyp = atom(b"ftyp", b"heic\0\0\0\0");
    let huge = [0xff; 4];
    for (kind, version, body) in [
        (b"iloc", 2, [&[0, 0][..], &huge].concat()),
        (b"iinf", 1, huge.to_vec()),
        // Entries without numbers, but for an id and a count.
        (b"iloc", 0, [&[0, 0, 255, 255][..], &[0; 6 * 65535]].concat()),
    ] {
        let meta = full(b"meta", 0, 0, &full(kind, version, 0, &body));
        let _ = File::read(&[&ftyp[..], &meta].concat());
    }
    let ipma = full(b"ipma", 0, 0, &[&huge[..], &[0; 3 * 70000]].concat());
    let meta = full(b"meta", 0, 0, &atom(b"iprp", &ipma));
    let error = File::read(&[ftyp, meta].concat()).unwrap_err();
    assert_eq!(error, Error::TooMuch("it has too many items or properties"));
}

#[test]
fn data_over_each_other() {
    // 65535 pieces, each the whole file.
    for (count, error) in
        [(1000u16, "an item's data lie over each other"), (65535, "an item's data are in too many pieces")]
    {
        let iloc = [&[0, 0, 0, 1, 0, 7, 0, 0][..], &count.to_be_bytes()].concat();
        let infe = full(b"infe", 2, 0, b"\0\x07\0\0hvc1\0");
        let iinf = full(b"iinf", 0, 0, &[vec![0, 1], infe].concat());
        let meta = full(b"meta", 0, 0, &[full(b"iloc", 0, 0, &iloc), iinf].concat());
        let bytes = [atom(b"ftyp", b"heic\0\0\0\0"), meta].concat();
        let meta = File::read(&bytes).unwrap().meta.unwrap();
        assert_eq!(meta.data(7).unwrap_err(), Error::TooMuch(error));
        assert_eq!(meta.data_len(7).unwrap_err(), Error::TooMuch(error));
    }
}

#[test]
fn what_is_no_file() {
    assert_eq!(File::read(b"").unwrap_err(), Error::NotIsobmff);
    assert_eq!(File::read(b"\xff\xd8\xff\xe0").unwrap_err(), Error::NotIsobmff);
    let whole = heic();
    let cut = &whole[..whole.len() - 40];
    assert_eq!(File::read(cut).unwrap_err(), Error::Truncated);
    // The data are missing, and nothing else.
    let cut = &whole[..whole.len() - 1];
    assert_eq!(File::read(cut).unwrap().meta.unwrap().data(1).unwrap_err(), Error::Truncated);
}
