//! The statements of a search, run as the caller, under settings of pgvector's that they are for.
#![allow(unsafe_code)]

use std::cell::RefCell;
use std::collections::HashMap;
use std::ffi::{CStr, CString};

use pgrx::datum::DatumWithOid;
use pgrx::spi::{self, SpiClient};
use pgrx::{IntoDatum, pg_sys};

use super::effort::{Effort, Learnt, Wanted};
use super::page::Place;
use super::request::Request;
use super::statement::{By, List, Statements};
use super::table::{Table, is_null};
use super::words::{Document, parted};
use crate::pg::datum::{argument, text_argument};
use crate::pg::plan::{self, Planned, Row, Rows};
use crate::pg::settings::{SettingsLevel, set};

/// Vectors that an index looks at before an exact scan is the better way.
const MOST_VISITED: usize = 100_000;
/// Memory for those, in kilobytes.
const MOST_MEMORY: usize = 64 << 10;

/// A row that was found.
pub struct Hit<'a> {
    row: Row<'a>,
    pub distance: f64,
}

impl Hit<'_> {
    /// A `jsonb`; `None` where the table has no primary key.
    pub fn key(&self) -> Option<pg_sys::Datum> {
        self.row.datum(1)
    }

    /// Modality, content and metadata.
    pub fn columns(&self) -> [Option<pg_sys::Datum>; 3] {
        [2, 3, 4].map(|column| self.row.datum(column))
    }

    /// Was it among the last that the index gave?
    fn is_of_last(&self, late: usize, candidates: usize) -> bool {
        let number = self.row.get::<i64>(7).ok().flatten().and_then(|number| usize::try_from(number).ok());
        number.is_some_and(|number| number + late > candidates)
    }

    /// Tells it from all other rows of the table, within a statement.
    pub fn place(&self) -> String {
        self.row.text(6).unwrap_or_default()
    }
}

/// Searches of one kind: a user, a table's column, a list, with a filter or without, and about as many rows.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Kind {
    user: pg_sys::Oid,
    relation: pg_sys::Oid,
    column: String,
    list: &'static str,
    filtered: bool,
    rows: u32,
}

thread_local! {
    static LEARNT: RefCell<HashMap<Kind, Learnt>> = RefCell::default();
}

impl Kind {
    /// Kinds that a session remembers at most. When there are more, it begins anew.
    const AT_MOST: usize = 1024;

    fn of(runner: &Runner<'_>, list: List, filtered: bool, k: usize) -> Self {
        // SAFETY: a plain call.
        let user = unsafe { pg_sys::GetUserId() };
        let (relation, column) = (runner.request.relation, runner.table.embedding.clone());
        Self { user, relation, column, list: list.name(), filtered, rows: k.ilog2() }
    }

    fn learnt(&self) -> Learnt {
        LEARNT.with(|all| all.borrow().get(self).copied().unwrap_or_default())
    }

    fn learn(&self, learnt: Learnt) {
        LEARNT.with(|all| {
            let mut all = all.borrow_mut();
            if all.len() >= Self::AT_MOST {
                all.clear();
            }
            all.insert(self.clone(), learnt);
        });
    }
}

/// What an index can tell.
pub enum ByIndex<'a> {
    Found(Vec<Hit<'a>>),
    /// It found too few, or is of no use here.
    TooFew,
    /// The planner takes none.
    NoIndex,
}

pub struct Runner<'a> {
    pub client: &'a SpiClient<'a>,
    pub table: &'a Table,
    pub request: &'a Request<'a>,
    /// The query, a `vector`.
    pub vector: pg_sys::Datum,
    /// A list's rows may lie in another cone of the space than the query.
    pub is_far: &'a dyn Fn(List) -> bool,
}

impl<'a> Runner<'a> {
    /// The next `k` rows of a list.
    pub fn nearest(&self, list: List, place: Option<&Place>, k: usize) -> spi::Result<Vec<Hit<'a>>> {
        match self.by_index(list, place, k)? {
            ByIndex::Found(hits) => Ok(hits),
            ByIndex::TooFew | ByIndex::NoIndex => self.exact(list, place, k),
        }
    }

    /// By an index, if the planner takes one.
    pub fn by_index(&self, list: List, place: Option<&Place>, k: usize) -> spi::Result<ByIndex<'a>> {
        let seen = place.map_or(0, |place| usize::try_from(place.seen).unwrap_or(usize::MAX));
        let filtered = self.request.filter.is_some() || self.table.policies || place.is_some();
        let wanted = Wanted { k, seen, filtered, rows: self.table.tuples };
        let kind = Kind::of(self, list, filtered, k);
        loop {
            let mut learnt = kind.learnt();
            let effort = learnt.effort(&wanted);
            kind.learn(learnt);
            let Effort::Index { ef_search, candidates, late } = effort else { return Ok(ByIndex::TooFew) };
            // For who wants to know why a search takes long.
            pgrx::debug1!(
                "clip_search: list {}, ef_search {ef_search}, {candidates} candidates, {late} of them checked",
                list.name()
            );
            let by = By { half: false, numbered: late > 0, rows: (!filtered).then_some(candidates) };
            let attempt = |by: By| self.attempt(list, place, k, ef_search, candidates, by);
            let mut found = attempt(by)?;
            if matches!(found, ByIndex::NoIndex) && self.table.may_cast && !self.table.vectors.half {
                found = attempt(By { half: true, ..by })?;
            }
            if let ByIndex::Found(hits) = &found
                && learnt.has_missed(k, hits.iter().filter(|hit| hit.is_of_last(late, candidates)).count())
            {
                kind.learn(learnt);
                continue;
            }
            return Ok(found);
        }
    }

    fn attempt(
        &self,
        list: List,
        place: Option<&Place>,
        k: usize,
        ef_search: usize,
        candidates: usize,
        by: By,
    ) -> spi::Result<ByIndex<'a>> {
        let arguments = self.arguments(place, candidates);
        let sql = self.statements(list, place).nearest(by);
        let planned = if by.rows.is_some() { Planned::Once } else { Planned::EachTime };
        with_settings(|| {
            iterate();
            // So that the planner sees what an index is worth: it does not count that a scan of the table fetches vectors from
            // elsewhere, nor that most of an index is in memory. And it would take none for how far this one is searched.
            at_most(c"random_page_cost", 1.1);
            let opened = plan::open(self.client, planned, &sql, &arguments)?;
            at_least(c"hnsw.ef_search", ef_search);
            let indexes = opened.ordering_indexes();
            let found = if indexes.is_empty() {
                ByIndex::NoIndex
            } else if (self.is_far)(list) && !indexes.iter().all(|index| is_partial(*index)) {
                // It would go through all rows of the query's own cone first.
                ByIndex::TooFew
            } else {
                let mut found = hits(opened.fetch(self.client, k + 1));
                let is_tied = |hits: &[Hit]| hits.last().is_some_and(|last| last.distance <= hits[k - 1].distance);
                if found.len() > k && is_tied(&found) {
                    found.extend(hits(opened.fetch(self.client, candidates - (k + 1))));
                }
                // Of rows of one distance the index gives any; a page has to have those of the smallest keys.
                if found.len() < k || found.len() == candidates && is_tied(&found) {
                    ByIndex::TooFew
                } else {
                    found.truncate(k);
                    ByIndex::Found(found)
                }
            };
            opened.close();
            Ok(found)
        })
    }

    pub fn exact(&self, list: List, place: Option<&Place>, k: usize) -> spi::Result<Vec<Hit<'a>>> {
        let sql = self.statements(list, place).exact();
        pgrx::debug1!("clip_search: list {}, exact", list.name());
        with_settings(|| Ok(hits(plan::read(self.client, &sql, &self.arguments(place, k))?)))
    }

    /// The rows that have the words, best first.
    pub fn with_words(&self, list: List, words: &str, document: &Document, k: usize) -> spi::Result<Vec<Hit<'a>>> {
        let sql = self.statements(list, None).with_words(document);
        let mut arguments = self.arguments(None, k);
        arguments.extend([text_argument(words), text_argument(&parted(words))]);
        with_settings(|| Ok(hits(plan::read(self.client, &sql, &arguments)?)))
    }

    fn statements(&self, list: List, place: Option<&Place>) -> Statements<'_> {
        Statements { table: self.table, list, filter: self.request.filter.is_some(), after: place.is_some() }
    }

    fn arguments(&self, place: Option<&Place>, rows: usize) -> Vec<DatumWithOid<'a>> {
        // SAFETY: a `vector` and `jsonb`s, which stay as long as the call; NULLs of their types.
        unsafe {
            let jsonb = |value: Option<pg_sys::Datum>| match value {
                Some(value) => argument(value, pg_sys::JSONBOID),
                None => DatumWithOid::new(None::<pgrx::JsonB>, pg_sys::JSONBOID),
            };
            vec![
                argument(self.vector, self.table.vectors.oid),
                jsonb(self.request.filter),
                DatumWithOid::new(rows as i64, <i64 as IntoDatum>::type_oid()),
                DatumWithOid::new(place.map(|place| place.distance), <f64 as IntoDatum>::type_oid()),
                jsonb(self.request.after),
            ]
        }
    }
}

/// A zero vector has no distance from anything.
fn hits<'a>(rows: Rows<'a>) -> Vec<Hit<'a>> {
    let hit = |row: Row<'a>| Hit { row, distance: row.get(5).ok().flatten().unwrap_or(f64::NAN) };
    rows.iter().map(hit).filter(|hit| !hit.distance.is_nan()).collect()
}

fn is_partial(index: pg_sys::Oid) -> bool {
    !is_null(index, pg_sys::Anum_pg_index_indpred)
}

/// Statements have settings of their own. To compile a plan takes longer than most of them run.
fn with_settings<R>(f: impl FnOnce() -> R) -> R {
    let level = SettingsLevel::enter();
    set(c"jit", c"off");
    let result = f();
    level.leave();
    result
}

/// An index goes on until it has enough, as far as it is worth it. What the session has set higher stays. An older pgvector lacks
/// some of the settings.
fn iterate() {
    at_least(c"hnsw.max_scan_tuples", MOST_VISITED);
    // SAFETY: a plain variable of the backend's one thread.
    let work_mem = usize::try_from(unsafe { pg_sys::work_mem }).unwrap_or(1).max(1);
    at_least(c"hnsw.scan_mem_multiplier", MOST_MEMORY.div_ceil(work_mem).min(1000));
    at_least(c"ivfflat.probes", 10);
    for name in [c"hnsw.iterative_scan", c"ivfflat.iterative_scan"] {
        if shown(name).is_some() {
            set(name, c"relaxed_order");
        }
    }
}

fn at_most(name: &CStr, value: f64) {
    if shown(name).and_then(|present| present.parse::<f64>().ok()).is_some_and(|present| present > value)
        && let Ok(value) = CString::new(value.to_string())
    {
        set(name, &value);
    }
}

fn at_least(name: &CStr, value: usize) {
    let Some(present) = shown(name) else { return };
    if present.parse::<f64>().is_ok_and(|present| present < value as f64)
        && let Ok(value) = CString::new(value.to_string())
    {
        set(name, &value);
    }
}

/// `None` where nobody has defined the setting.
fn shown(name: &CStr) -> Option<String> {
    // SAFETY: a look-up by a NUL-terminated name; the value is copied before the next one.
    unsafe {
        let value = pg_sys::GetConfigOption(name.as_ptr(), true, false);
        (!value.is_null()).then(|| CStr::from_ptr(value).to_string_lossy().into_owned())
    }
}
