//! Questions to `clip_search`.

use clip_core::{Error, Result};
use postgres::error::SqlState;
use postgres::types::ToSql;
use postgres::{Client, Row};
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::row;
use crate::database::failed;
use crate::extension::Extension;

/// What is looked for.
pub enum Question<'a> {
    Text(&'a str),
    /// An encoded picture.
    Image(&'a [u8]),
    /// The row of this primary key, as JSON.
    Like(&'a str),
}

/// The arguments of `clip_search`, as text where they are JSON.
pub struct Request<'a> {
    pub table: &'a str,
    pub question: Question<'a>,
    pub limit: i32,
    pub modality: Option<&'a str>,
    pub filter: Option<&'a str>,
    pub after: Option<&'a str>,
    pub words: Option<&'a str>,
    pub max_distance: Option<f64>,
    /// Of the vectors, where there are several.
    pub column: Option<&'a str>,
}

/// A row of the answer. JSON is passed on as the server wrote it: a number of it may be more than a program's own.
#[derive(Serialize)]
pub struct Hit {
    pub distance: Option<f64>,
    pub modality: Option<String>,
    pub content_ref: Option<String>,
    pub key: Option<Box<RawValue>>,
    pub metadata: Option<Box<RawValue>>,
}

/// A page of the rows that were found.
pub struct Answer {
    /// Nearest first.
    pub hits: Vec<Hit>,
    /// After what the next page begins, where there may be one.
    pub next: Option<String>,
}

impl Request<'_> {
    /// Asks the server, and waits for the answer.
    pub fn ask(&self, client: &mut Client, extension: &Extension) -> Result<Answer> {
        let vector;
        let (query, cast): (&(dyn ToSql + Sync), String) = match &self.question {
            Question::Text(text) => (text, "text".to_owned()),
            Question::Image(image) => (image, "bytea".to_owned()),
            Question::Like(key) => {
                vector = row::Row { table: self.table, column: self.column, key }.vector(client, extension)?;
                (&vector, format!("text::{}.vector", extension.vectors))
            }
        };
        let sql = format!(
            "SELECT s.distance, s.modality::text, s.content_ref, s.key::text, s.metadata::text, s.cursor::text
             FROM {}.clip_search($1::text::regclass, $2::{cast}, k => $3, modality => $4, filter => $5::text::jsonb,
                after => $6::text::jsonb, words => $7, max_distance => $8,
                embedding_column => $9::text::name) s ORDER BY s.rank",
            extension.schema
        );
        let arguments: [&(dyn ToSql + Sync); 9] = [
            &self.table,
            query,
            &self.limit,
            &self.modality,
            &self.filter,
            &self.after,
            &self.words,
            &self.max_distance,
            &self.column,
        ];
        let rows = client.query(&sql, &arguments).map_err(|e| explained(&e))?;
        let mut hits = rows.iter().map(hit).collect::<Result<Vec<_>>>()?;
        let is_full = usize::try_from(self.limit).is_ok_and(|limit| rows.len() == limit);
        // A search with words has no pages.
        let last = rows.last().filter(|_| is_full && self.words.is_none());
        let next = last.map(|row| row.try_get(5)).transpose().map_err(|e| failed(&e))?.flatten();
        // A row is nearest to itself.
        if let Question::Like(key) = &self.question {
            let itself: Value = serde_json::from_str(key).unwrap_or_default();
            let is_itself = |key: &RawValue| serde_json::from_str::<Value>(key.get()).is_ok_and(|key| key == itself);
            hits.retain(|hit| !hit.key.as_deref().is_some_and(is_itself));
        }
        Ok(Answer { hits, next })
    }
}

fn hit(row: &Row) -> Result<Hit> {
    let json = |i: usize| -> Result<Option<Box<RawValue>>> {
        let text: Option<String> = row.try_get(i).map_err(|e| failed(&e))?;
        text.map(RawValue::from_string).transpose().map_err(|e| Error::internal(format!("the server's JSON: {e}")))
    };
    let text = |i: usize| row.try_get(i).map_err(|e| failed(&e));
    Ok(Hit {
        distance: row.try_get(0).map_err(|e| failed(&e))?,
        modality: text(1)?,
        content_ref: text(2)?,
        key: json(3)?,
        metadata: json(4)?,
    })
}

/// The server's error, with what to do about it where the server does not say.
pub fn explained(e: &postgres::Error) -> Error {
    let error = failed(e);
    if error.hint.is_some() {
        return error;
    }
    match e.code() {
        Some(code) if *code == SqlState::UNDEFINED_TABLE || *code == SqlState::INVALID_SCHEMA_NAME => {
            error.with_hint("\"pgclip status\" lists the tables that are embedded.")
        }
        Some(code) if *code == SqlState::UNDEFINED_OBJECT => {
            error.with_hint("\"pgclip status\" lists the tables that are embedded, and the models that the server has.")
        }
        Some(code) if *code == SqlState::UNDEFINED_FUNCTION => {
            error.with_hint("The extension's schema may be of an older version: ALTER EXTENSION pg_clip UPDATE.")
        }
        Some(code) if *code == SqlState::INVALID_TEXT_REPRESENTATION => {
            error.with_hint("A filter is JSON that the rows' metadata contain, such as {\"album\": \"holiday\"}.")
        }
        _ => error,
    }
}
