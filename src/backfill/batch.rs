//! What a step found, embedded and written.
#![allow(unsafe_code)]

use std::collections::BTreeMap;
use std::rc::Rc;

use clip_core::Model;
use pgrx::pg_sys::{self, Oid};
use pgrx::spi::{self, Spi, SpiClient};

use super::progress::{self, Counts, Progress};
use super::row::{Row, find, name, or_raise};
use crate::backend::{remarks, session};
use crate::error::raise_code;
use crate::pg::datum::VarlenaCopy;
use crate::pg::plan;
use crate::pg::settings::set_canonical_output;
use crate::pg::users::{as_owner, as_superuser};
use crate::pipeline::failures::State;
use crate::pipeline::{
    Attachment, By, Embedded, Item, Outcome, Place, Version, Watch, Writer, constraints_at_once, embed, failures,
    locators, retry_policy,
};

/// What a step found, between its two transactions.
pub struct Batch {
    pub table: Attachment,
    pub model: Rc<Model>,
    pub progress: Progress,
    pub items: Vec<Item<Row>>,
    /// They could not be read.
    pub unread: Vec<Embedded<Row>>,
    /// Rows that the step looked at and did not read.
    pub left: i64,
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
        let any = failures::any(part, &column)
            || rows.iter().any(|row| row.result.as_ref().is_ok_and(|e| e.remarks.incomplete.is_some()));
        let known = if any { self.keys(client, rows.iter().map(|row| &row.job))? } else { Keys::default() };
        let watch = Watch::without_limit(&self.table);
        let outcomes = Writer::new(&self.table, By::Version).write_all(client, &watch, rows);
        let failed = outcomes.iter().filter(|(_, outcome)| matches!(outcome, Outcome::Failed(_))).map(|(row, _)| row);
        let failed = self.keys(client, failed)?;
        let (mut counts, mut in_part) = (Counts::default(), 0);
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
                Outcome::WrittenInPart(remark) => {
                    (counts.done, in_part) = (counts.done + 1, in_part + 1);
                    failures::forget_place(client, part, &embedding, version.place)?;
                    // Without a key nobody could find the row again, as it has moved.
                    if let Some(key) = known.of(version) {
                        failures::record(client, part, &embedding, Some(key), None, &remark, State::Embedded)?;
                    }
                }
                Outcome::Failed(e) if retry_policy::is_of_environment(e.cause, &e.sqlstate) => {
                    raise_code(e.code(), e.message, None)
                }
                Outcome::Failed(e) => {
                    counts.failed += 1;
                    failures::record(client, part, &embedding, failed.of(version), Some(version), &e, State::Dead)?;
                }
                Outcome::NothingToDo | Outcome::NotNow => self.left += 1,
            }
        }
        remarks::warn_of_rows(&self.table.name, in_part);
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
