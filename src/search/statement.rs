//! The statements of a search, as text. Types, functions and operators are named with their schemas, so that nothing is looked
//! for in the caller's `search_path`, which stays as it is for the code of policies.
//!
//! `$1`: the query, a `vector`. `$2`: the filter, a `jsonb`. `$3`: rows to give. `$4`, `$5`: the distance that a page begins
//! after, and the cursor, a `jsonb`. `$6`, `$7`: the words.

use clip_core::Modality;
use pgrx::spi::{quote_identifier, quote_literal};

use super::table::Table;
use super::words::Document;

/// Rows that are searched as one list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum List {
    All,
    Only(Modality),
}

impl List {
    /// In cursors.
    pub fn name(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Only(modality) => modality.name(),
        }
    }
}

/// How an index is looked for.
#[derive(Clone, Copy)]
pub struct By {
    /// By vectors cast to `halfvec`; the rows are sorted by their own.
    pub half: bool,
    /// Rows are numbered as they come.
    pub numbered: bool,
    /// So many rows are written into the statement, for a plan that is kept: it is made for them.
    pub rows: Option<usize>,
}

/// What the statements of a list have in common.
pub struct Statements<'a> {
    pub table: &'a Table,
    pub list: List,
    pub filter: bool,
    /// A page begins after a row of the list.
    pub after: bool,
}

/// Columns of the result: key, modality, content, metadata, distance, place.
impl Statements<'_> {
    /// The nearest rows, in an order that an index may serve: of as many as `$3` says, sorted. Its last column is the number under
    /// which the index gave the row. Only rows that are fetched are made into results.
    pub fn nearest(&self, by: By) -> String {
        let after = if self.after {
            format!(" AND {}", self.is_after(&self.distance("t"), |name| format!("t.{name}")))
        } else {
            String::new()
        };
        let order = if by.half { self.distance_of_half("t") } else { "distance".to_owned() };
        let inner = format!(
            "SELECT {}, {} AS distance FROM {} t WHERE {}{after} ORDER BY {order} LIMIT {}",
            self.columns(),
            self.distance("t"),
            self.table.rows,
            self.conditions(),
            by.rows.map_or_else(|| "$3".to_owned(), |rows| rows.to_string()),
        );
        let number = if by.numbered { "pg_catalog.row_number() OVER ()" } else { "NULL::pg_catalog.int8" };
        let numbered = format!("SELECT i.*, {number} AS n FROM ({inner}) i");
        let by_key = self.by_key();
        let sorted =
            format!("SELECT s.* FROM ({numbered}) s ORDER BY s.distance{} OFFSET 0", by_key.replace("c.k", "s.k"));
        format!("SELECT {}, c.n FROM ({sorted}) c ORDER BY c.distance{by_key}", self.result("c.distance"))
    }

    /// The same, so that no index of vectors can serve: exact, with rows of one distance in the order of their keys.
    pub fn exact(&self) -> String {
        let key = |name: &str| format!("s.k{}", 1 + self.table.key.iter().position(|k| k.quoted == name).unwrap_or(0));
        let after = if self.after { format!(" WHERE {}", self.is_after("s.distance", key)) } else { String::new() };
        // OFFSET keeps the planner from looking for an index that gives the order outside.
        let inner = format!(
            "SELECT {}, {} AS distance FROM {} t WHERE {} OFFSET 0",
            self.columns(),
            self.distance("t"),
            self.table.rows,
            self.conditions(),
        );
        let by_key = self.by_key();
        let sorted =
            format!("SELECT s.* FROM ({inner}) s{after} ORDER BY s.distance{} LIMIT $3", by_key.replace("c.k", "s.k"));
        format!("SELECT {} FROM ({sorted}) c ORDER BY c.distance{by_key}", self.result("c.distance"))
    }

    /// The rows that have the words, best first.
    pub fn with_words(&self, document: &Document) -> String {
        let (vector, score) = (format!("t.{}", quote_identifier(&self.table.embedding)), document.score("t"));
        let inner = format!(
            "SELECT {}, {vector} AS vector, {score} AS score FROM {} t WHERE {} AND {} ORDER BY score DESC LIMIT $3",
            self.columns(),
            self.table.rows,
            self.conditions(),
            document.has_words("t"),
        );
        let distance = format!("c.vector {}", self.to_query());
        format!("SELECT {} FROM ({inner}) c ORDER BY c.score DESC{}", self.result(&distance), self.by_key())
    }

    /// From a row's vector to the query.
    fn to_query(&self) -> String {
        let schema = &self.table.vectors.schema;
        let half = if self.table.vectors.half { format!("::{schema}.halfvec") } else { String::new() };
        format!("OPERATOR({schema}.<=>) $1{half}")
    }

    fn distance(&self, alias: &str) -> String {
        format!("({alias}.{} {})", quote_identifier(&self.table.embedding), self.to_query())
    }

    /// As an index on a `vector` column cast to `halfvec` has it.
    fn distance_of_half(&self, alias: &str) -> String {
        let (schema, dimensions) = (&self.table.vectors.schema, self.table.dimensions);
        let embedding = quote_identifier(&self.table.embedding);
        let half = format!("{schema}.halfvec({dimensions})");
        format!("({alias}.{embedding}::{half} OPERATOR({schema}.<=>) $1::{half})")
    }

    /// Which rows are searched.
    fn conditions(&self) -> String {
        let table = self.table;
        let mut conditions = vec![format!("t.{} IS NOT NULL", quote_identifier(&table.embedding))];
        match (self.list, &table.sources.modality) {
            (List::Only(modality), _) => {
                conditions.push(table.sources.condition("t", modality).unwrap_or_else(|| "false".to_owned()));
            }
            // A row of no modality is in no list.
            (List::All, Some(column)) => conditions.push(format!("t.{} IS NOT NULL", quote_identifier(column))),
            (List::All, None) => {}
        }
        if self.filter {
            conditions.push("t.metadata OPERATOR(pg_catalog.@>) $2".to_owned());
        }
        conditions.join(" AND ")
    }

    /// Is a row farther than where the page begins, or as far and its key greater? `column` gives a column of the key by its name.
    fn is_after(&self, distance: &str, column: impl Fn(&str) -> String) -> String {
        let columns: Vec<_> = self.table.key.iter().map(|key| format!("{} {}", key.quoted, key.declared())).collect();
        let key = format!(
            "FROM pg_catalog.jsonb_to_record($5 OPERATOR(pg_catalog.#>) '{{at,{},key}}') AS x({})",
            self.list.name(),
            columns.join(", ")
        );
        // From the last column of the key to the first.
        let greater = self.table.key.iter().rev().fold(None, |rest: Option<String>, part| {
            let (mine, value) = (column(&part.quoted), format!("(SELECT x.{} {key})", part.quoted));
            let greater = format!("{mine} {} {value}", part.greater());
            Some(match rest {
                None => greater,
                Some(rest) => format!("{greater} OR ({mine} {} {value} AND ({rest}))", part.equal()),
            })
        });
        format!(
            "({distance} OPERATOR(pg_catalog.>) $4 OR ({distance} OPERATOR(pg_catalog.=) $4 AND ({})))",
            greater.as_deref().unwrap_or("false")
        )
    }

    /// Of a row `t`, for [`Self::result`].
    fn columns(&self) -> String {
        let table = self.table;
        let mut columns: Vec<_> =
            table.key.iter().enumerate().map(|(i, key)| format!("t.{} AS k{}", key.quoted, i + 1)).collect();
        let modality = match (&table.sources.modality, self.list) {
            (_, List::Only(_)) => "NULL".to_owned(),
            (Some(column), List::All) => format!("t.{}", quote_identifier(column)),
            (None, List::All) => table.sources.is_image("t"),
        };
        columns.push(format!("{modality} AS modality"));
        columns.push(format!("{} AS content", table.content("t.")));
        columns.push(format!("{} AS metadata", table.metadata("t.")));
        columns.push("t.tableoid AS part, t.ctid AS place".to_owned());
        columns.join(", ")
    }

    /// Of the rows `c` that are given.
    fn result(&self, distance: &str) -> String {
        let table = self.table;
        let key = table.key.iter().enumerate().map(|(i, key)| format!("{}, c.k{}", quote_literal(&key.name), i + 1));
        let key = key.collect::<Vec<_>>().join(", ");
        let key = if key.is_empty() {
            "NULL::pg_catalog.jsonb".to_owned()
        } else {
            format!("pg_catalog.jsonb_build_object({key})")
        };
        let modality = match (&table.sources.modality, self.list) {
            (_, List::Only(modality)) => format!("'{modality}'::pg_catalog.text"),
            (Some(_), List::All) => "pg_catalog.format('%s', c.modality)".to_owned(),
            (None, List::All) => {
                let (image, text) = (Modality::Image, Modality::Text);
                format!("CASE WHEN c.modality THEN '{image}' ELSE '{text}' END::pg_catalog.text")
            }
        };
        format!("{key}, {modality}, c.content, c.metadata, {distance}, pg_catalog.format('%s %s', c.part, c.place)")
    }

    fn by_key(&self) -> String {
        let column = |(i, key): (usize, &super::table::KeyColumn)| format!(", c.k{} USING {}", i + 1, key.less());
        self.table.key.iter().enumerate().map(column).collect()
    }
}
