//! What a pool's owner and its helpers have in common: the running loop, and who is in it.

use std::any::Any;
use std::cell::UnsafeCell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use scopeguard::{ScopeGuard, defer, guard};

use super::watch::look;

/// How long a helper looks for work before it sleeps: longer than the pauses inside a tower, short enough to leave the
/// processor to others soon.
pub const WATCH: Duration = Duration::from_micros(60);

/// Between two looks at helpers that take their time.
const PAUSE: Duration = Duration::from_micros(200);

/// A bit of [`Shared::state`]: helpers may join.
const OPEN: u64 = 1 << 31;
/// The rest of the lower half counts the helpers inside, the upper half the loops so far.
const INSIDE: u64 = OPEN - 1;
const LOOP: u64 = 1 << 32;

pub type Body<'a> = dyn Fn(usize) + Sync + 'a;

/// The state of a pool.
pub struct Shared {
    state: AtomicU64,
    /// The running loop. Written by the owner while nobody is inside, read by those who joined.
    body: UnsafeCell<Option<(*const Body<'static>, usize)>>,
    next: AtomicUsize,
    panic: Mutex<Option<Box<dyn Any + Send>>>,
    end: AtomicBool,
    /// Helpers sleep, whatever there is to do.
    parked: AtomicBool,
    /// The owner does not come back.
    halted: AtomicBool,
    sleepers: AtomicUsize,
    lock: Mutex<()>,
    wake: Condvar,
}

// SAFETY: `body` is written by the pool's owner alone, which then is the only one (`busy`) and has seen every helper
// leave; a helper reads it after it has joined, and the body is `Sync`.
#[allow(unsafe_code)]
unsafe impl Sync for Shared {}
// SAFETY: the same; the pointer is not owned.
#[allow(unsafe_code)]
unsafe impl Send for Shared {}

impl Shared {
    /// No loop runs, and helpers sleep.
    pub fn new() -> Self {
        Self {
            state: AtomicU64::new(0),
            body: UnsafeCell::new(None),
            next: AtomicUsize::new(0),
            panic: Mutex::new(None),
            end: AtomicBool::new(false),
            parked: AtomicBool::new(true),
            halted: AtomicBool::new(false),
            sleepers: AtomicUsize::new(0),
            lock: Mutex::new(()),
            wake: Condvar::new(),
        }
    }

    /// Helpers take part from now on.
    pub fn call(&self) {
        self.parked.store(false, Ordering::SeqCst);
        self.notify();
    }

    /// Helpers end.
    pub fn end(&self) {
        self.end.store(true, Ordering::SeqCst);
        self.notify();
    }

    /// Helpers begin nothing any more; those inside have left on return.
    pub fn halt(&self) {
        self.halted.store(true, Ordering::SeqCst);
        self.close();
    }

    /// Does the owner not come back?
    pub fn is_halted(&self) -> bool {
        self.halted.load(Ordering::SeqCst)
    }

    /// The owner's side of a loop.
    #[allow(unsafe_code)]
    pub fn lead(
        &self,
        count: usize,
        go_on: &mut dyn FnMut() -> bool,
        mine: &dyn Fn(usize),
        body: &Body,
        leaves: &dyn Fn(),
    ) {
        // SAFETY: only the lifetime changes. No helper uses the body after this function: it ends by closing the loop
        // and waiting until all have left, also when `body` panics here.
        let body_for_all = unsafe { std::mem::transmute::<*const Body, *const Body<'static>>(body) };
        // SAFETY: nobody is inside, see above.
        unsafe { *self.body.get() = Some((body_for_all, count)) };
        self.next.store(0, Ordering::Relaxed);
        lock(&self.panic).take(); // of a loop that ended with a panic of its owner
        let number = self.state.load(Ordering::Relaxed) & !(OPEN | INSIDE);
        self.state.store(number.wrapping_add(LOOP) | OPEN, Ordering::SeqCst);
        if self.sleepers.load(Ordering::SeqCst) > 0 && !self.parked.load(Ordering::SeqCst) {
            self.notify();
        }
        {
            defer! { self.close() }
            let leaving = guard((), |()| leaves());
            self.run_tasks(count, go_on, mine);
            self.wait(look);
            ScopeGuard::into_inner(leaving);
        }
        if let Some(panic) = lock(&self.panic).take() {
            resume_unwind(panic);
        }
    }

    fn run_tasks(&self, count: usize, go_on: &mut dyn FnMut() -> bool, body: &dyn Fn(usize)) {
        loop {
            // A helper is not watched, unless by its task.
            look();
            if !go_on() {
                break;
            }
            let i = self.next.fetch_add(1, Ordering::Relaxed);
            if i >= count {
                break;
            }
            body(i);
        }
    }

    /// Lets nobody in any more and waits for those inside.
    fn close(&self) {
        self.wait(|| ());
    }

    /// Lets nobody in any more and waits for those inside, calling `meanwhile` now and then.
    fn wait(&self, meanwhile: impl Fn()) {
        self.next.store(usize::MAX / 2, Ordering::Relaxed); // where it ends early nobody takes another task
        self.state.fetch_and(!OPEN, Ordering::AcqRel);
        let mut looks = 0u64;
        while self.state.load(Ordering::Acquire) & INSIDE != 0 {
            looks += 1;
            if looks < 1000 {
                std::hint::spin_loop();
            } else {
                // A helper that lost its processor needs ours; one at a long task does not.
                if looks < 20_000 {
                    std::thread::yield_now()
                } else {
                    std::thread::sleep(PAUSE)
                }
                meanwhile();
            }
        }
    }

    /// A helper's life.
    #[allow(unsafe_code)]
    pub fn help(&self) {
        let mut seen = 0;
        while let Some(state) = self.next_loop(seen) {
            seen = state / LOOP;
            if !self.join(seen) {
                continue;
            }
            // SAFETY: inside, so the owner waits and does not write.
            if let Some((body, count)) = unsafe { *self.body.get() } {
                // SAFETY: the owner keeps the body alive until the helper leaves.
                let body = unsafe { &*body };
                if let Err(panic) = catch_unwind(AssertUnwindSafe(|| self.run_tasks(count, &mut || true, body))) {
                    lock(&self.panic).get_or_insert(panic);
                    self.next.store(usize::MAX / 2, Ordering::Relaxed);
                }
            }
            self.state.fetch_sub(1, Ordering::Release);
        }
    }

    /// Waits for a loop other than number `seen`; `None` at the end.
    fn next_loop(&self, seen: u64) -> Option<u64> {
        let parked = || self.parked.load(Ordering::SeqCst);
        let ready = || {
            let state = self.state.load(Ordering::SeqCst);
            (state / LOOP != seen && state & OPEN != 0 && !parked()).then_some(state)
        };
        let start = Instant::now();
        while !parked() {
            for _ in 0..100 {
                if let Some(state) = ready() {
                    return Some(state);
                }
                std::hint::spin_loop();
            }
            if start.elapsed() > WATCH {
                break;
            }
        }
        let mut guard = lock(&self.lock);
        self.sleepers.fetch_add(1, Ordering::SeqCst);
        let found = loop {
            if self.end.load(Ordering::SeqCst) {
                break None;
            }
            if let Some(state) = ready() {
                break Some(state);
            }
            guard = self.wake.wait(guard).unwrap_or_else(PoisonError::into_inner);
        };
        self.sleepers.fetch_sub(1, Ordering::SeqCst);
        found
    }

    fn join(&self, number: u64) -> bool {
        let enter = |state: u64| (state / LOOP == number && state & OPEN != 0).then_some(state + 1);
        self.state.fetch_update(Ordering::AcqRel, Ordering::Relaxed, enter).is_ok()
    }

    fn notify(&self) {
        let _guard = lock(&self.lock);
        self.wake.notify_all();
    }
}

/// A mutex is taken, whoever has panicked with it.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
