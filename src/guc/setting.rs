//! A setting as this copy of the library sees it, whichever copy defined it, and how often settings have changed.

use std::ffi::CStr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use pgrx::guc::{GucSetting, GucValue};
use pgrx::pg_sys;

/// A setting of the library. Where another copy of it defined them before this one came, SET writes that copy's variables, which
/// are read by their names.
pub struct Setting<T: GucValue> {
    pub name: &'static CStr,
    pub value: GucSetting<T>,
}

static DEFINED_ELSEWHERE: AtomicBool = AtomicBool::new(false);

/// Another copy of the library has defined the settings.
pub fn leave_to_another_copy() {
    DEFINED_ELSEWHERE.store(true, Relaxed);
}

/// How often a setting that a vector or a hash follows was set.
static CHANGES: AtomicU64 = AtomicU64::new(0);

/// A number that is another one as soon as a setting has changed by which the same input may give another result: model,
/// precision, directory of models, limits of images and how they are read. `None` where another copy of the library is told of changes.
pub fn changes() -> Option<u64> {
    (!DEFINED_ELSEWHERE.load(Relaxed)).then(|| CHANGES.load(Relaxed))
}

/// Hooks that PostgreSQL calls whenever it sets a value, also when a transaction or a function takes it back. They cannot fail.
#[allow(unsafe_code)]
pub mod assigned {
    use super::{CHANGES, Relaxed};
    use std::ffi::{c_char, c_int, c_void};

    pub unsafe extern "C-unwind" fn string(_value: *const c_char, _extra: *mut c_void) {
        CHANGES.fetch_add(1, Relaxed);
    }

    pub unsafe extern "C-unwind" fn number(_value: c_int, _extra: *mut c_void) {
        CHANGES.fetch_add(1, Relaxed);
    }
}

impl<T: GucValue> Setting<T> {
    pub const fn new(name: &'static CStr, value: GucSetting<T>) -> Self {
        Self { name, value }
    }

    /// `parse` gives the value of what another copy's variable reads; one that it does not know has its default.
    pub fn get(&self, parse: impl FnOnce(String) -> Option<T>) -> T {
        let elsewhere = DEFINED_ELSEWHERE.load(Relaxed).then(|| shown(self.name)).flatten();
        elsewhere.and_then(parse).unwrap_or_else(|| self.value.get())
    }

    /// The value that RESET would give, as text: what configuration, database, role and connection say. `None` where another copy of
    /// the library, an older one, knows no such setting.
    #[allow(unsafe_code)]
    pub fn unset(&self) -> Option<String> {
        if !is_defined(self.name) {
            return None;
        }
        // SAFETY: a look-up by a NUL-terminated name of a setting that exists; the value is copied before the next one.
        unsafe {
            let value = pg_sys::GetConfigOptionResetString(self.name.as_ptr());
            (!value.is_null()).then(|| CStr::from_ptr(value).to_string_lossy().into_owned())
        }
    }
}

/// The value of a setting that exists.
#[allow(unsafe_code)]
fn shown(name: &CStr) -> Option<String> {
    // SAFETY: a look-up by a NUL-terminated name; the value is copied before the next one.
    unsafe {
        let value = pg_sys::GetConfigOption(name.as_ptr(), true, false);
        (!value.is_null()).then(|| CStr::from_ptr(value).to_string_lossy().into_owned())
    }
}

/// Has a library defined it, or is it only a line of a configuration file?
#[allow(unsafe_code)]
pub fn is_defined(name: &CStr) -> bool {
    // SAFETY: a look-up by a NUL-terminated name.
    let flags = unsafe { pg_sys::GetConfigOptionFlags(name.as_ptr(), true) };
    shown(name).is_some() && flags & pg_sys::GUC_CUSTOM_PLACEHOLDER as i32 == 0
}
