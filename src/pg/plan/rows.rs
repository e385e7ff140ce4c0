//! What a statement gave.

use std::ffi::CStr;
use std::marker::PhantomData;

use pgrx::datum::{FromDatum, IntoDatum};
use pgrx::pg_sys;
use pgrx::spi::{self, SpiClient};

use crate::pg::datum::from_server;

/// What a statement gave, as long as the SPI connection lasts.
pub struct Rows<'a> {
    table: *mut pg_sys::SPITupleTable,
    count: usize,
    connection: PhantomData<&'a ()>,
}

impl<'a> Rows<'a> {
    /// Those of the statement that has just run, which belong to the SPI connection.
    pub(super) fn of(_client: &'a SpiClient<'_>) -> Self {
        // SAFETY: plain variables of the backend's one thread.
        let (table, count) = unsafe { (pg_sys::SPI_tuptable, pg_sys::SPI_processed) };
        Self { table, count: usize::try_from(count).unwrap_or(0), connection: PhantomData }
    }

    /// Rows that the statement gave or wrote.
    pub fn count(&self) -> usize {
        self.count
    }

    pub fn iter(&self) -> impl Iterator<Item = Row<'a>> {
        // SAFETY: a table of results that its connection holds, with `numvals` tuples of its descriptor.
        unsafe {
            let tuples = match self.table.as_ref() {
                Some(table) if table.numvals > 0 => std::slice::from_raw_parts(table.vals, table.numvals as usize),
                _ => &[],
            };
            let table = self.table;
            tuples.iter().map(move |tuple| Row { tuple: *tuple, descriptor: (*table).tupdesc, connection: PhantomData })
        }
    }
}

#[derive(Clone, Copy)]
pub struct Row<'a> {
    tuple: pg_sys::HeapTuple,
    descriptor: pg_sys::TupleDesc,
    connection: PhantomData<&'a ()>,
}

impl Row<'_> {
    /// The value of a column, from 1, as PostgreSQL has it; `None` for NULL.
    pub fn datum(&self, column: i32) -> Option<pg_sys::Datum> {
        let mut null = false;
        // SAFETY: tuple and descriptor belong together; a column that is not there is NULL.
        let datum = unsafe { pg_sys::SPI_getbinval(self.tuple, self.descriptor, column, &mut null) };
        (!null).then_some(datum)
    }

    /// A `text` or `name` as Rust has it.
    pub fn text(&self, column: i32) -> Option<String> {
        // SAFETY: as above; the output function gives a palloc'd C string, or NULL for NULL.
        unsafe {
            let text = pg_sys::SPI_getvalue(self.tuple, self.descriptor, column);
            (!text.is_null()).then(|| from_server(CStr::from_ptr(text)))
        }
    }

    pub fn get<T: FromDatum + IntoDatum>(&self, column: i32) -> spi::Result<Option<T>> {
        let datum = self.datum(column);
        // SAFETY: a value and its type, which is checked to be one that `T` is made of.
        unsafe {
            let oid = pg_sys::SPI_gettypeid(self.descriptor, column);
            Ok(T::try_from_datum(datum.unwrap_or(pg_sys::Datum::from(0)), datum.is_none(), oid)?)
        }
    }
}
