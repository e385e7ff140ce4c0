//! The report for a reader.

use super::report::{Background, Report, Table};
use crate::models::megabytes;
use crate::plain::plain;

/// On standard output, without the sections that are empty.
pub fn print(report: &Report) {
    let server = &report.server;
    line("database", &format!("{} on PostgreSQL {}, as {}", server.database, server.version, server.role));
    match &report.extension {
        None => line("extension", "pg_clip is not in this database"),
        Some(extension) => {
            let library = extension
                .library
                .as_deref()
                .map_or_else(|| "unknown".to_owned(), |library| format!("version {library}"));
            line(
                "extension",
                &format!("version {} in schema {}, library {library}", extension.version, extension.schema),
            );
            line("background", &background(&report.background));
            sections(report);
        }
    }
    section("could not be asked", &report.problems, |problem| vec![problem.clone()]);
    section("hints", &report.hints, |hint| vec![hint.clone()]);
}

fn sections(report: &Report) {
    section("models", &report.models, |m| {
        let licence = m.licence.clone().unwrap_or_default();
        vec![
            m.name.clone(),
            m.architecture.clone(),
            format!("{} dimensions", m.dimensions),
            megabytes(m.bytes.unsigned_abs()),
            licence,
        ]
    });
    section("tables", &report.tables, |t| {
        let mode = if t.pending { "being made" } else { &t.mode };
        vec![t.relation.clone(), t.embedding_column.clone(), t.model.clone(), mode.to_owned(), rows(t)]
    });
    section("queue", &report.queue, |q| {
        let counts = format!("{} waiting, {} claimed, {} retrying, {} dead", q.waiting, q.claimed, q.retrying, q.dead);
        let age = q.age_seconds.map_or_else(String::new, |seconds| format!("oldest {}", duration(seconds)));
        vec![q.relation.clone(), q.embedding_column.clone(), counts, format!("{} at work", q.workers), age]
    });
    section("failures", &report.failures, |f| {
        vec![f.relation.clone(), f.sqlstate.clone(), f.state.clone(), number(f.rows, "row", "rows"), f.message.clone()]
    });
    section("progress", &report.progress, |p| {
        let state = if p.running { p.phase.clone() } else { format!("{}, interrupted", p.phase) };
        let failed = if p.rows_failed > 0 { format!(", {} failed", p.rows_failed) } else { String::new() };
        let done = format!("{} of {} rows{failed}", p.rows_done, p.rows_total);
        let speed =
            p.rows_per_second.filter(|_| p.running).map_or_else(String::new, |rate| format!("{rate:.1} a second"));
        let left = p.seconds_left.filter(|left| p.running && *left > 0.0);
        let left = left.map_or_else(String::new, |left| format!("{} left", duration(left)));
        vec![p.relation.clone(), p.command.clone(), p.model.clone(), state, done, speed, left]
    });
}

fn line(name: &str, value: &str) {
    println!("{name:<11} {}", plain(value));
}

/// A heading and lines of cells that stand below each other; nothing where there are none.
fn section<T>(name: &str, items: &[T], cells: impl Fn(&T) -> Vec<String>) {
    if items.is_empty() {
        return;
    }
    println!("\n{name}");
    let lines: Vec<Vec<String>> =
        items.iter().map(|item| cells(item).iter().map(|cell| plain(cell)).collect()).collect();
    let width =
        |column: usize| lines.iter().filter_map(|line| Some(line.get(column)?.chars().count())).max().unwrap_or(0);
    for line in &lines {
        let padded = line.iter().enumerate().map(|(column, cell)| format!("  {cell:<0$}", width(column)));
        println!("{}", padded.collect::<String>().trim_end());
    }
}

fn background(background: &Background) -> String {
    let library = match background.preloaded {
        Some(true) => "library preloaded",
        Some(false) => return "library not preloaded, so no workers".to_owned(),
        None => "unknown whether the library is preloaded",
    };
    let workers = background.workers.map_or_else(String::new, |n| format!(", clip.workers = {n}"));
    let running = background
        .running
        .map_or_else(String::new, |n| format!(", {} in this database now", number(n, "worker", "workers")));
    format!("{library}{workers}{running}")
}

fn rows(table: &Table) -> String {
    let about = if table.counted { "" } else { "about " };
    let Some(rows) = table.rows else { return "number of rows unknown".to_owned() };
    let missing = table.without_vector.map_or_else(String::new, |missing| match missing {
        0 => ", all with vectors".to_owned(),
        _ => format!(", {about}{missing} without a vector"),
    });
    // What is estimated as none may be a few.
    let missing =
        if table.counted || table.without_vector != Some(0) { missing } else { ", about all with vectors".to_owned() };
    format!("{about}{}{missing}", number(rows, "row", "rows"))
}

fn number(n: i64, one: &str, many: &str) -> String {
    if n == 1 { format!("1 {one}") } else { format!("{n} {many}") }
}

fn duration(seconds: f64) -> String {
    match seconds {
        s if s < 120.0 => format!("{s:.0} s"),
        s if s < 7200.0 => format!("{:.0} min", s / 60.0),
        s if s < 172_800.0 => format!("{:.0} h", s / 3600.0),
        s => format!("{:.0} days", s / 86_400.0),
    }
}
