//! `load`: folders of pictures and files of texts into a table.
//!
//! What there is (`sources`) is compared with what the table has (`table`, `work`), and the difference is sent in batches over several
//! connections (`send`), each batch in a transaction of its own. So a load that was killed has loaded whole batches, and goes on when it
//! is called again.

mod archive;
mod copy;
mod facts;
mod follow;
mod here;
mod lock;
mod names;
mod options;
mod pipeline;
mod progress;
mod report;
mod send;
mod shrink;
mod sources;
mod table;
mod texts;
mod work;

use std::collections::HashMap;
use std::process::ExitCode;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Instant;

use clip_core::{Error, ErrorKind, Result};
use postgres::{CancelToken, Client};

use crate::database::{Target, failed};
use crate::extension::Extension;
use follow::Watch;
use here::Engine;
pub use options::Options;
use pipeline::{Counts, Pipeline};
use progress::Bars;
use report::Report;
use sources::Found;
use table::{Present, Table};
use texts::Source;

/// All but some files could be loaded.
const SOME_FAILED: u8 = 3;
/// Rows of one DELETE.
const DELETED_AT_ONCE: usize = 10_000;

pub fn load(options: &Options) -> Result<ExitCode> {
    let begun = Instant::now();
    let counts = Arc::new(Counts::default());
    let running: Arc<Mutex<Vec<CancelToken>>> = Arc::default();
    let target = options.database.target()?;
    say_goodbye(&counts, &running, &target)?;
    let found = sources::find(options)?;
    if options.delete && found.scopes.is_empty() && found.texts.is_empty() {
        return Err(Error::new(
            ErrorKind::InvalidArgument,
            "--delete needs a directory, an archive or a file of texts",
        )
        .with_hint("Files by themselves do not tell what is gone."));
    }
    let mut client = target.connect()?;
    let table = table(&mut client, options)?;
    let mut report = run(options, &target, &mut client, table.as_ref(), found, &counts, &running)?;
    report.table = table.map_or_else(|| options.table.clone(), |table| table.name);
    report.seconds = begun.elapsed().as_secs_f64();
    report.dry_run = options.dry_run;
    report.failures.sort();
    report.failures.dedup();
    if options.json {
        println!("{}", serde_json::to_string(&report).map_err(|e| Error::internal(e.to_string()))?);
    } else {
        report.print();
    }
    Ok(if report.failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(SOME_FAILED) })
}

fn say_goodbye(counts: &Arc<Counts>, running: &Arc<Mutex<Vec<CancelToken>>>, target: &Target) -> Result<()> {
    let (counts, running, target) = (counts.clone(), running.clone(), target.clone());
    crate::interrupt::on_cancel(move || {
        for token in running.lock().unwrap_or_else(std::sync::PoisonError::into_inner).drain(..) {
            let _ = token.cancel_query(target.tls());
        }
        let loaded = counts.new.load(Relaxed) + counts.changed.load(Relaxed);
        eprintln!("\npgclip: stopped with {loaded} files and texts loaded; the same command goes on from there");
    })
}

/// The table, made where it is missing; `None` where it only would be.
fn table(client: &mut Client, options: &Options) -> Result<Option<Table>> {
    let extension = Extension::find(client)?.schema;
    if let Some(table) = table::find(client, &options.table, &extension)? {
        return Ok(Some(table));
    }
    if options.dry_run {
        return Ok(None);
    }
    table::create(client, options, &extension)?;
    let made = table::find(client, &options.table, &extension)?;
    made.map(Some).ok_or_else(|| Error::internal("the table that was made is not there"))
}

fn run(
    options: &Options,
    target: &Target,
    client: &mut Client,
    table: Option<&Table>,
    found: Found,
    counts: &Counts,
    running: &Mutex<Vec<CancelToken>>,
) -> Result<Report> {
    let prefixes: Vec<&str> = found.scopes.iter().map(|scope| scope.prefix.as_str()).collect();
    let sources_named: Vec<&str> = found.texts.iter().map(|(_, name)| name.as_str()).collect();
    // Files by themselves.
    let names = found.pictures.iter().map(|file| file.reference.as_str());
    let names: Vec<&str> = names.filter(|name| !prefixes.iter().any(|prefix| name.starts_with(prefix))).collect();
    let mut locks = target.connect()?;
    let mut present: HashMap<String, Present> = HashMap::new();
    let mut sources = Vec::new();
    if let Some(table) = table {
        if !options.dry_run {
            let held: Vec<&str> = prefixes.iter().chain(&sources_named).copied().collect();
            lock::hold(&mut locks, table, &held)?;
        }
        present = table.pictures(client, &prefixes, &names)?;
    }
    for (path, name) in &found.texts {
        let rows = table.map(|table| texts::present(client, table, name)).transpose()?.unwrap_or_default();
        sources.push(Source::new(path.clone(), name.clone(), rows));
    }
    let engine = table
        .filter(|_| options.embed_here && !options.dry_run)
        .map(|table| Engine::new(options, table))
        .transpose()?;
    let watches = table.is_some_and(|table| table.is_async) && engine.is_none() && !options.no_wait && !options.dry_run;
    let bars = Bars::new(found.pictures.len() as u64, watches);
    let watch = Watch::default();
    let pipeline = Pipeline {
        options,
        target,
        table,
        engine: engine.as_ref(),
        present: &present,
        counts,
        watch: &watch,
        bar: &bars.sent,
    };
    let waiting = thread::scope(|scope| {
        let cancel = |token| running.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(token);
        let (watch, bars) = (&watch, &bars);
        let follower = watches
            .then_some(table)
            .flatten()
            .map(|table| scope.spawn(move || follow::follow(target, table, watch, &bars.embedded, &cancel)));
        let sent = pipeline.run(&found.pictures, &mut sources);
        bars.sent.finish();
        watch.is_sent.store(true, Relaxed);
        watch.ended.store(sent.is_err(), Relaxed);
        let waiting = follower.map_or(Ok(0), |follower| {
            follower.join().unwrap_or_else(|_| Err(Error::internal("a thread has panicked")))
        });
        sent.and(waiting)
    });
    bars.clear();
    let mut report = counts.report();
    report.waiting = waiting?;
    report.others = found.others;
    report.failures.extend(found.failures.iter().cloned());
    if options.delete {
        report.deleted = delete(client, table.filter(|_| !options.dry_run), &found, &present, &sources)?;
    }
    if let Some(table) = table.filter(|_| !options.dry_run) {
        report.failures.extend(follow::failures(client, table, &prefixes, &names, &sources_named)?);
    }
    Ok(report)
}

/// Removes rows whose files are gone: pictures that an earlier load put there, of directories and archives that were seen whole, and texts
/// of files that were read whole.
fn delete(
    client: &mut Client,
    table: Option<&Table>,
    found: &Found,
    present: &HashMap<String, Present>,
    sources: &[Source],
) -> Result<u64> {
    let whole: Vec<&str> =
        found.scopes.iter().filter(|scope| scope.complete).map(|scope| scope.prefix.as_str()).collect();
    let is_gone = |name: &str, row: &Present| {
        row.sha256.is_some() && !found.has(name) && whole.iter().any(|prefix| name.starts_with(prefix))
    };
    let pictures = present.iter().filter(|(name, row)| is_gone(name, row)).map(|(_, row)| row.id);
    let texts =
        sources.iter().filter(|source| source.complete).flat_map(|source| source.gone.values().flatten().copied());
    let gone: Vec<i64> = pictures.chain(texts).collect();
    let Some(table) = table else { return Ok(gone.len() as u64) };
    let mut deleted = 0;
    for ids in gone.chunks(DELETED_AT_ONCE) {
        let sql = format!("DELETE FROM {} WHERE id = ANY ($1)", table.name);
        deleted += client.execute(&sql, &[&ids]).map_err(|e| failed(&e))?;
    }
    Ok(deleted)
}
