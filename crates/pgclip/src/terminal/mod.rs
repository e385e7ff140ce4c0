//! Pictures on a terminal: by the graphics protocol of kitty, iTerm2's inline images, sixels, or coloured half blocks.

mod ask;
mod blocks;
mod inline;
mod palette;
mod sixel;

use std::env;
use std::io::{self, IsTerminal, Write, stdout};

use image::RgbImage;

use crate::search::options::Sheet;

enum Way {
    Kitty,
    Iterm,
    Sixel,
    /// With 16 million colours, or else 256.
    Blocks {
        all_colours: bool,
    },
}

/// What is known of the terminal on standard output.
pub struct Terminal {
    way: Way,
    /// Of text.
    pub columns: u32,
    /// Pixels of a picture that lie in a character's place: columns and rows.
    pub cell: (u32, u32),
}

impl Terminal {
    /// Asks it where it has to be known.
    pub fn look(wanted: Sheet) -> Self {
        let there = stdout().is_terminal();
        let answer =
            if there && matches!(wanted, Sheet::Auto | Sheet::Sixel) { ask::ask() } else { None }.unwrap_or_default();
        let way = match wanted {
            Sheet::Kitty => Way::Kitty,
            Sheet::Iterm => Way::Iterm,
            Sheet::Sixel => Way::Sixel,
            Sheet::Auto if answer.kitty => Way::Kitty,
            Sheet::Auto if there && speaks_iterm() => Way::Iterm,
            Sheet::Auto if answer.sixel => Way::Sixel,
            Sheet::Auto | Sheet::Blocks => Way::Blocks { all_colours: has_all_colours() },
        };
        // Kitty and iTerm2 scale a picture to the place that they are told; what is most usual will do.
        let cell = match way {
            Way::Blocks { .. } => (1, 2),
            _ => answer.cell.unwrap_or((10, 20)),
        };
        let columns = if there { console::Term::stdout().size().1.into() } else { 80 };
        Self { way, columns, cell }
    }

    /// Prints a picture of so many columns and rows of characters, and ends the line.
    pub fn show(&self, out: &mut impl Write, picture: &RgbImage, columns: u32, rows: u32) -> io::Result<()> {
        match self.way {
            Way::Kitty => inline::kitty(out, picture, columns, rows)?,
            Way::Iterm => inline::iterm(out, picture, columns, rows)?,
            Way::Sixel => sixel::write(out, picture)?,
            Way::Blocks { all_colours } => return blocks::write(out, picture, all_colours),
        }
        writeln!(out)
    }
}

fn speaks_iterm() -> bool {
    let is = |name: &str, values: &[&str]| env::var(name).is_ok_and(|value| values.contains(&value.as_str()));
    is("TERM_PROGRAM", &["iTerm.app", "WezTerm"]) || is("LC_TERMINAL", &["iTerm2"])
}

fn has_all_colours() -> bool {
    env::var("COLORTERM").is_ok_and(|value| value == "truecolor" || value == "24bit")
        || env::var("TERM").is_ok_and(|value| value.ends_with("-direct"))
}
