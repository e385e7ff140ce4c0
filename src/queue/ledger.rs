//! What becomes of jobs, written to `clip.queue`.

use pgrx::datum::DatumWithOid;
use pgrx::pg_sys;
use pgrx::spi::{self, SpiClient};

use super::MAX_ATTEMPTS;
use super::attempt::{Failure, as_superuser, hold_extension};
use super::claim::Job;
use crate::plan;

fn run(client: &mut SpiClient<'_>, sql: &str, args: &[DatumWithOid<'_>]) -> spi::Result<usize> {
    plan::run(client, sql, args).map(|rows| rows.count())
}

pub fn ids<'a>(jobs: impl IntoIterator<Item = &'a Job>) -> Vec<i64> {
    jobs.into_iter().map(|job| job.id).collect()
}

/// Counts an attempt and leases the jobs to this process.
pub fn lease(client: &mut SpiClient<'_>, ids: Vec<i64>) -> spi::Result<usize> {
    run(
        client,
        "UPDATE clip.queue SET attempts = attempts OPERATOR(pg_catalog.+) 1, claimed_by = pg_catalog.pg_backend_pid(), \
         claimer_start = (SELECT a.backend_start FROM pg_catalog.pg_stat_get_activity(pg_catalog.pg_backend_pid()) a), \
         not_before = pg_catalog.now() OPERATOR(pg_catalog.+) interval '10 minutes' \
         WHERE id OPERATOR(pg_catalog.=) ANY ($1)",
        &[ids.into()],
    )
}

/// Frees the jobs of processes that are gone, that have gone idle after an error, and this process's own: it has none
/// when it claims. Those whose lease has ended are free: the others lie together at the end of the index.
pub fn free_abandoned(client: &mut SpiClient<'_>) -> spi::Result<usize> {
    run(
        client,
        "UPDATE clip.queue SET claimed_by = NULL, claimer_start = NULL, not_before = pg_catalog.now() \
         WHERE id OPERATOR(pg_catalog.=) ANY (ARRAY(SELECT q.id FROM clip.queue q WHERE q.failed_at IS NULL \
         AND q.not_before OPERATOR(pg_catalog.>) pg_catalog.now() AND q.claimed_by IS NOT NULL \
         AND (q.claimed_by OPERATOR(pg_catalog.=) pg_catalog.pg_backend_pid() \
         OR NOT EXISTS (SELECT FROM pg_catalog.pg_stat_get_activity(NULL) a WHERE a.pid OPERATOR(pg_catalog.=) q.claimed_by \
         AND a.backend_start OPERATOR(pg_catalog.=) q.claimer_start \
         AND a.state OPERATOR(pg_catalog.=) ANY ('{active,disabled}'::pg_catalog.text[]))) FOR UPDATE SKIP LOCKED))",
        &[],
    )
}

pub fn delete(client: &mut SpiClient<'_>, ids: Vec<i64>) -> spi::Result<usize> {
    run(client, "DELETE FROM clip.queue WHERE id OPERATOR(pg_catalog.=) ANY ($1)", &[ids.into()])
}

/// Gives jobs back that could not be done for no fault of theirs; `counted` ones lose their attempt again.
pub fn release(client: &mut SpiClient<'_>, ids: Vec<i64>, counted: bool, seconds: i32) -> spi::Result<usize> {
    run(
        client,
        "UPDATE clip.queue SET attempts = attempts OPERATOR(pg_catalog.-) $2, claimed_by = NULL, claimer_start = NULL, \
         not_before = pg_catalog.now() OPERATOR(pg_catalog.+) pg_catalog.make_interval(secs => $3) \
         WHERE id OPERATOR(pg_catalog.=) ANY ($1)",
        &[ids.into(), i32::from(counted).into(), f64::from(seconds).into()],
    )
}

/// Records an error: for good where it would come again or came too often, else with growing delays of 5, 20, 80 ...
/// seconds. `attempts` counts this one.
pub fn fail(client: &mut SpiClient<'_>, job: &Job, attempts: i32, failure: &Failure) -> spi::Result<usize> {
    let dead = failure.is_permanent() || attempts >= MAX_ATTEMPTS;
    let delay = 5.0 * 4f64.powi((attempts - 1).clamp(0, 8));
    run(
        client,
        "UPDATE clip.queue SET attempts = $2, claimed_by = NULL, claimer_start = NULL, sqlstate = $3, error = $4, \
         failed_at = CASE WHEN $5 THEN pg_catalog.clock_timestamp() END, \
         not_before = pg_catalog.now() OPERATOR(pg_catalog.+) pg_catalog.make_interval(secs => $6) \
         WHERE id OPERATOR(pg_catalog.=) $1",
        &[
            job.id.into(),
            attempts.into(),
            failure.sqlstate.as_str().into(),
            in_server_encoding(&failure.message).into(),
            dead.into(),
            delay.into(),
        ],
    )
}

/// When the next job that failed is due, in PostgreSQL's time. `None` where the extension is gone, too.
pub fn next_attempt() -> spi::Result<Option<i64>> {
    as_superuser(|| {
        if !hold_extension() {
            return Ok(None);
        }
        spi::Spi::get_one(
            "SELECT (pg_catalog.date_part('epoch', pg_catalog.min(not_before) OPERATOR(pg_catalog.-) timestamptz '2000-01-01 00:00:00+00') \
             OPERATOR(pg_catalog.*) 1000000)::pg_catalog.int8 FROM clip.queue WHERE failed_at IS NULL",
        )
    })
}

/// Messages are UTF-8; in another encoding what is not ASCII is not worth an error on top of the error.
#[allow(unsafe_code)]
fn in_server_encoding(message: &str) -> String {
    // SAFETY: a plain call without arguments.
    if unsafe { pg_sys::GetDatabaseEncoding() } == pg_sys::pg_enc::PG_UTF8 as i32 {
        return message.to_owned();
    }
    message.chars().map(|c| if c.is_ascii() { c } else { '?' }).collect()
}
