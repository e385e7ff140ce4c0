//! Sequences of pictures, in the order in which they are shown.

use crate::dpb::Dpb;
use crate::error::{Error, Result};
use crate::frame::Frame;
use crate::motion::Field;
use crate::picture::{self, Job};
use crate::pps::Pps;
use crate::sets::Sets;
use crate::sps::Sps;
use crate::walk::{Head, Walk};

/// Pictures that are predicted from each other. Data of one go in after those of the other; pictures come out as they
/// are shown.
#[derive(Debug)]
pub struct Stream {
    walk: Walk,
    dpb: Dpb,
    /// See [`limit`](Self::limit).
    most: usize,
}

impl Stream {
    /// `sets`: what the container says; `length_size`: bytes of the length before each unit of the data, 1 to 4.
    pub fn new(sets: Sets, length_size: usize) -> Self {
        Self { walk: Walk::new(sets, length_size), dpb: Dpb::default(), most: usize::MAX }
    }

    /// Bytes that [`decode`](Self::decode) takes at most with all that is kept, if each picture is as the one in `data`,
    /// and none of `largest` bytes is larger.
    pub fn needs(&self, data: &[u8], largest: usize) -> Result<usize> {
        let mut walk = self.walk.clone();
        let pps = walk.head(data)?.pps;
        let (sps, pps) = walk.sets.of(pps)?;
        Ok(takes(sps, pps).saturating_add(largest))
    }

    /// Refuses pictures that would take more than so many bytes with those that are kept. Parameter sets may come with any
    /// picture, and make those that follow larger than the first.
    pub fn limit(&mut self, bytes: usize) {
        self.most = bytes;
    }

    /// Decodes the next picture. `false`: nothing was done, as pictures have to be taken first with
    /// [`shown`](Self::shown). Afterwards the same data are to be given again.
    ///
    /// # Errors
    ///
    /// Those of [`Picture::decode`](crate::Picture::decode), and [`Error::Damaged`](crate::Error::Damaged) where pictures are missing that
    /// this one is predicted from.
    pub fn decode(&mut self, data: &[u8], go_on: &dyn Fn() -> bool) -> Result<bool> {
        if self.dpb.is_ready() {
            return Ok(false);
        }
        let head = self.walk.head(data)?;
        if !head.lacks && !self.decode_picture(&head, go_on)? {
            return Ok(false);
        }
        self.walk.pass(&head);
        Ok(true)
    }

    fn decode_picture(&mut self, head: &Head, go_on: &dyn Fn() -> bool) -> Result<bool> {
        let Self { walk, dpb, most } = self;
        let (sps, pps) = walk.sets.of(head.pps)?;
        if takes(sps, pps) > *most {
            return Err(Error::Unsupported("a sequence whose pictures become larger"));
        }
        if head.begins {
            dpb.end_sequence();
        }
        let lists = dpb.mark(head.poc, &head.kept, sps.poc_bits)?;
        if !dpb.make_room(sps)? {
            return Ok(false);
        }
        let mut frame = dpb.frame(sps)?;
        let references = dpb.references(head.poc, &lists, sps)?;
        let job = Job { sets: &walk.sets, sps, pps, units: head.units, go_on, references: Some(&references) };
        let picture = job.run(&mut |y, lines| frame.keep(y, lines))?;
        frame.keep_motion(head.poc, &picture.motion, &picture.map, |slot| references.in_slot(slot))?;
        dpb.keep(frame, head.poc, head.kept.shown, sps);
        Ok(true)
    }

    /// There are no more data: what waits is shown.
    pub fn end(&mut self) {
        self.dpb.flush();
    }

    /// The next picture to be shown, once it is known to be the next.
    pub fn shown(&mut self) -> Option<&Frame> {
        self.dpb.shown()
    }
}

/// Bytes of the pictures that are kept and of the one at work.
fn takes(sps: &Sps, pps: &Pps) -> usize {
    let frames = Frame::needs(sps).saturating_mul(sps.buffering.pictures + 1);
    frames.saturating_add(picture::needs(sps, pps)).saturating_add(Field::needs(sps.width, sps.height))
}

/// What becomes of a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is decoded and shown.
    Shown,
    /// It is decoded, as others are predicted from it.
    Hidden,
    /// It is left out: it lacks pictures before the first one.
    Left,
}

/// Which pictures of a stream are shown. Nothing is decoded for that.
#[derive(Debug)]
pub struct Scan {
    walk: Walk,
}

impl Scan {
    /// As [`Stream::new`].
    pub fn new(sets: Sets, length_size: usize) -> Self {
        Self { walk: Walk::new(sets, length_size) }
    }

    /// What becomes of the next picture.
    pub fn next(&mut self, data: &[u8]) -> Result<Fate> {
        let head = self.walk.head(data)?;
        self.walk.pass(&head);
        Ok(match (head.lacks, head.kept.shown) {
            (true, _) => Fate::Left,
            (false, true) => Fate::Shown,
            (false, false) => Fate::Hidden,
        })
    }
}

impl Frame {
    /// What it is.
    pub fn format(&self) -> crate::Format {
        self.window().format
    }
}
