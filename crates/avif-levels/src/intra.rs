//! Pictures of one frame that is predicted from no other: nearly all that there are.

use av1_intra::Frame;
use oxideav_av1::frame_header::{FrameHeader, parse_frame_header};
use oxideav_av1::sequence_header::{SequenceHeader, parse_sequence_header};

use crate::Env;
use crate::error::{Error, Result};
use crate::header::{self, Header};
use crate::planes::{Plane, Planes};
use crate::tile::Tile;
use crate::units::{Steps, kind};

/// A picture's headers, and the bytes of its tiles.
struct Still<'t> {
    sequence: SequenceHeader,
    frame: FrameHeader,
    groups: Vec<&'t [u8]>,
}

/// Reads one and hands it on, as it borrows the units that it is read from. `None` where the picture is of another kind, or damaged.
fn with_still<T>(tile: &Tile<'_>, then: impl FnOnce(&Still<'_>, &Frame<'_>) -> Result<T>) -> Result<Option<T>> {
    let mut sequence = None;
    for step in Steps::new(&tile.data) {
        let Ok(step) = step else { return Ok(None) };
        if step.first.kind == kind::SEQUENCE_HEADER {
            sequence = Some(parse_sequence_header(step.first.payload).map_err(header::fault)?);
            continue;
        }
        let Some(sequence) = sequence else { return Ok(None) };
        let point = sequence.operating_points.get(usize::from(tile.operating_point));
        if tile.layer.is_some() || point.is_none_or(|point| point.operating_point_idc != 0) {
            return Ok(None);
        }
        let Ok(frame) = parse_frame_header(step.first.payload, &sequence) else { return Ok(None) };
        let groups = step.groups(frame.bits_consumed)?;
        let size = frame.frame_size.map(|size| (size.frame_width, size.frame_height));
        let still = Still { sequence, frame, groups };
        let frame = Frame::new(&still.sequence, &still.frame).filter(|_| size == Some((tile.width, tile.height)));
        return frame.map(|frame| then(&still, &frame)).transpose();
    }
    Ok(None)
}

/// Bytes that [`decode`] takes at most until the planes are there. `None` as there.
pub fn needs(tile: &Tile<'_>) -> Result<Option<usize>> {
    with_still(tile, |still, frame| {
        // Levels of one byte are copied plane by plane, and luma first.
        let one_byte = Header::of(&still.sequence).kind.bytes() == 1;
        let luma = if one_byte { tile.width as usize * tile.height as usize } else { 0 };
        Ok(frame.needs().max(frame.kept().saturating_add(luma)))
    })
}

/// `None` where the picture is of another kind, or damaged before its first tile.
pub fn decode(tile: &Tile<'_>, env: &Env<'_>) -> Result<Option<(Planes, Header)>> {
    with_still(tile, |still, frame| {
        let planes = frame.decode(&still.groups, env.go_on).map_err(fault)?;
        let header = Header::of(&still.sequence);
        Ok((levels(planes, &header, tile)?, header))
    })
}

pub fn fault(error: av1_intra::Error) -> Error {
    match error {
        av1_intra::Error::OutOfMemory(bytes) => Error::OutOfMemory(bytes),
        av1_intra::Error::Stopped => Error::Stopped,
        av1_intra::Error::Damaged(what) => Error::Av1(what),
        _ => Error::Av1("the data are damaged"),
    }
}

/// The same in as many bytes a level as it needs, plane by plane.
fn levels(planes: Vec<av1_intra::Plane>, header: &Header, tile: &Tile<'_>) -> Result<Planes> {
    let mut all = [Plane::NONE; 3];
    for (to, plane) in all.iter_mut().zip(planes) {
        *to = if header.kind.bytes() == 1 {
            let rows = (0..plane.height()).map(|y| plane.row(y).iter().copied());
            Plane::new(header.kind, plane.width() * plane.height(), rows)?
        } else {
            Plane::Words(plane.into_samples())
        };
    }
    let planes = Planes::new(tile.width as usize, tile.height as usize, header.kind, all);
    planes.ok_or(Error::Av1("a frame is not what its header says"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goldens have the levels of Pillow, whoever decodes them; here is who does.
    #[test]
    fn pictures_that_are_left_to_the_other_decoder() {
        let goldens = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden")).unwrap();
        let (mut read, mut copies, mut left) = (0, 0, vec![]);
        for path in
            goldens.map(|entry| entry.unwrap().path()).filter(|path| path.extension().is_some_and(|e| e == "avif"))
        {
            let bytes = std::fs::read(&path).unwrap();
            let Some(meta) = isobmff::File::read(&bytes).ok().and_then(|file| file.meta) else { continue };
            for id in meta.items().iter().map(|item| item.id) {
                let Ok(tile) = Tile::of_item(&meta, id) else { continue };
                let copied = with_still(&tile, |still, _| Ok(still.frame.allow_intrabc)).unwrap();
                copies += usize::from(copied == Some(true));
                match decode(&tile, &Env::default()).unwrap() {
                    Some((planes, _)) => {
                        assert_eq!((planes.width, planes.height), (tile.width as usize, tile.height as usize));
                        read += 1;
                    }
                    None => left.push(path.file_stem().unwrap().to_string_lossy().into_owned()),
                }
            }
        }
        left.sort();
        assert!(read > 200 && copies >= 5, "{read}, {copies} with copies");
        assert_eq!(left, ["grain"]);
    }
}
