//! Failures that are past when a walk ends: of rows that are gone, or have their vectors, or have no source any more. And entries of
//! rows with vectors of images that are not all there, where the rows are gone or have no vectors.
#![allow(unsafe_code)]

use std::collections::BTreeMap;

use pgrx::pg_sys::{self, Oid};
use pgrx::spi::{self, SpiClient, quote_identifier};

use super::row::{Row, find};
use crate::pg::datum::{VarlenaCopy, text_argument};
use crate::pg::plan;
use crate::pipeline::failures::State;
use crate::pipeline::{Attachment, By, Located, Locator, Place, Version, Watch, locators, place};

/// Entries that are looked at together.
const AT_ONCE: i32 = 10_000;

/// An entry of `clip.failures`, which this transaction has locked.
struct Entry {
    /// Where the row is that it is about.
    row: Row,
    /// Where it lies itself.
    place: Place,
    key_columns: i32,
}

impl Located for Entry {
    fn locator(&self) -> &Locator {
        self.row.locator()
    }
}

/// A whole walk has looked at the rows that lack their vectors, but for one that went where the walk had been: so each row that
/// failed before the walk, and not in it, is looked for.
pub fn forget(client: &mut SpiClient<'_>, relation: Oid, column: &str) -> spi::Result<()> {
    for state in [State::Dead, State::Embedded] {
        forget_those(client, relation, column, state)?;
    }
    Ok(())
}

fn forget_those(client: &mut SpiClient<'_>, relation: Oid, column: &str, state: State) -> spi::Result<()> {
    let mut last = Place::BEFORE_ALL;
    loop {
        let entries = older(client, relation, column, last, state)?;
        let Some(end) = entries.values().flatten().map(|entry| entry.place).max() else { return Ok(()) };
        last = end;
        for (part, entries) in entries {
            let past = match find(client, Oid::from(part), column)? {
                Some(table) => past(client, &table, entries, state)?,
                None => entries,
            };
            let at = |entry: Entry| Row::at_place(entry.place);
            let past: Vec<Row> = past.into_iter().map(at).collect();
            let sql = "DELETE FROM clip.failures WHERE ctid OPERATOR(pg_catalog.=) ANY ($1)";
            plan::run(client, sql, &[locators(By::Version, &past)])?;
        }
    }
}

/// Those of a state from before the walk, by the part of the table.
fn older(
    client: &mut SpiClient<'_>,
    relation: Oid,
    column: &str,
    after: Place,
    state: State,
) -> spi::Result<BTreeMap<u32, Vec<Entry>>> {
    const SQL: &str = "SELECT f.relation::pg_catalog.oid, f.ctid, f.key, pg_catalog.cardinality(f.key), f.place \
         FROM clip.failures f, clip.backfills b WHERE b.relation OPERATOR(pg_catalog.=) $1 \
         AND b.embedding_column OPERATOR(pg_catalog.=) $2::pg_catalog.name \
         AND f.embedding_column OPERATOR(pg_catalog.=) b.embedding_column \
         AND f.relation OPERATOR(pg_catalog.=) ANY (ARRAY(SELECT p.relid FROM pg_catalog.pg_partition_tree($1) p) \
         OPERATOR(pg_catalog.||) $1::pg_catalog.regclass) AND f.state OPERATOR(pg_catalog.=) $5 \
         AND f.failed_at OPERATOR(pg_catalog.<) b.started_at AND f.ctid OPERATOR(pg_catalog.>) $3 \
         ORDER BY f.ctid LIMIT $4 FOR UPDATE OF f SKIP LOCKED";
    let mut found: BTreeMap<u32, Vec<Entry>> = BTreeMap::new();
    let arguments = [relation.into(), text_argument(column), after.argument(), AT_ONCE.into(), state.name().into()];
    for row in plan::run(client, SQL, &arguments)?.iter() {
        let (Some(part), Some(entry)) = (row.get::<Oid>(1)?, row.datum(2)) else { continue };
        // SAFETY: two `tid`s and a `text[]`.
        let (place, locator) = unsafe {
            let of = row.datum(5).map_or(Place::BEFORE_ALL, |place| Place::of(place));
            let version = || Locator::Version(Version { place: of, xmin: pg_sys::TransactionId::INVALID });
            (Place::of(entry), row.datum(3).map_or_else(version, |key| Locator::Key(VarlenaCopy::of(key))))
        };
        let key_columns = row.get(4)?.unwrap_or(0);
        found.entry(part.to_u32()).or_default().push(Entry { row: Row::new(locator), place, key_columns });
    }
    Ok(found)
}

/// Those whose row does not lack a vector, or of `embedded` ones lacks it. A key that cannot be compared with the table's is none of its
/// rows'.
fn past(client: &mut SpiClient<'_>, table: &Attachment, entries: Vec<Entry>, state: State) -> spi::Result<Vec<Entry>> {
    let (keyed, placed): (Vec<_>, Vec<_>) = entries.into_iter().partition(|entry| entry.version().is_none());
    let (keyed, mut past): (Vec<_>, Vec<_>) =
        keyed.into_iter().partition(|entry| table.key_columns > 0 && entry.key_columns == table.key_columns);
    let embedding = quote_identifier(&table.embedding);
    let still = match state {
        State::Embedded => format!("t.{embedding} IS NOT NULL"),
        State::Dead => format!("t.{embedding} IS NULL AND {}", table.columns.present("t")),
    };
    let watch = Watch::without_limit(table);
    for (by, entries) in [(By::Key, keyed), (By::Version, placed)] {
        let sql = format!(
            "SELECT k.n FROM {} t, {} WHERE {} AND {still}",
            table.rows(),
            table.located(by, "pg_catalog.generate_series(1, $2)"),
            table.is_located(by),
        );
        let lack = watch.attempt_each(&entries, &mut |entries| {
            let mut lack = vec![false; entries.len()];
            for row in plan::run(client, &sql, &[locators(by, entries), (entries.len() as i32).into()])?.iter() {
                if let Some(lacks) = place(&row, &mut lack)? {
                    *lacks = true;
                }
            }
            Ok(lack)
        });
        past.extend(
            entries.into_iter().zip(lack).filter(|(_, lacks)| !matches!(lacks, Ok(true))).map(|(entry, _)| entry),
        );
    }
    Ok(past)
}
