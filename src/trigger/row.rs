//! The row that a BEFORE ROW trigger is about to write, read and changed through PostgreSQL's own functions.
//!
//! Column types are checked here and not only when the trigger is made: anybody may write a CREATE TRIGGER by hand,
//! and reading an integer as a varlena would end the server.
#![allow(unsafe_code)]

use std::ffi::{CStr, CString};

use pgrx::{FromDatum, pg_sys};

use crate::datum::{is_vector_type, to_utf8};
use crate::error::{SqlState, raise};

/// A column of the trigger's table, its type checked.
#[derive(Clone, Copy)]
pub struct Column {
    number: i32,
    oid: pg_sys::Oid,
    typmod: i32,
    /// The type that the table says, where that is a domain.
    domain: Option<pg_sys::Oid>,
}

/// A new value for a column.
pub struct Change {
    column: Column,
    value: Option<pg_sys::Datum>,
}

impl Change {
    pub fn to(column: Column, value: pg_sys::Datum) -> Self {
        Self { column, value: Some(value) }
    }

    pub fn null(column: Column) -> Self {
        Self { column, value: None }
    }

    /// PostgreSQL has checked the statement's value, and asks nobody about a trigger's.
    fn check_domain(&self) {
        let (value, null) = (self.value.unwrap_or(pg_sys::Datum::from(0)), std::ptr::null_mut());
        if let Some(domain) = self.column.domain {
            // SAFETY: a value of the domain's base type; without a place to keep what it looked up, the check looks it up.
            unsafe { pg_sys::domain_check(value, self.value.is_none(), domain, null, std::ptr::null_mut()) };
        }
    }
}

/// Invariant: all pointers are those of the running trigger call and valid until it returns.
pub struct Row {
    trigger: *const pg_sys::Trigger,
    relation: pg_sys::Oid,
    descriptor: pg_sys::TupleDesc,
    new: pg_sys::HeapTuple,
    /// Of an UPDATE.
    old: Option<pg_sys::HeapTuple>,
}

impl Row {
    /// # Safety
    ///
    /// `fcinfo` is that of the running call.
    pub unsafe fn from_fcinfo(fcinfo: pg_sys::FunctionCallInfo) -> Result<Self, &'static str> {
        const WRONG: &str = "clip_embed_trigger must be fired BEFORE INSERT OR UPDATE FOR EACH ROW";
        // SAFETY: called_as_trigger checks the node type of `context`, which then is a TriggerData.
        unsafe {
            if !pgrx::called_as_trigger(fcinfo) {
                return Err("clip_embed_trigger must be called as a trigger");
            }
            let data = &*(*fcinfo).context.cast::<pg_sys::TriggerData>();
            let event = data.tg_event;
            if event & pg_sys::TRIGGER_EVENT_ROW == 0
                || event & pg_sys::TRIGGER_EVENT_TIMINGMASK != pg_sys::TRIGGER_EVENT_BEFORE
            {
                return Err(WRONG);
            }
            let (new, old) = match event & pg_sys::TRIGGER_EVENT_OPMASK {
                pg_sys::TRIGGER_EVENT_INSERT => (data.tg_trigtuple, None),
                pg_sys::TRIGGER_EVENT_UPDATE => (data.tg_newtuple, Some(data.tg_trigtuple)),
                _ => return Err(WRONG),
            };
            let relation = &*data.tg_relation;
            Ok(Self { trigger: data.tg_trigger, relation: relation.rd_id, descriptor: relation.rd_att, new, old })
        }
    }

    pub fn is_update(&self) -> bool {
        self.old.is_some()
    }

    pub fn arguments(&self) -> Vec<CString> {
        // SAFETY: the running call's trigger.
        unsafe { arguments(self.trigger) }
    }

    pub fn any_column(&self, name: &CStr) -> Column {
        // SAFETY: the descriptor is the relation's, and the number one of its columns.
        unsafe {
            let number = number_of(self.descriptor, name);
            let (mut oid, mut typmod, mut collation) = (pg_sys::InvalidOid, -1, pg_sys::InvalidOid);
            let attribute = number as pg_sys::AttrNumber;
            pg_sys::get_atttypetypmodcoll(self.relation, attribute, &mut oid, &mut typmod, &mut collation);
            let base = pg_sys::getBaseTypeAndTypmod(oid, &mut typmod);
            Column { number, oid: base, typmod, domain: (base != oid).then_some(oid) }
        }
    }

    pub fn vector_column(&self, name: &CStr) -> Column {
        let column = self.any_column(name);
        expect(is_vector_type(column.oid), name, column, "vector");
        column
    }

    pub fn bytea_column(&self, name: &CStr) -> Column {
        let column = self.any_column(name);
        expect(column.oid == pg_sys::BYTEAOID, name, column, "bytea");
        column
    }

    pub fn text_column(&self, name: &CStr) -> Column {
        let column = self.any_column(name);
        let text = [pg_sys::TEXTOID, pg_sys::VARCHAROID, pg_sys::BPCHAROID].contains(&column.oid);
        expect(text, name, column, "text");
        column
    }

    pub fn check_dimensions(&self, column: Column, dimensions: usize) {
        if column.typmod >= 0 && column.typmod as usize != dimensions {
            raise(
                SqlState::DataException,
                format!("the embedding column is vector({}), the model makes {dimensions} dimensions", column.typmod),
                None,
            );
        }
    }

    pub fn is_null(&self, column: Column) -> bool {
        self.value(self.new, column).is_none()
    }

    /// Did this UPDATE change the column's bytes?
    pub fn differs(&self, column: Column) -> bool {
        let Some(old) = self.old else { return true };
        match (self.value(old, column), self.value(self.new, column)) {
            (None, None) => false,
            (Some(a), Some(b)) => !same(a, b, column),
            _ => true,
        }
    }

    /// A varlena column's content; empty where NULL.
    pub fn bytes(&self, column: Column) -> &[u8] {
        self.bytes_of(self.new, column)
    }

    /// The same before this UPDATE.
    pub fn old_bytes(&self, column: Column) -> &[u8] {
        self.old.map_or(&[], |old| self.bytes_of(old, column))
    }

    fn bytes_of(&self, tuple: pg_sys::HeapTuple, column: Column) -> &[u8] {
        let value = self.value(tuple, column);
        // SAFETY: only text and bytea columns are read so, both varlenas; the detoasted copy lives as long as the call.
        value.and_then(|value| unsafe { <&[u8]>::from_datum(value, false) }).unwrap_or_default()
    }

    /// A column's value as its type's output function writes it.
    pub fn as_string(&self, column: Column) -> Option<String> {
        let value = self.value(self.new, column)?;
        let (mut output, mut varlena) = (pg_sys::InvalidOid, false);
        // SAFETY: the output function is that of the column's type and gives a palloc'd C string.
        unsafe {
            pg_sys::getTypeOutputInfo(column.oid, &mut output, &mut varlena);
            Some(CStr::from_ptr(pg_sys::OidOutputFunctionCall(output, value)).to_string_lossy().into_owned())
        }
    }

    fn value(&self, tuple: pg_sys::HeapTuple, column: Column) -> Option<pg_sys::Datum> {
        let mut null = false;
        // SAFETY: the tuple is of the descriptor, the column's number was found in it.
        let value = unsafe { pg_sys::SPI_getbinval(tuple, self.descriptor, column.number, &mut null) };
        (!null).then_some(value)
    }

    pub fn unchanged(&self) -> pg_sys::Datum {
        pg_sys::Datum::from(self.new)
    }

    /// The row with these columns replaced, as the trigger's result.
    pub fn with(&self, changes: &[Change]) -> pg_sys::Datum {
        if changes.is_empty() {
            return self.unchanged();
        }
        changes.iter().for_each(Change::check_domain);
        let mut numbers: Vec<i32> = changes.iter().map(|change| change.column.number).collect();
        let mut values: Vec<pg_sys::Datum> =
            changes.iter().map(|change| change.value.unwrap_or(pg_sys::Datum::from(0))).collect();
        let mut nulls: Vec<bool> = changes.iter().map(|change| change.value.is_none()).collect();
        // SAFETY: three arrays of equal length; values are of their columns' types.
        unsafe {
            pg_sys::Datum::from(pg_sys::heap_modify_tuple_by_cols(
                self.new,
                self.descriptor,
                numbers.len() as i32,
                numbers.as_mut_ptr(),
                values.as_mut_ptr(),
                nulls.as_mut_ptr(),
            ))
        }
    }
}

/// A trigger's arguments, in the encoding of the server, as names are compared in.
///
/// # Safety
///
/// The trigger of a running call.
pub unsafe fn arguments(trigger: *const pg_sys::Trigger) -> Vec<CString> {
    // SAFETY: `tgargs` has `tgnargs` C strings.
    unsafe {
        (0..usize::try_from((*trigger).tgnargs).unwrap_or(0))
            .map(|i| CStr::from_ptr(*(*trigger).tgargs.add(i)).to_owned())
            .collect()
    }
}

/// The number of a column that a trigger's arguments name, counted from 1.
///
/// # Safety
///
/// The descriptor of an open relation.
pub unsafe fn number_of(descriptor: pg_sys::TupleDesc, name: &CStr) -> i32 {
    // SAFETY: SPI_fnumber compares names. System columns have negative numbers.
    let number = unsafe { pg_sys::SPI_fnumber(descriptor, name.as_ptr()) };
    if number <= 0 {
        raise(
            SqlState::UndefinedColumn,
            format!("column \"{}\" of the trigger's arguments does not exist", to_utf8(name.to_bytes())),
            Some("If it was renamed, call clip_detach and clip_attach."),
        );
    }
    number
}

/// Are two values of a column the same bytes? As PostgreSQL's `datum_image_eq`.
fn same(a: pg_sys::Datum, b: pg_sys::Datum, column: Column) -> bool {
    let (mut length, mut by_value) = (0, false);
    // SAFETY: both datums are of the column's type, whose length decides how they are read.
    unsafe {
        pg_sys::get_typlenbyval(column.oid, &mut length, &mut by_value);
        match usize::try_from(length) {
            _ if by_value => a == b,
            Ok(length) => {
                let bytes = |datum: pg_sys::Datum| std::slice::from_raw_parts(datum.cast_mut_ptr::<u8>(), length);
                bytes(a) == bytes(b)
            }
            // Sizes first: values of different sizes need not be fetched and decompressed.
            Err(_) if length == -1 => {
                pg_sys::toast_raw_datum_size(a) == pg_sys::toast_raw_datum_size(b)
                    && <&[u8]>::from_datum(a, false) == <&[u8]>::from_datum(b, false)
            }
            Err(_) => CStr::from_ptr(a.cast_mut_ptr()) == CStr::from_ptr(b.cast_mut_ptr()),
        }
    }
}

fn expect(matches: bool, name: &CStr, column: Column, expected: &str) {
    if !matches {
        // SAFETY: format_type_be gives a palloc'd C string for any oid.
        let given = unsafe { CStr::from_ptr(pg_sys::format_type_be(column.oid)) }.to_string_lossy();
        let name = to_utf8(name.to_bytes());
        raise(SqlState::DatatypeMismatch, format!("column \"{name}\" is of type {given}: expected {expected}"), None);
    }
}
