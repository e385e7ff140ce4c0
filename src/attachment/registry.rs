//! `clip.tables`: which table was embedded with which model.

use std::ffi::CStr;
use std::rc::Rc;

use clip_core::Model;
use pgrx::{Spi, pg_sys};

use crate::backend::session;
use crate::error::{OrRaise, SqlState, raise};

/// The model of a table's embedding column, refused where the installed one is not the one that made the vectors.
/// `column` may be left out where the table has one such column.
pub fn model_of(relation: pg_sys::Oid, column: Option<&CStr>) -> Rc<Model> {
    let found = attached(relation, column);
    match found.as_slice() {
        [[_, model, fingerprint]] => checked(model, fingerprint),
        _ => not_one(relation, column, found.len()),
    }
}

/// An error: of the columns that are meant there are none, or many.
pub fn not_one(relation: pg_sys::Oid, column: Option<&CStr>, found: usize) -> ! {
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

/// Column, model and fingerprint of each attachment of a relation, without the new column of a model change.
///
/// A change of model replaces the column and its row here in one transaction, under an exclusive lock on the table. So a
/// statement must see the row that belongs to the column it has found: it reads the present state, as it does with the
/// catalogs, whatever its transaction's snapshot, and keeps the table from being changed to the end of the transaction.
#[allow(unsafe_code)]
fn attached(relation: pg_sys::Oid, column: Option<&CStr>) -> Vec<[String; 3]> {
    const SQL: &CStr = c"SELECT embedding_column, model, fingerprint FROM clip.tables \
        WHERE relation OPERATOR(pg_catalog.=) $1 AND CASE WHEN $2 IS NULL THEN NOT pending \
        ELSE embedding_column OPERATOR(pg_catalog.=) $2::pg_catalog.name END";
    hold(relation);
    let mut types = [pg_sys::REGCLASSOID, pg_sys::CSTRINGOID];
    let mut values = [pg_sys::Datum::from(relation), column.map_or(pg_sys::Datum::from(0), |c| c.as_ptr().into())];
    let nulls = [b' ', if column.is_some() { b' ' } else { b'n' }];
    as_catalog(|| {
        // SAFETY: two types, values and flags; a `name` is NUL-terminated. The rows of the result live until SPI is
        // left; a value is a palloc'd C string, and none is NULL, as the columns are not.
        Spi::connect(|_| unsafe {
            // Read-only, so that the active snapshot is the one that counts.
            let (types, values) = (types.as_mut_ptr(), values.as_mut_ptr());
            pg_sys::SPI_execute_with_args(SQL.as_ptr(), 2, types, values, nulls.as_ptr().cast(), true, 0);
            let rows = pg_sys::SPI_tuptable.as_ref();
            let count = rows.map_or(0, |_| pg_sys::SPI_processed as usize);
            let text = |row: usize, column: i32| {
                rows.map_or_else(String::new, |rows| {
                    let value = pg_sys::SPI_getvalue(*rows.vals.add(row), rows.tupdesc, column);
                    if value.is_null() { String::new() } else { CStr::from_ptr(value).to_string_lossy().into_owned() }
                })
            };
            (0..count).map(|row| [text(row, 1), text(row, 2), text(row, 3)]).collect()
        })
    })
}

/// Whoever may not read the table gets no lock on it, and has nothing to compare a vector with: false.
#[allow(unsafe_code)]
pub fn hold(relation: pg_sys::Oid) -> bool {
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
pub fn as_catalog<R>(f: impl FnOnce() -> R) -> R {
    // SAFETY: the active snapshot is a copy of the catalog's; if `f` fails, the transaction's abort pops it.
    unsafe {
        pg_sys::PushActiveSnapshot(pg_sys::GetCatalogSnapshot(pg_sys::InvalidOid));
        let result = f();
        pg_sys::PopActiveSnapshot();
        result
    }
}

#[allow(unsafe_code)]
pub fn check_owner(relation: pg_sys::Oid) {
    // SAFETY: plain catalog look-ups.
    let owns = unsafe {
        let user = pg_sys::GetUserId();
        #[cfg(any(feature = "pg14", feature = "pg15"))]
        let owns = pg_sys::pg_class_ownercheck(relation, user);
        #[cfg(not(any(feature = "pg14", feature = "pg15")))]
        let owns = pg_sys::object_ownercheck(pg_sys::RelationRelationId, relation, user);
        owns
    };
    if !owns {
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
    let (mut user, mut context) = (pg_sys::InvalidOid, 0);
    // SAFETY: `fcinfo` is that of the running call, whose SQL declaration has one argument per entry of `types`. If
    // the statement fails, the transaction's abort restores the user.
    unsafe {
        let args = (*fcinfo).args.as_slice(types.len());
        let mut values: Vec<pg_sys::Datum> = args.iter().map(|arg| arg.value).collect();
        let nulls: Vec<i8> = args.iter().map(|arg| if arg.isnull { b'n' as i8 } else { b' ' as i8 }).collect();
        pg_sys::GetUserIdAndSecContext(&mut user, &mut context);
        pg_sys::SetUserIdAndSecContext(
            pg_sys::Oid::from(pg_sys::BOOTSTRAP_SUPERUSERID),
            context | pg_sys::SECURITY_LOCAL_USERID_CHANGE as i32,
        );
        let done = Spi::connect_mut(|_| {
            pg_sys::SPI_execute_with_args(
                sql.as_ptr(),
                types.len() as i32,
                types.as_ptr().cast_mut(),
                values.as_mut_ptr(),
                nulls.as_ptr().cast(),
                false,
                0,
            )
        });
        pg_sys::SetUserIdAndSecContext(user, context);
        if done < 0 {
            raise(SqlState::UndefinedObject, format!("could not write clip.tables: SPI error {done}"), None);
        }
    }
}
