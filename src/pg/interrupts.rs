//! How Ctrl-C, `statement_timeout` and `pg_terminate_backend` reach the engine.

#![allow(unsafe_code)]

use pgrx::pg_sys;

/// Sets what a process of ours does on a signal. Version 18 has given the function of the server another name.
#[cfg(not(feature = "pg18"))]
pub use pg_sys::pqsignal;
#[cfg(feature = "pg18")]
pub use pg_sys::pqsignal_be as pqsignal;

/// The engine's `stop`, asked between layers on the backend's main thread.
///
/// Where an interrupt is pending, PostgreSQL handles it here: an error comes back as a Rust panic, which unwinds
/// through the engine and drops everything it owns; an interrupt that is no error (a changed configuration file, say)
/// is dealt with and the work goes on. A fatal one does not come back: see [`register_exit`].
pub fn stop() -> bool {
    pgrx::check_for_interrupts!();
    false
}

/// Has `halt` called before a process that exits frees what the engine's threads read: a terminated backend exits from within
/// [`stop`], with images of the call being decoded. `halt` cannot fail, so needs no guard.
pub fn register_exit(halt: unsafe extern "C-unwind" fn(std::ffi::c_int, pg_sys::Datum)) {
    // SAFETY: called once in a process, one of the twenty calls that PostgreSQL has room for. The function runs before
    // those registered earlier, among them the one that ends the transaction and frees its memory.
    unsafe { pg_sys::before_shmem_exit(Some(halt), pg_sys::Datum::from(0)) };
}
