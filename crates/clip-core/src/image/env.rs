//! What this project's decoders are given: memory as this crate grants it, and looks.

use std::cell::Cell;

use jpeg_levels::Env;

use crate::guarded::look;
use crate::memory::zeroed;
use crate::{Error, Result};

/// Runs a decoder. Where memory was refused, that is the error, whatever the decoder made of it.
pub(super) fn within<T, E>(
    decode: impl FnOnce(&Env<'_>) -> std::result::Result<T, E>,
    refusal: impl FnOnce(E) -> Error,
) -> Result<T> {
    let refused = Cell::new(None);
    let zeroed = |len| zeroed(len).map_err(|e| refused.set(Some(e))).ok();
    decode(&Env { zeroed: &zeroed, go_on: &go_on }).map_err(|e| refused.take().unwrap_or_else(|| refusal(e)))
}

/// Looks up, which leaves by a panic where the work is to end. Else it goes on.
pub(super) fn go_on() -> bool {
    look();
    true
}
