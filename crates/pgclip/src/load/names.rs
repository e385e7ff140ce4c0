//! The names of rows: paths below a root, or URLs.

use std::path::{Component, Path, PathBuf};

use clip_core::{Error, ErrorKind, Result};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};

/// What RFC 3986 leaves as it is in a path.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

pub struct Names {
    /// Absolute.
    root: PathBuf,
    url: Option<String>,
}

impl Names {
    pub fn new(root: &Path, url: Option<&str>) -> Result<Self> {
        let url = url.map(|url| format!("{}/", url.trim_end_matches('/')));
        Ok(Self { root: absolute(root)?, url })
    }

    /// The absolute path of a source, which must lie below the root.
    pub fn below_root(&self, source: &Path) -> Result<PathBuf> {
        let path = absolute(source)?;
        if path.starts_with(&self.root) {
            return Ok(path);
        }
        // Through links they may be one.
        if let (Ok(path), Ok(root)) = (path.canonicalize(), self.root.canonicalize())
            && let Ok(rest) = path.strip_prefix(root)
        {
            return Ok(self.root.join(rest));
        }
        let message = format!("\"{}\" does not lie below \"{}\"", source.display(), self.root.display());
        Err(Error::new(ErrorKind::InvalidArgument, message)
            .with_hint("Name the directory that paths in content_ref begin at with --root."))
    }

    /// `content_ref` of an absolute path.
    pub fn reference(&self, path: &Path) -> std::result::Result<String, String> {
        self.named(path.strip_prefix(&self.root).unwrap_or(path))
    }

    /// What the names of all files in a directory or archive begin with.
    pub fn scope(&self, directory: &Path) -> std::result::Result<String, String> {
        let name = self.reference(directory)?;
        Ok(if name.is_empty() || name.ends_with('/') { name } else { name + "/" })
    }

    /// Of a file in an archive, whose scope this is.
    pub fn member(&self, scope: &str, member: &Path) -> std::result::Result<String, String> {
        let parts = member.components().filter(|part| matches!(part, Component::Normal(_) | Component::ParentDir));
        let clean: PathBuf = parts.collect();
        let name = match &self.url {
            Some(_) => percent_encode(clean.as_os_str().as_encoded_bytes(), ENCODED).to_string(),
            None => text(&clean)?,
        };
        Ok(format!("{scope}{name}"))
    }

    fn named(&self, path: &Path) -> std::result::Result<String, String> {
        match &self.url {
            Some(url) => Ok(format!("{url}{}", percent_encode(path.as_os_str().as_encoded_bytes(), ENCODED))),
            None => text(path),
        }
    }
}

fn text(path: &Path) -> std::result::Result<String, String> {
    path.to_str()
        .map(str::to_owned)
        .ok_or_else(|| "its name is not UTF-8, so that no text can hold it: rename it, or use --url-prefix".into())
}

/// Without `.` and `..`; links are not resolved, unless a `..` asks for it.
fn absolute(path: &Path) -> Result<PathBuf> {
    let failed = |e: std::io::Error| crate::files::failed("read", path, &e);
    if path.components().any(|part| part == Component::ParentDir) {
        return path.canonicalize().map_err(failed);
    }
    std::path::absolute(path).map_err(failed)
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    use super::*;

    #[test]
    fn paths_and_urls() {
        let plain = Names::new(Path::new("/photos"), None).unwrap();
        assert_eq!(plain.reference(Path::new("/photos/a b/c.jpg")).unwrap(), "a b/c.jpg");
        assert_eq!(plain.scope(Path::new("/photos")).unwrap(), "");
        assert_eq!(plain.scope(Path::new("/photos/a")).unwrap(), "a/");
        assert_eq!(plain.member("x.tar/", Path::new("./a/../b.png")).unwrap(), "x.tar/a/../b.png");
        assert!(
            plain.below_root(Path::new("/other")).unwrap_err().to_string().contains("does not lie below \"/photos\"")
        );
        let url = Names::new(Path::new("/photos"), Some("https://cdn.example/x/")).unwrap();
        assert_eq!(url.reference(Path::new("/photos/a b/ü.jpg")).unwrap(), "https://cdn.example/x/a%20b/%C3%BC.jpg");
        assert_eq!(url.scope(Path::new("/photos")).unwrap(), "https://cdn.example/x/");
        let odd = Path::new("/photos").join(OsStr::from_bytes(b"\xff.jpg"));
        assert!(plain.reference(&odd).unwrap_err().contains("UTF-8"));
        assert_eq!(url.reference(&odd).unwrap(), "https://cdn.example/x/%FF.jpg");
    }
}
