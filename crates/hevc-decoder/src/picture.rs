//! A picture's units, one after the other, and its rows as they become ready.

use crate::cabac::Cabac;
use crate::coder::{Coder, Picture};
use crate::contexts::{self, Contexts};
use crate::error::{Error, Result, zeroed};
use crate::map::{Ctb, Ctbs, Map};
use crate::motion::Field;
use crate::nal::{Unit, Units};
use crate::plane::Plane;
use crate::pps::Pps;
use crate::references::{Prediction, References};
use crate::scratch::Scratch;
use crate::sets::Sets;
use crate::slice::{Segment, Slice};
use crate::sps::{Chroma, Sps};
use crate::{deblock, sao};

/// The order in which coding tree blocks come, and which tile each is in.
struct Order {
    /// In raster order; `None` where that is the order.
    tiles: Option<Vec<(u32, u16)>>,
    /// Columns with which tiles begin.
    starts: Vec<usize>,
}

impl Order {
    fn new(sps: &Sps, pps: &Pps) -> Result<Self> {
        let (width, height) = sps.ctbs();
        let Some(tiles) = &pps.tiles else { return Ok(Self { tiles: None, starts: vec![0] }) };
        let (columns, rows) = tiles.bounds(width, height)?;
        let mut order = Vec::new();
        order.try_reserve_exact(width * height).map_err(|_| Error::OutOfMemory(8 * width * height))?;
        for (j, down) in rows.windows(2).enumerate() {
            for (i, across) in columns.windows(2).enumerate() {
                let tile = (j * (columns.len() - 1) + i) as u16;
                for y in down[0]..down[1] {
                    order.extend((across[0]..across[1]).map(|x| ((y * width + x) as u32, tile)));
                }
            }
        }
        Ok(Self { tiles: Some(order), starts: columns })
    }

    /// Place in raster order, and tile.
    fn at(&self, i: usize) -> (usize, u16) {
        match &self.tiles {
            None => (i, 0),
            Some(tiles) => tiles.get(i).map_or((usize::MAX, 0), |&(place, tile)| (place as usize, tile)),
        }
    }

    /// Rows are not whole before the last tile is.
    fn is_by_columns(&self) -> bool {
        self.starts.len() > 2
    }
}

/// Memory beside that of the rows handed out.
pub fn needs(sps: &Sps, pps: &Pps) -> usize {
    let (columns, rows) = sps.ctbs();
    let by_columns = pps.tiles.as_ref().is_some_and(|tiles| tiles.columns > 1);
    let held = if by_columns { sps.height } else { held(sps).min(sps.height) };
    let (across, down) = sps.chroma.shifts();
    let chroma =
        if sps.chroma == Chroma::Monochrome { 0 } else { 2 * (sps.width >> across) * (held.div_ceil(1 << down)) };
    let cells = (sps.width / 4 + 1) * (sps.height / 4 + 1) * size_of::<crate::map::Cell>();
    let blocks = columns * rows * (size_of::<Ctb>() + if pps.tiles.is_some() { 8 } else { 0 });
    2 * (sps.width * held + chroma) + cells + blocks + 8 * sps.width + FIXED
}

/// Tables, parameter sets, and a block at work.
const FIXED: usize = 128 << 10;

/// Rows that are needed at a time: two rows of coding tree blocks, and what filters look back at.
fn held(sps: &Sps) -> usize {
    (2 << sps.ctb_log2) + 16
}

/// A picture to be decoded.
pub struct Job<'a> {
    /// All parameter sets.
    pub sets: &'a Sets,
    /// The picture's sequence parameter set.
    pub sps: &'a Sps,
    /// The picture's own.
    pub pps: &'a Pps,
    /// The first of them is the picture's first slice segment.
    pub units: Units<'a>,
    /// Whether to go on.
    pub go_on: &'a dyn Fn() -> bool,
    /// The pictures that it may be predicted from, where there are any.
    pub references: Option<&'a References<'a>>,
}

/// What is given each row of luma samples as coded, and the chroma samples that go with it.
type Sink<'s> = dyn FnMut(usize, [&[u16]; 3]) + 's;

/// How far it is.
struct Progress {
    /// Coding tree blocks decoded.
    blocks: usize,
    /// Rows of them filtered.
    filtered: usize,
    /// Luma rows handed out, as coded.
    rows: usize,
    lines: [Vec<u16>; 3],
    /// Contexts after the second block of a row, for the one below.
    saved: Option<Box<Contexts>>,
}

/// What holds for a segment beside what it says.
struct State<'s> {
    order: &'s Order,
    region: &'s mut u16,
    /// Of its slice.
    prediction: Option<&'s Prediction<'s>>,
}

/// What the segment before leaves to a dependent one.
struct Before {
    slice: Slice,
    contexts: Contexts,
    qp: i32,
}

impl Job<'_> {
    /// Decodes blocks in their order, filters rows of them behind that, and hands rows of samples out behind the
    /// filters.
    ///
    /// Gives what is known of the picture.
    pub fn run(self, sink: &mut Sink) -> Result<Picture> {
        let Self { sets, sps, pps, units, references, .. } = self;
        let order = Order::new(sps, pps)?;
        let (columns, rows) = sps.ctbs();
        let held = if order.is_by_columns() { sps.height } else { held(sps) };
        let (across, down) = sps.chroma.shifts();
        let chroma = |side: usize| if sps.chroma == Chroma::Monochrome { 0 } else { side };
        let (width, height) = (chroma(sps.width >> across), chroma(sps.height >> down));
        let second = || Plane::new(width, height, held.div_ceil(1 << down));
        let mut picture = Picture {
            planes: [Plane::new(sps.width, sps.height, held)?, second()?, second()?],
            map: Map::new(sps.width, sps.height)?,
            motion: Field::default(),
            still: references.is_none(),
            ctbs: Ctbs {
                list: zeroed(columns * rows)?,
                columns,
                rows,
                log2: sps.ctb_log2,
                slices: Vec::new(),
                across_tiles: pps.filter_across_tiles,
            },
        };
        let lines = [zeroed(sps.width)?, zeroed(width)?, zeroed(width)?];
        let mut progress = Progress { blocks: 0, filtered: 0, rows: 0, lines, saved: None };
        let mut region = 0u16;
        let mut before: Option<Before> = None;
        let mut prediction: Option<Prediction> = None;
        for unit in units {
            let unit = Unit::read(unit?)?;
            if !unit.is_slice() || unit.layer > 0 {
                continue;
            }
            // Some encoders write more slices than there are blocks.
            if progress.blocks == columns * rows {
                break;
            }
            let payload = unit.payload()?;
            let segment = Segment::read(&payload, unit.kind, sets, before.as_ref().map(|before| &before.slice))?;
            if segment.first && before.is_some() {
                break;
            }
            if segment.first != before.is_none() || order.at(progress.blocks).0 != segment.address {
                return Err(Error::Damaged("a slice is missing, or comes twice"));
            }
            if !segment.dependent {
                // Numbers are of 16 bits.
                if picture.ctbs.slices.len() >= 1 << 15 {
                    return Err(Error::Damaged("too many slices"));
                }
                picture.ctbs.slices.push(segment.slice);
                region = next(region)?;
                prediction = match (&segment.header, references) {
                    (None, _) => None,
                    (Some(header), Some(references)) => Some(references.prediction(header.clone())?),
                    (Some(_), None) => return Err(Error::Unsupported("a picture that is predicted from others")),
                };
                if prediction.is_some() {
                    if sps.depth.iter().any(|&depth| depth > 12) {
                        return Err(Error::Unsupported("a predicted picture of more than 12 bits"));
                    }
                    picture.motion.prepare(sps.width, sps.height)?;
                }
            }
            let continued = before.filter(|_| segment.dependent);
            let state = State { order: &order, region: &mut region, prediction: prediction.as_ref() };
            before = Some(self.segment(&mut picture, &segment, state, continued, &mut progress, sink)?);
        }
        if progress.blocks < columns * rows {
            return Err(Error::Truncated);
        }
        self.ready(&mut picture, &mut progress, rows, sink)?;
        Ok(picture)
    }

    fn segment(
        &self,
        picture: &mut Picture,
        segment: &Segment,
        state: State,
        continued: Option<Before>,
        progress: &mut Progress,
        sink: &mut Sink,
    ) -> Result<Before> {
        let Self { sps, pps, .. } = *self;
        let State { order, region, prediction } = state;
        let columns = picture.ctbs.columns;
        let total = picture.ctbs.list.len();
        let number = (picture.ctbs.slices.len() - 1) as u16;
        let slice = segment.slice;
        let (contexts, qp) = match continued {
            Some(before) => (before.contexts, before.qp),
            None => (contexts::new(slice.contexts, slice.qp), slice.qp),
        };
        let mut coder = Coder {
            sps,
            pps,
            slice,
            region: *region,
            cabac: Cabac::new(segment.data),
            contexts,
            qp,
            predicted_qp: qp,
            qp_delta_read: false,
            bypass: false,
            still: picture.still,
            scratch: Box::new(Scratch::new()),
            prediction,
            blocks: prediction.map(|_| Box::default()),
        };
        let mut first = true;
        loop {
            let (place, tile) = order.at(progress.blocks);
            let (column, row) = (place % columns, place / columns);
            if let Some(ctb) = picture.ctbs.list.get_mut(place) {
                (ctb.slice, ctb.tile) = (number, tile);
            }
            if progress.blocks > 0 && order.at(progress.blocks - 1).1 != tile {
                if segment.dependent || !first {
                    *region = next(*region)?;
                    coder.region = *region;
                }
                coder.reset_qp();
                coder.reset_contexts();
            } else if pps.wavefront && order.starts.contains(&column) && row > 0 {
                coder.reset_qp();
                let above = picture.ctbs.at(column + 1, row - 1);
                let is_there = column + 1 < columns && (above.slice, above.tile) == (number, tile);
                if is_there && let Some(saved) = &progress.saved {
                    coder.contexts = **saved;
                } else if !first || !segment.dependent {
                    coder.reset_contexts();
                }
            }
            if progress.blocks.is_multiple_of(8) && !(self.go_on)() {
                return Err(Error::Stopped);
            }
            coder.coding_tree_block(picture, column, row)?;
            first = false;
            progress.blocks += 1;
            if pps.wavefront && column > 0 && order.starts.contains(&(column - 1)) {
                progress.saved = Some(Box::new(coder.contexts));
            }
            let end = coder.cabac.terminate();
            if column + 1 == columns && !order.is_by_columns() {
                self.ready(picture, progress, row, sink)?;
            }
            if end || progress.blocks >= total {
                return Ok(Before { slice, contexts: coder.contexts, qp: coder.qp });
            }
            let (place, next) = order.at(progress.blocks);
            if next != tile || (pps.wavefront && order.starts.contains(&(place % columns))) {
                if !coder.cabac.terminate() {
                    return Err(Error::Damaged("a tile or row of blocks does not end"));
                }
                coder.cabac.restart()?;
            }
        }
    }

    /// Filters rows of coding tree blocks, and hands out what is ready. The last one may be of use for prediction.
    fn ready(&self, picture: &mut Picture, progress: &mut Progress, rows: usize, sink: &mut Sink) -> Result<()> {
        let Self { sps, pps, .. } = *self;
        let (_, down) = sps.chroma.shifts();
        while progress.filtered < rows {
            let from = progress.filtered << sps.ctb_log2;
            let to = (from + (1 << sps.ctb_log2)).min(sps.height);
            deblock::filter(picture, sps, pps, from, to)?;
            progress.filtered += 1;
            // Four rows may change yet, or their neighbours.
            let to = if progress.filtered == picture.ctbs.rows { to } else { to - 4 };
            while progress.rows < to {
                self.row(picture, progress, sink)?;
                progress.rows += 1;
            }
            let keep = progress.rows.saturating_sub(2);
            for (component, plane) in picture.planes.iter_mut().enumerate() {
                plane.give_up(if component == 0 { keep } else { (keep >> down).saturating_sub(1) });
            }
        }
        Ok(())
    }

    fn row(&self, picture: &Picture, progress: &mut Progress, sink: &mut Sink) -> Result<()> {
        let sps = self.sps;
        let y = progress.rows;
        let (_, down) = sps.chroma.shifts();
        let [luma, cb, cr] = &mut progress.lines;
        sao::row(picture, sps, 0, y, luma)?;
        if sps.chroma != Chroma::Monochrome && y & ((1 << down) - 1) == 0 {
            sao::row(picture, sps, 1, y >> down, cb)?;
            sao::row(picture, sps, 2, y >> down, cr)?;
        }
        sink(y, [luma, cb, cr]);
        Ok(())
    }
}

fn next(region: u16) -> Result<u16> {
    region.checked_add(1).ok_or(Error::Damaged("too many slices and tiles"))
}
