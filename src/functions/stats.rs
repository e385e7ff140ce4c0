//! `clip_stats` and `clip_stats_reset`.

use pgrx::iter::TableIterator;
use pgrx::{name, pg_extern};

use crate::backend::session;
use crate::backend::stats;

/// Counters of all sessions where they are shared, else, or where it is asked for, of this one.
#[pg_extern(sql = false)]
#[allow(clippy::type_complexity)]
fn clip_counters(
    of_session: bool,
) -> TableIterator<
    'static,
    (
        name!(model, String),
        name!(kind, String),
        name!(calls, i64),
        name!(items, i64),
        name!(memo_hits, i64),
        name!(errors, i64),
        name!(errors_by_sqlstate, String),
        name!(total_ms, f64),
        name!(max_ms, f64),
        name!(batches, i64),
        name!(largest_batch, i64),
        name!(shared, bool),
    ),
> {
    let shared = !of_session && stats::shared::available();
    TableIterator::new(session::counters(shared).into_iter().map(move |(model, kind, c)| {
        let (calls, items, memo_hits) = (c.calls as i64, c.items as i64, c.memo_hits as i64);
        let (errors, by_sqlstate) = (c.errors() as i64, c.errors_by_sqlstate());
        let (batches, largest) = (c.batches as i64, c.largest_batch as i64);
        let kind = kind.name().to_owned();
        (model, kind, calls, items, memo_hits, errors, by_sqlstate, c.total_ms(), c.max_ms(), batches, largest, shared)
    }))
}

#[pg_extern(sql = false)]
fn clip_reset_counters() {
    session::reset_counters();
}
