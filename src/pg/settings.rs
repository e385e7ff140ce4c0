//! PostgreSQL's settings, changed for a while.
#![allow(unsafe_code)]

use std::ffi::CStr;

use pgrx::pg_sys;

/// Between its two calls what [`set`] does is not for longer; an abort of the (sub)transaction leaves it, too.
pub struct SettingsLevel(i32);

impl SettingsLevel {
    pub fn enter() -> Self {
        // SAFETY: a counter goes up.
        Self(unsafe { pg_sys::NewGUCNestLevel() })
    }

    pub fn leave(self) {
        // SAFETY: the level was entered, and those inside of it were left, in a (sub)transaction that is not aborted.
        unsafe { pg_sys::AtEOXact_GUC(false, self.0) }
    }
}

/// A setting until the end of the enclosing level.
pub fn set(name: &CStr, value: &CStr) {
    // SAFETY: NUL-terminated strings of a setting that exists in every version, and a value it takes.
    unsafe {
        pg_sys::set_config_option(
            name.as_ptr(),
            value.as_ptr(),
            pg_sys::GucContext::PGC_USERSET,
            pg_sys::GucSource::PGC_S_SESSION,
            pg_sys::GucAction::GUC_ACTION_SAVE,
            true,
            0,
            false,
        );
    }
}

/// Runs `f` with [`set_canonical_output`] where that is needed: to change settings takes a writer longer than to enqueue a row.
pub fn with_canonical_output<R>(needed: bool, f: impl FnOnce() -> R) -> R {
    if !needed {
        return f();
    }
    let level = SettingsLevel::enter();
    set_canonical_output();
    let result = f();
    level.leave();
    result
}

/// Settings under which values are written so that every later session reads them alike, until the end of the enclosing level.
pub fn set_canonical_output() {
    for (setting, value) in [
        (c"search_path", c"pg_catalog, pg_temp"),
        (c"datestyle", c"ISO"),
        (c"intervalstyle", c"postgres"),
        (c"extra_float_digits", c"3"),
        (c"bytea_output", c"hex"),
    ] {
        set(setting, value);
    }
}
