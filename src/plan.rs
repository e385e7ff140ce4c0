//! Statements of ours that are planned once a session: to plan one takes longer than to run it for a few rows.
#![allow(unsafe_code)]

use std::cell::RefCell;
use std::collections::HashMap;
use std::ffi::CStr;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::rc::Rc;

use pgrx::datum::{DatumWithOid, FromDatum, IntoDatum};
use pgrx::pg_sys;
use pgrx::spi::{self, Spi, SpiClient};

use crate::datum::{from_server, to_server};
use crate::settings::{SettingsLevel, set};

/// Plans that a session keeps at most. When there are more, it begins anew.
const AT_MOST: usize = 256;

/// What a plan is found by: types of the parameters, and the statement.
type Key = (Vec<pg_sys::Oid>, String);

thread_local! {
    // Never dropped: when the process ends, the server's memory may be gone before it is.
    static KEPT: ManuallyDrop<RefCell<HashMap<Key, Rc<Plan>>>> = ManuallyDrop::default();
}

/// Runs a statement under a plan that is kept. PostgreSQL makes a new one after changes of the tables. Whose rights the
/// statement runs with is a question of each call.
///
/// Rows are found by an index, whatever statistics say: those of a queue that is filled and emptied are never right, and a
/// plan that was made for an empty table would be kept when it is not any more.
pub fn run<'a>(client: &'a SpiClient<'_>, sql: &str, arguments: &[DatumWithOid<'_>]) -> spi::Result<Rows<'a>> {
    let plan = Plan::find(arguments.iter().map(DatumWithOid::oid).collect(), sql)?;
    plan.plan_by_index();
    plan.run(client, arguments)
}

struct Plan(pg_sys::SPIPlanPtr);

impl Drop for Plan {
    fn drop(&mut self) {
        // SAFETY: the plan is ours and kept; nobody runs it, or they would hold it.
        unsafe { pg_sys::SPI_freeplan(self.0) };
    }
}

impl Plan {
    fn find(mut types: Vec<pg_sys::Oid>, sql: &str) -> spi::Result<Rc<Self>> {
        let key = (types.clone(), sql.to_owned());
        if let Some(plan) = KEPT.with(|kept| kept.borrow().get(&key).cloned()) {
            return Ok(plan);
        }
        let text = to_server(sql).ok_or_else(|| spi::Error::from(spi::SpiErrorCodes::Argument))?;
        // SAFETY: a statement and as many types as it says, under an SPI connection. An error leaves nothing behind.
        let plan = unsafe {
            let options = pg_sys::CURSOR_OPT_GENERIC_PLAN as i32;
            let plan = pg_sys::SPI_prepare_cursor(text.as_ptr(), types.len() as i32, types.as_mut_ptr(), options);
            if plan.is_null() {
                Spi::check_status(pg_sys::SPI_result)?;
                return Err(spi::SpiErrorCodes::Argument.into());
            }
            let kept = pg_sys::SPI_keepplan(plan);
            if kept != 0 {
                Spi::check_status(kept)?;
            }
            Rc::new(Self(plan))
        };
        KEPT.with(|kept| {
            let mut kept = kept.borrow_mut();
            if kept.len() >= AT_MOST {
                kept.clear();
            }
            kept.insert(key, plan.clone());
        });
        Ok(plan)
    }

    /// Plans, where there is no plan that is still valid.
    fn plan_by_index(&self) {
        let level = SettingsLevel::enter();
        for method in [c"enable_sort", c"enable_bitmapscan", c"enable_seqscan", c"enable_hashjoin", c"enable_mergejoin"]
        {
            set(method, c"off");
        }
        // SAFETY: a kept plan of one statement. What it locks stays locked, so that it is still valid when it runs.
        unsafe {
            let plan = pg_sys::SPI_plan_get_cached_plan(self.0);
            if !plan.is_null() {
                pg_sys::ReleaseCachedPlan(plan, pg_sys::CurrentResourceOwner);
            }
        }
        level.leave();
    }

    fn run<'a>(&self, _client: &'a SpiClient<'_>, arguments: &[DatumWithOid<'_>]) -> spi::Result<Rows<'a>> {
        let (mut values, nulls): (Vec<_>, Vec<_>) = arguments
            .iter()
            .map(|argument| match argument.datum() {
                Some(datum) => (datum.sans_lifetime(), b' ' as std::ffi::c_char),
                None => (pg_sys::Datum::from(0), b'n' as std::ffi::c_char),
            })
            .unzip();
        // SAFETY: arguments of the types that the plan was made for; the results belong to the SPI connection, which
        // `client` is.
        unsafe {
            pg_sys::SPI_tuptable = std::ptr::null_mut();
            Spi::check_status(pg_sys::SPI_execute_plan(self.0, values.as_mut_ptr(), nulls.as_ptr(), false, 0))?;
            let count = usize::try_from(pg_sys::SPI_processed).unwrap_or(0);
            Ok(Rows { table: pg_sys::SPI_tuptable, count, connection: PhantomData })
        }
    }
}

/// What a statement gave, as long as the SPI connection lasts.
pub struct Rows<'a> {
    table: *mut pg_sys::SPITupleTable,
    count: usize,
    connection: PhantomData<&'a ()>,
}

impl<'a> Rows<'a> {
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
