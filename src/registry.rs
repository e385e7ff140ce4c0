//! `clip.tables`: which table was embedded with which model.

use std::ffi::CStr;
use std::rc::Rc;

use clip_core::Model;
use pgrx::datum::DatumWithOid;
use pgrx::{Spi, pg_sys, spi};

use crate::error::{OrRaise, SqlState, raise};
use crate::session;

/// The model of a table's embedding column, refused where the installed one is not the one that made the vectors.
/// `column` may be left out where the table has one such column.
pub fn model_of(relation: pg_sys::Oid, column: Option<&CStr>) -> Rc<Model> {
    let wanted = column.map(|column| column.to_string_lossy().into_owned());
    let mut found = attached(relation).unwrap_or_else(|e| raise(SqlState::UndefinedObject, e.to_string(), None));
    found.retain(|(column, ..)| wanted.as_ref().is_none_or(|wanted| wanted == column));
    match found.as_slice() {
        [(_, model, fingerprint)] => checked(model, fingerprint),
        [] => raise(
            SqlState::UndefinedObject,
            match wanted {
                Some(column) => {
                    format!("column \"{column}\" of relation \"{}\" is not embedded by pg_clip", name(relation))
                }
                None => format!("relation \"{}\" is not embedded by pg_clip", name(relation)),
            },
            Some("Make the table with clip_create_table, or attach it with clip_attach."),
        ),
        _ => raise(
            SqlState::AmbiguousParameter,
            format!("relation \"{}\" has {} embedding columns", name(relation), found.len()),
            Some("Name the column as the third argument of clip_query."),
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

/// Column, model and fingerprint of each attachment of a relation.
fn attached(relation: pg_sys::Oid) -> spi::Result<Vec<(String, String, String)>> {
    Spi::connect(|client| {
        let rows = client.select(
            "SELECT embedding_column::pg_catalog.text, model, fingerprint FROM clip.tables \
             WHERE relation OPERATOR(pg_catalog.=) $1::pg_catalog.regclass",
            None,
            &[DatumWithOid::from(relation)],
        )?;
        let mut found = Vec::new();
        for row in rows {
            if let (Some(column), Some(model), Some(fingerprint)) = (row.get(1)?, row.get(2)?, row.get(3)?) {
                found.push((column, model, fingerprint));
            }
        }
        Ok(found)
    })
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

#[allow(unsafe_code)]
fn name(relation: pg_sys::Oid) -> String {
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
