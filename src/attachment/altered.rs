//! ALTER TABLE ... ALTER COLUMN ... TYPE, and DROP COLUMN. PostgreSQL refuses them for columns that a trigger names, and ours name
//! those that matter: so they name none while such a statement runs. What it is about stands in its parse tree alone, which only C functions see.
#![allow(unsafe_code)]

use std::ffi::CStr;

use pgrx::datum::DatumWithOid;
use pgrx::spi::{self, Spi};
use pgrx::{pg_guard, pg_sys};

use super::{registry, wrong};
use crate::error::{SqlState, raise};
use crate::pg::datum::from_server;
use crate::pg::list::items;
use crate::pg::users::as_superuser;

#[unsafe(no_mangle)]
pub extern "C" fn pg_finfo_clip_follow_columns() -> *const pg_sys::Pg_finfo_record {
    const VERSION_1: pg_sys::Pg_finfo_record = pg_sys::Pg_finfo_record { api_version: 1 };
    &VERSION_1
}

#[unsafe(no_mangle)]
#[pg_guard]
pub unsafe extern "C-unwind" fn clip_follow_columns(fcinfo: pg_sys::FunctionCallInfo) -> pg_sys::Datum {
    // SAFETY: what calls an event trigger says so by the type of `context`; the statement is its own, during the call.
    let (is_start, relation, columns) = unsafe {
        let context = (*fcinfo).context;
        if context.is_null() || (*context).type_ != pg_sys::NodeTag::T_EventTriggerData {
            wrong("clip.follow_columns must be called as an event trigger");
        }
        let data = &*context.cast::<pg_sys::EventTriggerData>();
        let (relation, columns) = columns_of(data.parsetree);
        (CStr::from_ptr(data.event) == c"ddl_command_start", relation, columns)
    };
    // Whoever does not own the table is refused by the statement itself.
    if !columns.is_empty() && relation != pg_sys::InvalidOid && registry::owns(relation) {
        follow(is_start, relation, columns).unwrap_or_else(|e| raise(SqlState::UndefinedObject, e.to_string(), None));
    }
    pg_sys::Datum::from(0)
}

/// The table of a statement, and its columns that get another type or go.
///
/// # Safety
///
/// A statement's parse tree.
unsafe fn columns_of(statement: *mut pg_sys::Node) -> (pg_sys::Oid, Vec<String>) {
    let nothing = (pg_sys::InvalidOid, Vec::new());
    // SAFETY: the node's type says what it is; its names are C strings. The look-up takes no lock: the statement does.
    unsafe {
        if statement.is_null() || (*statement).type_ != pg_sys::NodeTag::T_AlterTableStmt {
            return nothing;
        }
        let statement = &*statement.cast::<pg_sys::AlterTableStmt>();
        let columns: Vec<String> = items(statement.cmds)
            .map(|command| &*command.cast::<pg_sys::AlterTableCmd>())
            .filter(|command| {
                use pg_sys::AlterTableType::{AT_AlterColumnType, AT_DropColumn};
                [AT_AlterColumnType, AT_DropColumn].contains(&command.subtype) && !command.name.is_null()
            })
            .map(|command| from_server(CStr::from_ptr(command.name)))
            .collect();
        if columns.is_empty() {
            return nothing;
        }
        let no_lock = pg_sys::NoLock as pg_sys::LOCKMODE;
        let missing_ok = pg_sys::RVROption::RVR_MISSING_OK;
        let relation =
            pg_sys::RangeVarGetRelidExtended(statement.relation, no_lock, missing_ok, None, std::ptr::null_mut());
        (relation, columns)
    }
}

fn follow(is_start: bool, relation: pg_sys::Oid, columns: Vec<String>) -> spi::Result<()> {
    as_superuser(|| {
        Spi::connect_mut(|client| {
            let relation = DatumWithOid::from(relation);
            if is_start {
                let sql = "SELECT clip.free_columns($1::pg_catalog.regclass, $2::pg_catalog.name[])";
                client.update(sql, None, &[relation, DatumWithOid::from(columns)]).map(drop)
            } else {
                client.update("SELECT clip.name_columns($1::pg_catalog.regclass)", None, &[relation]).map(drop)
            }
        })
    })
}
