//! Threads that help their owner for the length of one loop.
//!
//! A tower is some hundred short loops, one after the other, each a fraction of a millisecond long. A pool that hands
//! every loop to threads that sleep in between would spend much of that on waking them. Here the calling thread works
//! itself, and its helpers look for the next loop for a short while before they go to sleep.
//!
//! Owns: its threads. Does not own: their signal masks and names, which they inherit from the thread that makes the pool.

mod helpers;
#[cfg(test)]
mod tests;
pub mod watch;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use scopeguard::{ScopeGuard, defer, guard};

use helpers::{Body, Shared, lock};
use watch::look;

/// A thread and its helpers.
pub struct ThreadPool {
    shared: Arc<Shared>,
    helpers: Vec<JoinHandle<()>>,
    /// A loop is running: another one, from within it or from another thread, has to do without helpers.
    busy: AtomicBool,
}

impl ThreadPool {
    /// The calling thread and `threads - 1` helpers. Fails where the system makes no more threads.
    pub fn new(threads: usize) -> std::io::Result<Self> {
        let pool = Self::parked(threads)?;
        pool.unpark();
        Ok(pool)
    }

    /// The calling thread, which is alone until [`ThreadPool::unpark`], and `threads - 1` helpers that sleep:
    /// somebody else needs the processors.
    ///
    /// Fails where the system makes no more threads.
    pub fn parked(threads: usize) -> std::io::Result<Self> {
        let mut pool = Self::solo();
        for i in 1..threads {
            let (shared, (begun, begin)) = (pool.shared.clone(), sync_channel(1));
            let help = move || {
                let _ = begun.send(());
                shared.help();
            };
            pool.helpers.push(std::thread::Builder::new().name(format!("clip-{i}")).spawn(help)?);
            // One after the other, so that what a thread takes to begin with is there before the next one takes it.
            let _ = begin.recv();
        }
        Ok(pool)
    }

    /// The calling thread alone.
    pub fn solo() -> Self {
        Self { shared: Arc::new(Shared::new()), helpers: Vec::new(), busy: AtomicBool::new(false) }
    }

    /// The calling thread and its helpers, those that are parked among them.
    pub fn threads(&self) -> usize {
        self.helpers.len() + 1
    }

    /// Threads that a loop would have now: one, where a task of another loop asks.
    pub fn free_threads(&self) -> usize {
        if self.busy.load(Ordering::Acquire) { 1 } else { self.threads() }
    }

    /// Helpers take part from now on, in a loop that is running, too. Any thread may call this.
    pub fn unpark(&self) {
        self.shared.call();
    }

    /// Runs `body` for 0, 1, ... `count - 1`, each once, in any order, and returns when all are done.
    ///
    /// The calling thread [looks up](look) before each of its tasks, and while it waits.
    ///
    /// # Panics
    /// Where a task does: its panic goes on here, and no other task is begun.
    pub fn for_each(&self, count: usize, body: impl Fn(usize) + Sync) {
        if count < 2 {
            look();
            return (0..count).for_each(body);
        }
        self.split_for(count, &body, &body, &|| ());
    }

    /// Runs tasks 0, 1, ... `count - 1`, each once: `mine` on the calling thread, `theirs` on helpers. Where there is no helper
    /// to be had all of them are the caller's. Where the calling thread leaves by a panic, it calls `leaves` before it waits
    /// for helpers to end the tasks that they have begun.
    pub fn split_for(&self, count: usize, mine: impl Fn(usize), theirs: impl Fn(usize) + Sync, leaves: &dyn Fn()) {
        self.lead(count, &mut || true, &mine, &theirs, leaves);
    }

    /// Runs `body` for 0, 1, ... `count - 1`, on all threads. The calling one asks `go_on` before each of its own
    /// tasks: after `false` no other task is begun.
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
            let tasks = (0..count).take_while(|_| {
                look();
                go_on()
            });
            tasks.for_each(mine);
        } else {
            defer! { self.busy.store(false, Ordering::Release) }
            self.shared.lead(count, go_on, mine, theirs, leaves);
        }
        ScopeGuard::into_inner(leaving);
    }

    /// For an owner that leaves a loop without an end to it, from within a task or `go_on`: a process that exits there. No
    /// helper begins another task; those that were begun are done on return.
    pub fn halt(&self) {
        self.shared.halt();
    }

    /// To be asked in long tasks of helpers, which then end.
    pub fn is_halted(&self) -> bool {
        self.shared.is_halted()
    }

    /// What `f` gives for 0, 1, ... `count - 1`, in order.
    pub fn map<R: Send>(&self, count: usize, f: impl Fn(usize) -> R + Sync) -> Vec<R> {
        let results: Vec<Mutex<Option<R>>> = (0..count).map(|_| Mutex::new(None)).collect();
        self.for_each(count, |i| *lock(&results[i]) = Some(f(i)));
        results.into_iter().filter_map(|r| r.into_inner().unwrap_or_else(PoisonError::into_inner)).collect()
    }
}

impl Drop for ThreadPool {
    fn drop(&mut self) {
        self.shared.end();
        for helper in self.helpers.drain(..) {
            let _ = helper.join();
        }
    }
}
