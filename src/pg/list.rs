//! Lists of PostgreSQL's parser and planner.
#![allow(unsafe_code)]

use pgrx::pg_sys;

/// # Safety
///
/// A list of pointers, or NULL.
pub unsafe fn items(list: *const pg_sys::List) -> impl Iterator<Item = *mut std::ffi::c_void> {
    // SAFETY: the caller's promise: a list has as many elements as it says.
    unsafe {
        let list = list.as_ref();
        let count = list.map_or(0, |list| usize::try_from(list.length).unwrap_or(0));
        (0..count).filter_map(move |i| list.map(|list| (*list.elements.add(i)).ptr_value))
    }
}
