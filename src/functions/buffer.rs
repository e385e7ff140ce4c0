//! Memory in a context of PostgreSQL's, used again for what comes next. It goes with its context, without being dropped.
#![allow(unsafe_code)]

use std::ptr;

use pgrx::pg_sys;

#[derive(Clone, Copy)]
pub struct Buffer {
    pub bytes: *mut u8,
    pub length: usize,
    room: usize,
}

impl Buffer {
    pub const NONE: Self = Self { bytes: ptr::null_mut(), length: 0, room: 0 };

    /// Puts a copy of `length` bytes here; `false` where the system has no memory for it.
    ///
    /// # Safety
    ///
    /// As many bytes are at `from`, and what was here is not used any more.
    pub unsafe fn fill(&mut self, from: *const u8, length: usize, context: pg_sys::MemoryContext) -> bool {
        // SAFETY: the caller's promise; the memory is ours and has so much room.
        unsafe {
            if self.room < length {
                if !self.bytes.is_null() {
                    pg_sys::pfree(self.bytes.cast());
                    *self = Self::NONE;
                }
                let bytes = pg_sys::MemoryContextAllocExtended(context, length, pg_sys::MCXT_ALLOC_NO_OOM as i32);
                if bytes.is_null() {
                    return false;
                }
                *self = Self { bytes: bytes.cast(), length, room: length };
            }
            ptr::copy_nonoverlapping(from, self.bytes, length);
            self.length = length;
            true
        }
    }

    /// # Safety
    ///
    /// So many bytes are at `other`.
    #[inline(always)]
    pub unsafe fn equals(&self, other: *const u8, length: usize) -> bool {
        // SAFETY: the caller's promise; the buffer holds `self.length` bytes.
        self.length == length && unsafe { libc::memcmp(self.bytes.cast(), other.cast(), length) == 0 }
    }
}
