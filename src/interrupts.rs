//! How Ctrl-C, `statement_timeout` and `pg_terminate_backend` reach the engine.

/// The engine's `stop`, asked between layers on the backend's main thread.
///
/// Where an interrupt is pending, PostgreSQL handles it here: an error comes back as a Rust panic, which unwinds
/// through the engine and drops everything it owns; an interrupt that is no error (a changed configuration file, say)
/// is dealt with and the work goes on.
pub fn stop() -> bool {
    pgrx::check_for_interrupts!();
    false
}
