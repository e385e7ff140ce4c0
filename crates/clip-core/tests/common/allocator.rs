//! What some work takes of this thread's memory, by an allocator that counts.

// the allocator below cannot be written without
#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// In bytes.
#[derive(Clone, Copy, Default)]
pub struct Memory {
    /// At once, beside what there was before.
    #[allow(dead_code, reason = "not every test asks for it")]
    pub most: usize,
    /// In one piece.
    #[allow(dead_code, reason = "as above")]
    pub largest: usize,
}

thread_local! {
    static NOW: Cell<usize> = const { Cell::new(0) };
    static MOST: Cell<usize> = const { Cell::new(0) };
    static LARGEST: Cell<usize> = const { Cell::new(0) };
}

pub fn measured<R>(work: impl FnOnce() -> R) -> (R, Memory) {
    let before = NOW.get();
    MOST.set(before);
    LARGEST.set(0);
    let result = work();
    (result, Memory { most: MOST.get().wrapping_sub(before), largest: LARGEST.get() })
}

struct Counting;

// SAFETY: every call goes to the system's allocator unchanged; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(0, layout.size());
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(0, layout.size());
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(layout.size(), size);
        // SAFETY: as above.
        unsafe { System.realloc(ptr, layout, size) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        count(layout.size(), 0);
        // SAFETY: as above.
        unsafe { System.dealloc(ptr, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn count(before: usize, after: usize) {
    // no thread-local storage any more while the thread ends
    let _ = NOW.try_with(|now| {
        now.set(now.get().wrapping_sub(before).wrapping_add(after));
        // What was allocated on another thread may be freed here.
        if now.get() < usize::MAX / 2 {
            MOST.set(MOST.get().max(now.get()));
        }
        LARGEST.set(LARGEST.get().max(after));
    });
}
