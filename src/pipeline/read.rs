//! Rows' sources, read in the name of the table's owner.
#![allow(unsafe_code)]

use clip_core::Modality;
use pgrx::spi::{self, SpiClient};
use pgrx::{FromDatum, PgMemoryContexts};
use sha2::{Digest, Sha256};

use super::attachment::{Attachment, place};
use super::failure::Failure;
use super::locator::{By, Located, locators};
use super::watch::Watch;
use crate::pg::plan;

/// A row that was read: its source, or why it has none that can be embedded.
pub struct Item<J> {
    pub job: J,
    pub modality: Modality,
    pub input: Result<Vec<u8>, Failure>,
    /// Of what was read: a row with another one is not the same any more.
    pub digest: Vec<u8>,
}

/// What was found of rows that were looked for.
pub struct Found<J> {
    pub items: Vec<Item<J>>,
    /// They have their vectors, and their images are to be cleared: a change of model gave them the new ones before.
    pub to_clear: Vec<J>,
    /// They are gone, or have their vectors, or have no source.
    pub nothing: Vec<J>,
    /// Somebody has locked them, or is changing them.
    pub locked: Vec<J>,
    /// They could not be read.
    pub failed: Vec<(J, Failure)>,
    /// There is work, but for the next batch.
    pub rest: Vec<J>,
}

impl<J> Default for Found<J> {
    fn default() -> Self {
        let (items, to_clear, nothing, locked, failed, rest) = Default::default();
        Self { items, to_clear, nothing, locked, failed, rest }
    }
}

enum Read {
    Nothing,
    ClearImage,
    Locked,
    Full,
    Source { modality: Modality, input: Result<Vec<u8>, Failure>, digest: Vec<u8> },
}

/// What the statement gives.
struct Row {
    /// As it is written in the row.
    named: Option<String>,
    /// As the rule has it.
    modality: Modality,
    length: Option<i32>,
    bytes: Option<Vec<u8>>,
    embedded: bool,
    /// Somebody may have it locked.
    was_locked: bool,
    /// In place of that of a source.
    digest: Option<Vec<u8>>,
}

/// Reads rows of one table.
pub struct Reader<'a> {
    by: By,
    watch: &'a Watch,
    statement: String,
    /// Which rows can be locked?
    unlocked: String,
    memory: PgMemoryContexts,
}

/// What a source's digest is replaced by where a row has none: that of its modality.
pub fn digest_without_source(table: &Attachment) -> String {
    match table.columns.modality {
        None => "NULL::pg_catalog.bytea".to_owned(),
        Some(_) => {
            format!("pg_catalog.int8send(pg_catalog.hashtextextended({}, 0))", table.columns.modality("t"))
        }
    }
}

impl<'a> Reader<'a> {
    pub fn new(table: &Attachment, by: By, watch: &'a Watch) -> Self {
        let columns = &table.columns;
        let bytes = columns.bytes("t");
        // A length is in a value's header; the bytes are fetched only where there is room for them.
        let embedding = spi::quote_identifier(&table.embedding);
        let statement = format!(
            "SELECT k.n, {}, {}, pg_catalog.octet_length({bytes}), CASE WHEN t.{embedding} IS NULL AND \
             pg_catalog.octet_length({bytes}) OPERATOR(pg_catalog.<=) $2 THEN {bytes} END, t.{embedding} IS NOT NULL, \
             t.xmax::pg_catalog.text OPERATOR(pg_catalog.<>) '0', CASE WHEN {bytes} IS NULL THEN {} END \
             FROM {} t, {} WHERE {} AND (t.{embedding} IS NULL OR {})",
            columns.modality("t"),
            columns.is_image("t"),
            digest_without_source(table),
            table.rows(),
            table.located(by, "pg_catalog.generate_series(1, $3)"),
            table.is_located(by),
            table.has_image_to_clear(),
        );
        let unlocked = format!(
            "SELECT k.n FROM {} t, {} WHERE {} FOR NO KEY UPDATE OF t SKIP LOCKED",
            table.rows(),
            table.located(by, "pg_catalog.generate_series(1, $2)"),
            table.is_located(by),
        );
        Self { by, watch, statement, unlocked, memory: PgMemoryContexts::new("pg_clip row") }
    }

    /// Reads until the sources fill `room`, which becomes what is left of it; the first of a batch (`is_first`) is read
    /// whatever its size.
    pub fn read<J: Located>(
        &mut self,
        client: &mut SpiClient<'_>,
        jobs: Vec<J>,
        room: &mut usize,
        is_first: bool,
    ) -> Found<J> {
        // Rows come without their bytes where those take more than their share.
        let share = *room / jobs.len().max(1);
        let watch = self.watch;
        let rows = watch.attempt_each(&jobs, &mut |jobs| self.fetch(client, jobs, share));
        let mut found = Found::default();
        let mut jobs = jobs.into_iter().zip(rows);
        for (job, row) in jobs.by_ref() {
            let first = is_first && found.items.is_empty();
            match row.and_then(|row| self.decide(client, &job, row, *room, first)) {
                Ok(Read::Full) => {
                    found.rest.push(job);
                    break;
                }
                Ok(Read::Nothing) => found.nothing.push(job),
                Ok(Read::Locked) => found.locked.push(job),
                Ok(Read::ClearImage) => found.to_clear.push(job),
                Ok(Read::Source { modality, input, digest }) => {
                    *room = room.saturating_sub(input.as_ref().map_or(0, Vec::len));
                    found.items.push(Item { job, modality, input, digest });
                }
                Err(failure) => found.failed.push((job, failure)),
            }
        }
        found.rest.extend(jobs.map(|(job, _)| job));
        found
    }

    /// What is to be done with a row, `None` for one that is gone or has nothing to do.
    fn decide<J: Located>(
        &mut self,
        client: &mut SpiClient<'_>,
        job: &J,
        row: Option<Row>,
        room: usize,
        first: bool,
    ) -> Result<Read, Failure> {
        let Some(row) = row else { return Ok(Read::Nothing) };
        if row.was_locked {
            return Ok(Read::Locked);
        }
        if row.embedded {
            return Ok(Read::ClearImage);
        }
        let modality = row.modality;
        match (row.bytes, row.length) {
            (Some(bytes), _) => Ok(source(modality, bytes)),
            (None, None) => Ok(match row.named.filter(|name| Modality::from_name(name).is_none()) {
                None => Read::Nothing,
                Some(unknown) => Read::Source {
                    modality,
                    input: Err(Failure::unknown_modality(unknown)),
                    digest: row.digest.unwrap_or_default(),
                },
            }),
            (None, Some(length)) if !first && usize::try_from(length).is_ok_and(|length| length > room) => {
                Ok(Read::Full)
            }
            (None, Some(_)) => {
                // More than its share, but there is room. It may have become another row since, and grown, too.
                let limit = if first { i32::MAX as usize } else { room };
                let watch = self.watch;
                let again = watch.attempt(|| self.fetch(client, std::slice::from_ref(job), limit))?.pop().flatten();
                Ok(match again {
                    Some(Row { was_locked: true, .. }) => Read::Locked,
                    Some(Row { embedded: false, bytes: Some(bytes), modality, .. }) => source(modality, bytes),
                    _ => Read::Full,
                })
            }
        }
    }

    fn fetch<J: Located>(
        &mut self,
        client: &mut SpiClient<'_>,
        jobs: &[J],
        limit: usize,
    ) -> Result<Vec<Option<Row>>, Failure> {
        let limit = i32::try_from(limit).unwrap_or(i32::MAX);
        let arguments = [locators(self.by, jobs), limit.into(), (jobs.len() as i32).into()];
        let mut rows: Vec<Option<Row>> = jobs.iter().map(|_| None).collect();
        for row in plan::run(client, &self.statement, &arguments)?.iter() {
            let (bytes, digest) = (row.datum(5), row.datum(8));
            // SAFETY: both columns are bytea. Detoasted values of a whole batch would add up in the connection's
            // memory, so they go to a context that nothing else lives in.
            let (bytes, digest) = unsafe {
                self.memory.reset();
                let copy = |datum| <&[u8]>::from_datum(datum, false).map(<[u8]>::to_vec);
                self.memory.switch_to(|_| (bytes.and_then(copy), digest.and_then(copy)))
            };
            if let Some(place) = place(&row, &mut rows)? {
                *place = Some(Row {
                    named: row.text(2),
                    modality: if row.get(3)?.unwrap_or_default() { Modality::Image } else { Modality::Text },
                    length: row.get(4)?,
                    bytes,
                    embedded: row.get(6)?.unwrap_or_default(),
                    was_locked: row.get(7)?.unwrap_or_default(),
                    digest,
                });
            }
        }
        self.look_at_locks(client, jobs, &mut rows)?;
        Ok(rows)
    }

    /// A row that was locked once may be free again: it is, if it can be locked. A fresh row never was, so nothing is written
    /// to find that out.
    fn look_at_locks<J: Located>(
        &self,
        client: &mut SpiClient<'_>,
        jobs: &[J],
        rows: &mut [Option<Row>],
    ) -> spi::Result<()> {
        let was_locked = |row: &Option<Row>| row.as_ref().is_some_and(|row| row.was_locked);
        let looked_at: Vec<usize> = (0..rows.len()).filter(|i| was_locked(&rows[*i])).collect();
        if looked_at.is_empty() {
            return Ok(());
        }
        let mut free = vec![false; looked_at.len()];
        let arguments = [locators(self.by, looked_at.iter().map(|i| &jobs[*i])), (looked_at.len() as i32).into()];
        for row in plan::run(client, &self.unlocked, &arguments)?.iter() {
            if let Some(place) = place(&row, &mut free)? {
                *place = true;
            }
        }
        for (i, free) in looked_at.into_iter().zip(free) {
            if let Some(row) = &mut rows[i] {
                row.was_locked = !free;
            }
        }
        Ok(())
    }
}

fn source(modality: Modality, bytes: Vec<u8>) -> Read {
    let digest = Sha256::digest(&bytes).to_vec();
    Read::Source { modality, input: Ok(bytes), digest }
}
