//! Where a page of a search ends and the next one begins: after a row's distance and key in each list that it is merged of.
//! Knows nothing of PostgreSQL, so that all of it can be tested without a server.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde_json::Value;

/// The latest form of a cursor.
const VERSION: u64 = 1;

/// Where a list was left.
#[derive(Clone, Debug, PartialEq)]
pub struct Place {
    pub distance: f64,
    /// Rows of the list that were given.
    pub seen: u64,
    /// What its distances are measured by, on all pages (`merge::base`).
    pub base: f64,
}

/// What a page begins after.
#[derive(Debug, PartialEq)]
pub struct Cursor {
    /// Rows that were given.
    pub seen: u64,
    /// By the name of the list. One that no row was taken of is not in it.
    pub places: BTreeMap<String, Place>,
}

#[derive(Debug, PartialEq, Eq)]
pub enum Wrong {
    Shape,
    AnotherQuery,
}

impl Cursor {
    /// `query`: what the page is cut from, `lists` the names that a list may have, `key` the columns of the table's key.
    pub fn parse(json: &str, query: &str, lists: &[&str], key: &[&str]) -> Result<Self, Wrong> {
        let value: Value = serde_json::from_str(json).map_err(|_| Wrong::Shape)?;
        let given = value.as_object().ok_or(Wrong::Shape)?;
        let number = |object: &serde_json::Map<String, Value>, name| object.get(name).and_then(Value::as_u64);
        if number(given, "v") != Some(VERSION) {
            return Err(Wrong::Shape);
        }
        if given.get("q").and_then(Value::as_str).ok_or(Wrong::Shape)? != query {
            return Err(Wrong::AnotherQuery);
        }
        let mut places = BTreeMap::new();
        for (name, place) in given.get("at").and_then(Value::as_object).ok_or(Wrong::Shape)? {
            let place = place.as_object().filter(|_| lists.contains(&name.as_str())).ok_or(Wrong::Shape)?;
            let values = place.get("key").and_then(Value::as_object).ok_or(Wrong::Shape)?;
            if values.len() != key.len() || key.iter().any(|column| values.get(*column).is_none_or(Value::is_null)) {
                return Err(Wrong::Shape);
            }
            let distance = |name| place.get(name).and_then(Value::as_f64).filter(|distance| distance.is_finite());
            let (Some(distance), Some(base), Some(seen)) = (distance("distance"), distance("base"), number(place, "n"))
            else {
                return Err(Wrong::Shape);
            };
            places.insert(name.clone(), Place { distance, seen, base });
        }
        if places.is_empty() {
            return Err(Wrong::Shape);
        }
        Ok(Self { seen: number(given, "n").ok_or(Wrong::Shape)?, places })
    }
}

/// Writes the cursors of a page's rows, one after the other. Keys are JSON in the encoding of the server, so the cursors are.
pub struct Writer<'a> {
    query: &'a str,
    seen: u64,
    /// The places' JSON, by the name of the list.
    places: BTreeMap<&'static str, Vec<u8>>,
}

impl<'a> Writer<'a> {
    pub fn new(query: &'a str, seen: u64) -> Self {
        Self { query, seen, places: BTreeMap::new() }
    }

    /// A list was left there by the page before.
    pub fn left(&mut self, list: &'static str, place: &Place, key: &[u8]) {
        let mut json = Vec::with_capacity(64 + key.len());
        let Place { distance, seen, base } = place;
        let numbers = format!("{{\"distance\": {distance:?}, \"base\": {base:?}, \"n\": {seen}, \"key\": ");
        json.extend_from_slice(numbers.as_bytes());
        json.extend_from_slice(key);
        json.push(b'}');
        self.places.insert(list, json);
    }

    /// The next row of the page: the one that the list is left at now.
    pub fn next(&mut self, list: &'static str, place: &Place, key: &[u8]) -> Vec<u8> {
        self.left(list, place, key);
        self.seen = self.seen.saturating_add(1);
        let mut head = String::new();
        let _ = write!(head, "{{\"v\": {VERSION}, \"q\": \"{}\", \"n\": {}, \"at\": {{", self.query, self.seen);
        let mut json = head.into_bytes();
        for (i, (name, place)) in self.places.iter().enumerate() {
            json.extend_from_slice(if i > 0 { b", \"" } else { b"\"" });
            json.extend_from_slice(name.as_bytes());
            json.extend_from_slice(b"\": ");
            json.extend_from_slice(place);
        }
        json.extend_from_slice(b"}}");
        json
    }
}

#[cfg(test)]
mod tests {
    use super::{Cursor, Place, Writer, Wrong};

    const LISTS: [&str; 3] = ["all", "image", "text"];

    fn written() -> String {
        let mut writer = Writer::new("0011", 20);
        writer.left("text", &Place { distance: 0.1 + 0.2, seen: 12, base: 0.5 }, br#"{"id": 7}"#);
        String::from_utf8(writer.next("image", &Place { distance: 1e-7, seen: 9, base: -0.25 }, br#"{"id": 8}"#))
            .unwrap()
    }

    #[test]
    fn a_cursor_is_read_as_it_was_written() {
        let cursor = Cursor::parse(&written(), "0011", &LISTS, &["id"]).unwrap();
        assert_eq!(cursor.seen, 21);
        assert_eq!(cursor.places["text"], Place { distance: 0.1 + 0.2, seen: 12, base: 0.5 });
        assert_eq!(cursor.places["image"], Place { distance: 1e-7, seen: 9, base: -0.25 });
    }

    #[test]
    fn what_is_no_cursor_of_the_query_is_refused() {
        let parse = |json: &str| Cursor::parse(json, "0011", &LISTS, &["id"]).unwrap_err();
        assert_eq!(Cursor::parse(&written(), "0012", &LISTS, &["id"]), Err(Wrong::AnotherQuery));
        assert_eq!(Cursor::parse(&written(), "0011", &["all"], &["id"]), Err(Wrong::Shape));
        assert_eq!(Cursor::parse(&written(), "0011", &LISTS, &["id", "part"]), Err(Wrong::Shape));
        assert_eq!(Cursor::parse(&written(), "0011", &LISTS, &["name"]), Err(Wrong::Shape));
        for json in ["", "null", "[]", "{}", "7", r#"{"v": 1}"#, r#"{"v": 2, "q": "0011", "n": 1, "at": {}}"#] {
            assert_eq!(parse(json), Wrong::Shape, "{json}");
        }
        for (from, to) in [
            ("1e-7", "null"),
            ("1e-7", "\"x\""),
            ("-0.25", "null"),
            ("\"n\": 9", "\"n\": -1"),
            ("{\"id\": 8}", "8"),
            ("8}", "null}"),
        ] {
            assert_eq!(parse(&written().replace(from, to)), Wrong::Shape, "{from} as {to}");
        }
        assert_eq!(parse(r#"{"v": 1, "q": "0011", "n": 1, "at": {}}"#), Wrong::Shape);
    }
}
