//! `pgclip`: the command line of pg_clip.

mod args;
mod bench;
mod browse;
mod calibrate;
mod card;
mod database;
mod embed;
mod evaluate;
mod extension;
mod files;
mod interrupt;
mod known;
mod license;
mod load;
mod manual;
mod models;
mod pictures;
mod plain;
mod progress;
mod pull;
mod remarks;
mod search;
mod status;
mod terminal;

use std::process::ExitCode;
use std::time::Duration;

use args::{Command, Parsed};
use clip_core::Result;
use clip_core::import::Directories;
use nix::sys::signal::{SigHandler, Signal, signal};

#[allow(unsafe_code)]
fn main() -> ExitCode {
    // A reader such as `head` that has seen enough ends this program quietly, as it does any other.
    // SAFETY: the default action is no function that could be called at a bad moment.
    let _ = unsafe { signal(Signal::SIGPIPE, SigHandler::SigDfl) };
    clip_core::quiet_libraries();
    match run(args::parse()) {
        Ok(code) => code,
        Err(e) => {
            eprintln!("pgclip: {e}");
            if let Some(hint) = e.hint {
                eprintln!("hint: {hint}");
            }
            ExitCode::FAILURE
        }
    }
}

fn run(parsed: Parsed) -> Result<ExitCode> {
    let done = match parsed.command {
        Command::Load(options) => return load::load(&options),
        Command::Import { source, images, name, license, accept_license, models } => {
            let from = Directories { model: &source, images: images.as_deref() };
            models::import(from, name.as_deref(), license.as_deref(), accept_license, &models.open()?)
        }
        Command::Pull {
            model,
            revision,
            images,
            endpoint,
            name,
            license,
            accept_license,
            download_only,
            cache_dir,
            timeout,
            models,
        } => {
            let options = pull::Options {
                model: &model,
                revision: revision.as_deref(),
                images: images.as_deref(),
                endpoint: &endpoint,
                name: name.as_deref(),
                license: license.as_deref(),
                accept_license,
                cache_dir: cache_dir.as_deref(),
                timeout: Duration::from_secs(timeout),
            };
            match download_only {
                Some(dir) => pull::download_only(&options, &dir),
                None => pull::pull(&options, &models.open()?),
            }
        }
        Command::Known { r#for, json } => {
            known::list(r#for, json);
            Ok(())
        }
        Command::Manual { prefix } => manual::write(&prefix),
        Command::Inspect { source, images } => card::card(&source, images.as_deref()),
        Command::List { models } => models::list(&models.open()?),
        Command::Verify { name, models } => models::verify(&name, &models.open()?),
        Command::Bench { name, precision, case, photo, threads, models } => {
            bench::bench(&name, precision, &case, threads, &photo, &models.open()?)
        }
        Command::Calibrate { name, r#as, sample, language, reading, save_means, threads, models } => {
            let inputs = embed::Reading { images: reading.options(), language: language.as_deref() };
            calibrate::calibrate(&name, &r#as, &sample.get(), &inputs, save_means.as_deref(), threads, &models.open()?)
        }
        Command::Evaluate { name, precision, set, compare: true, threads, models, .. } => {
            return evaluate::compare(&name, precision, &set, threads, &models.open()?);
        }
        Command::Evaluate { name, precision, set, page, threads, models, .. } => {
            evaluate::evaluate(&name, precision, &set, page.as_deref(), threads, &models.open()?)
        }
        Command::Search(options) => search::search(&options),
        Command::Browse(options) => browse::browse(&options),
        Command::Status(options) => status::status(&options),
        Command::Embed { name, precision, language, reading, threads, models, .. } => {
            let reading = embed::Reading { images: reading.options(), language: language.as_deref() };
            embed::embed(&name, precision, &parsed.inputs, &reading, threads, &models.open()?)
        }
    };
    done.map(|()| ExitCode::SUCCESS)
}
