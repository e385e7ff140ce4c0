//! CREATE INDEX CONCURRENTLY for a change of model. It commits several times and so runs at the top level of a session
//! alone: this is the session, a background worker of the one that changes the model, with its rights.
#![allow(unsafe_code)]

use std::cell::Cell;
use std::ffi::{CStr, CString};

use pgrx::pg_sys::{self, BgwHandleStatus};
use pgrx::{PgTryBuilder, Spi, pg_extern, pg_guard};

use crate::error::{SqlState, raise};

thread_local! {
    /// The worker that this session started last.
    static STARTED: Cell<*mut pg_sys::BackgroundWorkerHandle> = const { Cell::new(std::ptr::null_mut()) };
}

/// What the worker is told: it looks up by itself what it builds, so that nobody can hand it a statement.
#[derive(Clone, Copy)]
#[repr(C)]
struct Order {
    database: pg_sys::Oid,
    session_user: pg_sys::Oid,
    role: pg_sys::Oid,
    superuser: bool,
    old_index: pg_sys::Oid,
}

/// `(old_index regclass)`: starts a worker that builds the index that will take the place of `old_index`.
#[pg_extern(sql = false)]
fn clip_start_index_build(old_index: pg_sys::Oid) {
    let mut worker = pg_sys::BackgroundWorker {
        bgw_flags: (pg_sys::BGWORKER_SHMEM_ACCESS | pg_sys::BGWORKER_BACKEND_DATABASE_CONNECTION) as i32,
        bgw_start_time: pg_sys::BgWorkerStartTime::BgWorkerStart_RecoveryFinished,
        bgw_restart_time: pg_sys::BGW_NEVER_RESTART,
        ..Default::default()
    };
    write(&mut worker.bgw_name, c"pg_clip index build");
    write(&mut worker.bgw_type, c"pg_clip index build");
    write(&mut worker.bgw_library_name, c"pg_clip");
    write(&mut worker.bgw_function_name, c"clip_index_worker_main");
    // SAFETY: plain reads of this backend's state; `Order` is plain data, smaller than `bgw_extra`.
    let registered = unsafe {
        worker.bgw_notify_pid = pg_sys::MyProcPid;
        let order = Order {
            database: pg_sys::MyDatabaseId,
            session_user: pg_sys::GetSessionUserId(),
            role: pg_sys::GetUserId(),
            superuser: pg_sys::superuser(),
            old_index,
        };
        const { assert!(size_of::<Order>() <= pg_sys::BGW_EXTRALEN as usize) };
        worker.bgw_extra.as_mut_ptr().cast::<Order>().write_unaligned(order);
        // The handle outlives the transaction, as the session asks for it in others.
        let before = pg_sys::MemoryContextSwitchTo(pg_sys::TopMemoryContext);
        let mut handle = std::ptr::null_mut();
        let registered = pg_sys::RegisterDynamicBackgroundWorker(&mut worker, &mut handle);
        pg_sys::MemoryContextSwitchTo(before);
        if registered {
            STARTED.set(handle);
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

/// Is the worker that this session started still at work?
#[pg_extern(sql = false)]
fn clip_index_build_running() -> bool {
    let handle = STARTED.get();
    let mut pid = 0;
    // SAFETY: a handle that RegisterDynamicBackgroundWorker gave, in memory that lives as long as the backend.
    !handle.is_null() && unsafe { pg_sys::GetBackgroundWorkerPid(handle, &mut pid) } != BgwHandleStatus::BGWH_STOPPED
}

fn write(field: &mut [core::ffi::c_char], text: &CStr) {
    for (to, from) in field.iter_mut().zip(text.to_bytes_with_nul()) {
        *to = *from as core::ffi::c_char;
    }
}

unsafe extern "C-unwind" {
    /// PostgreSQL's own handler of SIGTERM in a session: the next check for interrupts ends it.
    fn die(signal: core::ffi::c_int);
}

/// # Safety
///
/// PostgreSQL calls it, in a new background worker.
#[unsafe(no_mangle)]
#[pg_guard]
pub unsafe extern "C-unwind" fn clip_index_worker_main(_arg: pg_sys::Datum) {
    // SAFETY: the order of calls that a background worker must follow; `bgw_extra` is what was written above.
    let order = unsafe {
        pg_sys::pqsignal(pg_sys::SIGTERM as i32, Some(die));
        pg_sys::BackgroundWorkerUnblockSignals();
        let order = (*pg_sys::MyBgworkerEntry).bgw_extra.as_ptr().cast::<Order>().read_unaligned();
        pg_sys::BackgroundWorkerInitializeConnectionByOid(order.database, order.session_user, 0);
        order
    };
    // Takes the lock that tells others that an index is being built, for the life of the session.
    let statement = in_transaction(order, || {
        Spi::get_one_with_args::<String>("SELECT clip.begin_index_build($1)", &[order.old_index.into()])
    });
    let Ok(Some(statement)) = statement else { return };
    let Ok(statement) = CString::new(statement) else { return };
    let failure = PgTryBuilder::new(|| {
        // SAFETY: no transaction is open.
        unsafe { run_at_top_level(&statement, order) };
        None
    })
    .catch_others(|e| Some(message(e)))
    .catch_rust_panic(|e| Some(message(e)))
    .execute();
    if let Some(message) = failure {
        // SAFETY: after an error the transaction is to be aborted, whatever state it is in.
        unsafe { pg_sys::AbortCurrentTransaction() };
        let noted = in_transaction(order, || {
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

fn in_transaction<R>(order: Order, f: impl FnOnce() -> R) -> R {
    // SAFETY: starts and ends a transaction of its own; if `f` fails, the worker ends with it.
    unsafe {
        pg_sys::SetCurrentStatementStartTimestamp();
        pg_sys::StartTransactionCommand();
        take_role(order);
        pg_sys::PushActiveSnapshot(pg_sys::GetTransactionSnapshot());
        let result = f();
        pg_sys::PopActiveSnapshot();
        pg_sys::CommitTransactionCommand();
        result
    }
}

/// The role that the starting session had taken on, which it could as its user may.
unsafe fn take_role(order: Order) {
    if order.role != order.session_user {
        // SAFETY: both come from a running session of this server.
        unsafe { pg_sys::SetCurrentRoleId(order.role, order.superuser) };
    }
}

/// As a statement that a client sends, for the one kind that cannot run in any other way.
unsafe fn run_at_top_level(statement: &CStr, order: Order) {
    // SAFETY: what exec_simple_query does with a utility statement. The parse tree lives in memory that no commit of the
    // statement frees. The statement may leave an active snapshot, or end the one that it was given.
    unsafe {
        pg_sys::SetCurrentStatementStartTimestamp();
        pg_sys::pgstat_report_activity(pg_sys::BackendState::STATE_RUNNING, statement.as_ptr());
        pg_sys::StartTransactionCommand();
        take_role(order);
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
