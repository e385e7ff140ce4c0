//! The one rule of what a row's vector is made of: for a row in memory, and as SQL over a row of some alias.
//!
//! Where there is a modality column it decides: its value names the column that is embedded, NULL says that none is, and a
//! value that is no modality's name is an error. Where there is none, it is the first column that has a value.
//!
//! In SQL operators and functions are named with their schema, and values of unknown types are written with `format`, which
//! calls output functions alone: a cast or an operator may be anybody's.

use clip_core::Modality;
use pgrx::spi::quote_identifier;

/// The columns that an embedding is made of. `C` is how a column is known: by its name, or by its place in a tuple.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sources<C> {
    pub modality: Option<C>,
    /// The first that has a value is the row's, where no modality column decides.
    columns: Vec<(Modality, C)>,
}

/// A value of the modality column that is no modality's name.
#[derive(Debug, PartialEq, Eq)]
pub struct UnknownModality(pub String);

impl UnknownModality {
    pub fn message(&self) -> String {
        format!("modality \"{}\" is unknown: expected {}", self.0, Modality::names())
    }
}

impl<C> Sources<C> {
    /// A text describes what is beside it: it has to stand back.
    pub fn new(modality: Option<C>, mut columns: Vec<(Modality, C)>) -> Self {
        columns.sort_by_key(|(modality, _)| std::cmp::Reverse(*modality));
        Self { modality, columns }
    }

    pub fn columns(&self) -> impl Iterator<Item = &C> {
        self.modality.iter().chain(self.columns.iter().map(|(_, column)| column))
    }

    pub fn column(&self, modality: Modality) -> Option<&C> {
        self.columns.iter().find(|(m, _)| *m == modality).map(|(_, column)| column)
    }

    /// Of which column, and as what, is the vector of a row made? The column may be NULL. `modality` reads the modality
    /// column, `has` tells whether a column has a value.
    pub fn of(
        &self,
        modality: impl FnOnce(&C) -> Option<String>,
        has: impl Fn(&C) -> bool,
    ) -> Result<Option<(Modality, &C)>, UnknownModality> {
        let Some(column) = &self.modality else {
            let first = self.columns.iter().find(|(_, column)| has(column)).or(self.columns.last());
            return Ok(first.map(|(modality, column)| (*modality, column)));
        };
        let Some(name) = modality(column) else { return Ok(None) };
        let modality = Modality::from_name(&name).ok_or(UnknownModality(name))?;
        Ok(self.column(modality).map(|column| (modality, column)))
    }

    /// The same columns, known in another way: `modality` for the modality column, `source` for the others.
    pub fn map<D>(&self, modality: impl FnOnce(&C) -> D, source: impl Fn(Modality, &C) -> D) -> Sources<D> {
        let columns = self.columns.iter().map(|(modality, column)| (*modality, source(*modality, column))).collect();
        Sources { modality: self.modality.as_ref().map(modality), columns }
    }
}

fn column(alias: &str, name: &str) -> String {
    format!("{alias}.{}", quote_identifier(name))
}

impl Sources<String> {
    /// The modalities that rows may have.
    pub fn modalities(&self) -> Vec<Modality> {
        Modality::ALL.into_iter().filter(|modality| self.column(*modality).is_some()).collect()
    }

    /// The value of the modality column as it is written, `NULL` where there is no such column.
    pub fn modality(&self, alias: &str) -> String {
        self.modality.as_ref().map_or_else(
            || "NULL::pg_catalog.text".to_owned(),
            |name| {
                let column = column(alias, name);
                format!("CASE WHEN {column} IS NOT NULL THEN pg_catalog.format('%s', {column}) END")
            },
        )
    }

    /// Is the row's vector made of its column of this modality?
    fn is(&self, alias: &str, modality: Modality) -> String {
        let Some(at) = self.columns.iter().position(|(m, _)| *m == modality) else { return "false".to_owned() };
        if self.modality.is_some() {
            return format!("coalesce(({}) OPERATOR(pg_catalog.=) '{modality}', false)", self.modality(alias));
        }
        let mut conditions: Vec<_> =
            self.columns[..at].iter().map(|(_, before)| format!("{} IS NULL", column(alias, before))).collect();
        if at + 1 < self.columns.len() {
            conditions.push(format!("{} IS NOT NULL", column(alias, &self.columns[at].1)));
        }
        if conditions.is_empty() { "true".to_owned() } else { format!("({})", conditions.join(" AND ")) }
    }

    /// The rows of one modality, as whoever makes an index of them says it: an index with this predicate serves this condition.
    /// `None` where there are no such rows.
    pub fn condition(&self, alias: &str, modality: Modality) -> Option<String> {
        match &self.modality {
            // A literal has the type of the column, whichever that is.
            Some(name) => Some(format!("{} OPERATOR(pg_catalog.=) '{modality}'", column(alias, name))),
            None => self.column(modality).map(|_| self.is(alias, modality)),
        }
    }

    /// Is the row an image?
    pub fn is_image(&self, alias: &str) -> String {
        self.is(alias, Modality::Image)
    }

    /// The source's bytes: an image as it is, a text in UTF-8; NULL where the row has no source.
    pub fn bytes(&self, alias: &str) -> String {
        let mut arms = String::new();
        for (modality, name) in &self.columns {
            let column = column(alias, name);
            let bytes = match modality {
                Modality::Text => format!("pg_catalog.convert_to({column}::pg_catalog.text, 'UTF8')"),
                Modality::Image => column,
            };
            arms += &format!(" WHEN {} THEN {bytes}", self.is(alias, *modality));
        }
        format!("(CASE{arms} END)")
    }

    /// Has the row a source, or a modality that nobody knows, which somebody has to be told of?
    pub fn present(&self, alias: &str) -> String {
        let has = |(modality, name): &(Modality, String)| {
            format!("({} AND {} IS NOT NULL)", self.is(alias, *modality), column(alias, name))
        };
        let mut cases: Vec<_> = self.columns.iter().map(has).collect();
        if self.modality.is_some() {
            let names: Vec<_> = Modality::ALL.iter().map(|modality| modality.name()).collect();
            cases.push(format!(
                "coalesce(({}) OPERATOR(pg_catalog.<>) ALL ('{{{}}}'::pg_catalog.text[]), false)",
                self.modality(alias),
                names.join(",")
            ));
        }
        format!("({})", cases.join(" OR "))
    }
}
