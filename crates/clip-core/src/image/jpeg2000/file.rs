//! The boxes around a codestream, as far as they say what decoding takes.

use super::u16_be;
use crate::image::reader::{array, slice, u8_at, u32_be};

/// Bits of a palette's colour.
const DEEPEST: u8 = 16;

/// What of a file counts.
pub struct File<'a> {
    /// The file up to the end of its first codestream: the library would take another one, if there is.
    pub bytes: &'a [u8],
    pub stream: &'a [u8],
    /// Components that a palette makes of others.
    pub mapped: Option<usize>,
    /// Components are put in order, for which they are copied.
    pub is_sorted: bool,
}

impl<'a> File<'a> {
    /// There are no boxes.
    pub fn is_bare(&self) -> bool {
        self.bytes.starts_with(b"\xff\x4f")
    }

    /// `None` where no codestream is found, or a palette that nobody makes.
    pub fn read(bytes: &'a [u8]) -> Option<Self> {
        let mut file = File { bytes, stream: bytes, mapped: None, is_sorted: false };
        if bytes.starts_with(b"\xff\x4f") {
            return Some(file);
        }
        let mut rest = bytes;
        loop {
            let (kind, body, after) = first(rest)?;
            match &kind {
                b"jp2h" => (file.mapped, file.is_sorted) = header(body)?,
                b"jp2c" => {
                    file.stream = body;
                    file.bytes = slice(bytes, 0, bytes.len() - after.len())?;
                    return Some(file);
                }
                _ => {}
            }
            rest = after;
        }
    }
}

fn header(mut boxes: &[u8]) -> Option<(Option<usize>, bool)> {
    let (mut columns, mut entries, mut is_sorted) = (None, None, false);
    while !boxes.is_empty() {
        let (kind, body, after) = first(boxes)?;
        match &kind {
            b"pclr" => {
                let count = usize::from(u8_at(body, 2)?);
                let depths = slice(body, 3, count)?;
                if u16_be(body, 0)? > 1024 || depths.iter().any(|depth| (depth & 0x7f) + 1 > DEEPEST) {
                    return None;
                }
                columns = Some(count);
            }
            b"cmap" => entries = Some(body.len() / 4),
            b"cdef" => is_sorted = true,
            _ => {}
        }
        boxes = after;
    }
    Some((columns.map(|columns| entries.unwrap_or(columns)), is_sorted))
}

/// Kind and body of the first box, and what follows it. One that ends before it should has what is there.
fn first(boxes: &[u8]) -> Option<([u8; 4], &[u8], &[u8])> {
    let (size, kind) = (u32_be(boxes, 0)? as usize, array::<4>(boxes, 4)?);
    let (head, size) = match size {
        0 => (8, boxes.len()),
        // Its length has 64 bits.
        1 => (16, usize::try_from(u64::from_be_bytes(array(boxes, 8)?)).ok()?),
        size => (8, size),
    };
    let end = size.min(boxes.len());
    Some((kind, boxes.get(head..end)?, boxes.get(end..)?))
}
