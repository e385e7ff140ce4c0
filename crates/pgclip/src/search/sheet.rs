//! A sheet of small pictures on a terminal.

use std::io::{self, Write};

use clip_core::{Error, Result};
use console::{Alignment, pad_str, truncate_str};
use image::{RgbImage, imageops};

use super::options::Sheet;
use super::{Hit, distance, name, thumbnail};
use crate::pictures::Root;
use crate::terminal::Terminal;

/// The place of a picture, in the terminal's columns and rows, with a gap beside it.
const PLACE: (u32, u32) = (20, 10);
const GAP: u32 = 2;

/// Prints the rows that are pictures, nearest first, each above its distance and name.
pub fn print(hits: &[Hit], root: &Root, wanted: Option<Sheet>) -> Result<()> {
    let terminal = Terminal::look(wanted.unwrap_or(Sheet::Auto));
    let (columns, rows) = PLACE;
    let (width, height) = terminal.cell;
    let edge = ((columns - GAP) * width).min(rows * height);
    let mut pictures = Vec::new();
    let mut missing = Vec::new();
    for hit in hits {
        match thumbnail(hit, root, edge) {
            Some(Ok(picture)) => pictures.push((picture, format!("{} {}", distance(hit), name(hit)))),
            Some(Err(e)) => missing.push(format!("{}: {e}", name(hit))),
            None => {}
        }
    }
    let mut out = io::stdout().lock();
    let across = (terminal.columns / columns).max(1);
    for line in pictures.chunks(across as usize) {
        // Small pictures need less than their place.
        let rows = line.iter().map(|(picture, _)| picture.height().div_ceil(height)).max().unwrap_or(rows);
        let mut canvas = RgbImage::new(across.min(line.len() as u32) * columns * width, rows * height);
        for (i, (picture, _)) in line.iter().enumerate() {
            let (left, top) = (i as u32 * columns * width, rows * height - picture.height());
            imageops::replace(&mut canvas, picture, i64::from(left), i64::from(top));
        }
        let captions = line.iter().map(|(_, caption)| {
            let space = (columns - GAP) as usize;
            pad_str(&truncate_str(caption, space, "…"), columns as usize, Alignment::Left, None).into_owned()
        });
        let captions = captions.collect::<String>();
        terminal
            .show(&mut out, &canvas, line.len() as u32 * columns, rows)
            .and_then(|()| writeln!(out, "{}\n", captions.trim_end()))
            .map_err(|e| Error::internal(format!("could not print pictures: {e}")))?;
    }
    if let Some(first) = missing.first() {
        eprintln!("pgclip: {} of the pictures could not be shown, the first: {first}", missing.len());
    }
    Ok(())
}
