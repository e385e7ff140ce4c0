//! A waiting row's source, read in the name of the table's owner.
#![allow(unsafe_code)]

use pgrx::pg_sys::PgOid;
use pgrx::pg_sys::errcodes::PgSqlErrorCode;
use pgrx::spi::{self, PreparedStatement, SpiClient};
use pgrx::{FromDatum, PgMemoryContexts, pg_sys};

use super::attachment::Attachment;
use super::attempt::{Failure, as_owner, attempt};
use super::claim::Job;
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

pub struct Reader<'conn> {
    statement: PreparedStatement<'conn>,
    memory: PgMemoryContexts,
}

/// What the statement gives.
struct Row {
    modality: Option<String>,
    is_image: bool,
    length: Option<i32>,
    bytes: Option<Vec<u8>>,
    embedded: bool,
}

impl<'conn> Reader<'conn> {
    pub fn new(client: &SpiClient<'conn>, table: &Attachment) -> Result<Self, Failure> {
        let columns = &table.columns;
        let bytes = columns.bytes("t");
        // A length is in a value's header; the bytes are fetched only where there is room for them.
        let embedding = spi::quote_identifier(&table.embedding);
        let sql = format!(
            "SELECT {}, {}, pg_catalog.octet_length({bytes}), CASE WHEN t.{embedding} IS NULL AND \
             pg_catalog.octet_length({bytes}) OPERATOR(pg_catalog.<=) $2 THEN {bytes} END, t.{embedding} IS NOT NULL \
             FROM {} t WHERE {} AND (t.{embedding} IS NULL OR {})",
            columns.modality("t"),
            columns.is_image("t"),
            table.rows(),
            table.key_matches,
            table.has_image_to_clear(),
        );
        let statement = attempt(|| {
            as_owner(table.owner, || {
                client.prepare(sql.as_str(), &[PgOid::from(pg_sys::TEXTARRAYOID), PgOid::from(pg_sys::INT4OID)])
            })
        })??;
        Ok(Self { statement, memory: PgMemoryContexts::new("pg_clip row") })
    }

    /// `room`: bytes that the batch still holds; its first row is read whatever its size.
    pub fn read(
        &mut self,
        client: &mut SpiClient<'conn>,
        table: &Attachment,
        job: &Job,
        room: usize,
        first: bool,
    ) -> Result<Read, Failure> {
        let limit = if first { i32::MAX as usize } else { room };
        let row = attempt(|| as_owner(table.owner, || self.fetch(client, job, limit.min(i32::MAX as usize) as i32)))??;
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
        Ok(match row.bytes {
            None if row.length.is_none() => Read::Nothing,
            None => Read::Full,
            Some(bytes) => Read::Source(if row.is_image { Kind::Image } else { Kind::Text }, bytes),
        })
    }

    fn fetch(&mut self, client: &mut SpiClient<'conn>, job: &Job, limit: i32) -> spi::Result<Option<Row>> {
        let table =
            client.update(&self.statement, Some(1), &[job.key.as_argument(pg_sys::TEXTARRAYOID), limit.into()])?;
        if table.is_empty() {
            return Ok(None);
        }
        let table = table.first();
        let bytes = table.get_datum_by_ordinal(4)?;
        // SAFETY: the fourth column is bytea. Detoasted values of a whole batch would add up in the connection's memory,
        // so they go to a context that nothing else lives in.
        let bytes = unsafe {
            self.memory.reset();
            self.memory.switch_to(|_| bytes.and_then(|datum| <&[u8]>::from_datum(datum, false)).map(<[u8]>::to_vec))
        };
        let (modality, is_image, length) = (table.get(1)?, table.get(2)?.unwrap_or_default(), table.get(3)?);
        let embedded = table.get(5)?.unwrap_or_default();
        Ok(Some(Row { modality, is_image, length, bytes, embedded }))
    }
}
