//! A page with the answer, in one file.

use std::env;
use std::fmt::Write as _;
use std::io::Write as _;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clip_core::{Error, ErrorKind, Result};

use super::{Hit, distance, kind, thumbnail};
use crate::pictures::{QUALITY, Root, jpeg};

const EDGE: u32 = 320;
const STYLE: &str = include_str!("page.css");

/// Writes it into a temporary file, says which, and opens it where somebody can see it.
pub fn open(title: &str, hits: &[Hit], root: &Root) -> Result<()> {
    let failed = |e: &std::io::Error| Error::new(ErrorKind::MissingFile, format!("could not write a page: {e}"));
    let mut file = tempfile::Builder::new().prefix("pgclip-").suffix(".html").tempfile().map_err(|e| failed(&e))?;
    file.write_all(html(title, hits, root)?.as_bytes()).map_err(|e| failed(&e))?;
    let (_, path) = file.keep().map_err(|e| failed(&e.error))?;
    println!("{}", path.display());
    if has_desktop() && open::that_detached(&path).is_err() {
        eprintln!("pgclip: could not open a browser");
    }
    Ok(())
}

/// Without one, a browser of the terminal would take its place.
pub fn has_desktop() -> bool {
    cfg!(target_os = "macos")
        || ["DISPLAY", "WAYLAND_DISPLAY"].iter().any(|name| env::var_os(name).is_some_and(|value| !value.is_empty()))
}

pub fn html(title: &str, hits: &[Hit], root: &Root) -> Result<String> {
    let mut html = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'\">\n\
         <meta name=\"viewport\" content=\"width=device-width\"><title>{0}</title>\n<style>\n{STYLE}</style></head>\n\
         <body><h1>{0}</h1>\n<ol>\n",
        escape(title)
    );
    for hit in hits {
        let name = escape(hit.content_ref.as_deref().unwrap_or(""));
        let _ = write!(html, "<li><figure>");
        match thumbnail(hit, root, EDGE) {
            Some(Ok(picture)) => {
                let data = STANDARD.encode(jpeg(&picture, QUALITY)?);
                let (width, height) = picture.dimensions();
                let _ = write!(
                    html,
                    "<img src=\"data:image/jpeg;base64,{data}\" width=\"{width}\" height=\"{height}\" alt=\"{name}\">"
                );
            }
            Some(Err(e)) => {
                let _ = write!(html, "<p>{}</p>", escape(&e.message));
            }
            None => {}
        }
        let _ = writeln!(
            html,
            "<figcaption>{name} <small>{} {}</small></figcaption></figure></li>",
            escape(kind(hit)),
            distance(hit)
        );
    }
    html.push_str("</ol></body></html>\n");
    Ok(html)
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;").replace('\'', "&#39;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_no_markup() {
        let dir = tempfile::tempdir().unwrap();
        let hit = |modality: &str| Hit {
            distance: Some(0.25),
            modality: Some(modality.to_owned()),
            content_ref: Some("\"><script>alert('1')</script>&".to_owned()),
            key: None,
            metadata: None,
        };
        let html = html("<b>", &[hit("text"), hit("image")], &Root::new(dir.path()).unwrap()).unwrap();
        assert!(!html.contains("<script") && !html.contains("<b>") && !html.contains("\">&lt;script"), "{html}");
        assert!(
            html.contains("&quot;&gt;&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;&amp; <small>text 0.2500</small>"),
            "{html}"
        );
    }
}
