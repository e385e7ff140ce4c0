//! The words of `search`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::args::Database;

#[derive(Args)]
#[command(group = clap::ArgGroup::new("query").required(true).args(["text", "image"]))]
pub struct Options {
    /// What to look for, in words
    #[arg(allow_hyphen_values = true)]
    pub text: Option<String>,
    /// A picture to look for others like it
    #[arg(long, value_name = "FILE")]
    pub image: Option<PathBuf>,
    #[command(flatten)]
    pub database: Database,
    /// The table, as a statement would name it
    #[arg(short, long, value_name = "NAME")]
    pub table: String,
    /// The column of vectors, where the table has several
    #[arg(long, value_name = "NAME")]
    pub column: Option<String>,
    /// Rows of this kind alone
    #[arg(long, value_name = "image|text", value_parser = ["image", "text"])]
    pub modality: Option<String>,
    /// Rows at most
    #[arg(short, long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(i32).range(1..=10_000))]
    pub limit: i32,
    /// Rows whose metadata contain this alone: '{"album": "holiday"}' or album=holiday
    #[arg(long, value_name = "JSON|KEY=VALUE")]
    pub filter: Option<String>,
    /// Words to look for in the rows' texts and metadata as well, as a web search takes them
    #[arg(long, value_name = "WORDS")]
    pub words: Option<String>,
    /// Rows within this distance alone
    #[arg(long, value_name = "DISTANCE")]
    pub max_distance: Option<f64>,
    /// Print one JSON line a row
    #[arg(long, conflicts_with_all = ["sheet", "open"])]
    pub json: bool,
    /// Directory that content_ref is relative to: shows the pictures, on a terminal
    #[arg(long, value_name = "DIR")]
    pub root: Option<PathBuf>,
    /// Show the pictures wherever standard output goes, in this way [default: auto]
    #[arg(long, value_name = "HOW", requires = "root", num_args = 0..=1, require_equals = true, default_missing_value = "auto")]
    pub sheet: Option<Sheet>,
    /// Write a page with the pictures to a temporary file, and open it where there is a desktop
    #[arg(long, requires = "root")]
    pub open: bool,
}

/// How a terminal shows pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Sheet {
    /// What the terminal says that it can
    Auto,
    /// The graphics protocol of kitty
    Kitty,
    /// Inline images of iTerm2
    Iterm,
    /// Sixels
    Sixel,
    /// Coloured half blocks
    Blocks,
}
