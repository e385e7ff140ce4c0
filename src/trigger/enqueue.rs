//! The trigger of mode async that puts rows without a vector into `clip.queue`, after they were written.
//!
//! It runs after each row: so it does on partitions, however rows come to them, and on a subscriber, whose apply worker fires no
//! trigger for a statement. Its arguments: embedding, text, image and modality column. Triggers of 0.1.0 run after a statement
//! and read the rows from its transition table.
//!
//! Of the row's values it calls nothing but output functions.
#![allow(unsafe_code)]

use std::cell::OnceCell;
use std::ffi::{CStr, CString};

use pgrx::{pg_guard, pg_sys};

use super::failed::Key;
use super::row::{self, Column, Row, Side, Timing, arguments, number_of};
use crate::attachment::{Sources, source_columns, wrong};
use crate::error::{SqlState, raise};
use crate::pg::settings::with_canonical_output;
use crate::pipeline::primary_key;
use crate::queue::Inserter;
use crate::wake;

#[unsafe(no_mangle)]
pub extern "C" fn pg_finfo_clip_enqueue_trigger() -> *const pg_sys::Pg_finfo_record {
    const VERSION_1: pg_sys::Pg_finfo_record = pg_sys::Pg_finfo_record { api_version: 1 };
    &VERSION_1
}

#[unsafe(no_mangle)]
#[pg_guard]
pub unsafe extern "C-unwind" fn clip_enqueue_trigger(fcinfo: pg_sys::FunctionCallInfo) -> pg_sys::Datum {
    // SAFETY: called_as_trigger checks the node type of `context`, which then is a TriggerData, valid during the call.
    let data = unsafe {
        if !pgrx::called_as_trigger(fcinfo) {
            wrong("clip.enqueue_trigger must be called as a trigger");
        }
        &*(*fcinfo).context.cast::<pg_sys::TriggerData>()
    };
    let event = data.tg_event;
    let operation = event & pg_sys::TRIGGER_EVENT_OPMASK;
    if event & pg_sys::TRIGGER_EVENT_TIMINGMASK != pg_sys::TRIGGER_EVENT_AFTER
        || ![pg_sys::TRIGGER_EVENT_INSERT, pg_sys::TRIGGER_EVENT_UPDATE].contains(&operation)
    {
        wrong("clip.enqueue_trigger must be fired AFTER INSERT OR UPDATE");
    }
    if event & pg_sys::TRIGGER_EVENT_ROW == 0 {
        Statement::new(data).enqueue();
        return pg_sys::Datum::from(0);
    }
    // SAFETY: the running call's own.
    let row = unsafe { Row::from_fcinfo(fcinfo, Timing::After) };
    row.kept(|| Columns::of(&row)).enqueue(&row);
    pg_sys::Datum::from(0)
}

/// A trigger's arguments, their columns found in its table.
struct Columns {
    embedding: Column,
    embedding_name: CString,
    sources: Sources<Column>,
    key: Key,
    is_plain: bool,
    /// Opened for the first row that waits, closed when the statement ends.
    queue: OnceCell<Inserter>,
}

impl Columns {
    fn of(row: &Row) -> Self {
        let (embedding_name, sources) = named(row.arguments());
        let (sources, key) = (row.columns(&sources), Key::of(row));
        if key.is_empty() {
            no_key();
        }
        let is_plain = key.is_plain() && sources.modality.as_ref().is_none_or(Column::is_plain);
        Self {
            embedding: row.any_column(&embedding_name),
            is_plain,
            embedding_name,
            sources,
            key,
            queue: OnceCell::new(),
        }
    }

    fn enqueue(&self, row: &Row) {
        let has_vector = !row.is_null(self.embedding, Side::New);
        let is_new = if row.is_update() { self.is_new(row) } else { !has_vector };
        if row.is_update() && row.is_null(self.embedding, Side::Old) && (has_vector || is_new) {
            self.key.forget_failure(row, Side::Old, &self.embedding_name);
        }
        // It may have the key of a row that failed, and is gone. Where it waits, that is found out when its turn comes.
        if has_vector && self.key.is_changed(row) {
            self.key.forget_failure(row, Side::New, &self.embedding_name);
        }
        if has_vector || !is_new {
            return;
        }
        with_canonical_output(!self.is_plain, || {
            // Somebody has to be told of a modality that nobody knows.
            let waits = row
                .source(&self.sources, Side::New)
                .map_or(true, |source| source.is_some_and(|(_, column)| !row.is_null(column, Side::New)));
            if !waits {
                return;
            }
            let key = self.key.text(row, Side::New).into_iter();
            if row.is_kept_by_executor() {
                self.queue.get_or_init(Inserter::open).insert(row.relation_oid(), &self.embedding_name, key);
            } else {
                Inserter::open().insert(row.relation_oid(), &self.embedding_name, key);
            }
            wake::wake_at_commit();
        });
    }

    /// Does an UPDATE make the row wait, or wait anew? Most leave alone what a vector is made of, and what the row waits under; who
    /// names such a column wants it embedded.
    fn is_new(&self, row: &Row) -> bool {
        let mut made_of = self.sources.columns().chain([&self.embedding]);
        !row.is_null(self.embedding, Side::Old)
            || made_of.any(|column| row.is_named(*column) || row.differs(*column))
            || self.key.is_changed(row)
    }
}

/// Puts one row into the queue under its new key.
pub fn enqueue(row: &Row, key: &Key, embedding: &CStr) {
    if key.is_empty() {
        return;
    }
    with_canonical_output(!key.is_plain(), || {
        Inserter::open().insert(row.relation_oid(), embedding, key.text(row, Side::New).into_iter());
    });
    wake::wake_at_commit();
}

/// Embedding column and sources that the arguments name.
fn named(arguments: Vec<CString>) -> (CString, Sources<CString>) {
    let Ok([embedding, text, image, modality]) = <[CString; 4]>::try_from(arguments) else {
        wrong("clip.enqueue_trigger expects 4 arguments")
    };
    (embedding, source_columns(text, image, modality))
}

fn no_key() -> ! {
    raise(
        SqlState::NotInPrerequisiteState,
        "the table has no primary key: mode async needs one",
        Some("Rows wait under their primary key. Add one, or call clip_set_mode with the mode sync."),
    )
}

/// The rows of a statement, for triggers of 0.1.0.
struct Statement<'a> {
    data: &'a pg_sys::TriggerData,
    embedding_name: CString,
    embedding: i32,
    sources: Sources<Written>,
    key: Vec<Written>,
    /// Opened for the first row that waits: most updates leave every row its vector, those of the workers among them.
    queue: OnceCell<Inserter>,
}

/// A column whose values are written as their type's output function writes them.
struct Written {
    number: i32,
    oid: pg_sys::Oid,
    output: pg_sys::Oid,
}

type Slot = *mut pg_sys::TupleTableSlot;

impl<'a> Statement<'a> {
    fn new(data: &'a pg_sys::TriggerData) -> Self {
        // SAFETY: trigger and relation are those of the running call.
        let (arguments, primary_key) = unsafe { (arguments(data.tg_trigger), primary_key(data.tg_relation)) };
        let (embedding_name, sources) = named(arguments);
        // SAFETY: the relation's descriptor, and columns that are found in it.
        let (number, written) = unsafe {
            let descriptor = (*data.tg_relation).rd_att;
            (move |name: &CString| number_of(descriptor, name), move |number| Written::new(descriptor, number))
        };
        Self {
            data,
            embedding: number(&embedding_name),
            embedding_name,
            sources: sources.map(|name| written(number(name)), |_, name| written(number(name))),
            key: primary_key.unwrap_or_else(|| no_key()).into_iter().map(written).collect(),
            queue: OnceCell::new(),
        }
    }

    /// Does the UPDATE name one of the columns?
    fn are_updated(&self) -> bool {
        let written = self.sources.columns().chain(&self.key).map(|column| column.number);
        written.chain([self.embedding]).any(|number| {
            let member = number - pg_sys::FirstLowInvalidHeapAttributeNumber;
            // SAFETY: the set is the trigger data's own, or NULL, which is the empty set.
            unsafe { pg_sys::bms_is_member(member, self.data.tg_updatedcols) }
        })
    }

    fn enqueue(self) {
        let is_update = self.data.tg_event & pg_sys::TRIGGER_EVENT_OPMASK == pg_sys::TRIGGER_EVENT_UPDATE;
        if is_update && !self.are_updated() {
            return;
        }
        let is_plain = self.key.iter().chain(&self.sources.modality).all(|column| row::is_plain(column.oid));
        with_canonical_output(!is_plain, || self.enqueue_rows());
        if let Some(queue) = self.queue.into_inner() {
            drop(queue);
            // SAFETY: a plain call; what was written is to be seen by what follows.
            unsafe { pg_sys::CommandCounterIncrement() };
            wake::wake_at_commit();
        }
    }

    fn enqueue_rows(&self) {
        let store = self.data.tg_newtable;
        if store.is_null() {
            wrong("clip.enqueue_trigger for each statement needs REFERENCING NEW TABLE AS clip_new");
        }
        // SAFETY: the store holds minimal tuples of the relation's descriptor. A read pointer of our own leaves those of
        // others where they are; the default one is selected again.
        unsafe {
            let descriptor = (*self.data.tg_relation).rd_att;
            let slot = pg_sys::MakeSingleTupleTableSlot(descriptor, &raw const pg_sys::TTSOpsMinimalTuple);
            let pointer = pg_sys::tuplestore_alloc_read_pointer(store, pg_sys::EXEC_FLAG_REWIND as i32);
            pg_sys::tuplestore_select_read_pointer(store, pointer);
            pg_sys::tuplestore_rescan(store);
            while pg_sys::tuplestore_gettupleslot(store, true, false, slot) {
                pgrx::check_for_interrupts!();
                self.enqueue_row(slot);
            }
            pg_sys::tuplestore_select_read_pointer(store, 0);
            pg_sys::ExecDropSingleTupleTableSlot(slot);
        }
    }

    /// Enqueues a row if it waits for its vector.
    fn enqueue_row(&self, slot: Slot) {
        if self.waits(slot) {
            // SAFETY: the trigger's relation is open during the call.
            let relation = unsafe { (*self.data.tg_relation).rd_id };
            let key = self.key.iter().map(|column| column.text(slot));
            self.queue.get_or_init(Inserter::open).insert(relation, &self.embedding_name, key);
        }
    }

    /// No vector, and a source to make one of, or a modality that nobody knows, which somebody has to be told of?
    fn waits(&self, slot: Slot) -> bool {
        if value(slot, self.embedding).is_some() {
            return false;
        }
        let has = |column: &Written| value(slot, column.number).is_some();
        let modality = |column: &Written| Some(column.text(slot)?.to_string_lossy().into_owned());
        let source = self.sources.of(modality, has).map(|found| found.map(|(_, column)| has(column)));
        source.map_or(true, |found| found.unwrap_or_default())
    }
}

impl Written {
    /// # Safety
    ///
    /// A column of the descriptor.
    unsafe fn new(descriptor: pg_sys::TupleDesc, number: i32) -> Self {
        let (mut output, mut varlena) = (pg_sys::InvalidOid, false);
        // SAFETY: the caller's promise; look-ups in PostgreSQL's caches.
        unsafe {
            let oid = pg_sys::SPI_gettypeid(descriptor, number);
            pg_sys::getTypeOutputInfo(oid, &mut output, &mut varlena);
            Self { number, oid, output }
        }
    }

    fn text<'a>(&self, slot: Slot) -> Option<&'a CStr> {
        // SAFETY: the output function is that of the column's type and gives a palloc'd C string.
        value(slot, self.number)
            .map(|value| unsafe { CStr::from_ptr(pg_sys::OidOutputFunctionCall(self.output, value)) })
    }
}

/// The value of a column, as long as the slot has its row.
fn value(slot: Slot, number: i32) -> Option<pg_sys::Datum> {
    // SAFETY: a slot of the trigger's relation, in whose descriptor the column was found.
    unsafe {
        if i32::from((*slot).tts_nvalid) < number {
            pg_sys::slot_getsomeattrs_int(slot, number);
        }
        let column = number as usize - 1;
        (!*(*slot).tts_isnull.add(column)).then(|| *(*slot).tts_values.add(column))
    }
}
