//! CREATE INDEX CONCURRENTLY, for a change of model and for `clip_create_index`. It commits several times and so runs at the top level of a session
//! alone: this is the session, a background worker that connects as the table's owner and has no other rights to fall back on.
#![allow(unsafe_code)]

use std::ffi::{CStr, CString};
use std::mem;

use pgrx::datum::DatumWithOid;
use pgrx::{PgTryBuilder, Spi, pg_extern, pg_guard, pg_sys, spi};

use crate::attachment::registry;
use crate::error::{SqlState, raise};
use crate::locks;
use crate::pg::datum::{from_server, text_argument};
use crate::pg::interrupts::pqsignal;
use crate::pg::users::as_superuser;

/// What the worker is told, in numbers and a name: it makes the statement by itself, so that nobody can hand it one.
#[derive(Clone, Copy)]
#[repr(C)]
struct Order {
    database: pg_sys::Oid,
    owner: pg_sys::Oid,
    relation: pg_sys::Oid,
    build: Build,
    /// The caller's `maintenance_work_mem` and `max_parallel_maintenance_workers`: what a build takes is his to say.
    memory: i32,
    workers: i32,
}

const _: () = assert!(size_of::<Order>() <= pg_sys::BGW_EXTRALEN as usize);

/// An index that is to be built.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Build {
    /// That whose place it will take, in a change of model. Without one the others say what it is.
    old_index: pg_sys::Oid,
    column: [u8; pg_sys::NAMEDATALEN as usize],
    part: i32,
    /// 1 where the values are cast to halfvec.
    half: i32,
    /// 0 where the default is meant.
    m: i32,
    ef_construction: i32,
}

impl Build {
    pub fn successor(old_index: pg_sys::Oid) -> Self {
        let column = [0; pg_sys::NAMEDATALEN as usize];
        Self { old_index, column, part: 0, half: 0, m: 0, ef_construction: 0 }
    }

    /// `part` and `half` as `clip.index_next` has them.
    pub fn new(
        column: [u8; pg_sys::NAMEDATALEN as usize],
        part: i32,
        half: bool,
        parameters: [Option<i32>; 2],
    ) -> Self {
        let [m, ef_construction] = parameters.map(|number| number.unwrap_or(0));
        Self { old_index: pg_sys::InvalidOid, column, part, half: half.into(), m, ef_construction }
    }

    fn is_successor(&self) -> bool {
        self.old_index != pg_sys::InvalidOid
    }

    /// `(embedding_column, part, type)`
    fn arguments(&self) -> [DatumWithOid<'static>; 3] {
        let column = CStr::from_bytes_until_nul(&self.column).map(from_server).unwrap_or_default();
        [text_argument(&column), self.part.into(), (self.half != 0).then_some("halfvec").into()]
    }

    /// The statement that builds it. Whoever asked has committed what it is looked up by.
    fn statement(&self, relation: pg_sys::Oid) -> Option<CString> {
        let in_bytes = |call: &str| format!("SELECT pg_catalog.convert_to({call}, pg_catalog.getdatabaseencoding())");
        let statement = if self.is_successor() {
            let sql = in_bytes("clip.begin_index_build($1)");
            Spi::get_one_with_args::<Vec<u8>>(&sql, &[self.old_index.into()])
        } else {
            let sql = in_bytes("clip.begin_new_index($1, $2::pg_catalog.name, $3, $4, nullif($5, 0), nullif($6, 0))");
            let [column, part, half] = self.arguments();
            let arguments = [relation.into(), column, part, half, self.m.into(), self.ef_construction.into()];
            Spi::get_one_with_args(&sql, &arguments)
        };
        statement.ok().flatten().and_then(|statement| CString::new(statement).ok())
    }

    /// Tells whoever asked why it was not built, and takes away what is there of it.
    fn failed(&self, relation: pg_sys::Oid, message: String) -> spi::Result<()> {
        if self.is_successor() {
            let arguments = [self.old_index.into(), message.into()];
            return Spi::run_with_args("SELECT clip.index_build_failed($1, $2)", &arguments);
        }
        let [column, part, half] = self.arguments();
        let arguments = [relation.into(), column, part, half, message.into()];
        Spi::run_with_args("SELECT clip.new_index_failed($1, $2::pg_catalog.name, $3, $4, $5)", &arguments)
    }
}

/// Has a worker build an index of a table whose owner the caller may act as, and waits for its end. What went wrong is in
/// `clip.index_failures` then.
///
/// No SQL function does this: only procedures, outside of whatever code of the owner's they run.
pub fn build(relation: pg_sys::Oid, build: Build) {
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
        let order = Order {
            database: pg_sys::MyDatabaseId,
            owner: registry::owner(relation),
            relation,
            build,
            memory: pg_sys::maintenance_work_mem,
            workers: pg_sys::max_parallel_maintenance_workers,
        };
        worker.bgw_extra.as_mut_ptr().cast::<Order>().write_unaligned(order);
        let mut handle = std::ptr::null_mut();
        let registered = pg_sys::RegisterDynamicBackgroundWorker(&mut worker, &mut handle);
        if registered {
            // The build waits for snapshots that are older than it, and so would for that of the look-ups above.
            pg_sys::InvalidateCatalogSnapshot();
            let cancel = (!build.is_successor()).then(|| Cancel(handle));
            pg_sys::WaitForBackgroundWorkerShutdown(handle);
            mem::forget(cancel);
        }
        registered
    };
    if !registered {
        raise(
            SqlState::ConfigurationLimitExceeded,
            "could not start a background worker to build an index",
            Some("Raise max_worker_processes, or call again when other workers have ended."),
        );
    }
}

/// Who is cancelled while he waits for an index wants no index. (A change of model goes on with it when it is called again.)
struct Cancel(*mut pg_sys::BackgroundWorkerHandle);

impl Drop for Cancel {
    fn drop(&mut self) {
        let mut pid = 0;
        // SAFETY: a handle that lives as long as the transaction, and the process that it is of. A worker that has not begun
        // will not.
        unsafe {
            if pg_sys::GetBackgroundWorkerPid(self.0, &mut pid) == pg_sys::BgwHandleStatus::BGWH_STARTED {
                libc::kill(pid, libc::SIGINT);
            } else {
                pg_sys::TerminateBackgroundWorker(self.0);
            }
        }
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
    set_for_session(c"maintenance_work_mem", order.memory);
    set_for_session(c"max_parallel_maintenance_workers", order.workers);
    let statement = in_transaction(|| {
        if !locks::try_lock_index_build(order.relation) {
            return None; // another session builds; whoever asked for this one looks again
        }
        order.build.statement(order.relation)
    });
    let Some(statement) = statement else { return };
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
        drop(in_transaction(|| order.build.failed(order.relation, message)));
    }
}

fn set_for_session(name: &CStr, value: i32) {
    let value = CString::new(value.to_string()).unwrap_or_default();
    let (context, source) = (pg_sys::GucContext::PGC_USERSET, pg_sys::GucSource::PGC_S_SESSION);
    // SAFETY: a setting of PostgreSQL's, and a value that another session has it at.
    unsafe { pg_sys::SetConfigOption(name.as_ptr(), value.as_ptr(), context, source) };
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
