//! SQL about a row's source: the same rules as the trigger's, as expressions over a row of some alias.
//!
//! Operators and functions are named with their schema, and values of unknown types are written with `format`, which
//! calls output functions alone: a cast or an operator may be anybody's.

use pgrx::spi::quote_identifier;

/// The columns that an embedding is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Columns {
    pub text: Option<String>,
    pub image: Option<String>,
    pub modality: Option<String>,
}

impl Columns {
    fn column(alias: &str, name: &str) -> String {
        format!("{alias}.{}", quote_identifier(name))
    }

    /// The modality as it is written, `NULL` where there is no such column.
    pub fn modality(&self, alias: &str) -> String {
        self.modality.as_ref().map_or_else(
            || "NULL::pg_catalog.text".to_owned(),
            |name| {
                let column = Self::column(alias, name);
                format!("CASE WHEN {column} IS NOT NULL THEN pg_catalog.format('%s', {column}) END")
            },
        )
    }

    fn is(&self, alias: &str, modality: &str) -> String {
        format!("(({}) OPERATOR(pg_catalog.=) '{modality}')", self.modality(alias))
    }

    /// Is the row an image? By the modality column, else by whether there is one.
    pub fn is_image(&self, alias: &str) -> String {
        match (&self.image, &self.text) {
            (None, _) => "false".to_owned(),
            (Some(_), _) if self.modality.is_some() => format!("coalesce({}, false)", self.is(alias, "image")),
            (Some(image), Some(_)) => format!("({} IS NOT NULL)", Self::column(alias, image)),
            (Some(_), None) => "true".to_owned(),
        }
    }

    fn is_text(&self, alias: &str) -> String {
        match &self.text {
            None => "false".to_owned(),
            Some(_) if self.modality.is_some() => format!("coalesce({}, false)", self.is(alias, "text")),
            Some(_) => format!("(NOT {})", self.is_image(alias)),
        }
    }

    /// The source's bytes: an image as it is, a text in UTF-8; NULL where the row has no source.
    pub fn bytes(&self, alias: &str) -> String {
        let mut arms = String::new();
        if let Some(image) = &self.image {
            arms += &format!(" WHEN {} THEN {}", self.is_image(alias), Self::column(alias, image));
        }
        if let Some(text) = &self.text {
            let column = Self::column(alias, text);
            let text = format!("pg_catalog.convert_to({column}::pg_catalog.text, 'UTF8')");
            arms += &format!(" WHEN {} THEN {text}", self.is_text(alias));
        }
        format!("(CASE{arms} END)")
    }

    /// Has the row a source, or a modality that nobody knows, which somebody has to be told of?
    pub fn present(&self, alias: &str) -> String {
        let mut cases = Vec::new();
        if let Some(image) = &self.image {
            cases.push(format!("({} AND {} IS NOT NULL)", self.is_image(alias), Self::column(alias, image)));
        }
        if let Some(text) = &self.text {
            cases.push(format!("({} AND {} IS NOT NULL)", self.is_text(alias), Self::column(alias, text)));
        }
        if self.modality.is_some() {
            let modality = self.modality(alias);
            cases.push(format!(
                "coalesce(({modality}) OPERATOR(pg_catalog.<>) ALL ('{{text,image}}'::pg_catalog.text[]), false)"
            ));
        }
        format!("({})", cases.join(" OR "))
    }
}
