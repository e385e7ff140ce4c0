//! The motion of another picture at the same place (clause 8.5.3.2.8).

use crate::error::Result;
use crate::frame::Stored;
use crate::motion::{Vector, scaled};
use crate::parts::Block;
use crate::references::Prediction;
use crate::sps::Sps;

/// Of a block, what the collocated picture has as its vector to a picture of a list.
pub fn vector(sps: &Sps, prediction: &Prediction, block: &Block, list: usize, index: usize) -> Result<Option<Vector>> {
    let Some(frame) = prediction.collocated else { return Ok(None) };
    // Below on the right, if that is in the same row of coding tree blocks, or in the middle.
    let (x, y) = (block.x + block.width, block.y + block.height);
    if block.y >> sps.ctb_log2 == y >> sps.ctb_log2
        && x < sps.width
        && y < sps.height
        && let Some(vector) = of_stored(prediction, frame.poc(), &frame.motion(x, y), list, index)?
    {
        return Ok(Some(vector));
    }
    let stored = frame.motion(block.x + block.width / 2, block.y + block.height / 2);
    of_stored(prediction, frame.poc(), &stored, list, index)
}

fn of_stored(prediction: &Prediction, poc: i32, stored: &Stored, list: usize, index: usize) -> Result<Option<Vector>> {
    let from = match stored.pictures {
        [None, None] => return Ok(None),
        [Some(_), None] => 0,
        [None, Some(_)] => 1,
        _ if prediction.all_before => list & 1,
        _ => 1 - prediction.header.collocated.map_or(0, |(list, _)| list & 1),
    };
    let Some((picture, long)) = stored.pictures[from] else { return Ok(None) };
    let reference = prediction.reference(list, index)?;
    if long != reference.long {
        return Ok(None);
    }
    let (there, here) = (poc.wrapping_sub(picture), prediction.poc.wrapping_sub(reference.poc));
    let vector = stored.vectors[from];
    Ok(Some(if long || there == here { vector } else { scaled(vector, there, here) }))
}
