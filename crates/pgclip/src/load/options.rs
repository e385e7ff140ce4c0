//! The words of `load`.

use std::path::PathBuf;

use clap::Args;

use crate::args::{Database, Images, Models};

#[derive(Args)]
pub struct Options {
    /// Directories, files, tar archives, `-` for a list of paths on standard input, or .csv and .jsonl files of texts
    #[arg(required = true, value_name = "SOURCE")]
    pub sources: Vec<PathBuf>,
    #[command(flatten)]
    pub database: Database,
    /// The table; made by clip_create_table where it is missing
    #[arg(short, long, value_name = "NAME")]
    pub table: String,
    /// Model of a table that is made [default: clip.model]
    #[arg(long, value_name = "MODEL")]
    pub model: Option<String>,
    /// Mode of a table that is made: background workers embed, or the statement itself
    #[arg(long, value_name = "async|sync", default_value = "async", value_parser = ["async", "sync"])]
    pub mode: String,
    /// A table that is made keeps the images' bytes
    #[arg(long)]
    pub keep_images: bool,
    /// content_ref is a file's path below this directory
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub root: PathBuf,
    /// content_ref begins with this URL, and the path is percent-encoded
    #[arg(long, value_name = "URL")]
    pub url_prefix: Option<String>,
    /// Only paths that match, or with ! before it that do not; may be given several times, the last match counts
    #[arg(short, long, value_name = "GLOB")]
    pub glob: Vec<String>,
    /// Hidden files and directories, too
    #[arg(long)]
    pub hidden: bool,
    /// Files that .gitignore and the like name, too
    #[arg(long)]
    pub no_ignore: bool,
    /// Follow symbolic links below a directory
    #[arg(long)]
    pub follow: bool,
    /// Paths on standard input end with a NUL character
    #[arg(short = '0', long)]
    pub null: bool,
    /// Column of a CSV file, or key of a JSON line, that is the text; the others become metadata
    #[arg(long, value_name = "NAME", default_value = "text")]
    pub text_column: String,
    /// Remove rows of files that are gone from the sources
    #[arg(long)]
    pub delete: bool,
    /// Read files whose size and time are as before, too, and compare their SHA-256
    #[arg(long)]
    pub checksum: bool,
    /// Also write date, camera and its settings from EXIF into metadata
    #[arg(long)]
    pub exif: bool,
    /// Also write the place where a photo was taken into metadata
    #[arg(long)]
    pub gps: bool,
    /// Scale larger images down to this many pixels before they are sent, as JPEGs
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(64..=65535))]
    pub max_side: Option<u32>,
    /// Compute the vectors here, with the table's model, and send them instead of the images
    #[arg(long)]
    pub embed_here: bool,
    /// Connections that send at once
    #[arg(short, long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub connections: u16,
    /// End when all is sent; do not wait until it is embedded
    #[arg(long)]
    pub no_wait: bool,
    /// Say what would be done, and do nothing
    #[arg(short = 'n', long)]
    pub dry_run: bool,
    /// Print the result as JSON
    #[arg(long)]
    pub json: bool,
    /// Language of texts with --embed-here, such as deu_Latn [default: the model's]
    #[arg(long, value_name = "NAME", requires = "embed_here")]
    pub language: Option<String>,
    #[command(flatten)]
    pub reading: Images,
    /// Threads of --embed-here, 0 for automatic
    #[arg(long, default_value_t = 0)]
    pub threads: usize,
    #[command(flatten)]
    pub models: Models,
}
