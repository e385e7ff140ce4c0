//! Which rows a step is about.
#![allow(unsafe_code)]

use pgrx::pg_sys::{self, Oid};
use pgrx::spi::{self, SpiClient, quote_identifier};

use super::row::{Row, name};
use crate::pg::datum::text_argument;
use crate::pg::plan;
use crate::pg::settings::{SettingsLevel, set};
use crate::pg::users::as_owner;
use crate::pipeline::{Attachment, By, Place, Version, failures, locators};

/// Rows without a vector and with a source, or with a modality that nobody knows.
pub fn look(client: &mut SpiClient<'_>, table: &Attachment, after: Place, limit: i32) -> spi::Result<Vec<Row>> {
    let sql = format!(
        "SELECT t.ctid, t.xmin FROM {} t WHERE t.ctid OPERATOR(pg_catalog.>) $1 AND t.{} IS NULL AND {} LIMIT $2",
        table.rows(),
        quote_identifier(&table.embedding),
        table.columns.present("t"),
    );
    as_owner(table.owner, || {
        // In the order of their places: an index has another one.
        let level = SettingsLevel::enter();
        for (setting, value) in
            [(c"enable_tidscan", c"on"), (c"enable_indexscan", c"off"), (c"enable_indexonlyscan", c"off")]
        {
            set(setting, value);
        }
        let found = plan::run(client, &sql, &[after.argument(), limit.into()])?;
        let row = |row: plan::Row<'_>| {
            let (place, xmin) = row.datum(1).zip(row.datum(2))?;
            // SAFETY: the column is a `tid`.
            let place = unsafe { Place::of(place) };
            let xmin = pg_sys::TransactionId::from_inner(xmin.value() as u32);
            Some(Row::at_version(Version { place, xmin }))
        };
        let mut rows: Vec<Row> = found.iter().filter_map(row).collect();
        rows.sort_by_key(|row| row.at().place);
        level.leave();
        Ok(rows)
    })
}

/// Without those that have failed in this walk and are what they were.
pub fn without_failures(
    client: &mut SpiClient<'_>,
    table: &Attachment,
    relation: Oid,
    mut rows: Vec<Row>,
) -> spi::Result<Vec<Row>> {
    const SQL: &str = "SELECT f.place, f.version FROM clip.failures f JOIN clip.backfills b \
         ON b.relation OPERATOR(pg_catalog.=) $4 AND b.embedding_column OPERATOR(pg_catalog.=) f.embedding_column \
         AND f.failed_at OPERATOR(pg_catalog.>=) b.started_at WHERE f.relation OPERATOR(pg_catalog.=) $2 \
         AND f.embedding_column OPERATOR(pg_catalog.=) $3::pg_catalog.name AND f.place OPERATOR(pg_catalog.=) ANY ($1)";
    if !failures::any(table.relation, &name(table)) {
        return Ok(rows);
    }
    let arguments =
        [locators(By::Version, &rows), table.relation.into(), text_argument(&table.embedding), relation.into()];
    for row in plan::run(client, SQL, &arguments)?.iter() {
        if let Some((place, xmin)) = row.datum(1).zip(row.datum(2)) {
            // SAFETY: the column is a `tid`.
            let place = unsafe { Place::of(place) };
            let known = Version { place, xmin: pg_sys::TransactionId::from_inner(xmin.value() as u32) };
            rows.retain(|row| row.at() != known);
        }
    }
    Ok(rows)
}
