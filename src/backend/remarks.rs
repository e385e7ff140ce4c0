//! What has to be told of an image beside its vector.

use std::cell::Cell;

use clip_core::Embedding;
use pgrx::PgLogLevel;

use crate::error::{SqlState, tell};

/// Of a vector whose image is not all there: what a warning says, and an entry among the failures.
pub fn incomplete(embedding: &Embedding) -> Option<String> {
    let format = embedding.remarks.incomplete?;
    Some(format!("truncated or damaged {} image, embedded as far as it can be decoded", format.name()))
}

const HINT: &str = "Set clip.truncated_images to \"error\" to refuse such images.";

pub fn warn(message: String) {
    tell(PgLogLevel::WARNING, SqlState::Warning, message, HINT);
}

/// Where the image is not all there.
pub fn warn_of(embedding: &Embedding) {
    incomplete(embedding).into_iter().for_each(warn);
}

/// Of rows that have their entries among the failures.
pub fn warn_of_rows(table: &str, count: usize) {
    if count > 0 {
        let message = format!("{count} rows of relation {table} were embedded from truncated or damaged images");
        tell(PgLogLevel::WARNING, SqlState::Warning, message, "The view clip_failures tells which.");
    }
}

/// Once a session.
pub fn tell_of_clipping<'a>(embeddings: impl IntoIterator<Item = &'a Embedding>) {
    thread_local! {
        static TOLD: Cell<bool> = const { Cell::new(false) };
    }
    if !TOLD.get() && embeddings.into_iter().any(|embedding| embedding.remarks.clipped) {
        TOLD.set(true);
        tell(
            PgLogLevel::NOTICE,
            SqlState::Success,
            "grey levels of an image were cut to 0 to 255, as in Pillow: most of it may be white".to_owned(),
            "Set clip.gray16 to \"scale\" to bring all of its levels into that range.",
        );
    }
}
