//! Values as they are stored, compared without a look at what they mean.
#![allow(unsafe_code)]

use std::ffi::CStr;
use std::slice;

use pg_sys::Datum;
use pgrx::{FromDatum, pg_sys};

/// How values of a column are stored.
#[derive(Clone, Copy)]
pub struct Stored {
    /// In bytes; -1 for a varlena, -2 for a C string.
    length: i16,
    by_value: bool,
}

impl Stored {
    /// # Safety
    ///
    /// The descriptor of an open relation, and the number of one of its columns, counted from 1.
    pub unsafe fn of(descriptor: pg_sys::TupleDesc, number: i32) -> Self {
        // SAFETY: as the caller promised.
        unsafe {
            #[cfg(not(feature = "pg18"))]
            let columns = &(*descriptor).attrs;
            #[cfg(feature = "pg18")]
            let columns = &(*descriptor).compact_attrs;
            let column = &*columns.as_ptr().add(number as usize - 1);
            Self { length: column.attlen, by_value: column.attbyval }
        }
    }

    /// Are two values of the column the same bytes? As PostgreSQL's `datum_image_eq`, but that a value which nobody has touched is
    /// not fetched: an UPDATE of another column carries along where it lies.
    pub fn same(self, a: Datum, b: Datum) -> bool {
        // SAFETY: both datums are of the column, whose length decides how they are read.
        unsafe {
            match usize::try_from(self.length) {
                _ if self.by_value => a == b,
                Ok(length) => {
                    let bytes = |datum: Datum| slice::from_raw_parts(datum.cast_mut_ptr::<u8>(), length);
                    bytes(a) == bytes(b)
                }
                Err(_) if self.length == -1 => {
                    as_stored(a) == as_stored(b)
                        // Sizes first: values of different sizes need not be fetched and decompressed.
                        || pg_sys::toast_raw_datum_size(a) == pg_sys::toast_raw_datum_size(b)
                            && <&[u8]>::from_datum(a, false) == <&[u8]>::from_datum(b, false)
                }
                Err(_) => CStr::from_ptr(a.cast_mut_ptr()) == CStr::from_ptr(b.cast_mut_ptr()),
            }
        }
    }
}

/// A varlena as it is, inline or the pointer to where it lies.
///
/// # Safety
///
/// A varlena that is not NULL.
unsafe fn as_stored<'a>(datum: Datum) -> &'a [u8] {
    let value = datum.cast_mut_ptr::<pg_sys::varlena>();
    // SAFETY: the value's own header says its size.
    unsafe { slice::from_raw_parts(value.cast::<u8>(), pgrx::varsize_any(value)) }
}
