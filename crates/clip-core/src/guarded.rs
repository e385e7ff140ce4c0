//! Libraries that panic at bytes they do not expect: what they do is an error, and nobody's log fills with it.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use crate::memory;

thread_local! {
    /// A library is at work, whose panics are errors.
    static AT_WORK: Cell<bool> = const { Cell::new(false) };
    /// Somebody else's panic is on its way through it: of whoever wants the work to end.
    static LEAVING: Cell<bool> = const { Cell::new(false) };
}

/// Keeps the panic hook from what decoders and tokenizers do on their threads: their panics become errors of their files, and whoever
/// sends those could have the hook write as often as he likes.
pub fn quiet_libraries() {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if !AT_WORK.get() {
            hook(info);
        }
    }));
}

/// What `work` gives, or `None` where it panics. One may be in another.
pub(crate) fn guarded<R>(work: impl FnOnce() -> R) -> Option<R> {
    LEAVING.set(false);
    let before = AT_WORK.replace(true);
    let result = catch_unwind(AssertUnwindSafe(work));
    AT_WORK.set(before);
    result
        .map_err(|panic| {
            if LEAVING.get() {
                resume_unwind(panic)
            }
        })
        .ok()
}

/// [`memory::look`] for who is guarded: the panic of whoever wants the work to end passes through them.
pub(crate) fn look() {
    let at_work = AT_WORK.replace(false);
    LEAVING.set(true);
    memory::look();
    LEAVING.set(false);
    AT_WORK.set(at_work);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Error, ErrorKind};

    #[test]
    fn the_inner_of_two_guards_catches() {
        let outer = guarded(|| {
            let inner = guarded(|| -> u8 { panic!("a library") });
            assert!(AT_WORK.get());
            inner
        });
        assert_eq!((outer, AT_WORK.get()), (Some(None), false));
    }

    /// Whoever wants the work to end is not held up by either.
    #[test]
    fn who_leaves_passes_through_both() {
        let work = || {
            guarded(|| {
                guarded(|| {
                    LEAVING.set(true);
                    memory::leave(Error::new(ErrorKind::Cancelled, "enough"));
                })
            })
        };
        let left = memory::caught(|| Ok(work()));
        assert_eq!(left.unwrap_err().kind, ErrorKind::Cancelled);
        assert!(!AT_WORK.get());
        assert_eq!(guarded(|| -> u8 { panic!("a library") }), None);
    }
}
