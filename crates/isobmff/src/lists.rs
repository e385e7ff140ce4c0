//! Lists of what a file has, sorted by the ids.

use crate::MOST;
use crate::error::{Error, Result};

/// The first of those with this id in a sorted list.
pub fn first<T>(list: &[T], id: u32, of: impl Fn(&T) -> u32) -> Option<&T> {
    let at = list.partition_point(|entry| of(entry) < id);
    list.get(at).filter(|entry| of(entry) == id)
}

/// One more, of which there may not be too many.
pub fn push<T>(list: &mut Vec<T>, entry: T) -> Result<()> {
    if list.len() >= MOST {
        return Err(Error::TooMuch("it has too many items or properties"));
    }
    list.try_reserve(1).map_err(|_| Error::OutOfMemory(size_of::<T>()))?;
    list.push(entry);
    Ok(())
}
