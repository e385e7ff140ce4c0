//! A waiting row's source, read in the name of the table's owner.
#![allow(unsafe_code)]

use pgrx::pg_sys::errcodes::PgSqlErrorCode;
use pgrx::spi::{self, SpiClient};
use pgrx::{FromDatum, PgMemoryContexts};

use super::attachment::{Attachment, keys, place};
use super::attempt::{Failure, as_owner, attempt, attempt_each};
use super::claim::Job;
use crate::plan;
use crate::stats::Kind;

pub enum Read {
    /// The row is gone, or has its vector, or has no source.
    Nothing,
    /// It has its vector, but its image is to be cleared: a change of model gave it the new one before this job's turn.
    ClearImage,
    /// There is work, but for the next batch.
    Full,
    Source(Kind, Vec<u8>),
}

/// Reads rows of one table.
pub struct Reader<'a> {
    table: &'a Attachment,
    statement: String,
    memory: PgMemoryContexts,
}

/// What the statement gives.
pub struct Row {
    modality: Option<String>,
    is_image: bool,
    length: Option<i32>,
    bytes: Option<Vec<u8>>,
    embedded: bool,
}

impl<'a> Reader<'a> {
    pub fn new(table: &'a Attachment) -> Self {
        let columns = &table.columns;
        let bytes = columns.bytes("t");
        // A length is in a value's header; the bytes are fetched only where there is room for them.
        let embedding = spi::quote_identifier(&table.embedding);
        let statement = format!(
            "SELECT k.n, {}, {}, pg_catalog.octet_length({bytes}), CASE WHEN t.{embedding} IS NULL AND \
             pg_catalog.octet_length({bytes}) OPERATOR(pg_catalog.<=) $2 THEN {bytes} END, t.{embedding} IS NOT NULL \
             FROM {} t, {} WHERE {} AND (t.{embedding} IS NULL OR {})",
            columns.modality("t"),
            columns.is_image("t"),
            table.rows(),
            table.keyed("pg_catalog.generate_series(1, $3)"),
            table.key_matches,
            table.has_image_to_clear(),
        );
        Self { table, statement, memory: PgMemoryContexts::new("pg_clip row") }
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
        attempt_each(jobs, &mut |jobs| self.fetch(client, jobs, share))
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
                let again = attempt(|| self.fetch(client, std::slice::from_ref(job), limit))?.pop().flatten();
                Ok(match again {
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
        as_owner(self.table.owner, || {
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
                        modality: row.get(2)?,
                        is_image: row.get(3)?.unwrap_or_default(),
                        length: row.get(4)?,
                        bytes,
                        embedded: row.get(6)?.unwrap_or_default(),
                    });
                }
            }
            Ok::<_, spi::Error>(rows)
        })
        .map_err(Failure::from)
    }
}
