//! `pgclip`: the command line of pg_clip.

mod args;
mod embed;
mod models;

use std::process::ExitCode;

use args::{Command, Parsed};
use clip_core::Result;

fn main() -> ExitCode {
    match run(args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("pgclip: {e}");
            if let Some(hint) = e.hint {
                eprintln!("hint: {hint}");
            }
            ExitCode::FAILURE
        }
    }
}

fn run(parsed: Parsed) -> Result<()> {
    match parsed.command {
        Command::Import { source, name, licence, models } => {
            models::import(&source, name.as_deref(), licence.as_deref(), &models.open()?)
        }
        Command::Inspect { source, .. } => models::inspect(&source),
        Command::List { models } => models::list(&models.open()?),
        Command::Verify { name, models } => models::verify(&name, &models.open()?),
        Command::Embed { name, threads, models, .. } => embed::embed(&name, &parsed.inputs, threads, &models.open()?),
    }
}
