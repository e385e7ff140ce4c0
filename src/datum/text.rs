//! Text arguments come in the database's encoding; the tokenizer wants UTF-8.

use std::borrow::Cow;
use std::ffi::CStr;

use pgrx::pg_sys;

use crate::error::{SqlState, raise};

/// The text as UTF-8; borrowed where the database's encoding is UTF-8.
#[allow(unsafe_code)]
pub fn to_utf8(text: &[u8]) -> Cow<'_, str> {
    // SAFETY: a plain call without arguments.
    let encoding = unsafe { pg_sys::GetDatabaseEncoding() };
    let utf8 = if encoding == pg_sys::pg_enc::PG_UTF8 as i32 {
        Cow::Borrowed(text)
    } else {
        // SAFETY: pg_server_to_any reads `len` bytes. It gives back the same pointer where nothing was to convert, else
        // a NUL-terminated copy in the current memory context, which outlives this function.
        unsafe {
            let given = text.as_ptr().cast();
            let converted = pg_sys::pg_server_to_any(given, text.len() as i32, pg_sys::pg_enc::PG_UTF8 as i32);
            if std::ptr::eq(converted, given) {
                Cow::Borrowed(text)
            } else {
                Cow::Owned(CStr::from_ptr(converted).to_bytes().to_vec())
            }
        }
    };
    let bad = || -> ! { raise(SqlState::CharacterNotInRepertoire, "text is not valid in the encoding UTF8", None) };
    match utf8 {
        Cow::Borrowed(bytes) => Cow::Borrowed(std::str::from_utf8(bytes).unwrap_or_else(|_| bad())),
        Cow::Owned(bytes) => Cow::Owned(String::from_utf8(bytes).unwrap_or_else(|_| bad())),
    }
}

pub fn utf8_all<'a>(texts: impl IntoIterator<Item = &'a [u8]>) -> Vec<Cow<'a, str>> {
    texts.into_iter().map(to_utf8).collect()
}
