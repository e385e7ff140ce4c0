//! Statements of ours that are planned once a session: to plan one takes longer than to run it for a few rows.
#![allow(unsafe_code)]

mod read;
mod rows;

use std::cell::RefCell;
use std::collections::HashMap;
use std::mem::ManuallyDrop;
use std::rc::Rc;

use pgrx::datum::DatumWithOid;
use pgrx::pg_sys;
use pgrx::spi::{self, Spi, SpiClient};

use crate::pg::datum::to_server;
use crate::pg::settings::{SettingsLevel, set};
pub use read::{Planned, look_up, open, read};
pub use rows::{Row, Rows};

/// Plans that a session keeps at most. When there are more, it begins anew.
const AT_MOST: usize = 256;

/// What a plan is found by: how it is planned (`CURSOR_OPT_...`), types of the parameters, and the statement.
type Key = (u32, Vec<pg_sys::Oid>, String);

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
    let plan = Plan::find(pg_sys::CURSOR_OPT_GENERIC_PLAN, arguments, sql)?;
    plan.plan_by_index();
    plan.run(client, arguments, false)
}

struct Plan(pg_sys::SPIPlanPtr);

impl Drop for Plan {
    fn drop(&mut self) {
        // SAFETY: the plan is ours and kept; nobody runs it, or they would hold it.
        unsafe { pg_sys::SPI_freeplan(self.0) };
    }
}

impl Plan {
    fn find(options: u32, arguments: &[DatumWithOid<'_>], sql: &str) -> spi::Result<Rc<Self>> {
        let mut types: Vec<_> = arguments.iter().map(DatumWithOid::oid).collect();
        let key = (options, types.clone(), sql.to_owned());
        if let Some(plan) = KEPT.with(|kept| kept.borrow().get(&key).cloned()) {
            return Ok(plan);
        }
        let text = to_server(sql).ok_or_else(|| spi::Error::from(spi::SpiErrorCodes::Argument))?;
        // SAFETY: a statement and as many types as it says, under an SPI connection. An error leaves nothing behind.
        let plan = unsafe {
            let count = types.len() as i32;
            let plan = pg_sys::SPI_prepare_cursor(text.as_ptr(), count, types.as_mut_ptr(), options as i32);
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

    fn run<'a>(
        &self,
        client: &'a SpiClient<'_>,
        arguments: &[DatumWithOid<'_>],
        read_only: bool,
    ) -> spi::Result<Rows<'a>> {
        let (mut values, nulls) = values(arguments);
        // SAFETY: arguments of the types that the plan was made for.
        unsafe {
            pg_sys::SPI_tuptable = std::ptr::null_mut();
            let plan = self.0;
            Spi::check_status(pg_sys::SPI_execute_plan(plan, values.as_mut_ptr(), nulls.as_ptr(), read_only, 0))?;
        }
        Ok(Rows::of(client))
    }
}

/// Arguments as SPI takes them.
fn values(arguments: &[DatumWithOid<'_>]) -> (Vec<pg_sys::Datum>, Vec<std::ffi::c_char>) {
    arguments
        .iter()
        .map(|argument| match argument.datum() {
            Some(datum) => (datum.sans_lifetime(), b' ' as std::ffi::c_char),
            None => (pg_sys::Datum::from(0), b'n' as std::ffi::c_char),
        })
        .unzip()
}
