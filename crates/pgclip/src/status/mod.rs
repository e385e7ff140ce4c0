//! `status`: what the extension does in a database, and what to do where it stands still.

mod advice;
mod gather;
pub mod options;
mod report;
mod text;

use clip_core::{Error, ErrorKind, Result};

use options::Options;

/// Prints the report. It is an error where the database has no extension.
pub fn status(options: &Options) -> Result<()> {
    let mut client = options.database.target()?.connect()?;
    let mut report = gather::gather(&mut client)?;
    report.hints = advice::advice(&report);
    if options.json {
        println!("{}", serde_json::to_string(&report).map_err(|e| Error::internal(e.to_string()))?);
    } else {
        text::print(&report);
    }
    if report.extension.is_none() {
        let message = format!("database \"{}\" has no extension pg_clip", report.server.database);
        return Err(Error::new(ErrorKind::Unsupported, message));
    }
    Ok(())
}
