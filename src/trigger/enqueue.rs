//! The trigger of mode async that puts rows without a vector into `clip.queue`, after they were written.
//!
//! After a statement it reads them from its transition table; on partitioned tables, where rows may be written to a
//! partition directly, it runs after each row. Its arguments: embedding, text, image and modality column.
//!
//! Of the row's values it calls nothing but output functions.
#![allow(unsafe_code)]

use std::cell::OnceCell;
use std::ffi::{CStr, CString};

use pgrx::{pg_guard, pg_sys};

use super::row::{arguments, number_of};
use crate::error::{SqlState, raise};
use crate::pipeline::primary_key;
use crate::queue::Inserter;
use crate::settings::{SettingsLevel, set_canonical_output};
use crate::worker;

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
    let rows = Rows::new(data);
    if operation == pg_sys::TRIGGER_EVENT_UPDATE && !rows.are_updated() {
        return pg_sys::Datum::from(0);
    }
    let level = (!rows.are_plain()).then(alike);
    match event & pg_sys::TRIGGER_EVENT_ROW {
        0 => rows.enqueue_statement(),
        _ if operation == pg_sys::TRIGGER_EVENT_UPDATE => rows.enqueue(data.tg_newslot),
        _ => rows.enqueue(data.tg_trigslot),
    }
    if let Some(level) = level {
        level.leave();
    }
    rows.close();
    pg_sys::Datum::from(0)
}

fn alike() -> SettingsLevel {
    let level = SettingsLevel::enter();
    set_canonical_output();
    level
}

fn wrong(message: &str) -> ! {
    raise(SqlState::TriggerProtocol, message, Some("Let clip_attach create the trigger."))
}

/// Rows of the trigger's table, whose columns were found to be there.
struct Rows<'a> {
    data: &'a pg_sys::TriggerData,
    embedding_name: CString,
    embedding: i32,
    text: Option<i32>,
    image: Option<i32>,
    modality: Option<Written>,
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

impl<'a> Rows<'a> {
    fn new(data: &'a pg_sys::TriggerData) -> Self {
        // SAFETY: trigger and relation are those of the running call.
        let (arguments, key) = unsafe { (arguments(data.tg_trigger), primary_key(data.tg_relation)) };
        let Ok([embedding, text, image, modality]) = <[CString; 4]>::try_from(arguments) else {
            wrong("clip.enqueue_trigger expects 4 arguments")
        };
        let Some(key) = key else {
            raise(
                SqlState::NotInPrerequisiteState,
                "the table has no primary key: mode async needs one",
                Some("Rows wait under their primary key. Add one, or call clip_set_mode with the mode sync."),
            )
        };
        // SAFETY: the relation's descriptor, and a column that is found in it.
        let (number, written) = unsafe {
            let descriptor = (*data.tg_relation).rd_att;
            (move |name: &CStr| number_of(descriptor, name), move |number| Written::new(descriptor, number))
        };
        let some = |name: CString| (!name.is_empty()).then(|| number(&name));
        Self {
            data,
            embedding: number(&embedding),
            embedding_name: embedding,
            text: some(text),
            image: some(image),
            modality: some(modality).map(written),
            key: key.into_iter().map(written).collect(),
            queue: OnceCell::new(),
        }
    }

    /// Does the UPDATE name one of the columns?
    fn are_updated(&self) -> bool {
        let modality = self.modality.as_ref().map(|column| column.number);
        [Some(self.embedding), self.text, self.image, modality].into_iter().flatten().any(|number| {
            let member = number - pg_sys::FirstLowInvalidHeapAttributeNumber;
            // SAFETY: the set is the trigger data's own, or NULL, which is the empty set.
            unsafe { pg_sys::bms_is_member(member, self.data.tg_updatedcols) }
        })
    }

    /// Are the values that are written, those of the key and of the modality, written alike under all settings? Most are,
    /// and to change the settings takes a writer longer than to enqueue a row.
    fn are_plain(&self) -> bool {
        self.key.iter().chain(&self.modality).all(Written::is_plain)
    }

    fn enqueue_statement(&self) {
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
                self.enqueue(slot);
            }
            pg_sys::tuplestore_select_read_pointer(store, 0);
            pg_sys::ExecDropSingleTupleTableSlot(slot);
        }
    }

    /// Enqueues a row if it waits for its vector.
    fn enqueue(&self, slot: Slot) {
        if self.waits(slot) {
            // SAFETY: the trigger's relation is open during the call.
            let relation = unsafe { (*self.data.tg_relation).rd_id };
            let key = self.key.iter().map(|column| column.text(slot));
            self.queue.get_or_init(Inserter::open).insert(relation, &self.embedding_name, key);
        }
    }

    /// No vector, and a source to make one of, or a modality that nobody knows, which somebody has to be told of?
    fn waits(&self, slot: Slot) -> bool {
        let has = |column: Option<i32>| column.is_some_and(|number| value(slot, number).is_some());
        if has(Some(self.embedding)) {
            return false;
        }
        let Some(column) = &self.modality else { return has(self.image) || has(self.text) };
        let Some(modality) = column.text(slot) else { return false };
        let waits = match modality.to_bytes() {
            b"image" => has(self.image),
            b"text" => has(self.text),
            _ => true,
        };
        // SAFETY: made by an output function for this call; a statement may have written many rows.
        unsafe { pg_sys::pfree(modality.as_ptr().cast_mut().cast()) };
        waits
    }

    fn close(self) {
        if let Some(queue) = self.queue.into_inner() {
            queue.close();
        }
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

    fn is_plain(&self) -> bool {
        use pg_sys::{BOOLOID, BPCHAROID, INT2OID, INT4OID, INT8OID, NAMEOID, OIDOID, TEXTOID, UUIDOID, VARCHAROID};
        const PLAIN: [pg_sys::Oid; 10] =
            [BOOLOID, BPCHAROID, INT2OID, INT4OID, INT8OID, NAMEOID, OIDOID, TEXTOID, UUIDOID, VARCHAROID];
        // SAFETY: a look-up in PostgreSQL's caches.
        PLAIN.contains(&self.oid) || unsafe { pg_sys::get_typtype(self.oid) } as u8 == pg_sys::TYPTYPE_ENUM
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

#[unsafe(no_mangle)]
pub extern "C" fn pg_finfo_clip_wake_trigger() -> *const pg_sys::Pg_finfo_record {
    const VERSION_1: pg_sys::Pg_finfo_record = pg_sys::Pg_finfo_record { api_version: 1 };
    &VERSION_1
}

/// On `clip.queue` itself, so that jobs that a restore brings wake the workers too.
#[unsafe(no_mangle)]
#[pg_guard]
pub unsafe extern "C-unwind" fn clip_wake_trigger(_fcinfo: pg_sys::FunctionCallInfo) -> pg_sys::Datum {
    worker::wake_at_commit();
    pg_sys::Datum::from(0)
}
