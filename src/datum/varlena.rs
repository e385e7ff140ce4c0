//! A value that outlives its transaction.
#![allow(unsafe_code)]

use pgrx::datum::{DatumWithOid, IntoDatum};
use pgrx::spi::{self, SpiTupleTable};
use pgrx::{pg_sys, varlena::varsize_any};

/// A varlena's bytes, detoasted, in Rust's memory. Whoever gives it back to PostgreSQL must name the type it is of.
pub struct VarlenaCopy {
    /// Eight-byte words, for the alignment of any varlena.
    words: Vec<u64>,
}

impl VarlenaCopy {
    /// Of a varlena column of the current row; `None` where it is NULL.
    pub fn of(rows: &SpiTupleTable<'_>, column: usize) -> spi::Result<Option<Self>> {
        let Some(datum) = rows.get_datum_by_ordinal(column)? else { return Ok(None) };
        // SAFETY: callers name varlena columns only. The detoasted value has as many bytes as its header says, and the
        // copy has room for them.
        unsafe {
            let value = pg_sys::pg_detoast_datum(datum.cast_mut_ptr());
            let size = varsize_any(value);
            let mut words = vec![0u64; size.div_ceil(8)];
            std::ptr::copy_nonoverlapping(value.cast::<u8>(), words.as_mut_ptr().cast::<u8>(), size);
            Ok(Some(Self { words }))
        }
    }

    /// As an argument of the type that it was read as.
    pub fn as_argument(&self, oid: pg_sys::Oid) -> DatumWithOid<'_> {
        // SAFETY: the bytes are a whole varlena of that type, and the argument borrows them.
        unsafe { argument(pg_sys::Datum::from(self.words.as_ptr()), oid) }
    }
}

/// A value as PostgreSQL has it, as an argument of a statement.
///
/// # Safety
///
/// `datum` is a value of type `oid`, and stays so as long as the argument is used.
pub unsafe fn argument<'a>(datum: pg_sys::Datum, oid: pg_sys::Oid) -> DatumWithOid<'a> {
    struct Value(pg_sys::Datum);
    impl IntoDatum for Value {
        fn into_datum(self) -> Option<pg_sys::Datum> {
            Some(self.0)
        }
        fn type_oid() -> pg_sys::Oid {
            pg_sys::InvalidOid
        }
    }
    // SAFETY: the caller's promise.
    unsafe { DatumWithOid::new(Value(datum), oid) }
}
