//! What can be wrong with a product: lengths, and memory that the system refuses.

use std::fmt;
use std::panic::resume_unwind;

/// Lengths that do not belong together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShapeError {
    /// Of what the length is.
    pub(crate) what: &'static str,
    /// The length that was given.
    pub(crate) given: usize,
    /// The length that would fit.
    pub(crate) expected: usize,
}

impl fmt::Display for ShapeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is {}, expected {}", self.what, self.given, self.expected)
    }
}

impl std::error::Error for ShapeError {}

/// The error of a length that is not the expected one.
pub fn check(what: &'static str, given: usize, expected: usize) -> Result<(), ShapeError> {
    if given == expected { Ok(()) } else { Err(ShapeError { what, given, expected }) }
}

/// What a loop leaves with where the system refuses it memory: a panic's payload, as its results have no place for it.
#[derive(Clone, Copy, Debug)]
pub struct OutOfMemory {
    /// What the loop has asked for.
    pub bytes: usize,
}

impl OutOfMemory {
    /// Leaves by a panic that no hook hears of.
    pub fn unwind(bytes: usize) -> ! {
        resume_unwind(Box::new(Self { bytes }))
    }
}

/// Ends the loop where memory was not reserved.
pub fn reserved<E>(result: Result<(), E>, bytes: usize) {
    if result.is_err() {
        OutOfMemory::unwind(bytes);
    }
}
