//! `pgclip`: the command line of pg_clip.

mod args;
mod bench;
mod calibrate;
mod embed;
mod evaluate;
mod files;
mod models;
mod progress;

use std::process::ExitCode;

use args::{Command, Parsed};
use clip_core::Result;
use nix::sys::signal::{SigHandler, Signal, signal};

#[allow(unsafe_code)]
fn main() -> ExitCode {
    // A reader such as `head` that has seen enough ends this program quietly, as it does any other.
    // SAFETY: the default action is no function that could be called at a bad moment.
    let _ = unsafe { signal(Signal::SIGPIPE, SigHandler::SigDfl) };
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
        Command::Inspect { source } => models::inspect(&source),
        Command::List { models } => models::list(&models.open()?),
        Command::Verify { name, models } => models::verify(&name, &models.open()?),
        Command::Bench { name, precision, photo, threads, models } => {
            bench::bench(&name, precision, threads, &photo, &models.open()?)
        }
        Command::Calibrate { name, r#as, sample, save_means, threads, models } => {
            calibrate::calibrate(&name, &r#as, &sample.get(), save_means.as_deref(), threads, &models.open()?)
        }
        Command::Evaluate { name, precision, set, page, threads, models } => {
            evaluate::evaluate(&name, precision, &set, page.as_deref(), threads, &models.open()?)
        }
        Command::Embed { name, precision, threads, models, .. } => {
            embed::embed(&name, precision, &parsed.inputs, threads, &models.open()?)
        }
    }
}
