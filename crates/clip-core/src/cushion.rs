//! An allocator for a process that must not end where the system refuses memory.
//!
//! Rust ends the process where an allocation fails that cannot say so, and libraries have many of those. So work reserves
//! what it may take before it begins: address space that is mapped and never touched, which limits and strict overcommit
//! count and which takes no page. Where the reservation is refused, the work is refused. Where the system refuses an allocation
//! later, the allocator gives as much of the reservation back and asks again.
//!
//! Owns: reservations of the process, what each thread has allocated. Does not own: how much work may take ([`crate::memory`]).
#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::{Cell, UnsafeCell};
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
use std::time::Duration;

use libc::{MAP_ANONYMOUS, MAP_FAILED, MAP_PRIVATE, PROT_READ, PROT_WRITE, mmap, munmap};

/// Reservations at a time.
const SLOTS: usize = 512;
/// They are whole multiples of this, as is what is given back.
const UNIT: usize = 64 << 10;
/// What an allocation takes beside its bytes, at most, where the heap has to grow for it.
const OVERHEAD: usize = 256 << 10;
/// Bytes from which on an allocation is no part of a heap, and goes back to the system when it is freed.
const LARGE: i32 = 4 << 20;
/// Bytes kept for what is allocated between calls, and for errors.
const RESERVE: usize = 8 << 20;

/// The system's allocator with reservations. To be the process's `#[global_allocator]`.
///
/// [`prepare`](crate::memory::prepare) is to be called before work begins. Without that call it is the system's
/// allocator, which also counts.
///
/// Where the system refuses an allocation, reservations are given back to it, and it is asked again.
pub struct Allocator;

thread_local! {
    /// Bytes that this thread has allocated, less those that it has freed.
    static LIVE: Cell<isize> = const { Cell::new(0) };
    /// What to raise where an allocation of this thread fails for good: its owner goes on without it.
    static EXPENDABLE: Cell<*const AtomicBool> = const { Cell::new(ptr::null()) };
}

/// Is the allocator in use, with its reserve?
static IN_USE: AtomicBool = AtomicBool::new(false);
/// Something was allocated from the reserve.
static SHORT: AtomicBool = AtomicBool::new(false);
static POOL: Pool =
    Pool { locked: AtomicBool::new(false), slots: UnsafeCell::new([Slot { start: 0, len: 0, taken: false }; SLOTS]) };
/// The slot of the reserve, and one more; 0 where there is none.
static RESERVED: AtomicU32 = AtomicU32::new(0);

#[derive(Clone, Copy)]
struct Slot {
    start: usize,
    len: usize,
    taken: bool,
}

struct Pool {
    locked: AtomicBool,
    slots: UnsafeCell<[Slot; SLOTS]>,
}

// SAFETY: `slots` are reached under the lock alone.
unsafe impl Sync for Pool {}

impl Pool {
    /// A lock of its own: what the allocator calls must not allocate.
    fn with<R>(&self, f: impl FnOnce(&mut [Slot; SLOTS]) -> R) -> R {
        while self.locked.swap(true, SeqCst) {
            std::thread::yield_now();
        }
        // SAFETY: nobody else has the lock, and `f` does not panic.
        let result = f(unsafe { &mut *self.slots.get() });
        self.locked.store(false, SeqCst);
        result
    }

    /// Gives `bytes` back to the system, of any reservation but the reserve; says how many.
    fn give_back(&self, bytes: usize) -> usize {
        let reserve = RESERVED.load(SeqCst) as usize;
        self.with(|slots| {
            let mut given = 0;
            for (_, slot) in slots.iter_mut().enumerate().filter(|(i, slot)| slot.len > 0 && i + 1 != reserve) {
                let part = slot.len.min((bytes - given).next_multiple_of(UNIT));
                unmap(slot.start + slot.len - part, part);
                slot.len -= part;
                given += part;
                if given >= bytes {
                    break;
                }
            }
            given
        })
    }
}

fn unmap(start: usize, len: usize) {
    // SAFETY: part of a mapping of ours that nothing points into.
    unsafe { munmap(ptr::without_provenance_mut(start), len) };
}

/// Address space that the allocator may give back.
#[derive(Debug)]
pub struct Cushion(usize);

impl Cushion {
    /// Reserves `bytes`, rounded up to 64 KiB. `Err` where the system refuses them, or there are too many
    /// reservations.
    pub fn new(bytes: usize) -> Result<Self, ()> {
        let len = bytes.checked_next_multiple_of(UNIT).ok_or(())?.max(UNIT);
        let (access, flags) = (PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS);
        // SAFETY: new memory, which nobody reads or writes.
        let start = unsafe { mmap(ptr::null_mut(), len, access, flags, -1, 0) };
        if start == MAP_FAILED {
            return Err(());
        }
        let start = start.addr();
        let slot = POOL.with(|slots| {
            let free = slots.iter().position(|slot| !slot.taken)?;
            slots[free] = Slot { start, len, taken: true };
            Some(free)
        });
        if slot.is_none() {
            unmap(start, len);
        }
        slot.map(Self).ok_or(())
    }
}

impl Drop for Cushion {
    fn drop(&mut self) {
        POOL.with(|slots| {
            let slot = std::mem::replace(&mut slots[self.0], Slot { start: 0, len: 0, taken: false });
            if slot.len > 0 {
                unmap(slot.start, slot.len);
            }
        });
    }
}

/// To be called before work begins: the reserve is there, or the system refuses it. From the first call on work takes
/// reservations.
///
/// It also forgets that memory was short.
pub fn prepare() -> Result<(), ()> {
    if !IN_USE.swap(true, SeqCst) {
        give_large_ones_back();
    }
    SHORT.store(false, SeqCst);
    let reserve = RESERVED.load(SeqCst) as usize;
    if reserve > 0 && POOL.with(|slots| slots[reserve - 1].len) == RESERVE {
        return Ok(());
    }
    RESERVED.store(0, SeqCst);
    if reserve > 0 {
        drop(Cushion(reserve - 1));
    }
    let cushion = Cushion::new(RESERVE)?;
    RESERVED.store(cushion.0 as u32 + 1, SeqCst);
    std::mem::forget(cushion);
    Ok(())
}

/// The C library keeps up to 64 MB for each thread that has freed as much, which nobody else can use: pictures of a batch would take
/// many times what they need. So what is large goes back to the system at once, at the price of fresh pages for the next picture.
fn give_large_ones_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: plain calls that set two numbers of the allocator.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, LARGE);
        libc::mallopt(libc::M_TRIM_THRESHOLD, 2 * LARGE);
    }
}

/// Has `prepare` been called? Without the allocator reservations would be of no use, and nothing is counted.
pub fn is_in_use() -> bool {
    IN_USE.load(SeqCst)
}

/// Was more allocated than had been reserved, since the last `prepare`? Work ends where it sees this.
pub fn is_short() -> bool {
    SHORT.load(SeqCst)
}

/// Bytes that this thread has allocated and not freed. Only differences count: what another thread frees is not its
/// own.
pub fn live() -> isize {
    LIVE.get()
}

/// Runs `work` on a thread that its owner can do without.
///
/// Where the thread gets no memory at all, it raises `refused` and sleeps for ever, instead of ending the process.
pub fn expendable<R>(refused: &AtomicBool, work: impl FnOnce() -> R) -> R {
    EXPENDABLE.set(refused);
    let result = work();
    EXPENDABLE.set(ptr::null());
    result
}

fn count(bytes: isize) {
    LIVE.set(LIVE.get().wrapping_add(bytes));
}

/// What to do where the system has refused an allocation: `again` asks once more.
#[cold]
fn refused(bytes: usize, again: impl Fn() -> *mut u8) -> *mut u8 {
    while POOL.give_back(bytes.saturating_add(OVERHEAD)) > 0 {
        let pointer = again();
        if !pointer.is_null() {
            return pointer;
        }
    }
    if !is_in_use() {
        return ptr::null_mut();
    }
    SHORT.store(true, SeqCst);
    let reserve = RESERVED.load(SeqCst) as usize;
    if reserve > 0 {
        POOL.with(|slots| {
            let slot = &mut slots[reserve - 1];
            if slot.len > 0 {
                unmap(slot.start, slot.len);
                slot.len = 0;
            }
        });
        let pointer = again();
        if !pointer.is_null() {
            return pointer;
        }
    }
    let expendable = EXPENDABLE.get();
    if !expendable.is_null() {
        // SAFETY: `expendable` keeps it alive, and this thread does not leave it any more.
        unsafe { (*expendable).store(true, SeqCst) };
        loop {
            std::thread::sleep(Duration::from_secs(3600));
        }
    }
    ptr::null_mut()
}

fn checked(bytes: usize, allocate: impl Fn() -> *mut u8) -> *mut u8 {
    let mut pointer = allocate();
    if pointer.is_null() {
        pointer = refused(bytes, allocate);
    }
    pointer
}

// SAFETY: every call goes to the system's allocator unchanged, once more where it failed; nothing here allocates or panics.
unsafe impl GlobalAlloc for Allocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        // SAFETY: the caller's promise is passed on.
        checked(layout.size(), || unsafe { System.alloc(layout) })
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        // SAFETY: as above.
        checked(layout.size(), || unsafe { System.alloc_zeroed(layout) })
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size as isize - layout.size() as isize);
        // SAFETY: as above; where it fails, the old allocation is as it was.
        checked(size, || unsafe { System.realloc(pointer, layout, size) })
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
}
