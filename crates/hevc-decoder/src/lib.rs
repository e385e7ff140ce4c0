//! Decodes HEVC pictures (ITU-T H.265), as HEIC files have them: one that is predicted from no other, or a sequence.
//!
//! Of a [`Picture`] samples are handed out row by row, as they become ready. Rows are kept only as long as others need them, so that
//! memory does not grow with the height, but for some bits a pixel. A [`Stream`] keeps the pictures that others are predicted from,
//! and hands them out as they are shown.
//!
//! ```no_run
//! use hevc_decoder::{Picture, Sets};
//!
//! # let (parameter_sets, data): (Vec<Vec<u8>>, Vec<u8>) = Default::default();
//! let mut sets = Sets::default();
//! for unit in &parameter_sets {
//!     sets.add(unit).unwrap();
//! }
//! // Each unit of the data follows its length, of four bytes.
//! let picture = Picture::new(sets, &data, 4).unwrap();
//! println!("{} x {}", picture.format().unwrap().width, picture.format().unwrap().height);
//! picture.decode(&|| true, &mut |row| println!("{}: {:?}", row.y, row.luma)).unwrap();
//! ```
//!
//! **Reads** I, P and B slices of 8 to 16 bits (P and B: to 12), 4:0:0 to 4:4:4, with tiles, wavefronts, dependent slices, scaling
//! lists, transform skip, lossless coding, raw blocks, weights, all filters. Refuses by name: tools of the extensions.
//!
//! **Follows** the standard. Two faults of libde265 are followed in still pictures, whose levels are to be those of libheif.
//!
//! **Hostile bytes.** Safe Rust, without unchecked places; each block is decoded once, whatever the slices say. At most 17 pictures
//! are kept, and no more than the parameter set says and one: [`Stream::needs`] tells their memory.

#![forbid(unsafe_code)]

mod bits;
mod cabac;
mod coder;
mod coding_tree;
mod contexts;
mod deblock;
mod dpb;
mod error;
mod frame;
mod inter;
mod inter_unit;
mod interpolate;
mod intra;
mod map;
mod merge;
mod modes;
mod motion;
mod nal;
mod offsets;
mod parts;
mod picture;
mod plane;
mod pps;
mod prediction_header;
mod predictors;
mod raw;
mod reconstruct;
mod references;
mod residual;
mod rps;
mod sao;
mod scaling;
mod scan;
mod scratch;
mod sets;
mod slice;
mod sps;
mod stream;
mod temporal;
mod transform;
mod transform_tree;
mod vui;
mod walk;
mod weigh;
mod weights;
mod window;

pub use error::{Error, Result};
pub use frame::Frame;
pub use sets::Sets;
pub use sps::Chroma;
pub use stream::{Fate, Scan, Stream};
pub use vui::Signal;

use nal::Units;
use picture::Job;
use window::Window;

/// What a picture's samples are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Format {
    /// Luma samples of a row, as shown.
    pub width: usize,
    /// Rows, as shown.
    pub height: usize,
    /// How many chroma samples there are.
    pub chroma: Chroma,
    /// Bits of luma and of chroma.
    pub depth: [u32; 2],
    /// What the levels mean, where the stream says.
    pub signal: Signal,
}

/// A row of samples.
#[derive(Clone, Copy, Debug)]
pub struct Row<'r> {
    /// Its number, from the top of what is shown.
    pub y: usize,
    /// One sample a pixel.
    pub luma: &'r [u16],
    /// The blue chroma samples of this row, none in monochrome pictures.
    pub cb: &'r [u16],
    /// The red chroma samples of this row, none in monochrome pictures.
    pub cr: &'r [u16],
}

/// A picture whose headers are read.
#[derive(Clone, Debug)]
pub struct Picture<'a> {
    sets: Sets,
    pps: usize,
    units: Units<'a>,
}

impl<'a> Picture<'a> {
    /// Reads units up to the first slice. `data`: units after their lengths, of `length_size` bytes each, 1 to 4.
    ///
    /// What follows the first picture does not matter. Parameter sets among the units are added to `sets`.
    ///
    /// # Errors
    ///
    /// [`Error::Truncated`] where there is no slice, [`Error::Damaged`] where it is not the first of a picture or
    /// names a parameter set that is missing.
    pub fn new(mut sets: Sets, data: &'a [u8], length_size: usize) -> Result<Self> {
        let (units, _, pps) = walk::first_slice(&mut sets, data, length_size)?;
        Ok(Self { sets, pps, units })
    }

    /// Size, chroma, depth and meaning of the samples.
    pub fn format(&self) -> Result<Format> {
        let (sps, _) = self.sets.of(self.pps)?;
        Ok(Window::new(sps).format)
    }

    /// Luma samples across and down with those that are not shown.
    pub fn coded(&self) -> Result<(usize, usize)> {
        let (sps, _) = self.sets.of(self.pps)?;
        Ok((sps.width, sps.height))
    }

    /// Bytes that [`decode`](Self::decode) takes at most.
    pub fn needs(&self) -> Result<usize> {
        let (sps, pps) = self.sets.of(self.pps)?;
        // The largest unit, without the bytes that keep start codes out.
        let largest = self.units.map_while(Result::ok).map(<[u8]>::len).max().unwrap_or(0);
        Ok(picture::needs(sps, pps).saturating_add(largest))
    }

    /// Hands out each row that is shown, from the top. `go_on` is asked at least every eight coding tree blocks, and
    /// `false` ends the work.
    ///
    /// # Errors
    ///
    /// - [`Error::Unsupported`] for a picture that is predicted from others, and for tools that are not read
    /// - [`Error::Truncated`] or [`Error::Damaged`] where the data end early or contradict the parameter sets
    /// - [`Error::OutOfMemory`], and [`Error::Stopped`] where `go_on` says so
    pub fn decode(&self, go_on: &dyn Fn() -> bool, sink: &mut dyn FnMut(Row)) -> Result<()> {
        let (sps, pps) = self.sets.of(self.pps)?;
        let window = Window::new(sps);
        let job = Job { sets: &self.sets, sps, pps, units: self.units, go_on, references: None };
        job.run(&mut |y, lines| window.show(y, lines, sink))?;
        Ok(())
    }
}
