//! Filters of metadata, as they are typed.

use clip_core::{Error, ErrorKind, Result};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

const HINT: &str = "A filter is what a row's metadata contain: album=holiday, year=2024 or, as JSON, {\"album\": \"holiday\", \"year\": 2024}.";

/// A filter as JSON; `None` where nothing is filtered. What begins as an object is JSON, anything else pairs of `key=value` with commas between
/// them. Values are texts, but for what JSON takes for a number or a truth value; in quotes these are texts, too.
pub fn parse(typed: &str) -> Result<Option<String>> {
    let typed = typed.trim();
    if typed.is_empty() {
        return Ok(None);
    }
    let wrong = |what: String| Error::new(ErrorKind::InvalidArgument, what).with_hint(HINT);
    if typed.starts_with('{') {
        // As it is: numbers may have more digits than a program's own.
        let json: &RawValue = serde_json::from_str(typed).map_err(|e| wrong(format!("the filter is no JSON: {e}")))?;
        return Ok(Some(json.get().to_owned()));
    }
    let mut pairs = Map::new();
    for pair in typed.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
        let (key, value) =
            pair.split_once('=').ok_or_else(|| wrong(format!("\"{pair}\" is no pair of a key and a value")))?;
        let value = value.trim();
        let value = match serde_json::from_str(value) {
            Ok(scalar @ (Value::String(_) | Value::Number(_) | Value::Bool(_))) => scalar,
            _ => Value::String(value.to_owned()),
        };
        pairs.insert(key.trim().to_owned(), value);
    }
    Ok(Some(Value::Object(pairs).to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_and_json() {
        let parsed = |typed| parse(typed).unwrap();
        assert_eq!(parsed("  "), None);
        assert_eq!(parsed("album=holiday").unwrap(), r#"{"album":"holiday"}"#);
        assert_eq!(parsed("year = 2024, open=true,note=a=b").unwrap(), r#"{"note":"a=b","open":true,"year":2024}"#);
        assert_eq!(parsed("code=\"007\",kind=007").unwrap(), r#"{"code":"007","kind":"007"}"#);
        assert_eq!(parsed("{\"n\": 12345678901234567890123}").unwrap(), "{\"n\": 12345678901234567890123}");
        for wrong in ["{\"a\"", "album", "{} {}"] {
            assert!(parse(wrong).unwrap_err().hint.is_some(), "{wrong}");
        }
    }
}
