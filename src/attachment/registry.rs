//! `clip.tables`: which table was embedded with which model.

use std::ffi::CStr;
use std::rc::Rc;

use clip_core::{Modality, Model};
use pgrx::datum::DatumWithOid;
use pgrx::spi::{self, SpiClient};
use pgrx::{IntoDatum, Spi, pg_sys};

use super::Sources;
use crate::backend::session;
use crate::error::{OrRaise, SqlState, raise};
use crate::pg::datum::{argument, from_server, text_argument};
use crate::pg::plan;
use crate::pg::users::as_superuser;

/// An embedding column, as `clip.tables` has it.
pub struct Registered {
    pub embedding: String,
    pub model: String,
    pub fingerprint: String,
    pub sources: Sources<String>,
    pub dimensions: i32,
    /// The caller may read the table, which is held to the end of the transaction then.
    pub may_read: bool,
}

/// The model of a table's embedding column, refused where the installed one is not the one that made the vectors.
/// `column` may be left out where the table has one such column.
pub fn model_of(relation: pg_sys::Oid, column: Option<&CStr>) -> Rc<Model> {
    let found = Spi::connect(|client| registered(client, relation, column));
    let found = found.unwrap_or_else(|e| raise(SqlState::UndefinedObject, e.to_string(), None));
    checked(&found.model, &found.fingerprint)
}

/// An error: of the columns that are meant there are none, or many.
fn not_one(relation: pg_sys::Oid, column: Option<&CStr>, found: usize) -> ! {
    match found {
        0 => raise(
            SqlState::UndefinedObject,
            match column.map(CStr::to_string_lossy) {
                Some(column) => {
                    format!("column \"{column}\" of relation \"{}\" is not embedded by pg_clip", name(relation))
                }
                None => format!("relation \"{}\" is not embedded by pg_clip", name(relation)),
            },
            Some("Make the table with clip_create_table, or attach it with clip_attach."),
        ),
        _ => raise(
            SqlState::AmbiguousParameter,
            format!("relation \"{}\" has {found} embedding columns", name(relation)),
            Some("Name the column that is meant as embedding_column."),
        ),
    }
}

/// The named model, if it is still the one with this fingerprint.
pub fn checked(model: &str, fingerprint: &str) -> Rc<Model> {
    let found = session::model(model).or_raise();
    let given = &found.installed().manifest.fingerprint;
    if given != fingerprint {
        raise(
            SqlState::DataException,
            format!(
                "the table was embedded with another \"{model}\": expected fingerprint {fingerprint}, installed is {given}"
            ),
            Some(
                "Vectors of two models cannot be compared. Install the table's model again under another name, or embed the rows anew after clip_detach and clip_attach.",
            ),
        );
    }
    found
}

/// The embedding column that is meant, but for the new one of a model change.
///
/// A change of model replaces the column and its row here in one transaction, under an exclusive lock on the table. So a
/// statement must see the row that belongs to the column it has found: it reads the present state, as it does with the
/// catalogs, whatever its transaction's snapshot, and keeps the table from being changed to the end of the transaction.
#[allow(unsafe_code)]
pub fn registered(client: &SpiClient<'_>, relation: pg_sys::Oid, column: Option<&CStr>) -> spi::Result<Registered> {
    const SQL: &str = "SELECT embedding_column::pg_catalog.text, model, fingerprint, text_column::pg_catalog.text, \
        image_column::pg_catalog.text, modality_column::pg_catalog.text, dimensions FROM clip.tables \
        WHERE relation OPERATOR(pg_catalog.=) $1 AND CASE WHEN $2 IS NULL THEN NOT pending \
        ELSE embedding_column OPERATOR(pg_catalog.=) $2::pg_catalog.name END";
    let may_read = hold(relation);
    let named = column.map(|column| text_argument(&from_server(column)));
    // SAFETY: an oid as a `regclass`; a NULL of type text.
    let arguments = unsafe {
        [
            argument(pg_sys::Datum::from(relation), pg_sys::REGCLASSOID),
            named.unwrap_or_else(|| DatumWithOid::new(None::<String>, <String as IntoDatum>::type_oid())),
        ]
    };
    let rows = as_catalog(|| plan::look_up(client, SQL, &arguments))?;
    let mut found: Vec<_> = rows.iter().collect();
    let (Some(row), true) = (found.pop(), found.is_empty()) else { not_one(relation, column, rows.count()) };
    let text = |column| row.text(column).unwrap_or_default();
    let columns = [(Modality::Text, row.text(4)), (Modality::Image, row.text(5))];
    let columns = columns.into_iter().filter_map(|(modality, column)| Some((modality, column?))).collect();
    Ok(Registered {
        embedding: text(1),
        model: text(2),
        fingerprint: text(3),
        sources: Sources::new(row.text(6), columns),
        dimensions: row.get(7)?.unwrap_or_default(),
        may_read,
    })
}

/// Whoever may not read the table gets no lock on it, and has nothing to compare a vector with: false.
#[allow(unsafe_code)]
fn hold(relation: pg_sys::Oid) -> bool {
    const SELECT: pg_sys::AclMode = pg_sys::ACL_SELECT as pg_sys::AclMode;
    // SAFETY: plain calls; of an oid that is no relation's the checks fail, or it is locked for nothing.
    unsafe {
        if pg_sys::get_rel_name(relation).is_null() {
            return false;
        }
        let user = pg_sys::GetUserId();
        let ok = pg_sys::AclResult::ACLCHECK_OK;
        let any = pg_sys::AclMaskHow::ACLMASK_ANY;
        let may_read = pg_sys::pg_class_aclcheck(relation, user, SELECT) == ok
            || pg_sys::pg_attribute_aclcheck_all(relation, user, SELECT, any) == ok;
        if may_read {
            pg_sys::LockRelationOid(relation, pg_sys::AccessShareLock as pg_sys::LOCKMODE);
        }
        may_read
    }
}

/// Runs queries of `f` on what is committed now. (`GetLatestSnapshot` would do the same, but not in parallel workers.)
#[allow(unsafe_code)]
fn as_catalog<R>(f: impl FnOnce() -> R) -> R {
    // SAFETY: the active snapshot is a copy of the catalog's; if `f` fails, the transaction's abort pops it.
    unsafe {
        pg_sys::PushActiveSnapshot(pg_sys::GetCatalogSnapshot(pg_sys::InvalidOid));
        let result = f();
        pg_sys::PopActiveSnapshot();
        result
    }
}

/// Does the caller own the relation?
#[allow(unsafe_code)]
pub fn owns(relation: pg_sys::Oid) -> bool {
    // SAFETY: plain catalog look-ups.
    unsafe {
        let user = pg_sys::GetUserId();
        #[cfg(feature = "pg15")]
        let owns = pg_sys::pg_class_ownercheck(relation, user);
        #[cfg(not(feature = "pg15"))]
        let owns = pg_sys::object_ownercheck(pg_sys::RelationRelationId, relation, user);
        owns
    }
}

pub fn check_owner(relation: pg_sys::Oid) {
    if !owns(relation) {
        raise(SqlState::InsufficientPrivilege, format!("must be owner of relation {}", name(relation)), None);
    }
}

/// Who owns a relation that is there.
#[allow(unsafe_code)]
pub fn owner(relation: pg_sys::Oid) -> pg_sys::Oid {
    // SAFETY: a row of PostgreSQL's cache, which is held while it is read.
    unsafe {
        let tuple = pg_sys::SearchSysCache1(pg_sys::SysCacheIdentifier::RELOID as i32, pg_sys::Datum::from(relation));
        if tuple.is_null() {
            raise(SqlState::UndefinedTable, format!("relation with OID {} does not exist", relation.to_u32()), None);
        }
        let owner = (*pg_sys::GETSTRUCT(tuple).cast::<pg_sys::FormData_pg_class>()).relowner;
        pg_sys::ReleaseSysCache(tuple);
        owner
    }
}

#[allow(unsafe_code)]
pub fn name(relation: pg_sys::Oid) -> String {
    // SAFETY: get_rel_name gives a palloc'd C string, or NULL where there is no such relation.
    unsafe {
        let name = pg_sys::get_rel_name(relation);
        if name.is_null() { relation.to_u32().to_string() } else { CStr::from_ptr(name).to_string_lossy().into_owned() }
    }
}

/// Runs a fixed statement on `clip.tables` as the superuser, whom alone the table obeys, with the arguments of the
/// calling SQL function. The statement names every object with its schema, so that no `search_path` can redirect it.
#[allow(unsafe_code)]
pub fn write(sql: &CStr, types: &[pg_sys::Oid], fcinfo: pg_sys::FunctionCallInfo) {
    // SAFETY: `fcinfo` is that of the running call, whose SQL declaration has one argument per entry of `types`.
    let arguments = unsafe { (*fcinfo).args.as_slice(types.len()) };
    let mut values: Vec<pg_sys::Datum> = arguments.iter().map(|argument| argument.value).collect();
    let nulls: Vec<i8> =
        arguments.iter().map(|argument| if argument.isnull { b'n' as i8 } else { b' ' as i8 }).collect();
    let (count, types) = (types.len() as i32, types.as_ptr().cast_mut());
    let (values, nulls) = (values.as_mut_ptr(), nulls.as_ptr().cast());
    // SAFETY: as many values and NULLs as types, which outlive the statement.
    let run = || unsafe { pg_sys::SPI_execute_with_args(sql.as_ptr(), count, types, values, nulls, false, 0) };
    let done = as_superuser(|| Spi::connect_mut(|_| run()));
    if done < 0 {
        raise(SqlState::UndefinedObject, format!("could not write clip.tables: SPI error {done}"), None);
    }
}
