//! What PostgreSQL's caches have of a table: to ask its catalogs in SQL takes a hundred times as long.
#![allow(unsafe_code)]

use std::ffi::{CStr, c_char};

use pgrx::{pg_sys, spi::quote_identifier};

use crate::pg::datum::{VectorType, from_server, to_server};

pub struct Table {
    pub owner: pg_sys::Oid,
    /// Quoted, with its schema.
    pub name: String,
    /// Columns of the primary key; 0 where there is none.
    pub key_columns: i32,
    /// A condition on a row `t` and a key `k.key text[]`: each column is compared by the operator of the key's own index.
    pub key_matches: String,
    /// The key of a row `t` as `text[]`, each column as its type writes it. `None` where there is none.
    pub key: Option<String>,
}

impl Table {
    /// `None` where the table is gone. The transaction holds a lock on it.
    pub fn find(relation: pg_sys::Oid) -> Option<Self> {
        // SAFETY: the caller has locked the relation, and it is open while it is read.
        unsafe {
            let open = pg_sys::try_relation_open(relation, pg_sys::NoLock as i32);
            if open.is_null() {
                return None;
            }
            let form = &*(*open).rd_rel;
            let schema = quote_identifier(string(pg_sys::get_namespace_name(form.relnamespace)));
            let name = quote_identifier(string(form.relname.data.as_ptr()));
            let columns = key_columns(open);
            let condition = |(i, column): (usize, &KeyColumn)| {
                let (name, equal, kind) = (&column.quoted, column.equal(), &column.type_name);
                format!("t.{name} {equal} (k.key[{}])::{kind}", i + 1)
            };
            let conditions: Vec<_> = columns.iter().enumerate().map(condition).collect();
            let written = |column: &KeyColumn| format!("pg_catalog.format('%s', t.{})", column.quoted);
            let columns: Vec<_> = columns.iter().map(written).collect();
            let table = Self {
                owner: form.relowner,
                name: format!("{schema}.{name}"),
                key_columns: conditions.len() as i32,
                key_matches: conditions.join(" AND "),
                key: (!columns.is_empty()).then(|| format!("ARRAY[{}]", columns.join(", "))),
            };
            pg_sys::relation_close(open, pg_sys::NoLock as i32);
            Some(table)
        }
    }
}

/// Type of a column's values, where that is one of pgvector's.
pub fn vector_type(relation: pg_sys::Oid, column: &str) -> Option<(pg_sys::Oid, VectorType)> {
    let column = to_server(column)?;
    // SAFETY: look-ups in PostgreSQL's caches; 0 is no column's number.
    let oid = unsafe {
        let number = pg_sys::get_attnum(relation, column.as_ptr());
        if number <= 0 {
            return None;
        }
        pg_sys::getBaseType(pg_sys::get_atttype(relation, number))
    };
    VectorType::of(oid).map(|vectors| (oid, vectors))
}

/// Numbers of the columns of an index that is unique.
///
/// # Safety
///
/// `index` is open.
unsafe fn columns(index: pg_sys::Relation) -> Vec<i16> {
    // SAFETY: an index's entry has `indnkeyatts` column numbers at least.
    unsafe {
        let form = &*(*index).rd_index;
        form.indkey.values.as_slice(usize::try_from(form.indnkeyatts).unwrap_or(0)).to_vec()
    }
}

/// The index of the primary key, opened and closed.
///
/// # Safety
///
/// `relation` is open.
unsafe fn with_primary_key<T>(relation: pg_sys::Relation, f: impl FnOnce(pg_sys::Relation) -> T) -> Option<T> {
    // SAFETY: the index is one of the relation's, which is locked.
    unsafe {
        #[cfg(not(feature = "pg18"))]
        let index = pg_sys::RelationGetPrimaryKeyIndex(relation);
        #[cfg(feature = "pg18")]
        let index = pg_sys::RelationGetPrimaryKeyIndex(relation, true);
        if index == pg_sys::InvalidOid {
            return None;
        }
        let index = pg_sys::index_open(index, pg_sys::AccessShareLock as i32);
        let value = f(index);
        pg_sys::index_close(index, pg_sys::AccessShareLock as i32);
        Some(value)
    }
}

/// Numbers of the primary key's columns, in its order. `None` where there is none.
///
/// # Safety
///
/// `relation` is open.
pub unsafe fn primary_key(relation: pg_sys::Relation) -> Option<Vec<i32>> {
    // SAFETY: as the caller promised.
    unsafe { with_primary_key(relation, |index| columns(index).into_iter().map(i32::from).collect()) }
}

/// A column of a primary key.
pub struct KeyColumn {
    pub name: String,
    pub quoted: String,
    /// With its schema and modifier.
    pub type_name: String,
    collation: pg_sys::Oid,
    family: pg_sys::Oid,
    of: pg_sys::Oid,
}

impl KeyColumn {
    /// An operator of the key's own index (`BT...StrategyNumber`), as a statement names it.
    fn operator(&self, strategy: u32) -> String {
        // SAFETY: a look-up in PostgreSQL's caches. What is not found is an empty name, which no statement can be made of.
        operator(unsafe { pg_sys::get_opfamily_member(self.family, self.of, self.of, strategy as i16) })
    }

    pub fn equal(&self) -> String {
        self.operator(pg_sys::BTEqualStrategyNumber)
    }

    pub fn less(&self) -> String {
        self.operator(pg_sys::BTLessStrategyNumber)
    }

    pub fn greater(&self) -> String {
        self.operator(pg_sys::BTGreaterStrategyNumber)
    }

    /// Its type and collation, as a list of columns declares them.
    pub fn declared(&self) -> String {
        // SAFETY: a row of PostgreSQL's cache, which is held while it is read.
        unsafe {
            let cache = pg_sys::SysCacheIdentifier::COLLOID as i32;
            let tuple = pg_sys::SearchSysCache1(cache, pg_sys::Datum::from(self.collation));
            if tuple.is_null() {
                return self.type_name.clone();
            }
            let form = &*pg_sys::GETSTRUCT(tuple).cast::<pg_sys::FormData_pg_collation>();
            let schema = quote_identifier(string(pg_sys::get_namespace_name(form.collnamespace)));
            let name = quote_identifier(string(form.collname.data.as_ptr()));
            pg_sys::ReleaseSysCache(tuple);
            format!("{} COLLATE {schema}.{name}", self.type_name)
        }
    }
}

/// Columns of the primary key, in its order; none where there is no key.
///
/// # Safety
///
/// `relation` is open.
pub unsafe fn key_columns(relation: pg_sys::Relation) -> Vec<KeyColumn> {
    // SAFETY: look-ups in PostgreSQL's caches, for the columns of an open index, which has an operator family and a type for
    // each of them.
    unsafe {
        let of_index = |index: pg_sys::Relation| {
            let column = |(i, number): (usize, i16)| {
                let (mut oid, mut modifier, mut collation) = (pg_sys::InvalidOid, -1, pg_sys::InvalidOid);
                pg_sys::get_atttypetypmodcoll((*relation).rd_id, number, &mut oid, &mut modifier, &mut collation);
                let flags = pg_sys::FORMAT_TYPE_TYPEMOD_GIVEN | pg_sys::FORMAT_TYPE_FORCE_QUALIFY;
                let name = string(pg_sys::get_attname((*relation).rd_id, number, true));
                KeyColumn {
                    quoted: quote_identifier(&name),
                    name,
                    type_name: string(pg_sys::format_type_extended(oid, modifier, flags as u16)),
                    collation,
                    family: *(*index).rd_opfamily.add(i),
                    of: *(*index).rd_opcintype.add(i),
                }
            };
            columns(index).into_iter().enumerate().map(column).collect()
        };
        with_primary_key(relation, of_index).unwrap_or_default()
    }
}

/// With its schema, as a statement names it.
fn operator(oid: pg_sys::Oid) -> String {
    // SAFETY: an operator's row in PostgreSQL's cache, which is held while it is read.
    unsafe {
        let tuple = pg_sys::SearchSysCache1(pg_sys::SysCacheIdentifier::OPEROID as i32, pg_sys::Datum::from(oid));
        if tuple.is_null() {
            return String::new();
        }
        let form = &*pg_sys::GETSTRUCT(tuple).cast::<pg_sys::FormData_pg_operator>();
        let schema = quote_identifier(string(pg_sys::get_namespace_name(form.oprnamespace)));
        let name = string(form.oprname.data.as_ptr());
        pg_sys::ReleaseSysCache(tuple);
        format!("OPERATOR({schema}.{name})")
    }
}

/// # Safety
///
/// NULL or a C string.
pub unsafe fn string(c: *const c_char) -> String {
    // SAFETY: as the caller promised.
    if c.is_null() { String::new() } else { from_server(unsafe { CStr::from_ptr(c) }) }
}
