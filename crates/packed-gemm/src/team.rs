//! Threads that help their owner for the length of one loop.
//!
//! A tower is some hundred short loops, one after the other, each a fraction of a millisecond long. A pool that hands
//! every loop to threads that sleep in between would spend much of that on waking them. Here the calling thread works
//! itself, and its helpers look for the next loop for a short while before they go to sleep.
//!
//! Owns: its threads. Does not own: their signal masks and names, which they inherit from the thread that makes the team.

use std::any::Any;
use std::cell::UnsafeCell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use scopeguard::{ScopeGuard, defer, guard};

use crate::watch::look;

/// How long a helper looks for work before it sleeps: longer than the pauses inside a tower, short enough to leave the
/// processor to others soon.
const WATCH: Duration = Duration::from_micros(60);

/// Between two looks at helpers that take their time.
const PAUSE: Duration = Duration::from_micros(200);

/// A bit of [`Shared::state`]: helpers may join.
const OPEN: u64 = 1 << 31;
/// The rest of the lower half counts the helpers inside, the upper half the loops so far.
const INSIDE: u64 = OPEN - 1;
const LOOP: u64 = 1 << 32;

type Body<'a> = dyn Fn(usize) + Sync + 'a;

/// A thread and its helpers.
pub struct Team {
    shared: Arc<Shared>,
    helpers: Vec<JoinHandle<()>>,
    /// A loop is running: another one, from within it or from another thread, has to do without helpers.
    busy: AtomicBool,
}

struct Shared {
    state: AtomicU64,
    /// The running loop. Written by the owner while nobody is inside, read by those who joined.
    body: UnsafeCell<Option<(*const Body<'static>, usize)>>,
    next: AtomicUsize,
    panic: Mutex<Option<Box<dyn Any + Send>>>,
    end: AtomicBool,
    /// Helpers sleep, whatever there is to do.
    resting: AtomicBool,
    /// The owner does not come back.
    halted: AtomicBool,
    sleepers: AtomicUsize,
    lock: Mutex<()>,
    wake: Condvar,
}

// SAFETY: `body` is written by `Team::for_each` alone, which then is the only one (`busy`) and has seen every helper
// leave; a helper reads it after it has joined, and the body is `Sync`.
#[allow(unsafe_code)]
unsafe impl Sync for Shared {}
// SAFETY: the same; the pointer is not owned.
#[allow(unsafe_code)]
unsafe impl Send for Shared {}

impl Team {
    /// The calling thread and `threads - 1` helpers. Fails where the system makes no more threads.
    pub fn new(threads: usize) -> std::io::Result<Self> {
        let team = Self::resting(threads)?;
        team.call_helpers();
        Ok(team)
    }

    /// The calling thread, which is alone until [`Team::call_helpers`], and `threads - 1` helpers that sleep:
    /// somebody else needs the processors.
    ///
    /// Fails where the system makes no more threads.
    pub fn resting(threads: usize) -> std::io::Result<Self> {
        let mut team = Self::solo();
        for i in 1..threads {
            let (shared, (begun, begin)) = (team.shared.clone(), sync_channel(1));
            let help = move || {
                let _ = begun.send(());
                shared.help();
            };
            team.helpers.push(std::thread::Builder::new().name(format!("clip-{i}")).spawn(help)?);
            // One after the other, so that what a thread takes to begin with is there before the next one takes it.
            let _ = begin.recv();
        }
        Ok(team)
    }

    /// The calling thread alone.
    pub fn solo() -> Self {
        let shared = Shared {
            state: AtomicU64::new(0),
            body: UnsafeCell::new(None),
            next: AtomicUsize::new(0),
            panic: Mutex::new(None),
            end: AtomicBool::new(false),
            resting: AtomicBool::new(true),
            halted: AtomicBool::new(false),
            sleepers: AtomicUsize::new(0),
            lock: Mutex::new(()),
            wake: Condvar::new(),
        };
        Self { shared: Arc::new(shared), helpers: Vec::new(), busy: AtomicBool::new(false) }
    }

    /// The calling thread and its helpers, those that rest among them.
    pub fn threads(&self) -> usize {
        self.helpers.len() + 1
    }

    /// Threads that a loop would have now: one, where a turn of another loop asks.
    pub fn free_threads(&self) -> usize {
        if self.busy.load(Ordering::Acquire) { 1 } else { self.threads() }
    }

    /// Helpers take part from now on, in a loop that is running, too. Any thread may call this.
    pub fn call_helpers(&self) {
        self.shared.resting.store(false, Ordering::SeqCst);
        self.shared.notify();
    }

    /// Runs `body` for 0, 1, ... `count - 1`, each once, in any order, and returns when all are done.
    ///
    /// The calling thread [looks up](look) before each of its turns, and while it waits.
    ///
    /// # Panics
    /// Where a turn does: its panic goes on here, and no other turn is begun.
    pub fn for_each(&self, count: usize, body: impl Fn(usize) + Sync) {
        if count < 2 {
            look();
            return (0..count).for_each(body);
        }
        self.share(count, &body, &body, &|| ());
    }

    /// Runs turns 0, 1, ... `count - 1`, each once: `mine` on the calling thread, `theirs` on helpers. Where there is no helper
    /// to be had all of them are the caller's. Where the calling thread leaves by a panic, it calls `leaves` before it waits
    /// for helpers to end the turns that they have begun.
    pub fn share(&self, count: usize, mine: impl Fn(usize), theirs: impl Fn(usize) + Sync, leaves: &dyn Fn()) {
        self.lead(count, &mut || true, &mine, &theirs, leaves);
    }

    /// Runs `body` for 0, 1, ... `count - 1`, on all threads. The calling one asks `go_on` before each of its own
    /// turns: after `false` no other turn is begun.
    ///
    /// Returns when all that were begun are done, also when `go_on` panics.
    pub fn for_each_while(&self, count: usize, mut go_on: impl FnMut() -> bool, body: impl Fn(usize) + Sync) {
        self.lead(count, &mut go_on, &body, &body, &|| ());
    }

    fn lead(
        &self,
        count: usize,
        go_on: &mut dyn FnMut() -> bool,
        mine: &dyn Fn(usize),
        theirs: &Body,
        leaves: &dyn Fn(),
    ) {
        let leaving = guard((), |()| leaves());
        if self.helpers.is_empty() || self.busy.swap(true, Ordering::Acquire) {
            let turns = (0..count).take_while(|_| {
                look();
                go_on()
            });
            turns.for_each(mine);
        } else {
            defer! { self.busy.store(false, Ordering::Release) }
            self.shared.lead(count, go_on, mine, theirs, leaves);
        }
        ScopeGuard::into_inner(leaving);
    }

    /// For an owner that leaves a loop without an end to it, from within a turn or `go_on`: a process that exits there. No
    /// helper begins another turn; those that were begun are done on return.
    pub fn halt(&self) {
        self.shared.halted.store(true, Ordering::SeqCst);
        self.shared.close();
    }

    /// To be asked in long turns of helpers, which then end.
    pub fn is_halted(&self) -> bool {
        self.shared.halted.load(Ordering::SeqCst)
    }

    /// What `f` gives for 0, 1, ... `count - 1`, in order.
    pub fn map<R: Send>(&self, count: usize, f: impl Fn(usize) -> R + Sync) -> Vec<R> {
        let results: Vec<Mutex<Option<R>>> = (0..count).map(|_| Mutex::new(None)).collect();
        self.for_each(count, |i| *lock(&results[i]) = Some(f(i)));
        results.into_iter().filter_map(|r| r.into_inner().unwrap_or_else(PoisonError::into_inner)).collect()
    }
}

impl Drop for Team {
    fn drop(&mut self) {
        self.shared.end.store(true, Ordering::SeqCst);
        self.shared.notify();
        for helper in self.helpers.drain(..) {
            let _ = helper.join();
        }
    }
}

impl Shared {
    /// The owner's side of a loop.
    #[allow(unsafe_code)]
    fn lead(
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
        if self.sleepers.load(Ordering::SeqCst) > 0 && !self.resting.load(Ordering::SeqCst) {
            self.notify();
        }
        {
            defer! { self.close() }
            let leaving = guard((), |()| leaves());
            self.take_turns(count, go_on, mine);
            self.wait(look);
            ScopeGuard::into_inner(leaving);
        }
        if let Some(panic) = lock(&self.panic).take() {
            resume_unwind(panic);
        }
    }

    fn take_turns(&self, count: usize, go_on: &mut dyn FnMut() -> bool, body: &dyn Fn(usize)) {
        loop {
            // A helper is not watched, unless by its turn.
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
        self.next.store(usize::MAX / 2, Ordering::Relaxed); // where it ends early nobody takes another turn
        self.state.fetch_and(!OPEN, Ordering::AcqRel);
        let mut turns = 0u64;
        while self.state.load(Ordering::Acquire) & INSIDE != 0 {
            turns += 1;
            if turns < 1000 {
                std::hint::spin_loop();
            } else {
                // A helper that lost its processor needs ours; one at a long turn does not.
                if turns < 20_000 {
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
    fn help(&self) {
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
                if let Err(panic) = catch_unwind(AssertUnwindSafe(|| self.take_turns(count, &mut || true, body))) {
                    lock(&self.panic).get_or_insert(panic);
                    self.next.store(usize::MAX / 2, Ordering::Relaxed);
                }
            }
            self.state.fetch_sub(1, Ordering::Release);
        }
    }

    /// Waits for a loop other than number `seen`; `None` at the end.
    fn next_loop(&self, seen: u64) -> Option<u64> {
        let resting = || self.resting.load(Ordering::SeqCst);
        let ready = || {
            let state = self.state.load(Ordering::SeqCst);
            (state / LOOP != seen && state & OPEN != 0 && !resting()).then_some(state)
        };
        let start = Instant::now();
        while !resting() {
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

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_turn_is_taken_once() {
        for threads in [1, 2, 5] {
            let team = Team::new(threads).unwrap();
            for count in [0, 1, 2, 3, 100] {
                for round in 0..200 {
                    let done: Vec<AtomicUsize> = (0..count).map(|_| AtomicUsize::new(0)).collect();
                    team.for_each(count, |i| {
                        done[i].fetch_add(1, Ordering::Relaxed);
                    });
                    assert!(done.iter().all(|n| n.load(Ordering::Relaxed) == 1));
                    if round % 50 == 0 {
                        std::thread::sleep(3 * WATCH); // so that the helpers sleep
                    }
                }
            }
            assert_eq!(team.map(7, |i| i * i), [0, 1, 4, 9, 16, 25, 36]);
            assert_eq!(team.free_threads(), threads);
            assert!(threads == 1 || team.map(2, |_| team.free_threads()) == [1, 1]);
        }
    }

    #[test]
    fn helpers_rest_until_they_are_called() {
        let (team, here) = (Team::resting(2).unwrap(), std::thread::current().id());
        assert_eq!(team.threads(), 2);
        for _ in 0..50 {
            assert!(team.map(20, |_| std::thread::current().id()).iter().all(|id| *id == here));
        }
        // Turns until a helper has come.
        let helped = AtomicBool::new(false);
        let go_on = || !helped.load(Ordering::SeqCst);
        team.for_each_while(usize::MAX / 4, go_on, |i| {
            if i == 3 {
                team.call_helpers();
            }
            helped.fetch_or(std::thread::current().id() != here, Ordering::SeqCst);
        });
        assert!(helped.into_inner());
    }

    #[test]
    fn the_caller_has_turns_of_its_own() {
        for threads in [1, 3] {
            let (team, here) = (Team::new(threads).unwrap(), std::thread::current().id());
            let (mine, theirs) = (std::cell::Cell::new(0), AtomicUsize::new(0));
            let of_mine = |_| {
                assert_eq!(std::thread::current().id(), here);
                mine.set(mine.get() + 1);
                std::thread::sleep(Duration::from_micros(300));
            };
            team.share(
                60,
                of_mine,
                |_| {
                    assert_ne!(std::thread::current().id(), here);
                    theirs.fetch_add(1, Ordering::Relaxed);
                    std::thread::sleep(Duration::from_micros(300));
                },
                &|| (),
            );
            assert_eq!(mine.get() + theirs.load(Ordering::Relaxed), 60);
            assert_eq!(theirs.load(Ordering::Relaxed) > 0, threads > 1);
        }
    }

    #[test]
    fn a_loop_within_a_loop() {
        let team = Team::new(3).unwrap();
        let sum = AtomicUsize::new(0);
        team.for_each(10, |_| {
            team.for_each(10, |i| {
                sum.fetch_add(i, Ordering::Relaxed);
            })
        });
        assert_eq!(sum.into_inner(), 450);
    }

    #[test]
    fn a_panic_reaches_the_caller_and_the_team_lives_on() {
        let team = Team::new(3).unwrap();
        for bad in 0..40 {
            let run = || team.for_each(40, |i| assert!(i != bad, "turn {i}"));
            let panic = catch_unwind(AssertUnwindSafe(run)).unwrap_err();
            assert_eq!(*panic.downcast::<String>().unwrap(), format!("turn {bad}"));
            assert_eq!(team.map(3, |i| i), [0, 1, 2]);
        }
    }

    #[test]
    fn stops_when_told() {
        for threads in [1, 3] {
            let team = Team::new(threads).unwrap();
            let (begun, done) = (AtomicUsize::new(0), AtomicUsize::new(0));
            let turn = |_: usize| {
                begun.fetch_add(1, Ordering::SeqCst);
                std::thread::sleep(Duration::from_micros(300));
                done.fetch_add(1, Ordering::SeqCst);
            };
            team.for_each_while(10_000, || begun.load(Ordering::SeqCst) < 20, turn);
            assert!((20..60).contains(&begun.load(Ordering::SeqCst)));
            assert_eq!(done.load(Ordering::SeqCst), begun.load(Ordering::SeqCst));
            let panics = || team.for_each_while(10_000, || panic!("interrupted"), turn);
            assert!(catch_unwind(AssertUnwindSafe(panics)).is_err());
            assert_eq!(done.load(Ordering::SeqCst), begun.load(Ordering::SeqCst));
            assert_eq!(team.map(3, |i| i), [0, 1, 2]);
        }
    }

    #[test]
    fn halts_in_the_midst_of_a_loop() {
        let team = Team::new(3).unwrap();
        let (begun, done) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let go_on = || {
            if begun.load(Ordering::SeqCst) >= 10 {
                team.halt();
                let ended = done.load(Ordering::SeqCst);
                assert_eq!(ended, begun.load(Ordering::SeqCst));
                std::thread::sleep(Duration::from_millis(5));
                assert_eq!(begun.load(Ordering::SeqCst), ended);
            }
            true
        };
        team.for_each_while(10_000, go_on, |_| {
            begun.fetch_add(1, Ordering::SeqCst);
            std::thread::sleep(Duration::from_micros(300));
            done.fetch_add(1, Ordering::SeqCst);
        });
        assert!(done.load(Ordering::SeqCst) < 10_000);
    }

    #[test]
    fn helpers_do_work() {
        let team = Team::new(2).unwrap();
        // Each of two turns waits for the other.
        let barrier = std::sync::Barrier::new(2);
        for _ in 0..50 {
            team.for_each(2, |_| {
                barrier.wait();
            });
        }
    }
}
