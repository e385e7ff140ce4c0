//! One step of a walk: rows of one part of the table, after the last that was looked at, in the order in which they lie there.
#![allow(unsafe_code)]

use clip_core::Modality;
use pgrx::pg_sys::{self, Oid};
use pgrx::spi::{self, Spi, SpiClient, quote_identifier};

use super::batch::Batch;
use super::look::{look, without_failures};
use super::past;
use super::progress::{self, Counts, Progress};
use super::row::{Row, find, or_raise};
use crate::attachment::registry;
use crate::error::{SqlState, raise};
use crate::pg::datum::in_server;
use crate::pg::plan;
use crate::pg::users::{as_owner, as_superuser};
use crate::pipeline::{Attachment, BATCH_BYTES, By, Embedded, Found, Place, Reader, Watch};

pub enum Step {
    Batch(Box<Batch>),
    /// Nothing to embed, but the walk is not at its end.
    GoOn,
    End,
}

/// Begins a walk, or goes on with one that was interrupted.
pub fn begin(relation: Oid, column: &str) {
    or_raise(as_superuser(|| {
        Spi::connect_mut(|client| {
            if progress::resume(client, relation, column)? {
                return Ok(());
            }
            let Some(table) = find(client, relation, column)? else {
                raise(SqlState::UndefinedObject, format!("column \"{column}\" is not embedded by pg_clip"), None)
            };
            // A partitioned table has its rows in others, and children by inheritance are none of its rows.
            let is_partitioned = kind(relation) == pg_sys::RELKIND_PARTITIONED_TABLE;
            let rows = if is_partitioned { table.name.clone() } else { table.rows() };
            let (embedding, present) = (quote_identifier(column), table.columns.present("t"));
            let sql = format!("SELECT pg_catalog.count(*) FROM {rows} t WHERE t.{embedding} IS NULL AND {present}");
            let count =
                as_owner(table.owner, || client.select(&in_server(&sql), Some(1), &[])?.first().get_one::<i64>())?;
            let part = next_part(client, relation, Oid::INVALID)?.unwrap_or(relation);
            progress::begin(client, relation, column, count.unwrap_or_default(), part)
        })
    }));
}

fn kind(relation: Oid) -> u8 {
    // SAFETY: a look-up in PostgreSQL's caches, which gives 0 for what is not there.
    unsafe { pg_sys::get_rel_relkind(relation) as u8 }
}

/// The first transaction: which rows, and what is in them.
pub fn read(relation: Oid, column: &str, limit: i32) -> Step {
    or_raise(as_superuser(|| {
        Spi::connect_mut(|client| {
            let Some(progress) = progress::find(client, relation, column)? else { return Ok(Step::End) };
            let table = match kind(progress.part) {
                pg_sys::RELKIND_RELATION => find(client, progress.part, column)?,
                _ => None,
            };
            let Some(table) = table else { return end_of_part(client, relation, column, progress) };
            // In the name of the whole table's owner, who asks for it.
            as_owner(registry::owner(relation), || check_every_row_is_seen(client, progress.part))?;
            let rows = look(client, &table, progress.place, limit)?;
            let Some(last) = rows.last().map(Row::at) else { return end_of_part(client, relation, column, progress) };
            let rows = without_failures(client, &table, relation, rows)?;
            read_batch(client, relation, table, progress, rows, last.place)
        })
    }))
}

fn read_batch(
    client: &mut SpiClient<'_>,
    relation: Oid,
    table: Attachment,
    mut progress: Progress,
    rows: Vec<Row>,
    last: Place,
) -> spi::Result<Step> {
    let places: Vec<Place> = rows.iter().map(|row| row.at().place).collect();
    let (mut room, watch) = (BATCH_BYTES, Watch::without_limit(&table));
    let found = Reader::new(&table, By::Version, &watch).read(client, rows, &mut room, true);
    let Found { items, to_clear, nothing, locked, failed, rest } = found;
    progress.place = match rest.len() {
        0 => last,
        rest => places.get(places.len() - rest - 1).copied().unwrap_or(progress.place),
    };
    let left = (to_clear.len() + nothing.len() + locked.len()) as i64;
    let unread: Vec<_> = failed
        .into_iter()
        .map(|(job, failure)| Embedded { job, modality: Modality::Text, digest: Vec::new(), result: Err(failure) })
        .collect();
    if items.is_empty() && unread.is_empty() {
        progress.pass_left += left;
        progress::save(client, relation, &table.embedding, &progress, &Counts::default())?;
        return Ok(Step::GoOn);
    }
    let model = registry::checked(&table.model, &table.fingerprint);
    Ok(Step::Batch(Box::new(Batch { table, model, progress, items, unread, left })))
}

/// On to the next part, or to another walk: rows move when they are updated, also to where the walk has been. It ends when a
/// whole one finds nothing.
fn end_of_part(client: &mut SpiClient<'_>, relation: Oid, column: &str, mut progress: Progress) -> spi::Result<Step> {
    progress.place = Place::BEFORE_ALL;
    if let Some(part) = next_part(client, relation, progress.part)? {
        progress.part = part;
    } else {
        progress.idle_passes = if progress.pass_done > 0 { 0 } else { progress.idle_passes + 1 };
        if progress.pass_done + progress.pass_left == 0 || progress.idle_passes > 20 {
            past::forget(client, relation, column)?;
            progress::finish(client, relation, column, &progress)?;
            return Ok(Step::End);
        }
        if progress.pass_done == 0 {
            let pause = f64::from(progress.idle_passes) / 10.0;
            client.select("SELECT pg_catalog.pg_sleep($1)", None, &[pause.into()])?;
        }
        (progress.pass_done, progress.pass_left) = (0, 0);
        progress.part = next_part(client, relation, Oid::INVALID)?.unwrap_or(relation);
    }
    progress::save(client, relation, column, &progress, &Counts::default())?;
    Ok(Step::GoOn)
}

fn next_part(client: &mut SpiClient<'_>, relation: Oid, after: Oid) -> spi::Result<Option<Oid>> {
    let rows = plan::run(client, "SELECT clip.next_part($1, $2)::pg_catalog.oid", &[relation.into(), after.into()])?;
    rows.iter().next().map_or(Ok(None), |row| row.get(1))
}

fn check_every_row_is_seen(client: &mut SpiClient<'_>, part: Oid) -> spi::Result<()> {
    plan::run(client, "SELECT clip.check_every_row_is_seen($1)", &[part.into()])?;
    Ok(())
}
