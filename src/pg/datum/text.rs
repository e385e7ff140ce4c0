//! Text arguments come in the database's encoding; the tokenizer wants UTF-8.

use std::borrow::Cow;
use std::ffi::{CStr, CString};

use clip_core::memory;
use clip_core::text::utf8;
use pgrx::datum::DatumWithOid;
use pgrx::pg_sys;

use super::varlena::argument;
use crate::error::{OrRaise, SqlState, raise};
use crate::pg::interrupts;

/// The text as UTF-8; borrowed where the database's encoding is UTF-8.
#[allow(unsafe_code)]
pub fn to_utf8(text: &[u8]) -> Cow<'_, str> {
    // SAFETY: a plain call without arguments.
    let encoding = unsafe { pg_sys::GetDatabaseEncoding() };
    let converted = if encoding == pg_sys::pg_enc::PG_UTF8 as i32 {
        Cow::Borrowed(text)
    } else {
        // SAFETY: pg_server_to_any reads `len` bytes. It gives back the same pointer where nothing was to convert, else
        // a NUL-terminated copy in the current memory context, which outlives this function.
        unsafe {
            let given = text.as_ptr().cast();
            let to = pg_sys::pg_server_to_any(given, text.len() as i32, pg_sys::pg_enc::PG_UTF8 as i32);
            if std::ptr::eq(to, given) {
                Cow::Borrowed(text)
            } else {
                let bytes = copy(CStr::from_ptr(to).to_bytes());
                pg_sys::pfree(to.cast());
                Cow::Owned(bytes)
            }
        }
    };
    let checked = match converted {
        Cow::Borrowed(bytes) => check(bytes).map(Cow::Borrowed),
        Cow::Owned(bytes) => check_owned(bytes).map(Cow::Owned),
    };
    checked.unwrap_or_else(|| raise(SqlState::CharacterNotInRepertoire, "text is not valid in the encoding UTF8", None))
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
        return check(text).map(Cow::Borrowed);
    }
    let length = i32::try_from(text.len()).ok()?;
    let most = text.len().saturating_mul(pg_sys::MAX_CONVERSION_GROWTH as usize).saturating_add(1);
    let mut converted = memory::with_capacity::<u8>(most).or_raise();
    // SAFETY: a conversion writes at most MAX_CONVERSION_GROWTH bytes for each that it reads, and a NUL. It stops, and
    // says how far it came, at what it cannot convert. It does not write into its source. So many bytes as come before the
    // NUL are written.
    let read = unsafe {
        let (from, to) = (text.as_ptr().cast_mut(), converted.as_mut_ptr());
        let room = i32::try_from(converted.capacity()).ok()?;
        to.write(0);
        let read = pg_sys::pg_do_encoding_conversion_buf(conversion, encoding, UTF8, from, length, to, room, true);
        converted.set_len(CStr::from_ptr(to.cast()).count_bytes());
        read
    };
    (read == length).then(|| check_owned(converted).map(Cow::Owned))?
}

/// A name or a short text of the server's as Rust has it, for [`to_server`] to take back; empty where it has no such form. In
/// SQL_ASCII bytes are what they are: each is a character.
#[allow(unsafe_code)]
pub fn from_server(text: &CStr) -> String {
    // SAFETY: a plain call without arguments.
    if unsafe { pg_sys::GetDatabaseEncoding() } == pg_sys::pg_enc::PG_SQL_ASCII as i32 {
        return text.to_bytes().iter().map(|byte| char::from(*byte)).collect();
    }
    try_utf8(text.to_bytes()).unwrap_or_default().into_owned()
}

/// A statement as pgrx takes it: it does not recode.
pub fn in_server(sql: &str) -> CString {
    to_server(sql).unwrap_or_default()
}

/// A statement or a name in the encoding of the server; an error of the statement where that lacks a character. `None` where it
/// has a NUL.
#[allow(unsafe_code)]
pub fn to_server(text: &str) -> Option<CString> {
    const UTF8: i32 = pg_sys::pg_enc::PG_UTF8 as i32;
    // SAFETY: a plain call without arguments.
    let encoding = unsafe { pg_sys::GetDatabaseEncoding() };
    if encoding == pg_sys::pg_enc::PG_SQL_ASCII as i32 {
        return CString::new(text.chars().map(|c| u8::try_from(c).unwrap_or(b'?')).collect::<Vec<u8>>()).ok();
    }
    let given = CString::new(text).ok()?;
    if encoding == UTF8 || text.is_ascii() {
        return Some(given);
    }
    // SAFETY: reads so many bytes, and gives the same pointer or a NUL-terminated copy.
    Some(unsafe { CStr::from_ptr(pg_sys::pg_any_to_server(given.as_ptr(), text.len() as i32, UTF8)).to_owned() })
}

/// A text as an argument of a statement, in the encoding of the server.
#[allow(unsafe_code)]
pub fn text_argument(text: &str) -> DatumWithOid<'static> {
    let text = to_server(text).unwrap_or_default();
    // SAFETY: a palloc'd `text`.
    unsafe { argument(pg_sys::Datum::from(pg_sys::cstring_to_text(text.as_ptr())), pg_sys::TEXTOID) }
}

/// The bytes as text, with looks for interrupts on the way.
fn check(bytes: &[u8]) -> Option<&str> {
    utf8(bytes, &|| {
        interrupts::stop();
        Ok(())
    })
    .or_raise()
}

#[allow(unsafe_code)]
fn check_owned(bytes: Vec<u8>) -> Option<String> {
    check(&bytes)?;
    // SAFETY: just checked.
    Some(unsafe { String::from_utf8_unchecked(bytes) })
}

/// The same bytes in Rust's memory, or an error of the statement.
pub fn copy(bytes: &[u8]) -> Vec<u8> {
    memory::copied(bytes).or_raise()
}

pub fn utf8_all<'a>(texts: impl IntoIterator<Item = &'a [u8]>) -> Vec<Cow<'a, str>> {
    texts.into_iter().map(to_utf8).collect()
}
