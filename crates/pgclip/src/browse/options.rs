//! The words of `browse`.

use std::path::PathBuf;

use clap::Args;

use crate::args::Database;

#[derive(Args)]
pub struct Options {
    #[command(flatten)]
    pub database: Database,
    /// The table, as a statement would name it
    #[arg(short, long, value_name = "NAME")]
    pub table: String,
    /// The column of vectors, where the table has several
    #[arg(long, value_name = "NAME")]
    pub column: Option<String>,
    /// Directory that content_ref is relative to; without it only pictures that the table keeps are seen
    #[arg(long, value_name = "DIR")]
    pub root: Option<PathBuf>,
    /// Port to listen at, on this machine alone [default: one that is free]
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    pub port: u16,
    /// Seconds that a search may take
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=3600))]
    pub timeout: u32,
    /// Also open the page where there is a desktop
    #[arg(long)]
    pub open: bool,
}
