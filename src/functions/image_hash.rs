//! `clip_image_hash`: the perceptual hash of an image.
#![allow(unsafe_code)]

use pgrx::pg_sys;

use super::once::{Returned, once_functions};
use crate::backend::session;
use crate::error::OrRaise;

once_functions! {
    clip_image_hash_wrapper(Varlena), Settings, |given| Bits(session::image_hash(given.bytes(0)).or_raise());
}

/// A `bit(64)`, the highest bit first.
struct Bits(u64);

impl Returned for Bits {
    fn datum(self, _function: pg_sys::Oid) -> pg_sys::Datum {
        // A varlena of the number of bits and the bits (`utils/varbit.h`).
        const BYTES: usize = 2 * size_of::<i32>() + size_of::<u64>();
        // SAFETY: palloc gives so many bytes, aligned for any type; all of them are written.
        unsafe {
            let bits = pg_sys::palloc(BYTES).cast::<u8>();
            pgrx::set_varsize_4b(bits.cast(), BYTES as i32);
            bits.add(4).cast::<i32>().write(u64::BITS as i32);
            bits.add(8).cast::<[u8; 8]>().write(self.0.to_be_bytes());
            pg_sys::Datum::from(bits)
        }
    }
}
