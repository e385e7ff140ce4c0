//! Statements that only read, under the caller's snapshot. All but look-ups are planned anew for each run: which way is the best
//! depends on the values.

use std::marker::PhantomData;
use std::rc::Rc;

use pgrx::datum::DatumWithOid;
use pgrx::pg_sys;
use pgrx::spi::{self, SpiClient};

use super::{Plan, Rows, values};
use crate::pg::list::items;

/// Parsed once a session.
const OPTIONS: u32 = pg_sys::CURSOR_OPT_CUSTOM_PLAN | pg_sys::CURSOR_OPT_NO_SCROLL;

/// Planned once a session, too.
const LOOK_UP: u32 = pg_sys::CURSOR_OPT_GENERIC_PLAN | pg_sys::CURSOR_OPT_NO_SCROLL;

/// All rows of a statement, by parallel workers where they are of use.
pub fn read<'a>(client: &'a SpiClient<'_>, sql: &str, arguments: &[DatumWithOid<'_>]) -> spi::Result<Rows<'a>> {
    Plan::find(OPTIONS | pg_sys::CURSOR_OPT_PARALLEL_OK, arguments, sql)?.run(client, arguments, true)
}

/// A look-up by a key, whose plan is kept.
pub fn look_up<'a>(client: &'a SpiClient<'_>, sql: &str, arguments: &[DatumWithOid<'_>]) -> spi::Result<Rows<'a>> {
    Plan::find(LOOK_UP, arguments, sql)?.run(client, arguments, true)
}

/// A statement that is planned, and has not run yet.
pub struct Opened<'a> {
    portal: pg_sys::Portal,
    _plan: Rc<Plan>,
    connection: PhantomData<&'a ()>,
}

/// Does the best way depend on the values?
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Planned {
    /// No: the plan is kept.
    Once,
    /// Yes.
    EachTime,
}

/// Without parallel workers: whoever fetches some rows gets none.
pub fn open<'a>(
    _client: &'a SpiClient<'_>,
    planned: Planned,
    sql: &str,
    arguments: &[DatumWithOid<'_>],
) -> spi::Result<Opened<'a>> {
    let options = match planned {
        Planned::Once => LOOK_UP,
        Planned::EachTime => OPTIONS,
    };
    let plan = Plan::find(options, arguments, sql)?;
    let (mut values, nulls) = values(arguments);
    // SAFETY: arguments of the types that the plan was made for. The portal holds what it needs of the plan; if an error
    // comes, the (sub)transaction's abort closes it.
    let portal =
        unsafe { pg_sys::SPI_cursor_open(std::ptr::null(), plan.0, values.as_mut_ptr(), nulls.as_ptr(), true) };
    Ok(Opened { portal, _plan: plan, connection: PhantomData })
}

impl<'a> Opened<'a> {
    /// The indexes that give rows in the order of a distance.
    pub fn ordering_indexes(&self) -> Vec<pg_sys::Oid> {
        let mut found = Vec::new();
        // SAFETY: an open portal has its planned statements.
        unsafe {
            for statement in items((*self.portal).stmts) {
                collect((*statement.cast::<pg_sys::PlannedStmt>()).planTree, &mut found);
            }
        }
        found
    }

    pub fn fetch(&self, client: &'a SpiClient<'_>, count: usize) -> Rows<'a> {
        // SAFETY: the portal is open. The rows are the connection's, also when it is closed.
        unsafe {
            pg_sys::SPI_tuptable = std::ptr::null_mut();
            pg_sys::SPI_cursor_fetch(self.portal, true, count as _);
        }
        Rows::of(client)
    }

    pub fn close(self) {
        // SAFETY: the portal is open, and ours.
        unsafe { pg_sys::SPI_cursor_close(self.portal) };
    }
}

/// # Safety
///
/// A plan, or NULL.
unsafe fn collect(plan: *const pg_sys::Plan, found: &mut Vec<pg_sys::Oid>) {
    // SAFETY: the caller's promise. A node's tag says what it is.
    unsafe {
        let Some(node) = plan.as_ref() else { return };
        let children = match node.type_ {
            pg_sys::NodeTag::T_IndexScan => {
                let scan = &*plan.cast::<pg_sys::IndexScan>();
                if !scan.indexorderby.is_null() {
                    found.push(scan.indexid);
                }
                return;
            }
            pg_sys::NodeTag::T_Append => (*plan.cast::<pg_sys::Append>()).appendplans,
            pg_sys::NodeTag::T_MergeAppend => (*plan.cast::<pg_sys::MergeAppend>()).mergeplans,
            pg_sys::NodeTag::T_SubqueryScan => {
                collect((*plan.cast::<pg_sys::SubqueryScan>()).subplan, found);
                std::ptr::null_mut()
            }
            _ => std::ptr::null_mut(),
        };
        for child in items(children) {
            collect(child.cast(), found);
        }
        collect(node.lefttree, found);
        collect(node.righttree, found);
    }
}
