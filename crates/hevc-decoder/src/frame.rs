//! A decoded picture, from which others are predicted.

use crate::Row;
use crate::error::{Result, zeroed};
use crate::map::{INTER, Map};
use crate::motion::{Field, Motion, Vector};
use crate::sps::{Chroma, Sps};
use crate::window::Window;

/// Samples of a component.
#[derive(Clone, Debug, Default)]
pub struct Samples {
    samples: Vec<u16>,
    /// Samples of a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
}

impl Samples {
    fn new(width: usize, height: usize) -> Result<Self> {
        Ok(Self { samples: zeroed(width * height)?, width, height })
    }

    /// Row `y`, or the nearest one that there is.
    #[inline]
    pub fn row(&self, y: isize) -> &[u16] {
        let y = y.clamp(0, (self.height as isize - 1).max(0)) as usize;
        self.samples.get(y * self.width..(y + 1) * self.width).unwrap_or_default()
    }
}

/// The motion of 16 x 16 luma samples, of which one block stands for all.
#[derive(Clone, Copy, Debug, Default)]
pub struct Stored {
    /// By list.
    pub vectors: [Vector; 2],
    /// The picture order counts of the pictures that it is from, and whether these were long-term ones.
    pub pictures: [Option<(i32, bool)>; 2],
}

/// A decoded picture.
#[derive(Clone, Debug)]
pub struct Frame {
    /// Luma, blue and red chroma. Those of chroma are empty in monochrome pictures.
    pub planes: [Samples; 3],
    /// Empty where all blocks are intra.
    motion: Vec<Stored>,
    columns: usize,
    window: Window,
    poc: i32,
}

/// Samples across and down of luma and of chroma.
fn sizes(sps: &Sps) -> [(usize, usize); 2] {
    let (across, down) = sps.chroma.shifts();
    let chroma = if sps.chroma == Chroma::Monochrome { (0, 0) } else { (sps.width >> across, sps.height >> down) };
    [(sps.width, sps.height), chroma]
}

impl Frame {
    /// Of zeros.
    pub fn new(sps: &Sps) -> Result<Self> {
        let [luma, chroma] = sizes(sps);
        let plane = |(width, height)| Samples::new(width, height);
        let planes = [plane(luma)?, plane(chroma)?, plane(chroma)?];
        Ok(Self { planes, motion: Vec::new(), columns: sps.width.div_ceil(16), window: Window::new(sps), poc: 0 })
    }

    /// Bytes of such a picture.
    pub fn needs(sps: &Sps) -> usize {
        let [luma, chroma] = sizes(sps);
        let stored = sps.width.div_ceil(16) * sps.height.div_ceil(16) * size_of::<Stored>();
        2 * (luma.0 * luma.1 + 2 * chroma.0 * chroma.1) + stored
    }

    /// Whether it has the size and the kinds of samples that a parameter set has.
    pub fn fits(&self, sps: &Sps) -> bool {
        self.size() == (sps.width, sps.height) && self.window == Window::new(sps)
    }

    /// Its picture order count.
    pub fn poc(&self) -> i32 {
        self.poc
    }

    /// Luma samples across and down as coded.
    pub fn size(&self) -> (usize, usize) {
        (self.planes[0].width, self.planes[0].height)
    }

    /// What is shown of it.
    pub fn window(&self) -> &Window {
        &self.window
    }

    /// Keeps a row of luma samples, and the chroma samples that begin with it.
    pub fn keep(&mut self, y: usize, lines: [&[u16]; 3]) {
        let down = self.window.format.chroma.shifts().1;
        for (component, (plane, line)) in self.planes.iter_mut().zip(lines).enumerate() {
            let down = if component == 0 { 0 } else { down };
            if y & ((1 << down) - 1) == 0
                && let Some(row) = plane.samples.chunks_exact_mut(plane.width.max(1)).nth(y >> down)
                && row.len() == line.len()
            {
                row.copy_from_slice(line);
            }
        }
    }

    /// Keeps its picture order count, and one block's motion of each 16 x 16 luma samples. `picture`: count and kind of the
    /// pictures in slots.
    pub fn keep_motion(
        &mut self,
        poc: i32,
        field: &Field,
        map: &Map,
        picture: impl Fn(u8) -> Option<(i32, bool)>,
    ) -> Result<()> {
        self.poc = poc;
        self.motion.clear();
        if field.is_empty() {
            return Ok(());
        }
        let (width, height) = self.size();
        self.motion = zeroed(self.columns * height.div_ceil(16))?;
        let places = (0..height).step_by(16).flat_map(|y| (0..width).step_by(16).map(move |x| (x, y)));
        for (stored, (x, y)) in self.motion.iter_mut().zip(places) {
            if map.at(x, y).is_some_and(|cell| cell.flags & INTER != 0) {
                let Motion { vectors, slot, .. } = field.at(x, y);
                *stored = Stored { vectors, pictures: slot.map(&picture) };
            }
        }
        Ok(())
    }

    /// The motion at luma places.
    pub fn motion(&self, x: usize, y: usize) -> Stored {
        if x / 16 >= self.columns {
            return Stored::default();
        }
        self.motion.get(y / 16 * self.columns + x / 16).copied().unwrap_or_default()
    }

    /// Hands out the rows that are shown.
    pub fn rows(&self, sink: &mut dyn FnMut(Row)) {
        let [luma, cb, cr] = &self.planes;
        let down = self.window.format.chroma.shifts().1;
        for y in 0..luma.height as isize {
            self.window.show(y as usize, [luma.row(y), cb.row(y >> down), cr.row(y >> down)], sink);
        }
    }
}
