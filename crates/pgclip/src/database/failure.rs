//! A server's errors as this program's.

use std::error::Error as _;

use clip_core::{Error, ErrorKind};

/// The server's message with its SQLSTATE, detail and hint.
pub fn failed(e: &postgres::Error) -> Error {
    let Some(db) = e.as_db_error() else {
        return Error::new(ErrorKind::InvalidArgument, format!("the server: {}", causes(e)));
    };
    let mut message = format!("{} ({})", db.message(), db.code().code());
    if let Some(detail) = db.detail() {
        message.push_str(&format!(": {detail}"));
    }
    let error = Error::new(ErrorKind::InvalidArgument, message);
    match db.hint() {
        Some(hint) => error.with_hint(hint),
        None => error,
    }
}

/// An error with what it came from.
pub(super) fn causes(e: &postgres::Error) -> String {
    let mut text = e.to_string();
    let mut cause = e.source();
    while let Some(e) = cause {
        let more = e.to_string();
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        cause = e.source();
    }
    text
}
