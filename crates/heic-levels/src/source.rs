//! Which pictures of a file make the one that is shown.

use std::borrow::Cow;
use std::sync::Arc;

use hevc_decoder::{Picture, Scan, Sets, Signal, Stream};
use isobmff::{File, Grid, Meta, Nclx, Property, Track};

use crate::error::{Error, Result};
use crate::turn::{Turn, is_turn};

/// One coded picture, or a grid of them.
#[derive(Clone, Debug)]
pub struct Source<'a> {
    pub pictures: Pictures<'a>,
    pub grid: Grid,
    pub turn: Turn,
    /// What the container says of the colours.
    pub colours: Option<Nclx>,
    /// As coded: of all of it, and of a tile.
    pub width: usize,
    pub height: usize,
    pub tile: (usize, usize),
    /// It becomes planes of RGB, as a part of an overlay, which libheif computes in another way.
    pub planar: bool,
}

/// Where the coded pictures are.
#[derive(Clone, Debug)]
pub enum Pictures<'a> {
    Items(Arc<Meta<'a>>, Vec<u32>),
    /// The first of a sequence: its parameter sets, lengths' size and data.
    Sample(Coded<'a>),
}

/// A coded picture.
#[derive(Clone, Debug)]
pub struct Coded<'a> {
    sets: Sets,
    length_size: usize,
    data: Cow<'a, [u8]>,
    colours: Option<Nclx>,
}

/// Items that are made of one other each may follow on each other.
const MOST_DERIVED: usize = 4;

impl<'a> Source<'a> {
    /// The first picture of a sequence.
    pub fn of_movie(movie: Option<&isobmff::Movie<'a>>) -> Result<Self> {
        of_movie(movie.ok_or(Error::Damaged("there is no picture in it"))?)
    }

    /// What an item shows: a coded picture, a grid of them, or either one under another id, with turns of its own.
    pub fn of_item(meta: &Arc<Meta<'a>>, item: u32) -> Result<Self> {
        let (mut id, mut outer) = (item, Vec::new());
        for _ in 0..MOST_DERIVED {
            let item = *meta.item(id).ok_or(Error::Damaged("an item is missing"))?;
            if item.protected {
                return Err(Error::Unsupported("an encrypted picture"));
            }
            let (ids, grid) = match &item.kind {
                b"hvc1" | b"hev1" => (vec![id], None),
                b"grid" => {
                    let grid = Grid::read(&meta.data(id)?)?;
                    let tiles = meta.references(id, b"dimg");
                    if tiles.len() != grid.tiles() {
                        return Err(Error::Damaged("tiles of its grid are missing"));
                    }
                    (tiles.iter().collect(), Some(grid))
                }
                b"iden" => {
                    outer.push(id);
                    id = meta.references(id, b"dimg").get(0).ok_or(Error::Damaged("a picture is made of none"))?;
                    continue;
                }
                b"iovl" => return Err(Error::Unsupported("an overlay of pictures in another one")),
                b"av01" => return Err(Error::Unsupported("AV1 pictures (AVIF)")),
                b"jpeg" => return Err(Error::Unsupported("JPEG pictures")),
                b"unci" => return Err(Error::Unsupported("uncompressed pictures")),
                _ => return Err(Error::Unsupported("pictures of another codec than HEVC")),
            };
            return of_coded_items(meta, id, ids, grid, &outer);
        }
        Err(Error::Damaged("pictures are made of each other"))
    }

    /// The first picture of a file's sequence, and its track. `None` where the file shows a still picture: items count, but where
    /// the major brand says that it is a sequence.
    pub fn of_sequence(bytes: &'a [u8]) -> Result<Option<(Self, Track<'a>)>> {
        let file = File::read(bytes)?;
        let Some(movie) = file.movie else { return Ok(None) };
        let has_item = file.meta.is_some_and(|meta| meta.primary.is_some());
        if has_item && !matches!(&file.brands.major, b"hevc" | b"hevx" | b"msf1") {
            return Ok(None);
        }
        Ok(Some((of_movie(&movie)?, *track(&movie)?)))
    }

    /// How many coded pictures there are.
    pub fn count(&self) -> usize {
        match &self.pictures {
            Pictures::Items(_, ids) => ids.len(),
            Pictures::Sample(_) => 1,
        }
    }

    /// One of them.
    pub fn coded(&self, i: usize) -> Result<Cow<'_, Coded<'a>>> {
        match &self.pictures {
            Pictures::Items(meta, ids) => {
                let id = ids.get(i).ok_or(Error::Damaged("a tile is missing"))?;
                Ok(Cow::Owned(of_coded_item(meta, *id)?))
            }
            Pictures::Sample(coded) => Ok(Cow::Borrowed(coded)),
        }
    }
}

impl Coded<'_> {
    pub fn picture(&self) -> Result<Picture<'_>> {
        Ok(Picture::new(self.sets.clone(), &self.data, self.length_size)?)
    }

    /// What its samples mean: the container's word counts, that of a grid before that of its tiles.
    pub fn colours(&self, picture: &Picture, outer: Option<Nclx>) -> Result<Nclx> {
        Ok(self.colours_by(picture.format()?.signal, outer))
    }

    /// Where the stream says this.
    pub fn colours_by(&self, signal: Signal, outer: Option<Nclx>) -> Nclx {
        let [primaries, transfer, matrix] = signal.colours.unwrap_or([2; 3]).map(u16::from);
        // libde265 does not know later ones.
        let matrix = if matrix > 10 { 2 } else { matrix };
        let full_range = signal.full_range.unwrap_or(false);
        outer.or(self.colours).unwrap_or(Nclx { primaries, transfer, matrix, full_range })
    }

    /// What a decoder of the pictures that follow begins with: parameter sets, and bytes of a length.
    pub fn stream(&self) -> Stream {
        Stream::new(self.sets.clone(), self.length_size)
    }

    /// And what looks at them before.
    pub fn scan(&self) -> Scan {
        Scan::new(self.sets.clone(), self.length_size)
    }

    /// Its data.
    pub fn data(&self) -> &[u8] {
        &self.data
    }

    /// Bytes that were copied.
    pub fn copied(&self) -> usize {
        if let Cow::Owned(data) = &self.data { data.len() } else { 0 }
    }
}

/// Whether the first items of such a file are HEVC.
pub fn has_hevc(bytes: &[u8]) -> bool {
    let meta = File::read(bytes).ok().and_then(|file| file.meta);
    meta.is_some_and(|meta| meta.items().iter().any(|item| matches!(&item.kind, b"hvc1" | b"hev1")))
}

/// What an item's properties say, but for how it is coded.
pub struct Said {
    pub size: Option<(usize, usize)>,
    pub colours: Option<Nclx>,
}

impl Said {
    /// `Damaged` where it is said to have another size than this.
    pub fn fits(&self, size: (usize, usize)) -> Result<()> {
        if self.size.is_some_and(|said| said != (0, 0) && said != size) {
            return Err(Error::Damaged("its size is not the one that the file says"));
        }
        Ok(())
    }
}

pub fn said(meta: &Meta, id: u32) -> Result<Said> {
    let mut said = Said { size: None, colours: None };
    for associated in meta.properties(id) {
        let associated = associated?;
        match associated.property {
            Property::Size { width, height } => said.size = Some((width as usize, height as usize)),
            Property::Nclx(colours) => said.colours = Some(colours),
            _ if associated.essential && associated.unknown().is_some() => {
                return Err(Error::Unsupported("a property that must be known, and is not"));
            }
            _ => {}
        }
    }
    Ok(said)
}

/// `outer`: items that show this one, the last of which is next to it.
fn of_coded_items<'a>(
    meta: &Arc<Meta<'a>>,
    id: u32,
    ids: Vec<u32>,
    grid: Option<Grid>,
    outer: &[u32],
) -> Result<Source<'a>> {
    let mut said = said(meta, id)?;
    let first = ids.first().copied().ok_or(Error::Damaged("a grid has no tiles"))?;
    let coded = of_coded_item(meta, first)?;
    let format = coded.picture()?.format()?;
    let tile = (format.width, format.height);
    let grid = match grid {
        None => Grid { rows: 1, columns: 1, width: tile.0 as u32, height: tile.1 as u32 },
        Some(grid) => {
            let (across, down) = format.chroma.shifts();
            let is_odd = (across > 0 && tile.0 % 2 == 1) || (down > 0 && tile.1 % 2 == 1);
            if is_odd && grid.tiles() > 1 {
                return Err(Error::Unsupported("a grid of tiles of odd size"));
            }
            let covers = |tile: usize, count: u32, whole: u32| tile.saturating_mul(count as usize) >= whole as usize;
            if !covers(tile.0, grid.columns, grid.width) || !covers(tile.1, grid.rows, grid.height) {
                return Err(Error::Damaged("the tiles do not cover the picture"));
            }
            grid
        }
    };
    let (width, height) = (grid.width as usize, grid.height as usize);
    if width == 0 || height == 0 {
        return Err(Error::Damaged("the picture has no size"));
    }
    said.fits((width, height))?;
    let mut turn = Turn::new(width, height);
    turn.apply_all(meta, id, format.chroma.shifts())?;
    for id in outer.iter().rev() {
        let above = self::said(meta, *id)?;
        above.fits((turn.width, turn.height))?;
        // Where chroma was enlarged before, libheif did that with the inner colours: a level's difference at most was seen.
        said.colours = above.colours.or(said.colours);
        turn.apply_all(meta, *id, format.chroma.shifts())?;
    }
    // A tile's own turns would be made before it is laid.
    if ids != [id] {
        for tile in &ids {
            if meta.properties(*tile).any(|found| found.is_ok_and(|found| is_turn(&found.property))) {
                return Err(Error::Unsupported("a grid of turned tiles"));
            }
        }
    }
    let pictures = Pictures::Items(meta.clone(), ids);
    Ok(Source { pictures, grid, turn, colours: said.colours, width, height, tile, planar: false })
}

fn of_coded_item<'a>(meta: &Meta<'a>, id: u32) -> Result<Coded<'a>> {
    let kind = meta.item(id).map(|item| item.kind);
    if !matches!(kind.as_ref(), Some(b"hvc1" | b"hev1")) {
        return Err(Error::Unsupported("a tile of another codec than HEVC"));
    }
    let mut config = None;
    for associated in meta.properties(id) {
        if let Property::Hevc(found) = associated?.property {
            config = config.or(Some(found));
        }
    }
    let said = said(meta, id)?;
    let config = config.ok_or(Error::Damaged("a picture has no decoder configuration"))?;
    let mut sets = Sets::default();
    config.units(|unit| sets.add(unit).map_err(Error::from))?;
    Ok(Coded { sets, length_size: config.length_size, data: meta.data(id)?, colours: said.colours })
}

/// The first track to be shown.
fn track<'m, 'a>(movie: &'m isobmff::Movie<'a>) -> Result<&'m Track<'a>> {
    let track = movie.tracks.iter().find(|track| track.handler != *b"auxv");
    track.ok_or(Error::Damaged("there is no picture in it"))
}

/// The first picture of that.
fn of_movie<'a>(movie: &isobmff::Movie<'a>) -> Result<Source<'a>> {
    let track = track(movie)?;
    let sample = track.samples.get(track.samples.first_sync()?)?;
    let entry = track.entry(sample.description)?;
    if !matches!(&entry.kind, b"hvc1" | b"hev1") {
        return Err(Error::Unsupported("a sequence of another codec than HEVC"));
    }
    let (mut config, mut colours, mut turns) = (None, None, Vec::new());
    for property in entry.properties() {
        match property? {
            Property::Hevc(found) => config = Some(found),
            Property::Nclx(found) => colours = Some(found),
            property if is_turn(&property) && turns.len() < 16 => turns.push(property),
            _ => {}
        }
    }
    let config = config.ok_or(Error::Damaged("a picture has no decoder configuration"))?;
    let mut sets = Sets::default();
    config.units(|unit| sets.add(unit).map_err(Error::from))?;
    let coded = Coded { sets, length_size: config.length_size, data: Cow::Borrowed(sample.data), colours };
    let format = coded.picture()?.format()?;
    let (width, height) = (format.width, format.height);
    let mut turn = Turn::new(width, height);
    for property in &turns {
        turn.apply(property, format.chroma.shifts())?;
    }
    let grid = Grid { rows: 1, columns: 1, width: width as u32, height: height as u32 };
    let (pictures, tile) = (Pictures::Sample(coded), (width, height));
    Ok(Source { pictures, grid, turn, colours: None, width, height, tile, planar: false })
}
