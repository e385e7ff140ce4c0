//! Entries among the failures of rows that have their vectors, though their images are not all there.
#![allow(unsafe_code)]

use std::ffi::CStr;

use clip_core::Embedding;
use pgrx::pg_sys;
use pgrx::spi::{self, Spi, SpiClient};

use super::failed::Key;
use super::row::{Row, Side};
use crate::backend::remarks;
use crate::error::{SqlState, raise};
use crate::pg::datum::{VarlenaCopy, from_server, text_array};
use crate::pg::plan;
use crate::pg::settings::{set_canonical_output, with_canonical_output};
use crate::pg::users::{as_owner, as_superuser};
use crate::pipeline::failures::{self, State};
use crate::pipeline::{Attachment, By, Failure, Located, Locator, locators};
use crate::upgrade;

/// Of a row that an UPDATE gives such a vector.
pub fn record(row: &Row, key: &Key, column: &CStr, embedding: &Embedding) {
    write(row, key, column, embedding, false);
}

/// Of a row that is inserted, if it will be: with ON CONFLICT one that is there already may stay as it is, and an UPDATE of it has
/// its own say.
pub fn record_new(row: &Row, key: &Key, column: &CStr, embedding: &Embedding) {
    write(row, key, column, embedding, true);
}

fn write(row: &Row, key: &Key, column: &CStr, embedding: &Embedding, is_new: bool) {
    let Some(message) = remarks::incomplete(embedding) else { return };
    // Without a key nobody could find the row again. A schema of another version has no place for the entry.
    if key.is_empty() || key.text(row, Side::New).contains(&None) || !upgrade::schema_is_ours() {
        return;
    }
    let (relation, column) = (row.relation_oid(), from_server(column));
    let key = with_canonical_output(!key.is_plain(), || text_array(key.text(row, Side::New).into_iter()));
    let done = as_superuser(|| {
        Spi::connect_mut(|client| {
            if is_new && is_there(client, relation, &column, key)? {
                return Ok(());
            }
            failures::record(client, relation, &column, Some(key), None, &Failure::incomplete(message), State::Embedded)
        })
    });
    done.unwrap_or_else(|e: spi::Error| raise(SqlState::UndefinedObject, e.to_string(), None));
}

/// A row that is known by its key.
struct Keyed(Locator);

impl Located for Keyed {
    fn locator(&self) -> &Locator {
        &self.0
    }
}

/// Has the table a row of this key?
fn is_there(client: &mut SpiClient<'_>, relation: pg_sys::Oid, column: &str, key: pg_sys::Datum) -> spi::Result<bool> {
    let Some(table) = Attachment::find(client, relation, column)? else { return Ok(false) };
    let sql = format!(
        "SELECT FROM {} t, {} WHERE {}",
        table.rows(),
        table.located(By::Key, "pg_catalog.generate_series(1, $2)"),
        table.is_located(By::Key),
    );
    // SAFETY: a `text[]`.
    let key = Keyed(Locator::Key(unsafe { VarlenaCopy::of(key) }));
    as_owner(table.owner, || {
        set_canonical_output();
        Ok(plan::run(client, &sql, &[locators(By::Key, [&key]), 1.into()])?.count() > 0)
    })
}
