//! From scans to pixels: in one go where the only scan has all components, else with the coefficients of the whole picture in
//! between. Follows `jdcoefct.c` and `jdapistd.c`.

use pulp::{NullaryFnOnce, bytemuck};

use crate::arithmetic::Arithmetic;
use crate::block;
use crate::coder::Coder;
use crate::color::Output;
use crate::error::{Error, Result};
use crate::frame::{Colour, Frame};
use crate::idct::{self, Factors};
use crate::markers::{Reader, ScanHeader, Steps};
use crate::rows::Rows;
use crate::scan::Scan;
use crate::sequential::Huffman;
use crate::smooth::{Progress, Smooth};
use crate::store::Store;
use crate::units::{UNITS, Units};
use crate::{Env, Picture, Target, vectors};

/// How often all blocks of a picture may be gone through. Encoders need some ten scans.
const MOST_WORK: usize = 200;

/// A picture to be decoded, with its headers read up to the first scan.
pub struct Job<'j, 'a, 't> {
    /// Behind the first scan's header.
    pub reader: Reader<'a>,
    /// The frame header.
    pub frame: Frame,
    /// The first scan's header.
    pub first: ScanHeader,
    /// What the samples are.
    pub colour: Colour,
    /// What the pixels become.
    pub output: Output,
    /// Memory, and whether to go on.
    pub env: &'j Env<'j>,
    /// Where they go.
    pub target: Target<'t>,
}

impl<'a> Job<'_, 'a, '_> {
    /// Reads all scans. Where there is one with all components, pixels are made of it as it is read.
    pub fn run(mut self) -> Result<Picture> {
        let channels = self.output.channels(self.colour);
        let pixels = if is_single(&self.frame, &self.first) {
            if self.frame.arithmetic {
                self.single::<Arithmetic<'a>>()?
            } else {
                self.reader.default_tables();
                self.single::<Huffman<'a>>()?
            }
        } else {
            self.several()?
        };
        let Self { frame, reader, .. } = self;
        Ok(Picture { width: frame.width, height: frame.height, channels, pixels, warnings: reader.warnings })
    }

    fn single<C: Coder<'a>>(&mut self) -> Result<Vec<u8>> {
        let channels = self.output.channels(self.colour);
        let mut steps = vec![None; self.frame.components.len()];
        latch(&self.reader, &self.frame, &self.first, &mut steps)?;
        let scan = Scan::new(&self.frame, &self.first)?;
        let mut coder = C::new(&self.reader, &self.first)?;
        let mut pixels = match self.target {
            Target::Picture => self.env.zeroed(channels * self.frame.width * self.frame.height)?,
            Target::Rows(_) => Vec::new(),
        };
        let mut strip = Vec::new();
        let mut rows = Rows::new(&self.frame, self.output, self.colour, self.env)?;
        let mut units = Units::new(&scan, &steps);
        for _ in 0..self.frame.units_down {
            self.env.look()?;
            for from in (0..scan.across).step_by(UNITS) {
                let count = UNITS.min(scan.across - from);
                units.read(&mut coder, count);
                units.transform(&mut rows, from, count);
            }
            give(&mut self.target, &mut rows, self.frame.width * channels, &mut pixels, &mut strip, self.env)?;
        }
        coder.leave(&mut self.reader);
        self.end()?;
        Ok(pixels)
    }

    /// What follows the only scan. Where the bytes end there the picture is whole all the same.
    fn end(&mut self) -> Result<()> {
        match self.reader.next_scan() {
            Ok(None) | Err(Error::Truncated) => Ok(()),
            Ok(Some(_)) => Err(Error::Damaged("another scan after that of all components")),
            Err(error) => Err(error),
        }
    }

    fn several(&mut self) -> Result<Vec<u8>> {
        let frame = &self.frame;
        let channels = self.output.channels(self.colour);
        let in_place = matches!(self.target, Target::Picture);
        let mut store = Store::new(frame, if in_place { channels * frame.width } else { 0 }, self.env)?;
        let mut steps = vec![None; frame.components.len()];
        let mut progress = vec![Progress::default(); frame.components.len()];
        let mut work = MOST_WORK * frame.blocks();
        let mut good;
        if !frame.progressive && !frame.arithmetic {
            self.reader.default_tables();
        }
        let (mut header, mut first_scan) = (self.first.clone(), true);
        loop {
            let scan = Scan::new(frame, &header)?;
            latch(&self.reader, frame, &header, &mut steps)?;
            work = scan.blocks().and_then(|blocks| work.checked_sub(blocks)).ok_or(Error::TooManyScans)?;
            let args = (&scan, frame, &header, &mut store, self.env);
            let begin = || {
                for component in &header.components {
                    let progress = &mut progress[component.index];
                    progress.note(header.band, header.low, first_scan);
                }
            };
            good = if frame.arithmetic {
                read::<Arithmetic<'a>>(&mut self.reader, args, begin)?
            } else {
                read::<Huffman<'a>>(&mut self.reader, args, begin)?
            };
            header = match self.reader.next_scan() {
                Ok(Some(header)) => header,
                Ok(None) => break,
                Err(Error::Truncated) => {
                    self.reader.input.end();
                    break;
                }
                Err(error) => return Err(error),
            };
            first_scan = false;
        }
        let warnings = &mut self.reader.warnings;
        warnings.truncated |= self.reader.input.ended;
        let unknown = |p: &Progress| p.now.iter().any(|&bits| bits != 0);
        warnings.missing = steps.contains(&None);
        warnings.incomplete = frame.progressive && progress.iter().any(unknown);
        self.pixels(store, &steps, &progress, (good, first_scan))
    }

    fn pixels(
        &mut self,
        mut store: Store,
        steps: &[Option<Steps>],
        progress: &[Progress],
        reached: (usize, bool),
    ) -> Result<Vec<u8>> {
        let frame = &self.frame;
        let line = self.output.channels(self.colour) * frame.width;
        let factors: Vec<Factors> = steps.iter().map(|s| idct::factors(s.as_ref())).collect();
        let smooth = match frame.progressive {
            true => Smooth::new(frame, steps, progress, reached, &store, self.env)?,
            false => None,
        };
        let mut rows = Rows::new(frame, self.output, self.colour, self.env)?;
        let (mut strip, mut sorted) = (Vec::new(), [[0; 64]; UNITS]);
        let mut smoothed = smooth.as_ref().map_or(Ok(Vec::new()), Smooth::room)?;
        for unit in 0..frame.units_down {
            self.env.look()?;
            for (index, component) in frame.components.iter().enumerate() {
                for y in 0..component.v.min(component.blocks_down - unit * component.v) {
                    let blocks = store.blocks(index, unit * component.v + y);
                    let (out, stride, size) = rows.block_row(index, y, 0);
                    match &smooth {
                        Some(smooth) => {
                            smooth.row(index, unit, y, blocks, &mut smoothed);
                            idct::run(size, bytemuck::cast_slice(&smoothed), &factors[index], out, stride);
                        }
                        None => {
                            for (i, blocks) in blocks.chunks(UNITS).enumerate() {
                                for (sorted, block) in sorted.iter_mut().zip(blocks) {
                                    *sorted = block::rows(block);
                                }
                                let blocks = bytemuck::cast_slice(&sorted[..blocks.len()]);
                                idct::run(size, blocks, &factors[index], &mut out[size * UNITS * i..], stride);
                            }
                        }
                    }
                }
            }
            give(&mut self.target, &mut rows, line, &mut store.bytes, &mut strip, self.env)?;
        }
        let mut pixels = store.bytes;
        pixels.truncate(if matches!(self.target, Target::Picture) { line * frame.height } else { 0 });
        Ok(pixels)
    }
}

/// The only scan has everything.
pub fn is_single(frame: &Frame, first: &ScanHeader) -> bool {
    !frame.progressive && first.components.len() == frame.components.len()
}

/// The steps of a component are those at the start of its first scan.
fn latch(reader: &Reader, frame: &Frame, header: &ScanHeader, steps: &mut [Option<Steps>]) -> Result<()> {
    for component in &header.components {
        let steps = &mut steps[component.index];
        if steps.is_none() {
            let number = usize::from(frame.components[component.index].table);
            let table = reader.tables.steps.get(number).copied().flatten();
            *steps = Some(table.ok_or(Error::Damaged("quantization table is missing"))?);
        }
    }
    Ok(())
}

type Args<'s> = (&'s Scan, &'s Frame, &'s ScanHeader, &'s mut Store, &'s Env<'s>);

fn read<'a, C: Coder<'a>>(reader: &mut Reader<'a>, args: Args<'_>, begin: impl FnOnce()) -> Result<usize> {
    let mut coder = C::new(reader, args.2)?;
    begin();
    let good = vectors::run(ReadScan(&mut coder, args))?;
    coder.leave(reader);
    Ok(good)
}

/// Writes the rows of pixels that are ready.
fn give(
    target: &mut Target<'_>,
    rows: &mut Rows<'_>,
    line: usize,
    pixels: &mut [u8],
    strip: &mut Vec<u8>,
    env: &Env<'_>,
) -> Result<()> {
    let (first, end) = rows.ready();
    match target {
        Target::Picture => rows.write(pixels.get_mut(line * first..line * end).unwrap_or_default()),
        Target::Rows(sink) => {
            let len = line * (end - first);
            if strip.len() < len {
                *strip = env.zeroed(len)?;
            }
            rows.write(&mut strip[..len]);
            if len > 0 {
                sink(first, &strip[..len])?;
            }
        }
    }
    Ok(())
}

struct ReadScan<'s, C>(&'s mut C, Args<'s>);

impl<'a, C: Coder<'a>> NullaryFnOnce for ReadScan<'_, C> {
    type Output = Result<usize>;

    #[inline(always)]
    fn call(self) -> Self::Output {
        let Self(coder, (scan, frame, _, store, env)) = self;
        scan.read(coder, frame, store, env)
    }
}
