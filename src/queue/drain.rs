//! `CALL clip_drain(relation, max_rows)`: a worker's work in the caller's session, for servers without workers.
#![allow(unsafe_code)]

use pgrx::{PgLogLevel, ereport, pg_extern, pg_sys};

use super::{BATCH, Group, Scope, Whose, claim, finish, hold, let_go, register_exit};
use crate::attachment::registry;
use crate::backend::session;
use crate::error::{SqlState, raise};
use crate::pg::procedure::Procedure;
use crate::upgrade;
use crate::wake::Barred;
use pgrx::pg_sys::errcodes::PgSqlErrorCode;

#[pg_extern(sql = false)]
fn clip_drain(relation: Option<pg_sys::Oid>, max_rows: Option<i64>, fcinfo: pg_sys::FunctionCallInfo) {
    let procedure = Procedure::begin("clip_drain", fcinfo);
    upgrade::check_schema();
    let scope = match relation {
        Some(relation) => {
            registry::check_owner(relation);
            Scope::Table(relation)
        }
        // SAFETY: plain calls without arguments.
        None => unsafe { if pg_sys::superuser() { Scope::All } else { Scope::OwnedBy(pg_sys::GetUserId()) } },
    };
    let mut left = max_rows.map_or(usize::MAX, |rows| usize::try_from(rows).unwrap_or(0));
    let (mut embedded, mut failed) = (0, 0);
    register_exit();
    let mut last = 0;
    while left > 0 {
        let batch = procedure
            .transaction(|| done_or_raise(claim(scope, left.min(BATCH), Whose::Next(last), &Barred::default())));
        hold(batch.groups.iter().flat_map(Group::ids));
        last = batch.turn.as_ref().map_or(0, |turn| turn.owner.to_u32());
        if batch.jobs == 0 {
            break;
        }
        failed += batch.failed;
        for group in batch.groups {
            let ids: Vec<i64> = group.ids().collect();
            left = left.saturating_sub(ids.len());
            let (table, done) = group.embed(&mut session::try_embed);
            let finished = procedure.transaction(|| done_or_raise(finish(&table, done)));
            let_go(ids);
            embedded += finished.embedded;
            failed += finished.failed;
        }
    }
    procedure.end();
    ereport!(
        PgLogLevel::NOTICE,
        PgSqlErrorCode::ERRCODE_SUCCESSFUL_COMPLETION,
        format!("embedded {embedded} rows, {failed} failed")
    );
}

fn done_or_raise<T>(result: pgrx::spi::Result<T>) -> T {
    result.unwrap_or_else(|e| raise(SqlState::UndefinedObject, e.to_string(), None))
}
