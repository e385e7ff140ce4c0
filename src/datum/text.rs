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

/// The text as UTF-8, or `None` where it has no such form, which [`to_utf8`] makes an error of the statement.
#[allow(unsafe_code)]
pub fn try_utf8(text: &[u8]) -> Option<Cow<'_, str>> {
    const UTF8: i32 = pg_sys::pg_enc::PG_UTF8 as i32;
    // SAFETY: plain calls; the look-up gives InvalidOid where there is no conversion.
    let (encoding, conversion) = unsafe {
        let encoding = pg_sys::GetDatabaseEncoding();
        let same = encoding == UTF8 || encoding == pg_sys::pg_enc::PG_SQL_ASCII as i32;
        (encoding, if same { pg_sys::InvalidOid } else { pg_sys::FindDefaultConversionProc(encoding, UTF8) })
    };
    if conversion == pg_sys::InvalidOid {
        return std::str::from_utf8(text).ok().map(Cow::Borrowed);
    }
    let length = i32::try_from(text.len()).ok()?;
    let mut converted = vec![0_u8; text.len() * pg_sys::MAX_CONVERSION_GROWTH as usize + 1];
    // SAFETY: a conversion writes at most MAX_CONVERSION_GROWTH bytes for each that it reads, and a NUL. It stops, and
    // says how far it came, at what it cannot convert. It does not write into its source.
    let read = unsafe {
        let (from, to) = (text.as_ptr().cast_mut(), converted.as_mut_ptr());
        let room = i32::try_from(converted.len()).ok()?;
        pg_sys::pg_do_encoding_conversion_buf(conversion, encoding, UTF8, from, length, to, room, true)
    };
    let end = converted.iter().position(|byte| *byte == 0)?;
    converted.truncate(end);
    (read == length).then(|| String::from_utf8(converted).ok().map(Cow::Owned))?
}

pub fn utf8_all<'a>(texts: impl IntoIterator<Item = &'a [u8]>) -> Vec<Cow<'a, str>> {
    texts.into_iter().map(to_utf8).collect()
}
