//! Where the pixels lie: strips or tiles, in planes or not.

use crate::compression::Compression;
use crate::directory::{Directory, Entry, tag};
use crate::error::{Error, Result, Unsupported};
use crate::samples::{Kind, Samples};

/// Pixels across or down, at most.
const MOST: usize = u32::MAX as usize;

/// A piece of a picture that is coded by itself.
#[derive(Clone, Copy, Debug)]
pub struct Chunk {
    /// The picture's column that it begins with.
    pub x: usize,
    /// The picture's row that it begins with.
    pub y: usize,
    /// Columns of it that are inside of the picture.
    pub columns: usize,
    /// Rows of it that are inside of the picture.
    pub rows: usize,
    /// Its number among those of a plane.
    pub index: usize,
}

/// How a picture is parted into strips or tiles.
#[derive(Clone, Debug)]
pub struct Layout {
    /// Pixels of a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// There are tiles, else strips.
    pub tiled: bool,
    /// Columns of a chunk.
    pub chunk_width: usize,
    /// Rows of a chunk. The last strip may have fewer.
    pub chunk_height: usize,
    across: usize,
    down: usize,
    /// Every sample in a plane of its own.
    pub planes: bool,
    /// Chroma samples are so much fewer, across and down, and stand behind the luma of a block.
    pub subsampling: (usize, usize),
    offsets: Entry,
    lengths: Option<Entry>,
    /// Of chunks that are all as large as the picture, Pillow takes the last one where they are not compressed.
    last_counts: bool,
}

/// Width and height. [`Error::Damaged`] where one is missing or zero.
pub fn size(directory: &Directory<'_>) -> Result<(usize, usize)> {
    match (directory.first(tag::WIDTH), directory.first(tag::HEIGHT)) {
        (Some(width), Some(height)) if width.max(height) > MOST => Err(Error::TooMuch("picture is too large")),
        (Some(width), Some(height)) if width > 0 && height > 0 => Ok((width, height)),
        (Some(_), Some(_)) => Err(Error::Damaged("picture is empty")),
        _ => Err(Error::Damaged("no width or height")),
    }
}

/// Without a tag it is 2 × 2, but Pillow knows none where nothing is compressed.
fn subsampling(directory: &Directory<'_>, compression: Compression) -> Result<(usize, usize)> {
    match directory.values(tag::SUBSAMPLING, 2)[..] {
        [across @ (1 | 2 | 4), down @ (1 | 2 | 4)] if down <= across || across == 1 && down == 2 => Ok((across, down)),
        [across, down] => Err(Error::Unsupported(Unsupported::Subsampling(across, down))),
        _ if compression == Compression::None => Ok((1, 1)),
        _ => Ok((2, 2)),
    }
}

impl Layout {
    /// By the tags of strips or tiles. [`Error::Damaged`] where they contradict each other.
    pub fn read(directory: &Directory<'_>, compression: Compression, samples: &Samples) -> Result<Self> {
        let (width, height) = size(directory)?;
        let strips = directory.find(tag::STRIP_OFFSETS);
        // Pillow looks for tiles last, libtiff first, which reads all that is compressed.
        let tiled = match compression {
            Compression::None => strips.is_none(),
            _ => directory.find(tag::TILE_WIDTH).is_some(),
        };
        let (offsets, lengths) = if tiled {
            (directory.find(tag::TILE_OFFSETS).or(strips), directory.find(tag::TILE_LENGTHS))
        } else {
            (strips, None)
        };
        let offsets = offsets.ok_or(Error::Damaged("no strips and no tiles"))?;
        let lengths = lengths.or(directory.find(tag::STRIP_LENGTHS));
        let (chunk_width, chunk_height) = if tiled {
            let side = |tag| directory.first(tag).filter(|&side| side > 0).ok_or(Error::Damaged("tiles have no size"));
            (side(tag::TILE_WIDTH)?, side(tag::TILE_HEIGHT)?)
        } else {
            match directory.first(tag::ROWS_PER_STRIP) {
                Some(0) => return Err(Error::Damaged("strips have no rows")),
                rows => (width, rows.unwrap_or(height).min(height)),
            }
        };
        let planes = directory.first(tag::PLANES) == Some(2) && samples.count > 1;
        let mut layout = Self {
            width,
            height,
            tiled,
            chunk_width,
            chunk_height,
            across: width.div_ceil(chunk_width),
            down: height.div_ceil(chunk_height),
            planes,
            subsampling: (1, 1),
            offsets,
            lengths,
            last_counts: false,
        };
        layout.last_counts = compression == Compression::None
            && !planes
            && (chunk_width, chunk_height) == (width, height)
            && offsets.count > 1;
        if samples.kind == Kind::YCbCr && !compression.is_jpeg() {
            layout.subsampling = subsampling(directory, compression)?;
        }
        Ok(layout)
    }

    /// Row by row of chunks.
    pub fn chunks(&self) -> impl Iterator<Item = Chunk> + '_ {
        (0..self.down).flat_map(move |j| {
            (0..self.across).map(move |i| {
                let (x, y) = (i * self.chunk_width, j * self.chunk_height);
                Chunk {
                    x,
                    y,
                    columns: self.chunk_width.min(self.width - x),
                    rows: self.chunk_height.min(self.height - y),
                    index: j * self.across + i,
                }
            })
        })
    }

    /// Chunks of a plane that have data of their own: a header may tell of billions.
    pub fn given(&self) -> usize {
        if self.last_counts { 1 } else { self.offsets.count }
    }

    /// Where a chunk's data begin, and how long they are at most.
    pub fn place(&self, directory: &Directory<'_>, chunk: &Chunk, plane: usize) -> Result<(usize, usize)> {
        let index = plane.checked_mul(self.across * self.down).and_then(|first| first.checked_add(chunk.index));
        let mut index = index.ok_or(Error::Truncated)?;
        if self.last_counts {
            index = self.offsets.count - 1;
        }
        let offset = directory.value(self.offsets, index).ok_or(Error::Damaged("too few strips or tiles"))?;
        let length = self.lengths.and_then(|lengths| directory.value(lengths, index)).filter(|&length| length > 0);
        // Without a length they go on to the next ones.
        let next = || directory.value(self.offsets, index + 1).and_then(|next| next.checked_sub(offset));
        Ok((offset, length.or_else(|| next().filter(|&length| length > 0)).unwrap_or(usize::MAX)))
    }

    /// Bytes of a row of a chunk, or of a row of blocks where chroma is subsampled.
    pub fn row_bytes(&self, samples: &Samples) -> Option<usize> {
        match self.subsampling {
            (1, 1) => {
                let count = if self.planes { 1 } else { samples.count };
                Some(self.chunk_width.checked_mul(count)?.checked_mul(samples.bits)?.div_ceil(8))
            }
            (across, down) => self.chunk_width.div_ceil(across).checked_mul(across * down + 2),
        }
    }

    /// Bytes of so many rows of a chunk.
    pub fn bytes(&self, samples: &Samples, rows: usize) -> Option<usize> {
        self.row_bytes(samples)?.checked_mul(rows.div_ceil(self.subsampling.1))
    }
}
