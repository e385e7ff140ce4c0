//! A page on which a person can look at the answers: the free queries with their five first pictures.

use std::fmt::Write;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clip_core::Result;
use clip_core::image::sniff;

use super::set::Set;
use crate::files;

/// `found`: cosines to the pictures, one row a query. The pictures are inside the page.
pub fn write(path: &Path, model: &str, set: &Set, found: &[Vec<f32>]) -> Result<()> {
    let mut html = format!(
        "<!doctype html><meta charset=utf-8><title>{0}</title><style>body{{font:16px sans-serif;margin:2em}}\
         td{{padding:.3em 1em .3em 0;text-align:center;font-size:12px}}th{{text-align:left}}img{{width:72px;display:block;margin:auto}}</style>\n\
         <h1>{0}</h1><p>The five first of {1} pictures ({2}) for each query, with their cosines.\n<table>\n",
        escape(model),
        set.pictures.len(),
        escape(&set.style)
    );
    for (query, row) in set.queries.iter().zip(found) {
        let mut best: Vec<(usize, f32)> = row.iter().copied().enumerate().collect();
        best.sort_by(|a, b| b.1.total_cmp(&a.1));
        let _ = write!(html, "<tr><th>{} <small>{}</small>", escape(&query.text), escape(&query.language));
        for (i, cosine) in best.into_iter().take(5) {
            let (bytes, name) = (set.bytes(&set.pictures[i])?, escape(&set.pictures[i].en));
            let kind = sniff(&bytes)?.media_type();
            let data = STANDARD.encode(&bytes);
            let _ = write!(html, "<td><img src=\"data:{kind};base64,{data}\" alt=\"\">{name}<br>{cosine:.3}");
        }
        html.push('\n');
    }
    html.push_str("</table>\n");
    files::write(path, html.as_bytes())
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;")
}
