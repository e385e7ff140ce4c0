//! What is known of a row's failure is of no use once the row is another, or has its vector.
#![allow(unsafe_code)]

use std::cell::OnceCell;
use std::ffi::CStr;

use super::row::{Column, Row, Side};
use crate::pg::datum::text_array;
use crate::pg::settings::with_canonical_output;
use crate::pipeline::{failures, primary_key};

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

    pub fn is_plain(&self) -> bool {
        self.is_plain
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
        with_canonical_output(!self.is_plain, || {
            let key = text_array(self.text(row, side).into_iter());
            // SAFETY: a `text[]`.
            unsafe { failures::forget(row.relation_oid(), embedding, key) };
        });
    }
}
