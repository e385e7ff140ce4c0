//! The last transaction of a batch: vectors into rows, jobs out of the queue.

use std::time::Duration;

use pgrx::spi::{self, SpiClient};

use super::claim::Done;
use super::job::Job;
use super::ledger;
use crate::backend::remarks;
use crate::pg::users::as_superuser;
use crate::pipeline::{Attachment, By, Outcome, Watch, Writer, constraints_at_once, hold_extension, try_lock_table};

/// What came of a group's rows.
#[derive(Default)]
pub struct Finished {
    pub embedded: usize,
    pub failed: usize,
}

/// Writes the vectors of a group. Runs in a transaction of its own, which the caller commits.
pub fn finish(table: &Attachment, done: Done) -> spi::Result<Finished> {
    as_superuser(|| {
        if !hold_extension() {
            return Ok(Finished::default());
        }
        spi::Spi::connect_mut(|client| {
            if !try_lock_table(table.relation) {
                // Whoever has it locked may wait for these very jobs, and others wait for this process.
                ledger::wait_for_lock(client, done.jobs())?;
                return Ok(Finished::default());
            }
            // Under the lock nobody can attach or detach. Vectors of another model must not be written.
            if Attachment::find(client, table.relation, &table.embedding)?.as_ref() != Some(table) {
                ledger::release(client, ledger::ids(done.jobs()), Duration::ZERO)?;
                return Ok(Finished::default());
            }
            constraints_at_once(client)?;
            write(client, table, done)
        })
    })
}

fn write(client: &mut SpiClient<'_>, table: &Attachment, done: Done) -> spi::Result<Finished> {
    let (writer, watch) = (Writer::new(table, By::Key), Watch::new(table));
    let cleared = done.to_clear.into_iter().map(|job| {
        let cleared = watch.attempt(|| writer.clear(client, &job));
        (job, cleared.unwrap_or_else(Outcome::Failed))
    });
    let mut outcomes: Vec<(Job, Outcome)> = cleared.collect();
    outcomes.extend(writer.write_all(client, &watch, done.rows));

    let (mut written, mut over, mut later) = (Vec::new(), Vec::new(), Vec::new());
    let (mut finished, mut in_part) = (Finished::default(), 0);
    for (job, outcome) in outcomes {
        match outcome {
            Outcome::Written => {
                finished.embedded += 1;
                written.push(job.id);
            }
            Outcome::WrittenInPart(remark) => {
                finished.embedded += 1;
                in_part += 1;
                ledger::delete_in_part(client, &job, &remark)?;
            }
            Outcome::NothingToDo => over.push(job.id),
            Outcome::NotNow => later.push(job),
            Outcome::Failed(failure) => {
                finished.failed += 1;
                ledger::fail(client, &job, &failure)?;
            }
        }
    }
    ledger::delete(client, written, true)?;
    ledger::delete(client, over, false)?;
    remarks::warn_of_rows(&table.name, in_part);
    ledger::wait_for_lock(client, &later)?;
    Ok(finished)
}
