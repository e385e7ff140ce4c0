//! Attempts, bounded in number, with a wait in between.

use std::io::{IsTerminal, stderr};
use std::thread;
use std::time::Duration;

use clip_core::Result;

use super::http::{Attempt, Failure, unreadable};

/// Failures in a row, after which there is no further attempt.
const ATTEMPTS: u32 = 6;
const FIRST_WAIT: Duration = Duration::from_millis(500);
/// A server that asks for a longer wait is not waited for.
const LONGEST_WAIT: Duration = Duration::from_secs(300);

/// The failures so far.
#[derive(Default)]
pub struct Retries(u32);

impl Retries {
    /// Something was achieved: failures count from zero again.
    pub fn reset(&mut self) {
        self.0 = 0;
    }

    /// Waits before another attempt, or gives up.
    pub fn after(&mut self, failure: Failure) -> Result<()> {
        let (what, after) = match failure {
            Failure::Final(e) => return Err(e),
            Failure::Passing { what, after } => (what, after),
        };
        self.0 += 1;
        let wait = after.unwrap_or(FIRST_WAIT * 2u32.pow(self.0 - 1));
        if wait > LONGEST_WAIT {
            return Err(unreadable(what).with_hint(format!("It asks to come again in {} s.", wait.as_secs())));
        }
        if self.0 >= ATTEMPTS {
            let hint = "What was downloaded is kept: the same command goes on from there.";
            return Err(unreadable(format!("{what}, {ATTEMPTS} times")).with_hint(hint));
        }
        // On a terminal the line takes the place of the progress bar, which comes again below it.
        let clear = if stderr().is_terminal() { "\r\x1b[2K" } else { "" };
        eprintln!("{clear}pgclip: {what}; trying again in {:.1} s", wait.as_secs_f64());
        thread::sleep(wait);
        Ok(())
    }
}

/// Repeats `attempt` while its failures may pass.
pub fn retrying<T>(mut attempt: impl FnMut() -> Attempt<T>) -> Result<T> {
    let mut retries = Retries::default();
    loop {
        match attempt() {
            Ok(value) => return Ok(value),
            Err(failure) => retries.after(failure)?,
        }
    }
}
