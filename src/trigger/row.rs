//! The row that a trigger fires for, read and changed through PostgreSQL's own functions.
//!
//! Column types are checked here and not only when the trigger is made: anybody may write a CREATE TRIGGER by hand,
//! and reading an integer as a varlena would end the server.
#![allow(unsafe_code)]

use std::ffi::{CStr, CString};

use clip_core::Modality;
use pgrx::{FromDatum, PgMemoryContexts, pg_sys};

use super::stored::Stored;
use crate::attachment::{Source, Sources, UnknownModality};
use crate::error::{SqlState, raise};
use crate::pg::datum::{VectorType, from_server, to_utf8};

/// A column of the trigger's table, its type checked.
#[derive(Clone, Copy)]
pub struct Column {
    number: i32,
    oid: pg_sys::Oid,
    pub stored: Stored,
    typmod: i32,
    /// The type that the table says, where that is a domain.
    domain: Option<pg_sys::Oid>,
}

impl Column {
    pub fn is_plain(&self) -> bool {
        is_plain(self.oid)
    }
}

/// Are values of the type written alike under all settings? Most are.
pub fn is_plain(oid: pg_sys::Oid) -> bool {
    use pg_sys::{BOOLOID, BPCHAROID, INT2OID, INT4OID, INT8OID, NAMEOID, OIDOID, TEXTOID, UUIDOID, VARCHAROID};
    const PLAIN: [pg_sys::Oid; 10] =
        [BOOLOID, BPCHAROID, INT2OID, INT4OID, INT8OID, NAMEOID, OIDOID, TEXTOID, UUIDOID, VARCHAROID];
    // SAFETY: a look-up in PostgreSQL's caches.
    PLAIN.contains(&oid) || unsafe { pg_sys::get_typtype(oid) } as u8 == pg_sys::TYPTYPE_ENUM
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

    pub fn is_of(&self, column: Column) -> bool {
        self.column.number == column.number
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

/// The row as it was before an UPDATE, and as it is to be or, in an AFTER trigger, is; one that was deleted, as it was.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Side {
    Old,
    New,
}

/// When a trigger has to be fired.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Timing {
    Before,
    After,
    AfterDelete,
}

/// Invariant: all pointers are those of the running trigger call and valid until it returns.
pub struct Row {
    function: *mut pg_sys::FmgrInfo,
    data: *const pg_sys::TriggerData,
    descriptor: pg_sys::TupleDesc,
    new: pg_sys::HeapTuple,
    /// Of an UPDATE.
    old: Option<pg_sys::HeapTuple>,
}

impl Row {
    /// # Safety
    ///
    /// `fcinfo` is that of the running call.
    pub unsafe fn from_fcinfo(fcinfo: pg_sys::FunctionCallInfo, timing: Timing) -> Self {
        // SAFETY: as the caller promised.
        unsafe { Self::find(fcinfo, timing) }.unwrap_or_else(|e| raise(SqlState::TriggerProtocol, e, None))
    }

    /// # Safety
    ///
    /// As of [`Row::from_fcinfo`].
    unsafe fn find(fcinfo: pg_sys::FunctionCallInfo, timing: Timing) -> Result<Self, &'static str> {
        let (expected, wrong) = match timing {
            Timing::Before => {
                (pg_sys::TRIGGER_EVENT_BEFORE, "clip_embed_trigger must be fired BEFORE INSERT OR UPDATE FOR EACH ROW")
            }
            Timing::After => (pg_sys::TRIGGER_EVENT_AFTER, "clip.enqueue_trigger must be fired AFTER INSERT OR UPDATE"),
            Timing::AfterDelete => (pg_sys::TRIGGER_EVENT_AFTER, "clip.forget_trigger must be fired AFTER DELETE"),
        };
        // SAFETY: called_as_trigger checks the node type of `context`, which then is a TriggerData.
        unsafe {
            if !pgrx::called_as_trigger(fcinfo) {
                return Err(match timing {
                    Timing::Before => "clip_embed_trigger must be called as a trigger",
                    Timing::After => "clip.enqueue_trigger must be called as a trigger",
                    Timing::AfterDelete => "clip.forget_trigger must be called as a trigger",
                });
            }
            let data = &*(*fcinfo).context.cast::<pg_sys::TriggerData>();
            let event = data.tg_event;
            if event & pg_sys::TRIGGER_EVENT_ROW == 0 || event & pg_sys::TRIGGER_EVENT_TIMINGMASK != expected {
                return Err(wrong);
            }
            let (new, old) = match (event & pg_sys::TRIGGER_EVENT_OPMASK, timing) {
                (pg_sys::TRIGGER_EVENT_DELETE, Timing::AfterDelete) => (data.tg_trigtuple, None),
                (_, Timing::AfterDelete) => return Err(wrong),
                (pg_sys::TRIGGER_EVENT_INSERT, _) => (data.tg_trigtuple, None),
                (pg_sys::TRIGGER_EVENT_UPDATE, _) => (data.tg_newtuple, Some(data.tg_trigtuple)),
                _ => return Err(wrong),
            };
            Ok(Self { function: (*fcinfo).flinfo, data, descriptor: (*data.tg_relation).rd_att, new, old })
        }
    }

    /// What is kept from one row of a statement to the next; `make` makes it for the first.
    pub fn kept<T: 'static>(&self, make: impl FnOnce() -> T) -> &T {
        // SAFETY: the function's memory lives as long as the look-up of the function, which is for one trigger of one table in
        // one statement. What is kept there is dropped with it. No two functions here have the same look-up.
        unsafe {
            let function = &mut *self.function;
            if function.fn_extra.is_null() {
                let kept = PgMemoryContexts::For(function.fn_mcxt).leak_and_drop_on_delete(make());
                function.fn_extra = kept.cast();
            }
            &*function.fn_extra.cast::<T>()
        }
    }

    /// Is what is [`kept`](Self::kept) dropped when the executor ends, while the statement still owns what it has opened? COPY
    /// and an apply worker keep it longer.
    pub fn is_kept_by_executor(&self) -> bool {
        // SAFETY: the function's memory, and the name that PostgreSQL gave it.
        unsafe { CStr::from_ptr((*(*self.function).fn_mcxt).name) == c"ExecutorState" }
    }

    pub fn relation(&self) -> pg_sys::Relation {
        // SAFETY: as the type says.
        unsafe { (*self.data).tg_relation }
    }

    pub fn relation_oid(&self) -> pg_sys::Oid {
        // SAFETY: as the type says.
        unsafe { (*self.relation()).rd_id }
    }

    fn tuple(&self, side: Side) -> pg_sys::HeapTuple {
        match side {
            Side::New => self.new,
            Side::Old => self.old.unwrap_or(self.new),
        }
    }

    pub fn old_tuple(&self) -> Option<pg_sys::HeapTuple> {
        self.old
    }

    /// Does the UPDATE name the column? As `bms_is_member`, which takes longer to call than to run.
    pub fn is_named(&self, column: Column) -> bool {
        const BITS: usize = pg_sys::bitmapword::BITS as usize;
        let member = (column.number - pg_sys::FirstLowInvalidHeapAttributeNumber) as usize;
        // SAFETY: the set is the trigger data's own, with as many words as it says, or NULL, which is the empty set.
        unsafe {
            let set = (*self.data).tg_updatedcols;
            if set.is_null() {
                return false;
            }
            let words = (*set).words.as_slice(usize::try_from((*set).nwords).unwrap_or(0));
            words.get(member / BITS).is_some_and(|word| word >> (member % BITS) & 1 == 1)
        }
    }

    /// What the row's vector is made of, with the column that has it.
    pub fn source(&self, sources: &Sources<Column>, side: Side) -> Result<Option<(Modality, Column)>, UnknownModality> {
        let found = sources.of(|column| self.as_string(*column, side), |column| !self.is_null(*column, side))?;
        Ok(found.map(|(modality, column)| (modality, *column)))
    }

    /// What was found as the row's source, as the rule for an UPDATE asks.
    pub fn state(&self, source: Option<(Modality, Column)>, side: Side) -> Source {
        match source {
            Some((modality, column)) if self.is_null(column, side) => Source::Absent(modality),
            Some((modality, _)) => Source::Present(modality),
            None => Source::None,
        }
    }

    pub fn is_update(&self) -> bool {
        self.old.is_some()
    }

    pub fn arguments(&self) -> Vec<CString> {
        // SAFETY: the running call's trigger.
        unsafe { arguments((*self.data).tg_trigger) }
    }

    /// The columns of a trigger's arguments, each of the type that it has to be of.
    pub fn columns(&self, sources: &Sources<CString>) -> Sources<Column> {
        sources.map(
            |name| self.any_column(name),
            |modality, name| match modality {
                Modality::Text => self.text_column(name),
                Modality::Image => self.bytea_column(name),
            },
        )
    }

    pub fn any_column(&self, name: &CStr) -> Column {
        // SAFETY: the descriptor is the relation's.
        self.column(unsafe { number_of(self.descriptor, name) })
    }

    /// A column by its number.
    pub fn column(&self, number: i32) -> Column {
        // SAFETY: the number is one of the relation's columns.
        unsafe {
            let (mut oid, mut typmod, mut collation) = (pg_sys::InvalidOid, -1, pg_sys::InvalidOid);
            let attribute = number as pg_sys::AttrNumber;
            pg_sys::get_atttypetypmodcoll(self.relation_oid(), attribute, &mut oid, &mut typmod, &mut collation);
            let base = pg_sys::getBaseTypeAndTypmod(oid, &mut typmod);
            let stored = Stored::of(self.descriptor, number);
            Column { number, oid: base, stored, typmod, domain: (base != oid).then_some(oid) }
        }
    }

    pub fn vector_column(&self, name: &CStr) -> (Column, VectorType) {
        let column = self.any_column(name);
        let vectors = VectorType::of(column.oid);
        expect(vectors.is_some(), name, column, "vector");
        (column, vectors.unwrap_or(VectorType::Vector))
    }

    fn bytea_column(&self, name: &CStr) -> Column {
        let column = self.any_column(name);
        expect(column.oid == pg_sys::BYTEAOID, name, column, "bytea");
        column
    }

    fn text_column(&self, name: &CStr) -> Column {
        let column = self.any_column(name);
        let text = [pg_sys::TEXTOID, pg_sys::VARCHAROID, pg_sys::BPCHAROID].contains(&column.oid);
        expect(text, name, column, "text");
        column
    }

    pub fn name(&self, column: Column) -> String {
        let number = column.number as pg_sys::AttrNumber;
        // SAFETY: a palloc'd name of a column that was found.
        from_server(unsafe { CStr::from_ptr(pg_sys::get_attname(self.relation_oid(), number, false)) })
    }

    /// May the caller see the value? Of a row that he inserts he knows it.
    pub fn may_be_shown(&self, column: Column) -> bool {
        let (relation, number) = (self.relation_oid(), column.number as pg_sys::AttrNumber);
        // SAFETY: catalog look-ups for a column of an open relation.
        unsafe {
            let user = pg_sys::GetUserId();
            let select = pg_sys::ACL_SELECT as pg_sys::AclMode;
            let is_ok = |checked| checked == pg_sys::AclResult::ACLCHECK_OK;
            let hides = pg_sys::CheckEnableRlsResult::RLS_ENABLED as i32;
            !self.is_update()
                || pg_sys::check_enable_rls(relation, pg_sys::InvalidOid, true) != hides
                    && (is_ok(pg_sys::pg_class_aclcheck(relation, user, select))
                        || is_ok(pg_sys::pg_attribute_aclcheck(relation, number, user, select)))
        }
    }

    pub fn check_dimensions(&self, column: Column, vectors: VectorType, dimensions: usize) {
        if column.typmod >= 0 && column.typmod as usize != dimensions {
            raise(
                SqlState::DataException,
                format!(
                    "the embedding column is {}({}), the model makes {dimensions} dimensions",
                    vectors.name(),
                    column.typmod
                ),
                None,
            );
        }
    }

    pub fn is_null(&self, column: Column, side: Side) -> bool {
        self.value(column, side).is_none()
    }

    /// Did this UPDATE change the column's bytes?
    pub fn differs(&self, column: Column) -> bool {
        match (self.value(column, Side::Old), self.value(column, Side::New)) {
            _ if self.old.is_none() => true,
            (None, None) => false,
            (Some(a), Some(b)) => !column.stored.same(a, b),
            _ => true,
        }
    }

    /// A varlena column's content; empty where NULL.
    pub fn bytes(&self, column: Column, side: Side) -> &[u8] {
        let value = self.value(column, side);
        // SAFETY: only text and bytea columns are read so, both varlenas; the detoasted copy lives as long as the call.
        value.and_then(|value| unsafe { <&[u8]>::from_datum(value, false) }).unwrap_or_default()
    }

    /// A column's value as its type's output function writes it.
    pub fn as_c_string(&self, column: Column, side: Side) -> Option<&CStr> {
        let value = self.value(column, side)?;
        let (mut output, mut varlena) = (pg_sys::InvalidOid, false);
        // SAFETY: the output function is that of the column's type and gives a palloc'd C string.
        unsafe {
            pg_sys::getTypeOutputInfo(column.oid, &mut output, &mut varlena);
            Some(CStr::from_ptr(pg_sys::OidOutputFunctionCall(output, value)))
        }
    }

    pub fn as_string(&self, column: Column, side: Side) -> Option<String> {
        self.as_c_string(column, side).map(from_server)
    }

    fn value(&self, column: Column, side: Side) -> Option<pg_sys::Datum> {
        let mut null = false;
        // SAFETY: the tuple is of the descriptor, the column's number was found in it.
        let value = unsafe { pg_sys::heap_getattr(self.tuple(side), column.number, self.descriptor, &mut null) };
        (!null).then_some(value)
    }

    /// The row with these columns replaced, as the trigger's result.
    pub fn with(&self, changes: &[Change]) -> pg_sys::HeapTuple {
        if changes.is_empty() {
            return self.new;
        }
        changes.iter().for_each(Change::check_domain);
        let mut numbers: Vec<i32> = changes.iter().map(|change| change.column.number).collect();
        let mut values: Vec<pg_sys::Datum> =
            changes.iter().map(|change| change.value.unwrap_or(pg_sys::Datum::from(0))).collect();
        let mut nulls: Vec<bool> = changes.iter().map(|change| change.value.is_none()).collect();
        // SAFETY: three arrays of equal length; values are of their columns' types.
        unsafe {
            pg_sys::heap_modify_tuple_by_cols(
                self.new,
                self.descriptor,
                numbers.len() as i32,
                numbers.as_mut_ptr(),
                values.as_mut_ptr(),
                nulls.as_mut_ptr(),
            )
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

fn expect(matches: bool, name: &CStr, column: Column, expected: &str) {
    if !matches {
        // SAFETY: format_type_be gives a palloc'd C string for any oid.
        let given = unsafe { CStr::from_ptr(pg_sys::format_type_be(column.oid)) }.to_string_lossy();
        let name = to_utf8(name.to_bytes());
        raise(SqlState::DatatypeMismatch, format!("column \"{name}\" is of type {given}: expected {expected}"), None);
    }
}
