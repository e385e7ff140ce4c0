//! The first transaction of a batch: which rows, and what is in them.
#![allow(unsafe_code)]

use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::{Duration, Instant};

use clip_core::Model;
use pgrx::pg_sys;
use pgrx::pg_sys::errcodes::PgSqlErrorCode;
use pgrx::spi::{self, SpiClient};

use super::job::Job;
use super::turn::{self, Scope, Turn};
use super::{BATCH, ledger};
use crate::attachment::registry;
use crate::pg::datum::VarlenaCopy;
use crate::pg::plan;
use crate::pg::users::as_superuser;
use crate::pipeline::{
    Attachment, BATCH_BYTES, By, Embed, Embedded, Failure, Found, Item, Locator, Reader, Watch, attempt, embed,
    hold_extension, pause, try_lock_table,
};
use crate::wake::{self, Barred};

/// How often claims of processes that are gone are looked for, where there is always something to do.
const FREE_AGAIN: Duration = Duration::from_secs(60);

thread_local! {
    static FREED: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// Partitions of a claim at most.
const RELATIONS: usize = 16;

/// How often jobs of a table that nobody has attached are looked at again, once a minute: a day.
const UNKNOWN: i32 = 1440;

/// Rows of one column and one model.
pub struct Group {
    pub table: Attachment,
    pub model: Rc<Model>,
    pub items: Vec<Item<Job>>,
    /// Rows that have their vector, whose images are to be cleared.
    pub to_clear: Vec<Job>,
}

impl Group {
    /// Of its jobs.
    pub fn ids(&self) -> impl Iterator<Item = i64> {
        self.items.iter().map(|item| item.job.id).chain(self.to_clear.iter().map(|job| job.id))
    }

    /// Between the two transactions.
    pub fn embed(self, with: Embed) -> (Attachment, Done) {
        let rows = embed(&self.model, self.items, with);
        (self.table, Done { rows, to_clear: self.to_clear })
    }
}

/// Rows of one column whose vectors are there, or cannot be.
pub struct Done {
    pub rows: Vec<Embedded<Job>>,
    pub to_clear: Vec<Job>,
}

impl Done {
    pub fn jobs(&self) -> impl Iterator<Item = &Job> {
        self.rows.iter().map(|row| &row.job).chain(&self.to_clear)
    }
}

#[derive(Default)]
pub struct Batch {
    pub groups: Vec<Group>,
    /// Whose rows they are.
    pub turn: Option<Turn>,
    /// Jobs that this claim dealt with, those included for which there was nothing to do.
    pub jobs: usize,
    /// Of them those that failed.
    pub failed: usize,
    /// Nothing may be claimed until this is done.
    pub alone: bool,
    /// There may be more that is ready.
    pub more: bool,
    pub extension_is_gone: bool,
}

/// Whose jobs to take.
pub enum Whose<'a> {
    /// The next table's, of an owner after this one.
    Next(u32),
    /// The same table's as before. This process has another batch of it, so it keeps its hands off jobs that have to go alone.
    Same(&'a Turn),
    /// The same table's, unless others wait.
    SameUnlessOthersWait(&'a Turn),
}

/// Claims up to `limit` jobs of one table. Runs in a transaction of its own, which the caller commits.
pub fn claim(scope: Scope, limit: usize, whose: Whose<'_>, barred: &Barred) -> spi::Result<Batch> {
    as_superuser(|| {
        if !hold_extension() {
            return Ok(Batch { extension_is_gone: true, ..Batch::default() });
        }
        spi::Spi::connect_mut(|client| {
            let (at_work, turn) = match whose {
                Whose::Same(turn) => (true, Some(turn.clone())),
                Whose::SameUnlessOthersWait(turn) => {
                    let same = turn::next(client, scope, turn.owner.to_u32().saturating_sub(1), barred)?;
                    let same = same.filter(|next| next.owner == turn.owner && next.root == turn.root && !next.others);
                    (true, same)
                }
                Whose::Next(last) => {
                    let is_due = FREED.get().is_none_or(|freed| freed.elapsed() > FREE_AGAIN);
                    let freed = is_due && free_abandoned(client)?;
                    let mut turn = turn::next(client, scope, last, barred)?;
                    if turn.is_none() && !freed && free_abandoned(client)? {
                        turn = turn::next(client, scope, last, barred)?;
                    }
                    (false, turn)
                }
            };
            let Some(mut turn) = turn else { return Ok(Batch { more: at_work, ..Batch::default() }) };
            let mut jobs = ready(client, &turn, limit.min(BATCH))?;
            // Another process may be about to claim them.
            let mut passed = barred.clone();
            while jobs.is_empty() && !at_work && turn.others {
                passed.roots.insert(turn.root.to_u32());
                let Some(next) = turn::next(client, scope, turn.owner.to_u32(), &passed)? else { break };
                turn = next;
                jobs = ready(client, &turn, limit.min(BATCH))?;
            }
            if at_work && jobs.first().is_some_and(|job| job.alone) {
                return Ok(Batch { more: true, ..Batch::default() });
            }
            let more = jobs.len() >= limit.min(BATCH) || turn.others;
            if !at_work {
                wake::note_others(turn.others, turn.next_due);
            }
            let mut batch = Batch { jobs: jobs.len(), more, turn: Some(turn), ..Batch::default() };
            if let Some(first) = jobs.iter().position(|job| job.alone) {
                (batch.alone, batch.more) = (first == 0, true);
                jobs.truncate(first.max(1));
            }
            let mut by_column: BTreeMap<(u32, String), Vec<Job>> = BTreeMap::new();
            for job in jobs {
                by_column.entry((job.relation.to_u32(), job.column.clone())).or_default().push(job);
            }
            let mut room = BATCH_BYTES;
            for jobs in by_column.into_values() {
                group(client, jobs, &mut room, &mut batch)?;
            }
            Ok(batch)
        })
    })
}

fn free_abandoned(client: &mut SpiClient<'_>) -> spi::Result<bool> {
    FREED.set(Some(Instant::now()));
    Ok(ledger::free_abandoned(client)? > 0)
}

fn ready(client: &mut SpiClient<'_>, turn: &Turn, limit: usize) -> spi::Result<Vec<Job>> {
    // What was never tried is ready, whatever the clock says; one that goes as it should has no such job behind those that wait.
    const SQL: &str = "SELECT q.id, q.embedding_column::pg_catalog.text, q.key, pg_catalog.cardinality(q.key), q.attempts, \
         coalesce(q.pauses, 0), coalesce(q.crashes, 0) OPERATOR(pg_catalog.>) 0 OR coalesce(q.isolated, false) \
         FROM clip.queue q WHERE q.relation OPERATOR(pg_catalog.=) $2 \
         AND q.not_before OPERATOR(pg_catalog.<=) CASE WHEN $3 THEN timestamptz '200000-01-01' ELSE pg_catalog.now() END \
         AND (q.not_before OPERATOR(pg_catalog.<=) pg_catalog.now() OR q.not_before OPERATOR(pg_catalog.=) q.enqueued_at) \
         ORDER BY q.not_before LIMIT $1 FOR UPDATE OF q SKIP LOCKED";
    let mut jobs = Vec::new();
    for relation in turn.relations.iter().take(RELATIONS).copied() {
        let left = limit.saturating_sub(jobs.len()) as i64;
        if left == 0 {
            break;
        }
        for row in plan::run(client, SQL, &[left.into(), relation.into(), turn.clock_was_set_back.into()])?.iter() {
            let (Some(id), Some(column)) = (row.get(1)?, row.text(2)) else { continue };
            // SAFETY: the column is a `text[]`.
            let Some(key) = row.datum(3).map(|key| unsafe { VarlenaCopy::of(key) }) else { continue };
            let (key_columns, attempts) = (row.get(4)?.unwrap_or_default(), row.get(5)?.unwrap_or_default());
            let (pauses, alone) = (row.get(6)?.unwrap_or_default(), row.get(7)?.unwrap_or_default());
            let locator = Locator::Key(key);
            jobs.push(Job { id, relation, column, locator, key_columns, attempts, pauses, alone });
        }
    }
    Ok(jobs)
}

/// Reads the rows of one column's jobs and decides on each.
fn group(client: &mut SpiClient<'_>, jobs: Vec<Job>, room: &mut usize, batch: &mut Batch) -> spi::Result<()> {
    let Some(first) = jobs.first() else { return Ok(()) };
    if !try_lock_table(first.relation) {
        // Somebody changes or drops the table and may wait for these very jobs: not waiting here cannot deadlock.
        return ledger::wait_for_lock(client, &jobs);
    }
    let Some(table) = Attachment::find(client, first.relation, &first.column)? else {
        // Who detaches a table takes its jobs along. Of one that is there a restore may bring the jobs before the rest.
        let is_there = is_there(first.relation);
        if is_there && let Some(turn) = &batch.turn {
            pause(turn.root.to_u32());
        }
        let (wait, over): (Vec<_>, Vec<_>) = jobs.into_iter().partition(|job| is_there && job.pauses < UNKNOWN);
        ledger::wait_for_lock(client, &wait)?;
        return ledger::delete(client, ledger::ids(&over), true);
    };
    if table.key_columns == 0 {
        let failure = Failure::new(
            PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
            "the table has no primary key, which the row waits under",
        )
        .of_environment();
        pause(table.root.to_u32());
        return fail_all(client, &jobs, &failure, batch);
    }
    let model = match attempt(|| Ok::<_, Failure>(registry::checked(&table.model, &table.fingerprint))) {
        Ok(model) => model,
        // Another one may be installed under its name, or none yet: no row's fault.
        Err(failure) => {
            pause(table.root.to_u32());
            return fail_all(client, &jobs, &failure.of_environment(), batch);
        }
    };
    let watch = Watch::new(&table);
    let mut readable = Vec::new();
    for job in jobs {
        match check(&job, &table) {
            Ok(()) => readable.push(job),
            Err(failure) => fail_all(client, &[job], &failure, batch)?,
        }
    }
    let found = Reader::new(&table, By::Key, &watch).read(client, readable, room, true);
    let Found { items, to_clear, nothing, locked, failed, rest } = found;
    for (job, failure) in failed {
        fail_all(client, &[job], &failure, batch)?;
    }
    batch.more |= !rest.is_empty();
    ledger::delete(client, ledger::ids(&nothing), false)?;
    ledger::wait_for_lock(client, &locked)?;
    ledger::lease(client, ledger::ids(items.iter().map(|item| &item.job).chain(&to_clear)))?;
    if !items.is_empty() || !to_clear.is_empty() {
        batch.groups.push(Group { table, model, items, to_clear });
    }
    Ok(())
}

fn is_there(relation: pg_sys::Oid) -> bool {
    // SAFETY: a look-up in PostgreSQL's caches; 0 where there is none.
    unsafe { pg_sys::get_rel_relkind(relation) != 0 }
}

fn fail_all(client: &mut SpiClient<'_>, jobs: &[Job], failure: &Failure, batch: &mut Batch) -> spi::Result<()> {
    for job in jobs {
        ledger::fail(client, job, failure)?;
    }
    batch.failed += jobs.len();
    Ok(())
}

fn check(job: &Job, table: &Attachment) -> Result<(), Failure> {
    if job.key_columns != table.key_columns {
        let message =
            format!("the primary key has {} columns, the waiting row's {}", table.key_columns, job.key_columns);
        return Err(Failure::new(PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, message));
    }
    Ok(())
}
