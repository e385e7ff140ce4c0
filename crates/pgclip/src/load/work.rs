//! From a file to a row.

use std::collections::HashMap;

use clip_core::image::{self, ReadOptions};

use super::facts::{self, facts};
use super::options::Options;
use super::shrink::shrink;
use super::sources::Candidate;
use super::table::{Present, Table};

/// What a row of pictures needs.
pub enum Work {
    /// Nothing: its size and time are as before.
    Unchanged,
    /// Its content is as before, the facts are not.
    Touched(Row),
    Send(Row),
}

/// A row to insert or change.
#[derive(Debug, Default)]
pub struct Row {
    /// For messages.
    pub file: String,
    /// The row that is there.
    pub id: Option<i64>,
    pub is_text: bool,
    /// `content_ref`: a path, or the text.
    pub reference: String,
    /// JSON.
    pub metadata: String,
    pub image: Option<Vec<u8>>,
    pub vector: Option<Vec<f32>>,
}

impl Row {
    /// About what it takes to send it.
    pub fn bytes(&self) -> usize {
        let vector = self.vector.as_ref().map_or(0, |vector| 4 * vector.len());
        self.image.as_ref().map_or(0, Vec::len) + self.reference.len() + self.metadata.len() + vector + 64
    }
}

/// Fails with the reason, for this file alone.
pub fn look(
    candidate: &Candidate,
    present: &HashMap<String, Present>,
    table: Option<&Table>,
    options: &Options,
) -> Result<Work, String> {
    let row = present.get(&candidate.reference);
    let modified = candidate.modified.and_then(facts::rfc3339);
    if let Some(row) = row
        && !options.checksum
        && row.size == Some(candidate.size)
        && row.modified.is_some()
        && row.modified == modified
    {
        return Ok(Work::Unchanged);
    }
    let reading = options.reading.options();
    let most = table.map_or(reading.limits.max_bytes, |table| table.max_image_bytes.max(reading.limits.max_bytes));
    // A larger one may be made smaller before it is sent.
    let bytes =
        candidate.read(if options.max_side.is_some() { usize::MAX } else { most }).map_err(|e| e.to_string())?;
    let sha256 = facts::sha256(&bytes);
    let is_same = row.is_some_and(|row| row.sha256.as_deref() == Some(sha256.as_str()));
    let facts = facts(&bytes, sha256, candidate.modified, options);
    let metadata = serde_json::to_string(&facts).map_err(|e| e.to_string())?;
    let mut made = Row {
        file: candidate.reference.clone(),
        id: row.map(|row| row.id),
        reference: candidate.reference.clone(),
        metadata,
        ..Row::default()
    };
    if is_same {
        return Ok(Work::Touched(made));
    }
    made.image = Some(picture(bytes, options.max_side, &reading)?);
    Ok(Work::Send(made))
}

/// What is sent of a file: a camera's own JPEG of a raw file, a smaller one of a large picture where that was asked for, else the file.
fn picture(bytes: Vec<u8>, max_side: Option<u32>, reading: &ReadOptions) -> Result<Vec<u8>, String> {
    let whole = clip_core::image::Limits { max_bytes: usize::MAX, ..reading.limits };
    let bytes = match image::preview(&bytes, &whole) {
        Ok(Some(jpeg)) => jpeg.to_vec(),
        // What the bytes are is for the server to say.
        Ok(None) | Err(_) => bytes,
    };
    match max_side {
        Some(most) => shrink(bytes, most, reading),
        None => Ok(bytes),
    }
}
