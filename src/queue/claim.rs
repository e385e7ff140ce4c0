//! The first transaction of a batch: which rows, and what is in them.
#![allow(unsafe_code)]

use std::collections::BTreeMap;
use std::rc::Rc;

use clip_core::Model;
use pgrx::pg_sys::errcodes::PgSqlErrorCode;
use pgrx::spi::{self, SpiClient};
use pgrx::{datum::DatumWithOid, pg_sys};
use sha2::{Digest, Sha256};

use super::attachment::Attachment;
use super::attempt::{Failure, as_superuser, attempt, hold_extension};
use super::read::{Read, Reader};
use super::{BATCH, BATCH_BYTES, ledger};
use crate::datum::VarlenaCopy;
use crate::plan;
use crate::registry;
use crate::stats::Kind;

/// Whose jobs to take.
#[derive(Clone, Copy)]
pub enum Scope {
    /// Of one table and its partitions.
    Table(pg_sys::Oid),
    /// Of tables that this role owns.
    OwnedBy(pg_sys::Oid),
    All,
}

pub struct Job {
    pub id: i64,
    /// Attempts before this one.
    pub attempts: i32,
    pub key: VarlenaCopy,
    relation: pg_sys::Oid,
    column: String,
    key_columns: i32,
    /// It was worked on when its process ended.
    suspect: bool,
}

/// A row that was read.
pub struct Item {
    pub job: Job,
    pub kind: Kind,
    pub bytes: Vec<u8>,
    pub digest: [u8; 32],
}

/// Rows of one column and one model.
pub struct Group {
    pub table: Attachment,
    pub model: Rc<Model>,
    pub items: Vec<Item>,
    /// Rows that have their vector, whose images are to be cleared.
    pub to_clear: Vec<Job>,
}

#[derive(Default)]
pub struct Batch {
    pub groups: Vec<Group>,
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

/// Claims up to `limit` jobs. Runs in a transaction of its own, which the caller commits.
///
/// `at_work`: this process has another batch, so it keeps its hands off jobs that have to go alone.
pub fn claim(scope: Scope, limit: usize, at_work: bool) -> spi::Result<Batch> {
    as_superuser(|| {
        if !hold_extension() {
            return Ok(Batch { extension_is_gone: true, ..Batch::default() });
        }
        spi::Spi::connect_mut(|client| {
            let mut jobs = ready(client, scope, limit.min(BATCH))?;
            if at_work && jobs.first().is_some_and(|job| job.suspect) {
                return Ok(Batch { more: true, ..Batch::default() });
            }
            if jobs.is_empty() && !at_work && ledger::free_abandoned(client)? > 0 {
                jobs = ready(client, scope, limit.min(BATCH))?;
            }
            let mut batch = Batch { jobs: jobs.len(), more: jobs.len() >= limit.min(BATCH), ..Batch::default() };
            // A job whose process died may have been its death, so it goes alone.
            if let Some(first) = jobs.iter().position(|job| job.suspect) {
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

fn ready(client: &mut SpiClient<'_>, scope: Scope, limit: usize) -> spi::Result<Vec<Job>> {
    let (filter, arg) = match scope {
        Scope::All => ("$2 IS NULL", DatumWithOid::null::<pg_sys::Oid>()),
        Scope::Table(relation) => (
            "(q.relation OPERATOR(pg_catalog.=) $2 OR q.relation OPERATOR(pg_catalog.=) ANY (ARRAY( \
             SELECT p.relid FROM pg_catalog.pg_partition_tree($2) p)))",
            relation.into(),
        ),
        Scope::OwnedBy(role) => (
            "EXISTS (SELECT FROM pg_catalog.pg_class c WHERE c.oid OPERATOR(pg_catalog.=) q.relation \
             AND pg_catalog.pg_has_role($2, c.relowner, 'USAGE'))",
            role.into(),
        ),
    };
    let rows = plan::run(
        client,
        &format!(
            "SELECT q.id, q.relation::pg_catalog.oid, q.embedding_column::pg_catalog.text, q.key, pg_catalog.cardinality(q.key), \
             q.attempts, q.attempts OPERATOR(pg_catalog.>) 0 AND q.error IS NULL FROM clip.queue q \
             WHERE q.failed_at IS NULL AND q.not_before OPERATOR(pg_catalog.<=) pg_catalog.now() AND {filter} \
             ORDER BY q.not_before LIMIT $1 FOR UPDATE OF q SKIP LOCKED"
        ),
        &[(limit as i64).into(), arg],
    )?;
    let mut jobs = Vec::new();
    for row in rows.iter() {
        let (Some(id), Some(relation), Some(column)) = (row.get(1)?, row.get(2)?, row.get(3)?) else { continue };
        // SAFETY: the column is a `text[]`.
        let Some(key) = row.datum(4).map(|key| unsafe { VarlenaCopy::of(key) }) else { continue };
        let (key_columns, attempts) = (row.get(5)?.unwrap_or_default(), row.get(6)?.unwrap_or_default());
        jobs.push(Job { id, relation, column, key, key_columns, attempts, suspect: row.get(7)?.unwrap_or_default() });
    }
    Ok(jobs)
}

/// Reads the rows of one column's jobs and decides on each.
fn group(client: &mut SpiClient<'_>, jobs: Vec<Job>, room: &mut usize, batch: &mut Batch) -> spi::Result<()> {
    let Some(first) = jobs.first() else { return Ok(()) };
    if !may_read(first.relation) {
        // Somebody changes or drops the table and may wait for these very jobs: not waiting here cannot deadlock.
        ledger::release(client, ledger::ids(&jobs), false, 1)?;
        return Ok(());
    }
    let Some(table) = Attachment::find(client, first.relation, &first.column)? else {
        ledger::delete(client, ledger::ids(&jobs))?;
        return Ok(());
    };
    if table.key_columns == 0 {
        let failure = Failure::new(
            PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
            "the table has no primary key any more, which the row waits under",
        );
        return fail_all(client, &jobs, &failure, batch);
    }
    let model = match attempt(|| Ok::<_, Failure>(registry::checked(&table.model, &table.fingerprint))) {
        Ok(model) => model,
        Err(failure) => return fail_all(client, &jobs, &failure, batch),
    };
    let (mut items, mut to_clear, mut gone) = (Vec::new(), Vec::new(), Vec::new());
    let mut reader = Reader::new(&table);
    let mut readable = Vec::new();
    for job in jobs {
        match check(&job, &table) {
            Ok(()) => readable.push(job),
            Err(failure) => fail_all(client, &[job], &failure, batch)?,
        }
    }
    let rows = reader.read_all(client, &readable, *room);
    for (job, row) in readable.into_iter().zip(rows) {
        match row.and_then(|row| reader.read(client, &job, row, *room, items.is_empty())) {
            Ok(Read::Full) => {
                batch.more = true;
                break;
            }
            Ok(Read::Nothing) => gone.push(job.id),
            Ok(Read::ClearImage) => to_clear.push(job),
            Ok(Read::Source(kind, bytes)) => {
                *room = room.saturating_sub(bytes.len());
                let digest = Sha256::digest(&bytes).into();
                items.push(Item { job, kind, bytes, digest });
            }
            Err(failure) => fail_all(client, &[job], &failure, batch)?,
        }
    }
    ledger::delete(client, gone)?;
    ledger::lease(client, ledger::ids(items.iter().map(|item| &item.job).chain(&to_clear)))?;
    if !items.is_empty() || !to_clear.is_empty() {
        batch.groups.push(Group { table, model, items, to_clear });
    }
    Ok(())
}

fn fail_all(client: &mut SpiClient<'_>, jobs: &[Job], failure: &Failure, batch: &mut Batch) -> spi::Result<()> {
    for job in jobs {
        ledger::fail(client, job, job.attempts + 1, failure)?;
    }
    batch.failed += jobs.len();
    Ok(())
}

fn check(job: &Job, table: &Attachment) -> Result<(), Failure> {
    if job.suspect && job.attempts >= super::MAX_ATTEMPTS {
        let message = format!("the server process ended in each of {} attempts to embed the row", job.attempts);
        return Err(Failure::new(PgSqlErrorCode::ERRCODE_CRASH_SHUTDOWN, message));
    }
    if job.key_columns != table.key_columns {
        let message =
            format!("the primary key has {} columns, the waiting row's {}", table.key_columns, job.key_columns);
        return Err(Failure::new(PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, message));
    }
    Ok(())
}

fn may_read(relation: pg_sys::Oid) -> bool {
    // SAFETY: a plain call; the lock is the transaction's.
    unsafe { pg_sys::ConditionalLockRelationOid(relation, pg_sys::AccessShareLock as i32) }
}
