//! Vectors into rows that are still what was read, as the table's owner.

use std::rc::Rc;

use clip_core::{Embedding, Modality};
use pgrx::datum::DatumWithOid;
use pgrx::pg_sys;
use pgrx::pg_sys::errcodes::PgSqlErrorCode;
use pgrx::spi::{self, SpiClient, quote_identifier};

use super::attachment::{Attachment, place};
use super::embed::Embedded;
use super::failure::Failure;
use super::locator::{By, Located, locators, xmins};
use super::read::digest_without_source;
use super::watch::Watch;
use crate::backend::remarks;
use crate::pg::datum::{Vector, argument, array_of};
use crate::pg::plan;

/// What became of a row.
#[derive(Clone, Debug)]
pub enum Outcome {
    Written,
    /// With a vector of an image that is not all there.
    WrittenInPart(Failure),
    /// The row is gone, or has a vector and no image to be cleared any more, or has no source.
    NothingToDo,
    /// Somebody is changing the row, or has changed its source since it was read.
    NotNow,
    Failed(Failure),
}

/// The lock that an UPDATE takes, before anything else is locked that others might wait for. False where it cannot be had at
/// once: to find that out before the model runs, and to keep nobody waiting who waits for others.
#[allow(unsafe_code)]
pub fn try_lock_table(relation: pg_sys::Oid) -> bool {
    // SAFETY: a plain call; the lock is the transaction's.
    unsafe { pg_sys::ConditionalLockRelationOid(relation, pg_sys::RowExclusiveLock as i32) }
}

/// The statements for one table. Each works on many rows.
pub struct Writer {
    table: Attachment,
    by: By,
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
    pub fn new(table: &Attachment, by: By) -> Self {
        let (rows, columns, embedding) = (table.rows(), &table.columns, quote_identifier(&table.embedding));
        let this = format!("{} AND t.{embedding} IS NULL", table.is_located(by));
        let with_values = table.located(by, "pg_catalog.unnest($2)");
        let numbers = table.located(by, "pg_catalog.generate_series(1, $2)");
        let update =
            |more: &str| format!("UPDATE {rows} t SET {embedding} = k.value{more} FROM {with_values} WHERE {this}");
        let and_clear = table.cleared_image().map_or_else(String::new, |image| format!(", {image} = NULL"));
        let is_unchanged = match by {
            By::Key => format!(
                "{} OPERATOR(pg_catalog.=) $3 AND coalesce(pg_catalog.sha256({}), {}) OPERATOR(pg_catalog.=) k.value",
                columns.is_image("t"),
                columns.bytes("t"),
                digest_without_source(table),
            ),
            By::Version => "t.xmin OPERATOR(pg_catalog.=) k.value".to_owned(),
        };
        Self {
            table: table.clone(),
            by,
            lock: format!(
                "SELECT k.n, coalesce({is_unchanged}, false) FROM {rows} t, {with_values} WHERE {this} \
                 FOR NO KEY UPDATE OF t SKIP LOCKED"
            ),
            waits: format!("SELECT k.n FROM {rows} t, {numbers} WHERE {this} AND {}", columns.present("t")),
            image: update(&and_clear),
            text: update(""),
            // SAFETY: a catalog look-up.
            vector_array: unsafe { pg_sys::get_array_type(table.vector_type) },
        }
    }

    /// Writes what can be written; a bad row fails alone.
    pub fn write_all<J: Located>(
        &self,
        client: &mut SpiClient<'_>,
        watch: &Watch,
        rows: Vec<Embedded<J>>,
    ) -> Vec<(J, Outcome)> {
        let (images, texts): (Vec<_>, Vec<_>) = rows.into_iter().partition(|row| row.modality == Modality::Image);
        let mut outcomes = Vec::new();
        for (modality, rows) in [(Modality::Image, images), (Modality::Text, texts)] {
            let written = watch.attempt_each(&rows, &mut |rows| self.write(client, modality, rows));
            let outcome =
                |written: Result<_, Failure>| written.unwrap_or_else(|e| Outcome::Failed(e.of_modality(modality)));
            outcomes.extend(rows.into_iter().map(|row| row.job).zip(written.into_iter().map(outcome)));
        }
        outcomes
    }

    /// Takes an image away whose row has its vector.
    pub fn clear<J: Located>(&self, client: &mut SpiClient<'_>, job: &J) -> spi::Result<Outcome> {
        let Some(image) = self.table.cleared_image() else { return Ok(Outcome::NothingToDo) };
        let (rows, this) = (self.table.rows(), self.table.is_located(self.by));
        let one = self.table.located(self.by, "pg_catalog.generate_series(1, 1)");
        let is_there = format!("SELECT FROM {rows} t, {one} WHERE {this} AND {}", self.table.has_image_to_clear());
        let run = |sql: &str| plan::run(client, sql, &[locators(self.by, [job])]).map(|rows| rows.count());
        if run(&format!("{is_there} FOR NO KEY UPDATE OF t SKIP LOCKED"))? > 0 {
            run(&format!("UPDATE {rows} t SET {image} = NULL FROM {one} WHERE {this}"))?;
            return Ok(Outcome::NothingToDo);
        }
        Ok(if run(&is_there)? > 0 { Outcome::NotNow } else { Outcome::NothingToDo })
    }

    /// Writes the vectors of images or of texts. A row that failed has failed if it is still what was read.
    fn write<J: Located>(
        &self,
        client: &mut SpiClient<'_>,
        modality: Modality,
        rows: &[Embedded<J>],
    ) -> Result<Vec<Outcome>, Failure> {
        let mut outcomes = self.lock(client, modality, rows)?;
        let mut ready = Vec::new();
        for (row, outcome) in rows.iter().zip(&mut outcomes).filter(|(_, outcome)| matches!(outcome, Outcome::Written))
        {
            match &row.result {
                Ok(embedding) => {
                    ready.push((&row.job, embedding));
                    if let Some(message) = remarks::incomplete(embedding) {
                        *outcome = Outcome::WrittenInPart(Failure::incomplete(message));
                    }
                }
                Err(failure) => *outcome = Outcome::Failed(failure.clone()),
            }
        }
        if ready.is_empty() {
            return Ok(outcomes);
        }
        let update = if modality == Modality::Image { &self.image } else { &self.text };
        let jobs = locators(self.by, ready.iter().map(|(job, _)| *job));
        let arguments = [jobs, self.vectors(ready.iter().map(|(_, embedding)| *embedding))];
        if plan::run(client, update, &arguments)?.count() != ready.len() {
            return Err(Failure::new(
                PgSqlErrorCode::ERRCODE_TRIGGERED_ACTION_EXCEPTION,
                "a trigger of the table kept the vector from being written",
            ));
        }
        Ok(outcomes)
    }

    /// Locks the rows, and says of each whether it may be written.
    fn lock<J: Located>(
        &self,
        client: &mut SpiClient<'_>,
        modality: Modality,
        rows: &[Embedded<J>],
    ) -> spi::Result<Vec<Outcome>> {
        let jobs = || locators(self.by, rows.iter().map(|row| &row.job));
        let values = match self.by {
            By::Key => rows.iter().map(|row| row.digest.as_slice()).collect::<Vec<_>>().into(),
            By::Version => xmins(rows.iter().map(|row| &row.job)),
        };
        let mut outcomes = vec![Outcome::NothingToDo; rows.len()];
        let found = plan::run(client, &self.lock, &[jobs(), values, (modality == Modality::Image).into()])?;
        let all = found.count() == rows.len();
        for row in found.iter() {
            let unchanged = row.get::<bool>(2)?.unwrap_or_default();
            if let Some(place) = place(&row, &mut outcomes)? {
                *place = if unchanged { Outcome::Written } else { Outcome::NotNow };
            }
        }
        if all {
            return Ok(outcomes);
        }
        if self.by == By::Version {
            // What was not found is another version now, somewhere else.
            for outcome in outcomes.iter_mut().filter(|outcome| matches!(outcome, Outcome::NothingToDo)) {
                *outcome = Outcome::NotNow;
            }
            return Ok(outcomes);
        }
        let waiting = plan::run(client, &self.waits, &[jobs(), (rows.len() as i32).into()])?;
        for row in waiting.iter() {
            if let Some(place) = place(&row, &mut outcomes)?
                && matches!(place, Outcome::NothingToDo)
            {
                *place = Outcome::NotNow;
            }
        }
        Ok(outcomes)
    }

    #[allow(unsafe_code)]
    fn vectors<'a>(&self, embeddings: impl Iterator<Item = &'a Rc<Embedding>>) -> DatumWithOid<'static> {
        let value = |embedding: &Rc<Embedding>| Vector(embedding.clone()).into_datum_of(self.table.vectors);
        let mut vectors: Vec<_> = embeddings.map(value).collect();
        let mut nulls = vec![false; vectors.len()];
        // SAFETY: the values are of this type of pgvector's, and the array is of theirs.
        unsafe { argument(array_of(&mut vectors, &mut nulls, self.table.vector_type), self.vector_array) }
    }
}
