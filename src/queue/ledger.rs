//! What becomes of jobs, written to `clip.queue` and, of those that failed, to `clip.failures`.

use std::time::Duration;

use pgrx::datum::DatumWithOid;
use pgrx::pg_sys;
use pgrx::spi::{self, SpiClient};

use super::job::Job;
use super::turn;
use crate::pg::plan;
use crate::pg::users::as_superuser;
use crate::pipeline::retry_policy::{self, Cause, MAX_ATTEMPTS, Verdict};
use crate::pipeline::{Failure, failures, hold_extension};
use crate::wake::Barred;
use crate::wake::taken_along::was_taken_along;

/// Columns of an entry of `clip.failures` that are those of its job `q`.
const OF_JOB: &str = "q.relation, q.embedding_column, q.key, NULL::pg_catalog.tid AS place, NULL::pg_catalog.xid AS version, \
     q.enqueued_at";

fn run(client: &mut SpiClient<'_>, sql: &str, args: &[DatumWithOid<'_>]) -> spi::Result<usize> {
    plan::run(client, sql, args).map(|rows| rows.count())
}

pub fn ids<'a>(jobs: impl IntoIterator<Item = &'a Job>) -> Vec<i64> {
    jobs.into_iter().map(|job| job.id).collect()
}

/// Claims the jobs for this process.
pub fn lease(client: &mut SpiClient<'_>, ids: Vec<i64>) -> spi::Result<usize> {
    run(
        client,
        "UPDATE clip.queue SET claimed_by = pg_catalog.pg_backend_pid(), \
         claimer_start = (SELECT a.backend_start FROM pg_catalog.pg_stat_get_activity(pg_catalog.pg_backend_pid()) a), \
         claimed_in = $2, not_before = 'infinity'::pg_catalog.timestamptz WHERE id OPERATOR(pg_catalog.=) ANY ($1)",
        &[ids.into(), database().into()],
    )
}

#[allow(unsafe_code)]
fn database() -> pg_sys::Oid {
    // SAFETY: reads a variable of this process.
    unsafe { pg_sys::MyDatabaseId }
}

/// Frees the jobs of processes that are gone or have gone idle after an error, and this process's own: it has none when it
/// claims. A job whose process died may have been its death; it is given up where that happens again.
pub fn free_abandoned(client: &mut SpiClient<'_>) -> spi::Result<usize> {
    const SQL: &str = "SELECT q.id, q.claimed_by, (pg_catalog.date_part('epoch', q.claimer_start OPERATOR(pg_catalog.-) \
         timestamptz '2000-01-01 00:00:00+00') OPERATOR(pg_catalog.*) 1000000)::pg_catalog.int8, coalesce(q.crashes, 0), \
         q.claimed_in OPERATOR(pg_catalog.=) $2, q.claimed_by OPERATOR(pg_catalog.=) pg_catalog.pg_backend_pid(), \
         (SELECT coalesce(a.state OPERATOR(pg_catalog.=) ANY ('{active,disabled}'::pg_catalog.text[]), false) \
          FROM pg_catalog.pg_stat_get_activity(NULL) a WHERE a.pid OPERATOR(pg_catalog.=) q.claimed_by \
          AND a.backend_start OPERATOR(pg_catalog.=) q.claimer_start), \
         q.claimer_start OPERATOR(pg_catalog.<) pg_catalog.pg_postmaster_start_time() \
         FROM clip.queue q WHERE q.relation OPERATOR(pg_catalog.=) $1 \
         AND q.not_before OPERATOR(pg_catalog.=) 'infinity'::pg_catalog.timestamptz \
         AND q.claimed_by IS NOT NULL FOR UPDATE SKIP LOCKED";
    let (mut free, mut suspect, mut dead) = (Vec::new(), Vec::new(), Vec::new());
    for relation in turn::relations(client)? {
        for row in plan::run(client, SQL, &[relation.into(), database().into()])?.iter() {
            let (Some(id), pid, start) = (row.get::<i64>(1)?, row.get(2)?.unwrap_or(0), row.get(3)?.unwrap_or(0))
            else {
                continue;
            };
            let crashes = row.get::<i32>(4)?.unwrap_or(0).saturating_add(1);
            let (is_here, is_mine) = (row.get(5)?.unwrap_or(false), row.get(6)?.unwrap_or(false));
            let of_server = row.get(8)?.unwrap_or(false);
            match row.get::<bool>(7)? {
                Some(true) if !is_mine => {}
                // No crash: the process is there, or the claim was copied, or others' crash took the process along.
                Some(_) => free.push(id),
                None if is_mine || !is_here || was_taken_along(pid, start) => free.push(id),
                None if retry_policy::after_crash(crashes, of_server) == Verdict::Dead => dead.push(id),
                None => suspect.push(id),
            }
        }
    }
    let count = free.len() + suspect.len() + dead.len();
    if !free.is_empty() {
        release(client, free, Duration::ZERO)?;
    }
    if !suspect.is_empty() {
        run(
            client,
            "UPDATE clip.queue SET crashes = coalesce(crashes, 0) OPERATOR(pg_catalog.+) 1, attempts = attempts OPERATOR(pg_catalog.+) 1, \
             claimed_by = NULL, claimer_start = NULL, claimed_in = NULL, not_before = pg_catalog.now() \
             WHERE id OPERATOR(pg_catalog.=) ANY ($1)",
            &[suspect.into()],
        )?;
    }
    if !dead.is_empty() {
        let job = format!(
            "DELETE FROM clip.queue q WHERE q.id OPERATOR(pg_catalog.=) ANY ($1) RETURNING {OF_JOB}, \
             NULL::pg_catalog.text AS modality, '57P02' AS sqlstate, \
             pg_catalog.format('the server process ended in each of %s attempts to embed the row', \
             coalesce(q.crashes, 0) OPERATOR(pg_catalog.+) 1) AS message, \
             q.attempts OPERATOR(pg_catalog.+) 1 AS attempts, 'dead' AS state"
        );
        run(client, &failures::recorded(&job), &[dead.into()])?;
    }
    Ok(count)
}

/// Jobs that are over: there is nothing to do any more, nor any failure. `written`: their rows have new vectors.
pub fn delete(client: &mut SpiClient<'_>, ids: Vec<i64>, written: bool) -> spi::Result<()> {
    const JOB: &str = "DELETE FROM clip.queue q WHERE q.id OPERATOR(pg_catalog.=) ANY ($1) \
         RETURNING q.relation, q.embedding_column, q.key, $2 AS written";
    if !ids.is_empty() {
        run(client, &failures::forgotten(JOB), &[ids.into(), written.into()])?;
    }
    Ok(())
}

/// A job that is over, whose row has a vector of an image that is not all there.
pub fn delete_in_part(client: &mut SpiClient<'_>, job: &Job, remark: &Failure) -> spi::Result<()> {
    let over = format!(
        "DELETE FROM clip.queue q WHERE q.id OPERATOR(pg_catalog.=) $1 RETURNING {OF_JOB}, $2 AS modality, $3 AS sqlstate, \
         $4 AS message, q.attempts OPERATOR(pg_catalog.+) 1 AS attempts, 'embedded' AS state"
    );
    let (sqlstate, message) = (remark.sqlstate.as_str().into(), failures::message(&remark.message));
    run(client, &failures::recorded(&over), &[job.id.into(), failures::modality(remark), sqlstate, message])?;
    Ok(())
}

/// Gives jobs back that could not be done for no fault of theirs.
pub fn release(client: &mut SpiClient<'_>, ids: Vec<i64>, after: Duration) -> spi::Result<usize> {
    run(
        client,
        "UPDATE clip.queue SET claimed_by = NULL, claimer_start = NULL, claimed_in = NULL, \
         not_before = pg_catalog.now() OPERATOR(pg_catalog.+) pg_catalog.make_interval(secs => $2) \
         WHERE id OPERATOR(pg_catalog.=) ANY ($1)",
        &[ids.into(), after.as_secs_f64().into()],
    )
}

/// Rows that somebody has locked, or is changing: again after pauses that grow with each time.
pub fn wait_for_lock<'a>(client: &mut SpiClient<'_>, jobs: impl IntoIterator<Item = &'a Job>) -> spi::Result<()> {
    pause(client, jobs, retry_policy::after_lock)
}

fn pause<'a>(
    client: &mut SpiClient<'_>,
    jobs: impl IntoIterator<Item = &'a Job>,
    after: impl Fn(i32) -> Duration,
) -> spi::Result<()> {
    let (ids, seconds): (Vec<i64>, Vec<f64>) =
        jobs.into_iter().map(|job| (job.id, after(job.pauses).as_secs_f64())).unzip();
    if ids.is_empty() {
        return Ok(());
    }
    run(
        client,
        "UPDATE clip.queue q SET claimed_by = NULL, claimer_start = NULL, claimed_in = NULL, \
         pauses = coalesce(q.pauses, 0) OPERATOR(pg_catalog.+) 1, \
         not_before = pg_catalog.now() OPERATOR(pg_catalog.+) pg_catalog.make_interval(secs => u.seconds) \
         FROM ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2)) u (id, seconds) \
         WHERE q.id OPERATOR(pg_catalog.=) u.id",
        &[ids.into(), seconds.into()],
    )?;
    Ok(())
}

/// Records a failure, and what follows from it.
pub fn fail(client: &mut SpiClient<'_>, job: &Job, failure: &Failure) -> spi::Result<()> {
    let verdict = retry_policy::after_failure(failure.cause, &failure.sqlstate, job.attempts, job.pauses);
    if failure.cause == Cause::NotTried
        && let Verdict::Retry { after, .. } = verdict
    {
        return pause(client, [job], |_| after);
    }
    let reason = "$2 AS modality, $3 AS sqlstate, $4 AS message";
    let mut arguments = vec![
        job.id.into(),
        failures::modality(failure),
        failure.sqlstate.as_str().into(),
        failures::message(&failure.message),
    ];
    let job = match verdict {
        Verdict::Dead => format!(
            "DELETE FROM clip.queue q WHERE q.id OPERATOR(pg_catalog.=) $1 RETURNING {OF_JOB}, {reason}, \
             q.attempts OPERATOR(pg_catalog.+) 1 AS attempts, 'dead' AS state"
        ),
        Verdict::Retry { after, counted } => {
            arguments.extend([after.as_secs_f64().into(), i32::from(counted).into()]);
            format!(
                "UPDATE clip.queue q SET attempts = q.attempts OPERATOR(pg_catalog.+) $6, \
                 pauses = coalesce(q.pauses, 0) OPERATOR(pg_catalog.+) 1 OPERATOR(pg_catalog.-) $6, \
                 isolated = $3 OPERATOR(pg_catalog.=) '57014', \
                 claimed_by = NULL, claimer_start = NULL, claimed_in = NULL, \
                 not_before = pg_catalog.now() OPERATOR(pg_catalog.+) pg_catalog.make_interval(secs => $5) \
                 WHERE q.id OPERATOR(pg_catalog.=) $1 RETURNING {OF_JOB}, {reason}, q.attempts, 'waiting' AS state"
            )
        }
    };
    run(client, &failures::recorded(&job), &arguments)?;
    Ok(())
}

/// Puts claims of this process back, for no fault of theirs or with a failure that may be any one's.
pub fn put_back(
    client: &mut SpiClient<'_>,
    ids: Vec<i64>,
    failure: Option<&Failure>,
    after: Duration,
) -> spi::Result<()> {
    let Some(failure) = failure else { return release(client, ids, after).map(drop) };
    const REASON: &str = "NULL::pg_catalog.text AS modality, $2 AS sqlstate, $3 AS message";
    let given_up = format!(
        "DELETE FROM clip.queue q WHERE q.id OPERATOR(pg_catalog.=) ANY ($1) AND q.attempts OPERATOR(pg_catalog.>=) $4 \
         RETURNING {OF_JOB}, {REASON}, q.attempts OPERATOR(pg_catalog.+) 1 AS attempts, 'dead' AS state"
    );
    let again = format!(
        "UPDATE clip.queue q SET attempts = q.attempts OPERATOR(pg_catalog.+) 1, isolated = $2 OPERATOR(pg_catalog.=) '57014', \
         claimed_by = NULL, claimer_start = NULL, claimed_in = NULL, \
         not_before = pg_catalog.now() OPERATOR(pg_catalog.+) interval '5 seconds' \
         WHERE q.id OPERATOR(pg_catalog.=) ANY ($1) AND q.attempts OPERATOR(pg_catalog.<) $4 \
         RETURNING {OF_JOB}, {REASON}, q.attempts, 'waiting' AS state"
    );
    for job in [given_up, again] {
        let (sqlstate, message) = (failure.sqlstate.as_str().into(), failures::message(&failure.message));
        run(client, &failures::recorded(&job), &[ids.clone().into(), sqlstate, message, (MAX_ATTEMPTS - 1).into()])?;
    }
    Ok(())
}

/// When the next job is due that nobody works on, in PostgreSQL's time; `until` gives the end of a table's pause. `None` where
/// the extension is gone, too.
pub fn next_attempt(barred: &Barred, until: impl Fn(u32) -> i64) -> spi::Result<Option<i64>> {
    as_superuser(|| {
        if !hold_extension() {
            return Ok(None);
        }
        spi::Spi::connect_mut(|client| turn::next_due(client, barred, until))
    })
}
