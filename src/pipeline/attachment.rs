//! What the pipeline has to know of a table.

use clip_core::Modality;
use pgrx::spi::{self, SpiClient, quote_identifier};
use pgrx::{datum::DatumWithOid, pg_sys};

use super::locator::By;
use super::table::{Table, vector_type};
use crate::attachment::Sources;
use crate::pg::datum::{VectorType, text_argument};
use crate::pg::plan::{self, Row};

/// An embedded column of a table or of one of its partitions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attachment {
    pub relation: pg_sys::Oid,
    /// The partitioned table that it is a part of, or itself.
    pub root: pg_sys::Oid,
    pub embedding: String,
    pub model: String,
    pub fingerprint: String,
    pub columns: Sources<String>,
    pub keep_images: bool,
    pub owner: pg_sys::Oid,
    /// Quoted, with its schema.
    pub name: String,
    pub key_columns: i32,
    /// A condition on a row `t` and a key `k.key text[]`.
    key_matches: String,
    /// The key of a row `t` as `text[]`.
    pub key: Option<String>,
    /// Type of the column's values. Where the column is of no type of pgvector's, its assignment cast decides.
    pub vector_type: pg_sys::Oid,
    pub vectors: VectorType,
}

impl Attachment {
    /// `None` where the column is not embedded any more, or the table is gone. The transaction holds a lock on it.
    pub fn find(client: &mut SpiClient<'_>, relation: pg_sys::Oid, column: &str) -> spi::Result<Option<Self>> {
        let rows = plan::run(
            client,
            // The job's relation may be a partition of the attached table.
            "SELECT t.model, t.fingerprint, t.text_column::pg_catalog.text, t.image_column::pg_catalog.text, \
             t.modality_column::pg_catalog.text, t.keep_images OR t.pending, (SELECT v.oid FROM pg_catalog.pg_extension e \
             JOIN pg_catalog.pg_type v ON v.typnamespace OPERATOR(pg_catalog.=) e.extnamespace \
             WHERE e.extname OPERATOR(pg_catalog.=) 'vector' AND v.typname OPERATOR(pg_catalog.=) 'vector'), \
             pg_catalog.pg_partition_root($1)::pg_catalog.oid \
             FROM clip.tables t WHERE t.embedding_column OPERATOR(pg_catalog.=) $2::pg_catalog.name \
             AND t.relation OPERATOR(pg_catalog.=) ANY (ARRAY(SELECT p.oid FROM pg_catalog.pg_partition_ancestors($1) p (oid)) \
             OPERATOR(pg_catalog.||) $1::pg_catalog.regclass)",
            &[DatumWithOid::from(relation), text_argument(column)],
        )?;
        let (Some(row), Some(table)) = (rows.iter().next(), Table::find(relation)) else { return Ok(None) };
        let columns = [(Modality::Text, row.text(3)), (Modality::Image, row.text(4))];
        let any = (row.get(7)?.unwrap_or(pg_sys::InvalidOid), VectorType::Vector);
        let (vector_type, vectors) = vector_type(relation, column).unwrap_or(any);
        let columns = columns.into_iter().filter_map(|(modality, column)| Some((modality, column?))).collect();
        Ok(Some(Self {
            relation,
            root: row.get(8)?.unwrap_or(relation),
            embedding: column.to_owned(),
            model: row.get(1)?.unwrap_or_default(),
            fingerprint: row.get(2)?.unwrap_or_default(),
            columns: Sources::new(row.text(5), columns),
            keep_images: row.get(6)?.unwrap_or(true),
            owner: table.owner,
            name: table.name,
            key_columns: table.key_columns,
            key_matches: table.key_matches,
            key: table.key,
            vector_type,
            vectors,
        }))
    }

    /// The column of images that are cleared once there is a vector, quoted.
    pub fn cleared_image(&self) -> Option<String> {
        self.columns.column(Modality::Image).filter(|_| !self.keep_images).map(quote_identifier)
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

    /// Locators in a FROM clause, one a row: `k.key` or `k.place`, `k.value` and its number from 1, `k.n`. `$1`: what
    /// [`locators`](super::locator::locators) gives; `values`: a call that gives a value for each.
    pub fn located(&self, by: By, values: &str) -> String {
        let (columns, start) = (self.key_columns, "((u.n OPERATOR(pg_catalog.-) 1) OPERATOR(pg_catalog.*)");
        let locator = match by {
            By::Key => format!(
                "$1[({start} {columns}) OPERATOR(pg_catalog.+) 1)::pg_catalog.int4 : \
                 (u.n OPERATOR(pg_catalog.*) {columns})::pg_catalog.int4] AS key"
            ),
            By::Version => "$1[u.n::pg_catalog.int4] AS place".to_owned(),
        };
        format!("(SELECT u.value, u.n, {locator} FROM {values} WITH ORDINALITY u (value, n)) k")
    }

    /// Is a row `t` the one that `k` locates?
    pub fn is_located(&self, by: By) -> String {
        match by {
            By::Key => self.key_matches.clone(),
            By::Version => "t.ctid OPERATOR(pg_catalog.=) k.place".to_owned(),
        }
    }
}

/// Which of `values` a row, of a statement with [`Attachment::located`], is about. Its first column is `k.n`.
pub fn place<'a, T>(row: &Row<'_>, values: &'a mut [T]) -> spi::Result<Option<&'a mut T>> {
    let n = row.get::<i64>(1)?.and_then(|n| usize::try_from(n.checked_sub(1)?).ok());
    Ok(n.and_then(|n| values.get_mut(n)))
}
