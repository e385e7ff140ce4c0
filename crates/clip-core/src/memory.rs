//! How much memory work may take, and how much it has taken.
//!
//! A [`Budget`] is what one call may take beyond its input and the mapped weights, over all of its threads. Whoever is about to
//! allocate estimates how much from headers and lengths, and takes a [`Charge`] of it first. Images that would together
//! exceed the budget so wait for each other; one that alone exceeds it is refused. While a decoder runs under its charge, what it
//! allocates is counted (with [`Allocator`]), since a file can ask for more than its header tells.

use std::alloc::{Layout, alloc_zeroed};
use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use scopeguard::defer;

use crate::cushion::{self, Cushion};
use crate::error::{Error, Result};

pub use crate::cushion::{Allocator, expendable, is_in_use, is_short};

/// Charges below this are covered by the allocator's reserve.
const SMALL: usize = 1 << 20;
/// Bytes that a decoder may allocate beyond its charge before that has to grow, and by which it then grows at least.
const SLACK: usize = 1 << 20;

/// To be called before work begins, in a process that has the [`Allocator`]. From the first call on charges are
/// reserved.
///
/// It fails with `OutOfMemory` where the system refuses the allocator's reserve of 8 MiB.
pub fn prepare() -> Result<()> {
    cushion::prepare().map_err(|()| short())
}

/// An upper bound, in bytes, on what charges hold together.
#[derive(Debug)]
pub struct Budget {
    state: Mutex<State>,
}

/// Bytes, and words for the error.
#[derive(Debug)]
struct State {
    limit: usize,
    taken: usize,
    hint: Option<&'static str>,
}

impl Default for Budget {
    fn default() -> Self {
        Self::new(usize::MAX)
    }
}

impl Budget {
    /// A budget of `limit` bytes, without a hint.
    pub fn new(limit: usize) -> Self {
        Self { state: Mutex::new(State { limit, taken: 0, hint: None }) }
    }

    /// Sets the limit in bytes, also for charges that are waiting. `hint`: what to do about it, for the error.
    pub fn set_limit(&self, limit: usize, hint: &'static str) {
        let mut state = self.lock();
        (state.limit, state.hint) = (limit, Some(hint));
    }

    /// The limit, in bytes.
    pub fn limit(&self) -> usize {
        self.lock().limit
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The `LimitExceeded` error of `what`, which needs `bytes` where there are less. It shows both in MB.
    pub fn exceeded(&self, what: &str, bytes: usize) -> Error {
        let State { limit, hint, .. } = *self.lock();
        let megabytes = |bytes: usize| bytes.div_ceil(1 << 20);
        let message = format!("{what} needs {} MB of memory, the limit is {} MB", megabytes(bytes), limit >> 20);
        let error = Error::limit(message);
        match hint {
            Some(hint) => error.with_hint(hint),
            None => error,
        }
    }

    /// Takes `bytes`, once others have given back enough. `what` names who needs them, for the error.
    ///
    /// It [looks up](look) while it waits: a caller who stops is not kept.
    ///
    /// # Errors
    ///
    /// `LimitExceeded` where `bytes` are more than the limit, `OutOfMemory` where the system refuses to reserve them.
    pub fn charge(self: &Arc<Self>, bytes: usize, what: &str) -> Result<Charge> {
        loop {
            {
                let mut state = self.lock();
                if bytes > state.limit {
                    drop(state);
                    return Err(self.exceeded(what, bytes));
                }
                if state.taken.saturating_add(bytes) <= state.limit {
                    state.taken += bytes;
                    break;
                }
            }
            look();
            thread::sleep(Duration::from_millis(2));
        }
        let charge = Charge { budget: self.clone(), bytes: AtomicUsize::new(bytes), cushions: Mutex::default() };
        charge.reserve(bytes)?;
        Ok(charge)
    }
}

/// A share of a budget, which is given back when it is dropped.
#[derive(Debug)]
pub struct Charge {
    budget: Arc<Budget>,
    bytes: AtomicUsize,
    cushions: Mutex<Vec<Cushion>>,
}

impl Charge {
    /// Asks the system for address space, so that it refuses now what it would refuse later.
    fn reserve(&self, bytes: usize) -> Result<()> {
        if is_in_use() && bytes >= SMALL {
            let cushion = Cushion::new(bytes).map_err(|()| refused(bytes))?;
            self.cushions.lock().unwrap_or_else(PoisonError::into_inner).push(cushion);
        }
        Ok(())
    }

    /// Runs `work`, whose allocations on this thread are counted.
    ///
    /// Those beyond the charge make it grow where the budget has room. Where it has none, they are an error at the
    /// next [`look`].
    pub fn cover<R>(&self, work: impl FnOnce() -> R) -> R {
        let before = COVER.replace(Some((self, cushion::live())));
        defer! { COVER.set(before) }
        work()
    }

    /// Takes more bytes without a wait: whoever holds some and waits for more could wait for ever.
    fn grow(&self, bytes: usize) -> Result<()> {
        let mut state = self.budget.lock();
        if state.taken.saturating_add(bytes) > state.limit {
            drop(state);
            return Err(self.budget.exceeded("image", self.bytes.load(SeqCst).saturating_add(bytes)));
        }
        state.taken += bytes;
        drop(state);
        self.bytes.fetch_add(bytes, SeqCst);
        self.reserve(bytes)
    }

    /// Gives everything back to the budget and the system, before it is dropped.
    pub fn release(&self) {
        self.cushions.lock().unwrap_or_else(PoisonError::into_inner).clear();
        let mut state = self.budget.lock();
        state.taken = state.taken.saturating_sub(self.bytes.swap(0, SeqCst));
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.release();
    }
}

/// Address space kept free for what is allocated while it is there, for what no budget counts: libraries that read a
/// tokenizer.
///
/// It holds nothing where the [`Allocator`] is not in use.
#[derive(Debug)]
pub struct Headroom(#[expect(dead_code, reason = "given back when it is dropped")] Option<Cushion>);

impl Headroom {
    /// Keeps `bytes` free. `OutOfMemory` where the system refuses them.
    pub fn new(bytes: usize) -> Result<Self> {
        let cushion = (is_in_use() && bytes >= SMALL).then(|| Cushion::new(bytes).map_err(|()| refused(bytes)));
        cushion.transpose().map(Self)
    }
}

thread_local! {
    /// The charge that covers what this thread allocates, and what it had allocated when that began.
    static COVER: Cell<Option<(*const Charge, isize)>> = const { Cell::new(None) };
}

/// The `OutOfMemory` error of work during which the system has refused memory, so that the reserve had to stand in.
pub fn short() -> Error {
    Error::out_of_memory("out of memory").with_hint(SYSTEM)
}

const SYSTEM: &str = "The system, a container or a limit of the service allows no more memory.";

/// The `OutOfMemory` error of `bytes` that the system refuses.
pub fn refused(bytes: usize) -> Error {
    Error::out_of_memory(format!("out of memory: the system refuses {} MB", bytes.div_ceil(1 << 20))).with_hint(SYSTEM)
}

/// To be called in every long loop, some hundred times a second or oftener.
///
/// It asks whoever [watches](packed_gemm::watched) this thread, and compares what it has allocated with its charge.
///
/// # Panics
///
/// Where the work is to end. The panic is no fault: [`caught`] makes an [`Error`] of it, and the panic hook does not
/// hear of it.
pub fn look() {
    packed_gemm::look();
    if let Err(e) = account(0) {
        leave(e);
    }
}

/// Compares what this thread has allocated, and `more` bytes that it is about to, with the charge that covers it.
#[allow(unsafe_code)]
fn account(more: usize) -> Result<()> {
    let Some((charge, before)) = COVER.get() else { return Ok(()) };
    // SAFETY: `cover` keeps it alive as long as it is set.
    let charge = unsafe { &*charge };
    let live = usize::try_from(cushion::live().wrapping_sub(before)).unwrap_or(0).saturating_add(more);
    match live.saturating_sub(charge.bytes.load(SeqCst).saturating_add(SLACK)) {
        0 => Ok(()),
        excess => charge.grow(excess.max(SLACK)),
    }
}

/// Leaves with an error by way of a panic that no hook hears of. [`caught`] takes it up.
///
/// # Panics
///
/// Always: that is what it does.
pub fn leave(e: Error) -> ! {
    std::panic::resume_unwind(Box::new(e))
}

/// What `work` gives, or the error that it [left](leave) with. Any other panic goes on.
pub fn caught<R>(work: impl FnOnce() -> Result<R>) -> Result<R> {
    match std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)) {
        Ok(result) => result,
        Err(payload) => Err(error_of(payload)),
    }
}

/// The error that a panic stands for; any other panic goes on.
fn error_of(payload: Box<dyn std::any::Any + Send>) -> Error {
    let payload = match payload.downcast::<Error>() {
        Ok(e) => return *e,
        Err(payload) => payload,
    };
    match payload.downcast::<packed_gemm::OutOfMemory>() {
        Ok(e) => refused(e.bytes),
        Err(payload) => std::panic::resume_unwind(payload),
    }
}

/// A number of which all bits may be zero.
///
/// # Safety
///
/// Zeroed memory is a value of the type.
#[allow(unsafe_code)]
pub unsafe trait Number: Copy {}

// SAFETY: plain numbers.
#[allow(unsafe_code)]
unsafe impl Number for u8 {}
// SAFETY: as above.
#[allow(unsafe_code)]
unsafe impl Number for u16 {}
// SAFETY: as above.
#[allow(unsafe_code)]
unsafe impl Number for f32 {}

/// A buffer of `len` zeros. An abort for want of memory would end the server, so there is an error.
///
/// The memory comes zeroed from the system, page by page as it is used: a file of a few bytes that declares a large
/// picture costs next to nothing.
///
/// # Errors
///
/// `LimitExceeded` where the charge that covers this thread cannot grow to it, `OutOfMemory` where the system has no
/// such memory.
#[allow(unsafe_code)]
pub fn zeroed<T: Number>(len: usize) -> Result<Vec<T>> {
    let bytes = len.saturating_mul(size_of::<T>());
    account(bytes)?;
    if bytes == 0 {
        return Ok(Vec::new());
    }
    let layout = Layout::array::<T>(len).map_err(|_| refused(bytes))?;
    // SAFETY: the layout's size is not zero.
    let pointer = unsafe { alloc_zeroed(layout) };
    if pointer.is_null() {
        return Err(refused(bytes));
    }
    // SAFETY: allocated by the global allocator with the layout of `[T; len]`, and all its numbers are zero.
    Ok(unsafe { Vec::from_raw_parts(pointer.cast(), len, len) })
}

/// Room for exactly `additional` more elements. It fails as [`zeroed`] does, and leaves the vector as it was.
pub fn reserve<T>(vector: &mut Vec<T>, additional: usize) -> Result<()> {
    let bytes = additional.saturating_mul(size_of::<T>());
    account(bytes)?;
    vector.try_reserve_exact(additional).map_err(|_| refused(bytes))
}

/// An empty vector with room for `capacity` elements. It fails as [`zeroed`] does.
pub fn with_capacity<T>(capacity: usize) -> Result<Vec<T>> {
    let mut vector = Vec::new();
    reserve(&mut vector, capacity)?;
    Ok(vector)
}

/// A copy that fails as [`zeroed`] does, where `to_vec` would abort.
pub fn copied<T: Copy>(values: &[T]) -> Result<Vec<T>> {
    let mut copy = with_capacity(values.len())?;
    copy.extend_from_slice(values);
    Ok(copy)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn charges_take_turns() {
        let budget = Arc::new(Budget::new(10 << 20));
        let error = budget.charge(11 << 20, "a picture").unwrap_err();
        assert_eq!(error.kind, ErrorKind::LimitExceeded);
        assert_eq!(error.message, "a picture needs 11 MB of memory, the limit is 10 MB");
        let (most, now) = (AtomicUsize::new(0), AtomicUsize::new(0));
        thread::scope(|scope| {
            for i in 1..=20 {
                let (budget, most, now) = (&budget, &most, &now);
                scope.spawn(move || {
                    let bytes = (i % 10 + 1) << 20;
                    let _charge = budget.charge(bytes, "a picture").unwrap();
                    most.fetch_max(now.fetch_add(bytes, SeqCst) + bytes, SeqCst);
                    thread::sleep(Duration::from_millis(3));
                    now.fetch_sub(bytes, SeqCst);
                });
            }
        });
        assert!((10 << 20 >= most.into_inner()) && budget.lock().taken == 0);
    }

    #[test]
    fn whoever_waits_looks_up() {
        let budget = Arc::new(Budget::new(10));
        let _all = budget.charge(10, "a picture").unwrap();
        let asked = Cell::new(0);
        let ask = || {
            asked.set(asked.get() + 1);
            if asked.get() > 3 {
                leave(Error::new(ErrorKind::Cancelled, "enough"));
            }
        };
        let error = caught(|| packed_gemm::watched(&ask, || budget.charge(1, "another"))).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Cancelled);
    }

    #[test]
    fn a_reservation_that_the_system_refuses_is_an_error() {
        assert!(Cushion::new(1 << 60).is_err());
        assert!(zeroed::<u8>(1 << 60).is_err_and(|e| e.kind == ErrorKind::OutOfMemory));
        assert!(with_capacity::<u64>(1 << 58).is_err_and(|e| e.kind == ErrorKind::OutOfMemory));
    }
}
