//! Rows on their way to the server.

use std::io::Write;

use clip_core::Result;
use postgres::error::SqlState;
use postgres::{Client, Transaction};

use super::copy::{HEADER, Rows, TRAILER};
use super::report::Failure;
use super::table::Table;
use super::work::Row;
use crate::database::failed;

/// How often a batch that others were in the way of is sent again.
const ATTEMPTS: u32 = 5;

/// Sends a batch, all of it in one transaction. Rows that the server refuses are found by halves, and told; whatever is about the
/// server or the table itself fails.
pub fn send(client: &mut Client, table: &Table, rows: &[Row]) -> Result<Vec<Failure>> {
    let mut attempts = 0;
    let error = loop {
        match try_send(client, table, rows) {
            Ok(()) => return Ok(Vec::new()),
            Err(e) if attempts < ATTEMPTS && is_conflict(&e) => attempts += 1,
            Err(e) => break e,
        }
    };
    if !is_about_rows(&error) || client.is_closed() {
        return Err(failed(&error));
    }
    if let [row] = rows {
        return Ok(vec![Failure::new(row.file.clone(), failed(&error).to_string())]);
    }
    let (one, other) = rows.split_at(rows.len() / 2);
    let mut failures = send(client, table, one)?;
    failures.extend(send(client, table, other)?);
    Ok(failures)
}

fn try_send(client: &mut Client, table: &Table, rows: &[Row]) -> std::result::Result<(), postgres::Error> {
    let mut transaction = client.transaction()?;
    copy(&mut transaction, table, rows.iter().filter(|row| row.id.is_none()))?;
    for row in rows {
        if let Some(id) = row.id {
            change(&mut transaction, table, id, row)?;
        }
    }
    transaction.commit()
}

fn copy<'a>(
    transaction: &mut Transaction,
    table: &Table,
    rows: impl Iterator<Item = &'a Row>,
) -> std::result::Result<(), postgres::Error> {
    let mut rows = rows.peekable();
    if rows.peek().is_none() {
        return Ok(());
    }
    let columns = "modality, content_ref, metadata, image, embedding";
    let mut writer = transaction.copy_in(&format!("COPY {} ({columns}) FROM STDIN (FORMAT binary)", table.name))?;
    // Where writing fails, the end tells the reason.
    let mut written = writer.write_all(HEADER);
    let mut bytes = Rows::default();
    for row in rows {
        if written.is_err() {
            break;
        }
        bytes.0.clear();
        bytes.row(5);
        bytes.field(Some(if row.is_text { b"text" } else { b"image" }));
        bytes.field(Some(row.reference.as_bytes()));
        bytes.json(&row.metadata);
        bytes.field(row.image.as_deref());
        bytes.vector(row.vector.as_deref(), table.is_half);
        written = writer.write_all(&bytes.0);
    }
    let _ = written.and_then(|()| writer.write_all(&TRAILER));
    writer.finish().map(|_| ())
}

/// Without an image or a vector only the facts are others. What a user wrote into `metadata` stays.
fn change(
    transaction: &mut Transaction,
    table: &Table,
    id: i64,
    row: &Row,
) -> std::result::Result<(), postgres::Error> {
    let facts = "metadata = coalesce(metadata, '{}') || $2::text::jsonb";
    let (table, vectors) = (&table.name, &table.vector_type);
    match (&row.image, &row.vector) {
        (None, None) => {
            transaction.execute(&format!("UPDATE {table} SET {facts} WHERE id = $1"), &[&id, &row.metadata])
        }
        (image, None) => transaction
            .execute(&format!("UPDATE {table} SET {facts}, image = $3 WHERE id = $1"), &[&id, &row.metadata, image]),
        (image, Some(vector)) => {
            let numbers: Vec<String> = vector.iter().map(f32::to_string).collect();
            let vector = format!("[{}]", numbers.join(","));
            let sql = format!("UPDATE {table} SET {facts}, image = $3, embedding = $4::text::{vectors} WHERE id = $1");
            transaction.execute(&sql, &[&id, &row.metadata, image, &vector])
        }
    }
    .map(|_| ())
}

/// Another transaction was in the way.
fn is_conflict(e: &postgres::Error) -> bool {
    matches!(e.code(), Some(&SqlState::T_R_DEADLOCK_DETECTED | &SqlState::T_R_SERIALIZATION_FAILURE))
}

/// Not about the server, the connection, the statement or privileges: then a half of the rows may pass.
fn is_about_rows(e: &postgres::Error) -> bool {
    let Some(code) = e.code() else { return false };
    let code = code.code();
    // 22 data, 23 constraints, 54 limits, 0A unsupported, 58P01 and XX a model's files are the same for all rows, P0 raised by triggers
    ["22", "23", "54", "0A", "P0"].iter().any(|class| code.starts_with(class)) || ["57014", "53200"].contains(&code)
}
