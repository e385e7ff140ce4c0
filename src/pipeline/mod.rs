//! One row from its source to its vector: read, embed, write, or a failure that somebody can look up. The queue and backfills
//! differ in how they come to rows and find them again ([`Locator`]), and in nothing else.
//!
//! What a vector is made of is [`Sources`](crate::attachment::Sources)'s to say. A vector is written beside the source alone that it
//! was made of, and a failure is kept of the source alone that failed: under a lock, the row is compared with what was read.

mod attachment;
mod attempt;
mod embed;
mod failure;
pub mod failures;
mod locator;
mod read;
pub mod retry_policy;
mod table;
mod watch;
mod write;

pub use attachment::{Attachment, place};
pub use attempt::{attempt, constraints_at_once, failure_of, hold_extension, is_cancel};
pub use embed::{Embed, Embedded, embed};
pub use failure::Failure;
pub use locator::{By, Located, Locator, Place, Version, locators};
pub use read::{Found, Item, Reader};
pub use table::{KeyColumn, key_columns, primary_key, string};
pub use watch::{Watch, gave_up, not_cancelled, pause};
pub use write::{Outcome, Writer, try_lock_table};

/// Bytes of the sources of a batch, but that one row is always taken.
pub const BATCH_BYTES: usize = 64 << 20;
