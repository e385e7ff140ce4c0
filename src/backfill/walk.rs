//! One step of a walk: rows of one part of the table, after the last that was looked at, in the order in which they lie there.
#![allow(unsafe_code)]

use std::collections::BTreeMap;
use std::ffi::CString;
use std::rc::Rc;

use clip_core::{Modality, Model};
use pgrx::pg_sys::{self, Oid};
use pgrx::spi::{self, Spi, SpiClient, quote_identifier};

use super::past;
use super::progress::{self, Counts, Progress};
use crate::datum::{VarlenaCopy, text_argument, to_server};
use crate::error::{SqlState, raise, raise_code};
use crate::pipeline::{
    Attachment, BATCH_BYTES, By, Embedded, Found, Item, Located, Locator, Outcome, Place, Reader, Version, Watch,
    Writer, as_owner, as_superuser, constraints_at_once, embed, failures, locators, retry_policy,
};
use crate::settings::{SettingsLevel, set, set_canonical_output};
use crate::{plan, registry, session};

/// A row that the walk came to.
pub struct Row(Locator);

impl Located for Row {
    fn locator(&self) -> &Locator {
        &self.0
    }
}

impl Row {
    pub fn new(locator: Locator) -> Self {
        Self(locator)
    }

    pub fn at_place(place: Place) -> Self {
        Self(Locator::Version(Version { place, xmin: pg_sys::TransactionId::INVALID }))
    }

    fn at(&self) -> Version {
        self.version().unwrap_or(Version { place: Place::BEFORE_ALL, xmin: pg_sys::TransactionId::INVALID })
    }
}

/// What a step found, between its two transactions.
pub struct Batch {
    table: Attachment,
    model: Rc<Model>,
    progress: Progress,
    items: Vec<Item<Row>>,
    /// They could not be read.
    unread: Vec<Embedded<Row>>,
    /// Rows that the step looked at and did not read.
    left: i64,
}

pub enum Step {
    Batch(Box<Batch>),
    /// Nothing to embed, but the walk is not at its end.
    GoOn,
    End,
}

fn or_raise<T>(result: spi::Result<T>) -> T {
    result.unwrap_or_else(|e| raise(SqlState::UndefinedObject, e.to_string(), None))
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

/// Pgrx takes statements as they are given to the server.
fn in_server(sql: &str) -> CString {
    to_server(sql).unwrap_or_default()
}

/// An attached column of a table or a partition, whose lock it takes.
pub fn find(client: &mut SpiClient<'_>, part: Oid, column: &str) -> spi::Result<Option<Attachment>> {
    // SAFETY: a plain call; of an oid that is no table's nothing is found after it.
    unsafe { pg_sys::LockRelationOid(part, pg_sys::RowExclusiveLock as i32) };
    Attachment::find(client, part, column)
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

/// Rows without a vector and with a source, or with a modality that nobody knows.
fn look(client: &mut SpiClient<'_>, table: &Attachment, after: Place, limit: i32) -> spi::Result<Vec<Row>> {
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
            Some(Row(Locator::Version(Version { place, xmin })))
        };
        let mut rows: Vec<Row> = found.iter().filter_map(row).collect();
        rows.sort_by_key(|row| row.at().place);
        level.leave();
        Ok(rows)
    })
}

/// Without those that have failed in this walk and are what they were.
fn without_failures(
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

fn name(table: &Attachment) -> CString {
    to_server(&table.embedding).unwrap_or_default()
}

impl Batch {
    /// Without a snapshot: the model runs.
    pub fn embed(&mut self) -> Vec<Embedded<Row>> {
        let mut rows = embed(&self.model, std::mem::take(&mut self.items), &mut session::try_embed);
        rows.append(&mut self.unread);
        rows
    }

    /// The second transaction: vectors into those rows that are still what was read. A row that somebody changed or holds locked
    /// meanwhile is left for another walk; nobody waits for anybody.
    pub fn write(self, relation: Oid, rows: Vec<Embedded<Row>>) {
        or_raise(as_superuser(|| {
            Spi::connect_mut(|client| {
                // Nothing is lost: who goes on is told what has become of the table.
                if find(client, self.table.relation, &self.table.embedding)?.as_ref() != Some(&self.table) {
                    return Ok(());
                }
                constraints_at_once(client)?;
                self.write_all(client, relation, rows)
            })
        }));
    }

    fn write_all(mut self, client: &mut SpiClient<'_>, relation: Oid, rows: Vec<Embedded<Row>>) -> spi::Result<()> {
        let (part, column, embedding) = (self.table.relation, name(&self.table), self.table.embedding.clone());
        // A row that is written has another version afterwards.
        let any = failures::any(part, &column);
        let known = if any { self.keys(client, rows.iter().map(|row| &row.job))? } else { Keys::default() };
        let watch = Watch::without_limit(&self.table);
        let outcomes = Writer::new(&self.table, By::Version).write_all(client, &watch, rows);
        let failed = outcomes.iter().filter(|(_, outcome)| matches!(outcome, Outcome::Failed(_))).map(|(row, _)| row);
        let failed = self.keys(client, failed)?;
        let mut counts = Counts::default();
        for (row, outcome) in outcomes {
            let version = row.at();
            match outcome {
                Outcome::Written => {
                    counts.done += 1;
                    if any {
                        failures::forget_place(client, part, &embedding, version.place)?;
                        // SAFETY: a `text[]`.
                        known.of(version).into_iter().for_each(|key| unsafe { failures::forget(part, &column, key) });
                    }
                }
                Outcome::Failed(e) if retry_policy::is_of_environment(e.cause, &e.sqlstate) => {
                    raise_code(e.code(), e.message, None)
                }
                Outcome::Failed(e) => {
                    counts.failed += 1;
                    failures::record(client, part, &embedding, failed.of(version), version, &e)?;
                }
                Outcome::NothingToDo | Outcome::NotNow => self.left += 1,
            }
        }
        self.progress.pass_done += counts.done;
        self.progress.pass_left += self.left;
        progress::save(client, relation, &embedding, &self.progress, &counts)
    }

    fn keys<'r>(&self, client: &mut SpiClient<'_>, rows: impl Iterator<Item = &'r Row>) -> spi::Result<Keys> {
        let rows: Vec<&Row> = rows.collect();
        let Some(key) = self.table.key.as_ref().filter(|_| !rows.is_empty()) else { return Ok(Keys::default()) };
        let sql = format!(
            "SELECT t.ctid, {key} FROM {} t, {} WHERE {}",
            self.table.rows(),
            self.table.located(By::Version, "pg_catalog.generate_series(1, $2)"),
            self.table.is_located(By::Version),
        );
        let count = rows.len() as i32;
        as_owner(self.table.owner, || {
            set_canonical_output();
            let found = plan::run(client, &sql, &[locators(By::Version, rows), count.into()])?;
            // SAFETY: a `tid` and a `text[]`.
            let key = |row: plan::Row<'_>| unsafe {
                row.datum(1).zip(row.datum(2)).map(|(place, key)| (Place::of(place), VarlenaCopy::of(key)))
            };
            Ok(Keys(found.iter().filter_map(key).collect()))
        })
    }
}

/// Rows' primary keys, as the queue has them, by the rows' places.
#[derive(Default)]
struct Keys(BTreeMap<Place, VarlenaCopy>);

impl Keys {
    fn of(&self, version: Version) -> Option<pg_sys::Datum> {
        self.0.get(&version.place).map(|key| pg_sys::Datum::from(key.as_ptr()))
    }
}
