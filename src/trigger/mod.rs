//! The trigger that embeds on INSERT and UPDATE, before the row is written.
//!
//! Its arguments, which `clip_attach` writes and `pg_dump` keeps: embedding column, text column, image column, modality
//! column (empty where there is none), keep the image bytes (`true`, `false`, `next`), model, fingerprint and mode (`sync`
//! where it is left out). So it reads no table. In mode `async` it only takes away the vector of a row whose source changes;
//! `enqueue.rs` does the rest.

mod enqueue;
mod row;

use std::rc::Rc;

use clip_core::Embedding;
use pgrx::{pg_guard, pg_sys};

use crate::datum::{Vector, to_utf8};
use crate::error::{OrRaise, SqlState, raise};
use crate::registry;
use crate::session;
use crate::stats::Kind;
use row::{Change, Column, Row};

#[allow(unsafe_code)]
#[unsafe(no_mangle)]
pub extern "C" fn pg_finfo_clip_embed_trigger() -> *const pg_sys::Pg_finfo_record {
    const VERSION_1: pg_sys::Pg_finfo_record = pg_sys::Pg_finfo_record { api_version: 1 };
    &VERSION_1
}

#[allow(unsafe_code)]
#[unsafe(no_mangle)]
#[pg_guard]
pub unsafe extern "C-unwind" fn clip_embed_trigger(fcinfo: pg_sys::FunctionCallInfo) -> pg_sys::Datum {
    // SAFETY: PostgreSQL calls a trigger function with its own fcinfo; `Row` checks that it is a trigger's.
    unsafe { Row::from_fcinfo(fcinfo) }.map_or_else(|e| raise(SqlState::TriggerProtocol, e, None), embed)
}

/// What becomes of an image's bytes once they are embedded.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Images {
    Keep,
    Clear,
    /// Another trigger of the table clears them, and this one fires before: a change of model embeds for both.
    ClearedNext,
}

struct Arguments {
    embedding: Column,
    text: Option<Column>,
    image: Option<Column>,
    modality: Option<Column>,
    images: Images,
    model: String,
    fingerprint: String,
    is_async: bool,
}

impl Arguments {
    fn parse(row: &Row) -> Self {
        let mut arguments = row.arguments();
        let is_async = arguments.len() == 8 && arguments.pop().is_some_and(|mode| mode.as_c_str() == c"async");
        let [embedding, text, image, modality, keep_images, model, fingerprint] =
            arguments.try_into().unwrap_or_else(|_| {
                raise(
                    SqlState::TriggerProtocol,
                    "clip_embed_trigger expects 7 or 8 arguments",
                    Some("Let clip_attach create the trigger."),
                )
            });
        Self {
            embedding: row.vector_column(&embedding),
            text: (!text.is_empty()).then(|| row.text_column(&text)),
            image: (!image.is_empty()).then(|| row.bytea_column(&image)),
            modality: (!modality.is_empty()).then(|| row.any_column(&modality)),
            images: match keep_images.to_bytes() {
                b"true" => Images::Keep,
                b"next" => Images::ClearedNext,
                _ => Images::Clear,
            },
            model: model.to_string_lossy().into_owned(),
            fingerprint: fingerprint.to_string_lossy().into_owned(),
            is_async,
        }
    }

    /// What the row's embedding is made of: by the modality column, else the image where there is one, else the text.
    fn source(&self, row: &Row) -> Option<(Kind, Column)> {
        let (text, image) = (self.text.map(|c| (Kind::Text, c)), self.image.map(|c| (Kind::Image, c)));
        match self.modality.map(|column| row.as_string(column)) {
            Some(Some(modality)) if modality == "text" => text,
            Some(Some(modality)) if modality == "image" => image,
            Some(Some(modality)) => raise(
                SqlState::DataException,
                format!("modality \"{modality}\" is unknown: expected text or image"),
                None,
            ),
            Some(None) => None,
            None => image.filter(|(_, column)| !row.is_null(*column)).or(text).or(image),
        }
    }
}

fn embed(row: Row) -> pg_sys::Datum {
    let arguments = Arguments::parse(&row);
    let Some((kind, column)) = arguments.source(&row) else { return row.unchanged() };
    let clears = kind == Kind::Image && arguments.images != Images::Keep;
    let mut changes = Vec::new();
    if row.is_null(column) {
        // An image that was cleared after embedding keeps its vector; any other source that is taken away takes the
        // vector with it. On INSERT a vector may come with the row, from a dump say, and stays.
        if row.is_update() && row.differs(column) {
            if !clears {
                changes.push(Change::null(arguments.embedding));
            } else if arguments.images == Images::ClearedNext && row.is_null(arguments.embedding) {
                // The bytes leave with this statement, which is the last chance to embed them.
                let embedding = run(&arguments, kind, row.old_bytes(column));
                row.check_dimensions(arguments.embedding, embedding.len());
                changes.push(Change::to(arguments.embedding, Vector(embedding).into_datum()));
            }
        }
    } else {
        let moved = arguments.modality.is_some_and(|modality| row.differs(modality));
        let stale = !row.is_update() || moved || row.differs(column);
        if arguments.is_async {
            // The worker embeds, and clears the image then; an inserted vector stays.
            if stale && row.is_update() {
                changes.push(Change::null(arguments.embedding));
            }
            return row.with(&changes);
        }
        if stale || row.is_null(arguments.embedding) {
            let embedding = run(&arguments, kind, row.bytes(column));
            row.check_dimensions(arguments.embedding, embedding.len());
            changes.push(Change::to(arguments.embedding, Vector(embedding).into_datum()));
        }
        if clears && arguments.images == Images::Clear {
            changes.push(Change::null(column));
        }
    }
    row.with(&changes)
}

fn run(arguments: &Arguments, kind: Kind, input: &[u8]) -> Rc<Embedding> {
    let model = registry::checked(&arguments.model, &arguments.fingerprint);
    match kind {
        Kind::Image => session::embed_one(&model, kind, input),
        Kind::Text => session::embed_one(&model, kind, to_utf8(input).as_bytes()),
    }
    .or_raise()
}
