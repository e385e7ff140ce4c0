//! The pictures that a slice is predicted from, in two lists (clause 8.3.4).

use crate::error::{Error, Result};
use crate::frame::Frame;
use crate::prediction_header::Header;

/// A picture that others are predicted from.
#[derive(Clone, Copy, Debug)]
pub struct Reference<'a> {
    /// Which of the pictures kept it is.
    pub slot: u8,
    /// Its picture order count.
    pub poc: i32,
    /// It is a long-term one: vectors to it are not scaled.
    pub long: bool,
    /// The picture.
    pub frame: &'a Frame,
}

/// Those that a picture may be predicted from.
#[derive(Clone, Debug)]
pub struct References<'a> {
    /// The picture's own order count.
    pub poc: i32,
    /// Shown before it, the nearest first.
    pub before: Vec<Reference<'a>>,
    /// Shown after it, the nearest first.
    pub after: Vec<Reference<'a>>,
    /// Long-term ones.
    pub long: Vec<Reference<'a>>,
}

/// How a slice is predicted from other pictures.
#[derive(Clone, Debug)]
pub struct Prediction<'a> {
    /// The picture order count.
    pub poc: i32,
    /// What the slice says.
    pub header: Header,
    /// As many in each as the slice says.
    pub lists: [Vec<Reference<'a>>; 2],
    /// None of them is shown after the picture.
    pub all_before: bool,
    /// The picture whose motion is a candidate.
    pub collocated: Option<&'a Frame>,
}

impl<'a> References<'a> {
    /// For a slice.
    pub fn prediction(&self, header: Header) -> Result<Prediction<'a>> {
        let Self { before, after, long, .. } = self;
        let orders = [[before, after, long], [after, before, long]];
        let mut lists = [Vec::new(), Vec::new()];
        for (i, (list, order)) in lists.iter_mut().zip(orders).enumerate() {
            let all = || order.into_iter().flatten().copied();
            let count = all().count().max(1);
            for place in 0..header.active[i] {
                let entry = header.entries[i].map_or(place, |entries| usize::from(entries[place & 15]));
                let found = all().nth(entry % count);
                list.push(found.ok_or(Error::Damaged("a picture is predicted from none"))?);
            }
        }
        let all_before = lists.iter().flatten().all(|reference| reference.poc <= self.poc);
        let collocated = header.collocated.and_then(|(list, index)| lists[list & 1].get(index));
        let collocated = collocated.map(|reference| reference.frame);
        Ok(Prediction { poc: self.poc, header, lists, all_before, collocated })
    }

    /// Order count and kind of the picture in a slot.
    pub fn in_slot(&self, slot: u8) -> Option<(i32, bool)> {
        let all = [&self.before, &self.after, &self.long];
        let found = all.into_iter().flatten().find(|reference| reference.slot == slot);
        found.map(|reference| (reference.poc, reference.long))
    }
}

impl<'a> Prediction<'a> {
    /// The picture at an index of a list.
    #[inline]
    pub fn reference(&self, list: usize, index: usize) -> Result<&Reference<'a>> {
        self.lists[list & 1].get(index).ok_or(Error::Damaged("a block is predicted from a picture that is not there"))
    }
}
