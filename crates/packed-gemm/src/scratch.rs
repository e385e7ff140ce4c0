//! Memory that a thread keeps for its next task.

use std::cell::RefCell;

use crate::error::reserved;
use crate::geometry::{Aligned, CACHE_LINE};

/// Lends a buffer of this thread that begins at a cache line, contents undefined.
pub fn scratch<R>(len: usize, f: impl FnOnce(&mut [f32]) -> R) -> R {
    /// Larger ones are not kept.
    const KEPT: usize = 3 << 15;
    thread_local!(static BUFFER: RefCell<Aligned<f32>> = RefCell::new(Aligned::new(CACHE_LINE)));
    BUFFER.with(|buffer| {
        // Taken out, as `f` may ask for one, too.
        let mut values = buffer.replace(Aligned::new(CACHE_LINE));
        if values.len() < len {
            reserved(values.try_reserve_exact(len - values.len()), 4 * len);
            values.resize(len, 0.0);
        }
        let result = f(&mut values[..len]);
        if values.len() <= KEPT {
            buffer.replace(values);
        }
        result
    })
}
