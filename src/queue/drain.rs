//! `CALL clip_drain(relation, max_rows)`: a worker's work in the caller's session, for servers without workers.
#![allow(unsafe_code)]

use pgrx::{PgLogLevel, ereport, pg_extern, pg_sys};

use super::{BATCH, Barred, Group, Scope, Whose, claim, embed, finish, hold, let_go, register_exit};
use crate::error::{SqlState, raise};
use crate::{registry, session};
use pgrx::pg_sys::errcodes::PgSqlErrorCode;

#[pg_extern(sql = false)]
fn clip_drain(relation: Option<pg_sys::Oid>, max_rows: Option<i64>, fcinfo: pg_sys::FunctionCallInfo) {
    if is_atomic(fcinfo) {
        raise(
            SqlState::ActiveTransaction,
            "clip_drain commits after each batch and cannot run inside a transaction",
            Some("Call it outside of a transaction block and not from a function."),
        );
    }
    let scope = match relation {
        Some(relation) => {
            registry::check_owner(relation);
            Scope::Table(relation)
        }
        // SAFETY: plain calls without arguments.
        None => unsafe { if pg_sys::superuser() { Scope::All } else { Scope::OwnedBy(pg_sys::GetUserId()) } },
    };
    let mut left = max_rows.map_or(usize::MAX, |rows| usize::try_from(rows).unwrap_or(0));
    let (mut embedded, mut failed) = (0, 0);
    // SAFETY: a procedure that is not called atomically may commit; each commit begins the next transaction.
    unsafe { pg_sys::SPI_connect_ext(pg_sys::SPI_OPT_NONATOMIC as i32) };
    register_exit();
    begin_anew();
    let mut last = 0;
    while left > 0 {
        let batch = transaction(|| claim(scope, left.min(BATCH), Whose::Next(last), &Barred::default()));
        hold(batch.groups.iter().flat_map(Group::ids));
        last = batch.turn.as_ref().map_or(0, |turn| turn.owner.to_u32());
        if batch.jobs == 0 {
            break;
        }
        failed += batch.failed;
        for group in batch.groups {
            let (table, done) = embed(group, &mut session::try_embed);
            left = left.saturating_sub(done.len());
            let ids: Vec<i64> = done.iter().map(|done| done.job.id).collect();
            let finished = transaction(|| finish(&table, done));
            let_go(ids);
            embedded += finished.embedded;
            failed += finished.failed;
        }
    }
    // SAFETY: closes what SPI_connect_ext opened.
    unsafe { pg_sys::SPI_finish() };
    ereport!(
        PgLogLevel::NOTICE,
        PgSqlErrorCode::ERRCODE_SUCCESSFUL_COMPLETION,
        format!("embedded {embedded} rows, {failed} failed")
    );
}

/// Runs `f` under a snapshot and commits, so that neither outlives it.
fn transaction<T>(f: impl FnOnce() -> pgrx::spi::Result<T>) -> T {
    // SAFETY: the snapshot that is pushed is popped; SPI_commit leaves none behind.
    let result = unsafe {
        pg_sys::PushActiveSnapshot(pg_sys::GetTransactionSnapshot());
        let result = f();
        pg_sys::PopActiveSnapshot();
        result
    };
    let value = result.unwrap_or_else(|e| raise(SqlState::UndefinedObject, e.to_string(), None));
    begin_anew();
    value
}

/// Commits and begins the next transaction, in which others' commits are seen as they come, whatever the session's default
/// is: claims are of what is there now.
fn begin_anew() {
    // SAFETY: called between SPI_connect_ext and SPI_finish. The new transaction has no snapshot yet.
    unsafe {
        pg_sys::SPI_commit();
        pg_sys::SPI_start_transaction();
        pg_sys::XactIsoLevel = pg_sys::XACT_READ_COMMITTED as i32;
    }
}

fn is_atomic(fcinfo: pg_sys::FunctionCallInfo) -> bool {
    // SAFETY: CALL passes a CallContext, whose node type says so.
    unsafe {
        let context = (*fcinfo).context;
        context.is_null()
            || (*context).type_ != pg_sys::NodeTag::T_CallContext
            || (*context.cast::<pg_sys::CallContext>()).atomic
    }
}
