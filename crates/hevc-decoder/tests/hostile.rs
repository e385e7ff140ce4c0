//! Streams that are not what they say: an error or pictures, no panic, and no work that goes on.

mod streams;

use hevc_decoder::{Error, Fate, Frame, Picture, Scan, Sets, Stream};

/// A generator of numbers that is always the same.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % end as u64) as usize
    }
}

#[test]
fn mutations() {
    let count: usize = std::env::var("MUTATIONS").map_or(600, |count| count.parse().unwrap());
    let seed = std::env::var("SEED").map_or(88172645463325252, |seed| seed.parse().unwrap());
    let mut random = Random(seed);
    let names = [
        "b-pyramid",
        "parts-smallest",
        "open",
        "b-weights",
        "slices-wavefront",
        "full",
        "narrow-ten",
        "lossless-units",
    ];
    let all = names.map(streams::pictures);
    let (mut whole, mut shown) = (0, 0);
    for i in 0..count {
        let mut pictures = all[i % all.len()].clone();
        for _ in 0..=random.below(3) {
            let picture = random.below(pictures.len());
            match random.below(6) {
                0 => drop(pictures.remove(picture)),
                1 => {
                    let other = random.below(pictures.len());
                    pictures.swap(picture, other);
                }
                _ => {
                    let bytes = &mut pictures[picture];
                    // The first bytes are the headers.
                    let end = if random.below(2) == 0 { bytes.len() } else { bytes.len().min(40) };
                    bytes[random.below(end)] ^= 1 << random.below(8);
                }
            }
        }
        let (mut decoded, mut scan) = (0, Scan::new(Sets::default(), 4));
        let each = |frame: &Frame| {
            let most = 1 << frame.format().depth.into_iter().max().unwrap();
            assert!(streams::samples(frame).iter().all(|&sample| sample < most));
            decoded += 1;
        };
        whole += usize::from(streams::decode(&pictures, each).is_ok());
        shown += decoded;
        let told =
            pictures.iter().map_while(|picture| scan.next(picture).ok()).filter(|told| *told == Fate::Shown).count();
        assert!(decoded <= told, "{decoded} pictures of {told}");
    }
    println!("{whole} of {count} streams without an error, {shown} pictures");
    assert!(whole * 20 > count && whole < count);
}

#[test]
fn pictures_that_are_missing() {
    let pictures = streams::pictures("p");
    let part = [&pictures[..2], &pictures[3..]].concat();
    let error = streams::decode(&part, |_| {}).unwrap_err();
    assert_eq!(error, Error::Damaged("a picture that another is predicted from is missing"));
    // Without the first one nothing can be decoded: it has the parameter sets.
    assert_eq!(
        streams::decode(&pictures[1..], |_| {}).unwrap_err(),
        Error::Damaged("a picture parameter set is missing")
    );
}

#[test]
fn pictures_that_end_early() {
    let pictures = streams::pictures("b");
    for len in (0..pictures[3].len()).step_by(9) {
        let mut part = pictures.clone();
        part[3].truncate(len);
        // What follows the slice is a message.
        let first = 4 + u32::from_be_bytes(pictures[3][..4].try_into().unwrap()) as usize;
        assert!(len >= first || streams::decode(&part, |_| {}).is_err(), "{len} of {first}");
    }
}

#[test]
fn whoever_is_asked_ends_the_work() {
    let pictures = streams::pictures("p");
    let mut stream = Stream::new(Sets::default(), 4);
    assert_eq!(stream.decode(&pictures[0], &|| false), Err(Error::Stopped));
    assert_eq!(stream.decode(&pictures[0], &|| true), Ok(true));
    assert!(stream.shown().is_some());
    assert_eq!(stream.decode(&pictures[1], &|| false), Err(Error::Stopped));
}

/// A picture alone is still refused where it is predicted from others.
#[test]
fn a_picture_alone() {
    let pictures = streams::pictures("p");
    let both = Picture::new(Sets::default(), &pictures[0], 4).unwrap();
    assert!(both.decode(&|| true, &mut |_| {}).is_ok());
    let mut second = pictures[0].clone();
    // The parameter sets, then the second picture: 32 to 34 are sets.
    let mut at = 0;
    while second[at + 4] >> 1 & 63 >= 32 && second[at + 4] >> 1 & 63 <= 34 {
        at += 4 + u32::from_be_bytes(second[at..at + 4].try_into().unwrap()) as usize;
    }
    second.truncate(at);
    second.extend(&pictures[1]);
    let alone = Picture::new(Sets::default(), &second, 4).unwrap();
    let error = alone.decode(&|| true, &mut |_| {}).unwrap_err();
    assert_eq!(error, Error::Unsupported("a picture that is predicted from others"));
}

/// Parameter sets within a stream may make its pictures larger.
#[test]
fn pictures_that_become_larger() {
    let (small, large) = (streams::pictures("p"), streams::pictures("b"));
    let mut shown = 0;
    streams::decode(&[small.clone(), large.clone()].concat(), |_| shown += 1).unwrap();
    assert_eq!(shown, small.len() + large.len());
    let mut stream = Stream::new(Sets::default(), 4);
    stream.limit(stream.needs(&small[0], 0).unwrap());
    for picture in &small {
        while !stream.decode(picture, &|| true).unwrap() {
            assert!(stream.shown().is_some());
        }
    }
    while stream.shown().is_some() {}
    let error = Error::Unsupported("a sequence whose pictures become larger");
    assert_eq!(stream.decode(&large[0], &|| true), Err(error));
}

/// What is kept is told before.
#[test]
fn memory_by_the_headers() {
    let pictures = streams::pictures("b");
    let largest = pictures.iter().map(Vec::len).max().unwrap();
    let needs = Stream::new(Sets::default(), 4).needs(&pictures[0], largest).unwrap();
    // Two bytes a sample, 4:2:0, at least three pictures.
    let frame = 136 * 72 * 3;
    assert!(needs > 3 * frame && needs < 40 * frame, "{needs}");
}
