//! Values as they are stored, compared without a look at what they mean.
#![allow(unsafe_code)]

use std::ffi::CStr;
use std::slice;

use pg_sys::Datum;
use pgrx::{FromDatum, pg_sys};

/// Are two values of a type the same bytes? As PostgreSQL's `datum_image_eq`, but that a value which nobody has touched is
/// not fetched: an UPDATE of another column carries along where it lies.
pub fn same(a: Datum, b: Datum, oid: pg_sys::Oid) -> bool {
    let (mut length, mut by_value) = (0, false);
    // SAFETY: both datums are of the type, whose length decides how they are read.
    unsafe {
        pg_sys::get_typlenbyval(oid, &mut length, &mut by_value);
        match usize::try_from(length) {
            _ if by_value => a == b,
            Ok(length) => {
                let bytes = |datum: Datum| slice::from_raw_parts(datum.cast_mut_ptr::<u8>(), length);
                bytes(a) == bytes(b)
            }
            Err(_) if length == -1 => {
                as_stored(a) == as_stored(b)
                    // Sizes first: values of different sizes need not be fetched and decompressed.
                    || pg_sys::toast_raw_datum_size(a) == pg_sys::toast_raw_datum_size(b)
                        && <&[u8]>::from_datum(a, false) == <&[u8]>::from_datum(b, false)
            }
            Err(_) => CStr::from_ptr(a.cast_mut_ptr()) == CStr::from_ptr(b.cast_mut_ptr()),
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
