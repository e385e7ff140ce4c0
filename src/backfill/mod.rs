//! `clip_backfill`, and the backfill of a change of model: a walk through a table, and its partitions, that feeds the row
//! pipeline with rows that have a source and no vector.
//!
//! Each step is two transactions, and the model runs in the second one before it has a snapshot. A table has a lock for who
//! walks, held by each step, so that a call can be aborted between two of them.

mod batch;
mod look;
mod past;
mod progress;
mod row;
mod walk;

use pgrx::pg_sys::Oid;

use crate::attachment::registry;
use crate::error::{SqlState, raise};
use crate::locks;
use crate::pg::procedure::Procedure;

use walk::Step;
pub use walk::begin;

/// One step, false where the walk is at its end. `check`: run first, with a snapshot, to take the lock and to fail where the walk
/// must not go on.
pub fn step(procedure: &Procedure, relation: Oid, column: &str, limit: i32, check: impl FnOnce()) -> bool {
    let step = procedure.transaction(|| {
        check();
        walk::read(relation, column, limit)
    });
    let mut batch = match step {
        Step::Batch(batch) => batch,
        Step::GoOn => return true,
        Step::End => return false,
    };
    registry::check_owner(relation);
    if !locks::try_lock_step(relation) {
        raise(SqlState::ObjectInUse, "another session has begun to backfill or change the relation", None);
    }
    let rows = batch.embed();
    procedure.transaction(|| batch.write(relation, rows));
    true
}
