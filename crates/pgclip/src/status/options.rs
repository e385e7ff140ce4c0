//! The words of `status`.

use clap::Args;

use crate::args::Database;

#[derive(Args)]
pub struct Options {
    #[command(flatten)]
    pub database: Database,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}
