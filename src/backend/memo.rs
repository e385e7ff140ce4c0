//! The memory of recent inputs: a STABLE function is evaluated once per row of a sequential scan, and the second call
//! with the same input must not run the model again.

use std::rc::Rc;

use clip_core::image::JpegDecoding;
use clip_core::{Embedding, Modality, Model};
use lru::LruCache;
use pgrx::pg_sys;
use sha2::{Digest, Sha256};

use crate::backend::reading::Reading;
use crate::pg::interrupts;

/// SHA-256 of role, model, precision, modality, the way to read images, language, and input: strangers choose the inputs, so the hash must not collide on purpose.
///
/// The role is part of it: a connection that a pool hands on must not tell its next user what the one before embedded.
pub type Key = [u8; 32];

/// What an entry takes beside the embedding's numbers.
const ENTRY: usize = 200;

/// Bytes that are hashed between two looks for interrupts, some milliseconds.
const PIECE: usize = 1 << 20;

/// Of an image that is longer than the limit, which is refused and never kept, the length alone.
#[allow(unsafe_code)]
pub fn key(model: &Model, modality: Modality, input: &[u8], reading: &Reading) -> Key {
    let options = &reading.images;
    let longest = if modality == Modality::Image { options.limits.max_bytes } else { usize::MAX };
    let mut hash = Sha256::new();
    hash.update([modality as u8, model.precision() as u8, options.truncated as u8, options.grey16 as u8]);
    hash.update([u8::from(options.jpeg != JpegDecoding::Full)]);
    // SAFETY: a plain call without arguments.
    hash.update(unsafe { pg_sys::GetUserId() }.to_u32().to_ne_bytes());
    hash.update(&model.installed().manifest.fingerprint);
    // Its length first, so that nothing of it can be taken for the input.
    let language = reading.language.as_deref().filter(|_| modality == Modality::Text).unwrap_or_default();
    hash.update(language.len().to_le_bytes());
    hash.update(language);
    if input.len() > longest {
        hash.update(input.len().to_le_bytes());
        hash.update(b"too long");
        return hash.finalize().into();
    }
    for piece in input.chunks(PIECE) {
        interrupts::stop();
        hash.update(piece);
    }
    hash.finalize().into()
}

/// Least recently used entries leave first.
pub struct Memo {
    entries: LruCache<Key, Rc<Embedding>>,
    capacity: usize,
    /// What the entries take, and may take: anybody may ask for many of them.
    bytes: usize,
    max_bytes: usize,
}

impl Memo {
    pub fn new() -> Self {
        Self { entries: LruCache::unbounded(), capacity: 0, bytes: 0, max_bytes: 0 }
    }

    /// Follows the settings, which may change between two calls.
    pub fn set_capacity(&mut self, capacity: usize, max_bytes: usize) {
        (self.capacity, self.max_bytes) = (capacity, max_bytes);
        self.shrink();
    }

    pub fn get(&mut self, key: &Key) -> Option<Rc<Embedding>> {
        self.entries.get(key).cloned()
    }

    pub fn put(&mut self, key: Key, embedding: Rc<Embedding>) {
        if self.capacity == 0 {
            return;
        }
        self.bytes += size(&embedding);
        if let Some(before) = self.entries.put(key, embedding) {
            self.bytes -= size(&before);
        }
        self.shrink();
    }

    fn shrink(&mut self) {
        while self.entries.len() > self.capacity || self.bytes > self.max_bytes {
            let Some((_, embedding)) = self.entries.pop_lru() else { return };
            self.bytes -= size(&embedding);
        }
    }
}

fn size(embedding: &Embedding) -> usize {
    ENTRY + size_of::<f32>() * embedding.len()
}
