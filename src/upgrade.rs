//! Library and schema may be of different versions: from the installation of a library to ALTER EXTENSION, and in processes
//! that have loaded a library before another one was installed. No writer may fail meanwhile.
//!
//! Triggers of all versions are served. What works on the bookkeeping does it where the schema is of the library's version,
//! and else says what there is to do; functions of older schemas are still found here.
#![allow(unsafe_code)]

use std::cell::Cell;
use std::ffi::CStr;
use std::ptr;

use pgrx::{PgLogLevel, pg_extern, pg_sys};

use crate::error::{SqlState, raise, tell};

const CONTROL: &str = include_str!("../pg_clip.control");

/// The version of this library, and of the schema that it goes with.
pub const VERSION: &str = default_version(CONTROL);

/// What stands between the quotes of `default_version = '...'`.
const fn default_version(control: &str) -> &str {
    let (_, rest) = split(control, b"default_version = '");
    split(rest, b"'").0
}

/// What is before and behind the first occurrence of `at`.
const fn split<'a>(text: &'a str, at: &[u8]) -> (&'a str, &'a str) {
    let bytes = text.as_bytes();
    let mut start = 0;
    while start + at.len() <= bytes.len() {
        let mut same = 0;
        while same < at.len() && bytes[start + same] == at[same] {
            same += 1;
        }
        if same == at.len() {
            let (before, rest) = text.split_at(start);
            return (before, rest.split_at(at.len()).1);
        }
        start += 1;
    }
    panic!("pg_clip.control names no default_version")
}

/// The version of this database's schema; `None` where there is none.
fn schema_version() -> Option<String> {
    // SAFETY: a scan of a catalog by its index, as PostgreSQL itself looks for an extension; the value is copied.
    unsafe {
        let catalog = pg_sys::table_open(pg_sys::ExtensionRelationId, pg_sys::AccessShareLock as i32);
        let mut key = pg_sys::ScanKeyData::default();
        let name = pg_sys::SPI_fnumber((*catalog).rd_att, c"extname".as_ptr());
        let (equal, nameeq) = (pg_sys::BTEqualStrategyNumber as u16, pg_sys::Oid::from(pg_sys::F_NAMEEQ));
        pg_sys::ScanKeyInit(&mut key, name as i16, equal, nameeq, pg_sys::Datum::from(c"pg_clip".as_ptr()));
        let scan = pg_sys::systable_beginscan(
            catalog,
            pg_sys::ExtensionNameIndexId.into(),
            true,
            ptr::null_mut(),
            1,
            &mut key,
        );
        let found = pg_sys::systable_getnext(scan);
        let version = (!found.is_null()).then(|| {
            let number = pg_sys::SPI_fnumber((*catalog).rd_att, c"extversion".as_ptr());
            let version = pg_sys::SPI_getvalue(found, (*catalog).rd_att, number);
            if version.is_null() { String::new() } else { CStr::from_ptr(version).to_string_lossy().into_owned() }
        });
        pg_sys::systable_endscan(scan);
        pg_sys::table_close(catalog, pg_sys::AccessShareLock as i32);
        version
    }
}

/// Is the schema there, and of this library's version?
pub fn schema_is_ours() -> bool {
    schema_version().is_some_and(|version| version == VERSION)
}

thread_local! {
    static WAS_OURS: Cell<bool> = const { Cell::new(false) };
}

/// As [`schema_is_ours`], for writers: looked for until it was so once.
pub fn schema_was_ours() -> bool {
    WAS_OURS.get() || {
        WAS_OURS.set(schema_is_ours());
        WAS_OURS.get()
    }
}

/// What a transaction has seen may have been undone with it.
pub fn look_again() {
    WAS_OURS.set(false);
}

/// What to do where library and schema do not go together.
fn advice(schema: &str) -> (String, &'static str) {
    let message = format!("the schema of pg_clip is of version {schema}, its library of version {VERSION}");
    let parts = |version: &str| version.split('.').map(|part| part.parse().unwrap_or(0)).collect::<Vec<u32>>();
    let hint = if parts(schema) < parts(VERSION) {
        "Run ALTER EXTENSION pg_clip UPDATE."
    } else {
        "Restart the server where pg_clip is in shared_preload_libraries, else connect anew, to load the library that is installed."
    };
    (message, hint)
}

/// An error where the schema is not of this library's version.
pub fn check_schema() {
    if let Some(schema) = schema_version().filter(|schema| schema != VERSION) {
        let (message, hint) = advice(&schema);
        raise(SqlState::NotInPrerequisiteState, message, Some(hint));
    }
}

/// True, and a line in the server's log, where the schema is not of this library's version.
pub fn is_other_schema() -> bool {
    let Some(schema) = schema_version().filter(|schema| schema != VERSION) else { return false };
    let (message, hint) = advice(&schema);
    tell(PgLogLevel::LOG, SqlState::NotInPrerequisiteState, format!("rows of this database wait: {message}"), hint);
    true
}

/// PostgreSQL loads a library once by each path that it finds it under: where `dynamic_library_path` has changed, twice. What is
/// shared by processes, hooks and workers are the first one's.
pub fn warn_of_another_copy() {
    tell(
        PgLogLevel::WARNING,
        SqlState::NotInPrerequisiteState,
        "pg_clip was loaded from another file before".to_owned(),
        "Restart the server where pg_clip is in shared_preload_libraries, else connect anew. Until then no background worker hears of rows that this session writes.",
    );
}

#[pg_extern(sql = false)]
fn clip_library_version() -> &'static str {
    VERSION
}

/// Of 0.1.0: `clip.start_index_build(old_index regclass)`
#[pg_extern(sql = false)]
fn clip_start_index_build() {
    check_schema();
}

/// Of 0.1.0: `clip.index_build_running()`
#[pg_extern(sql = false)]
fn clip_index_build_running() -> bool {
    check_schema();
    false
}

/// Of 0.1.0: `clip.try_embed_images(images bytea[], model text, fingerprint text)`
#[pg_extern(sql = false)]
fn clip_try_embed_images() {
    check_schema();
}

/// Of 0.1.0: `clip.try_embed_texts(contents text[], model text, fingerprint text)`
#[pg_extern(sql = false)]
fn clip_try_embed_texts() {
    check_schema();
}
