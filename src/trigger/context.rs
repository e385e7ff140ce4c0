//! Which row an error is about: a statement may write thousands.
#![allow(unsafe_code)]

use std::ffi::{CStr, c_char, c_int, c_void};

use clip_core::{Embedding, Error, Modality};
use pgrx::pg_sys;

use super::failed::Key;
use super::row::{Column, Row, Side};
use crate::attachment::Sources;
use crate::backend::remarks;
use crate::error::OrRaise;
use crate::pg::datum::{from_server, to_server};

/// Bytes of a text that stands for the row's key.
const LONGEST: usize = 100;

unsafe extern "C-unwind" {
    fn errcontext_msg(format: *const c_char, ...) -> c_int;
}

/// The error, with the row in its CONTEXT: table, key or else text, and the column.
pub fn raise(row: &Row, key: &Key, sources: &Sources<Column>, column: Column, error: Error) -> ! {
    // Whoever catches the error puts the stack back.
    push(row, key, sources, column);
    Err::<(), _>(error).or_raise();
    unreachable!("an error was raised")
}

/// The same for a vector of an image that is not all there.
pub fn warn(row: &Row, key: &Key, sources: &Sources<Column>, column: Column, embedding: &Embedding) {
    if embedding.remarks.incomplete.is_none() {
        return;
    }
    let before = push(row, key, sources, column);
    remarks::warn_of(embedding);
    // SAFETY: what it was; an error between puts it back itself.
    unsafe { pg_sys::error_context_stack = before };
}

/// Has what is reported from now on name the row; gives what the stack of such callbacks was.
fn push(row: &Row, key: &Key, sources: &Sources<Column>, column: Column) -> *mut pg_sys::ErrorContextCallback {
    // SAFETY: the relation of the running call.
    let (table, column) = unsafe {
        let relation = &*(*row.relation()).rd_rel;
        (from_server(CStr::from_ptr(relation.relname.data.as_ptr())), row.name(column))
    };
    let key = shown(row, key, sources).map_or_else(String::new, |key| format!(", row {key}"));
    let context = to_server(&format!("table \"{table}\"{key}, column \"{column}\"")).unwrap_or_default();
    // SAFETY: copied into memory that is there when it is reported.
    unsafe {
        let text = pg_sys::pstrdup(context.as_ptr());
        let callback =
            pg_sys::palloc0(size_of::<pg_sys::ErrorContextCallback>()).cast::<pg_sys::ErrorContextCallback>();
        let before = pg_sys::error_context_stack;
        (*callback).previous = before;
        (*callback).callback = Some(tell);
        (*callback).arg = text.cast();
        pg_sys::error_context_stack = callback;
        before
    }
}

unsafe extern "C-unwind" fn tell(text: *mut c_void) {
    // SAFETY: a C string, and a format for one. Called while the error is being reported.
    unsafe {
        pg_sys::set_errcontext_domain(std::ptr::null());
        errcontext_msg(c"%s".as_ptr(), text.cast::<c_char>());
    }
}

/// The primary key as PostgreSQL's own messages write one, else the text beside an image. `None` where there is neither, or the
/// caller may not read it.
fn shown(row: &Row, key: &Key, sources: &Sources<Column>) -> Option<String> {
    let mut columns: Vec<Column> = key.columns().copied().collect();
    if columns.is_empty() {
        columns.push(*sources.column(Modality::Text)?);
    }
    if !columns.iter().all(|column| row.may_be_shown(*column)) {
        return None;
    }
    let names: Vec<_> = columns.iter().map(|column| row.name(*column)).collect();
    let values: Option<Vec<_>> = columns.iter().map(|column| row.as_string(*column, Side::New).map(short)).collect();
    Some(format!("({})=({})", names.join(", "), values?.join(", ")))
}

fn short(mut value: String) -> String {
    if let Some(end) = value.char_indices().map(|(at, _)| at).find(|at| *at >= LONGEST) {
        value.truncate(end);
        value += "...";
    }
    value
}
