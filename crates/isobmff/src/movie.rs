//! Image sequences: `moov`.

use crate::FourCc;
use crate::boxes::{Atom, Boxes, find};
use crate::cursor::Cursor;
use crate::error::{Error, Result};
use crate::properties::Property;
use crate::samples::Samples;

/// Tracks that a film may have.
const MOST_TRACKS: usize = 64;

/// The tracks of a `moov` box that are pictures.
#[derive(Clone, Debug)]
pub struct Movie<'a> {
    /// In the file's order, sound and text left out.
    pub tracks: Vec<Track<'a>>,
}

/// A sequence of pictures of one kind.
#[derive(Clone, Copy, Debug)]
pub struct Track<'a> {
    /// Its number, by which others refer to it.
    pub id: u32,
    /// `pict` of image sequences, `vide`, `auxv` for alpha, …
    pub handler: FourCc,
    /// To be shown.
    pub enabled: bool,
    /// How it is turned: fixed-point numbers with 16 fractional bits, those of the last column with 30.
    pub matrix: [i32; 9],
    /// Ticks a second, in which durations are.
    pub timescale: u32,
    /// Its pictures.
    pub samples: Samples<'a>,
    /// The bodies of `tref` and `stsd`.
    references: &'a [u8],
    entries: &'a [u8],
}

/// How samples are coded.
#[derive(Clone, Copy, Debug)]
pub struct SampleEntry<'a> {
    /// `hvc1`, `hev1`, `av01`, …
    pub kind: FourCc,
    /// Pixels across.
    pub width: u16,
    /// Pixels down.
    pub height: u16,
    boxes: Boxes<'a>,
}

impl<'a> Movie<'a> {
    /// The tracks in a `moov` box. More than 64 of them are `TooMuch`.
    pub(crate) fn read(file: &'a [u8], moov: &Atom<'a>) -> Result<Self> {
        let mut tracks = Vec::new();
        for atom in moov.children()? {
            let atom = atom?;
            if atom.kind != *b"trak" {
                continue;
            }
            if tracks.len() >= MOST_TRACKS {
                return Err(Error::TooMuch("it has too many tracks"));
            }
            // Of tracks that are no pictures nothing has to be right.
            if let Some(track) = Track::read(file, &atom)? {
                tracks.push(track);
            }
        }
        Ok(Self { tracks })
    }
}

impl<'a> Track<'a> {
    /// `None` for sound, text, and what else is no picture.
    fn read(file: &'a [u8], trak: &Atom<'a>) -> Result<Option<Self>> {
        const PART: Error = Error::Damaged("a track lacks a box");
        let part = |of: &Atom<'a>, kind: &FourCc| find(of.children()?, kind)?.ok_or(PART);
        let mdia = part(trak, b"mdia")?;
        let handler = part(&mdia, b"hdlr")?.handler()?;
        if !matches!(&handler, b"pict" | b"vide" | b"auxv") {
            return Ok(None);
        }
        let (version, flags, mut tkhd) = part(trak, b"tkhd")?.full()?;
        let times = if version == 1 { (16, 12) } else { (8, 8) };
        tkhd.skip(times.0)?;
        let id = tkhd.u32()?;
        // A duration, then layer, group and volume.
        tkhd.skip(times.1 + 16)?;
        let mut matrix = [0; 9];
        for number in &mut matrix {
            *number = tkhd.i32()?;
        }
        let (version, _, mut mdhd) = part(&mdia, b"mdhd")?.full()?;
        mdhd.skip(if version == 1 { 16 } else { 8 })?;
        let timescale = mdhd.u32()?;
        let stbl = part(&part(&mdia, b"minf")?, b"stbl")?;
        let (_, _, mut stsd) = part(&stbl, b"stsd")?.full()?;
        stsd.u32()?;
        let references = find(trak.children()?, b"tref")?.map_or(Default::default(), |tref| tref.body);
        let samples = Samples::read(file, &stbl)?;
        Ok(Some(Self {
            id,
            handler,
            enabled: flags & 1 != 0,
            matrix,
            timescale,
            samples,
            references,
            entries: stsd.rest(),
        }))
    }

    /// Whether it refers to another track, by the kind of reference: `auxl` from alpha, `thmb` from thumbnails.
    pub fn refers_to(&self, track: u32, kind: &FourCc) -> Result<bool> {
        let Some(atom) = find(Boxes::inside(self.references), kind)? else { return Ok(false) };
        Ok(atom.body.as_chunks().0.iter().any(|&id| u32::from_be_bytes(id) == track))
    }

    /// How a sample is coded, by its [`description`](crate::Sample::description), which counts from 1 on.
    pub fn entry(&self, description: u32) -> Result<SampleEntry<'a>> {
        const NONE: Error = Error::Damaged("a sample has no description");
        let place = description.checked_sub(1).and_then(|place| usize::try_from(place).ok()).ok_or(NONE)?;
        let atom = Boxes::inside(self.entries).nth(place).ok_or(NONE)??;
        let mut cursor = Cursor::new(atom.body);
        cursor.skip(24)?;
        let (width, height) = (cursor.u16()?, cursor.u16()?);
        // Resolution, frames, the compressor's name, depth.
        cursor.skip(50)?;
        Ok(SampleEntry { kind: atom.kind, width, height, boxes: Boxes::inside(cursor.rest()) })
    }
}

impl<'a> SampleEntry<'a> {
    /// `hvcC`, `av1C`, `colr`, `clap`, `auxi`, …
    pub fn properties(&self) -> impl Iterator<Item = Result<Property<'a>>> + use<'a> {
        self.boxes.map(|atom| atom.and_then(Property::read))
    }
}
