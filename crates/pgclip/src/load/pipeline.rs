//! Several threads that read files, and send what is new in batches.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::thread;

use clip_core::Result;
use indicatif::ProgressBar;
use serde_json::Value;

use super::follow::Watch;
use super::here::Engine;
use super::options::Options;
use super::report::{Failure, Report};
use super::send::send;
use super::sources::Candidate;
use super::table::{Present, Table};
use super::texts::{self, Meaning, SOURCE, Source, Text};
use super::work::{Row, Work, look};
use crate::database::Target;

/// A batch is sent when it has so many rows, or bytes. Both bound what a broken connection takes along, and memory: one batch a connection.
const ROWS: usize = 128;
const BYTES: usize = 8 << 20;

#[derive(Default)]
pub struct Counts {
    pub new: AtomicU64,
    pub changed: AtomicU64,
    unchanged: AtomicU64,
    bytes: AtomicU64,
    failures: Mutex<Vec<Failure>>,
}

impl Counts {
    fn fail(&self, failures: impl IntoIterator<Item = Failure>) {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner).extend(failures);
    }

    pub fn report(&self) -> Report {
        Report {
            new: self.new.load(Relaxed),
            changed: self.changed.load(Relaxed),
            unchanged: self.unchanged.load(Relaxed),
            bytes: self.bytes.load(Relaxed),
            failures: std::mem::take(&mut *self.failures.lock().unwrap_or_else(PoisonError::into_inner)),
            ..Report::default()
        }
    }
}

pub struct Pipeline<'a> {
    pub options: &'a Options,
    pub target: &'a Target,
    /// `None` where nothing is sent, as there is no table yet.
    pub table: Option<&'a Table>,
    pub engine: Option<&'a Engine>,
    pub present: &'a HashMap<String, Present>,
    pub counts: &'a Counts,
    pub watch: &'a Watch,
    pub bar: &'a ProgressBar,
}

enum Job<'a> {
    Picture(&'a Candidate),
    Text(Row),
}

impl Pipeline<'_> {
    /// Ends with the first failure that is not one of a file.
    pub fn run(&self, pictures: &[Candidate], sources: &mut [Source]) -> Result<()> {
        let connections = usize::from(self.options.connections);
        let (sender, receiver) = sync_channel(2 * connections);
        let receiver = Mutex::new(receiver);
        let stop = AtomicBool::new(false);
        thread::scope(|scope| {
            let workers: Vec<_> = (0..connections)
                .map(|_| {
                    scope.spawn(|| {
                        let result = self.work(&receiver, &stop);
                        stop.fetch_or(result.is_err(), Relaxed);
                        result
                    })
                })
                .collect();
            let fed = self.feed(sender, pictures, sources, &stop);
            let joined = workers.into_iter().map(|worker| {
                worker.join().unwrap_or_else(|_| Err(clip_core::Error::internal("a thread has panicked")))
            });
            joined.fold(fed, Result::and)
        })
    }

    fn feed<'a>(
        &self,
        sender: SyncSender<Job<'a>>,
        pictures: &'a [Candidate],
        sources: &mut [Source],
        stop: &AtomicBool,
    ) -> Result<()> {
        for picture in pictures {
            if stop.load(Relaxed) || sender.send(Job::Picture(picture)).is_err() {
                return Ok(());
            }
        }
        for source in sources {
            for (line, read) in texts::read(&source.path, &self.options.text_column)? {
                self.bar.inc_length(1);
                let place = format!("{}:{line}", source.name);
                let text = match read {
                    Ok(text) => text,
                    Err(reason) => {
                        source.complete = false;
                        self.counts.fail([Failure::new(place, reason)]);
                        continue;
                    }
                };
                match source.look(&text) {
                    Meaning::New => {
                        if stop.load(Relaxed) || sender.send(Job::Text(row(text, place, &source.name))).is_err() {
                            return Ok(());
                        }
                    }
                    Meaning::Present | Meaning::Again => {
                        self.counts.unchanged.fetch_add(1, Relaxed);
                        self.bar.inc(1);
                    }
                }
            }
        }
        Ok(())
    }

    fn work(&self, jobs: &Mutex<Receiver<Job>>, stop: &AtomicBool) -> Result<()> {
        let mut client = None;
        let (mut batch, mut bytes) = (Vec::new(), 0);
        loop {
            let next = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
            let is_last = next.is_err();
            let row = match next {
                Err(_) => None,
                Ok(_) if stop.load(Relaxed) => continue,
                Ok(Job::Text(row)) => Some(row),
                Ok(Job::Picture(picture)) => self.picture(picture),
            };
            if let Some(row) = row {
                bytes += row.bytes();
                batch.push(row);
            }
            if batch.len() >= ROWS || bytes >= BYTES || (is_last && !batch.is_empty()) {
                let rows = std::mem::take(&mut batch);
                bytes = 0;
                if client.is_none() && self.sends() {
                    client = Some(self.target.connect()?);
                }
                self.flush(client.as_mut(), rows)?;
            }
            if is_last {
                return Ok(());
            }
        }
    }

    fn sends(&self) -> bool {
        self.table.is_some() && !self.options.dry_run
    }

    fn picture(&self, picture: &Candidate) -> Option<Row> {
        match look(picture, self.present, self.table, self.options) {
            Ok(Work::Send(row)) => return Some(row),
            Ok(Work::Unchanged) => drop(self.counts.unchanged.fetch_add(1, Relaxed)),
            Ok(Work::Touched(row)) => return Some(row),
            Err(reason) => self.counts.fail([Failure::new(picture.reference.clone(), reason)]),
        }
        self.bar.inc(1);
        None
    }

    fn flush(&self, client: Option<&mut postgres::Client>, mut rows: Vec<Row>) -> Result<()> {
        let all = rows.len() as u64;
        let touched = |rows: &[Row]| {
            rows.iter().filter(|row| row.id.is_some() && row.image.is_none() && row.vector.is_none()).count() as u64
        };
        let (before, sent_bytes) =
            (touched(&rows), rows.iter().map(|row| row.image.as_ref().map_or(0, Vec::len) as u64).sum());
        let mut failures = Vec::new();
        if let (Some(engine), Some(table)) = (self.engine, self.table) {
            failures = engine.embed(&mut rows, table.keeps_images)?;
        }
        if let (Some(client), Some(table)) = (client, self.table) {
            failures.extend(send(client, table, &rows)?);
        }
        let refused: std::collections::HashSet<&str> = failures.iter().map(|failure| failure.file.as_str()).collect();
        let passed = rows.iter().filter(|row| !refused.contains(row.file.as_str()));
        let (changed, new): (Vec<&Row>, Vec<&Row>) = passed.partition(|row| row.id.is_some());
        let changed = (changed.len() as u64).saturating_sub(before);
        self.counts.new.fetch_add(new.len() as u64, Relaxed);
        self.counts.changed.fetch_add(changed, Relaxed);
        self.counts.unchanged.fetch_add(before, Relaxed);
        self.counts.bytes.fetch_add(sent_bytes, Relaxed);
        self.watch.sent.fetch_add(new.len() as u64 + changed, Relaxed);
        self.counts.fail(failures);
        self.bar.inc(all);
        Ok(())
    }
}

fn row(text: Text, place: String, source: &str) -> Row {
    let mut metadata = text.metadata;
    metadata.insert(SOURCE.to_owned(), Value::from(source));
    Row {
        file: place,
        is_text: true,
        reference: text.text,
        metadata: Value::Object(metadata).to_string(),
        ..Row::default()
    }
}
