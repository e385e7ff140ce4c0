//! Rows on their way to the server.

use std::collections::BTreeMap;
use std::io::Write;

use clip_core::Result;
use postgres::error::SqlState;
use postgres::types::ToSql;
use postgres::{Client, Statement, Transaction};

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
    let mut prepared = BTreeMap::new();
    for row in rows {
        if let Some(id) = row.id {
            change(&mut transaction, &mut prepared, table, id, row)?;
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
    prepared: &mut BTreeMap<String, Statement>,
    table: &Table,
    id: i64,
    row: &Row,
) -> std::result::Result<(), postgres::Error> {
    let vector = row.vector.as_ref().map(|vector| {
        let numbers: Vec<String> = vector.iter().map(f32::to_string).collect();
        format!("[{}]", numbers.join(","))
    });
    let (table, vectors) = (&table.name, &table.vector_type);
    let mut values: Vec<&(dyn ToSql + Sync)> = vec![&id, &row.metadata];
    let mut sql = format!("UPDATE {table} SET metadata = coalesce(metadata, '{{}}') || $2::text::jsonb");
    if row.image.is_some() || vector.is_some() {
        sql += ", image = $3";
        values.push(&row.image);
    }
    if let Some(vector) = &vector {
        sql += &format!(", embedding = $4::text::{vectors}");
        values.push(vector);
    }
    sql += " WHERE id = $1";
    let statement = match prepared.get(&sql) {
        Some(statement) => statement.clone(),
        None => {
            let statement = transaction.prepare(&sql)?;
            prepared.insert(sql, statement.clone());
            statement
        }
    };
    transaction.execute(&statement, &values).map(|_| ())
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
