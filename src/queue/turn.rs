//! Whose turn it is: jobs of one table at a time, and its partitions', so that no table's rows wait behind what another
//! table's owner lets happen. Owners take turns.

use pgrx::pg_sys::Oid;
use pgrx::spi::{self, SpiClient};

use crate::pg::plan;
use crate::wake::Barred;

/// Whose jobs may be taken.
#[derive(Clone, Copy)]
pub enum Scope {
    /// Of one table and its partitions.
    Table(Oid),
    /// Of tables that this role owns.
    OwnedBy(Oid),
    All,
}

/// A table whose rows are worked on together, a partitioned one with its partitions.
#[derive(Clone, Debug)]
pub struct Turn {
    pub owner: Oid,
    pub root: Oid,
    /// Those with jobs, the one whose job has waited longest first.
    pub relations: Vec<Oid>,
    /// Is another table with jobs waiting for its turn?
    pub others: bool,
    /// When a job is due that has to wait for its time, in PostgreSQL's time.
    pub next_due: Option<i64>,
    /// The server's clock was set back: new jobs lie in its future.
    pub clock_was_set_back: bool,
}

/// A relation with jobs that are neither claimed nor given up.
struct Waiting {
    relation: Oid,
    owner: Oid,
    root: Oid,
    /// When its next job is due, in PostgreSQL's time.
    due: i64,
    ready: bool,
    is_in_scope: bool,
    from_the_future: bool,
}

/// The next table, of an owner after `last` in the order of their numbers, begun anew at the end.
pub fn next(client: &mut SpiClient<'_>, scope: Scope, last: u32, barred: &Barred) -> spi::Result<Option<Turn>> {
    let waiting = waiting(client, scope)?;
    let next_due = waiting.iter().filter(|w| !w.ready).map(|w| w.due).min();
    let mut ready: Vec<Waiting> = waiting
        .into_iter()
        .filter(|w| w.ready && w.is_in_scope)
        .filter(|w| !barred.owners.contains(&w.owner.to_u32()) && !barred.roots.contains(&w.root.to_u32()))
        .collect();
    ready.sort_by_key(|w| w.due);
    let owner = |w: &&Waiting| w.owner.to_u32();
    let Some(owner) = ready.iter().filter(|w| owner(w) > last).min_by_key(owner).or(ready.iter().min_by_key(owner))
    else {
        return Ok(None);
    };
    let owner = owner.owner;
    let Some(root) = ready.iter().find(|w| w.owner == owner).map(|w| w.root) else { return Ok(None) };
    let (turn, others): (Vec<_>, Vec<_>) = ready.iter().partition(|w| w.owner == owner && w.root == root);
    Ok(Some(Turn {
        owner,
        root,
        relations: turn.iter().map(|w| w.relation).collect(),
        others: !others.is_empty(),
        next_due,
        clock_was_set_back: turn.iter().any(|w| w.from_the_future),
    }))
}

/// When the next job is due that nobody works on, in PostgreSQL's time; `until` gives the end of a table's pause, 0 where it
/// has none. Of a table that keeps a worker waiting that worker takes care.
pub fn next_due(client: &mut SpiClient<'_>, barred: &Barred, until: impl Fn(u32) -> i64) -> spi::Result<Option<i64>> {
    let due = |w: &Waiting| {
        let until = until(w.root.to_u32());
        let is_barred = barred.owners.contains(&w.owner.to_u32()) || barred.roots.contains(&w.root.to_u32());
        (until > 0 || !is_barred).then_some(w.due.max(until))
    };
    Ok(waiting(client, Scope::All)?.iter().filter_map(due).min())
}

/// Relations that the index of jobs names, found one after the other: as many steps as there are relations, not jobs.
pub fn relations(client: &mut SpiClient<'_>) -> spi::Result<Vec<Oid>> {
    const SQL: &str = "WITH RECURSIVE r (relation) AS ( \
         (SELECT q.relation::pg_catalog.oid FROM clip.queue q ORDER BY q.relation LIMIT 1) UNION ALL \
         SELECT (SELECT q.relation::pg_catalog.oid FROM clip.queue q WHERE q.relation OPERATOR(pg_catalog.>) r.relation \
         ORDER BY q.relation LIMIT 1) FROM r WHERE r.relation IS NOT NULL) \
         SELECT r.relation FROM r WHERE r.relation IS NOT NULL";
    let mut found = Vec::new();
    for row in plan::run(client, SQL, &[])?.iter() {
        found.extend(row.get::<Oid>(1)?);
    }
    Ok(found)
}

fn waiting(client: &mut SpiClient<'_>, scope: Scope) -> spi::Result<Vec<Waiting>> {
    // A job that was never tried is due when it was enqueued: it is ready, whatever the clock says.
    const SQL: &str = "SELECT coalesce(c.relowner, 0::pg_catalog.oid), \
         coalesce(CASE WHEN c.relispartition THEN pg_catalog.pg_partition_root($1)::pg_catalog.oid END, $1), \
         (pg_catalog.date_part('epoch', f.not_before OPERATOR(pg_catalog.-) timestamptz '2000-01-01 00:00:00+00') \
          OPERATOR(pg_catalog.*) 1000000)::pg_catalog.int8, f.not_before OPERATOR(pg_catalog.<=) pg_catalog.now(), \
         f.not_before OPERATOR(pg_catalog.=) f.enqueued_at, \
         CASE WHEN $2 IS NOT NULL THEN $1 OPERATOR(pg_catalog.=) $2 OR $2 OPERATOR(pg_catalog.=) ANY (ARRAY( \
          SELECT p.oid FROM pg_catalog.pg_partition_ancestors($1) p (oid))) \
         WHEN $3 IS NOT NULL THEN coalesce(pg_catalog.pg_has_role($3, c.relowner, 'USAGE'), false) ELSE true END \
         FROM (SELECT q.not_before, q.enqueued_at FROM clip.queue q WHERE q.relation OPERATOR(pg_catalog.=) $1 \
          AND q.not_before OPERATOR(pg_catalog.<) 'infinity'::pg_catalog.timestamptz ORDER BY q.not_before LIMIT 1) f \
         LEFT JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) $1";
    let (table, role) = match scope {
        Scope::All => (None, None),
        Scope::Table(relation) => (Some(relation), None),
        Scope::OwnedBy(role) => (None, Some(role)),
    };
    let mut found = Vec::new();
    for relation in relations(client)? {
        let rows = plan::run(client, SQL, &[relation.into(), table.into(), role.into()])?;
        let Some(row) = rows.iter().next() else { continue };
        let (due, is_due, is_new) =
            (row.get(3)?.unwrap_or(0), row.get(4)?.unwrap_or(true), row.get(5)?.unwrap_or(false));
        found.push(Waiting {
            relation,
            owner: row.get(1)?.unwrap_or(Oid::INVALID),
            root: row.get(2)?.unwrap_or(relation),
            due,
            ready: is_due || is_new,
            is_in_scope: row.get(6)?.unwrap_or(false),
            from_the_future: is_new && !is_due,
        });
    }
    Ok(found)
}
