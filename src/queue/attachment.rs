//! What a worker has to know of a table.

use pgrx::spi::{self, SpiClient, quote_identifier};
use pgrx::{datum::DatumWithOid, pg_sys};

use super::columns::Columns;

/// An embedded column of a table or of one of its partitions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attachment {
    pub relation: pg_sys::Oid,
    pub embedding: String,
    pub model: String,
    pub fingerprint: String,
    pub columns: Columns,
    pub keep_images: bool,
    pub owner: pg_sys::Oid,
    /// Quoted, with its schema.
    pub name: String,
    pub key_columns: i32,
    /// A condition on a row `t` and a key `$1 text[]`.
    pub key_matches: String,
    /// Type of the column's values.
    pub vector_type: pg_sys::Oid,
}

impl Attachment {
    /// `None` where the column is not embedded any more, or the table is gone or has lost its primary key.
    pub fn find(client: &mut SpiClient<'_>, relation: pg_sys::Oid, column: &str) -> spi::Result<Option<Self>> {
        let rows = client.update(
            "SELECT model, fingerprint, text_column::pg_catalog.text, image_column::pg_catalog.text, \
             modality_column::pg_catalog.text, keep_images, owner, table_name, key_columns, key_matches, vector_type \
             FROM clip.attachment($1::pg_catalog.regclass, $2::pg_catalog.name)",
            Some(1),
            &[DatumWithOid::from(relation), DatumWithOid::from(column)],
        )?;
        if rows.is_empty() {
            return Ok(None);
        }
        let row = rows.first();
        Ok(Some(Self {
            relation,
            embedding: column.to_owned(),
            model: row.get(1)?.unwrap_or_default(),
            fingerprint: row.get(2)?.unwrap_or_default(),
            columns: Columns { text: row.get(3)?, image: row.get(4)?, modality: row.get(5)? },
            keep_images: row.get(6)?.unwrap_or(true),
            owner: row.get(7)?.unwrap_or(pg_sys::InvalidOid),
            name: row.get(8)?.unwrap_or_default(),
            key_columns: row.get(9)?.unwrap_or_default(),
            key_matches: row.get(10)?.unwrap_or_default(),
            vector_type: row.get(11)?.unwrap_or(pg_sys::InvalidOid),
        }))
    }

    /// The column of images that are cleared once there is a vector, quoted.
    pub fn cleared_image(&self) -> Option<String> {
        self.columns.image.as_deref().filter(|_| !self.keep_images).map(quote_identifier)
    }

    /// Has a row `t` its vector, and still an image that is to be cleared?
    pub fn has_image_to_clear(&self) -> String {
        let condition = |image| {
            let embedding = quote_identifier(&self.embedding);
            format!("(t.{embedding} IS NOT NULL AND {} AND t.{image} IS NOT NULL)", self.columns.is_image("t"))
        };
        self.cleared_image().map_or_else(|| "false".to_owned(), condition)
    }

    /// The table in a FROM clause: children by inheritance may have the same keys and are none of its rows.
    pub fn rows(&self) -> String {
        format!("ONLY {}", self.name)
    }
}
