//! `clip_search`: as many rows as asked for, whatever an index would leave out.
//!
//! An approximate index gives the nearest rows that it comes to, and PostgreSQL takes away what filters and policies hide. So the
//! statement is planned and run under settings of its own; where the index still has too few, an exact scan answers
//! (`run.rs`). Rows of two modalities are two lists, each served by its own index, that are merged (`merge.rs`); pages begin after
//! a row's distance and key in each of them (`page.rs`). Statements run as the caller, under his snapshot.
#![allow(unsafe_code)]

mod effort;
mod merge;
mod output;
mod page;
mod request;
mod run;
mod statement;
mod table;
mod words;

use std::ffi::{CStr, CString};

use clip_core::{Modality, Model};
use pgrx::spi::{self, Spi, SpiClient};
use pgrx::{IntoDatum, pg_sys};

use crate::attachment::registry;
use crate::backend::{remarks, session};
use crate::error::{OrRaise, SqlState, raise};
use crate::pg::datum::{Vector, from_server, to_utf8};
use merge::Rule;
use output::Output;
use page::{Cursor, Place, Writer, Wrong};
pub use request::Kind;
use request::{Query, Request};
use run::{ByIndex, Hit, Runner};
use statement::List;
use table::Table;
use words::Document;

/// Rows of each list that are fused with those that have the words, at least.
const FUSED: usize = 100;

/// Answers a call with its rows.
///
/// # Safety
///
/// `fcinfo` is that of the running call of `clip_search`, whose second argument is of this kind.
pub unsafe fn search(fcinfo: pg_sys::FunctionCallInfo, kind: Kind) {
    // SAFETY: the caller's promise.
    let (output, request, function) =
        unsafe { (Output::begin(fcinfo), Request::of(fcinfo, kind), (*(*fcinfo).flinfo).fn_oid) };
    let Some(request) = request else { return };
    let answered = Spi::connect(|client| answer(client, &request, function, &output));
    answered.unwrap_or_else(|e: spi::Error| raise(SqlState::DataException, format!("could not search: {e}"), None));
}

fn answer(client: &SpiClient<'_>, request: &Request<'_>, function: pg_sys::Oid, output: &Output) -> spi::Result<()> {
    let table = Table::find(client, request.relation, request.column)?;
    check(request, &table);
    let model = registry::checked(&table.model, &table.fingerprint);
    let digest = request.digest(&table.embedding, &table.fingerprint);
    let cursor = request.after.map(|after| cursor(&request::json(after), &digest, &table));
    let of_query = match request.query {
        Query::Text(_) => Some(Modality::Text),
        Query::Image(_) => Some(Modality::Image),
        Query::Vector(_) => None,
    };
    let gap = !model.installed().has_one_cone();
    let is_far = |list: List| match list {
        List::All => false,
        List::Only(modality) => gap && of_query.is_some_and(|query| query != modality) && table.modalities().len() > 1,
    };
    let vector = embedded(request, &table, &model);
    let runner = Runner { client, table: &table, request, vector, is_far: &is_far };
    if let Some(words) = &request.words {
        return fused(&runner, words, gap, &Document::new(&table, &words::schema_of(function)), output);
    }
    let seen = cursor.as_ref().map_or(0, |cursor| cursor.seen);
    let lists = lists(&runner, gap, cursor.as_ref(), request.k)?;
    let mut writer = Writer::new(&digest, seen);
    for Part { list, .. } in &lists {
        let left = cursor.as_ref().and_then(|cursor| cursor.places.get(list.name()));
        if let (Some(place), Some(after)) = (left, request.after) {
            writer.left(list.name(), place, &key_of(after, list.name()));
        }
    }
    for (i, (list, at)) in merged(&lists, gap, request.k).into_iter().enumerate() {
        let Part { list, hits, base } = &lists[list];
        let hit = &hits[at];
        let before = cursor.as_ref().and_then(|cursor| cursor.places.get(list.name())).map_or(0, |place| place.seen);
        let cursor = hit.key().map(|key| {
            let place = Place { distance: hit.distance, seen: before.saturating_add(at as u64 + 1), base: *base };
            jsonb(writer.next(list.name(), &place, request::json_bytes(key).to_bytes()))
        });
        put(output, hit, seen.saturating_add(i as u64 + 1), cursor);
    }
    Ok(())
}

/// What is wrong with a request for this table.
fn check(request: &Request<'_>, table: &Table) {
    if request.filter.is_some() && !table.has_metadata {
        raise(
            SqlState::UndefinedColumn,
            format!("relation \"{}\" has no column \"metadata\" of type jsonb", table.name),
            Some("A filter is what that column must contain. Filter other columns in SQL, with clip_query."),
        );
    }
    if request.after.is_some() {
        if request.words.is_some() {
            raise(
                SqlState::NotSupported,
                "a search with words has no pages",
                Some("Ask for as many rows as you need with k."),
            );
        }
        if table.key.is_empty() {
            raise(
                SqlState::NotInPrerequisiteState,
                format!("table \"{}\" has no primary key: pages need one", table.name),
                Some("A page begins after a row's distance and key."),
            );
        }
    }
}

fn cursor(json: &str, digest: &str, table: &Table) -> Cursor {
    let lists = [List::All, List::Only(Modality::Text), List::Only(Modality::Image)].map(List::name);
    let key: Vec<_> = table.key.iter().map(|column| column.name.as_str()).collect();
    Cursor::parse(json, digest, &lists, &key).unwrap_or_else(|wrong| {
        let message = match wrong {
            Wrong::Shape => "\"after\" is no cursor of clip_search",
            Wrong::AnotherQuery => "\"after\" is the cursor of another search",
        };
        raise(
            SqlState::InvalidParameter,
            message,
            Some("Pass the cursor of the page's last row, with the same table, query, modality and filter."),
        )
    })
}

/// A place's key, as the cursor has it.
fn key_of(after: pg_sys::Datum, list: &str) -> Vec<u8> {
    let name = CString::new(list).unwrap_or_default();
    // SAFETY: operators of `jsonb` on a `jsonb` that was checked to have these objects.
    unsafe {
        let field = |object: pg_sys::Datum, name: &CStr| {
            let name = pg_sys::Datum::from(pg_sys::cstring_to_text(name.as_ptr()));
            pgrx::direct_function_call_as_datum(pg_sys::jsonb_object_field, &[Some(object), Some(name)])
        };
        let key = field(after, c"at").and_then(|at| field(at, &name)).and_then(|place| field(place, c"key"));
        key.map_or_else(Vec::new, |key| request::json_bytes(key).to_bytes().to_vec())
    }
}

/// The query as a `vector` of the table's space.
fn embedded(request: &Request<'_>, table: &Table, model: &Model) -> pg_sys::Datum {
    let embed = |modality, input: &[u8]| {
        let embedding = session::embed_one(model, modality, input).or_raise();
        remarks::warn_of(&embedding);
        Vector(embedding).into_datum()
    };
    match request.query {
        Query::Text(text) => embed(Modality::Text, to_utf8(text).as_bytes()),
        Query::Image(image) => embed(Modality::Image, image),
        Query::Vector(vector) => {
            let components = request::components(vector);
            if components.len() as i64 != i64::from(table.dimensions) {
                raise(
                    SqlState::DataException,
                    format!(
                        "the query has {} dimensions, vectors of \"{}\" have {}",
                        components.len(),
                        table.name,
                        table.dimensions
                    ),
                    Some("Only vectors of the table's own model can be compared with its rows."),
                );
            }
            if components.iter().all(|x| *x == 0.0) {
                raise(SqlState::InvalidParameter, "the query is a zero vector, which has no direction", None);
            }
            vector
        }
    }
}

/// What an index of a table's words is on, by the setting as it is. `schema`: the extension's.
pub fn words_expression(
    client: &SpiClient<'_>,
    relation: pg_sys::Oid,
    column: Option<&CStr>,
    schema: &CStr,
) -> spi::Result<String> {
    let table = Table::find(client, relation, column)?;
    Ok(Document::new(&table, &from_server(schema)).expression(""))
}

/// The next rows of a list that the answer is merged of, those within `max_distance`.
struct Part<'a> {
    list: List,
    hits: Vec<Hit<'a>>,
    /// What its distances are measured by where lists lie in two cones.
    base: f64,
}

fn lists<'a>(runner: &Runner<'a>, gap: bool, cursor: Option<&Cursor>, k: usize) -> spi::Result<Vec<Part<'a>>> {
    let found = found(runner, gap, cursor, k)?;
    let part = |(list, mut hits): (List, Vec<Hit<'a>>)| {
        let place = cursor.and_then(|cursor| cursor.places.get(list.name()));
        let base = place.map_or_else(|| merge::base(&distances(&hits)), |place| place.base);
        hits.retain(|hit| runner.request.max_distance.is_none_or(|most| hit.distance <= most));
        Part { list, hits, base }
    };
    Ok(found.into_iter().map(part).collect())
}

fn distances(hits: &[Hit]) -> Vec<f64> {
    hits.iter().map(|hit| hit.distance).collect()
}

type Found<'a> = Vec<(List, Vec<Hit<'a>>)>;

/// The next rows of each list, at least `k` where there are so many.
fn found<'a>(runner: &Runner<'a>, gap: bool, cursor: Option<&Cursor>, k: usize) -> spi::Result<Found<'a>> {
    let place = |list: List| cursor.and_then(|cursor| cursor.places.get(list.name()));
    let each = |lists: Vec<List>, k: usize| -> spi::Result<Found<'a>> {
        lists.into_iter().map(|list| Ok((list, runner.nearest(list, place(list), k)?))).collect()
    };
    let modalities: Vec<_> = runner.table.modalities().into_iter().rev().map(List::Only).collect();
    if let Some(modality) = runner.request.modality {
        let list = List::Only(modality);
        return each(if modalities.contains(&list) { vec![list] } else { Vec::new() }, k);
    }
    if modalities.len() < 2 || place(List::All).is_some() {
        return each(vec![List::All], k);
    }
    if gap || cursor.is_some() {
        return each(modalities, k.max(merge::BASE));
    }
    // An index of all rows answers at once. Without any index, so does one scan.
    match runner.by_index(List::All, None, k)? {
        ByIndex::Found(hits) => return Ok(vec![(List::All, hits)]),
        ByIndex::TooFew => return Ok(vec![(List::All, runner.exact(List::All, None, k)?)]),
        ByIndex::NoIndex => {}
    }
    let mut found = Vec::new();
    for list in &modalities {
        found.push((*list, runner.by_index(*list, None, k)?));
    }
    if found.iter().all(|(_, found)| matches!(found, ByIndex::NoIndex)) {
        return Ok(vec![(List::All, runner.exact(List::All, None, k)?)]);
    }
    let rows = |(list, found)| match found {
        ByIndex::Found(hits) => Ok((list, hits)),
        ByIndex::TooFew | ByIndex::NoIndex => Ok((list, runner.exact(list, None, k)?)),
    };
    found.into_iter().map(rows).collect()
}

/// Which rows of which lists come next.
fn merged(lists: &[Part<'_>], gap: bool, k: usize) -> Vec<(usize, usize)> {
    let distances: Vec<Vec<f64>> = lists.iter().map(|part| distances(&part.hits)).collect();
    let heads = lists.iter().zip(&distances).map(|(part, distances)| merge::List { distances, base: part.base });
    merge::merge(if gap { Rule::Relative } else { Rule::Distance }, &heads.collect::<Vec<_>>(), k)
}

/// Rows that are near, and rows that have the words.
fn fused(runner: &Runner<'_>, words: &str, gap: bool, document: &Document, output: &Output) -> spi::Result<()> {
    let (k, request) = (runner.request.k, runner.request);
    let depth = k.max(FUSED);
    let lists = lists(runner, gap, None, depth)?;
    let mut hits: Vec<Vec<&Hit<'_>>> = Vec::new();
    let list = request.modality.map_or(List::All, List::Only);
    let with_words = match list {
        List::Only(modality) if !runner.table.modalities().contains(&modality) => Vec::new(),
        list => runner.with_words(list, words, document, depth)?,
    };
    // Of equal scores, a row that has the words goes first.
    hits.push(with_words.iter().collect());
    hits.push(merged(&lists, gap, depth).into_iter().map(|(list, at)| &lists[list].hits[at]).collect());
    let places: Vec<Vec<String>> = hits.iter().map(|hits| hits.iter().map(|hit| hit.place()).collect()).collect();
    for (i, (list, at)) in merge::fuse(&places).into_iter().take(k).enumerate() {
        put(output, hits[list][at], i as u64 + 1, None);
    }
    Ok(())
}

fn put(output: &Output, hit: &Hit<'_>, rank: u64, cursor: Option<pg_sys::Datum>) {
    let [modality, content, metadata] = hit.columns();
    // SAFETY: the columns of the SQL declaration, in its order.
    unsafe {
        output.put([
            hit.key(),
            modality,
            content,
            metadata,
            hit.distance.into_datum(),
            i64::try_from(rank).unwrap_or(i64::MAX).into_datum(),
            cursor,
        ]);
    }
}

/// A `jsonb` of a text in the encoding of the server.
fn jsonb(json: Vec<u8>) -> pg_sys::Datum {
    let json = CString::new(json).unwrap_or_default();
    // SAFETY: the input function of `jsonb` reads a NUL-terminated text, and gives a value or raises an error.
    let value = unsafe { pgrx::direct_function_call_as_datum(pg_sys::jsonb_in, &[Some(json.as_ptr().into())]) };
    value.unwrap_or_else(|| raise(SqlState::DataException, "a cursor could not be written", None))
}
