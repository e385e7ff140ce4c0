//! The thin PostgreSQL layer over `clip-core`: arguments in, vectors out, settings, triggers, errors as SQLSTATEs.
//!
//! The SQL declarations are hand-written, in `sql/`; each names its `*_wrapper` symbol here.

mod attachment;
mod backend;
mod backfill;
mod error;
mod functions;
mod guc;
mod index_worker;
mod locks;
mod maintenance;
mod pg;
mod pipeline;
mod queue;
mod search;
mod trigger;
mod upgrade;
mod wake;
mod worker;

pgrx::pg_module_magic!();

/// Of Rust's code in this library alone; PostgreSQL's is as it was.
#[global_allocator]
static ALLOCATOR: clip_core::memory::Allocator = clip_core::memory::Allocator;

/// Registers settings, and with `shared_preload_libraries` asks for shared memory and reads the models of
/// `clip.preload` before the server forks.
/// Starts no thread and cannot fail. A second copy of the library in a process registers nothing.
#[pgrx::pg_guard]
#[allow(non_snake_case)]
pub extern "C-unwind" fn _PG_init() {
    // A panic has to become an error of one statement, not the end of the server.
    const { assert!(cfg!(panic = "unwind"), "pg_clip must be built with panic = \"unwind\"") };
    forget_backtraces();
    clip_core::quiet_libraries();
    if !guc::register() {
        return upgrade::warn_of_another_copy();
    }
    backend::stats::shared::register();
    backend::session::preload();
    worker::register();
}

/// With `RUST_BACKTRACE` in the server's environment every error would carry the library's build paths to the client.
#[allow(unsafe_code)]
fn forget_backtraces() {
    for name in ["RUST_BACKTRACE", "RUST_LIB_BACKTRACE"] {
        // SAFETY: the library is loaded by a process that has one thread.
        unsafe { std::env::remove_var(name) };
    }
}
