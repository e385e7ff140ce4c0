//! What is known of a row's failure is of no use once the row is another, or has its vector.
#![allow(unsafe_code)]

use std::cell::OnceCell;
use std::ffi::CStr;

use pgrx::pg_sys::{self, Datum};

use super::row::{Column, Row, Side};
use crate::datum::array_of;
use crate::pipeline::{failures, primary_key};
use crate::settings::{SettingsLevel, set_canonical_output};

/// The columns that rows wait and fail under, of one table in one statement.
pub struct Key {
    columns: Vec<Column>,
    /// Are all values written alike under all settings?
    is_plain: bool,
    has_failures: OnceCell<bool>,
}

impl Key {
    /// Of the table's primary key, and of no column where it has none.
    pub fn of(row: &Row) -> Self {
        // SAFETY: the relation of the running call.
        let numbers = unsafe { primary_key(row.relation()) }.unwrap_or_default();
        let columns: Vec<Column> = numbers.into_iter().map(|number| row.column(number)).collect();
        Self { is_plain: columns.iter().all(Column::is_plain), columns, has_failures: OnceCell::new() }
    }

    pub fn is_empty(&self) -> bool {
        self.columns.is_empty()
    }

    pub fn columns(&self) -> impl Iterator<Item = &Column> {
        self.columns.iter()
    }

    /// By an UPDATE, or as the row is new.
    pub fn is_changed(&self, row: &Row) -> bool {
        self.columns.iter().any(|column| row.differs(*column))
    }

    /// Each column as its output function writes it.
    pub fn text<'a>(&self, row: &'a Row, side: Side) -> Vec<Option<&'a CStr>> {
        self.columns.iter().map(|column| row.as_c_string(*column, side)).collect()
    }

    /// Takes away the failure of the row that has, or had, this key.
    pub fn forget_failure(&self, row: &Row, side: Side, embedding: &CStr) {
        if self.is_empty() || !self.has_failures.get_or_init(|| failures::any(row.relation_oid(), embedding)) {
            return;
        }
        let level = (!self.is_plain).then(canonical);
        // SAFETY: C strings of the row, in memory that lives as long as the call; an array of texts.
        unsafe {
            let text = |text: Option<&CStr>| Datum::from(pg_sys::cstring_to_text(text.unwrap_or_default().as_ptr()));
            let mut key: Vec<Datum> = self.text(row, side).into_iter().map(text).collect();
            let mut nulls = vec![false; key.len()];
            failures::forget(row.relation_oid(), embedding, array_of(&mut key, &mut nulls, pg_sys::TEXTOID));
        }
        if let Some(level) = level {
            level.leave();
        }
    }
}

/// Settings under which values are written so that every later session reads them alike.
pub fn canonical() -> SettingsLevel {
    let level = SettingsLevel::enter();
    set_canonical_output();
    level
}
