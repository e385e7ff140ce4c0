//! Work that somebody waits for looks up now and then.
//!
//! A thread that computes sets what it is to look for; whatever it runs calls [`look`] in its long loops, as the loops of a
//! [`ThreadPool`](crate::ThreadPool) do before each task. Who wants the work to end leaves by a panic, which unwinds through it.

use std::cell::Cell;

use scopeguard::defer;

thread_local! {
    static WATCH: Cell<Option<*const dyn Fn()>> = const { Cell::new(None) };
}

/// Runs `work`, in which this thread calls `ask` at every [`look`]. Where `ask` panics, the panic goes through `work`
/// and on.
///
/// Calls may be nested: the inner one counts as long as it runs.
#[allow(unsafe_code)]
pub fn watched<R>(ask: &dyn Fn(), work: impl FnOnce() -> R) -> R {
    // SAFETY: only the lifetime changes. The pointer is taken away again when this function is left, by a panic, too.
    let ask = unsafe { std::mem::transmute::<*const dyn Fn(), *const (dyn Fn() + 'static)>(ask) };
    let before = WATCH.replace(Some(ask));
    defer! { WATCH.set(before) }
    work()
}

/// Calls what this thread is [`watched`] by, if it is.
///
/// # Panics
/// Where that leaves by a panic, to end the work.
#[inline]
#[allow(unsafe_code)]
pub fn look() {
    if let Some(ask) = WATCH.get() {
        // SAFETY: `watched` keeps it alive as long as it is set.
        unsafe { (*ask)() };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::panic::{AssertUnwindSafe, catch_unwind};

    #[test]
    fn looks_as_long_as_it_is_watched() {
        let (outer, inner) = (Cell::new(0), Cell::new(0));
        watched(&|| outer.set(outer.get() + 1), || {
            look();
            watched(&|| inner.set(inner.get() + 1), look);
            look();
            assert!(catch_unwind(AssertUnwindSafe(|| watched(&|| panic!("enough"), look))).is_err());
            look();
        });
        look();
        assert_eq!((outer.get(), inner.get()), (3, 1));
    }
}
