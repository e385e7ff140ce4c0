//! Coding units of raw samples: PCM (clause 7.3.8.7).

use crate::bits::Bits;
use crate::coder::{Coder, Picture};
use crate::error::Result;
use crate::intra::DC;
use crate::map::EXACT;
use crate::sps::Chroma;

impl Coder<'_> {
    /// Reads a unit if it is one of raw samples.
    pub fn raw_unit(&mut self, picture: &mut Picture, x: usize, y: usize, log2: u32) -> Result<bool> {
        let Some(pcm) = self.sps.pcm.filter(|pcm| (pcm.log2.0..=pcm.log2.1).contains(&log2)) else { return Ok(false) };
        if !self.cabac.terminate() {
            return Ok(false);
        }
        let sps = self.sps;
        let size = 1usize << log2;
        let (across, down) = sps.chroma.shifts();
        let side = |component: usize, shift: u32| if component == 0 { size } else { size >> shift };
        let count = if sps.chroma == Chroma::Monochrome { 1 } else { 3 };
        let areas = (0..count).map(|i| side(i, across) * side(i, down) * pcm.depth[i.min(1)] as usize);
        let bits = &mut Bits::new(self.cabac.raw(areas.sum::<usize>().div_ceil(8))?);
        for (component, plane) in picture.planes.iter_mut().enumerate().take(count) {
            let (width, height) = (side(component, across), side(component, down));
            let (x, y) = if component == 0 { (x, y) } else { (x >> across, y >> down) };
            let depth = pcm.depth[component.min(1)];
            for row in plane.rows_mut(y, height)? {
                for out in row.get_mut(x..x + width).unwrap_or_default() {
                    *out = (bits.bits(depth)? << (sps.depth_of(component) - depth)) as u16;
                }
            }
        }
        let (region, flags) = (self.region, if pcm.exact { EXACT } else { 0 });
        picture.map.each(x, y, size, |cell| {
            (cell.region, cell.mode) = (region, DC);
            cell.flags |= flags;
        });
        Ok(true)
    }
}
