//! Work on a table that its owner's code may have a part in, whoever asked for it: triggers, casts, domains, expressions of
//! indexes and constraints.
//!
//! Each function checks that its caller may act as the owner, and runs one of schema `clip` as the owner, in a
//! security-restricted operation ([`as_owner`]). None of those starts a process or commits; that is done here, outside of it.
#![allow(unsafe_code)]

use std::ffi::CStr;

use pgrx::{FromDatum, Spi, pg_extern, pg_sys};

use crate::attachment::registry;
use crate::backfill;
use crate::error::{SqlState, raise};
use crate::index_worker::{self, Build};
use crate::locks::{self, hold_index_request};
use crate::pg::datum::{VarlenaCopy, from_server};
use crate::pg::procedure::Procedure;
use crate::pg::users::as_owner;
use crate::pipeline::constraints_at_once;
use pg_sys::{BOOLOID, INT4OID, NAMEOID, REGCLASSOID, TEXTOID};

#[pg_extern(sql = false)]
fn clip_attach(relation: Option<pg_sys::Oid>, fcinfo: pg_sys::FunctionCallInfo) {
    let types = [REGCLASSOID, NAMEOID, NAMEOID, NAMEOID, TEXTOID, NAMEOID, BOOLOID, TEXTOID];
    // The public order of the arguments is not that of the internal function.
    forward(relation, c"SELECT clip.attach($1, $2, $3, $4, $6, $7, $5, $8)", &types, fcinfo);
}

#[pg_extern(sql = false)]
fn clip_detach(relation: Option<pg_sys::Oid>, fcinfo: pg_sys::FunctionCallInfo) {
    forward(relation, c"SELECT clip.detach($1, $2)", &[REGCLASSOID, NAMEOID], fcinfo);
}

#[pg_extern(sql = false)]
fn clip_switch_mode(relation: Option<pg_sys::Oid>, fcinfo: pg_sys::FunctionCallInfo) {
    forward(relation, c"SELECT clip.switch_mode($1, $3, $2)", &[REGCLASSOID, TEXTOID, NAMEOID], fcinfo);
}

#[pg_extern(sql = false)]
fn clip_abort_model_change(relation: Option<pg_sys::Oid>, fcinfo: pg_sys::FunctionCallInfo) {
    let owned = owned(relation);
    locks::lock_step(owned); // waits for a running call's step, which is its last
    index_worker::end_builds(owned);
    forward(relation, c"SELECT clip.abort_model_change($1, $2)", &[REGCLASSOID, NAMEOID], fcinfo);
}

/// `(relation regclass, embedding_column name, batch_size integer)`
#[pg_extern(sql = false)]
fn clip_backfill(relation: Option<pg_sys::Oid>, fcinfo: pg_sys::FunctionCallInfo) {
    let arguments = kept(fcinfo, &[REGCLASSOID, NAMEOID, INT4OID]);
    let procedure = Procedure::begin("clip_backfill", fcinfo);
    let relation = owned(relation);
    let limit = arguments[2].integer();
    let column = procedure.transaction(|| {
        let column = step(relation, c"SELECT clip.backfill_begin($1, $2, $3)", &arguments, Kept::name)?;
        backfill::begin(relation, &column.text());
        Some(column)
    });
    if let Some(column) = column {
        let name = column.text();
        let arguments = &with_column(arguments, 1, column)[..2];
        let check = || {
            step(relation, c"SELECT clip.backfill_continue($1, $2)", arguments, |_| ());
        };
        while backfill::step(&procedure, relation, &name, limit, check) {}
        procedure.transaction(|| step(relation, c"SELECT clip.backfill_end($1, $2)", arguments, |_| ()));
    }
    procedure.end();
}

/// `(relation regclass, model text, embedding_column name, skip_missing boolean, batch_size integer)`
#[pg_extern(sql = false)]
fn clip_change_model(relation: Option<pg_sys::Oid>, fcinfo: pg_sys::FunctionCallInfo) {
    let arguments = kept(fcinfo, &[REGCLASSOID, TEXTOID, NAMEOID, BOOLOID, INT4OID]);
    let procedure = Procedure::begin("clip_change_model", fcinfo);
    let relation = owned(relation);
    let limit = arguments[4].integer();
    let begin = || step(relation, c"SELECT clip.change_begin($1, $2, $3, $4, $5)", &arguments, Kept::name);
    if let Some(column) = procedure.transaction(begin) {
        let arguments = with_column(arguments, 2, column);
        let next = || writing_step(relation, c"SELECT clip.change_step($1, $3, $5)", &arguments, |next| next.value());
        let is_walking = relation.to_u32() as usize;
        while let Some(next) = procedure.transaction(next) {
            if next == is_walking {
                walk(&procedure, relation, &arguments, limit);
            } else if next != 0 {
                index_worker::build(relation, Build::successor(pg_sys::Oid::from(next as u32)));
            }
        }
    }
    procedure.end();
}

/// `(relation regclass, embedding_column name, modality text, combined boolean, type text, m integer, ef_construction integer,
/// concurrently boolean)`
#[pg_extern(sql = false)]
fn clip_create_index(relation: Option<pg_sys::Oid>, fcinfo: pg_sys::FunctionCallInfo) {
    let arguments = kept(fcinfo, &[REGCLASSOID, NAMEOID, TEXTOID, BOOLOID, TEXTOID, INT4OID, INT4OID, BOOLOID]);
    if arguments[7].datum().is_none_or(|concurrently| concurrently.value() == 0) {
        step(owned(relation), c"SELECT clip.create_indexes($1, $2, $3, $4, $5, $6, $7)", &arguments[..7], |_| ());
        return;
    }
    let procedure = Procedure::begin_or(fcinfo, || {
        let message = "clip_create_index builds concurrently, which cannot be done inside a transaction".to_owned();
        (message, "Call it outside of a transaction block and not from a function, or pass concurrently => false.")
    });
    let relation = owned(relation);
    let Some(_held) = hold_index_request(relation) else {
        raise(SqlState::ObjectInUse, "another session is building indexes of the relation", None)
    };
    let (is_half, parameters) = (arguments[4].text() == "halfvec", [&arguments[5], &arguments[6]].map(Kept::number));
    const BEGIN: &CStr = c"SELECT clip.index_begin($1, $2, $3, $4, $5)";
    if let Some(column) = procedure.transaction(|| step(relation, BEGIN, &arguments[..5], Kept::name)) {
        let name = column.name();
        let arguments = &with_column(arguments, 1, column)[..5];
        let next =
            || step(relation, c"SELECT clip.index_next($1, $2, $3, $4, $5)", arguments, |part| part.value() as i32);
        while let Some(part) = procedure.transaction(next) {
            if part >= 0 {
                index_worker::build(relation, Build::new(name, part, is_half, parameters));
            }
        }
    }
    procedure.end();
}

/// Embeds into the new column of a change of model, until a walk ends or the change is aborted.
fn walk(procedure: &Procedure, relation: pg_sys::Oid, arguments: &[Kept], limit: i32) {
    const SQL: &CStr = c"SELECT clip.change_continue($1, $3)";
    let check = || step(relation, SQL, arguments, Kept::name).map(|column| column.text()).unwrap_or_default();
    let column = procedure.transaction(|| {
        let column = check();
        backfill::begin(relation, &column);
        column
    });
    let check = || {
        check();
    };
    while backfill::step(procedure, relation, &column, limit, check) {}
}

/// A relation whose owner the caller may act as.
fn owned(relation: Option<pg_sys::Oid>) -> pg_sys::Oid {
    let relation = relation.unwrap_or_else(|| raise(SqlState::NullNotAllowed, "the relation must not be null", None));
    registry::check_owner(relation);
    relation
}

/// Runs a statement with the caller's arguments as the owner of a relation.
fn forward(relation: Option<pg_sys::Oid>, sql: &CStr, types: &[pg_sys::Oid], fcinfo: pg_sys::FunctionCallInfo) {
    step(owned(relation), sql, &kept(fcinfo, types), |_| ());
}

/// Runs a statement as the owner of a relation, and gives what is in its first row's first column; `None` for NULL. Who may
/// act as the owner is asked each time: a procedure commits in between.
fn step<T>(relation: pg_sys::Oid, sql: &CStr, arguments: &[Kept], read: impl FnOnce(pg_sys::Datum) -> T) -> Option<T> {
    registry::check_owner(relation);
    let owner = registry::owner(relation);
    let (mut types, mut values, mut nulls) = (Vec::new(), Vec::new(), Vec::new());
    for argument in arguments {
        let value = argument.datum();
        types.push(argument.oid);
        values.push(value.unwrap_or(pg_sys::Datum::from(0)));
        nulls.push(if value.is_some() { b' ' } else { b'n' });
    }
    // SAFETY: as many types, values and flags as arguments, which live until the statement has run. The result is read before
    // SPI is left.
    Spi::connect_mut(|_| unsafe {
        as_owner(owner, || {
            let count = arguments.len() as i32;
            let (types, values) = (types.as_mut_ptr(), values.as_mut_ptr());
            pg_sys::SPI_execute_with_args(sql.as_ptr(), count, types, values, nulls.as_ptr().cast(), false, 0);
            let rows = pg_sys::SPI_tuptable.as_ref().filter(|rows| rows.numvals > 0)?;
            let mut null = false;
            let value = pg_sys::SPI_getbinval(*rows.vals, rows.tupdesc, 1, &mut null);
            (!null).then(|| read(value))
        })
    })
}

/// As [`step`], of a procedure whose step may write rows: in the transaction of a caller it would meddle with his triggers.
fn writing_step<T>(
    relation: pg_sys::Oid,
    sql: &CStr,
    arguments: &[Kept],
    read: impl FnOnce(pg_sys::Datum) -> T,
) -> Option<T> {
    Spi::connect_mut(constraints_at_once).unwrap_or_else(|e| raise(SqlState::UndefinedObject, e.to_string(), None));
    step(relation, sql, arguments, read)
}

/// An argument in memory that outlives a commit.
struct Kept {
    oid: pg_sys::Oid,
    value: Option<Value>,
}

enum Value {
    Plain(pg_sys::Datum),
    Name(Box<[u8; NAME]>),
    Text(VarlenaCopy),
}

/// Bytes of a `name`.
const NAME: usize = pg_sys::NAMEDATALEN as usize;

impl Kept {
    fn datum(&self) -> Option<pg_sys::Datum> {
        Some(match self.value.as_ref()? {
            Value::Plain(datum) => *datum,
            Value::Name(name) => name.as_ptr().into(),
            Value::Text(text) => text.as_ptr().into(),
        })
    }

    /// Of a number that was checked not to be NULL.
    fn integer(&self) -> i32 {
        self.number().unwrap_or(0)
    }

    fn number(&self) -> Option<i32> {
        self.datum().map(|datum| datum.value() as i32)
    }

    /// Of a short text; empty where it is NULL.
    fn text(&self) -> String {
        // SAFETY: the copy is of a text, detoasted, and lives as long as it is read.
        let read = |text: &VarlenaCopy| unsafe { <&[u8]>::from_datum(text.as_ptr().into(), false) }.map(<[u8]>::to_vec);
        match &self.value {
            Some(Value::Text(text)) => {
                read(text).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
            }
            _ => String::new(),
        }
    }

    fn name(datum: pg_sys::Datum) -> Value {
        // SAFETY: a `name`, which has so many bytes.
        Value::Name(Box::new(unsafe { *datum.cast_mut_ptr::<[u8; NAME]>() }))
    }
}

impl Value {
    /// Of a name.
    fn name(&self) -> [u8; NAME] {
        match self {
            Self::Name(name) => **name,
            _ => [0; NAME],
        }
    }

    /// Of a name.
    fn text(&self) -> String {
        match self {
            Self::Name(name) => CStr::from_bytes_until_nul(&name[..]).map(from_server).unwrap_or_default(),
            _ => String::new(),
        }
    }
}

/// The arguments of a call, of the types that its SQL declaration says.
fn kept(fcinfo: pg_sys::FunctionCallInfo, types: &[pg_sys::Oid]) -> Vec<Kept> {
    // SAFETY: the running call has as many arguments as `types`, and of those types.
    unsafe {
        let arguments = (*fcinfo).args.as_slice(types.len());
        let keep = |(oid, argument): (&pg_sys::Oid, &pg_sys::NullableDatum)| {
            let value = (!argument.isnull).then(|| match *oid {
                NAMEOID => Kept::name(argument.value),
                TEXTOID => Value::Text(VarlenaCopy::of(argument.value)),
                _ => Value::Plain(argument.value),
            });
            Kept { oid: *oid, value }
        };
        types.iter().zip(arguments).map(keep).collect()
    }
}

/// The embedding column that was found for the one that the caller named or left out.
fn with_column(mut arguments: Vec<Kept>, place: usize, column: Value) -> Vec<Kept> {
    arguments[place].value = Some(column);
    arguments
}
