//! PostgreSQL's full-text search beside the vectors: what a model cannot know, a product code say, is found by its letters.
#![allow(unsafe_code)]

use pgrx::pg_sys;
use pgrx::spi::quote_identifier;

use super::table::Table;
use crate::guc;
use crate::pipeline::string;

/// What of a row is searched, as an index on the same expression has it.
pub struct Document<'a> {
    table: &'a Table,
    config: pg_sys::Oid,
    /// Quoted, of this extension's functions.
    schema: String,
}

impl<'a> Document<'a> {
    /// `schema`: the extension's.
    pub fn new(table: &'a Table, schema: &str) -> Self {
        Self { table, config: config(), schema: quote_identifier(schema) }
    }

    /// `prefix`: the row's name with a point, or nothing.
    pub fn expression(&self, prefix: &str) -> String {
        format!(
            "{}.clip_words({}, {}, {})",
            self.schema,
            self.config(),
            self.table.content(prefix),
            self.table.metadata(prefix)
        )
    }

    pub fn has_words(&self, alias: &str) -> String {
        format!("{} OPERATOR(pg_catalog.@@) {}", self.expression(&format!("{alias}.")), self.query())
    }

    /// The more of the words and the closer together, the better.
    pub fn score(&self, alias: &str) -> String {
        format!("pg_catalog.ts_rank_cd({}, {})", self.expression(&format!("{alias}.")), self.query())
    }

    fn query(&self) -> String {
        let config = self.config();
        let query = |words| format!("pg_catalog.websearch_to_tsquery({config}, {words})");
        format!("({} OPERATOR(pg_catalog.||) {})", query("$6"), query("$7"))
    }

    /// By its number: its name may be anybody's.
    fn config(&self) -> String {
        format!("'{}'::pg_catalog.regconfig", self.config.to_u32())
    }
}

/// Where a function that runs is.
pub fn schema_of(function: pg_sys::Oid) -> String {
    // SAFETY: look-ups in PostgreSQL's caches.
    unsafe { string(pg_sys::get_namespace_name(pg_sys::get_func_namespace(function))) }
}

/// What words are made of, by `clip.text_search_config`.
fn config() -> pg_sys::Oid {
    let Some(name) = guc::text_search_config() else {
        // SAFETY: a plain call, which raises an error where there is none.
        return unsafe { pg_sys::getTSCurrentConfig(true) };
    };
    let (mut input, mut parameter) = (pg_sys::InvalidOid, pg_sys::InvalidOid);
    // SAFETY: the input function of `regconfig` reads a NUL-terminated name, as PostgreSQL reads default_text_search_config,
    // and raises an error where there is none of that name.
    unsafe {
        pg_sys::getTypeInputInfo(pg_sys::REGCONFIGOID, &mut input, &mut parameter);
        let found = pg_sys::OidInputFunctionCall(input, name.as_ptr().cast_mut(), parameter, -1);
        pg_sys::Oid::from(found.value() as u32)
    }
}

/// The same words where letters are joined by what is no blank, as in the name of a file: a parser takes `photos/AB-1234.jpg`
/// for one word, and the number in `AB-1234` for a negative one.
pub fn parted(words: &str) -> String {
    let letters: Vec<char> = words.chars().collect();
    let joins = |i: usize| {
        let is = |at: Option<usize>| at.and_then(|at| letters.get(at)).is_some_and(|c| c.is_alphanumeric());
        matches!(letters.get(i), Some('/' | '\\' | '.' | '_' | '-')) && is(i.checked_sub(1)) && is(Some(i + 1))
    };
    (0..letters.len()).map(|i| if joins(i) { ' ' } else { letters[i] }).collect()
}
