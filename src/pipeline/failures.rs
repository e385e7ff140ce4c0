//! `clip.failures`: rows that could not be embedded. One entry a row and column, whoever came to the row: `waiting` for the next
//! attempt in the queue, or `dead`. And rows that have their vectors, though their images are not all there: `embedded`.
//!
//! Nobody waits for anybody here: an entry that another transaction has in its hands is left to it.
#![allow(unsafe_code)]

use std::ffi::CStr;

use pgrx::datum::DatumWithOid;
use pgrx::pg_sys::{self, Datum, Oid};
use pgrx::spi::{self, Spi, SpiClient};

use super::Failure;
use super::locator::{Place, Version};
use crate::error::{SqlState, raise};
use crate::pg::datum::{from_server, text_argument};
use crate::pg::plan;
use crate::pg::users::as_superuser;

/// Is an entry `f` that of a job `j`?
const SAME_ROW: &str = "f.relation OPERATOR(pg_catalog.=) j.relation AND f.embedding_column OPERATOR(pg_catalog.=) j.embedding_column \
     AND f.key_hash OPERATOR(pg_catalog.=) pg_catalog.hash_array_extended(j.key, 0) AND f.key OPERATOR(pg_catalog.=) j.key";

/// A statement that makes entries of what `jobs` gives: `relation`, `embedding_column`, `key`, `place`, `version`, `modality`,
/// `sqlstate`, `message`, `attempts`, `state` and `enqueued_at`.
pub fn recorded(jobs: &str) -> String {
    format!(
        "WITH job AS ({jobs}), held AS (SELECT f.ctid AS entry, j.* FROM job j JOIN clip.failures f ON {SAME_ROW} \
         FOR UPDATE OF f SKIP LOCKED), changed AS (UPDATE clip.failures f SET place = j.place, version = j.version, \
         modality = j.modality, sqlstate = j.sqlstate, message = j.message, attempts = j.attempts, state = j.state, \
         failed_at = pg_catalog.clock_timestamp() FROM held j WHERE f.ctid OPERATOR(pg_catalog.=) j.entry) \
         INSERT INTO clip.failures (relation, embedding_column, key, place, version, modality, sqlstate, message, attempts, \
         state, enqueued_at) SELECT j.relation, j.embedding_column, j.key, j.place, j.version, j.modality, j.sqlstate, \
         j.message, j.attempts, j.state, j.enqueued_at FROM job j \
         WHERE NOT EXISTS (SELECT FROM clip.failures f WHERE {SAME_ROW}) ON CONFLICT DO NOTHING"
    )
}

/// A statement that takes the entries away of what `jobs` gives: `relation`, `embedding_column`, `key`, and `written`, whether the row
/// has a new vector. That of an old one stays what it was.
pub fn forgotten(jobs: &str) -> String {
    format!(
        "WITH job AS ({jobs}), held AS (SELECT f.ctid AS entry FROM job j JOIN clip.failures f ON {SAME_ROW} \
         AND (j.written OR f.state OPERATOR(pg_catalog.<>) 'embedded') \
         FOR UPDATE OF f SKIP LOCKED) DELETE FROM clip.failures f USING held h WHERE f.ctid OPERATOR(pg_catalog.=) h.entry"
    )
}

/// A message as an argument: UTF-8, and in another encoding what is not ASCII is not worth an error on top of the error.
pub fn message(message: &str) -> DatumWithOid<'static> {
    // SAFETY: a plain call without arguments.
    if unsafe { pg_sys::GetDatabaseEncoding() } == pg_sys::pg_enc::PG_UTF8 as i32 {
        return message.to_owned().into();
    }
    message.chars().map(|c| if c.is_ascii() { c } else { '?' }).collect::<String>().into()
}

pub fn modality(failure: &Failure) -> DatumWithOid<'static> {
    failure.modality.as_deref().map_or_else(DatumWithOid::null::<String>, text_argument)
}

/// What an entry of a row says that no job waits for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum State {
    Dead,
    Embedded,
}

impl State {
    pub fn name(self) -> &'static str {
        match self {
            Self::Dead => "dead",
            Self::Embedded => "embedded",
        }
    }
}

/// An entry of a row that no job waits for; `version`, where that is how the row was found.
pub fn record(
    client: &mut SpiClient<'_>,
    relation: Oid,
    embedding: &str,
    key: Option<Datum>,
    version: Option<Version>,
    failure: &Failure,
    state: State,
) -> spi::Result<()> {
    if let (None, Some(version)) = (key, version) {
        forget_place(client, relation, embedding, version.place)?;
    }
    const JOB: &str = "SELECT $1::pg_catalog.regclass AS relation, $2::pg_catalog.name AS embedding_column, $3 AS key, \
         $4 AS place, $5 AS version, $6 AS modality, $7 AS sqlstate, $8 AS message, 1 AS attempts, \
         $9 AS state, pg_catalog.now() AS enqueued_at";
    // SAFETY: a key is a `text[]`.
    let key = key.map_or_else(DatumWithOid::null::<Vec<String>>, |key| unsafe {
        crate::pg::datum::argument(key, pg_sys::TEXTARRAYOID)
    });
    let arguments = [
        relation.into(),
        text_argument(embedding),
        key,
        version.map_or_else(Place::none, |version| version.place.argument()),
        version.map_or_else(Version::none, Version::xmin),
        modality(failure),
        failure.sqlstate.as_str().into(),
        message(&failure.message),
        state.name().into(),
    ];
    plan::run(client, &recorded(JOB), &arguments)?;
    Ok(())
}

/// Takes away what is known of a row without a key that lies, or lay, at a place.
pub fn forget_place(client: &mut SpiClient<'_>, relation: Oid, embedding: &str, place: Place) -> spi::Result<()> {
    const SQL: &str = "DELETE FROM clip.failures WHERE relation OPERATOR(pg_catalog.=) $1 \
         AND embedding_column OPERATOR(pg_catalog.=) $2::pg_catalog.name AND place OPERATOR(pg_catalog.=) $3 AND key IS NULL";
    plan::run(client, SQL, &[relation.into(), text_argument(embedding), place.argument()])?;
    Ok(())
}

/// Has a table, or a partition, any entry for a column?
pub fn any(relation: Oid, embedding: &CStr) -> bool {
    Store::open(pg_sys::AccessShareLock).is_some_and(|store| store.find(relation, embedding, None, |_| true))
}

/// A row has its vector, or is another now, or is gone: what is known of it is so no more. Cheap where nothing is, and fit for
/// triggers: no privileges are asked for, nothing is waited for, and no transaction fails, whatever its isolation.
///
/// # Safety
///
/// `key` is a `text[]`, the key as [`clip.queue`](crate::queue) has it.
pub unsafe fn forget(relation: Oid, embedding: &CStr, key: Datum) {
    if let Some(store) = Store::open(pg_sys::RowExclusiveLock) {
        store.find(relation, embedding, Some(key), |tuple| store.delete(tuple));
    }
}

/// A table is empty, and its partitions.
pub fn forget_table(relation: Oid, embedding: &CStr) {
    if !any_of_tree(relation, embedding) {
        return;
    }
    const SQL: &str = "DELETE FROM clip.failures WHERE embedding_column OPERATOR(pg_catalog.=) $2::pg_catalog.name \
         AND (relation OPERATOR(pg_catalog.=) $1 OR relation OPERATOR(pg_catalog.=) ANY (ARRAY(SELECT p.relid \
         FROM pg_catalog.pg_partition_tree($1) p)))";
    let arguments = [relation.into(), text_argument(&from_server(embedding))];
    let done = as_superuser(|| Spi::connect_mut(|client| plan::run(client, SQL, &arguments).map(|_| ())));
    done.unwrap_or_else(|e| raise(SqlState::UndefinedObject, e.to_string(), None));
}

/// Cheap for a plain table, which most are.
fn any_of_tree(relation: Oid, embedding: &CStr) -> bool {
    // SAFETY: a look-up in PostgreSQL's caches.
    let is_parent = unsafe { pg_sys::get_rel_relkind(relation) as u8 } == pg_sys::RELKIND_PARTITIONED_TABLE;
    is_parent || any(relation, embedding)
}

/// `clip.failures`, open.
struct Store {
    relation: pg_sys::Relation,
    index: Oid,
}

impl Drop for Store {
    fn drop(&mut self) {
        // SAFETY: what `open` opened. The lock stays to the end of the transaction.
        unsafe { pg_sys::relation_close(self.relation, pg_sys::NoLock as i32) };
    }
}

impl Store {
    /// `None` where there is none (yet), or nothing was ever in it.
    fn open(lock: u32) -> Option<Self> {
        // SAFETY: look-ups in PostgreSQL's caches; the table is locked and stays so until the transaction ends.
        unsafe {
            let schema = pg_sys::get_namespace_oid(c"clip".as_ptr(), true);
            let table = pg_sys::get_relname_relid(c"failures".as_ptr(), schema);
            let index = pg_sys::get_relname_relid(c"failures_row".as_ptr(), schema);
            if table == pg_sys::InvalidOid || index == pg_sys::InvalidOid {
                return None;
            }
            let relation = pg_sys::try_relation_open(table, lock as i32);
            if relation.is_null() {
                return None;
            }
            let store = Self { relation, index };
            let blocks = pg_sys::RelationGetNumberOfBlocksInFork(relation, pg_sys::ForkNumber::MAIN_FORKNUM);
            (blocks > 0).then_some(store)
        }
    }

    fn number(&self, column: &CStr) -> pg_sys::AttrNumber {
        // SAFETY: a look-up in PostgreSQL's caches.
        unsafe { pg_sys::get_attnum((*self.relation).rd_id, column.as_ptr()) }
    }

    /// Calls `f` with each entry, or with those of one key, until it says true, and gives whether it did.
    fn find(
        &self,
        relation: Oid,
        embedding: &CStr,
        key: Option<Datum>,
        mut f: impl FnMut(pg_sys::HeapTuple) -> bool,
    ) -> bool {
        // SAFETY: conditions on columns of the index, with the operators of their types. The snapshot, which sees what is
        // committed now whatever the transaction's own, is kept as long as the scan.
        unsafe {
            let mut name: pg_sys::NameData = std::mem::zeroed();
            pg_sys::namestrcpy(&mut name, embedding.as_ptr());
            let equal = pg_sys::BTEqualStrategyNumber as u16;
            let mut conditions: [pg_sys::ScanKeyData; 3] = std::mem::zeroed();
            let set = |condition: &mut pg_sys::ScanKeyData, column: &CStr, operator: u32, value: Datum| {
                pg_sys::ScanKeyInit(condition, self.number(column), equal, Oid::from(operator), value);
            };
            set(&mut conditions[0], c"relation", pg_sys::F_OIDEQ, relation.into());
            set(&mut conditions[1], c"embedding_column", pg_sys::F_NAMEEQ, Datum::from(&raw const name));
            if let Some(key) = key {
                let collation = pg_sys::DEFAULT_COLLATION_OID;
                let function = Oid::from(pg_sys::F_HASH_ARRAY_EXTENDED);
                let hash = pg_sys::OidFunctionCall2Coll(function, collation, key, Datum::from(0_i64));
                set(&mut conditions[2], c"key_hash", pg_sys::F_INT8EQ, hash);
            }
            let count = if key.is_some() { 3 } else { 2 };
            let snapshot = pg_sys::RegisterSnapshot(pg_sys::GetLatestSnapshot());
            let scan =
                pg_sys::systable_beginscan(self.relation, self.index, true, snapshot, count, conditions.as_mut_ptr());
            let mut found = false;
            while !found {
                let tuple = pg_sys::systable_getnext(scan);
                if tuple.is_null() {
                    break;
                }
                if key.is_none_or(|key| self.has_key(tuple, key)) {
                    found = f(tuple);
                }
            }
            pg_sys::systable_endscan(scan);
            pg_sys::UnregisterSnapshot(snapshot);
            found
        }
    }

    fn has_key(&self, tuple: pg_sys::HeapTuple, key: Datum) -> bool {
        let mut null = false;
        // SAFETY: the tuple is of the table, whose column is a `text[]`.
        unsafe {
            let given = pg_sys::SPI_getbinval(tuple, (*self.relation).rd_att, self.number(c"key").into(), &mut null);
            let equal = Oid::from(pg_sys::F_ARRAY_EQ);
            !null && pg_sys::OidFunctionCall2Coll(equal, pg_sys::DEFAULT_COLLATION_OID, given, key).value() != 0
        }
    }

    /// False where another transaction has the entry in its hands.
    fn delete(&self, tuple: pg_sys::HeapTuple) -> bool {
        // SAFETY: a tuple of the table. What is locked by this transaction and is the newest version nobody else can delete.
        unsafe {
            let mut place = (*tuple).t_self;
            let mut locked = pg_sys::HeapTupleData { t_self: place, ..std::mem::zeroed() };
            let (mut buffer, mut failure) = (0, std::mem::zeroed());
            let result = pg_sys::heap_lock_tuple(
                self.relation,
                &mut locked,
                pg_sys::GetCurrentCommandId(true),
                pg_sys::LockTupleMode::LockTupleExclusive,
                pg_sys::LockWaitPolicy::LockWaitSkip,
                false,
                &mut buffer,
                &mut failure,
            );
            if buffer != 0 {
                pg_sys::ReleaseBuffer(buffer);
            }
            if result != pg_sys::TM_Result::TM_Ok {
                return false;
            }
            pg_sys::simple_heap_delete(self.relation, &mut place);
            pg_sys::CommandCounterIncrement();
            true
        }
    }
}
