//! The decoded pictures that are kept: for others to be predicted from, or until they are shown (clauses 8.3.2 and C.5.2).

use std::collections::VecDeque;

use crate::error::{Error, Result};
use crate::frame::Frame;
use crate::prediction_header::Kept;
use crate::references::{Reference, References};
use crate::rps::MOST;
use crate::sps::Sps;

/// What a picture is kept for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Marking {
    /// None is predicted from it any more.
    Unused,
    Short,
    Long,
}

/// Whether a picture is still to be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Showing {
    /// Others may have to be shown before.
    Waiting,
    /// It is in the queue.
    Ready,
    /// It was, or is not to be.
    Done,
}

#[derive(Debug)]
struct Slot {
    frame: Frame,
    poc: i32,
    marking: Marking,
    showing: Showing,
}

/// The pictures that are kept.
#[derive(Debug, Default)]
pub struct Dpb {
    /// Slots stay where they are as long as they are of use.
    slots: Vec<Option<Slot>>,
    /// To be shown next.
    ready: VecDeque<usize>,
    /// One that is not of use any more, for its memory.
    spare: Option<Frame>,
}

const MISSING: Error = Error::Damaged("a picture that another is predicted from is missing");

impl Dpb {
    /// The next picture to be shown.
    pub fn shown(&mut self) -> Option<&Frame> {
        let slot = self.slots.get_mut(self.ready.pop_front()?)?.as_mut()?;
        slot.showing = Showing::Done;
        Some(&slot.frame)
    }

    /// Pictures are to be shown before another is decoded.
    pub fn is_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    fn slots(&mut self) -> impl Iterator<Item = (usize, &mut Slot)> {
        self.slots.iter_mut().enumerate().filter_map(|(i, slot)| Some((i, slot.as_mut()?)))
    }

    /// Makes the earliest picture that waits ready. `false` where none waits.
    fn bump(&mut self) -> bool {
        let waiting = self.slots().filter(|(_, slot)| slot.showing == Showing::Waiting);
        let Some((i, slot)) = waiting.min_by_key(|(_, slot)| slot.poc) else { return false };
        slot.showing = Showing::Ready;
        self.ready.push_back(i);
        true
    }

    /// All that wait become ready.
    pub fn flush(&mut self) {
        while self.bump() {}
    }

    /// A sequence ends: all pictures are to be shown, and none is predicted from them.
    pub fn end_sequence(&mut self) {
        self.flush();
        self.slots().for_each(|(_, slot)| slot.marking = Marking::Unused);
    }

    /// Marks the pictures that a picture keeps, and gives up the others. Gives the slots that it may be predicted from.
    pub fn mark(&mut self, poc: i32, kept: &Kept, poc_bits: u32) -> Result<[Vec<usize>; 3]> {
        let mask = (1i32 << poc_bits) - 1;
        let mut marked = [Marking::Unused; 2 * MOST + 1];
        let mut lists = [Vec::new(), Vec::new(), Vec::new()];
        for long in &kept.long {
            let whole = |cycles: u32| {
                let back = i64::from(cycles) << poc_bits;
                i64::from(poc) - back - i64::from(poc & mask) + i64::from(long.lsb)
            };
            let found = self.slots().find(|(_, slot)| {
                slot.marking != Marking::Unused
                    && match long.cycles {
                        Some(cycles) => i64::from(slot.poc) == whole(cycles),
                        None => slot.poc & mask == long.lsb as i32,
                    }
            });
            match found {
                Some((i, _)) => {
                    marked[i % marked.len()] = Marking::Long;
                    lists[2].extend(long.used.then_some(i));
                }
                None if long.used => return Err(MISSING),
                None => {}
            }
        }
        for (side, list) in [&kept.short.before, &kept.short.after].into_iter().zip(&mut lists) {
            for delta in side {
                let place = poc.wrapping_add(delta.poc);
                let found = self.slots().find(|(i, slot)| {
                    slot.marking == Marking::Short && slot.poc == place && marked[i % marked.len()] != Marking::Long
                });
                match found {
                    Some((i, _)) => {
                        marked[i % marked.len()] = Marking::Short;
                        list.extend(delta.used.then_some(i));
                    }
                    None if delta.used => return Err(MISSING),
                    None => {}
                }
            }
        }
        self.slots().for_each(|(i, slot)| slot.marking = marked[i % marked.len()]);
        Ok(lists)
    }

    /// Gives up what is of no use, and makes pictures ready until there is room for another.
    ///
    /// `false` where some have to be shown first.
    pub fn make_room(&mut self, sps: &Sps) -> Result<bool> {
        for place in &mut self.slots {
            if place.as_ref().is_some_and(|slot| slot.marking == Marking::Unused && slot.showing == Showing::Done) {
                self.spare = place.take().map(|slot| slot.frame);
            }
        }
        let in_use = |slot: &Slot| slot.marking != Marking::Unused || slot.showing == Showing::Waiting;
        while self.slots().filter(|(_, slot)| in_use(slot)).count() >= sps.buffering.pictures && self.bump() {}
        if self.is_ready() {
            return Ok(false);
        }
        if self.slots().count() > sps.buffering.pictures {
            return Err(Error::Damaged("more pictures are kept than the sequence says"));
        }
        Ok(true)
    }

    /// A picture to decode into.
    pub fn frame(&mut self, sps: &Sps) -> Result<Frame> {
        match self.spare.take() {
            Some(frame) if frame.fits(sps) => Ok(frame),
            _ => Frame::new(sps),
        }
    }

    /// The pictures of [`mark`](Self::mark), which have to be of the sequence's size.
    pub fn references(&self, poc: i32, lists: &[Vec<usize>; 3], sps: &Sps) -> Result<References<'_>> {
        let [before, after, long] = lists.each_ref().map(|list| {
            let reference = |&i: &usize| {
                let slot = self.slots.get(i).and_then(Option::as_ref).ok_or(MISSING)?;
                if !slot.frame.fits(sps) {
                    return Err(Error::Damaged("a picture is predicted from one of another size"));
                }
                let long = slot.marking == Marking::Long;
                Ok(Reference { slot: i as u8, poc: slot.poc, long, frame: &slot.frame })
            };
            list.iter().map(reference).collect::<Result<Vec<_>>>()
        });
        Ok(References { poc, before: before?, after: after?, long: long? })
    }

    /// Keeps a picture that is decoded, and makes those ready that are shown next for sure.
    pub fn keep(&mut self, frame: Frame, poc: i32, shown: bool, sps: &Sps) {
        let showing = if shown { Showing::Waiting } else { Showing::Done };
        let slot = Slot { frame, poc, marking: Marking::Short, showing };
        match self.slots.iter_mut().find(|slot| slot.is_none()) {
            Some(place) => *place = Some(slot),
            None => self.slots.push(Some(slot)),
        }
        while self.slots().filter(|(_, slot)| slot.showing == Showing::Waiting).count() > sps.buffering.reorder {
            self.bump();
        }
    }
}
