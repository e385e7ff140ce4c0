//! Procedures that commit as they go.
#![allow(unsafe_code)]

use pgrx::pg_sys;

use crate::error::{SqlState, raise};

/// A call of a procedure between its transactions.
pub struct Procedure(());

impl Procedure {
    /// An error where the call is part of a transaction that is not its own.
    pub fn begin(name: &str, fcinfo: pg_sys::FunctionCallInfo) -> Self {
        Self::begin_or(fcinfo, || {
            let message = format!("{name} commits after each batch and cannot run inside a transaction");
            (message, "Call it outside of a transaction block and not from a function.")
        })
    }

    /// As [`begin`](Self::begin), with another message and hint.
    pub fn begin_or(fcinfo: pg_sys::FunctionCallInfo, refusal: impl FnOnce() -> (String, &'static str)) -> Self {
        // SAFETY: a plain call without arguments.
        if is_atomic(fcinfo) || unsafe { pg_sys::InSecurityRestrictedOperation() } {
            let (message, hint) = refusal();
            raise(SqlState::ActiveTransaction, message, Some(hint));
        }
        // SAFETY: a procedure that is not called atomically may commit; each commit begins the next transaction.
        unsafe { pg_sys::SPI_connect_ext(pg_sys::SPI_OPT_NONATOMIC as i32) };
        let procedure = Self(());
        procedure.begin_anew();
        procedure
    }

    /// Commits and begins the next transaction, in which others' commits are seen as they come, whatever the session's default
    /// is: the work is on what is there now.
    fn begin_anew(&self) {
        // SAFETY: called between SPI_connect_ext and SPI_finish. The new transaction has no snapshot yet.
        unsafe {
            pg_sys::SPI_commit();
            pg_sys::SPI_start_transaction();
            pg_sys::XactIsoLevel = pg_sys::XACT_READ_COMMITTED as i32;
        }
    }

    /// Runs `f` under a snapshot and commits, so that neither outlives it.
    pub fn transaction<T>(&self, f: impl FnOnce() -> T) -> T {
        // SAFETY: the snapshot that is pushed is popped; SPI_commit leaves none behind.
        let value = unsafe {
            pg_sys::PushActiveSnapshot(pg_sys::GetTransactionSnapshot());
            let value = f();
            pg_sys::PopActiveSnapshot();
            value
        };
        self.begin_anew();
        value
    }

    pub fn end(self) {
        // SAFETY: closes what `begin` opened.
        unsafe { pg_sys::SPI_finish() };
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
