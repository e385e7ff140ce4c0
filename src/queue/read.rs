//! A waiting row's source, read in the name of the table's owner.
#![allow(unsafe_code)]

use pgrx::pg_sys::errcodes::PgSqlErrorCode;
use pgrx::spi::{self, SpiClient};
use pgrx::{FromDatum, PgMemoryContexts};

use super::attachment::{Attachment, keys, place};
use super::attempt::Failure;
use super::claim::Job;
use super::watch::Watch;
use crate::plan;
use crate::stats::Kind;

pub enum Read {
    /// The row is gone, or has its vector, or has no source.
    Nothing,
    /// It has its vector, but its image is to be cleared: a change of model gave it the new one before this job's turn.
    ClearImage,
    /// Somebody has locked it, or is changing it.
    Locked,
    /// There is work, but for the next batch.
    Full,
    Source(Kind, Vec<u8>),
}

/// Reads rows of one table.
pub struct Reader<'a> {
    watch: &'a Watch,
    statement: String,
    /// Which rows can be locked?
    unlocked: String,
    memory: PgMemoryContexts,
}

/// What the statement gives.
pub struct Row {
    modality: Option<String>,
    is_image: bool,
    length: Option<i32>,
    bytes: Option<Vec<u8>>,
    embedded: bool,
    /// Somebody may have it locked.
    was_locked: bool,
}

impl<'a> Reader<'a> {
    pub fn new(table: &Attachment, watch: &'a Watch) -> Self {
        let columns = &table.columns;
        let bytes = columns.bytes("t");
        // A length is in a value's header; the bytes are fetched only where there is room for them.
        let embedding = spi::quote_identifier(&table.embedding);
        let statement = format!(
            "SELECT k.n, {}, {}, pg_catalog.octet_length({bytes}), CASE WHEN t.{embedding} IS NULL AND \
             pg_catalog.octet_length({bytes}) OPERATOR(pg_catalog.<=) $2 THEN {bytes} END, t.{embedding} IS NOT NULL, \
             t.xmax::pg_catalog.text OPERATOR(pg_catalog.<>) '0' \
             FROM {} t, {} WHERE {} AND (t.{embedding} IS NULL OR {})",
            columns.modality("t"),
            columns.is_image("t"),
            table.rows(),
            table.keyed("pg_catalog.generate_series(1, $3)"),
            table.key_matches,
            table.has_image_to_clear(),
        );
        let unlocked = format!(
            "SELECT k.n FROM {} t, {} WHERE {} FOR NO KEY UPDATE OF t SKIP LOCKED",
            table.rows(),
            table.keyed("pg_catalog.generate_series(1, $2)"),
            table.key_matches,
        );
        Self { watch, statement, unlocked, memory: PgMemoryContexts::new("pg_clip row") }
    }

    /// Rows of many jobs, `None` for one that is gone or has nothing to do. They come without their bytes where those
    /// take more than their share of `room`.
    pub fn read_all(
        &mut self,
        client: &mut SpiClient<'_>,
        jobs: &[Job],
        room: usize,
    ) -> Vec<Result<Option<Row>, Failure>> {
        let share = room / jobs.len().max(1);
        let watch = self.watch;
        watch.attempt_each(jobs, &mut |jobs| self.fetch(client, jobs, share))
    }

    /// What is to be done with a row. `room`: bytes that the batch still holds; its `first` row is read whatever its size.
    pub fn read(
        &mut self,
        client: &mut SpiClient<'_>,
        job: &Job,
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
        if let (Some(modality), false) = (&row.modality, row.length.is_some())
            && !["text", "image"].contains(&modality.as_str())
        {
            let message = format!("modality \"{modality}\" is unknown: expected text or image");
            return Err(Failure::new(PgSqlErrorCode::ERRCODE_DATA_EXCEPTION, message));
        }
        let kind = if row.is_image { Kind::Image } else { Kind::Text };
        match (row.bytes, row.length) {
            (Some(bytes), _) => Ok(Read::Source(kind, bytes)),
            (None, None) => Ok(Read::Nothing),
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
                    Some(Row { embedded: false, bytes: Some(bytes), is_image, .. }) => {
                        Read::Source(if is_image { Kind::Image } else { Kind::Text }, bytes)
                    }
                    _ => Read::Full,
                })
            }
        }
    }

    fn fetch(&mut self, client: &mut SpiClient<'_>, jobs: &[Job], limit: usize) -> Result<Vec<Option<Row>>, Failure> {
        let limit = i32::try_from(limit).unwrap_or(i32::MAX);
        let arguments = [keys(jobs), limit.into(), (jobs.len() as i32).into()];
        let mut rows: Vec<Option<Row>> = jobs.iter().map(|_| None).collect();
        for row in plan::run(client, &self.statement, &arguments)?.iter() {
            let bytes = row.datum(5);
            // SAFETY: the fifth column is bytea. Detoasted values of a whole batch would add up in the connection's
            // memory, so they go to a context that nothing else lives in.
            let bytes = unsafe {
                self.memory.reset();
                let copy = |datum| <&[u8]>::from_datum(datum, false).map(<[u8]>::to_vec);
                self.memory.switch_to(|_| bytes.and_then(copy))
            };
            if let Some(place) = place(&row, &mut rows)? {
                *place = Some(Row {
                    modality: row.text(2),
                    is_image: row.get(3)?.unwrap_or_default(),
                    length: row.get(4)?,
                    bytes,
                    embedded: row.get(6)?.unwrap_or_default(),
                    was_locked: row.get(7)?.unwrap_or_default(),
                });
            }
        }
        self.look_at_locks(client, jobs, &mut rows)?;
        Ok(rows)
    }

    /// A row that was locked once may be free again: it is, if it can be locked. A fresh row never was, so nothing is written
    /// to find that out.
    fn look_at_locks(&self, client: &mut SpiClient<'_>, jobs: &[Job], rows: &mut [Option<Row>]) -> spi::Result<()> {
        let was_locked = |row: &Option<Row>| row.as_ref().is_some_and(|row| row.was_locked);
        let looked_at: Vec<usize> = (0..rows.len()).filter(|i| was_locked(&rows[*i])).collect();
        if looked_at.is_empty() {
            return Ok(());
        }
        let mut free = vec![false; looked_at.len()];
        let arguments = [keys(looked_at.iter().map(|i| &jobs[*i])), (looked_at.len() as i32).into()];
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
