//! The triggers of an embedded column.
//!
//! `clip_embed_trigger` fires before a row is written. In mode sync it embeds the row; in mode async it takes away the vector of
//! a row whose source changes, and `clip.enqueue_trigger` does the rest (`enqueue.rs`). All that they have to know is in their
//! arguments ([`TriggerSpec`]), so that they read no table.

mod context;
mod enqueue;
mod failed;
mod forget;
mod incomplete;
mod row;
mod stored;
mod upsert;

use std::rc::Rc;

use clip_core::{Embedding, Modality};
use pgrx::{pg_guard, pg_sys};

use crate::attachment::registry;
use crate::attachment::{self, Images, Source, Sources, TriggerSpec};
use crate::backend::session;
use crate::error::{SqlState, raise};
use crate::pg::datum::{Vector, VectorType, to_utf8};
use failed::Key;
use row::{Change, Column, Row, Side, Timing};
use upsert::Proposed;

#[allow(unsafe_code)]
#[unsafe(no_mangle)]
pub extern "C" fn pg_finfo_clip_embed_trigger() -> *const pg_sys::Pg_finfo_record {
    const VERSION_1: pg_sys::Pg_finfo_record = pg_sys::Pg_finfo_record { api_version: 1 };
    &VERSION_1
}

#[allow(unsafe_code)]
#[unsafe(no_mangle)]
#[pg_guard]
pub unsafe extern "C-unwind" fn clip_embed_trigger(fcinfo: pg_sys::FunctionCallInfo) -> pg_sys::Datum {
    // SAFETY: PostgreSQL calls a trigger function with its own fcinfo; `Row` checks that it is a trigger's.
    let row = unsafe { Row::from_fcinfo(fcinfo, Timing::Before) };
    let columns = row.kept(|| Columns::of(&row));
    pg_sys::Datum::from(if row.is_update() { columns.update(&row) } else { columns.insert(&row) })
}

/// A trigger's arguments, their columns found in its table.
struct Columns {
    embedding: Column,
    vectors: VectorType,
    sources: Sources<Column>,
    spec: TriggerSpec,
    key: Key,
    proposed: Proposed,
}

impl Columns {
    fn of(row: &Row) -> Self {
        let spec = TriggerSpec::parse(row.arguments());
        let (embedding, vectors) = row.vector_column(&spec.embedding);
        Self {
            embedding,
            vectors,
            sources: row.columns(&spec.sources),
            spec,
            key: Key::of(row),
            proposed: Proposed::default(),
        }
    }

    fn clears(&self, modality: Modality) -> bool {
        modality == Modality::Image && self.spec.images != Images::Keep
    }

    fn insert(&self, row: &Row) -> pg_sys::HeapTuple {
        self.proposed.forget();
        let Some((modality, column)) = self.source(row) else { return row.with(&[]) };
        // A vector may come with the row, from a dump say. Without a source it stays; in mode async always.
        if row.is_null(column, Side::New) || self.spec.is_async {
            return row.with(&[]);
        }
        let embedding = self.embed(row, modality, column, Side::New);
        incomplete::record_new(row, &self.key, &self.spec.embedding, &embedding);
        let written = row.with(&self.changes(modality, column, &embedding));
        if self.clears(modality) {
            self.proposed.remember(row, written, embedding);
        }
        written
    }

    fn update(&self, row: &Row) -> pg_sys::HeapTuple {
        let source = self.source(row);
        // A modality that nobody knows says nothing.
        let was = row.source(&self.sources, Side::Old).unwrap_or_default();
        let (old, new) = (row.state(was, Side::Old), row.state(source, Side::New));
        let has_vector = !row.is_null(self.embedding, Side::New);
        let change = attachment::Change {
            old,
            new,
            is_same: old == new && source.is_some_and(|(_, column)| !row.differs(column)),
            clears_images: self.clears(Modality::Image),
            has_vector,
            is_brought: has_vector && row.differs(self.embedding),
        };
        let (mut changes, mut made) = (Vec::new(), None);
        match (source, change.vector()) {
            (Some((modality, column)), _) if let Some(embedding) = self.proposed_image(row, modality, column) => {
                changes = self.changes(modality, column, &embedding);
                made = Some(embedding);
            }
            (_, attachment::Vector::Remove) => changes.push(Change::null(self.embedding)),
            (Some(_), attachment::Vector::Make) if self.spec.is_async => {
                // The worker embeds, and clears the image then.
                if has_vector && !change.is_brought {
                    changes.push(Change::null(self.embedding));
                }
            }
            (Some(_), attachment::Vector::Make)
                if change.is_same && !self.sources.columns().any(|c| row.is_named(*c)) =>
            {
                // It waits for a backfill, or in the queue of a mode it had before; who writes another column is not to be told.
                if self.key.is_changed(row) {
                    enqueue::enqueue(row, &self.key, &self.spec.embedding);
                }
            }
            (Some((modality, column)), attachment::Vector::Make) => {
                let embedding = self.embed(row, modality, column, Side::New);
                changes = self.changes(modality, column, &embedding);
                made = Some(embedding);
            }
            (Some((modality, column)), attachment::Vector::Keep) => {
                let is_image = modality == Modality::Image;
                if is_image
                    && new == Source::Present(modality)
                    && self.spec.images == Images::Clear
                    && !self.spec.is_async
                {
                    changes.push(Change::null(column));
                } else if is_image && self.is_last_chance(old, new, has_vector) {
                    let embedding = self.embed(row, modality, column, Side::Old);
                    changes.push(self.set(&embedding));
                    made = Some(embedding);
                }
            }
            (None, _) => {}
        }
        if !self.spec.is_async
            && row.is_null(self.embedding, Side::Old)
            && (has_vector || !change.is_same || !changes.is_empty() || self.key.is_changed(row))
        {
            self.key.forget_failure(row, Side::Old, &self.spec.embedding);
        }
        if !self.spec.is_async && self.key.is_changed(row) {
            self.key.forget_failure(row, Side::New, &self.spec.embedding);
        }
        // Of a vector that the row had, of an image that was not all there.
        let is_other = change.is_brought || changes.iter().any(|change| change.is_of(self.embedding));
        if !row.is_null(self.embedding, Side::Old) && (is_other || !has_vector || self.key.is_changed(row)) {
            self.key.forget_failure(row, Side::Old, &self.spec.embedding);
        }
        if let Some(embedding) = made {
            incomplete::record(row, &self.key, &self.spec.embedding, &embedding);
        }
        row.with(&changes)
    }

    /// Of an upsert. What it sets the image to is NULL, or what the row has: `EXCLUDED.image`, or `coalesce` of that.
    fn proposed_image(&self, row: &Row, modality: Modality, column: Column) -> Option<Rc<Embedding>> {
        let means_it =
            self.clears(modality) && row.is_named(column) && (row.is_null(column, Side::New) || !row.differs(column));
        means_it.then(|| self.proposed.of_conflict_with(row))?
    }

    /// Do the image's bytes leave with this statement, which is the last chance to embed them?
    fn is_last_chance(&self, old: Source, new: Source, has_vector: bool) -> bool {
        let leaves = old == Source::Present(Modality::Image) && new == Source::Absent(Modality::Image);
        leaves && self.spec.images == Images::ClearedNext && !has_vector
    }

    /// What the row's vector is to be made of. A modality that nobody knows is an error of the statement; in mode async, where
    /// no writer is to fail for want of a vector, it is one of the row, which the queue finds.
    fn source(&self, row: &Row) -> Option<(Modality, Column)> {
        match row.source(&self.sources, Side::New) {
            Ok(source) => source,
            Err(_) if self.spec.is_async => None,
            Err(unknown) => raise(SqlState::DataException, unknown.message(), None),
        }
    }

    fn changes(&self, modality: Modality, column: Column, embedding: &Rc<Embedding>) -> Vec<Change> {
        let mut changes = vec![self.set(embedding)];
        if modality == Modality::Image && self.spec.images == Images::Clear {
            changes.push(Change::null(column));
        }
        changes
    }

    fn set(&self, embedding: &Rc<Embedding>) -> Change {
        Change::to(self.embedding, Vector(embedding.clone()).into_datum_of(self.vectors))
    }

    fn embed(&self, row: &Row, modality: Modality, column: Column, side: Side) -> Rc<Embedding> {
        let model = registry::checked(&self.spec.model, &self.spec.fingerprint);
        let bytes = row.bytes(column, side);
        let embedded = match modality {
            Modality::Image => session::embed_row(&model, modality, bytes),
            Modality::Text => session::embed_row(&model, modality, to_utf8(bytes).as_bytes()),
        };
        let embedding = embedded.unwrap_or_else(|e| context::raise(row, &self.key, &self.sources, column, e));
        row.check_dimensions(self.embedding, self.vectors, embedding.len());
        context::warn(row, &self.key, &self.sources, column, &embedding);
        embedding
    }
}
