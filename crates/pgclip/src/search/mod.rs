//! `search`: what is near to words or a picture, in a table.

pub mod filter;
pub mod options;
pub mod page;
mod query;
pub mod row;
mod sheet;

use std::io::{IsTerminal, stdout};

use clip_core::{Error, Result};

use crate::extension::Extension;
use crate::files;
use crate::pictures::{self, Root};
use crate::plain::plain;
use options::Options;
pub use query::{Hit, Question, Request, explained};

/// Prints the rows, nearest first.
pub fn search(options: &Options) -> Result<()> {
    let filter = options.filter.as_deref().map(filter::parse).transpose()?.flatten();
    let root = options.root.as_deref().map(Root::new).transpose()?;
    let image = options.image.as_deref().map(files::read).transpose()?;
    let question = match (&image, &options.text) {
        (Some(image), _) => Question::Image(image),
        (None, text) => Question::Text(text.as_deref().unwrap_or_default()),
    };
    let request = Request {
        table: &options.table,
        question,
        limit: options.limit,
        modality: options.modality.as_deref(),
        filter: filter.as_deref(),
        after: None,
        words: options.words.as_deref(),
        max_distance: options.max_distance,
        column: options.column.as_deref(),
    };
    let mut client = options.database.target()?.connect()?;
    let extension = Extension::find(&mut client)?;
    let hits = request.ask(&mut client, &extension)?.hits;
    if options.json {
        for hit in &hits {
            println!("{}", serde_json::to_string(hit).map_err(|e| Error::internal(e.to_string()))?);
        }
        return Ok(());
    }
    if let Some(root) = &root
        && (options.sheet.is_some() || stdout().is_terminal() && !options.open)
    {
        sheet::print(&hits, root, options.sheet)?;
    }
    for hit in &hits {
        println!("{}  {:<8}  {}", distance(hit), kind(hit), name(hit));
    }
    if hits.is_empty() {
        eprintln!("pgclip: no rows");
    }
    if let (Some(root), Some(path)) = (&root, &options.page) {
        files::write(path, page::html(&title(options), &hits, root)?.as_bytes())?;
    }
    match &root {
        Some(root) if options.open => page::open(&title(options), &hits, root),
        _ => Ok(()),
    }
}

fn distance(hit: &Hit) -> String {
    // Rows that words alone have found may have no vector yet.
    hit.distance.map_or_else(|| "     -".to_owned(), |distance| format!("{distance:.4}"))
}

fn kind(hit: &Hit) -> &str {
    hit.modality.as_deref().unwrap_or("-")
}

fn name(hit: &Hit) -> String {
    hit.content_ref.as_deref().map_or_else(|| "-".to_owned(), plain)
}

fn title(options: &Options) -> String {
    let asked = options.text.clone().or_else(|| Some(options.image.as_ref()?.display().to_string()));
    format!("{} in {}", asked.unwrap_or_default(), options.table)
}

/// The small picture of a row, or why there is none; `None` where the row is not of a picture.
fn thumbnail(hit: &Hit, root: &Root, edge: u32) -> Option<Result<image::RgbImage>> {
    if hit.modality.as_deref() == Some("text") {
        return None;
    }
    let name = hit.content_ref.as_deref()?;
    Some(
        root.find(name)
            .and_then(|found| found.read(pictures::MAX_BYTES))
            .and_then(|bytes| pictures::thumbnail(&bytes, edge)),
    )
}
