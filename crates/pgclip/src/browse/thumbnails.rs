//! Thumbnails: of files below the root, kept for a while, and of images in the table.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use axum::body::Bytes;
use clip_core::{Error, ErrorKind, Result};
use lru::LruCache;
use tokio::sync::Semaphore;

use super::pool::blocking;
use super::server::Shared;
use crate::pictures::{MAX_BYTES, QUALITY, Root, jpeg, thumbnail};
use crate::search::row::Row;

const EDGE: u32 = 384;
/// Bytes of JPEGs that are kept.
const KEPT: usize = 64 << 20;
/// Pictures that are decoded at a time: each may take a gigabyte for that.
const AT_WORK: usize = 2;

/// A file as it was: one that was written since is another.
type Version = (PathBuf, Option<SystemTime>, u64);

/// Where a picture is.
pub enum Source {
    /// Below the root, by the name that a row has.
    File(String),
    /// In the row of this key.
    Row(String),
}

/// Makes them, a few at a time.
pub struct Thumbnails {
    root: Option<Root>,
    kept: Mutex<Kept>,
    places: Arc<Semaphore>,
}

struct Kept {
    jpegs: LruCache<Version, Bytes>,
    bytes: usize,
}

impl Thumbnails {
    pub fn new(root: Option<Root>) -> Self {
        Self {
            root,
            kept: Mutex::new(Kept { jpegs: LruCache::unbounded(), bytes: 0 }),
            places: Arc::new(Semaphore::new(AT_WORK)),
        }
    }

    /// The JPEG of a picture. `shared` is what this is a part of.
    pub async fn get(&self, shared: &Arc<Shared>, source: Source) -> Result<Bytes> {
        let shared = Arc::clone(shared);
        let make = move || match source {
            Source::File(name) => shared.thumbnails.of_file(&name),
            Source::Row(key) => of_row(&shared, &key),
        };
        blocking(&self.places, make).await
    }

    fn of_file(&self, name: &str) -> Result<Bytes> {
        let root = self.root.as_ref().ok_or_else(|| Error::new(ErrorKind::MissingFile, "there is no root"))?;
        let found = root.find(name)?;
        let version = (found.path.clone(), found.metadata.modified().ok(), found.metadata.len());
        if let Some(jpeg) = self.lock().jpegs.get(&version) {
            return Ok(jpeg.clone());
        }
        let made = Bytes::from(jpeg(&thumbnail(&found.read(MAX_BYTES)?, EDGE)?, QUALITY)?);
        self.lock().keep(version, made.clone());
        Ok(made)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Not kept: the row may have another image by the next time.
fn of_row(shared: &Shared, key: &str) -> Result<Bytes> {
    let row = Row { table: &shared.table, column: shared.column.as_deref(), key };
    let image = shared.pool.with(|client, _| row.image(client, MAX_BYTES))?;
    let image = image.ok_or_else(|| Error::new(ErrorKind::MissingFile, "the row keeps no image"))?;
    Ok(Bytes::from(jpeg(&thumbnail(&image, EDGE)?, QUALITY)?))
}

impl Kept {
    fn keep(&mut self, version: Version, jpeg: Bytes) {
        self.bytes += jpeg.len();
        if let Some((_, before)) = self.jpegs.push(version, jpeg) {
            self.bytes -= before.len();
        }
        while self.bytes > KEPT {
            let Some((_, oldest)) = self.jpegs.pop_lru() else { break };
            self.bytes -= oldest.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_has_a_bound() {
        let mut kept = Kept { jpegs: LruCache::unbounded(), bytes: 0 };
        let version = |i: u64| (PathBuf::from("a"), None, i);
        for i in 0..100 {
            kept.keep(version(i), Bytes::from(vec![0; 1 << 20]));
        }
        kept.keep(version(99), Bytes::from(vec![0; 1 << 19]));
        assert_eq!(kept.bytes, kept.jpegs.iter().map(|(_, jpeg)| jpeg.len()).sum::<usize>());
        assert!(kept.bytes <= KEPT && kept.bytes > KEPT - (1 << 20));
        assert!(kept.jpegs.get(&version(0)).is_none() && kept.jpegs.get(&version(98)).is_some());
    }
}
