//! Panics of libraries, which clip-core makes errors of the files.

use std::panic::{set_hook, take_hook};
use std::sync::Once;

/// Has libFuzzer's hook, which ends the process, look away from panics in other projects' crates. One that is not caught is a finding
/// even so, and a picture's error tells of one that is caught last.
pub fn may_panic() {
    static SET: Once = Once::new();
    SET.call_once(|| {
        let hook = take_hook();
        set_hook(Box::new(move |info| {
            if !info.location().is_some_and(|place| place.file().contains("/registry/src/")) {
                hook(info);
            }
        }));
    });
}
