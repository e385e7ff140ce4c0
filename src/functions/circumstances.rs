//! What a result follows beside its arguments, read for each row.
#![allow(unsafe_code)]

use pgrx::pg_sys;

use crate::guc;

/// What a result follows, beside the arguments.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Follows {
    Settings,
    /// And `clip.tables`, as the transaction has changed it, and a lock that goes with a subtransaction.
    Attachments,
}

/// The circumstances of a result: while they are the same, so is what the same arguments give.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Circumstances {
    settings: u64,
    /// Files of a model are looked at anew in each transaction.
    transaction: u32,
    /// A role must not learn by the time that it takes what another one has embedded.
    user: pg_sys::Oid,
    subtransaction: u32,
    command: u32,
}

unsafe extern "C-unwind" {
    // Declared without the guard against errors, of which these have none, since they are called for each row.
    fn GetUserId() -> pg_sys::Oid;
    fn GetCurrentSubTransactionId() -> pg_sys::SubTransactionId;
    fn GetCurrentCommandId(used: bool) -> pg_sys::CommandId;
}

impl Circumstances {
    /// `None` where changes of settings are not noticed.
    #[inline(always)]
    pub fn now(follows: Follows) -> Option<Self> {
        let settings = guc::changes()?;
        // SAFETY: a process that runs a function has its entry among the processes; the calls read variables of the process.
        unsafe {
            #[cfg(any(feature = "pg15", feature = "pg16"))]
            let transaction = (*pg_sys::MyProc).lxid;
            #[cfg(not(any(feature = "pg15", feature = "pg16")))]
            let transaction = (*pg_sys::MyProc).vxid.lxid;
            let (subtransaction, command) = match follows {
                Follows::Settings => (0, 0),
                Follows::Attachments => (GetCurrentSubTransactionId(), GetCurrentCommandId(false)),
            };
            Some(Self { settings, transaction, user: GetUserId(), subtransaction, command })
        }
    }
}
