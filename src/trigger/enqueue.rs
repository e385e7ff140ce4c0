//! The trigger of mode async that puts rows without a vector into `clip.queue`, after they were written.
//!
//! After a statement it reads them from the transition table `clip_new`; on partitioned tables, where rows may be written
//! to a partition directly, it runs after each row. Its arguments: embedding, text, image and modality column.
//!
//! It runs as SECURITY DEFINER: of the row's values it calls nothing but output functions and IS NULL.
#![allow(unsafe_code)]

use std::ffi::{CStr, CString};

use pgrx::spi::{self, Spi, quote_identifier};
use pgrx::{pg_guard, pg_sys};

use crate::datum::argument;
use crate::error::{SqlState, raise};
use crate::plan::{self, Way};
use crate::queue::{Columns, primary_key};
use crate::settings::{SettingsLevel, set};
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
        &mut *(*fcinfo).context.cast::<pg_sys::TriggerData>()
    };
    let event = data.tg_event;
    let operation = event & pg_sys::TRIGGER_EVENT_OPMASK;
    if event & pg_sys::TRIGGER_EVENT_TIMINGMASK != pg_sys::TRIGGER_EVENT_AFTER
        || ![pg_sys::TRIGGER_EVENT_INSERT, pg_sys::TRIGGER_EVENT_UPDATE].contains(&operation)
    {
        wrong("clip.enqueue_trigger must be fired AFTER INSERT OR UPDATE");
    }
    let mut source = Source::new(data);
    if operation == pg_sys::TRIGGER_EVENT_UPDATE && !source.is_updated() {
        return pg_sys::Datum::from(0);
    }
    let level = (!source.is_plain()).then(alike);
    let done = if event & pg_sys::TRIGGER_EVENT_ROW != 0 { source.enqueue_row() } else { source.enqueue_statement() };
    if let Some(level) = level {
        level.leave();
    }
    done.unwrap_or_else(|e| raise(SqlState::TriggerProtocol, e.to_string(), None));
    pg_sys::Datum::from(0)
}

/// Settings under which values are written so that every later session reads them alike.
fn alike() -> SettingsLevel {
    let level = SettingsLevel::enter();
    for (setting, value) in [
        (c"datestyle", c"ISO"),
        (c"intervalstyle", c"postgres"),
        (c"extra_float_digits", c"3"),
        (c"bytea_output", c"hex"),
    ] {
        set(setting, value);
    }
    level
}

fn wrong(message: &str) -> ! {
    raise(SqlState::TriggerProtocol, message, Some("Let clip_attach create the trigger."))
}

/// The trigger's table and columns, found to be there.
struct Source<'a> {
    data: &'a mut pg_sys::TriggerData,
    embedding: String,
    columns: Columns,
    key: Vec<i32>,
}

impl<'a> Source<'a> {
    fn new(data: &'a mut pg_sys::TriggerData) -> Self {
        // SAFETY: `tgargs` has `tgnargs` C strings.
        let arguments: Vec<String> = unsafe {
            let trigger = &*data.tg_trigger;
            (0..usize::try_from(trigger.tgnargs).unwrap_or(0))
                .map(|i| CStr::from_ptr(*trigger.tgargs.add(i)).to_string_lossy().into_owned())
                .collect()
        };
        let Ok([embedding, text, image, modality]) = <[String; 4]>::try_from(arguments) else {
            wrong("clip.enqueue_trigger expects 4 arguments")
        };
        let some = |name: String| (!name.is_empty()).then_some(name);
        let columns = Columns { text: some(text), image: some(image), modality: some(modality) };
        // SAFETY: the trigger's relation is open during the call.
        let Some(key) = (unsafe { primary_key(data.tg_relation) }) else {
            raise(
                SqlState::NotInPrerequisiteState,
                "the table has no primary key: mode async needs one",
                Some("Rows wait under their primary key. Add one, or call clip_set_mode with the mode sync."),
            )
        };
        let source = Self { data, embedding, columns, key };
        for name in source.names() {
            source.number(name);
        }
        source
    }

    fn names(&self) -> impl Iterator<Item = &String> {
        let Columns { text, image, modality } = &self.columns;
        std::iter::once(&self.embedding).chain([text, image, modality].into_iter().flatten())
    }

    fn descriptor(&self) -> pg_sys::TupleDesc {
        // SAFETY: the trigger's relation is open during the call.
        unsafe { (*self.data.tg_relation).rd_att }
    }

    fn number(&self, name: &str) -> i32 {
        let c_name = CString::new(name).unwrap_or_default();
        // SAFETY: SPI_fnumber compares names.
        let number = unsafe { pg_sys::SPI_fnumber(self.descriptor(), c_name.as_ptr()) };
        if number <= 0 {
            raise(
                SqlState::UndefinedColumn,
                format!("column \"{name}\" of the trigger's arguments does not exist"),
                Some("If it was renamed, call clip_detach and clip_attach."),
            );
        }
        number
    }

    /// Are the values that are written, those of the key and of the modality, written alike under all settings? Most are,
    /// and to change the settings takes a writer longer than anything else here but the statement.
    fn is_plain(&self) -> bool {
        use pg_sys::{BOOLOID, BPCHAROID, INT2OID, INT4OID, INT8OID, NAMEOID, OIDOID, TEXTOID, UUIDOID, VARCHAROID};
        const PLAIN: [pg_sys::Oid; 10] =
            [BOOLOID, BPCHAROID, INT2OID, INT4OID, INT8OID, NAMEOID, OIDOID, TEXTOID, UUIDOID, VARCHAROID];
        let modality = self.columns.modality.as_ref().map(|name| self.number(name));
        self.key.iter().copied().chain(modality).all(|number| {
            // SAFETY: columns of the descriptor; look-ups in PostgreSQL's caches.
            unsafe {
                let oid = pg_sys::SPI_gettypeid(self.descriptor(), number);
                PLAIN.contains(&oid) || pg_sys::get_typtype(oid) as u8 == pg_sys::TYPTYPE_ENUM
            }
        })
    }

    /// Does the UPDATE name one of the columns?
    fn is_updated(&self) -> bool {
        self.names().any(|name| {
            let member = self.number(name) - pg_sys::FirstLowInvalidHeapAttributeNumber;
            // SAFETY: the set is the trigger data's own, or NULL, which is the empty set.
            unsafe { pg_sys::bms_is_member(member, self.data.tg_updatedcols) }
        })
    }

    fn relation(&self) -> pg_sys::Oid {
        // SAFETY: the trigger's relation is open during the call.
        unsafe { (*self.data.tg_relation).rd_id }
    }

    fn enqueue_statement(&mut self) -> spi::Result<()> {
        if self.data.tg_newtable.is_null() {
            wrong("clip.enqueue_trigger for each statement needs REFERENCING NEW TABLE AS clip_new");
        }
        if !self.any_without_vector() {
            return Ok(());
        }
        let keys: Vec<String> =
            self.key.iter().map(|number| format!("pg_catalog.format('%s', n.{})", self.quoted(*number))).collect();
        let sql = format!(
            "INSERT INTO clip.queue (relation, embedding_column, key) SELECT $1, $2::pg_catalog.name, ARRAY[{}] \
             FROM clip_new n WHERE n.{} IS NULL AND {}",
            keys.join(", "),
            quote_identifier(&self.embedding),
            self.columns.present("n"),
        );
        let relation = self.relation();
        Spi::connect_mut(|client| {
            // SAFETY: the trigger data of the running call, under a connection that ends before it does.
            unsafe { pg_sys::SPI_register_trigger_data(self.data) };
            let arguments = [relation.into(), self.embedding.as_str().into()];
            plan::run(client, Way::InsertNewOf(relation), &sql, &arguments).map(|_| ())
        })
    }

    /// Most updates leave every row its vector, those of the workers among them: they are not worth a statement.
    fn any_without_vector(&self) -> bool {
        let number = self.number(&self.embedding);
        // SAFETY: the store holds minimal tuples of the relation's descriptor. A read pointer of our own leaves those of
        // others where they are; the default one is selected again.
        unsafe {
            let store = self.data.tg_newtable;
            let slot = pg_sys::MakeSingleTupleTableSlot(self.descriptor(), &raw const pg_sys::TTSOpsMinimalTuple);
            let pointer = pg_sys::tuplestore_alloc_read_pointer(store, pg_sys::EXEC_FLAG_REWIND as i32);
            pg_sys::tuplestore_select_read_pointer(store, pointer);
            pg_sys::tuplestore_rescan(store);
            let mut found = false;
            while !found && pg_sys::tuplestore_gettupleslot(store, true, false, slot) {
                pg_sys::slot_getsomeattrs_int(slot, number);
                found = *(*slot).tts_isnull.add(number as usize - 1);
            }
            pg_sys::tuplestore_select_read_pointer(store, 0);
            pg_sys::ExecDropSingleTupleTableSlot(slot);
            found
        }
    }

    fn enqueue_row(&self) -> spi::Result<()> {
        let tuple = match self.data.tg_event & pg_sys::TRIGGER_EVENT_OPMASK {
            pg_sys::TRIGGER_EVENT_UPDATE => self.data.tg_newtuple,
            _ => self.data.tg_trigtuple,
        };
        let value = |number: i32| {
            // SAFETY: the tuple is of the relation's descriptor; SPI_getvalue gives a palloc'd C string or NULL.
            let text = unsafe { pg_sys::SPI_getvalue(tuple, self.descriptor(), number) };
            // SAFETY: see above.
            (!text.is_null()).then(|| unsafe { CStr::from_ptr(text) })
        };
        let is_null = |name: &str| {
            let mut null = false;
            // SAFETY: the tuple is of the descriptor in which the number was found.
            unsafe { pg_sys::SPI_getbinval(tuple, self.descriptor(), self.number(name), &mut null) };
            null
        };
        let has = |column: &Option<String>| column.as_ref().is_some_and(|name| !is_null(name));
        let modality = self.columns.modality.as_ref().map(|name| value(self.number(name)).map(CStr::to_bytes));
        let present = match modality {
            None => has(&self.columns.image) || has(&self.columns.text),
            Some(None) => false,
            Some(Some(b"image")) => has(&self.columns.image),
            Some(Some(b"text")) => has(&self.columns.text),
            Some(Some(_)) => true,
        };
        if !present || !is_null(&self.embedding) {
            return Ok(());
        }
        let mut key: Vec<pg_sys::Datum> = Vec::new();
        for number in &self.key {
            let text = value(*number).unwrap_or_default();
            // SAFETY: copies a C string into a palloc'd text.
            key.push(pg_sys::Datum::from(unsafe { pg_sys::cstring_to_text(text.as_ptr()) }));
        }
        // SAFETY: an array of as many text datums as it says; text is a varlena aligned to integers.
        let key = unsafe {
            let array =
                pg_sys::construct_array(key.as_mut_ptr(), key.len() as i32, pg_sys::TEXTOID, -1, false, b'i' as i8);
            argument(pg_sys::Datum::from(array), pg_sys::TEXTARRAYOID)
        };
        let sql = "INSERT INTO clip.queue (relation, embedding_column, key) VALUES ($1, $2::pg_catalog.name, $3)";
        let arguments = [self.relation().into(), self.embedding.as_str().into(), key];
        Spi::connect_mut(|client| plan::run(client, Way::Insert, sql, &arguments).map(|_| ()))
    }

    fn quoted(&self, number: i32) -> String {
        // SAFETY: SPI_fname gives a palloc'd C string for a column of the descriptor.
        let name = unsafe { CStr::from_ptr(pg_sys::SPI_fname(self.descriptor(), number)) };
        quote_identifier(name.to_string_lossy())
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
