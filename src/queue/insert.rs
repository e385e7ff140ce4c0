//! Writes jobs to `clip.queue` as PostgreSQL's own apply worker of logical replication writes rows: through the executor's
//! functions, without a statement. To start one took a writer of a single row longer than all the rest of its trigger.
//!
//! Whoever may write to a table may have its rows enqueued: privileges on the queue are not asked for.
#![allow(unsafe_code)]

use std::ffi::CStr;
use std::ptr;

use pgrx::pg_sys::{self, Datum, Oid};

use crate::error::{SqlState, raise};
use crate::pg::datum::text_array;

unsafe extern "C-unwind" {
    /// `commands/sequence.h`: the next value, with or without a look at the caller's privileges.
    fn nextval_internal(sequence: Oid, check_permissions: bool) -> i64;
}

/// Columns that a job is written with; the others are NULL.
const COLUMNS: [(&CStr, Oid); 7] = [
    (c"id", pg_sys::INT8OID),
    (c"relation", pg_sys::REGCLASSOID),
    (c"embedding_column", pg_sys::NAMEOID),
    (c"key", pg_sys::TEXTARRAYOID),
    (c"enqueued_at", pg_sys::TIMESTAMPTZOID),
    (c"not_before", pg_sys::TIMESTAMPTZOID),
    (c"attempts", pg_sys::INT4OID),
];

/// The queue, open for the rows of one statement. After an error PostgreSQL frees all of it with the (sub)transaction.
pub struct Inserter {
    queue: pg_sys::Relation,
    sequence: Oid,
    /// Where [`COLUMNS`] are, from 0.
    numbers: [usize; 7],
    executor: *mut pg_sys::EState,
    target: *mut pg_sys::ResultRelInfo,
    slot: *mut pg_sys::TupleTableSlot,
}

impl Inserter {
    pub fn open() -> Self {
        // SAFETY: look-ups in PostgreSQL's caches; the queue is locked and stays so until the transaction ends; what is
        // made here lives in the executor's memory.
        unsafe {
            let schema = pg_sys::get_namespace_oid(c"clip".as_ptr(), true);
            let queue = pg_sys::get_relname_relid(c"queue".as_ptr(), schema);
            let queue = match queue {
                pg_sys::InvalidOid => ptr::null_mut(),
                queue => pg_sys::try_relation_open(queue, pg_sys::RowExclusiveLock as i32),
            };
            if queue.is_null() {
                raise(SqlState::UndefinedObject, "clip.queue does not exist: is the extension being dropped?", None);
            }
            let sequence = pg_sys::get_relname_relid(c"queue_id".as_ptr(), schema);
            let numbers = COLUMNS.map(|(name, oid)| {
                let number = pg_sys::SPI_fnumber((*queue).rd_att, name.as_ptr());
                if number <= 0 || pg_sys::SPI_gettypeid((*queue).rd_att, number) != oid {
                    raise(
                        SqlState::NotInPrerequisiteState,
                        format!("clip.queue has no column {} as the extension made it", name.to_string_lossy()),
                        Some("Run ALTER EXTENSION pg_clip UPDATE."),
                    );
                }
                number as usize - 1
            });
            // Not in the memory of the row, nor in that of the statement, which is gone when this is closed.
            let memory = pg_sys::MemoryContextSwitchTo(pg_sys::CurTransactionContext);
            let executor = pg_sys::CreateExecutorState();
            pg_sys::MemoryContextSwitchTo((*executor).es_query_cxt);
            let target = pg_sys::palloc0(size_of::<pg_sys::ResultRelInfo>()).cast();
            pg_sys::InitResultRelInfo(target, queue, 0, ptr::null_mut(), 0);
            (*target).ri_TrigDesc = ptr::null_mut(); // they are there for restores
            pg_sys::ExecOpenIndices(target, false);
            let slot = pg_sys::ExecInitExtraTupleSlot(executor, (*queue).rd_att, &raw const pg_sys::TTSOpsHeapTuple);
            pg_sys::MakePerTupleExprContext(executor);
            pg_sys::MemoryContextSwitchTo(memory);
            Self { queue, sequence, numbers, executor, target, slot }
        }
    }

    /// Enqueues a row by its primary key, each column as its output function writes it. The key is made in memory that is
    /// freed with the next row.
    pub fn insert<'a>(&self, relation: Oid, embedding: &CStr, key: impl Iterator<Item = Option<&'a CStr>>) {
        // SAFETY: values of the types that were checked, in memory that lives until the row is written.
        unsafe {
            let memory = (*(*self.executor).es_per_tuple_exprcontext).ecxt_per_tuple_memory;
            pg_sys::MemoryContextReset(memory);
            let outside = pg_sys::MemoryContextSwitchTo(memory);
            let key = text_array(key);
            let name = pg_sys::palloc0(size_of::<pg_sys::NameData>()).cast::<pg_sys::NameData>();
            pg_sys::namestrcpy(name, embedding.as_ptr());
            let id: i64 = pg_sys::ffi::pg_guard_ffi_boundary(|| nextval_internal(self.sequence, false));
            let now = Datum::from(pg_sys::GetCurrentTransactionStartTimestamp());
            let values = [id.into(), relation.into(), name.into(), key, now, now, Datum::from(0)];
            let descriptor = (*self.queue).rd_att;
            let columns = usize::try_from((*descriptor).natts).unwrap_or(0);
            let (mut row, mut nulls) = (vec![Datum::from(0); columns], vec![true; columns]);
            for (number, value) in self.numbers.into_iter().zip(values) {
                (row[number], nulls[number]) = (value, false);
            }
            let tuple = pg_sys::heap_form_tuple(descriptor, row.as_mut_ptr(), nulls.as_mut_ptr());
            pg_sys::ExecStoreHeapTuple(tuple, self.slot, false);
            pg_sys::ExecSimpleRelationInsert(self.target, self.executor, self.slot);
            pg_sys::MemoryContextSwitchTo(outside);
        }
    }
}

impl Drop for Inserter {
    fn drop(&mut self) {
        // SAFETY: in the order in which PostgreSQL's executor ends. In a (sub)transaction that was aborted all of this was closed
        // and freed before.
        unsafe {
            if !pg_sys::IsTransactionState() {
                return;
            }
            pg_sys::ExecResetTupleTable((*self.executor).es_tupleTable, false);
            pg_sys::ExecCloseIndices(self.target);
            pg_sys::FreeExecutorState(self.executor);
            pg_sys::relation_close(self.queue, pg_sys::NoLock as i32);
        }
    }
}
