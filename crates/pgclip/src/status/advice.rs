//! What to do where something stands still.

use super::report::{Background, Failures, Progress, Queue, Report, Table, Versions};
use crate::extension;

/// Seconds that a row may wait before somebody should look why.
const LONG: f64 = 120.0;

/// A sentence each, the most urgent first.
pub fn advice(report: &Report) -> Vec<String> {
    let Some(extension) = &report.extension else {
        return vec![extension::missing(report.server.available.is_some()).to_owned()];
    };
    let mut hints: Vec<String> = of_versions(extension, report.server.available.as_deref()).into_iter().collect();
    let asked = |what: &str| !report.problems.iter().any(|problem| problem.starts_with(what));
    if report.models.is_empty() && asked("models") {
        hints.push(
            "The server has no models: install one with \"pgclip pull\" or \"pgclip import\", on its machine.".into(),
        );
    } else if asked("models") {
        hints.extend(report.tables.iter().filter_map(|table| of_model(report, table)));
    }
    hints.extend(report.queue.iter().filter_map(|queue| of_queue(&report.background, extension, queue)));
    hints.extend(
        report.failures.iter().filter(|failures| failures.state == "dead").map(|failures| of_dead(extension, failures)),
    );
    hints.extend(
        report.progress.iter().filter(|progress| !progress.running).map(|progress| of_interrupted(extension, progress)),
    );
    hints.extend(report.tables.iter().filter_map(|table| of_missing(report, extension, table)));
    hints
}

fn of_versions(extension: &Versions, available: Option<&str>) -> Option<String> {
    let update = "ALTER EXTENSION pg_clip UPDATE, as the extension's owner";
    let version = &extension.version;
    match (&extension.library, available) {
        (Some(library), available) if library != version => Some(if available == Some(library) {
            format!("The library is of version {library}, the schema of {version}: {update}.")
        } else {
            format!(
                "The schema is of version {version}, the library that the server has loaded of {library}: restart the server."
            )
        }),
        (_, Some(available)) if available != version => {
            Some(format!("Version {available} is installed on the server, the schema is of {version}: {update}."))
        }
        _ => None,
    }
}

fn of_model(report: &Report, table: &Table) -> Option<String> {
    let Table { relation, model, fingerprint, .. } = table;
    match report.models.iter().find(|installed| installed.name == *model) {
        None => Some(format!(
            "Model {model} of table {relation} is not installed on the server: \"pgclip pull\" or \"pgclip import\", there."
        )),
        Some(installed) if installed.fingerprint != *fingerprint => Some(format!(
            "The model that is installed as {model} is another than table {relation} was embedded with: install that one."
        )),
        Some(_) => None,
    }
}

fn of_queue(background: &Background, extension: &Versions, queue: &Queue) -> Option<String> {
    let (relation, prefix) = (&queue.relation, &extension.prefix);
    let drain = format!("CALL {prefix}clip_drain({})", literal(relation));
    let at_work = queue.workers > 0 || background.running.is_some_and(|running| running > 0);
    if queue.open() == 0 || at_work {
        return None;
    }
    if background.preloaded == Some(false) {
        return Some(format!(
            "Rows of {relation} wait and nobody works: set shared_preload_libraries = 'pg_clip' and restart the server, or {drain}."
        ));
    }
    if background.workers == Some(0) {
        return Some(format!(
            "Rows of {relation} wait and clip.workers is 0: set it to 1 and reload the configuration, or {drain}."
        ));
    }
    if queue.age_seconds.is_some_and(|age| age > LONG) && queue.waiting > 0 {
        return Some(format!(
            "Rows of {relation} wait for long, and no worker is seen: the server's log may say why; else {drain}."
        ));
    }
    None
}

fn of_dead(extension: &Versions, failures: &Failures) -> String {
    let Failures { relation, sqlstate, rows, .. } = failures;
    let retry = format!("SELECT {}clip_retry({}, sqlstate => '{sqlstate}')", extension.prefix, literal(relation));
    let rows = if *rows == 1 { "1 row".to_owned() } else { format!("{rows} rows") };
    match sqlstate.as_str() {
        "22P03" => format!("{rows} of {relation} hold no image that can be read: view clip_failures has their keys."),
        "54000" => format!("{rows} of {relation} met a limit: raise it, then {retry}."),
        _ => format!("{rows} of {relation} failed with {sqlstate}: when the reason is gone, {retry}."),
    }
}

fn of_interrupted(extension: &Versions, progress: &Progress) -> String {
    let (relation, prefix, table) = (&progress.relation, &extension.prefix, literal(&progress.relation));
    if progress.command == "backfill" {
        return format!("The backfill of {relation} was interrupted: CALL {prefix}clip_backfill({table}) goes on.");
    }
    let model = literal(&progress.model);
    format!(
        "The change of {relation} to model {} was interrupted: CALL {prefix}clip_change_model({table}, {model}) goes on, \
         SELECT {prefix}clip_abort_model_change({table}) takes it back.",
        progress.model
    )
}

/// Rows without vectors that nobody is going to come to.
fn of_missing(report: &Report, extension: &Versions, table: &Table) -> Option<String> {
    let missing = table.without_vector.filter(|_| table.counted && !table.pending)?;
    let same = |relation: &str, column: &str| relation == table.relation && column == table.embedding_column;
    if report.progress.iter().any(|progress| progress.relation == table.relation) {
        return None;
    }
    let known: i64 =
        report.queue.iter().filter(|q| same(&q.relation, &q.embedding_column)).map(|q| q.open() + q.dead).sum();
    // Of a partitioned table the queue names the partitions.
    let partitions =
        report.queue.iter().any(|queue| !report.tables.iter().any(|table| table.relation == queue.relation));
    if missing <= known || partitions {
        return None;
    }
    let rows = missing - known;
    let (prefix, relation) = (&extension.prefix, &table.relation);
    Some(format!(
        "{rows} of the rows of {relation} have no vector and do not wait for one: CALL {prefix}clip_backfill({}).",
        literal(relation)
    ))
}

fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
