//! Statements that make work which no commit tells of: COMMIT PREPARED of a transaction that has enqueued, and CREATE DATABASE
//! from one whose queue is not empty.
#![allow(unsafe_code)]

use std::ffi::CStr;

use pgrx::{pg_guard, pg_sys};

use crate::wake::{hints, wake_database_at_commit};

static mut PREVIOUS: pg_sys::ProcessUtility_hook_type = None;

/// Called by `_PG_init` while the server preloads.
pub fn register() {
    // SAFETY: hooks are chained as PostgreSQL's documentation asks for, before anything else runs.
    unsafe {
        PREVIOUS = pg_sys::ProcessUtility_hook;
        pg_sys::ProcessUtility_hook = Some(on_utility);
    }
}

#[pg_guard]
#[allow(clippy::too_many_arguments)]
unsafe extern "C-unwind" fn on_utility(
    planned: *mut pg_sys::PlannedStmt,
    text: *const std::ffi::c_char,
    read_only_tree: bool,
    context: pg_sys::ProcessUtilityContext::Type,
    params: pg_sys::ParamListInfo,
    environment: *mut pg_sys::QueryEnvironment,
    dest: *mut pg_sys::DestReceiver,
    completion: *mut pg_sys::QueryCompletion,
) {
    // SAFETY: what PostgreSQL gave is handed on; the statement's tree lives as long as the statement.
    unsafe {
        let created = created(planned);
        let is_commit = is_commit_prepared(planned);
        match PREVIOUS {
            Some(hook) => hook(planned, text, read_only_tree, context, params, environment, dest, completion),
            None => pg_sys::standard_ProcessUtility(
                planned,
                text,
                read_only_tree,
                context,
                params,
                environment,
                dest,
                completion,
            ),
        }
        if is_commit && hints::is_used(pg_sys::MyDatabaseId.to_u32()) {
            wake_database_at_commit(pg_sys::MyDatabaseId.to_u32());
        }
        if let Some((from, name)) = created {
            let to = pg_sys::get_database_oid(name, true).to_u32();
            if to != 0 && hints::note_copy(from, to) {
                wake_database_at_commit(to);
            }
        }
    }
}

/// # Safety
///
/// A statement's tree.
unsafe fn is_commit_prepared(planned: *mut pg_sys::PlannedStmt) -> bool {
    // SAFETY: the node's tag tells its type.
    unsafe {
        let node = (*planned).utilityStmt;
        !node.is_null()
            && (*node).type_ == pg_sys::NodeTag::T_TransactionStmt
            && (*node.cast::<pg_sys::TransactionStmt>()).kind == pg_sys::TransactionStmtKind::TRANS_STMT_COMMIT_PREPARED
    }
}

/// Of CREATE DATABASE: what it is made from, and its name.
///
/// # Safety
///
/// A statement's tree.
unsafe fn created(planned: *mut pg_sys::PlannedStmt) -> Option<(u32, *const std::ffi::c_char)> {
    // SAFETY: nodes' tags tell their types; names are C strings.
    unsafe {
        let node = (*planned).utilityStmt;
        if node.is_null() || (*node).type_ != pg_sys::NodeTag::T_CreatedbStmt {
            return None;
        }
        let statement = &*node.cast::<pg_sys::CreatedbStmt>();
        let mut template: *const std::ffi::c_char = c"template1".as_ptr();
        let options = statement.options.as_ref().map_or(&[][..], |options| {
            std::slice::from_raw_parts(options.elements, usize::try_from(options.length).unwrap_or(0))
        });
        for option in options {
            let option = option.ptr_value.cast::<pg_sys::DefElem>();
            let is_template = CStr::from_ptr((*option).defname) == c"template";
            if is_template && !(*option).arg.is_null() {
                template = pg_sys::defGetString(option);
            }
        }
        Some((pg_sys::get_database_oid(template, true).to_u32(), statement.dbname))
    }
}
