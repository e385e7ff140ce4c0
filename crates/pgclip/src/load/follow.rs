//! Watching the queue until what was sent has its vectors.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use clip_core::Result;
use indicatif::ProgressBar;
use postgres::{CancelToken, Client};

use super::report::Failure;
use super::table::Table;
use crate::database::{Target, failed};

/// Between two looks at the queue; more where a look takes long.
const PAUSE: Duration = Duration::from_millis(500);
/// Looks in a row that find rows waiting and nobody at work, until this program has the server work: on a server whose library is not
/// preloaded, so that it has no workers, and on one that may have them.
const PATIENCE: (u32, u32) = (2, 20);

/// Rows of a table in the queue.
#[derive(Clone, Copy, Default)]
struct Queue {
    /// Waiting, or at work.
    due: u64,
    /// Between two attempts after an error.
    retrying: u64,
    workers: u64,
}

fn look(client: &mut Client, table: &Table) -> Result<Queue> {
    let sql = format!(
        "SELECT waiting + claimed, retrying, workers FROM {}.clip_queue WHERE relation = $1::oid AND embedding_column = 'embedding'",
        table.extension
    );
    let row = client.query_opt(&sql, &[&table.oid]).map_err(|e| failed(&e))?;
    let number = |row: &postgres::Row, at| u64::try_from(row.get::<_, i64>(at)).unwrap_or_default();
    Ok(row.map_or_else(Queue::default, |row| Queue {
        due: number(&row, 0),
        retrying: number(&row, 1),
        workers: number(&row, 2),
    }))
}

/// Has the server a launcher of workers? The library defines `clip.preload` as a setting of the server's start where it was loaded then.
fn has_workers(client: &mut Client) -> Result<bool> {
    let sql = "SELECT coalesce((SELECT context = 'postmaster' FROM pg_catalog.pg_settings WHERE name = 'clip.preload'), false)";
    Ok(client.query_one(sql, &[]).map_err(|e| failed(&e))?.get(0))
}

/// What a follower and its caller share.
#[derive(Default)]
pub struct Watch {
    /// Rows that were sent to be embedded.
    pub sent: AtomicU64,
    /// No more will be sent.
    pub is_sent: AtomicBool,
    /// The caller has failed.
    pub ended: AtomicBool,
}

/// Returns when nothing is due any more and all is sent: the rows that still wait for another attempt.
///
/// Where no worker of the server takes rows, `drain` is run in another session, in the server all the same.
pub fn follow(
    target: &Target,
    table: &Table,
    watch: &Watch,
    bar: &ProgressBar,
    cancel: &dyn Fn(CancelToken),
) -> Result<u64> {
    let mut client = target.connect()?;
    let mut idle = 0;
    thread::scope(|scope| {
        let mut drain: Option<thread::ScopedJoinHandle<Result<()>>> = None;
        loop {
            let is_sent = watch.is_sent.load(Relaxed);
            let begun = Instant::now();
            let queue = look(&mut client, table)?;
            let sent = watch.sent.load(Relaxed);
            bar.set_length(sent);
            bar.set_position(sent.saturating_sub(queue.due + queue.retrying));
            if (is_sent && queue.due == 0) || watch.ended.load(Relaxed) {
                return Ok(queue.due + queue.retrying);
            }
            idle = if queue.workers == 0 && queue.due > 0 { idle + 1 } else { 0 };
            if drain.as_ref().is_some_and(thread::ScopedJoinHandle::is_finished)
                && let Some(ended) = drain.take()
            {
                // Without the right to it, rows wait for whoever has it.
                if ended.join().unwrap_or(Ok(())).is_err() {
                    return Ok(queue.due + queue.retrying);
                }
                idle = 0;
            }
            if idle >= PATIENCE.0 && drain.is_none() && (idle >= PATIENCE.1 || !has_workers(&mut client)?) {
                let mut session = target.connect()?;
                cancel(session.cancel_token());
                let sql = format!("CALL {}.clip_drain({}::regclass)", table.extension, literal(&table.name));
                drain = Some(scope.spawn(move || session.batch_execute(&sql).map_err(|e| failed(&e))));
            }
            thread::sleep(PAUSE.max(10 * begun.elapsed()));
        }
    })
}

fn literal(text: &str) -> String {
    format!("E'{}'", text.replace('\\', r"\\").replace('\'', r"\'"))
}

/// Rows of the table that could not be embedded, or in part: pictures whose names begin so or are these, texts of these files.
pub fn failures(
    client: &mut Client,
    table: &Table,
    prefixes: &[&str],
    names: &[&str],
    sources: &[&str],
) -> Result<Vec<Failure>> {
    let sql = format!(
        "SELECT coalesce(t.metadata->>'source' || ': ', '') || left(t.content_ref, 200), f.message, f.sqlstate, f.state
        FROM {}.clip_failures f JOIN {} t ON t.id = (f.key->>'id')::int8
        WHERE f.relation = $1::oid AND f.embedding_column = 'embedding' AND CASE WHEN t.modality = 'text' THEN t.metadata->>'source' = ANY ($3)
            ELSE t.content_ref = ANY ($4) OR (SELECT bool_or(starts_with(t.content_ref, p)) FROM unnest($2::text[]) p) END
        ORDER BY 1",
        table.extension, table.name
    );
    let rows = client.query(&sql, &[&table.oid, &prefixes, &sources, &names]).map_err(|e| failed(&e))?;
    let told = rows.iter().map(|row| {
        let (message, code, state): (&str, &str, &str) = (row.get(1), row.get(2), row.get(3));
        let note = match state {
            "dead" => "",
            "embedded" => ", embedded all the same",
            _ => ", will be tried again",
        };
        Failure::new(row.get(0), format!("{message} ({code}{note})"))
    });
    Ok(told.collect())
}
