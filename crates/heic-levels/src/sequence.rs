//! The pictures of an image sequence, one after the other.

use hevc_decoder::{Fate, Stream};
use isobmff::{Samples, Track, Walk};

use crate::Env;
use crate::decode::Painter;
use crate::error::{Error, Result};
use crate::planes::{self, zeroed};
use crate::source::{Coded, Pictures, Source};

/// Samples that a sequence may have: a table of their times is made.
const MOST_SAMPLES: u32 = 1 << 18;

/// A sequence of HEVC pictures, which are predicted from each other. Each is turned and cropped as the file says, and has libheif's
/// colours. Alpha does not count, nor do edit lists, nor the matrix of the track.
pub struct Sequence<'a> {
    source: Source<'a>,
    stream: Stream,
    samples: Walk<'a>,
    description: u32,
    /// Data of a sample that waits until pictures before it are taken.
    waiting: Option<&'a [u8]>,
    largest: usize,
    durations: Vec<u32>,
    ended: bool,
}

impl<'a> Sequence<'a> {
    /// `None` where the file shows a single picture. Reads the headers of all pictures, and decodes none.
    pub fn new(bytes: &'a [u8]) -> Result<Option<Self>> {
        let Some((source, track)) = Source::of_sequence(bytes)? else { return Ok(None) };
        let Pictures::Sample(coded) = &source.pictures else { return Ok(None) };
        if track.samples.count() < 2 {
            return Ok(None);
        }
        if track.samples.count() > MOST_SAMPLES {
            return Err(Error::TooMuch("the sequence has too many pictures"));
        }
        let description = track.samples.get(track.samples.first_sync()?)?.description;
        let Scanned { starts, largest } = scan(bytes, coded, &track, description)?;
        let durations = durations(&track, starts)?;
        if durations.len() < 2 {
            return Ok(None);
        }
        let (mut stream, samples) = (coded.stream(), track.samples.iter());
        stream.limit(stream.needs(coded.data(), 0)?);
        Ok(Some(Self { source, stream, samples, description, waiting: None, largest, durations, ended: false }))
    }

    /// As shown.
    pub fn width(&self) -> usize {
        self.source.turn.width
    }

    /// As shown.
    pub fn height(&self) -> usize {
        self.source.turn.height
    }

    /// How long each picture is shown, in milliseconds, in the order in which they are.
    pub fn durations(&self) -> &[u32] {
        &self.durations
    }

    /// Bytes that [`next`](Self::next) and what is kept take at most, a picture as RGB among them.
    pub fn needs(&self) -> Result<usize> {
        let coded = self.coded()?;
        let kept = self.stream.needs(coded.data(), self.largest)?;
        let chroma = coded.picture()?.format()?.chroma;
        let upsampled = self.source.turn.upsampled.map_or(0, |part| planes::needs(part, chroma));
        let pixels = self.width().saturating_mul(self.height()).saturating_mul(3);
        // The table of times, before it is that of durations.
        let times = self.durations.len().saturating_mul(2 * size_of::<(i64, u32)>() + 4);
        Ok(kept
            .saturating_add(upsampled)
            .saturating_add(times)
            .saturating_add(pixels)
            .saturating_add(3 * self.source.width))
    }

    fn coded(&self) -> Result<&Coded<'a>> {
        match &self.source.pictures {
            Pictures::Sample(coded) => Ok(coded),
            Pictures::Items(..) => Err(Error::Damaged("there is no picture in it")),
        }
    }

    /// The next picture, three bytes a pixel.
    ///
    /// Fails with [`Error::Damaged`] after the last one.
    pub fn next(&mut self, env: &Env<'_>) -> Result<Vec<u8>> {
        loop {
            if let Some(frame) = self.stream.shown() {
                let Pictures::Sample(coded) = &self.source.pictures else { break };
                let format = frame.format();
                let colours = coded.colours_by(format.signal, None);
                if (format.width, format.height) != self.source.tile {
                    return Err(Error::Unsupported("a sequence whose pictures change their size"));
                }
                let mut painter = Painter::new(&self.source, env)?;
                painter.tile((0, 0), &format, colours, |sink| {
                    frame.rows(sink);
                    Ok(())
                })?;
                return painter.finish();
            }
            if self.ended {
                break;
            }
            match self.waiting.map_or_else(|| sample(&mut self.samples, self.description), |data| Ok(Some(data)))? {
                None => {
                    self.stream.end();
                    self.ended = true;
                }
                Some(data) => self.waiting = if self.stream.decode(data, env.go_on)? { None } else { Some(data) },
            }
        }
        Err(Error::Damaged("the sequence has no more pictures"))
    }
}

/// The next sample's data.
fn sample<'a>(samples: &mut Walk<'a>, known: u32) -> Result<Option<&'a [u8]>> {
    let Some(sample) = samples.next() else { return Ok(None) };
    let (data, description) = sample?;
    if description != known {
        return Err(Error::Unsupported("a sequence whose pictures are described in several ways"));
    }
    Ok(Some(data))
}

struct Scanned {
    /// When pictures that are shown are: ticks from the first sample on, and how long their samples last.
    starts: Vec<(i64, u32)>,
    /// Bytes of the largest sample.
    largest: usize,
}

/// Which samples are shown, and when.
fn scan(bytes: &[u8], coded: &Coded, track: &Track, description: u32) -> Result<Scanned> {
    let Track { samples, .. } = track;
    let (mut scan, mut samples) = (coded.scan(), samples.iter());
    let mut starts = Vec::new();
    let mut ticks = ticks(&track.samples);
    let (mut time, mut total, mut largest, mut hidden) = (0i64, 0usize, 0, 0);
    while let Some(data) = sample(&mut samples, description)? {
        // The same data again and again would be more work than the file is worth.
        total = total.saturating_add(data.len());
        if total > bytes.len() {
            return Err(Error::TooMuch("samples of the sequence overlap"));
        }
        largest = largest.max(data.len());
        let (duration, delay) = ticks.next().unwrap_or_default();
        match scan.next(data)? {
            Fate::Shown => {
                starts.try_reserve(1).map_err(|_| Error::OutOfMemory(16 * starts.len()))?;
                starts.push((time + i64::from(delay), duration));
            }
            Fate::Hidden => hidden += 1,
            Fate::Left => {}
        }
        time += i64::from(duration);
    }
    if hidden > starts.len() {
        return Err(Error::TooMuch("most pictures of the sequence are hidden"));
    }
    Ok(Scanned { starts, largest })
}

/// Durations and delays of samples, zero where the tables end.
fn ticks<'a>(samples: &Samples<'a>) -> impl Iterator<Item = (u32, i32)> + use<'a> {
    samples.durations().chain(std::iter::repeat(0)).zip(samples.delays().chain(std::iter::repeat(0)))
}

/// In milliseconds, in the order of time: each picture is shown until the next one is.
fn durations(track: &Track, mut starts: Vec<(i64, u32)>) -> Result<Vec<u32>> {
    starts.sort_by_key(|(start, _)| *start);
    let milliseconds = |ticks: i64| {
        let ticks = u64::try_from(ticks).unwrap_or(0);
        u32::try_from(ticks.saturating_mul(1000) / u64::from(track.timescale.max(1))).unwrap_or(u32::MAX)
    };
    let mut durations = zeroed(starts.len())?;
    let nexts = starts.iter().skip(1).map(|(start, _)| Some(*start)).chain([None]);
    for ((duration, (start, own)), next) in durations.iter_mut().zip(&starts).zip(nexts) {
        *duration = milliseconds(next.map_or(i64::from(*own), |next| next - start));
    }
    Ok(durations)
}
