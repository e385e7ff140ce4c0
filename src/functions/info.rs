//! `clip_models`, `clip_token_count`, and what the SQL side asks about a model.

use clip_core::{Context, Installed};
use pgrx::iter::TableIterator;
use pgrx::{name, pg_extern};

use super::once::once_functions;
use crate::backend::session;
use crate::error::{OrRaise, warn};
use crate::pg::datum::to_utf8;
use crate::pg::interrupts;

/// What a row of `clip_models` says of an installed model.
struct Listed {
    model: Installed,
    loaded: bool,
}

/// Every installed model; one that cannot be opened is a warning, not the end of the list.
fn listed() -> Vec<Listed> {
    let dir = session::model_dir();
    let mut rows = Vec::new();
    for name in dir.names().or_raise() {
        match dir.open(&name) {
            Ok(model) => rows.push(Listed { model, loaded: session::is_loaded(&name) }),
            Err(e) => warn(e),
        }
    }
    rows
}

impl Listed {
    fn precisions(&self) -> Vec<String> {
        self.model.precisions().into_iter().map(|precision| precision.name().to_owned()).collect()
    }
}

/// `licence` is the name that `license` had in 0.1.0.
#[pg_extern(sql = false)]
#[allow(clippy::type_complexity)]
fn clip_installed_models() -> TableIterator<
    'static,
    (
        name!(name, String),
        name!(architecture, String),
        name!(dimensions, i32),
        name!(precisions, Vec<String>),
        name!(context_length, i32),
        name!(image_size, i32),
        name!(parameters, i64),
        name!(bytes, i64),
        name!(license, String),
        name!(fingerprint, String),
        name!(loaded, bool),
        name!(one_cone, bool),
        name!(licence, String),
    ),
> {
    let rows = listed().into_iter().map(|row| {
        let (spec, manifest) = (row.model.spec(), &row.model.manifest);
        (
            row.model.name.clone(),
            spec.family().to_owned(),
            spec.dimensions as i32,
            row.precisions(),
            spec.text.context_length as i32,
            spec.vision.image_size as i32,
            manifest.parameters as i64,
            row.model.bytes() as i64,
            manifest.license.clone(),
            manifest.fingerprint.clone(),
            row.loaded,
            row.model.has_one_cone(),
            manifest.license.clone(),
        )
    });
    TableIterator::new(rows.collect::<Vec<_>>())
}

/// Of 0.1.0: `clip_models()`, which a session with this library may call until the schema is updated
#[pg_extern(sql = false)]
#[allow(clippy::type_complexity)]
fn clip_models() -> TableIterator<
    'static,
    (
        name!(name, String),
        name!(architecture, String),
        name!(dimensions, i32),
        name!(precisions, Vec<String>),
        name!(context_length, i32),
        name!(image_size, i32),
        name!(parameters, i64),
        name!(bytes, i64),
        name!(licence, String),
        name!(fingerprint, String),
        name!(loaded, bool),
    ),
> {
    let rows = listed().into_iter().map(|row| {
        let (spec, manifest) = (row.model.spec(), &row.model.manifest);
        (
            row.model.name.clone(),
            spec.family().to_owned(),
            spec.dimensions as i32,
            row.precisions(),
            spec.text.context_length as i32,
            spec.vision.image_size as i32,
            manifest.parameters as i64,
            row.model.bytes() as i64,
            manifest.license.clone(),
            manifest.fingerprint.clone(),
            row.loaded,
        )
    });
    TableIterator::new(rows.collect::<Vec<_>>())
}

once_functions! {
    clip_token_count_wrapper(Varlena), Settings, |given| count(None, given.bytes(0));
    clip_token_count_model_wrapper(Varlena, Varlena), Settings, |given| count(Some(&given.text(1)), given.bytes(0));
}

/// Tokens of the whole text, begin and end included, before it is cut to the model's context.
fn count(model: Option<&str>, content: &[u8]) -> i32 {
    let model = session::immutable_or_default(model).or_raise();
    let compute = session::compute().or_raise();
    let ctx = Context { compute: &compute, stop: &interrupts::stop };
    let count = model.count_tokens(&to_utf8(content), &ctx).or_raise();
    i32::try_from(count).unwrap_or(i32::MAX)
}

/// Name, dimensions and fingerprint of a model, the session's where none is named: for the SQL functions that make
/// tables.
#[pg_extern(sql = false)]
fn clip_model_info(
    model: Option<&str>,
) -> TableIterator<'static, (name!(name, String), name!(dimensions, i32), name!(fingerprint, String))> {
    let model = session::model_or_default(model).or_raise();
    let Installed { name, manifest, .. } = model.installed();
    TableIterator::once((name.clone(), manifest.spec.dimensions as i32, manifest.fingerprint.clone()))
}

/// `(model text)`: do texts and images of the model, the session's where none is named, lie in one cone of the space?
#[pg_extern(sql = false)]
fn clip_has_one_cone(model: Option<&str>) -> bool {
    session::model_or_default(model).or_raise().installed().has_one_cone()
}
