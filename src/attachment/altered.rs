//! ALTER TABLE ... ALTER COLUMN ... TYPE, and DROP COLUMN. PostgreSQL refuses them for columns that a trigger names, and ours name
//! those that matter: so they name none while such a statement runs. Another type may change what rows are found by, and what their vectors
//! were made of, and no trigger sees it. What the statement is about stands in its parse tree alone, which only C functions see.
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
    let (is_start, columns) = unsafe {
        let context = (*fcinfo).context;
        if context.is_null() || (*context).type_ != pg_sys::NodeTag::T_EventTriggerData {
            wrong("clip.follow_columns must be called as an event trigger");
        }
        let data = &*context.cast::<pg_sys::EventTriggerData>();
        (CStr::from_ptr(data.event) == c"ddl_command_start", columns_of(data.parsetree))
    };
    // Whoever does not own the table is refused by the statement itself.
    if let Some(columns) = columns.filter(|columns| registry::owns(columns.relation)) {
        follow(is_start, columns).unwrap_or_else(|e| raise(SqlState::UndefinedObject, e.to_string(), None));
    }
    pg_sys::Datum::from(0)
}

/// Columns of a table that get another type, or go.
struct Columns {
    relation: pg_sys::Oid,
    all: Vec<String>,
    /// Those with another type.
    retyped: Vec<String>,
    /// Of them those with values of an expression of the user's.
    computed: Vec<String>,
}

/// What a statement is about, if it is about columns.
///
/// # Safety
///
/// A statement's parse tree.
unsafe fn columns_of(statement: *mut pg_sys::Node) -> Option<Columns> {
    use pg_sys::AlterTableType::{AT_AlterColumnType, AT_DropColumn};
    // SAFETY: the node's type says what it is, and a command's what its definition is; its names are C strings. The look-up takes no lock:
    // the statement does.
    unsafe {
        if statement.is_null() || (*statement).type_ != pg_sys::NodeTag::T_AlterTableStmt {
            return None;
        }
        let statement = &*statement.cast::<pg_sys::AlterTableStmt>();
        let (mut all, mut retyped, mut computed) = (Vec::new(), Vec::new(), Vec::new());
        for command in items(statement.cmds) {
            let command = &*command.cast::<pg_sys::AlterTableCmd>();
            if command.name.is_null() || ![AT_AlterColumnType, AT_DropColumn].contains(&command.subtype) {
                continue;
            }
            let name = from_server(CStr::from_ptr(command.name));
            if command.subtype == AT_AlterColumnType {
                retyped.push(name.clone());
                let definition = command.def.cast::<pg_sys::ColumnDef>();
                if !definition.is_null() && !(*definition).raw_default.is_null() {
                    computed.push(name.clone());
                }
            }
            all.push(name);
        }
        if all.is_empty() {
            return None;
        }
        let no_lock = pg_sys::NoLock as pg_sys::LOCKMODE;
        let missing_ok = pg_sys::RVROption::RVR_MISSING_OK;
        let relation =
            pg_sys::RangeVarGetRelidExtended(statement.relation, no_lock, missing_ok, None, std::ptr::null_mut());
        (relation != pg_sys::InvalidOid).then_some(Columns { relation, all, retyped, computed })
    }
}

fn follow(is_start: bool, columns: Columns) -> spi::Result<()> {
    as_superuser(|| {
        Spi::connect_mut(|client| {
            let relation = || DatumWithOid::from(columns.relation);
            if is_start {
                let sql = "SELECT clip.free_columns($1::pg_catalog.regclass, $2::pg_catalog.name[])";
                return client.update(sql, None, &[relation(), DatumWithOid::from(columns.all)]).map(drop);
            }
            client.update("SELECT clip.name_columns($1::pg_catalog.regclass)", None, &[relation()])?;
            if !columns.retyped.is_empty() {
                let sql =
                    "SELECT clip.follow_retyped($1::pg_catalog.regclass, $2::pg_catalog.name[], $3::pg_catalog.name[])";
                let (retyped, computed) = (DatumWithOid::from(columns.retyped), DatumWithOid::from(columns.computed));
                client.update(sql, None, &[relation(), retyped, computed])?;
            }
            Ok(())
        })
    })
}
