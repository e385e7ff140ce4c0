//! Pictures that are laid over each other (`iovl`), as libheif does it: in planes of RGB, 8 bits each.

use std::sync::Arc;

use hevc_decoder::Chroma;
use isobmff::{Meta, Property};

use crate::Env;
use crate::decode::{self, LARGER, put};
use crate::error::{Error, Result};
use crate::source::{Source, said};
use crate::turn::Turn;

/// Layers that one may have, and coded pictures of all.
const MOST_LAYERS: usize = 256;
const MOST_PICTURES: usize = 1 << 16;

#[derive(Clone, Debug)]
pub struct Overlay<'a> {
    layers: Vec<Layer<'a>>,
    background: [u8; 3],
    /// Of the canvas.
    pub width: usize,
    pub height: usize,
    pub turn: Turn,
}

#[derive(Clone, Debug)]
struct Layer<'a> {
    source: Source<'a>,
    /// How much of each of its pixels counts.
    alpha: Option<Source<'a>>,
    /// Of its left upper corner on the canvas.
    place: (i64, i64),
}

impl<'a> Overlay<'a> {
    pub fn new(meta: &Arc<Meta<'a>>, id: u32) -> Result<Self> {
        let data = meta.data(id)?;
        let layout = isobmff::Overlay::read(&data)?;
        let (width, height) = (layout.width as usize, layout.height as usize);
        if width == 0 || height == 0 {
            return Err(Error::Damaged("the picture has no size"));
        }
        said(meta, id)?.fits((width, height))?;
        let parts = meta.references(id, b"dimg");
        if parts.is_empty() {
            return Err(Error::Damaged("a picture is made of none"));
        }
        if parts.len() > MOST_LAYERS {
            return Err(Error::TooMuch("an overlay of too many pictures"));
        }
        let mut turn = Turn::new(width, height);
        turn.apply_all(meta, id, (0, 0))?;
        let (mut layers, mut pictures) = (Vec::new(), 0);
        for (i, part) in parts.iter().enumerate() {
            let (x, y) = layout.offset(i).ok_or(Error::Damaged("a picture of an overlay has no place"))?;
            let layer = Layer::new(meta, part, (x.into(), y.into()))?;
            pictures += layer.sources().map(Source::count).sum::<usize>();
            if pictures > MOST_PICTURES {
                return Err(Error::TooMuch("an overlay of too many pictures"));
            }
            layers.push(layer);
        }
        let background = [0, 1, 2].map(|i| (layout.background[i] >> 8) as u8);
        Ok(Self { layers, background, width, height, turn })
    }

    /// Bytes beside those of the picture.
    pub fn needs(&self) -> Result<usize> {
        let (mut most, mut pixels) = (0, 0usize);
        for layer in &self.layers {
            let mut held = 0usize;
            for source in layer.sources() {
                pixels = pixels.saturating_add(source.width.saturating_mul(source.height));
                held = held.saturating_add(source.turn.width.saturating_mul(source.turn.height).saturating_mul(3));
                most = most.max(decode::needs(source)?.saturating_add(held));
            }
        }
        if pixels > decode::allowed(self.width, self.height) {
            return Err(LARGER);
        }
        let canvas = self.width.saturating_mul(self.height).saturating_mul(3);
        Ok(most.saturating_add(if self.is_turned() { canvas } else { 0 }))
    }

    pub fn decode(&self, env: &Env) -> Result<Vec<u8>> {
        self.needs()?;
        let mut canvas = decode::canvas(self.width, self.height, env)?;
        canvas.as_chunks_mut().0.fill(self.background);
        for layer in &self.layers {
            let pixels = decode::decode(&layer.source, env)?;
            let alpha = layer.alpha.as_ref().map(|alpha| decode::decode(alpha, env)).transpose()?;
            layer.lay(pixels.as_chunks().0, alpha.as_ref().map(|alpha| alpha.as_chunks().0), &mut canvas, self.width);
        }
        if !self.is_turned() {
            return Ok(canvas);
        }
        let mut turned = decode::canvas(self.turn.width, self.turn.height, env)?;
        for (y, line) in canvas.as_chunks().0.chunks_exact(self.width).enumerate() {
            if let Some(row) = self.turn.row(0, y, self.width) {
                put(row, line, turned.as_chunks_mut().0);
            }
        }
        Ok(turned)
    }

    fn is_turned(&self) -> bool {
        self.turn != Turn::new(self.width, self.height)
    }
}

impl<'a> Layer<'a> {
    fn new(meta: &Arc<Meta<'a>>, id: u32, place: (i64, i64)) -> Result<Self> {
        let read = |id| -> Result<_> {
            let source = Source::of_item(meta, id)?;
            let format = source.coded(0)?.picture()?.format()?;
            if format.depth[0] != 8 {
                return Err(Error::Unsupported("an overlay of pictures of more than 8 bits"));
            }
            if source.turn.upsampled.is_some() {
                return Err(Error::Unsupported("an overlay of pictures that are turned between samples of chroma"));
            }
            Ok((Source { planar: true, ..source }, format.chroma))
        };
        let (source, _) = read(id)?;
        let mut alpha = None;
        if let Some(id) = meta.referring(id, *b"auxl").find(|id| is_alpha(meta, *id)) {
            let (found, chroma) = read(id)?;
            let size = |source: &Source| (source.turn.width, source.turn.height);
            if chroma != Chroma::Monochrome || size(&found) != size(&source) {
                return Err(Error::Unsupported("an overlay whose alpha is no grey picture of the same size"));
            }
            alpha = Some(found);
        }
        Ok(Self { source, alpha, place })
    }

    /// What is decoded, one after the other.
    fn sources(&self) -> impl Iterator<Item = &Source<'a>> {
        std::iter::once(&self.source).chain(&self.alpha)
    }

    /// Puts its pixels onto a canvas, as far as they are within it.
    fn lay(&self, pixels: &[[u8; 3]], alpha: Option<&[[u8; 3]]>, canvas: &mut [u8], width: usize) {
        let canvas = canvas.as_chunks_mut::<3>().0;
        let (stride, rows) = (self.source.turn.width, self.source.turn.height);
        let across = Span::new(self.place.0, stride, width);
        let down = Span::new(self.place.1, rows, canvas.len() / width.max(1));
        let (Some(across), Some(down)) = (across, down) else { return };
        for y in 0..down.count {
            let line = (down.from + y) * stride + across.from;
            let out = (down.to + y) * width + across.to;
            let (line, out) = (line..line + across.count, out..out + across.count);
            let (Some(line), alpha) = (pixels.get(line.clone()), alpha.and_then(|alpha| alpha.get(line))) else {
                return;
            };
            let Some(out) = canvas.get_mut(out) else { return };
            let Some(alpha) = alpha else {
                out.copy_from_slice(line);
                continue;
            };
            for ((pixel, [alpha, ..]), out) in line.iter().zip(alpha).zip(out) {
                let alpha = u32::from(*alpha);
                let blend = |over: u8, under: u8| (u32::from(over) * alpha + u32::from(under) * (255 - alpha)) / 255;
                *out = [0, 1, 2].map(|i| blend(pixel[i], out[i]) as u8);
            }
        }
    }
}

/// Which of a layer's columns or rows are on the canvas.
struct Span {
    /// The first of the layer's.
    from: usize,
    /// Where it is on the canvas.
    to: usize,
    /// How many there are.
    count: usize,
}

impl Span {
    fn new(place: i64, size: usize, canvas: usize) -> Option<Self> {
        let end = (place + size as i64).min(canvas as i64);
        let (from, to) = if place < 0 { (place.unsigned_abs() as usize, 0) } else { (0, place as usize) };
        let count = usize::try_from(end - to as i64).ok().filter(|count| *count > 0)?;
        Some(Self { from, to, count })
    }
}

fn is_alpha(meta: &Meta, id: u32) -> bool {
    const URNS: [&[u8]; 3] =
        [b"urn:mpeg:avc:2015:auxid:1", b"urn:mpeg:hevc:2015:auxid:1", b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha"];
    meta.properties(id).flatten().any(|found| matches!(found.property, Property::Auxiliary(urn) if URNS.contains(&urn)))
}
