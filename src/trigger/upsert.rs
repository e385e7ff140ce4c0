//! INSERT ... ON CONFLICT DO UPDATE of an image that is cleared once it is embedded.
//!
//! The trigger has embedded and cleared the proposed row before PostgreSQL finds the conflict, so that `EXCLUDED.image` is NULL:
//! the UPDATE that follows would take the new image for one that was not given. So what was proposed is kept for the next row of
//! the statement. An UPDATE that names the image's column and finds it NULL means that image, if the row in its way is the
//! one that it updates: both agree in the columns of a unique index. (A MERGE inserts one row, and updates another that does not.)
#![allow(unsafe_code)]

use std::cell::RefCell;
use std::ptr;
use std::rc::Rc;

use clip_core::Embedding;
use pgrx::pg_sys::{self, Datum};

use super::row::Row;

type Slot = *mut pg_sys::TupleTableSlot;

/// The last row that the statement proposed with an image.
#[derive(Default)]
pub struct Proposed(RefCell<Option<(Tuple, Rc<Embedding>)>>);

/// A copy of a row without its system columns, in memory of Rust's, aligned as PostgreSQL wants it.
struct Tuple {
    data: Vec<u64>,
    length: u32,
}

impl Proposed {
    pub fn forget(&self) {
        self.0.replace(None);
    }

    /// `tuple`: the row as it goes to the table.
    pub fn remember(&self, row: &Row, tuple: pg_sys::HeapTuple, embedding: Rc<Embedding>) {
        // SAFETY: the relation of the running call, and a tuple of its.
        unsafe {
            if (*(*row.relation()).rd_rel).relhasindex {
                self.0.replace(Some((Tuple::of(tuple), embedding)));
            }
        }
    }

    /// The embedding of the row that was proposed, if the updated row is in its way.
    pub fn of_conflict_with(&self, row: &Row) -> Option<Rc<Embedding>> {
        let proposed = self.0.borrow();
        let (tuple, embedding) = proposed.as_ref()?;
        // SAFETY: the relation of the running call; both tuples are of it.
        unsafe { conflicts(row.relation(), &mut tuple.header(), row.old_tuple()?) }.then(|| embedding.clone())
    }
}

impl Tuple {
    /// # Safety
    ///
    /// A tuple in memory.
    unsafe fn of(tuple: pg_sys::HeapTuple) -> Self {
        // SAFETY: a tuple says its length; the buffer is not shorter.
        unsafe {
            let length = (*tuple).t_len;
            let mut data = vec![0u64; (length as usize).div_ceil(size_of::<u64>())];
            ptr::copy_nonoverlapping((*tuple).t_data.cast::<u8>(), data.as_mut_ptr().cast::<u8>(), length as usize);
            Self { data, length }
        }
    }

    fn header(&self) -> pg_sys::HeapTupleData {
        let data = self.data.as_ptr().cast_mut().cast();
        pg_sys::HeapTupleData { t_len: self.length, t_data: data, ..Default::default() }
    }
}

/// Do two rows agree in the columns of an index that allows only one of them?
///
/// # Safety
///
/// An open relation and two tuples of it.
unsafe fn conflicts(relation: pg_sys::Relation, proposed: pg_sys::HeapTuple, existing: pg_sys::HeapTuple) -> bool {
    // SAFETY: the caller's promise. What is made here lives in the executor's state, which is freed. After an error PostgreSQL
    // frees all of it.
    unsafe {
        let executor = pg_sys::CreateExecutorState();
        let rows = [proposed, existing].map(|tuple| {
            let slot = pg_sys::ExecInitExtraTupleSlot(executor, (*relation).rd_att, &raw const pg_sys::TTSOpsHeapTuple);
            pg_sys::ExecStoreHeapTuple(tuple, slot, false)
        });
        generate(relation, executor, rows[0]);
        let indexes = pg_sys::RelationGetIndexList(relation);
        let found = (0..indexes.as_ref().map_or(0, |list| list.length)).any(|i| {
            let index = (*(*indexes).elements.add(i as usize)).oid_value;
            let index = pg_sys::index_open(index, pg_sys::AccessShareLock as i32);
            let form = &*(*index).rd_index;
            // A deferrable one decides no conflict.
            let decides = form.indisunique && form.indimmediate && form.indisvalid;
            let agree = decides && agree(index, executor, rows);
            pg_sys::index_close(index, pg_sys::AccessShareLock as i32);
            agree
        });
        pg_sys::list_free(indexes);
        pg_sys::ExecResetTupleTable((*executor).es_tupleTable, false);
        pg_sys::FreeExecutorState(executor);
        found
    }
}

/// Do both rows belong into the index, under the same key?
///
/// # Safety
///
/// An open unique index; slots of its table's rows.
unsafe fn agree(index: pg_sys::Relation, executor: *mut pg_sys::EState, rows: [Slot; 2]) -> bool {
    // SAFETY: what the index's description says: how many columns, which operators and collations.
    unsafe {
        let info = pg_sys::BuildIndexInfo(index);
        pg_sys::BuildSpeculativeIndexInfo(index, info);
        let keys = rows.map(|row| key(info, executor, row));
        let [Some(proposed), Some(existing)] = keys else { return false };
        (0..(*info).ii_NumIndexKeyAttrs as usize).all(|i| match (proposed.get(i), existing.get(i)) {
            (Some(Some(a)), Some(Some(b))) => {
                let (equal, collation) = (*(*info).ii_UniqueProcs.add(i), *(*index).rd_indcollation.add(i));
                pg_sys::OidFunctionCall2Coll(equal, collation, *a, *b).value() != 0
            }
            (Some(None), Some(None)) => nulls_are_equal(info),
            _ => false,
        })
    }
}

type Key = Vec<Option<Datum>>;

/// A row's key in an index; `None` where the index leaves it out.
///
/// # Safety
///
/// An index of the row's table.
unsafe fn key(info: *mut pg_sys::IndexInfo, executor: *mut pg_sys::EState, row: Slot) -> Option<Key> {
    const MOST: usize = pg_sys::INDEX_MAX_KEYS as usize;
    // SAFETY: the executor's state has a context for expressions once one was made; arrays as long as PostgreSQL wants them.
    unsafe {
        let context = expressions(executor);
        (*context).ecxt_scantuple = row;
        if !(*info).ii_Predicate.is_null() {
            let predicate = pg_sys::ExecPrepareQual((*info).ii_Predicate, executor);
            if !predicate.is_null() && evaluate(predicate, context).is_none_or(|holds| holds.value() == 0) {
                return None;
            }
        }
        let (mut values, mut nulls) = ([Datum::from(0); MOST], [false; MOST]);
        pg_sys::FormIndexDatum(info, row, executor, values.as_mut_ptr(), nulls.as_mut_ptr());
        let columns = (*info).ii_NumIndexAttrs as usize;
        Some(values.into_iter().zip(nulls).take(columns).map(|(value, null)| (!null).then_some(value)).collect())
    }
}

/// Columns that PostgreSQL has not generated yet, as it will.
///
/// # Safety
///
/// The row's table, open.
unsafe fn generate(relation: pg_sys::Relation, executor: *mut pg_sys::EState, row: Slot) {
    // SAFETY: the descriptor says how many columns there are; the slot has a place for each.
    unsafe {
        let descriptor = (*relation).rd_att;
        if (*descriptor).constr.is_null() || !(*(*descriptor).constr).has_generated_stored {
            return;
        }
        let context = expressions(executor);
        (*context).ecxt_scantuple = row;
        pg_sys::slot_getsomeattrs_int(row, (*descriptor).natts);
        for number in 1..=(*descriptor).natts {
            if pg_sys::get_attgenerated((*relation).rd_id, number as i16) as u8 == pg_sys::ATTRIBUTE_GENERATED_STORED {
                let expression = pg_sys::build_column_default(relation, number);
                let value = evaluate(pg_sys::ExecPrepareExpr(expression.cast(), executor), context);
                let at = number as usize - 1;
                *(*row).tts_values.add(at) = value.unwrap_or(Datum::from(0));
                *(*row).tts_isnull.add(at) = value.is_none();
            }
        }
    }
}

/// # Safety
///
/// An executor's state.
unsafe fn expressions(executor: *mut pg_sys::EState) -> *mut pg_sys::ExprContext {
    // SAFETY: as the caller promised.
    unsafe {
        if (*executor).es_per_tuple_exprcontext.is_null() {
            pg_sys::MakePerTupleExprContext(executor);
        }
        (*executor).es_per_tuple_exprcontext
    }
}

/// # Safety
///
/// An expression that was prepared, and a context with the row that it is about.
unsafe fn evaluate(expression: *mut pg_sys::ExprState, context: *mut pg_sys::ExprContext) -> Option<Datum> {
    let mut null = false;
    // SAFETY: as the caller promised; the function is the one that the expression was compiled for.
    let value = unsafe { ((*expression).evalfunc?)(expression, context, &mut null) };
    (!null).then_some(value)
}

unsafe fn nulls_are_equal(info: *mut pg_sys::IndexInfo) -> bool {
    // SAFETY: an index's description.
    unsafe { (*info).ii_NullsNotDistinct }
}
