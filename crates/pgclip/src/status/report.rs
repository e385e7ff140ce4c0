//! What `status` tells.

use serde::{Deserialize, Serialize};

/// All of it.
#[derive(Serialize)]
pub struct Report {
    pub server: Server,
    /// `None` where the database does not have it.
    pub extension: Option<Versions>,
    pub background: Background,
    pub models: Vec<Model>,
    pub tables: Vec<Table>,
    pub queue: Vec<Queue>,
    pub failures: Vec<Failures>,
    pub progress: Vec<Progress>,
    /// What could not be asked, and why.
    pub problems: Vec<String>,
    /// What to do.
    pub hints: Vec<String>,
}

/// Where it was asked, and as whom.
#[derive(Default, Serialize, Deserialize)]
pub struct Server {
    pub database: String,
    pub version: String,
    pub role: String,
    /// Version of the extension that CREATE EXTENSION would make.
    pub available: Option<String>,
}

/// The extension of a database, and the library that its server has.
#[derive(Serialize)]
pub struct Versions {
    pub schema: String,
    /// Of the extension's objects in this database.
    pub version: String,
    /// Of the library that the server has loaded.
    pub library: Option<String>,
    /// What a function's name has to begin with in a statement.
    #[serde(skip)]
    pub prefix: String,
}

/// Who works on rows that wait. `None` is what the role may not see.
#[derive(Default, Serialize, Deserialize)]
pub struct Background {
    pub preloaded: Option<bool>,
    /// The setting `clip.workers`.
    pub workers: Option<i32>,
    /// Workers of this database that are there now.
    pub running: Option<i64>,
}

/// A line of `clip_models`.
#[derive(Serialize, Deserialize)]
pub struct Model {
    pub name: String,
    pub architecture: String,
    pub dimensions: i32,
    pub bytes: i64,
    pub licence: Option<String>,
    pub fingerprint: String,
}

/// A line of `clip.tables`, with numbers of rows.
#[derive(Serialize, Deserialize)]
pub struct Table {
    pub relation: String,
    pub embedding_column: String,
    pub model: String,
    pub fingerprint: String,
    pub mode: String,
    /// The new column of a change of model.
    pub pending: bool,
    pub rows: Option<i64>,
    /// Rows that have a source and no vector; where they are estimated, all that have no vector.
    pub without_vector: Option<i64>,
    /// The rows were counted, not estimated.
    pub counted: bool,
    /// A statement that counts both, where that is cheap.
    #[serde(skip_serializing)]
    pub count: Option<String>,
}

/// A line of `clip_queue`.
#[derive(Serialize, Deserialize)]
pub struct Queue {
    pub relation: String,
    pub embedding_column: String,
    pub waiting: i64,
    pub claimed: i64,
    pub retrying: i64,
    pub dead: i64,
    /// Of the oldest that waits.
    pub age_seconds: Option<f64>,
    pub workers: i64,
}

impl Queue {
    /// Rows that are still to be embedded.
    pub fn open(&self) -> i64 {
        self.waiting + self.claimed + self.retrying
    }
}

/// Lines of `clip_failures` that have the same reason.
#[derive(Serialize, Deserialize)]
pub struct Failures {
    pub relation: String,
    pub sqlstate: String,
    pub state: String,
    pub rows: i64,
    /// One of the messages.
    pub message: String,
}

/// A line of `clip_progress`.
#[derive(Serialize, Deserialize)]
pub struct Progress {
    pub relation: String,
    pub embedding_column: String,
    pub model: String,
    pub command: String,
    pub phase: String,
    pub running: bool,
    pub rows_total: i64,
    pub rows_done: i64,
    pub rows_failed: i64,
    pub rows_per_second: Option<f64>,
    pub seconds_left: Option<f64>,
}
