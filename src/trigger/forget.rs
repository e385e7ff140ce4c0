//! What is known of rows that failed goes with the rows.
//!
//! One C function serves `clip.forget_trigger`, on embedded tables, and `clip.wake_trigger`, on the queue. A library of 0.1.0, which a
//! session may still run after an update, has it too, and wakes workers then, which does no harm.
#![allow(unsafe_code)]

use pgrx::{pg_guard, pg_sys};

use super::failed::Key;
use super::row::{Row, Side, Timing};
use crate::attachment::wrong;
use crate::pipeline::failures;
use crate::wake;

#[unsafe(no_mangle)]
pub extern "C" fn pg_finfo_clip_wake_trigger() -> *const pg_sys::Pg_finfo_record {
    const VERSION_1: pg_sys::Pg_finfo_record = pg_sys::Pg_finfo_record { api_version: 1 };
    &VERSION_1
}

/// On `clip.queue` itself, so that jobs that a restore brings wake the workers too; on an embedded table AFTER DELETE FOR EACH ROW and
/// AFTER TRUNCATE.
#[unsafe(no_mangle)]
#[pg_guard]
pub unsafe extern "C-unwind" fn clip_wake_trigger(fcinfo: pg_sys::FunctionCallInfo) -> pg_sys::Datum {
    // SAFETY: called_as_trigger checks the node type of `context`, which then is a TriggerData, valid during the call.
    let event = unsafe {
        if !pgrx::called_as_trigger(fcinfo) {
            wrong("clip.forget_trigger must be called as a trigger");
        }
        (*(*fcinfo).context.cast::<pg_sys::TriggerData>()).tg_event
    };
    match event & pg_sys::TRIGGER_EVENT_OPMASK {
        pg_sys::TRIGGER_EVENT_DELETE => {
            // SAFETY: the running call's own.
            let row = unsafe { Row::from_fcinfo(fcinfo, Timing::AfterDelete) };
            row.kept(|| Deleted::of(&row)).forget(&row);
        }
        pg_sys::TRIGGER_EVENT_TRUNCATE => {
            // SAFETY: the running call's own; its relation is open.
            let (relation, arguments) = unsafe {
                let data = &*(*fcinfo).context.cast::<pg_sys::TriggerData>();
                ((*data.tg_relation).rd_id, super::row::arguments(data.tg_trigger))
            };
            if let Some(embedding) = arguments.first() {
                failures::forget_table(relation, embedding);
            }
        }
        _ => wake::wake_at_commit(),
    }
    pg_sys::Datum::from(0)
}

/// Rows of one table that a statement deletes.
struct Deleted {
    name: std::ffi::CString,
    key: Key,
}

impl Deleted {
    fn of(row: &Row) -> Self {
        let Some(name) = row.arguments().into_iter().next() else { wrong("clip.forget_trigger expects an argument") };
        Self { name, key: Key::of(row) }
    }

    fn forget(&self, row: &Row) {
        self.key.forget_failure(row, Side::New, &self.name);
    }
}
