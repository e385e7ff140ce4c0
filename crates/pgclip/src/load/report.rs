//! What a load did.

use serde::Serialize;

/// A file or row that could not be loaded.
#[derive(Serialize, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Failure {
    pub file: String,
    pub reason: String,
}

impl Failure {
    pub fn new(file: String, reason: String) -> Self {
        Self { file, reason }
    }
}

/// Counts of files and texts; the result of a load.
#[derive(Serialize, Default, Debug)]
pub struct Report {
    pub table: String,
    pub new: u64,
    pub changed: u64,
    pub unchanged: u64,
    pub deleted: u64,
    /// Files in directories that are no pictures by their names.
    pub others: u64,
    /// Bytes of images that were sent.
    pub bytes: u64,
    /// Rows that still wait for their vectors.
    pub waiting: u64,
    pub failures: Vec<Failure>,
    pub seconds: f64,
    pub dry_run: bool,
}

impl Report {
    /// For a reader; failures come by file.
    pub fn print(&self) {
        let verb = if self.dry_run { "would be " } else { "" };
        println!(
            "{}: {} {verb}new, {} {verb}changed, {} as before, {} {verb}deleted, {} failed",
            self.table,
            self.new,
            self.changed,
            self.unchanged,
            self.deleted,
            self.failures.len()
        );
        if self.others > 0 {
            println!("{} files are no pictures by their names: --glob takes them all the same", self.others);
        }
        if self.waiting > 0 {
            println!("{} rows wait for their vectors", self.waiting);
        }
        if !self.failures.is_empty() {
            eprintln!("not loaded:");
        }
        for failure in &self.failures {
            // A name may hold what a terminal obeys.
            eprintln!("  {}: {}", failure.file.escape_debug(), failure.reason);
        }
    }
}
