//! When a row that could not be embedded is tried again, and when it is given up. Knows nothing of PostgreSQL but its
//! SQLSTATEs, so that all of it can be tested without a server.

use std::time::Duration;

/// A job that failed so often, for reasons that may lie in its row, is given up.
pub const MAX_ATTEMPTS: i32 = 6;
/// A job whose process died so often is given up: the first time others were worked on with it, the second time it alone.
pub const MAX_CRASHES: i32 = 2;
/// The same where the whole server was killed, or its machine: a row may be the reason of it, where memory runs out, but seldom is.
pub const MAX_KILLED_SERVERS: i32 = 4;

/// The longest pause after something that is not the row's fault.
const LONGEST: Duration = Duration::from_secs(300);
/// The shortest pause of a row that was not tried.
const SHORTEST: Duration = Duration::from_secs(5);
/// The longest pause before a row that somebody has locked is looked at again.
const LONGEST_LOCK: Duration = Duration::from_secs(60);

/// Where the reason for a failure lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// In the row, in code of its table, or nobody knows: the SQLSTATE decides.
    Row,
    /// In what is around it: no primary key yet, no model, a disk that is full.
    Environment,
    /// Code of its table took longer than it may.
    TimedOut,
    /// It was not its turn any more: the time was up, or others could not wait.
    NotTried,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Dead,
    /// Again after a pause. `counted`: as an attempt.
    Retry {
        after: Duration,
        counted: bool,
    },
}

/// `attempts`: those that failed before; `pauses`: how often it had to wait without an attempt.
pub fn after_failure(cause: Cause, sqlstate: &str, attempts: i32, pauses: i32) -> Verdict {
    let cause = if cause == Cause::Row && is_environment(sqlstate) { Cause::Environment } else { cause };
    match cause {
        Cause::Environment => Verdict::Retry { after: growing(5.0, 2.0, pauses, LONGEST), counted: false },
        // Its table waits longer and longer. The row may have been locked before, which counts among its pauses.
        Cause::NotTried => Verdict::Retry { after: after_lock(pauses).max(SHORTEST), counted: false },
        Cause::Row if is_permanent(sqlstate) => Verdict::Dead,
        Cause::Row | Cause::TimedOut if attempts + 1 >= MAX_ATTEMPTS => Verdict::Dead,
        Cause::Row | Cause::TimedOut => {
            Verdict::Retry { after: growing(5.0, 4.0, attempts, Duration::from_secs(1280)), counted: true }
        }
    }
}

/// May the row fail for another reason, or not at all, once what lies around it is as it has to be?
pub fn is_of_environment(cause: Cause, sqlstate: &str) -> bool {
    cause == Cause::Environment || is_environment(sqlstate)
}

/// `crashes`: this one included. `of_server`: no process was left of the server.
pub fn after_crash(crashes: i32, of_server: bool) -> Verdict {
    if crashes >= if of_server { MAX_KILLED_SERVERS } else { MAX_CRASHES } {
        Verdict::Dead
    } else {
        Verdict::Retry { after: Duration::ZERO, counted: true }
    }
}

/// Before a row that somebody has locked, or is changing, is looked at again: a quarter of the time that it has waited, so that
/// it is embedded soon after a short lock and costs little under a long one.
pub fn after_lock(pauses: i32) -> Duration {
    growing(1.0, 1.25, pauses, LONGEST_LOCK)
}

/// After `strikes` times that code of a table took too long, or that it lacked what it needs, none of its rows is taken for a
/// while.
pub fn after_strikes(strikes: u32) -> Duration {
    growing(5.0, 2.0, i32::try_from(strikes).unwrap_or(i32::MAX).saturating_sub(1), LONGEST)
}

fn growing(first: f64, factor: f64, times: i32, longest: Duration) -> Duration {
    Duration::from_secs_f64((first * factor.powi(times.clamp(0, 64))).min(longest.as_secs_f64()))
}

/// Would the same input fail in the same way again? Classes: data exception, integrity constraint, feature not supported,
/// program limit exceeded.
fn is_permanent(sqlstate: &str) -> bool {
    ["22", "23", "0A", "54"].iter().any(|class| sqlstate.starts_with(class))
}

/// Is it a fault that passes without anybody touching the row, however long it lasts? Connection exceptions, servers that end
/// or do not answer yet, system errors and missing files, and what a server can run out of. Memory (53200) is not among
/// them, as the row itself may be what needs too much of it.
fn is_environment(sqlstate: &str) -> bool {
    ["08", "57P", "58"].iter().any(|class| sqlstate.starts_with(class))
        || ["53000", "53100", "53300", "53400"].contains(&sqlstate)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pause(verdict: Verdict) -> (u64, bool) {
        match verdict {
            Verdict::Retry { after, counted } => (after.as_secs(), counted),
            Verdict::Dead => panic!("given up"),
        }
    }

    #[test]
    fn what_would_come_again_is_given_up_at_once() {
        for sqlstate in ["22P03", "23514", "0A000", "54000"] {
            assert_eq!(after_failure(Cause::Row, sqlstate, 0, 0), Verdict::Dead, "{sqlstate}");
        }
    }

    #[test]
    fn other_failures_are_tried_six_times_with_growing_pauses() {
        for sqlstate in ["P0001", "57014", "40001", "40P01", "53200", "42501", "XX000", "55P03"] {
            let pauses: Vec<_> = (0..5).map(|n| pause(after_failure(Cause::Row, sqlstate, n, 0))).collect();
            assert_eq!(pauses, [(5, true), (20, true), (80, true), (320, true), (1280, true)], "{sqlstate}");
            assert_eq!(after_failure(Cause::Row, sqlstate, 5, 0), Verdict::Dead);
            assert_eq!(after_failure(Cause::Row, sqlstate, i32::MAX - 1, 0), Verdict::Dead);
        }
        assert_eq!(pause(after_failure(Cause::TimedOut, "57014", 0, 0)), (5, true));
        assert_eq!(after_failure(Cause::TimedOut, "57014", 5, 0), Verdict::Dead);
    }

    #[test]
    fn faults_of_the_surroundings_are_never_given_up() {
        for sqlstate in ["08001", "08006", "57P01", "57P02", "57P03", "58030", "58P01", "53100", "53300"] {
            let pauses: Vec<_> = [0, 1, 2, 5, 6, 1000].map(|n| pause(after_failure(Cause::Row, sqlstate, 0, n))).into();
            assert_eq!(pauses, [(5, false), (10, false), (20, false), (160, false), (300, false), (300, false)]);
        }
        // whatever the SQLSTATE, where we know it better: a table without a key, a model that is not installed
        for sqlstate in ["55000", "42704", "22000"] {
            assert_eq!(pause(after_failure(Cause::Environment, sqlstate, 100, 0)), (5, false));
        }
    }

    #[test]
    fn rows_that_were_not_tried_wait_no_longer_than_locked_ones() {
        let pauses = [0, 5, 10, i32::MAX].map(|n| pause(after_failure(Cause::NotTried, "57014", 100, n)));
        assert_eq!(pauses, [(5, false), (5, false), (9, false), (60, false)]);
    }

    #[test]
    fn a_process_may_die_twice_of_a_row() {
        assert_eq!(pause(after_crash(1, false)), (0, true));
        assert_eq!(after_crash(2, false), Verdict::Dead);
        assert_eq!(pause(after_crash(3, true)), (0, true));
        assert_eq!(after_crash(4, true), Verdict::Dead);
    }

    #[test]
    fn locked_rows_wait_a_quarter_of_what_they_have_waited() {
        assert_eq!(after_lock(0), Duration::from_secs(1));
        let (mut waited, mut looks) = (0.0, 0);
        while waited < 600.0 {
            let next = after_lock(looks).as_secs_f64();
            assert!(next <= 60.0 && next <= 1.0 + 0.3 * waited, "{next} after {waited}");
            (waited, looks) = (waited + next, looks + 1);
        }
        assert!(looks < 30, "{looks}");
        assert_eq!(after_lock(i32::MAX), Duration::from_secs(60));
    }

    #[test]
    fn tables_that_take_too_long_wait_longer_and_longer() {
        assert_eq!([0, 1, 2, 3, 50].map(|n| after_strikes(n).as_secs()), [5, 5, 10, 20, 300]);
    }
}
