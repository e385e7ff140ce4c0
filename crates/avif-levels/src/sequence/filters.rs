//! What is done to a frame after its blocks (section 7.4): the edges' filter, CDEF, enlarging, restoration.

use oxideav_av1::cdf::PartitionWalker;
use oxideav_av1::loop_filter::PlaneBuffer;
use oxideav_av1::superres::{SuperresFrameContext, upscale_frame};

use super::references::Samples;
use super::walk::Walk;
use crate::error::{Error, Result};

/// Samples of a plane while it is filtered: as many as its blocks have, which may end beyond the picture.
pub struct Raw {
    pub rows: u32,
    pub cols: u32,
    pub samples: Vec<i32>,
}

impl Raw {
    fn zeroed(cols: u32, rows: u32) -> Result<Self> {
        let len = rows as usize * cols as usize;
        let mut samples = Vec::new();
        samples.try_reserve_exact(len).map_err(|_| Error::OutOfMemory(4 * len))?;
        samples.resize(len, 0);
        Ok(Self { rows, cols, samples })
    }

    fn copy(&self) -> Result<Self> {
        let mut copy = Self::zeroed(self.cols, self.rows)?;
        copy.samples.copy_from_slice(&self.samples);
        Ok(copy)
    }

    /// The part that is shown.
    pub fn crop(&self, (width, height): (u32, u32)) -> Result<Samples> {
        let len = width as usize * height as usize;
        let mut data = Vec::new();
        data.try_reserve_exact(len).map_err(|_| Error::OutOfMemory(2 * len))?;
        for row in self.samples.chunks_exact(self.cols.max(1) as usize).take(height as usize) {
            data.extend(row.iter().take(width as usize).map(|&sample| sample.clamp(0, 0xffff) as u16));
        }
        if data.len() == len { Ok(Samples { width, height, data }) } else { Err(SHORT) }
    }
}

const SHORT: Error = Error::Av1("a frame is not what its header says");

/// As the library takes them.
pub fn lend(planes: &mut [Raw]) -> Vec<PlaneBuffer<'_>> {
    planes.iter_mut().map(|raw| PlaneBuffer { rows: raw.rows, cols: raw.cols, samples: &mut raw.samples }).collect()
}

/// The planes of a frame whose blocks have been decoded, filtered.
pub fn filter(walk: &Walk<'_>, walker: PartitionWalker) -> Result<Vec<Raw>> {
    let mut planes = Vec::new();
    for plane in 0..walk.planes() {
        let (Some((rows, cols)), Some(samples)) = (walker.curr_frame_dims(plane), walker.curr_frame(plane)) else {
            return Err(SHORT);
        };
        planes.push(Raw { rows, cols, samples: samples.to_vec() });
    }
    let (frame, colour) = (walk.frame, &walk.seq.color_config);
    let (x, y) = walk.subsampling(1);
    let filtered = !walk.coded_lossless() && !frame.allow_intrabc;
    let edges = frame.loop_filter_params.as_ref().filter(|edges| filtered && edges.loop_filter_level[..2] != [0; 2]);
    if let Some(edges) = edges {
        let multi = frame.delta_lf_params.unwrap_or_default().delta_lf_multi;
        let (width, height) = (walk.size.frame_width, walk.size.frame_height);
        let (count, depth) = (colour.num_planes, colour.bit_depth);
        walker.loop_filter_frame_from_grid(
            edges,
            &walk.segments,
            multi,
            count,
            depth,
            x,
            y,
            width,
            height,
            &mut lend(&mut planes),
        );
    }
    // Restoration looks at what was before CDEF, too.
    let restores = walk.restoration.uses_lr;
    let cdef = frame.cdef_params.as_ref().filter(|cdef| filtered && walk.seq.enable_cdef && !cdef.short_circuited);
    let mut before = vec![];
    if restores || cdef.is_some() {
        before = planes.iter().map(Raw::copy).collect::<Result<_>>()?;
    }
    if let Some(cdef) = cdef {
        let (from, mut to) = (lend(&mut before), lend(&mut planes));
        walker.cdef_frame_from_idx(cdef, colour.num_planes, colour.bit_depth, x, y, &from, &mut to);
    }
    if walk.size.use_superres {
        enlarge(walk, &mut planes)?;
        if restores {
            enlarge(walk, &mut before)?;
        }
    }
    if restores {
        let mut after = planes.iter().map(Raw::copy).collect::<Result<Vec<_>>>()?;
        let (before, cdef) = (lend(&mut before), lend(&mut after));
        walker.loop_restore_frame_from_grid(
            walk.restoration,
            colour.num_planes,
            colour.bit_depth,
            x,
            y,
            walk.size.mi_rows,
            walk.size.mi_cols,
            walk.size.frame_height,
            walk.size.upscaled_width,
            &before,
            &cdef,
            &mut lend(&mut planes),
        );
    }
    Ok(planes)
}

/// Makes the planes as wide as they are shown.
fn enlarge(walk: &Walk<'_>, planes: &mut Vec<Raw>) -> Result<()> {
    let (size, colour) = (walk.size, &walk.seq.color_config);
    let context = SuperresFrameContext {
        use_superres: true,
        frame_width: size.frame_width,
        upscaled_width: size.upscaled_width,
        frame_height: size.frame_height,
        mi_cols: size.mi_cols,
        num_planes: colour.num_planes,
        bit_depth: colour.bit_depth,
        subsampling_x: u8::from(colour.subsampling_x),
        subsampling_y: u8::from(colour.subsampling_y),
    };
    let mut larger = Vec::new();
    for plane in 0..planes.len() {
        let (width, height) = walk.shown(plane);
        larger.push(Raw::zeroed(width, height)?);
    }
    upscale_frame(&context, &lend(planes), &mut lend(&mut larger)).map_err(|_| SHORT)?;
    *planes = larger;
    Ok(())
}
