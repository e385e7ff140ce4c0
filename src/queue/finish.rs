//! The last transaction of a batch: vectors into rows, jobs out of the queue.

use std::rc::Rc;
use std::time::Duration;

use clip_core::Embedding;
use pgrx::datum::DatumWithOid;
use pgrx::pg_sys;
use pgrx::pg_sys::errcodes::PgSqlErrorCode;
use pgrx::spi::{self, SpiClient, quote_identifier};

use super::attachment::{Attachment, keys, place};
use super::attempt::{Failure, as_superuser, constraints_at_once, hold_extension};
use super::claim::Job;
use super::ledger;
use super::run::{Done, Work};
use super::watch::Watch;
use crate::datum::{Vector, argument, array_of};
use crate::plan;
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
            let jobs = || done.iter().map(|done| &done.job);
            if !lock(table.relation) {
                // Whoever has it locked may wait for these very jobs, and others wait for this process.
                ledger::wait_for_lock(client, jobs())?;
                return Ok(Finished::default());
            }
            // Under the lock nobody can attach or detach. Vectors of another model must not be written.
            if Attachment::find(client, table.relation, &table.embedding)?.as_ref() != Some(table) {
                ledger::release(client, ledger::ids(jobs()), Duration::ZERO)?;
                return Ok(Finished::default());
            }
            constraints_at_once(client)?;
            write_all(client, &Writer::new(table), done)
        })
    })
}

/// The lock that an UPDATE takes, before anything else is locked that others might wait for. False where it cannot be had at
/// once.
#[allow(unsafe_code)]
fn lock(relation: pg_sys::Oid) -> bool {
    // SAFETY: a plain call; the lock is the transaction's.
    unsafe { pg_sys::ConditionalLockRelationOid(relation, pg_sys::RowExclusiveLock as i32) }
}

/// A row and the vector of what was read of it.
struct Embedded {
    job: Job,
    digest: [u8; 32],
    embedding: Rc<Embedding>,
}

fn write_all(client: &mut SpiClient<'_>, writer: &Writer, done: Vec<Done>) -> spi::Result<Finished> {
    let watch = Watch::new(&writer.table);
    let (mut images, mut texts, mut outcomes) = (Vec::new(), Vec::new(), Vec::new());
    for Done { job, result } in done {
        match result {
            Ok(Work::Write { kind: Kind::Image, digest, embedding }) => {
                images.push(Embedded { job, digest, embedding })
            }
            Ok(Work::Write { kind: Kind::Text, digest, embedding }) => texts.push(Embedded { job, digest, embedding }),
            Ok(Work::ClearImage) => {
                let cleared = watch.attempt(|| writer.clear(client, &job));
                outcomes.push((job, cleared));
            }
            Err(failure) => outcomes.push((job, Err(failure))),
        }
    }
    for (kind, rows) in [(Kind::Image, images), (Kind::Text, texts)] {
        let written = watch.attempt_each(&rows, &mut |rows| writer.write(client, kind, rows));
        outcomes.extend(rows.into_iter().map(|row| row.job).zip(written));
    }

    let (mut finished, mut over, mut later) = (Finished::default(), Vec::new(), Vec::new());
    for (job, written) in outcomes {
        match written {
            Ok(Written::Yes) => {
                finished.embedded += 1;
                over.push(job.id);
            }
            Ok(Written::NothingToDo) => over.push(job.id),
            Ok(Written::NotNow) => later.push(job),
            Err(failure) => {
                finished.failed += 1;
                ledger::fail(client, &job, &failure)?;
            }
        }
    }
    ledger::delete(client, over)?;
    ledger::wait_for_lock(client, &later)?;
    Ok(finished)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Written {
    Yes,
    /// The row is gone, or has a vector and no image to be cleared any more, or has no source.
    NothingToDo,
    /// Somebody is changing the row, or has changed its source since it was read.
    NotNow,
}

/// The statements for one table. Each works on many rows.
struct Writer {
    table: Attachment,
    /// Locks rows; are they still what was read?
    lock: String,
    /// Which rows have work, locked by others or not?
    waits: String,
    image: String,
    text: String,
    vector_array: pg_sys::Oid,
}

impl Writer {
    #[allow(unsafe_code)]
    fn new(table: &Attachment) -> Self {
        let (rows, columns, embedding) = (table.rows(), &table.columns, quote_identifier(&table.embedding));
        let this = format!("{} AND t.{embedding} IS NULL", table.key_matches);
        let with_values = table.keyed("pg_catalog.unnest($2)");
        let numbers = table.keyed("pg_catalog.generate_series(1, $2)");
        let update =
            |more: &str| format!("UPDATE {rows} t SET {embedding} = k.value{more} FROM {with_values} WHERE {this}");
        let and_clear = table.cleared_image().map_or_else(String::new, |image| format!(", {image} = NULL"));
        Self {
            table: table.clone(),
            lock: format!(
                "SELECT k.n, coalesce({} OPERATOR(pg_catalog.=) $3 AND pg_catalog.sha256({}) OPERATOR(pg_catalog.=) k.value, false) \
                 FROM {rows} t, {with_values} WHERE {this} FOR NO KEY UPDATE OF t SKIP LOCKED",
                columns.is_image("t"),
                columns.bytes("t"),
            ),
            waits: format!("SELECT k.n FROM {rows} t, {numbers} WHERE {this} AND {}", columns.present("t")),
            image: update(&and_clear),
            text: update(""),
            // SAFETY: a catalog look-up.
            vector_array: unsafe { pg_sys::get_array_type(table.vector_type) },
        }
    }

    fn clear(&self, client: &mut SpiClient<'_>, job: &Job) -> spi::Result<Written> {
        let Some(image) = self.table.cleared_image() else { return Ok(Written::NothingToDo) };
        let (rows, this) = (self.table.rows(), &self.table.key_matches);
        let one = self.table.keyed("pg_catalog.generate_series(1, 1)");
        let is_there = format!("SELECT FROM {rows} t, {one} WHERE {this} AND {}", self.table.has_image_to_clear());
        let run = |sql: &str| plan::run(client, sql, &[keys([job])]).map(|rows| rows.count());
        if run(&format!("{is_there} FOR NO KEY UPDATE OF t SKIP LOCKED"))? > 0 {
            run(&format!("UPDATE {rows} t SET {image} = NULL FROM {one} WHERE {this}"))?;
            return Ok(Written::NothingToDo);
        }
        Ok(if run(&is_there)? > 0 { Written::NotNow } else { Written::NothingToDo })
    }

    /// Writes the vectors of images or of texts into those rows that are still what was read.
    fn write(&self, client: &mut SpiClient<'_>, kind: Kind, rows: &[Embedded]) -> Result<Vec<Written>, Failure> {
        let written = self.lock(client, kind, rows)?;
        let ready: Vec<&Embedded> =
            rows.iter().zip(&written).filter_map(|(row, w)| (*w == Written::Yes).then_some(row)).collect();
        if ready.is_empty() {
            return Ok(written);
        }
        let update = if kind == Kind::Image { &self.image } else { &self.text };
        let arguments = [keys(ready.iter().map(|row| &row.job)), self.vectors(&ready)];
        if plan::run(client, update, &arguments)?.count() != ready.len() {
            return Err(Failure::new(
                PgSqlErrorCode::ERRCODE_TRIGGERED_ACTION_EXCEPTION,
                "a trigger of the table kept the vector from being written",
            ));
        }
        Ok(written)
    }

    /// Locks the rows, and says of each whether it may be written.
    fn lock(&self, client: &mut SpiClient<'_>, kind: Kind, rows: &[Embedded]) -> spi::Result<Vec<Written>> {
        let keys = || keys(rows.iter().map(|row| &row.job));
        let digests: Vec<&[u8]> = rows.iter().map(|row| row.digest.as_slice()).collect();
        let mut written = vec![Written::NothingToDo; rows.len()];
        let arguments = [keys(), digests.into(), (kind == Kind::Image).into()];
        let found = plan::run(client, &self.lock, &arguments)?;
        let all = found.count() == rows.len();
        for row in found.iter() {
            let unchanged = row.get::<bool>(2)?.unwrap_or_default();
            if let Some(place) = place(&row, &mut written)? {
                *place = if unchanged { Written::Yes } else { Written::NotNow };
            }
        }
        if all {
            return Ok(written);
        }
        let waiting = plan::run(client, &self.waits, &[keys(), (rows.len() as i32).into()])?;
        for row in waiting.iter() {
            if let Some(place) = place(&row, &mut written)?
                && *place == Written::NothingToDo
            {
                *place = Written::NotNow;
            }
        }
        Ok(written)
    }

    #[allow(unsafe_code)]
    fn vectors(&self, rows: &[&Embedded]) -> DatumWithOid<'static> {
        let mut vectors: Vec<_> = rows.iter().map(|row| Vector(row.embedding.clone()).into_datum()).collect();
        // SAFETY: the values are of pgvector's type, and the array is of theirs.
        unsafe {
            argument(array_of(&mut vectors, &mut vec![false; rows.len()], self.table.vector_type), self.vector_array)
        }
    }
}
