//! Old-style JPEG, of before the supplement to TIFF 6: a whole stream beside the strips, or its headers there and its scan in the
//! strips, or nothing but tables in tags. Follows libtiff's `tif_ojpeg.c`, which repeats chroma samples instead of filtering them.

use jpeg_levels::{Decoder, Output};

use crate::Env;
use crate::canvas::Canvas;
use crate::directory::tag;
use crate::error::{Error, Result, Unsupported, look};
use crate::jpeg::{END, check_whole, needs_of};
use crate::layout::Chunk;
use crate::source::{Source, Work};

const START: [u8; 2] = [0xff, 0xd8];

/// Where the picture is.
enum Form<'a> {
    /// One stream, whatever the strips say.
    Stream(&'a [u8]),
    /// A stream in every strip or tile; those that have no headers take these.
    Chunks(Vec<u8>),
}

/// Decodes every stream onto the canvas.
pub fn decode(source: Source<'_, '_>, canvas: &mut Canvas, env: &Env<'_>) -> Result<()> {
    let mut work = Work::new(source.directory);
    each(source, env, &mut |chunk, stream| {
        work.spend(stream.len())?;
        source.or_gap(picture(source, chunk, stream, canvas, env))
    })
}

fn picture(source: Source<'_, '_>, chunk: &Chunk, stream: &[u8], canvas: &mut Canvas, env: &Env<'_>) -> Result<()> {
    let decoder = Decoder::new(stream)?.repeat_chroma();
    let (width, height) = (decoder.width(), decoder.height());
    if Output::Stored.channels(decoder.colour()) != 3 {
        return Err(Error::Unsupported(Unsupported::OldJpeg("without three components")));
    }
    if width < chunk.columns || height < chunk.rows || width > source.layout.chunk_width {
        return Err(Error::Damaged("JPEG data have another size than the picture"));
    }
    let picture = decoder.decode_rows(Output::Stored, env, &mut |first, pixels| {
        for (y, row) in (first..chunk.rows).zip(pixels.chunks_exact(3 * width)) {
            canvas.row(chunk.x, chunk.y + y, chunk.columns, &[row]);
        }
        Ok(())
    })?;
    check_whole(&picture)
}

/// Bytes that a stream takes at most, with a copy of it. A file whose streams cannot be read takes nothing.
pub fn needs(source: Source<'_, '_>, env: &Env<'_>) -> Result<usize> {
    let (mut most, mut work) = (0, Work::new(source.directory));
    let walked = each(source, env, &mut |_, stream| {
        work.spend(stream.len())?;
        let needs = Decoder::new(stream).map_or(0, |decoder| needs_of(&decoder));
        most = most.max(needs.saturating_add(stream.len()));
        Ok(())
    });
    // What cannot be read takes nothing.
    if walked == Err(Error::Stopped) { Err(Error::Stopped) } else { Ok(most) }
}

/// Calls with each chunk and its stream.
fn each(source: Source<'_, '_>, env: &Env<'_>, job: &mut dyn FnMut(&Chunk, &[u8]) -> Result<()>) -> Result<()> {
    let layout = source.layout;
    if layout.planes {
        return Err(Error::Unsupported(Unsupported::OldJpeg("in planes")));
    }
    let mut joined = Vec::new();
    match form(source)? {
        Form::Stream(stream) => {
            let whole = Chunk { x: 0, y: 0, columns: layout.width, rows: layout.height, index: 0 };
            job(&whole, stream)
        }
        Form::Chunks(headers) => {
            for chunk in layout.chunks() {
                look(env)?;
                let Some(coded) = source.or_none(source.coded(&chunk, 0))? else { continue };
                if coded.starts_with(&START) {
                    job(&chunk, coded)?;
                    continue;
                }
                let rows = if layout.tiled { layout.chunk_height } else { chunk.rows };
                let len = headers.len() + coded.len() + END.len();
                joined.clear();
                joined.try_reserve_exact(len).map_err(|_| Error::OutOfMemory(len))?;
                joined.extend_from_slice(&headers);
                joined.extend_from_slice(coded);
                joined.extend(END);
                set_size(&mut joined, layout.chunk_width, rows)?;
                job(&chunk, &joined)?;
            }
            Ok(())
        }
    }
}

fn form<'a>(source: Source<'_, 'a>) -> Result<Form<'a>> {
    let directory = source.directory;
    let at = directory.first(tag::JPEG_STREAM).unwrap_or(0);
    if let Some(stream) = directory.data.get(at..).filter(|stream| at > 0 && stream.starts_with(&START)) {
        let length = directory.first(tag::JPEG_STREAM_LENGTH).filter(|&length| length > 0);
        let stream = &stream[..length.unwrap_or(stream.len()).min(stream.len())];
        let (headers, frame) = headers(stream).ok_or(Error::Unsupported(Unsupported::OldJpeg("without a scan")))?;
        if frame.is_none() {
            return Err(Error::Unsupported(Unsupported::OldJpeg("without a frame header")));
        }
        if stream.len() > headers + START.len() {
            return Ok(Form::Stream(stream));
        }
        return Ok(Form::Chunks(stream[..headers].to_vec()));
    }
    let first = source.layout.chunks().next().ok_or(Error::Truncated)?;
    let first = source.coded(&first, 0)?;
    if first.starts_with(&START) {
        let (end, _) = headers(first).ok_or(Error::Truncated)?;
        return Ok(Form::Chunks(first[..end].to_vec()));
    }
    Ok(Form::Chunks(from_tags(source)?))
}

/// Where the scan's data begin, and where the frame header is.
fn headers(stream: &[u8]) -> Option<(usize, Option<usize>)> {
    let (mut at, mut frame) = (START.len(), None);
    loop {
        let (&[0xff, marker], rest) = stream.get(at..)?.split_first_chunk()? else { return None };
        if marker == 0xff {
            at += 1;
            continue;
        }
        let length = usize::from(u16::from_be_bytes(*rest.first_chunk()?));
        if matches!(marker, 0xc0..=0xc2) {
            frame = Some(at);
        }
        at += 2 + length;
        if marker == 0xda {
            return (at <= stream.len()).then_some((at, frame));
        }
    }
}

/// Writes a size into the frame header: each strip or tile is a picture of its own.
fn set_size(stream: &mut [u8], width: usize, height: usize) -> Result<()> {
    const LARGE: Error = Error::Damaged("JPEG strips or tiles are too large");
    let (Ok(width), Ok(height)) = (u16::try_from(width), u16::try_from(height)) else { return Err(LARGE) };
    let frame = headers(stream).and_then(|(_, frame)| frame);
    let frame = frame.ok_or(Error::Unsupported(Unsupported::OldJpeg("without a frame header")))?;
    // Marker, length, bits, and then height and width.
    let place = stream.get_mut(frame + 5..frame + 9).ok_or(Error::Truncated)?;
    place[..2].copy_from_slice(&height.to_be_bytes());
    place[2..].copy_from_slice(&width.to_be_bytes());
    Ok(())
}

/// Headers of a baseline picture out of tables in the file.
fn from_tags(source: Source<'_, '_>) -> Result<Vec<u8>> {
    const NO_TABLES: Error = Error::Damaged("tables of old-style JPEG are missing");
    let directory = source.directory;
    let mut out = START.to_vec();
    let table = |tag: u16, i: usize| {
        let at = directory.value(directory.find(tag)?, i)?;
        directory.data.get(at..)
    };
    for i in 0..3 {
        let steps = table(tag::JPEG_STEPS, i).and_then(<[u8]>::first_chunk::<64>).ok_or(NO_TABLES)?;
        out.extend([0xff, 0xdb, 0, 67, i as u8]);
        out.extend(steps);
        for (tag, class) in [(tag::JPEG_DC, 0), (tag::JPEG_AC, 0x10)] {
            let (counts, rest) = table(tag, i).and_then(<[u8]>::split_first_chunk::<16>).ok_or(NO_TABLES)?;
            let sum: usize = counts.iter().map(|&n| usize::from(n)).sum();
            let symbols = rest.get(..sum).filter(|_| sum <= 256).ok_or(NO_TABLES)?;
            out.extend([0xff, 0xc4]);
            out.extend(((19 + sum) as u16).to_be_bytes());
            out.push(class | i as u8);
            out.extend(counts);
            out.extend(symbols);
        }
    }
    if let Some(interval) = directory.first(tag::JPEG_RESTARTS).and_then(|n| u16::try_from(n).ok()).filter(|&n| n > 0) {
        out.extend([0xff, 0xdd, 0, 4]);
        out.extend(interval.to_be_bytes());
    }
    let factors = match directory.values(tag::SUBSAMPLING, 2)[..] {
        [across @ (1 | 2 | 4), down @ (1 | 2 | 4)] => (across << 4 | down) as u8,
        [across, down] => return Err(Error::Unsupported(Unsupported::Subsampling(across, down))),
        _ => 0x22,
    };
    // The size is filled in later.
    out.extend([0xff, 0xc0, 0, 17, 8, 0, 0, 0, 0, 3, 0, factors, 0, 1, 0x11, 1, 2, 0x11, 2]);
    out.extend([0xff, 0xda, 0, 12, 3, 0, 0x00, 1, 0x11, 2, 0x22, 0, 63, 0]);
    Ok(out)
}
