//! A row that a walk came to, and the table that it lies in.
#![allow(unsafe_code)]

use std::ffi::CString;

use pgrx::pg_sys::{self, Oid};
use pgrx::spi::{self, SpiClient};

use crate::error::{SqlState, raise};
use crate::pg::datum::to_server;
use crate::pipeline::{Attachment, Located, Locator, Place, Version};

/// A row that the walk came to.
pub struct Row(Locator);

impl Located for Row {
    fn locator(&self) -> &Locator {
        &self.0
    }
}

impl Row {
    pub fn new(locator: Locator) -> Self {
        Self(locator)
    }

    pub fn at_version(version: Version) -> Self {
        Self(Locator::Version(version))
    }

    pub fn at_place(place: Place) -> Self {
        Self(Locator::Version(Version { place, xmin: pg_sys::TransactionId::INVALID }))
    }

    /// With an `xmin` of 0 where only the place is known.
    pub fn at(&self) -> Version {
        self.version().unwrap_or(Version { place: Place::BEFORE_ALL, xmin: pg_sys::TransactionId::INVALID })
    }
}

/// An attached column of a table or a partition, whose lock it takes.
pub fn find(client: &mut SpiClient<'_>, part: Oid, column: &str) -> spi::Result<Option<Attachment>> {
    // SAFETY: a plain call; of an oid that is no table's nothing is found after it.
    unsafe { pg_sys::LockRelationOid(part, pg_sys::RowExclusiveLock as i32) };
    Attachment::find(client, part, column)
}

/// The embedding column, as the server writes it.
pub fn name(table: &Attachment) -> CString {
    to_server(&table.embedding).unwrap_or_default()
}

pub fn or_raise<T>(result: spi::Result<T>) -> T {
    result.unwrap_or_else(|e| raise(SqlState::UndefinedObject, e.to_string(), None))
}
