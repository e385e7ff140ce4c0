//! The queue of tables in mode async: who fills it, who empties it, and what may go wrong in between.
//!
//! A job is the primary key of a row that may lack its vector; the truth is in the row. Two transactions do a batch, and nothing is
//! open between them:
//!
//! 1. [`claim`]: jobs of the table whose turn it is are locked with SKIP LOCKED, claimed, their rows read; then it commits.
//! 2. No transaction: the model runs.
//! 3. [`finish`]: each vector is written if the row still has the source that it was made of; the job is deleted in
//!    the same transaction.
//!
//! A process that dies leaves its claims behind; they are void as soon as the process is gone. Since jobs are deleted
//! only with the vector's commit, nothing can be lost; since a vector is written only beside the source that it was made
//! of, nothing can be stale.

mod again;
mod api;
mod claim;
mod drain;
mod finish;
mod give_back;
mod insert;
mod job;
mod ledger;
mod restored;
mod turn;

pub use again::enqueue_again;
pub use claim::{Batch, Done, Group, Whose, claim};
pub use finish::finish;
pub use give_back::{give_back, hold, let_go, register_exit};
pub use insert::Inserter;
pub use ledger::next_attempt;
pub use turn::Scope;

/// Jobs of a claim at most. Not more than 64: where their rows cannot be written together, each is in a subtransaction of
/// its own, and PostgreSQL keeps the numbers of 64 of them in shared memory before visibility checks of other sessions have
/// to read them from disk.
pub const BATCH: usize = 64;
