//! Where the picture to be shown is in a file.

use isobmff::{Cursor, File, Grid, Meta, Nclx, Property, Targets, Track};

use crate::colour::Colour;
use crate::error::{Error, Result};
use crate::tile::{Tile, check_essential};

#[derive(Clone, Debug)]
pub struct Picture<'a> {
    pub width: u32,
    pub height: u32,
    /// Columns and rows of tiles; one of each where it is no grid.
    pub grid: (u32, u32),
    /// Row by row.
    pub tiles: Vec<Tile<'a>>,
    /// As the container tells them, which overrides what AV1 says.
    pub colour: Option<Colour>,
    /// There is an alpha channel, by which libavif converts otherwise.
    pub alpha: bool,
    /// The alpha channel that colours are multiplied by.
    pub multiplied: Option<Box<Picture<'a>>>,
    pub turn: Turn,
}

/// Where a sequence is.
pub struct Tracks<'a> {
    /// Its first picture.
    pub picture: Picture<'a>,
    pub colours: Track<'a>,
    /// The track of its alpha channel.
    pub alpha: Option<Track<'a>>,
}

/// `irot`, then `imir`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Turn {
    rotation: Option<u8>,
    mirror: Option<u8>,
}

impl Turn {
    /// As Pillow says it in EXIF's numbers.
    pub fn exif(self) -> Option<u8> {
        match (self.rotation, self.mirror) {
            (None | Some(0), None) => None,
            (None | Some(0), Some(axis)) => Some(if axis == 1 { 2 } else { 4 }),
            (Some(1), None) => Some(8),
            (Some(1), Some(axis)) => Some(if axis == 1 { 7 } else { 5 }),
            (Some(2), None) => Some(3),
            (Some(2), Some(axis)) => Some(if axis == 1 { 4 } else { 2 }),
            (Some(_), None) => Some(6),
            (Some(_), Some(axis)) => Some(if axis == 1 { 5 } else { 7 }),
        }
    }
}

pub fn is_avif(bytes: &[u8]) -> bool {
    let Some(brands) = isobmff::Brands::read(bytes) else { return false };
    match &brands.major {
        b"avif" | b"avis" => true,
        // Of any pictures in this container.
        b"mif1" | b"msf1" | b"miaf" => match File::read(bytes) {
            Ok(File { meta: Some(meta), .. }) => meta.primary.is_some_and(|id| is_av1(&meta, id)),
            Ok(_) | Err(_) => brands.has(b"avif") || brands.has(b"avis"),
        },
        _ => false,
    }
}

fn is_av1(meta: &Meta<'_>, id: u32) -> bool {
    let kind = |id| meta.item(id).map(|item| item.kind);
    match kind(id) {
        Some(kind) if kind == *b"av01" => true,
        Some(of) if of == *b"grid" => {
            meta.references(id, b"dimg").iter().next().and_then(kind).is_some_and(|kind| kind == *b"av01")
        }
        _ => false,
    }
}

impl<'a> Picture<'a> {
    /// Which of items and sequences counts is libavif's choice.
    pub fn find(file: &File<'a>) -> Result<Self> {
        match &file.meta {
            Some(meta) if !Self::is_in_sequence(file) => Self::of_items(meta),
            _ => Ok(Self::of_sequence(file)?.picture),
        }
    }

    /// Whether tracks count, and not items.
    pub fn is_in_sequence(file: &File<'_>) -> bool {
        let by_brand = file.brands.major == *b"avis" || file.brands.major != *b"avif" && file.movie.is_some();
        by_brand && file.movie.is_some() || file.meta.is_none()
    }

    fn of_items(meta: &Meta<'a>) -> Result<Self> {
        let id = meta.primary.ok_or(Error::Damaged("no item is to be shown"))?;
        let mut picture = Self::of_item(meta, id)?;
        let alpha = meta.referring(id, *b"auxl").find(|&item| is_alpha(meta, item));
        if let Some(alpha) = alpha
            && meta.references(id, b"prem").iter().any(|id| id == alpha)
        {
            picture.multiplied = Some(Box::new(Self::of_item(meta, alpha)?));
        }
        let first = meta.references(id, b"dimg").get(0);
        let of_tile = first.is_some_and(|tile| meta.referring(tile, *b"auxl").any(|id| is_alpha(meta, id)));
        picture.alpha = alpha.is_some() || of_tile;
        Ok(picture)
    }

    /// A picture by itself.
    fn of_item(meta: &Meta<'a>, id: u32) -> Result<Self> {
        let item = meta.item(id).ok_or(Error::Damaged("the item to be shown is missing"))?;
        let (colour, turn) = looks(meta.properties(id).map(|property| property.map(|associated| associated.property)))?;
        let (size, grid, tiles) = if item.kind == *b"grid" {
            check_essential(meta, id)?;
            let grid = Grid::read(&meta.data(id)?)?;
            let parts = meta.references(id, b"dimg");
            if parts.len() != grid.tiles() {
                return Err(Error::Damaged("a grid has other tiles than its rows and columns"));
            }
            let mut tiles = Vec::new();
            tiles.try_reserve_exact(parts.len()).map_err(|_| Error::OutOfMemory(parts.len()))?;
            for part in parts.iter() {
                tiles.push(Tile::of_item(meta, part)?);
            }
            check_parts(parts)?;
            check_cover(&grid, &tiles)?;
            ((grid.width, grid.height), (grid.columns, grid.rows), tiles)
        } else {
            let tile = Tile::of_item(meta, id)?;
            ((tile.width, tile.height), (1, 1), vec![tile])
        };
        Self::new(size, grid, tiles, colour, turn)
    }

    fn new(
        (width, height): (u32, u32),
        grid: (u32, u32),
        tiles: Vec<Tile<'a>>,
        colour: Option<Colour>,
        turn: Turn,
    ) -> Result<Self> {
        if width == 0 || height == 0 {
            return Err(Error::Damaged("the picture has no size"));
        }
        Ok(Self { width, height, grid, tiles, colour, alpha: false, multiplied: None, turn })
    }

    /// The first picture of the first track that is no other's alpha.
    pub fn of_sequence(file: &File<'a>) -> Result<Tracks<'a>> {
        const NONE: Error = Error::Damaged("neither items nor a sequence of AV1");
        let tracks = &file.movie.as_ref().ok_or(NONE)?.tracks;
        let is_of = |track: &Track<'_>, of: u32| track.refers_to(of, b"auxl").unwrap_or_default();
        for track in tracks {
            let others = || tracks.iter().filter(|other| other.id != track.id);
            if others().any(|other| is_of(track, other.id)) {
                continue;
            }
            let Some(mut picture) = Self::of_track(track)? else { continue };
            let alpha = others().find(|other| is_of(other, track.id)).copied();
            if let Some(alpha) = &alpha {
                picture.alpha = true;
                if track.refers_to(alpha.id, b"prem")? {
                    picture.multiplied = Self::of_track(alpha)?.map(Box::new);
                }
            }
            return Ok(Tracks { picture, colours: *track, alpha });
        }
        Err(NONE)
    }

    /// The first of a track's pictures, if that is of AV1.
    fn of_track(track: &Track<'a>) -> Result<Option<Self>> {
        if track.samples.count() == 0 {
            return Ok(None);
        }
        let sample = track.samples.get(0)?;
        let entry = track.entry(sample.description)?;
        if entry.kind != *b"av01" {
            return Ok(None);
        }
        let (colour, turn) = looks(entry.properties())?;
        let (width, height) = (u32::from(entry.width), u32::from(entry.height));
        let tile = Tile { data: sample.data.into(), width, height, layer: None, operating_point: 0 };
        Self::new((width, height), (1, 1), vec![tile], colour, turn).map(Some)
    }
}

/// The same tile in many places would be work that costs a file nothing; libavif refuses it, too.
fn check_parts(parts: Targets<'_>) -> Result<()> {
    let mut ids = Vec::new();
    ids.try_reserve_exact(parts.len()).map_err(|_| Error::OutOfMemory(parts.len()))?;
    ids.extend(parts.iter());
    ids.sort_unstable();
    if ids.array_windows().any(|[id, next]| id == next) {
        return Err(Error::Damaged("a grid has a tile twice"));
    }
    Ok(())
}

/// Tiles of one size cover the picture, and none is outside of it.
fn check_cover(grid: &Grid, tiles: &[Tile<'_>]) -> Result<()> {
    let Some(&Tile { width, height, .. }) = tiles.first() else { return Ok(()) };
    if tiles.iter().any(|tile| (tile.width, tile.height) != (width, height)) {
        return Err(Error::Damaged("tiles are of different sizes"));
    }
    let fits = |tile: u32, tiles: u32, side: u32| {
        let before = u64::from(tile) * u64::from(tiles.saturating_sub(1));
        before < u64::from(side) && before + u64::from(tile) >= u64::from(side)
    };
    if !fits(width, grid.columns, grid.width) || !fits(height, grid.rows, grid.height) {
        return Err(Error::Damaged("the tiles of a grid do not cover it"));
    }
    let area = |width: u32, height: u32| u64::from(width) * u64::from(height);
    if area(width, height) > SMALL_TILE && area(width, height) / 4 > area(grid.width, grid.height) {
        return Err(Error::TooMuch("the tiles of a grid are much larger than it"));
    }
    Ok(())
}

/// Pixels of a tile that any picture may have.
const SMALL_TILE: u64 = 512 * 512;

/// Of several properties of a kind the first one counts.
fn looks<'a>(properties: impl Iterator<Item = isobmff::Result<Property<'a>>>) -> Result<(Option<Colour>, Turn)> {
    let (mut colour, mut turn) = (None, Turn::default());
    for property in properties {
        match property? {
            Property::Nclx(Nclx { primaries, matrix, full_range, .. }) => {
                colour = colour.or(Some(Colour { primaries, matrix, full_range }));
            }
            Property::Rotation(quarters) => turn.rotation = turn.rotation.or(Some(quarters)),
            Property::Mirror(axis) => turn.mirror = turn.mirror.or(Some(axis)),
            _ => {}
        }
    }
    Ok((colour, turn))
}

fn is_alpha(meta: &Meta<'_>, id: u32) -> bool {
    const URNS: [&[u8]; 2] = [b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha", b"urn:mpeg:hevc:2015:auxid:1"];
    meta.properties(id).flatten().any(|of| matches!(of.property, Property::Auxiliary(urn) if URNS.contains(&urn)))
}

/// EXIF and XMP of the picture. What is damaged there is taken for missing.
pub fn metadata<'a>(file: &File<'a>) -> (Option<&'a [u8]>, Option<&'a [u8]>) {
    let Some(meta) = &file.meta else { return (None, None) };
    let Some(primary) = meta.primary else { return (None, None) };
    let (mut exif, mut xmp) = (None, None);
    for id in meta.referring(primary, *b"cdsc") {
        let Some(item) = meta.item(id) else { continue };
        // Such as are in pieces are not put together.
        let Ok(std::borrow::Cow::Borrowed(data)) = meta.data(id) else { continue };
        if item.kind == *b"Exif" {
            let mut cursor = Cursor::new(data);
            let block = cursor.u32().ok().and_then(|skipped| cursor.rest().get(skipped as usize..));
            exif = exif.or(block);
        } else if item.kind == *b"mime" && item.content_type == b"application/rdf+xml" {
            xmp = xmp.or(Some(data));
        }
    }
    (exif, xmp)
}
