//! Loops that end, also by a panic, with and without helpers.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use super::ThreadPool;
use super::helpers::WATCH;

#[test]
fn every_task_is_run_once() {
    for threads in [1, 2, 5] {
        let pool = ThreadPool::new(threads).unwrap();
        for count in [0, 1, 2, 3, 100] {
            for round in 0..200 {
                let done: Vec<AtomicUsize> = (0..count).map(|_| AtomicUsize::new(0)).collect();
                pool.for_each(count, |i| {
                    done[i].fetch_add(1, Ordering::Relaxed);
                });
                assert!(done.iter().all(|n| n.load(Ordering::Relaxed) == 1));
                if round % 50 == 0 {
                    std::thread::sleep(3 * WATCH); // so that the helpers sleep
                }
            }
        }
        assert_eq!(pool.map(7, |i| i * i), [0, 1, 4, 9, 16, 25, 36]);
        assert_eq!(pool.free_threads(), threads);
        assert!(threads == 1 || pool.map(2, |_| pool.free_threads()) == [1, 1]);
    }
}

#[test]
fn helpers_are_parked_until_they_are_unparked() {
    let (pool, here) = (ThreadPool::parked(2).unwrap(), std::thread::current().id());
    assert_eq!(pool.threads(), 2);
    for _ in 0..50 {
        assert!(pool.map(20, |_| std::thread::current().id()).iter().all(|id| *id == here));
    }
    // Turns until a helper has come.
    let helped = AtomicBool::new(false);
    let go_on = || !helped.load(Ordering::SeqCst);
    pool.for_each_while(usize::MAX / 4, go_on, |i| {
        if i == 3 {
            pool.unpark();
        }
        helped.fetch_or(std::thread::current().id() != here, Ordering::SeqCst);
    });
    assert!(helped.into_inner());
}

#[test]
fn the_caller_has_tasks_of_its_own() {
    for threads in [1, 3] {
        let (pool, here) = (ThreadPool::new(threads).unwrap(), std::thread::current().id());
        let (mine, theirs) = (std::cell::Cell::new(0), AtomicUsize::new(0));
        let of_mine = |_| {
            assert_eq!(std::thread::current().id(), here);
            mine.set(mine.get() + 1);
            std::thread::sleep(Duration::from_micros(300));
        };
        pool.split_for(
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
    let pool = ThreadPool::new(3).unwrap();
    let sum = AtomicUsize::new(0);
    pool.for_each(10, |_| {
        pool.for_each(10, |i| {
            sum.fetch_add(i, Ordering::Relaxed);
        })
    });
    assert_eq!(sum.into_inner(), 450);
}

#[test]
fn a_panic_reaches_the_caller_and_the_pool_lives_on() {
    let pool = ThreadPool::new(3).unwrap();
    for bad in 0..40 {
        let run = || pool.for_each(40, |i| assert!(i != bad, "task {i}"));
        let panic = catch_unwind(AssertUnwindSafe(run)).unwrap_err();
        assert_eq!(*panic.downcast::<String>().unwrap(), format!("task {bad}"));
        assert_eq!(pool.map(3, |i| i), [0, 1, 2]);
    }
}

#[test]
fn stops_when_told() {
    for threads in [1, 3] {
        let pool = ThreadPool::new(threads).unwrap();
        let (begun, done) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let task = |_: usize| {
            begun.fetch_add(1, Ordering::SeqCst);
            std::thread::sleep(Duration::from_micros(300));
            done.fetch_add(1, Ordering::SeqCst);
        };
        pool.for_each_while(10_000, || begun.load(Ordering::SeqCst) < 20, task);
        assert!((20..60).contains(&begun.load(Ordering::SeqCst)));
        assert_eq!(done.load(Ordering::SeqCst), begun.load(Ordering::SeqCst));
        let panics = || pool.for_each_while(10_000, || panic!("interrupted"), task);
        assert!(catch_unwind(AssertUnwindSafe(panics)).is_err());
        assert_eq!(done.load(Ordering::SeqCst), begun.load(Ordering::SeqCst));
        assert_eq!(pool.map(3, |i| i), [0, 1, 2]);
    }
}

#[test]
fn halts_in_the_midst_of_a_loop() {
    let pool = ThreadPool::new(3).unwrap();
    let (begun, done) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let go_on = || {
        if begun.load(Ordering::SeqCst) >= 10 {
            pool.halt();
            let ended = done.load(Ordering::SeqCst);
            assert_eq!(ended, begun.load(Ordering::SeqCst));
            std::thread::sleep(Duration::from_millis(5));
            assert_eq!(begun.load(Ordering::SeqCst), ended);
        }
        true
    };
    pool.for_each_while(10_000, go_on, |_| {
        begun.fetch_add(1, Ordering::SeqCst);
        std::thread::sleep(Duration::from_micros(300));
        done.fetch_add(1, Ordering::SeqCst);
    });
    assert!(done.load(Ordering::SeqCst) < 10_000);
}

#[test]
fn helpers_do_work() {
    let pool = ThreadPool::new(2).unwrap();
    // Each of two tasks waits for the other.
    let barrier = std::sync::Barrier::new(2);
    for _ in 0..50 {
        pool.for_each(2, |_| {
            barrier.wait();
        });
    }
}
