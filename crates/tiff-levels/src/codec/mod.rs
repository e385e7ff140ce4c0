//! Coded data to rows of samples.

mod fax;
mod fax_codes;
mod inflate;
mod lzw;
mod packbits;
mod predictor;
mod streams;

use jpeg_levels::Env;

pub use fax::most_runs;

use crate::compression::Compression;
use crate::directory::{Directory, tag};
use crate::error::{Error, Result, Unsupported, look};
use crate::layout::Layout;
use crate::samples::Samples;
use predictor::Predictor;

/// A decoder has so many bytes, coded or not, between two looks.
const PIECE: usize = 64 << 10;

/// How the chunks of a file are coded. JPEG is elsewhere.
pub struct Codec {
    compression: Compression,
    predictor: Predictor,
    /// The bits of a byte come lowest first.
    reversed: bool,
    width: usize,
    row_bytes: usize,
}

/// Do the bits of a byte come lowest first?
pub fn is_reversed(directory: &Directory<'_>) -> bool {
    directory.first(tag::FILL_ORDER) == Some(2)
}

impl Codec {
    /// By the tags. Fax of more than one bit a pixel is refused, and so are predictors that are not known.
    pub fn new(
        directory: &Directory<'_>,
        compression: Compression,
        samples: &Samples,
        layout: &Layout,
        row_bytes: usize,
    ) -> Result<Self> {
        if matches!(compression, Compression::Fax(_)) && (samples.bits != 1 || samples.count != 1) {
            return Err(Error::Unsupported(Unsupported::Bits { bits: samples.bits, colours: "fax" }));
        }
        let predicts =
            matches!(compression, Compression::Lzw | Compression::Deflate | Compression::Lzma | Compression::Zstandard);
        let predictor = if predicts { Predictor::read(directory, samples, layout)? } else { Predictor::None };
        Ok(Self { compression, predictor, reversed: is_reversed(directory), width: layout.chunk_width, row_bytes })
    }

    /// The first rows of a chunk.
    pub fn decode(&self, coded: &[u8], out: &mut [u8], env: &Env<'_>) -> Result<()> {
        if let Compression::Fax(coding) = self.compression {
            let rows = out.chunks_exact_mut(self.row_bytes);
            return fax::decode(coding, coded, self.reversed, self.width, rows, env);
        }
        let turned;
        let coded = if self.reversed {
            turned = reversed(coded, env)?;
            &turned
        } else {
            coded
        };
        match self.compression {
            Compression::Lzw => lzw::decode(coded, out, env)?,
            Compression::Deflate => inflate::decode(coded, out, env)?,
            Compression::PackBits => packbits::decode(coded, out, env)?,
            Compression::Lzma => streams::lzma(coded, out, env)?,
            Compression::Zstandard => streams::zstandard(coded, out, env)?,
            Compression::None | Compression::Fax(_) | Compression::Jpeg | Compression::OldJpeg => {
                return Err(Error::Damaged("compression of another kind"));
            }
        }
        self.predictor.undo(out, self.row_bytes, env)
    }
}

fn reversed(bytes: &[u8], env: &Env<'_>) -> Result<Vec<u8>> {
    let mut out = crate::error::zeroed(bytes.len(), env)?;
    for (out, bytes) in out.chunks_mut(PIECE).zip(bytes.chunks(PIECE)) {
        look(env)?;
        out.iter_mut().zip(bytes).for_each(|(o, b)| *o = b.reverse_bits());
    }
    Ok(out)
}

/// What a decoder did with a piece of its input and of its output.
struct Step {
    read: usize,
    written: usize,
    /// Nothing more comes.
    ended: bool,
}

/// Fills the output, piece by piece. Whatever is left of the input does not matter.
fn fill(
    mut coded: &[u8],
    mut out: &mut [u8],
    env: &Env<'_>,
    mut step: impl FnMut(&[u8], &mut [u8]) -> Result<Step>,
) -> Result<()> {
    while !out.is_empty() {
        look(env)?;
        let (from, to) = (coded.len().min(PIECE), out.len().min(PIECE));
        let Step { read, written, ended } = step(&coded[..from], &mut out[..to])?;
        coded = coded.get(read..).unwrap_or_default();
        out = out.get_mut(written..).unwrap_or_default();
        if ended || (read, written) == (0, 0) {
            break;
        }
    }
    if out.is_empty() { Ok(()) } else { Err(Error::Truncated) }
}
