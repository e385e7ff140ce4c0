//! The arguments of pg_clip's triggers, which `pg_dump` keeps: a file format. `clip.trigger_arguments` writes them.
//!
//! The last argument of the trigger that embeds is a JSON object with a version. Those before it are what 0.1.0 wrote: embedding
//! column, text column, image column, modality column (empty where there is none), keep the image bytes (`true`, `false`,
//! `next`), model, fingerprint, and then `async` or nothing. A library of 0.1.0 that meets a newer trigger reads them.

use std::ffi::CString;

use clip_core::Modality;
use serde::Deserialize;

use super::Sources;
use crate::error::{SqlState, raise};
use crate::pg::datum::{from_server, to_server};

/// The latest version that this library reads.
const VERSION: u32 = 1;

/// What becomes of an image's bytes once they are embedded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Images {
    Keep,
    Clear,
    /// Another trigger of the table clears them, and this one fires before: a change of model embeds for both.
    ClearedNext,
}

/// What a trigger of the table is to do with its rows. Names of columns are in the encoding of the server.
pub struct TriggerSpec {
    pub embedding: CString,
    pub sources: Sources<CString>,
    pub images: Images,
    pub model: String,
    pub fingerprint: String,
    pub is_async: bool,
}

#[derive(Deserialize)]
struct Version {
    v: u32,
}

#[derive(Deserialize)]
struct Object {
    embedding: String,
    /// Columns by the name of their modality.
    sources: std::collections::BTreeMap<String, String>,
    modality: Option<String>,
    images: Images,
    model: String,
    fingerprint: String,
    #[serde(rename = "async")]
    is_async: bool,
}

impl TriggerSpec {
    pub fn parse(mut arguments: Vec<CString>) -> Self {
        if let Some(json) = arguments.last().filter(|last| last.to_bytes().starts_with(b"{")) {
            return Self::from_json(&from_server(json));
        }
        let is_async = arguments.len() == 8 && arguments.pop().is_some_and(|mode| mode.as_c_str() == c"async");
        let [embedding, text, image, modality, keep_images, model, fingerprint] =
            arguments.try_into().unwrap_or_else(|_| wrong("clip_embed_trigger expects 7 or 8 arguments"));
        Self {
            embedding,
            sources: source_columns(text, image, modality),
            images: match keep_images.to_bytes() {
                b"true" => Images::Keep,
                b"next" => Images::ClearedNext,
                _ => Images::Clear,
            },
            model: from_server(&model),
            fingerprint: from_server(&fingerprint),
            is_async,
        }
    }

    fn from_json(json: &str) -> Self {
        let Version { v } = read(json);
        if v > VERSION {
            wrong(&format!(
                "the trigger was made by a newer pg_clip: its arguments have version {v}, this library reads {VERSION}"
            ));
        }
        let object: Object = read(json);
        let name = |name: &String| to_server(name).unwrap_or_default();
        let source = |(modality, column): (&String, &String)| {
            let known = Modality::from_name(modality);
            (
                known.unwrap_or_else(|| wrong(&format!("modality \"{modality}\" of the trigger is unknown"))),
                name(column),
            )
        };
        Self {
            embedding: name(&object.embedding),
            sources: Sources::new(object.modality.as_ref().map(name), object.sources.iter().map(source).collect()),
            images: object.images,
            model: object.model,
            fingerprint: object.fingerprint,
            is_async: object.is_async,
        }
    }
}

fn read<'a, T: Deserialize<'a>>(json: &'a str) -> T {
    serde_json::from_str(json)
        .unwrap_or_else(|e| wrong(&format!("the argument of clip_embed_trigger is not valid: {e}")))
}

/// The columns by name, empty where there is none.
pub fn source_columns(text: CString, image: CString, modality: CString) -> Sources<CString> {
    let some = |name: CString| Some(name).filter(|name: &CString| !name.is_empty());
    let columns = [(Modality::Text, some(text)), (Modality::Image, some(image))];
    let named = columns.into_iter().filter_map(|(modality, column)| Some((modality, column?)));
    Sources::new(some(modality), named.collect())
}

pub fn wrong(message: &str) -> ! {
    raise(SqlState::TriggerProtocol, message, Some("Let clip_attach create the trigger."))
}
