//! Ctrl-C and termination in the middle of long work.

use std::thread;

use clip_core::{Error, Result};
use nix::sys::signal::{SigHandler, SigSet, Signal, raise, signal};

/// From now on SIGINT, SIGTERM and SIGHUP run `farewell` before they end the program, whatever the main thread waits for.
///
/// A thread takes the signals, so that `farewell` is ordinary code: it may print and remove files. Called before other
/// threads are made, as they inherit which signals are blocked.
pub fn on_cancel(farewell: impl FnOnce() + Send + 'static) -> Result<()> {
    let failed = |e: nix::Error| Error::internal(format!("could not set up signals: {e}"));
    let mut signals = SigSet::empty();
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        signals.add(signal);
    }
    signals.thread_block().map_err(failed)?;
    thread::spawn(move || {
        let Ok(signal) = signals.wait() else { return };
        farewell();
        // The caller of this program is told by which signal it ended, as if nothing had been caught.
        let _ = signals.thread_unblock();
        let _ = raise(signal);
        std::process::exit(128 + signal as i32);
    });
    Ok(())
}

/// From now on to write to somebody who is gone is an error of that write, and does not end the program: a server lives longer than its clients.
#[allow(unsafe_code)]
pub fn outlive_readers() {
    // SAFETY: to ignore a signal is no function that could be called at a bad moment.
    let _ = unsafe { signal(Signal::SIGPIPE, SigHandler::SigIgn) };
}
