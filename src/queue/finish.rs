//! The last transaction of a batch: vectors into rows, jobs out of the queue.

use std::rc::Rc;

use clip_core::Embedding;
use pgrx::datum::DatumWithOid;
use pgrx::pg_sys::errcodes::PgSqlErrorCode;
use pgrx::pg_sys::{self, PgOid};
use pgrx::spi::{self, PreparedStatement, SpiClient, quote_identifier};

use super::attachment::Attachment;
use super::attempt::{Failure, as_owner, as_superuser, attempt, hold_extension, set};
use super::claim::Job;
use super::ledger;
use super::run::{Done, Work};
use crate::datum::{Vector, argument};
use crate::stats::Kind;

/// What came of a group's rows.
#[derive(Default)]
pub struct Finished {
    pub embedded: usize,
    pub failed: usize,
}

/// Writes the vectors of a group. Runs in a transaction of its own, which the caller commits.
pub fn finish(table: &Attachment, done: Vec<Done>) -> spi::Result<Finished> {
    as_superuser(|| {
        if !hold_extension() {
            return Ok(Finished::default());
        }
        spi::Spi::connect_mut(|client| {
            let ids = ledger::ids(done.iter().map(|done| &done.job));
            if let Err(failure) = attempt(|| lock(table.relation)) {
                if !failure.is_lock_timeout() {
                    return fail_all(client, &done, &failure);
                }
                ledger::release(client, ids, true, 5)?;
                return Ok(Finished::default());
            }
            // Under the lock nobody can attach or detach. Vectors of another model must not be written.
            if Attachment::find(client, table.relation, &table.embedding)?.as_ref() != Some(table) {
                ledger::release(client, ids, true, 0)?;
                return Ok(Finished::default());
            }
            // Constraint triggers that wait for the commit would run with the rights of whoever commits.
            client.update("SET CONSTRAINTS ALL IMMEDIATE", None, &[])?;
            match Writer::new(client, table) {
                Ok(writer) => write_all(client, &writer, done),
                Err(failure) => fail_all(client, &done, &failure),
            }
        })
    })
}

/// The lock that an UPDATE takes, before anything else is locked that others might wait for.
#[allow(unsafe_code)]
fn lock(relation: pg_sys::Oid) {
    set(c"lock_timeout", c"10s");
    // SAFETY: a plain call; the lock is the transaction's.
    unsafe { pg_sys::LockRelationOid(relation, pg_sys::RowExclusiveLock as i32) }
}

fn fail_all(client: &mut SpiClient<'_>, done: &[Done], failure: &Failure) -> spi::Result<Finished> {
    for done in done {
        ledger::fail(client, &done.job, done.job.attempts + 1, failure)?;
    }
    Ok(Finished { embedded: 0, failed: done.len() })
}

fn write_all<'conn>(client: &mut SpiClient<'conn>, writer: &Writer<'conn>, done: Vec<Done>) -> spi::Result<Finished> {
    let (mut finished, mut over, mut later) = (Finished::default(), Vec::new(), Vec::new());
    for done in done {
        let written = match &done.result {
            Ok(work) => writer.write(client, &done.job, work),
            Err(failure) => Err(failure.clone()),
        };
        match written {
            Ok(Written::Yes) => {
                finished.embedded += 1;
                over.push(done.job.id);
            }
            Ok(Written::NothingToDo) => over.push(done.job.id),
            Ok(Written::NotNow) => later.push(done.job.id),
            Err(failure) => {
                finished.failed += 1;
                ledger::fail(client, &done.job, done.job.attempts + 1, &failure)?;
            }
        }
    }
    ledger::delete(client, over)?;
    ledger::release(client, later, true, 1)?;
    Ok(finished)
}

enum Written {
    Yes,
    /// The row is gone, or has a vector and no image to be cleared any more, or has no source.
    NothingToDo,
    /// Somebody is changing the row, or has changed its source since it was read.
    NotNow,
}

/// The statements for one table, prepared.
struct Writer<'conn> {
    table: Attachment,
    /// Locks the row; is it still what was read?
    lock: PreparedStatement<'conn>,
    waits: PreparedStatement<'conn>,
    image: PreparedStatement<'conn>,
    text: PreparedStatement<'conn>,
}

impl<'conn> Writer<'conn> {
    fn new(client: &SpiClient<'conn>, table: &Attachment) -> Result<Self, Failure> {
        let (rows, columns, embedding) = (table.rows(), &table.columns, quote_identifier(&table.embedding));
        let this = format!("{} AND t.{embedding} IS NULL", table.key_matches);
        let lock = format!(
            "SELECT coalesce({} OPERATOR(pg_catalog.=) $2 AND pg_catalog.sha256({}) OPERATOR(pg_catalog.=) $3, false) \
             FROM {rows} t WHERE {this} FOR NO KEY UPDATE SKIP LOCKED",
            columns.is_image("t"),
            columns.bytes("t"),
        );
        let waits = format!("SELECT FROM {rows} t WHERE {this} AND {}", columns.present("t"));
        let update = |more: &str| format!("UPDATE {rows} t SET {embedding} = $2{more} WHERE {this}");
        let and_clear = table.cleared_image().map_or_else(String::new, |image| format!(", {image} = NULL"));
        let key = PgOid::from(pg_sys::TEXTARRAYOID);
        let vector = PgOid::from(table.vector_type);
        attempt(|| {
            as_owner(table.owner, || {
                Ok::<_, spi::Error>(Self {
                    table: table.clone(),
                    lock: client.prepare_mut(
                        lock.as_str(),
                        &[key, PgOid::from(pg_sys::BOOLOID), PgOid::from(pg_sys::BYTEAOID)],
                    )?,
                    waits: client.prepare_mut(waits.as_str(), &[key])?,
                    image: client.prepare_mut(update(&and_clear).as_str(), &[key, vector])?,
                    text: client.prepare_mut(update("").as_str(), &[key, vector])?,
                })
            })
        })?
        .map_err(Failure::from)
    }

    fn write(&self, client: &mut SpiClient<'conn>, job: &Job, work: &Work) -> Result<Written, Failure> {
        attempt(|| {
            as_owner(self.table.owner, || match work {
                Work::Write { kind, digest, embedding } => self.try_write(client, job, *kind, digest, embedding),
                Work::ClearImage => self.try_clear(client, job).map(Ok),
            })
        })??
    }

    /// Seldom needed, so its statements are not prepared.
    fn try_clear(&self, client: &mut SpiClient<'conn>, job: &Job) -> spi::Result<Written> {
        let Some(image) = self.table.cleared_image() else { return Ok(Written::NothingToDo) };
        let (rows, this) = (self.table.rows(), &self.table.key_matches);
        let is_there = format!("SELECT FROM {rows} t WHERE {this} AND {}", self.table.has_image_to_clear());
        let lock = format!("{is_there} FOR NO KEY UPDATE SKIP LOCKED");
        let key = || [job.key.as_argument(pg_sys::TEXTARRAYOID)];
        if !client.update(lock.as_str(), Some(1), &key())?.is_empty() {
            client.update(format!("UPDATE {rows} t SET {image} = NULL WHERE {this}").as_str(), None, &key())?;
            return Ok(Written::NothingToDo);
        }
        let locked = !client.update(is_there.as_str(), Some(1), &key())?.is_empty();
        Ok(if locked { Written::NotNow } else { Written::NothingToDo })
    }

    fn try_write(
        &self,
        client: &mut SpiClient<'conn>,
        job: &Job,
        kind: Kind,
        digest: &[u8],
        embedding: &Rc<Embedding>,
    ) -> spi::Result<Result<Written, Failure>> {
        let key = || job.key.as_argument(pg_sys::TEXTARRAYOID);
        let is_image = kind == Kind::Image;
        let found = client.update(&self.lock, Some(1), &[key(), is_image.into(), digest.into()])?;
        if found.is_empty() {
            let waits = !client.update(&self.waits, Some(1), &[key()])?.is_empty();
            return Ok(Ok(if waits { Written::NotNow } else { Written::NothingToDo }));
        }
        if found.first().get_one::<bool>()? != Some(true) {
            return Ok(Ok(Written::NotNow));
        }
        let vector = vector_argument(embedding, self.table.vector_type);
        let update = if is_image { &self.image } else { &self.text };
        let written = client.update(update, None, &[key(), vector])?.len();
        Ok(match written {
            0 => Err(Failure::new(
                PgSqlErrorCode::ERRCODE_TRIGGERED_ACTION_EXCEPTION,
                "a trigger of the table kept the vector from being written",
            )),
            _ => Ok(Written::Yes),
        })
    }
}

#[allow(unsafe_code)]
fn vector_argument(embedding: &Rc<Embedding>, oid: pg_sys::Oid) -> DatumWithOid<'static> {
    // SAFETY: `oid` is pgvector's type, of which the datum is a value; its memory context is the statement's.
    unsafe { argument(Vector(embedding.clone()).into_datum(), oid) }
}
