//! Rows of a set-returning function, kept until PostgreSQL reads them.
#![allow(unsafe_code)]

use pgrx::pg_sys;

use crate::error::{SqlState, raise};

pub struct Output {
    store: *mut pg_sys::Tuplestorestate,
    descriptor: pg_sys::TupleDesc,
}

impl Output {
    /// An empty result of the running call.
    ///
    /// # Safety
    ///
    /// `fcinfo` is that of the running call of a function that returns rows.
    pub unsafe fn begin(fcinfo: pg_sys::FunctionCallInfo) -> Self {
        const MATERIALIZE: u32 = pg_sys::SetFunctionReturnMode::SFRM_Materialize;
        // SAFETY: a caller that takes rows passes a `ReturnSetInfo`. What it is given has to be in the memory of its query.
        unsafe {
            let info = (*fcinfo).resultinfo.cast::<pg_sys::ReturnSetInfo>();
            if info.is_null()
                || (*info).type_ != pg_sys::NodeTag::T_ReturnSetInfo
                || (*info).allowedModes as u32 & MATERIALIZE == 0
            {
                raise(SqlState::NotSupported, "set-valued function called in context that cannot accept a set", None);
            }
            let before = pg_sys::MemoryContextSwitchTo((*(*info).econtext).ecxt_per_query_memory);
            let mut found: pg_sys::TupleDesc = std::ptr::null_mut();
            let class = pg_sys::get_call_result_type(fcinfo, std::ptr::null_mut(), &mut found);
            if class != pg_sys::TypeFuncClass::TYPEFUNC_COMPOSITE {
                raise(SqlState::DatatypeMismatch, "the function must be declared to return a table", None);
            }
            let descriptor = pg_sys::CreateTupleDescCopy(found);
            let store = pg_sys::tuplestore_begin_heap(true, false, pg_sys::work_mem);
            (*info).returnMode = MATERIALIZE;
            (*info).setResult = store;
            (*info).setDesc = descriptor;
            pg_sys::MemoryContextSwitchTo(before);
            Self { store, descriptor }
        }
    }

    /// # Safety
    ///
    /// As many values as the declaration has columns, of their types.
    pub unsafe fn put<const COLUMNS: usize>(&self, row: [Option<pg_sys::Datum>; COLUMNS]) {
        let mut values = row.map(|value| value.unwrap_or(pg_sys::Datum::from(0)));
        let mut nulls = row.map(|value| value.is_none());
        // SAFETY: the caller's promise; the store copies the row.
        unsafe { pg_sys::tuplestore_putvalues(self.store, self.descriptor, values.as_mut_ptr(), nulls.as_mut_ptr()) };
    }
}
