//! What waits in the queue.

use pgrx::pg_sys;

use crate::pipeline::{Located, Locator};

/// The key of a row that may lack its vector, locked or claimed by this process.
pub struct Job {
    pub id: i64,
    /// Attempts that failed.
    pub attempts: i32,
    /// How often it had to wait without one.
    pub pauses: i32,
    pub locator: Locator,
    pub relation: pg_sys::Oid,
    pub column: String,
    pub key_columns: i32,
    /// It was worked on when its process died, or when the time was up: nothing else is to be worked on with it.
    pub alone: bool,
}

impl Located for Job {
    fn locator(&self) -> &Locator {
        &self.locator
    }
}
