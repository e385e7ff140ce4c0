//! What a search has to know of a table.
#![allow(unsafe_code)]

use std::ffi::CStr;

use clip_core::Modality;
use pgrx::pg_sys;
use pgrx::spi::{self, SpiClient, quote_identifier};

use crate::attachment::Sources;
use crate::attachment::registry::{self, Registered};
use crate::error::{SqlState, raise};
use crate::pg::datum::{VectorType, to_server};
pub use crate::pipeline::KeyColumn;
use crate::pipeline::{key_columns, string};

pub struct Table {
    /// Without its schema, for messages.
    pub name: String,
    /// In a FROM clause.
    pub rows: String,
    pub key: Vec<KeyColumn>,
    pub embedding: String,
    pub vectors: Vectors,
    pub sources: Sources<String>,
    /// It has a column `metadata` of type `jsonb`.
    pub has_metadata: bool,
    pub model: String,
    pub fingerprint: String,
    pub dimensions: i32,
    /// An index may be on the vectors cast to `halfvec`.
    pub may_cast: bool,
    /// Policies may hide rows.
    pub policies: bool,
    /// Rows, as the planner estimates them.
    pub tuples: f64,
}

/// pgvector's, wherever it is installed.
pub struct Vectors {
    /// Quoted.
    pub schema: String,
    /// The type `vector`.
    pub oid: pg_sys::Oid,
    /// The column's values are `halfvec`.
    pub half: bool,
}

impl Table {
    /// The table is held to the end of the transaction, as `clip_query` does it.
    pub fn find(client: &SpiClient<'_>, relation: pg_sys::Oid, column: Option<&CStr>) -> spi::Result<Self> {
        let Registered { embedding, model, fingerprint, sources, dimensions, may_read } =
            registry::registered(client, relation, column)?;
        if !may_read {
            let message = format!("permission denied for table {}", registry::name(relation));
            raise(SqlState::InsufficientPrivilege, message, None);
        }
        // SAFETY: the relation is open while it is read, and stays locked.
        unsafe {
            let open = pg_sys::try_relation_open(relation, pg_sys::AccessShareLock as i32);
            if open.is_null() {
                raise(
                    SqlState::UndefinedTable,
                    format!("relation with OID {} does not exist", relation.to_u32()),
                    None,
                );
            }
            let form = &*(*open).rd_rel;
            let schema = quote_identifier(string(pg_sys::get_namespace_name(form.relnamespace)));
            let name = string(form.relname.data.as_ptr());
            // Children by inheritance are not embedded, and may have the same keys; partitions are the table itself.
            let only = if form.relkind as u8 == pg_sys::RELKIND_PARTITIONED_TABLE { "" } else { "ONLY " };
            let table = Self {
                rows: format!("{only}{schema}.{}", quote_identifier(&name)),
                name,
                key: key_columns(open),
                vectors: Vectors::of(relation, &embedding),
                embedding,
                sources,
                has_metadata: type_of(relation, "metadata") == Some(pg_sys::JSONBOID),
                model,
                fingerprint,
                dimensions,
                may_cast: has_expression_index(open),
                policies: form.relrowsecurity,
                tuples: f64::from(form.reltuples),
            };
            pg_sys::relation_close(open, pg_sys::NoLock as i32);
            Ok(table)
        }
    }

    /// What stands beside a row's vector in words: the text, or where an image lies. `prefix`: the row's name with a point, or nothing.
    pub fn content(&self, prefix: &str) -> String {
        match self.sources.column(Modality::Text) {
            Some(column) => format!("{prefix}{}::pg_catalog.text", quote_identifier(column)),
            None => "NULL::pg_catalog.text".to_owned(),
        }
    }

    /// As [`Self::content`].
    pub fn metadata(&self, prefix: &str) -> String {
        match self.has_metadata {
            true => format!("{prefix}metadata::pg_catalog.jsonb"),
            false => "NULL::pg_catalog.jsonb".to_owned(),
        }
    }

    /// Modalities that are lists of their own, where rows may have more than one.
    pub fn modalities(&self) -> Vec<Modality> {
        self.sources.modalities()
    }
}

/// What a column's type is made of; `None` where there is no such column.
fn type_of(relation: pg_sys::Oid, column: &str) -> Option<pg_sys::Oid> {
    let name = to_server(column)?;
    // SAFETY: look-ups in PostgreSQL's caches with a NUL-terminated name.
    unsafe {
        let number = pg_sys::get_attnum(relation, name.as_ptr());
        (number > 0).then(|| pg_sys::getBaseType(pg_sys::get_atttype(relation, number)))
    }
}

/// # Safety
///
/// `relation` is open.
unsafe fn has_expression_index(relation: pg_sys::Relation) -> bool {
    // SAFETY: the caller's promise; a list of oids, and rows of PostgreSQL's cache.
    unsafe {
        let list = pg_sys::RelationGetIndexList(relation);
        let Some(indexes) = list.as_ref() else { return false };
        let count = usize::try_from(indexes.length).unwrap_or(0);
        let index = |i| (*indexes.elements.add(i)).oid_value;
        let found = (0..count).any(|i| !is_null(index(i), pg_sys::Anum_pg_index_indexprs));
        pg_sys::list_free(list);
        found
    }
}

/// Is an attribute of an index's entry in `pg_index` NULL?
pub fn is_null(index: pg_sys::Oid, attribute: u32) -> bool {
    // SAFETY: a row of PostgreSQL's cache, which is held while it is read.
    unsafe {
        let cache = pg_sys::SysCacheIdentifier::INDEXRELID as i32;
        let tuple = pg_sys::SearchSysCache1(cache, pg_sys::Datum::from(index));
        if tuple.is_null() {
            return true;
        }
        let null = pg_sys::heap_attisnull(tuple, attribute as i32, std::ptr::null_mut());
        pg_sys::ReleaseSysCache(tuple);
        null
    }
}

impl Vectors {
    fn of(relation: pg_sys::Oid, column: &str) -> Self {
        let found = type_of(relation, column).and_then(Self::of_type);
        found.unwrap_or_else(|| {
            raise(
                SqlState::DatatypeMismatch,
                format!("column \"{column}\" is not of pgvector's type vector or halfvec"),
                Some("Only such columns can be searched."),
            )
        })
    }

    fn of_type(oid: pg_sys::Oid) -> Option<Self> {
        let half = VectorType::of(oid)? == VectorType::Halfvec;
        // SAFETY: look-ups in PostgreSQL's caches with a NUL-terminated name; a row is held while it is read.
        unsafe {
            let cache = pg_sys::SysCacheIdentifier::TYPEOID as i32;
            let tuple = pg_sys::SearchSysCache1(cache, pg_sys::Datum::from(oid));
            if tuple.is_null() {
                return None;
            }
            let schema = (*pg_sys::GETSTRUCT(tuple).cast::<pg_sys::FormData_pg_type>()).typnamespace;
            pg_sys::ReleaseSysCache(tuple);
            let (zero, cache) = (pg_sys::Datum::from(0), pg_sys::SysCacheIdentifier::TYPENAMENSP as i32);
            let vector = c"vector".as_ptr().into();
            let oid = pg_sys::GetSysCacheOid(cache, pg_sys::Anum_pg_type_oid as i16, vector, schema.into(), zero, zero);
            let schema = quote_identifier(string(pg_sys::get_namespace_name(schema)));
            Some(Self { schema, oid, half })
        }
    }
}
