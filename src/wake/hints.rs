//! Which databases may have rows that wait, so that after a start nobody connects to the others to find that out.
//!
//! `pg_clip/` in the data directory has a file for each database whose queue was ever used, with the path of the queue's own
//! file; `pg_clip/complete` says that no other database has one. Whatever is missing there or looks odd costs a visit.
#![allow(unsafe_code)]

use std::cell::Cell;
use std::ffi::CStr;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use pgrx::pg_sys;

use super::heap_look::has_rows;

/// In the data directory, which is where the server's processes are.
const DIRECTORY: &str = "pg_clip";

thread_local! {
    static ENSURED: Cell<bool> = const { Cell::new(false) };
}

pub enum Look {
    Work,
    Nothing,
    NotKnown,
}

fn file(database: u32) -> PathBuf {
    Path::new(DIRECTORY).join(database.to_string())
}

fn stamp() -> PathBuf {
    Path::new(DIRECTORY).join("complete")
}

/// Notes that this database's queue is used; once a session.
pub fn ensure() {
    if ENSURED.replace(true) {
        return;
    }
    // SAFETY: look-ups in PostgreSQL's caches, in a transaction.
    unsafe {
        let schema = pg_sys::get_namespace_oid(c"clip".as_ptr(), true);
        let queue = pg_sys::get_relname_relid(c"queue".as_ptr(), schema);
        let tuple = pg_sys::SearchSysCache1(pg_sys::SysCacheIdentifier::RELOID as i32, pg_sys::Datum::from(queue));
        if tuple.is_null() {
            return ENSURED.set(false);
        }
        let form = &*pg_sys::GETSTRUCT(tuple).cast::<pg_sys::FormData_pg_class>();
        let (number, elsewhere) = (form.relfilenode.to_u32(), form.reltablespace != pg_sys::InvalidOid);
        pg_sys::ReleaseSysCache(tuple);
        let path = if elsewhere || pg_sys::DatabasePath.is_null() {
            String::new()
        } else {
            format!("{}/{number}", CStr::from_ptr(pg_sys::DatabasePath).to_string_lossy())
        };
        note(pg_sys::MyDatabaseId.to_u32(), &path);
    }
}

/// A database made from another one has its queue. Gives whether that was ever used.
pub fn note_copy(from: u32, to: u32) -> bool {
    let used = file(from).exists();
    if used {
        note(to, "");
    }
    used
}

pub fn is_used(database: u32) -> bool {
    file(database).exists()
}

fn note(database: u32, path: &str) {
    if fs::read_to_string(file(database)).is_ok_and(|known| known == path) {
        return;
    }
    if let Err(e) = write(&file(database), path) {
        ENSURED.set(false);
        pgrx::log!("pg_clip could not write {}: {e}", file(database).display());
    }
}

/// Whole and for good, or not at all.
fn write(to: &Path, text: &str) -> io::Result<()> {
    if let Err(e) = fs::create_dir(DIRECTORY)
        && e.kind() != io::ErrorKind::AlreadyExists
    {
        return Err(e);
    }
    let new = to.with_extension(format!("{}.new", std::process::id()));
    let mut file = fs::File::create(&new)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&new, to)?;
    fs::File::open(DIRECTORY)?.sync_all()
}

/// A standby that takes over has what others noted, but not what they noted last; so its new timeline tells.
fn timeline() -> String {
    // SAFETY: a plain call, after recovery.
    unsafe { pg_sys::GetWALInsertionTimeLine() }.to_string()
}

/// From now on a database without a file has no queue in use.
pub fn complete() {
    if let Err(e) = write(&stamp(), &timeline()) {
        pgrx::log!("pg_clip could not write {}: {e}", stamp().display());
    }
}

/// What is known of the queues of `databases`, without a connection to them. Files of databases that are gone go, too.
pub fn look(databases: &[u32], all: &[u32]) -> Vec<(u32, Look)> {
    let is_complete = fs::read_to_string(stamp()).is_ok_and(|known| known == timeline());
    if let Ok(entries) = fs::read_dir(DIRECTORY) {
        for entry in entries.flatten() {
            let name = entry.file_name();
            let number = name.to_str().and_then(|name| name.parse::<u32>().ok());
            if name != "complete" && number.is_none_or(|number| !all.contains(&number)) {
                let _ = fs::remove_file(entry.path());
            }
        }
    }
    let look = |database: &u32| match fs::read_to_string(file(*database)) {
        Ok(path) if path.is_empty() => Look::NotKnown,
        Ok(path) => match has_rows(Path::new(&path), &is_committed) {
            Some(true) => Look::Work,
            Some(false) => Look::Nothing,
            None => Look::NotKnown,
        },
        Err(e) if e.kind() == io::ErrorKind::NotFound && is_complete => Look::Nothing,
        Err(_) => Look::NotKnown,
    };
    databases.iter().map(|database| (*database, look(database))).collect()
}

fn is_committed(xmax: u32) -> bool {
    // SAFETY: plain calls; of a transaction whose state is not kept any more it is an error, which the caller expects.
    unsafe {
        let next = pg_sys::ReadNextFullTransactionId().value as u32;
        let (xmax, next) = (pg_sys::TransactionId::from(xmax), pg_sys::TransactionId::from(next));
        pg_sys::TransactionIdIsNormal(xmax)
            && pg_sys::TransactionIdPrecedes(xmax, next)
            && pg_sys::TransactionIdDidCommit(xmax)
    }
}
