//! Files of texts: CSV with a header, or a JSON object or string a line.

use std::collections::HashSet;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use clip_core::{Error, ErrorKind, Result};
use postgres::Client;
use serde_json::{Map, Value};

use super::table::Table;
use crate::database::failed;
use crate::files::{self, invalid};

/// Key of `metadata` that says which file a text is from.
pub const SOURCE: &str = "source";

/// One text with what its line says beside it.
pub struct Text {
    pub text: String,
    pub metadata: Map<String, Value>,
}

/// A line that makes no sense is a failure of its own.
pub type Line = (u64, std::result::Result<Text, String>);

/// The texts of a file, with the numbers of their lines.
pub fn read(path: &Path, column: &str) -> Result<Box<dyn Iterator<Item = Line> + Send>> {
    let file = File::open(path).map_err(|e| files::failed("read", path, &e))?;
    let is_csv = path.extension().is_some_and(|end| end.eq_ignore_ascii_case("csv"));
    if is_csv { csv(file, path, column) } else { Ok(Box::new(json(file, column.to_owned()))) }
}

fn csv(file: File, path: &Path, column: &str) -> Result<Box<dyn Iterator<Item = Line> + Send>> {
    let mut reader = csv::ReaderBuilder::new().flexible(false).from_reader(file);
    let header = reader.headers().map_err(|e| invalid(path, e))?.clone();
    let at = header.iter().position(|name| name.trim_start_matches('\u{feff}') == column).ok_or_else(|| {
        let columns = header.iter().collect::<Vec<_>>().join(", ");
        invalid(path, format!("no column \"{column}\" among {columns}"))
            .with_hint("Name the column of the texts with --text-column.")
    })?;
    Ok(Box::new(reader.into_records().map(move |record| match record {
        Err(e) => (e.position().map_or(0, csv::Position::line), Err(e.to_string())),
        Ok(record) => {
            let text = record.get(at).unwrap_or_default().to_owned();
            let others = header.iter().zip(&record).enumerate().filter(|(place, _)| *place != at);
            let metadata = others
                .map(|(_, (name, value))| (name.trim_start_matches('\u{feff}').to_owned(), value.into()))
                .collect();
            (record.position().map_or(0, csv::Position::line), checked(text, metadata))
        }
    })))
}

fn json(file: File, column: String) -> impl Iterator<Item = Line> + Send {
    let lines = BufReader::new(file).lines().zip(1u64..);
    lines.filter_map(move |(line, number)| match line {
        Err(e) => Some((number, Err(e.to_string()))),
        Ok(line) if line.trim().is_empty() => None,
        Ok(line) => Some((number, object(&line, &column))),
    })
}

fn object(line: &str, column: &str) -> std::result::Result<Text, String> {
    match serde_json::from_str(line).map_err(|e| format!("no JSON: {e}"))? {
        Value::String(text) => checked(text, Map::new()),
        Value::Object(mut metadata) => match metadata.remove(column) {
            Some(Value::String(text)) => checked(text, metadata),
            Some(_) => Err(format!("\"{column}\" is no string")),
            None => Err(format!("no key \"{column}\"")),
        },
        _ => Err("neither an object nor a string".into()),
    }
}

/// A database has no NUL characters.
fn checked(text: String, metadata: Map<String, Value>) -> std::result::Result<Text, String> {
    if text.contains('\0')
        || metadata.iter().any(|(key, value)| key.contains('\0') || value.to_string().contains("\\u0000"))
    {
        return Err("it holds a NUL character, which no text of a database can".into());
    }
    Ok(Text { text, metadata })
}

impl Text {
    /// What makes two lines one row: text and metadata are alike. Numbers count by their value, as `jsonb` writes them in its own way.
    pub fn key(&self) -> String {
        let mut key = self.text.clone();
        key.push('\0');
        write_sorted(&mut key, &Value::Object(self.metadata.clone()));
        key
    }
}

fn write_sorted(key: &mut String, value: &Value) {
    match value {
        Value::Object(map) => {
            let mut names: Vec<_> = map.keys().collect();
            names.sort();
            for name in names {
                key.push_str(&format!("{name:?}:"));
                write_sorted(key, &map[name]);
                key.push(',');
            }
        }
        Value::Array(values) => {
            key.push('[');
            for value in values {
                write_sorted(key, value);
                key.push(',');
            }
            key.push(']');
        }
        Value::Number(number) => key.push_str(&number.as_f64().unwrap_or_default().to_string()),
        other => key.push_str(&other.to_string()),
    }
}

/// A file's texts that are there: what they are, and their rows.
pub fn present(client: &mut Client, table: &Table, source: &str) -> Result<Vec<(String, i64)>> {
    let sql = format!(
        "SELECT id, content_ref, (metadata - '{SOURCE}')::text FROM {} WHERE modality = 'text' AND metadata->>'{SOURCE}' = $1 ORDER BY id",
        table.name
    );
    let rows = client.query(&sql, &[&source]).map_err(|e| failed(&e))?;
    let found = rows.iter().map(|row| {
        let metadata =
            serde_json::from_str(row.get(2)).map_err(|e| Error::new(ErrorKind::Internal, format!("metadata: {e}")))?;
        Ok((Text { text: row.get(1), metadata }.key(), row.get(0)))
    });
    found.collect()
}

/// A file of texts against its rows.
pub struct Source {
    pub path: PathBuf,
    pub name: String,
    /// Rows by what they are; those that no line stands for are left.
    pub gone: std::collections::HashMap<String, Vec<i64>>,
    /// What was seen in the file.
    pub seen: HashSet<String>,
    /// The whole file made sense.
    pub complete: bool,
}

/// What a line means for the table.
#[derive(Debug, PartialEq, Eq)]
pub enum Meaning {
    New,
    Present,
    /// The file has the same before.
    Again,
}

impl Source {
    pub fn new(path: PathBuf, name: String, present: Vec<(String, i64)>) -> Self {
        let mut gone: std::collections::HashMap<String, Vec<i64>> = std::collections::HashMap::new();
        for (key, id) in present {
            gone.entry(key).or_default().push(id);
        }
        Self { path, name, gone, seen: HashSet::new(), complete: true }
    }

    pub fn look(&mut self, text: &Text) -> Meaning {
        let key = text.key();
        if self.gone.remove(&key).is_some() {
            self.seen.insert(key);
            return Meaning::Present;
        }
        if self.seen.insert(key) { Meaning::New } else { Meaning::Again }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_json() {
        let told =
            |line| object(line, "text").map(|text| text.key()).map_err(|e| e.split(':').next().unwrap().to_owned());
        assert_eq!(told("\"a cat\""), Ok("a cat\0".into()));
        assert_eq!(
            told(r#"{"text": "a cat", "b": 1.0, "a": [2e0, "x"]}"#),
            told(r#"{"a": [2, "x"], "b": 1, "text": "a cat"}"#)
        );
        assert_eq!(told(r#"{"text": 1}"#), Err("\"text\" is no string".into()));
        assert_eq!(told("{}"), Err("no key \"text\"".into()));
        assert_eq!(told("[]"), Err("neither an object nor a string".into()));
        assert_eq!(told("{"), Err("no JSON".into()));
        assert_eq!(told(r#""a\u0000b""#), Err("it holds a NUL character, which no text of a database can".into()));
    }

    #[test]
    fn rows_of_a_file() {
        let text = |text: &str| Text { text: text.into(), metadata: Map::new() };
        let mut source = Source::new(PathBuf::new(), String::new(), vec![(text("a").key(), 1), (text("b").key(), 2)]);
        assert_eq!(source.look(&text("a")), Meaning::Present);
        assert_eq!(source.look(&text("a")), Meaning::Again);
        assert_eq!(source.look(&text("c")), Meaning::New);
        assert_eq!(source.gone.into_values().flatten().collect::<Vec<_>>(), [2]);
    }
}
