//! How far a download is: a bar on a terminal, lines elsewhere.

use std::cell::Cell;
use std::io::{IsTerminal, stderr};
use std::time::{Duration, Instant};

use crate::models::{megabytes, size};
use crate::progress::Bar;

const BETWEEN_LINES: Duration = Duration::from_secs(10);

pub struct Progress {
    bar: Bar,
    all: u64,
    done: Cell<u64>,
    /// Without a terminal: when the last line was printed.
    line: Option<Cell<Instant>>,
}

impl Progress {
    pub fn new(all: u64) -> Self {
        Self {
            bar: Bar::new("{msg} [{bar:30}] {bytes}/{total_bytes}, {bytes_per_sec}, {eta}", "downloading"),
            all,
            done: Cell::new(0),
            line: (!stderr().is_terminal()).then(|| Cell::new(Instant::now())),
        }
    }

    pub fn start(&self, name: &str, bytes: u64) {
        if self.line.is_some() {
            eprintln!("downloading {name}, {}", size(bytes));
        }
    }

    pub fn add(&self, bytes: u64) {
        self.done.set(self.done.get() + bytes);
        self.show();
    }

    pub fn take_back(&self, bytes: u64) {
        self.done.set(self.done.get().saturating_sub(bytes));
        self.show();
    }

    pub fn clear(&self) {
        self.bar.clear();
    }

    fn show(&self) {
        self.bar.set(self.done.get(), self.all);
        if let Some(line) = &self.line
            && line.get().elapsed() >= BETWEEN_LINES
        {
            eprintln!("downloaded {} of {}", megabytes(self.done.get()), megabytes(self.all));
            line.set(Instant::now());
        }
    }
}
