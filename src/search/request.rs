//! What a caller of `clip_search` asks for.
#![allow(unsafe_code)]

use std::ffi::CStr;

use clip_core::Modality;
use pgrx::{FromDatum, pg_sys};
use sha2::{Digest, Sha256};

use crate::error::{SqlState, raise};
use crate::pg::datum::{from_server, to_utf8};

/// Rows of one call at most: they are held in memory, and a list that is longer is better read in pages.
pub const MOST_ROWS: usize = 10_000;

/// What is searched with.
#[derive(Clone, Copy)]
pub enum Query<'a> {
    /// In the encoding of the server.
    Text(&'a [u8]),
    Image(&'a [u8]),
    /// A detoasted `vector`.
    Vector(pg_sys::Datum),
}

#[derive(Clone, Copy)]
pub enum Kind {
    Text,
    Image,
    Vector,
}

pub struct Request<'a> {
    pub relation: pg_sys::Oid,
    pub column: Option<&'a CStr>,
    pub query: Query<'a>,
    pub k: usize,
    pub modality: Option<Modality>,
    /// A `jsonb`.
    pub filter: Option<pg_sys::Datum>,
    /// A `jsonb`.
    pub after: Option<pg_sys::Datum>,
    pub words: Option<String>,
    /// Rows that are further away are none of the answer.
    pub max_distance: Option<f64>,
}

/// The arguments of the running call.
struct Given(pg_sys::FunctionCallInfo);

impl Given {
    fn datum(&self, place: usize) -> Option<pg_sys::Datum> {
        // SAFETY: the SQL declaration has as many arguments as `Request::of` reads.
        let argument = unsafe { (*self.0).args.as_slice(place + 1)[place] };
        (!argument.isnull).then_some(argument.value)
    }

    fn varlena(&self, place: usize) -> Option<pg_sys::Datum> {
        // SAFETY: an argument that the SQL declaration says is a varlena.
        self.datum(place).map(|datum| unsafe { pg_sys::Datum::from(pg_sys::pg_detoast_datum(datum.cast_mut_ptr())) })
    }

    fn bytes<'a>(&self, place: usize) -> Option<&'a [u8]> {
        // SAFETY: a text or a bytea, which stays as long as the call.
        self.datum(place).and_then(|datum| unsafe { FromDatum::from_datum(datum, false) })
    }
}

impl<'a> Request<'a> {
    /// `None` where there is no query. `(relation, query, k, modality, filter, after, words, max_distance, embedding_column)`
    ///
    /// # Safety
    ///
    /// `fcinfo` is that of the running call, with these arguments, the second of this kind.
    pub unsafe fn of(fcinfo: pg_sys::FunctionCallInfo, kind: Kind) -> Option<Self> {
        let given = Given(fcinfo);
        let relation = given.datum(0).map(|datum| pg_sys::Oid::from(datum.value() as u32));
        let relation =
            relation.unwrap_or_else(|| raise(SqlState::NullNotAllowed, "the relation must not be null", None));
        let k = rows_asked_for(given.datum(2).map(|datum| datum.value() as i32));
        let modality = given.bytes(3).map(|name| modality(&to_utf8(name)));
        let query = match kind {
            Kind::Text => Query::Text(given.bytes(1)?),
            Kind::Image => Query::Image(given.bytes(1)?),
            Kind::Vector => Query::Vector(given.varlena(1)?),
        };
        Some(Self {
            relation,
            // SAFETY: a `name`, which has its NUL.
            column: given.datum(8).map(|datum| unsafe { CStr::from_ptr(datum.cast_mut_ptr()) }),
            query,
            k,
            modality,
            filter: given.varlena(4),
            after: given.varlena(5),
            words: given.bytes(6).map(|words| to_utf8(words).into_owned()).filter(|words| !words.trim().is_empty()),
            max_distance: given.datum(7).map(|datum| distance(f64::from_bits(datum.value() as u64))),
        })
    }

    /// Names the list that pages are cut from: all that it depends on but the table's rows.
    pub fn digest(&self, column: &str, fingerprint: &str) -> String {
        let mut hash = Sha256::new();
        let mut add = |what: u8, part: &[u8]| {
            hash.update([what]);
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        };
        add(0, &self.relation.to_u32().to_le_bytes());
        add(1, column.as_bytes());
        add(2, fingerprint.as_bytes());
        match self.query {
            Query::Text(text) => add(3, text),
            Query::Image(image) => add(4, image),
            Query::Vector(vector) => add(5, bytes_of(vector)),
        }
        add(6, self.modality.map_or("", Modality::name).as_bytes());
        add(7, self.filter.map_or(&[], bytes_of));
        hash.finalize()[..8].iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

fn rows_asked_for(k: Option<i32>) -> usize {
    let k = k.unwrap_or_else(|| raise(SqlState::NullNotAllowed, "k must not be null", None));
    match usize::try_from(k) {
        Ok(k @ 1..=MOST_ROWS) => k,
        Ok(1..) => raise(
            SqlState::ProgramLimitExceeded,
            format!("k is {k}: expected {MOST_ROWS} at most"),
            Some("Ask for the rest page by page, with the last row's cursor as \"after\"."),
        ),
        _ => raise(
            SqlState::InvalidParameter,
            format!("k is {k}: expected 1 to {MOST_ROWS}"),
            Some("k is the number of rows to give."),
        ),
    }
}

fn modality(name: &str) -> Modality {
    Modality::from_name(name).unwrap_or_else(|| {
        raise(
            SqlState::InvalidParameter,
            format!("modality \"{name}\" is unknown: expected {}", Modality::names()),
            Some("Leave it out to search all rows."),
        )
    })
}

fn distance(given: f64) -> f64 {
    if given.is_nan() {
        raise(SqlState::InvalidParameter, "max_distance is NaN: expected a number", Some("Distances are from 0 to 2."));
    }
    given
}

/// A `vector`'s components.
pub fn components<'a>(vector: pg_sys::Datum) -> &'a [f32] {
    // SAFETY: a detoasted `vector`: a word of length, two integers of 16 bits, of which the first is the number of components.
    unsafe {
        let start: *const u8 = vector.cast_mut_ptr();
        let count = *start.add(4).cast::<i16>();
        std::slice::from_raw_parts(start.add(8).cast(), usize::try_from(count).unwrap_or(0))
    }
}

fn bytes_of<'a>(varlena: pg_sys::Datum) -> &'a [u8] {
    // SAFETY: a detoasted varlena.
    unsafe { pgrx::varlena::varlena_to_byte_slice(varlena.cast_mut_ptr()) }
}

/// A `jsonb` as text.
pub fn json(jsonb: pg_sys::Datum) -> String {
    from_server(json_bytes(jsonb))
}

/// In the encoding of the server.
pub fn json_bytes<'a>(jsonb: pg_sys::Datum) -> &'a CStr {
    // SAFETY: a detoasted `jsonb`, whose container begins after the word of length; a palloc'd C string.
    unsafe {
        let value: *mut pg_sys::Jsonb = pg_sys::pg_detoast_datum(jsonb.cast_mut_ptr()).cast();
        let length = pgrx::varlena::varsize_any(value.cast()) as i32;
        CStr::from_ptr(pg_sys::JsonbToCString(std::ptr::null_mut(), &mut (*value).root, length))
    }
}
