//! A value that outlives its transaction.
#![allow(unsafe_code)]

use std::ffi::CStr;

use clip_core::memory;
use pgrx::datum::{DatumWithOid, IntoDatum};
use pgrx::{pg_sys, varlena::varsize_any};

use crate::error::OrRaise;

/// A varlena's bytes, detoasted, in Rust's memory. Whoever gives it back to PostgreSQL must name the type it is of.
pub struct VarlenaCopy {
    /// Eight-byte words, for the alignment of any varlena.
    words: Vec<u64>,
}

impl VarlenaCopy {
    /// # Safety
    ///
    /// `datum` is a varlena, perhaps a toasted one.
    pub unsafe fn of(datum: pg_sys::Datum) -> Self {
        // SAFETY: the caller's promise. The detoasted value has as many bytes as its header says, and the copy has room
        // for them.
        unsafe {
            let value = pg_sys::pg_detoast_datum(datum.cast_mut_ptr());
            let size = varsize_any(value);
            let mut words = memory::with_capacity(size.div_ceil(8)).or_raise();
            words.resize(size.div_ceil(8), 0u64);
            std::ptr::copy_nonoverlapping(value.cast::<u8>(), words.as_mut_ptr().cast::<u8>(), size);
            Self { words }
        }
    }

    /// Where it begins, aligned for any type.
    pub fn as_ptr(&self) -> *const u64 {
        self.words.as_ptr()
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

/// An array of one dimension.
///
/// # Safety
///
/// Values, where they are not NULL, are of type `element`.
pub unsafe fn array_of(values: &mut [pg_sys::Datum], nulls: &mut [bool], element: pg_sys::Oid) -> pg_sys::Datum {
    let mut count = values.len().min(nulls.len()) as i32;
    let (mut length, mut by_value, mut align) = (0, false, 0);
    // SAFETY: the caller's promise; as many values and nulls as the array's one dimension says.
    unsafe {
        pg_sys::get_typlenbyvalalign(element, &mut length, &mut by_value, &mut align);
        let array = pg_sys::construct_md_array(
            values.as_mut_ptr(),
            nulls.as_mut_ptr(),
            1,
            &mut count,
            &mut 1,
            element,
            i32::from(length),
            by_value,
            align,
        );
        pg_sys::Datum::from(array)
    }
}

/// A `text[]` of C strings in the encoding of the server, of which one that is NULL is empty; copied into PostgreSQL's memory.
pub fn text_array<'a>(texts: impl Iterator<Item = Option<&'a CStr>>) -> pg_sys::Datum {
    // SAFETY: C strings; an array of texts.
    unsafe {
        let text = |text: Option<&CStr>| pg_sys::cstring_to_text(text.unwrap_or_default().as_ptr());
        let mut values: Vec<_> = texts.map(|given| pg_sys::Datum::from(text(given))).collect();
        let mut nulls = vec![false; values.len()];
        array_of(&mut values, &mut nulls, pg_sys::TEXTOID)
    }
}
