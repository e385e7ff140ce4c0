//! Memory that one head needs while it is computed.

use pulp::bytemuck::{self, Pod};

/// Words for several buffers, each of which begins at a cache line: a vector that crosses one costs two reads.
pub struct Scratch {
    words: Vec<u32>,
    at: usize,
}

/// Words of a cache line.
const LINE: usize = 16;

impl Scratch {
    /// For buffers of so many words each, all of them zero.
    #[inline(always)]
    pub fn new<const BUFFERS: usize>(lens: [usize; BUFFERS]) -> Self {
        let words = vec![0; lens.iter().map(|len| len.next_multiple_of(LINE)).sum::<usize>() + LINE];
        let at = words.as_ptr().align_offset(size_of::<[u32; LINE]>());
        Self { at: at.min(LINE), words }
    }

    /// The buffers, of the lengths that there is memory for.
    #[inline(always)]
    pub fn buffers<T: Pod, const BUFFERS: usize>(&mut self, lens: [usize; BUFFERS]) -> [&mut [T]; BUFFERS] {
        let mut left = &mut self.words[self.at..];
        lens.map(|len| {
            let (taken, rest) = std::mem::take(&mut left).split_at_mut(len.next_multiple_of(LINE));
            left = rest;
            bytemuck::cast_slice_mut(&mut taken[..len])
        })
    }
}
