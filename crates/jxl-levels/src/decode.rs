//! The first picture of a codestream, by the `jxl` crate, and levels of its samples.

use std::io::{self, IoSliceMut};

use jxl::api::{
    Endianness, Event, JxlBitDepth, JxlBitstreamInput, JxlColorType, JxlDataFormat, JxlDecoder, JxlDecoderOptions,
    JxlOutputBuffer, JxlParallelRunner, JxlParallelRunnerFun, JxlPixelFormat, ProfileLevel,
};
use jxl::error::{Error as Fault, Result as JxlResult};

use crate::dither::Noise;
use crate::error::{Error, Result, look, zeroed};
use crate::frames::{Needs, most_groups, most_samples};
use crate::header::Header;
use crate::{Env, Levels, Picture};

/// The picture in the rows of the file. Where it may be `incomplete`, what is missing is what `jxl` makes of it.
/// `is_jpeg`: the coefficients are those of a JPEG, of which the reference makes that again. Its levels are the nearest, without noise.
pub fn decode(bytes: &[u8], header: &Header, is_jpeg: bool, incomplete: bool, env: &Env<'_>) -> Result<Picture> {
    let (width, height) = (header.width(), header.height());
    let mut options = JxlDecoderOptions::default();
    options.adjust_orientation = false;
    // What level 10 allows beyond it are channels and transforms by the thousands.
    options.max_profile_level = ProfileLevel::Main5;
    options.sample_limit = Some(most_samples(header));
    let mut decoder = JxlDecoder::new(options);
    let mut input = Input { bytes, env };
    let mut runner = Runner { left: most_groups(header), env };

    match decoder.process(&mut input, None, Some(&mut runner))? {
        Event::BasicInfo => {}
        Event::NeedMoreInput { .. } => return Err(Error::Truncated),
        _ => return Err(Error::Damaged("no header".to_owned())),
    }
    let info = decoder.basic_info().ok_or(Error::Truncated)?;
    let is_same = info.size == (width, height)
        && info.extra_channels.len() + 3 == header.channels()
        && info.orientation as u8 == header.orientation()
        && matches!(info.bit_depth, JxlBitDepth::Float { .. }) == header.is_float();
    if !is_same {
        return Err(Error::Damaged("headers disagree".to_owned()));
    }
    let extra = info.extra_channels.len();
    let depth = info.bit_depth.clone();
    let grey = decoder.current_pixel_format().is_some_and(|format| format.color_type.is_grayscale());
    let floats = matches!(depth, JxlBitDepth::Float { .. });
    let endianness = Endianness::native();
    decoder.set_pixel_format(JxlPixelFormat {
        color_type: if grey { JxlColorType::Grayscale } else { JxlColorType::Rgb },
        color_data_format: Some(match floats {
            true => JxlDataFormat::F32 { endianness },
            false => JxlDataFormat::U16 { endianness, bit_depth: 16 },
        }),
        extra_channel_format: vec![None; extra],
    })?;

    let layout = Layout {
        width,
        height,
        channels: if grey { 1 } else { 3 },
        bytes: if floats { 4 } else { 2 },
        mirrored: (matches!(header.orientation(), 2 | 3 | 7 | 8), matches!(header.orientation(), 3 | 4 | 6 | 7)),
        plain: is_jpeg,
    };
    // Rows have to lie at multiples of a sample's size.
    let mut samples = zeroed(layout.row() * height + 3, env)?;
    let first = samples.as_ptr().align_offset(4).min(3);
    let is_cut = {
        let place = samples.get_mut(first..first + layout.row() * height).ok_or(Error::OutOfMemory(0))?;
        let mut buffers = [JxlOutputBuffer::new(place, height, layout.row())];
        loop {
            let event = decoder.process(&mut input, Some(&mut buffers), Some(&mut runner));
            let cut = match event {
                Ok(Event::FrameComplete { .. } | Event::Complete) => break false,
                Ok(Event::NeedMoreInput { .. }) => Error::Truncated,
                Ok(Event::BasicInfo | Event::FrameHeader) => continue,
                Err(fault) => fault.into(),
            };
            if !incomplete || !matches!(cut, Error::Truncated | Error::Damaged(_)) {
                return Err(cut);
            }
            match decoder.flush_pixels(&mut buffers, Some(&mut runner)) {
                Ok(true) => break true,
                _ => return Err(cut),
            }
        }
    };
    drop(decoder);
    let levels = match (&depth, grey) {
        (JxlBitDepth::Int { bits_per_sample: 9.. }, true) => {
            samples.copy_within(first.., 0);
            samples.truncate(layout.row() * height);
            Levels::Grey16(samples)
        }
        _ => Levels::Rgb(rgb(samples, first, layout, &depth, env)?),
    };
    Ok(Picture { levels, is_cut })
}

/// Bytes that [`decode`] takes at most. `frames`: what they take beside the picture.
pub fn needs(header: &Header, frames: Needs) -> usize {
    let each = if header.is_float() { 12 } else { 6 };
    // And some tables.
    header.area().saturating_mul(each).saturating_add(8 << 20).saturating_add(frames.bytes)
}

/// How samples lie in memory.
#[derive(Clone, Copy)]
struct Layout {
    width: usize,
    height: usize,
    channels: usize,
    /// A sample's.
    bytes: usize,
    /// Columns and rows are mirrored before anything is added to samples; they change places after it.
    mirrored: (bool, bool),
    /// Nothing is added.
    plain: bool,
}

impl Layout {
    fn row(&self) -> usize {
        self.width * self.channels * self.bytes
    }
}

/// Three levels a pixel, in the place of the samples where those take more.
fn rgb(mut samples: Vec<u8>, first: usize, layout: Layout, depth: &JxlBitDepth, env: &Env<'_>) -> Result<Vec<u8>> {
    let (row, out_row) = (layout.row(), 3 * layout.width);
    let mut line = zeroed(row, env)?;
    // Grey of 16 bits is less than what is made of it.
    let in_place = row >= out_row;
    let mut apart = if in_place { Vec::new() } else { zeroed(out_row * layout.height, env)? };
    for y in 0..layout.height {
        look(env)?;
        let from = first + y * row;
        line.copy_from_slice(samples.get(from..from + row).unwrap_or_default());
        let out = if in_place { &mut samples } else { &mut apart };
        let Some(out) = out.get_mut(y * out_row..(y + 1) * out_row) else { break };
        row_to_rgb(&line, out.as_chunks_mut::<3>().0, layout, depth, y);
    }
    let mut pixels = if in_place { samples } else { apart };
    pixels.truncate(out_row * layout.height);
    pixels.shrink_to_fit();
    Ok(pixels)
}

fn row_to_rgb(line: &[u8], out: &mut [[u8; 3]], layout: Layout, depth: &JxlBitDepth, y: usize) {
    let floats = matches!(depth, JxlBitDepth::Float { .. });
    let words = line.as_chunks::<2>().0;
    let y = if layout.mirrored.1 { layout.height - 1 - y } else { y };
    // Noise repeats after 32 columns.
    let column = |x: usize| if layout.mirrored.0 { (layout.width + 31 - x) % 32 } else { x };
    fn noise<const N: usize>(y: usize, column: impl Fn(usize) -> usize, plain: bool) -> Noise<N> {
        if plain { Noise::none() } else { Noise::of(y, column) }
    }
    match (floats, layout.channels) {
        (true, 1) => out.iter_mut().zip(line.as_chunks::<4>().0).for_each(|(o, s)| *o = [float_level(s); 3]),
        (true, _) => {
            for (o, s) in out.iter_mut().zip(line.as_chunks::<4>().0.as_chunks::<3>().0) {
                *o = s.each_ref().map(float_level);
            }
        }
        (false, 1) => {
            let mut levels = [0; 256];
            let noise = noise::<1>(y, column, layout.plain);
            for (out, words) in out.chunks_mut(levels.len()).zip(words.chunks(levels.len())) {
                noise.levels(words, &mut levels);
                out.iter_mut().zip(levels).for_each(|(o, level)| *o = [level; 3]);
            }
        }
        // Declared with more than 8 bits: the high byte.
        (false, _) if depth.bits_per_sample() > 8 => {
            for (o, s) in out.iter_mut().zip(words.as_chunks::<3>().0) {
                *o = s.map(|s| (u16::from_ne_bytes(s) >> 8) as u8);
            }
        }
        (false, _) => noise::<3>(y, column, layout.plain).levels(words, out.as_flattened_mut()),
    }
}

fn float_level(sample: &[u8; 4]) -> u8 {
    (f32::from_ne_bytes(*sample) * 255.0).clamp(0.0, 255.0) as u8
}

/// The file, which looks up as it is read.
struct Input<'a, 'e> {
    bytes: &'a [u8],
    env: &'a Env<'e>,
}

impl JxlBitstreamInput for Input<'_, '_> {
    fn available_bytes(&mut self) -> io::Result<usize> {
        Ok(self.bytes.len())
    }

    fn read(&mut self, places: &mut [IoSliceMut]) -> io::Result<usize> {
        if !(self.env.go_on)() {
            return Err(io::ErrorKind::Interrupted.into());
        }
        JxlBitstreamInput::read(&mut self.bytes, places)
    }

    fn skip(&mut self, bytes: usize) -> io::Result<usize> {
        JxlBitstreamInput::skip(&mut self.bytes, bytes)
    }
}

/// Runs groups one after the other on this thread, and looks between them.
struct Runner<'a, 'e> {
    /// Groups that may still be decoded.
    left: usize,
    env: &'a Env<'e>,
}

impl JxlParallelRunner for Runner<'_, '_> {
    fn run(&mut self, count: usize, job: &JxlParallelRunnerFun<'_>) -> JxlResult<()> {
        for i in 0..count {
            if !(self.env.go_on)() {
                return Err(Fault::IOError(io::ErrorKind::Interrupted.into()));
            }
            self.left = self.left.checked_sub(1).ok_or(Fault::ArithmeticOverflow)?;
            job(i)?;
        }
        Ok(())
    }

    fn num_threads(&self) -> usize {
        1
    }

    fn run_ordered(&mut self, count: usize, _: Option<usize>, job: &JxlParallelRunnerFun<'_>) -> JxlResult<()> {
        self.run(count, job)
    }
}
