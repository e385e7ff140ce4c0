//! Answers to the page.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, QueryRejection};
use axum::extract::{Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use clip_core::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::pool::blocking;
use super::server::Shared;
use super::thumbnails::Source;
use crate::search::{Hit, Question, Request, filter};

/// Rows of a page.
const LIMIT: i32 = 24;

/// What the page asks. Where there is neither `text` nor `like`, the request's body is a picture.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    text: Option<String>,
    /// A row's key, as it was given.
    like: Option<String>,
    modality: Option<String>,
    filter: Option<String>,
    words: Option<String>,
    /// What the page before gave.
    after: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    /// A file below the root.
    name: Option<String>,
    /// A row's key, as it was given: of the image that it keeps.
    key: Option<String>,
}

#[derive(Serialize)]
struct Row<'a> {
    distance: Option<f64>,
    modality: Option<&'a str>,
    content_ref: Option<&'a str>,
    /// JSON as text, of which a browser would round large numbers.
    key: Option<&'a str>,
    metadata: Option<&'a RawValue>,
}

#[derive(Serialize)]
struct Page<'a> {
    rows: Vec<Row<'a>>,
    next: Option<&'a str>,
}

type Shares = State<Arc<Shared>>;

pub async fn about(State(shared): Shares) -> Response {
    json(StatusCode::OK, &shared.about)
}

pub async fn search(State(shared): Shares, asked: std::result::Result<Query<Asked>, QueryRejection>) -> Response {
    match asked {
        Ok(Query(asked)) => answer(shared, asked, None).await,
        Err(e) => error(e.status(), &e.body_text(), None),
    }
}

pub async fn search_picture(
    State(shared): Shares,
    asked: std::result::Result<Query<Asked>, QueryRejection>,
    picture: std::result::Result<Bytes, BytesRejection>,
) -> Response {
    match (asked, picture) {
        (Ok(Query(asked)), Ok(picture)) => answer(shared, asked, Some(picture)).await,
        (Err(e), _) => error(e.status(), &e.body_text(), None),
        (_, Err(e)) => error(e.status(), &e.body_text(), None),
    }
}

async fn answer(shared: Arc<Shared>, asked: Asked, picture: Option<Bytes>) -> Response {
    let ours = Arc::clone(&shared);
    let found = blocking(&shared.pool.places, move || {
        let filter = asked.filter.as_deref().map(filter::parse).transpose()?.flatten();
        let given = |value: &Option<String>| value.clone().filter(|value| !value.trim().is_empty());
        let (modality, words) = (given(&asked.modality), given(&asked.words));
        let request = Request {
            table: &ours.table,
            question: question(&asked, picture.as_deref())?,
            limit: LIMIT,
            modality: modality.as_deref(),
            filter: filter.as_deref(),
            after: asked.after.as_deref(),
            words: words.as_deref(),
            max_distance: None,
            column: ours.column.as_deref(),
        };
        ours.pool.with(|client, extension| request.ask(client, extension))
    });
    match found.await {
        Ok(found) => {
            let page = Page { rows: found.hits.iter().map(row).collect(), next: found.next.as_deref() };
            json(StatusCode::OK, &page)
        }
        Err(e) => failed(&e),
    }
}

fn question<'a>(asked: &'a Asked, picture: Option<&'a [u8]>) -> Result<Question<'a>> {
    match (&asked.text, &asked.like, picture) {
        (Some(text), None, None) => Ok(Question::Text(text)),
        (None, Some(key), None) => Ok(Question::Like(key)),
        (None, None, Some(picture)) => Ok(Question::Image(picture)),
        _ => Err(Error::new(ErrorKind::InvalidArgument, "a search is for words, for a row or for a picture")),
    }
}

fn row(hit: &Hit) -> Row<'_> {
    Row {
        distance: hit.distance,
        modality: hit.modality.as_deref(),
        content_ref: hit.content_ref.as_deref(),
        key: hit.key.as_deref().map(RawValue::get),
        metadata: hit.metadata.as_deref(),
    }
}

pub async fn thumbnail(State(shared): Shares, wanted: std::result::Result<Query<Wanted>, QueryRejection>) -> Response {
    let (source, seconds) = match wanted {
        Ok(Query(Wanted { name: Some(name), key: None })) => (Source::File(name), 600),
        Ok(Query(Wanted { name: None, key: Some(key) })) => (Source::Row(key), 60),
        _ => return error(StatusCode::BAD_REQUEST, "a thumbnail is of a name or of a key", None),
    };
    match shared.thumbnails.get(&shared, source).await {
        Ok(jpeg) => {
            let headers = [
                (header::CONTENT_TYPE, "image/jpeg".to_owned()),
                (header::CACHE_CONTROL, format!("private, max-age={seconds}")),
            ];
            (headers, jpeg).into_response()
        }
        // Of names that lead elsewhere no more is said than of files that are not there.
        Err(e) if matches!(e.kind, ErrorKind::MissingFile | ErrorKind::InvalidArgument) => {
            error(StatusCode::NOT_FOUND, "there is no such picture", None)
        }
        Err(e) => error(StatusCode::UNPROCESSABLE_ENTITY, &e.message, None),
    }
}

fn failed(e: &Error) -> Response {
    let status =
        if e.kind == ErrorKind::Internal { StatusCode::INTERNAL_SERVER_ERROR } else { StatusCode::BAD_REQUEST };
    error(status, &e.message, e.hint.as_deref())
}

fn error(status: StatusCode, message: &str, hint: Option<&str>) -> Response {
    json(status, &serde_json::json!({ "error": message, "hint": hint }))
}

fn json(status: StatusCode, value: &impl Serialize) -> Response {
    match serde_json::to_string(value) {
        Ok(text) => (status, [(header::CONTENT_TYPE, "application/json")], text).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}
