//! Where a walk is: a row of `clip.backfills`, committed with each step.

use pgrx::pg_sys::Oid;
use pgrx::spi::{self, SpiClient};

use crate::pg::datum::text_argument;
use crate::pg::plan;
use crate::pipeline::Place;

pub struct Progress {
    /// The table itself, or the partition that the walk has come to.
    pub part: Oid,
    /// The last row of it that was looked at.
    pub place: Place,
    /// Rows of this walk through the whole table that were embedded,
    pub pass_done: i64,
    /// and those that others changed or locked meanwhile.
    pub pass_left: i64,
    /// Walks in turn that embedded none.
    pub idle_passes: i32,
}

/// What a step did.
#[derive(Default)]
pub struct Counts {
    pub done: i64,
    pub failed: i64,
}

const THIS: &str =
    "WHERE relation OPERATOR(pg_catalog.=) $1 AND embedding_column OPERATOR(pg_catalog.=) $2::pg_catalog.name";

/// Goes on with a walk that was interrupted; false where there is none.
pub fn resume(client: &mut SpiClient<'_>, relation: Oid, column: &str) -> spi::Result<bool> {
    let sql = format!(
        "UPDATE clip.backfills SET rows_resumed = rows_done, idle_passes = 0, resumed_at = pg_catalog.clock_timestamp(), \
         updated_at = pg_catalog.clock_timestamp() {THIS} AND finished_at IS NULL"
    );
    Ok(plan::run(client, &sql, &[relation.into(), text_argument(column)])?.count() > 0)
}

pub fn begin(client: &mut SpiClient<'_>, relation: Oid, column: &str, rows: i64, part: Oid) -> spi::Result<()> {
    const SQL: &str = "INSERT INTO clip.backfills (relation, embedding_column, rows_total, part, place) \
         VALUES ($1, $2::pg_catalog.name, $3, $4, '(0,0)') \
         ON CONFLICT (relation, embedding_column) DO UPDATE SET rows_total = excluded.rows_total, part = excluded.part, \
         place = excluded.place, rows_done = 0, rows_resumed = 0, rows_failed = 0, pass_done = 0, pass_left = 0, \
         idle_passes = 0, started_at = excluded.started_at, resumed_at = excluded.resumed_at, \
         updated_at = excluded.updated_at, finished_at = NULL";
    plan::run(client, SQL, &[relation.into(), text_argument(column), rows.into(), part.into()])?;
    Ok(())
}

/// `None` where no walk is to be gone on with.
#[allow(unsafe_code)]
pub fn find(client: &mut SpiClient<'_>, relation: Oid, column: &str) -> spi::Result<Option<Progress>> {
    let sql = format!(
        "SELECT part::pg_catalog.oid, place, pass_done, pass_left, idle_passes FROM clip.backfills {THIS} \
         AND finished_at IS NULL"
    );
    let rows = plan::run(client, &sql, &[relation.into(), text_argument(column)])?;
    let Some(row) = rows.iter().next() else { return Ok(None) };
    Ok(Some(Progress {
        part: row.get(1)?.unwrap_or(relation),
        // SAFETY: the column is a `tid`.
        place: row.datum(2).map_or(Place::BEFORE_ALL, |place| unsafe { Place::of(place) }),
        pass_done: row.get(3)?.unwrap_or_default(),
        pass_left: row.get(4)?.unwrap_or_default(),
        idle_passes: row.get(5)?.unwrap_or_default(),
    }))
}

pub fn save(
    client: &mut SpiClient<'_>,
    relation: Oid,
    column: &str,
    progress: &Progress,
    counts: &Counts,
) -> spi::Result<()> {
    let sql = format!(
        "UPDATE clip.backfills SET part = $3, place = $4, rows_done = rows_done OPERATOR(pg_catalog.+) $5, \
         rows_failed = rows_failed OPERATOR(pg_catalog.+) $6, pass_done = $7, pass_left = $8, idle_passes = $9, \
         updated_at = pg_catalog.clock_timestamp() {THIS}"
    );
    let arguments = [
        relation.into(),
        text_argument(column),
        progress.part.into(),
        progress.place.argument(),
        counts.done.into(),
        counts.failed.into(),
        progress.pass_done.into(),
        progress.pass_left.into(),
        progress.idle_passes.into(),
    ];
    plan::run(client, &sql, &arguments)?;
    Ok(())
}

pub fn finish(client: &mut SpiClient<'_>, relation: Oid, column: &str, progress: &Progress) -> spi::Result<()> {
    let sql = format!(
        "UPDATE clip.backfills SET finished_at = pg_catalog.clock_timestamp(), updated_at = pg_catalog.clock_timestamp(), \
         pass_left = $3 {THIS}"
    );
    plan::run(client, &sql, &[relation.into(), text_argument(column), progress.pass_left.into()])?;
    Ok(())
}
