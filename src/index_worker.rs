//! CREATE INDEX CONCURRENTLY for a change of model. It commits several times and so runs at the top level of a session
//! alone: this is the session, a background worker that connects as the table's owner and has no other rights to fall back on.
#![allow(unsafe_code)]

use std::ffi::{CStr, CString};

use pgrx::datum::DatumWithOid;
use pgrx::{PgTryBuilder, Spi, pg_extern, pg_guard, pg_sys};

use crate::error::{SqlState, raise};
use crate::interrupts::pqsignal;
use crate::pipeline::as_superuser;
use crate::{locks, registry};

/// What the worker is told: it looks up by itself what it builds, so that nobody can hand it a statement.
#[derive(Clone, Copy)]
#[repr(C)]
struct Order {
    database: pg_sys::Oid,
    owner: pg_sys::Oid,
    relation: pg_sys::Oid,
    old_index: pg_sys::Oid,
}

/// Has a worker build the index that will take the place of `old_index`, an index of a table whose owner the caller may act
/// as, and waits for its end. What went wrong is in `clip.index_failures` then.
///
/// No SQL function does this: only the procedure that changes the model, outside of whatever code of the owner's it runs.
pub fn build(relation: pg_sys::Oid, old_index: pg_sys::Oid) {
    registry::check_owner(relation);
    let mut worker = pg_sys::BackgroundWorker {
        bgw_flags: (pg_sys::BGWORKER_SHMEM_ACCESS | pg_sys::BGWORKER_BACKEND_DATABASE_CONNECTION) as i32,
        bgw_start_time: pg_sys::BgWorkerStartTime::BgWorkerStart_RecoveryFinished,
        bgw_restart_time: pg_sys::BGW_NEVER_RESTART,
        ..Default::default()
    };
    write(&mut worker.bgw_name, c"pg_clip index build");
    write(&mut worker.bgw_type, c"pg_clip index build");
    write(&mut worker.bgw_library_name, c"pg_clip");
    write(&mut worker.bgw_function_name, c"clip_index_build_main");
    // SAFETY: plain reads of this backend's state; `Order` is plain data, smaller than `bgw_extra`. The handle is waited for.
    let registered = unsafe {
        // Nothing that runs in another's name may get at a session of its own.
        assert!(!pg_sys::InSecurityRestrictedOperation() && !pg_sys::InLocalUserIdChange(), "called in another's name");
        worker.bgw_notify_pid = pg_sys::MyProcPid;
        let order = Order { database: pg_sys::MyDatabaseId, owner: registry::owner(relation), relation, old_index };
        const { assert!(size_of::<Order>() <= pg_sys::BGW_EXTRALEN as usize) };
        worker.bgw_extra.as_mut_ptr().cast::<Order>().write_unaligned(order);
        let mut handle = std::ptr::null_mut();
        let registered = pg_sys::RegisterDynamicBackgroundWorker(&mut worker, &mut handle);
        if registered {
            // The build waits for snapshots that are older than it, and so would for that of the look-ups above.
            pg_sys::InvalidateCatalogSnapshot();
            pg_sys::WaitForBackgroundWorkerShutdown(handle);
        }
        registered
    };
    if !registered {
        raise(
            SqlState::ConfigurationLimitExceeded,
            "could not start a background worker to build an index",
            Some("Raise max_worker_processes, or call clip_change_model again when other workers have ended."),
        );
    }
}

/// Ends the workers that build indexes of a table. The caller has checked who calls.
pub fn end_builds(relation: pg_sys::Oid) {
    const SQL: &str = "SELECT pg_catalog.pg_terminate_backend(l.pid) FROM pg_catalog.pg_locks l \
        WHERE l.locktype OPERATOR(pg_catalog.=) 'object' AND l.granted AND l.database OPERATOR(pg_catalog.=) $2 \
        AND l.classid OPERATOR(pg_catalog.=) 'clip.model_changes'::pg_catalog.regclass::pg_catalog.oid \
        AND l.objid OPERATOR(pg_catalog.=) $1";
    about(SQL, relation);
}

/// `(relation regclass)`: has autovacuum a lock on the table that it gives up for others? To prevent wraparound it does not.
#[pg_extern(sql = false)]
fn clip_vacuum_gives_way(relation: pg_sys::Oid) -> bool {
    const SQL: &str = "SELECT true FROM pg_catalog.pg_locks l JOIN pg_catalog.pg_stat_get_activity(NULL) a \
        ON a.pid OPERATOR(pg_catalog.=) l.pid WHERE l.locktype OPERATOR(pg_catalog.=) 'relation' AND l.granted \
        AND l.database OPERATOR(pg_catalog.=) $2 AND l.relation OPERATOR(pg_catalog.=) $1 \
        AND a.backend_type OPERATOR(pg_catalog.=) 'autovacuum worker' \
        AND a.query OPERATOR(pg_catalog.!~~) '%(to prevent wraparound)' LIMIT 1";
    registry::check_owner(relation);
    about(SQL, relation).unwrap_or_default()
}

/// Runs a fixed statement about a relation (`$1`) of this database (`$2`) as the superuser, who sees other processes.
fn about(sql: &str, relation: pg_sys::Oid) -> Option<bool> {
    // SAFETY: reads a variable of this process.
    let database = unsafe { pg_sys::MyDatabaseId };
    let arguments: [DatumWithOid<'_>; 2] = [relation.into(), database.into()];
    let found =
        as_superuser(|| Spi::connect_mut(|client| client.update(sql, None, &arguments)?.first().get_one::<bool>()));
    found.unwrap_or_default()
}

fn write(field: &mut [core::ffi::c_char], text: &CStr) {
    for (to, from) in field.iter_mut().zip(text.to_bytes_with_nul()) {
        *to = *from as core::ffi::c_char;
    }
}

/// From version 17 on a role without LOGIN can own what is built; before, `clip.change_begin` says what it needs.
#[cfg(any(feature = "pg17", feature = "pg18"))]
const NO_LOGIN_IS_NEEDED: u32 = pg_sys::BGWORKER_BYPASS_ROLELOGINCHECK;
#[cfg(not(any(feature = "pg17", feature = "pg18")))]
const NO_LOGIN_IS_NEEDED: u32 = 0;

unsafe extern "C-unwind" {
    /// PostgreSQL's own handler of SIGTERM in a session: the next check for interrupts ends it.
    fn die(signal: core::ffi::c_int);
}

/// # Safety
///
/// PostgreSQL calls it, in a new background worker.
#[unsafe(no_mangle)]
#[pg_guard]
pub unsafe extern "C-unwind" fn clip_index_build_main(_arg: pg_sys::Datum) {
    // SAFETY: the order of calls that a background worker must follow; `bgw_extra` is what was written above.
    let order = unsafe {
        pqsignal(pg_sys::SIGTERM as i32, Some(die));
        pg_sys::BackgroundWorkerUnblockSignals();
        let order = (*pg_sys::MyBgworkerEntry).bgw_extra.as_ptr().cast::<Order>().read_unaligned();
        // Session user and current user are the owner: there is nobody whom RESET ROLE would lead to.
        pg_sys::BackgroundWorkerInitializeConnectionByOid(order.database, order.owner, NO_LOGIN_IS_NEEDED);
        order
    };
    let statement = in_transaction(|| {
        if !locks::try_lock_index_build(order.relation) {
            return None; // another session builds; whoever asked for this one looks again
        }
        let args = [order.old_index.into()];
        let sql = "SELECT pg_catalog.convert_to(clip.begin_index_build($1), pg_catalog.getdatabaseencoding())";
        Spi::get_one_with_args::<Vec<u8>>(sql, &args).ok().flatten()
    });
    let Some(statement) = statement.and_then(|statement| CString::new(statement).ok()) else { return };
    let failure = PgTryBuilder::new(|| {
        // SAFETY: no transaction is open.
        unsafe { run_at_top_level(&statement) };
        None
    })
    .catch_others(|e| Some(message(e)))
    .catch_rust_panic(|e| Some(message(e)))
    .execute();
    if let Some(message) = failure {
        // SAFETY: after an error the transaction is to be aborted, whatever state it is in.
        unsafe { pg_sys::AbortCurrentTransaction() };
        let noted = in_transaction(|| {
            let args = [order.old_index.into(), message.into()];
            Spi::run_with_args("SELECT clip.index_build_failed($1, $2)", &args)
        });
        drop(noted);
    }
}

fn message(error: pgrx::pg_sys::panic::CaughtError) -> String {
    use pgrx::pg_sys::panic::CaughtError::*;
    match error {
        PostgresError(e) | ErrorReport(e) | RustPanic { ereport: e, .. } => e.message().to_owned(),
    }
}

fn in_transaction<R>(f: impl FnOnce() -> R) -> R {
    // SAFETY: starts and ends a transaction of its own; if `f` fails, the worker ends with it.
    unsafe {
        pg_sys::SetCurrentStatementStartTimestamp();
        pg_sys::StartTransactionCommand();
        pg_sys::PushActiveSnapshot(pg_sys::GetTransactionSnapshot());
        let result = f();
        pg_sys::PopActiveSnapshot();
        pg_sys::CommitTransactionCommand();
        result
    }
}

/// As a statement that a client sends, for the one kind that cannot run in any other way.
unsafe fn run_at_top_level(statement: &CStr) {
    // SAFETY: what exec_simple_query does with a utility statement. The parse tree lives in memory that no commit of the
    // statement frees. The statement may leave an active snapshot, or end the one that it was given.
    unsafe {
        pg_sys::SetCurrentStatementStartTimestamp();
        pg_sys::pgstat_report_activity(pg_sys::BackendState::STATE_RUNNING, statement.as_ptr());
        pg_sys::StartTransactionCommand();
        pg_sys::MemoryContextSwitchTo(pg_sys::TopMemoryContext);
        let parsed = pg_sys::pg_parse_query(statement.as_ptr());
        if parsed.is_null() || (*parsed).length != 1 {
            return;
        }
        let raw = (*(*parsed).elements).ptr_value.cast::<pg_sys::RawStmt>();
        let mut planned = pgrx::PgBox::<pg_sys::PlannedStmt>::alloc_node(pg_sys::NodeTag::T_PlannedStmt);
        planned.commandType = pg_sys::CmdType::CMD_UTILITY;
        planned.canSetTag = true;
        planned.utilityStmt = (*raw).stmt;
        let planned = planned.into_pg();
        pg_sys::PushActiveSnapshot(pg_sys::GetTransactionSnapshot());
        let mut done = pg_sys::QueryCompletion::default();
        pg_sys::ProcessUtility(
            planned,
            statement.as_ptr(),
            false,
            pg_sys::ProcessUtilityContext::PROCESS_UTILITY_TOPLEVEL,
            std::ptr::null_mut(),
            std::ptr::null_mut(),
            pg_sys::None_Receiver,
            &mut done,
        );
        if pg_sys::ActiveSnapshotSet() {
            pg_sys::PopActiveSnapshot();
        }
        pg_sys::CommitTransactionCommand();
        pg_sys::pgstat_report_activity(pg_sys::BackendState::STATE_IDLE, std::ptr::null());
    }
}
