//! What there is to load: the pictures of directories, archives and lists, each under the name that its row will have.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, BufRead, Read};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use clip_core::image::format_extensions;
use clip_core::{Error, ErrorKind, Result};
use ignore::WalkBuilder;
use ignore::overrides::{Override, OverrideBuilder};

use super::archive;
use super::names::Names;
use super::options::Options;
use super::report::Failure;

/// Of cameras' raw files, whose own JPEG is loaded.
const RAW: [&str; 10] = ["dng", "cr2", "cr3", "nef", "nrw", "arw", "pef", "rw2", "orf", "raf"];

/// One picture, not read yet.
pub struct Candidate {
    /// `content_ref` of its row.
    pub reference: String,
    pub place: Place,
    /// Bytes of the file.
    pub size: u64,
    pub modified: Option<SystemTime>,
}

pub enum Place {
    File(PathBuf),
    /// In a tar archive, from this byte on.
    Member(Arc<File>, u64),
}

impl Candidate {
    pub fn read(&self, most: usize) -> io::Result<Vec<u8>> {
        let size = usize::try_from(self.size).unwrap_or(usize::MAX);
        if size > most {
            return Err(io::Error::other(format!(
                "file has {size} bytes: at most {most} are allowed (clip.max_image_bytes)"
            )));
        }
        match &self.place {
            Place::File(path) => {
                let mut bytes = Vec::with_capacity(size.saturating_add(1).min(1 << 30));
                // A file may grow meanwhile.
                File::open(path)?.take((most as u64).saturating_add(1)).read_to_end(&mut bytes)?;
                Ok(bytes)
            }
            Place::Member(archive, at) => {
                let mut bytes = vec![0; size];
                archive.read_exact_at(&mut bytes, *at)?;
                Ok(bytes)
            }
        }
    }
}

/// A part of the table that sources stand for: rows whose `content_ref` begins with it.
pub struct Scope {
    pub prefix: String,
    /// All of it was seen, so that a row without a file is one whose file is gone.
    pub complete: bool,
}

#[derive(Default)]
pub struct Found {
    pub pictures: Vec<Candidate>,
    /// Files of texts, with the names by which their rows tell where they are from.
    pub texts: Vec<(PathBuf, String)>,
    pub scopes: Vec<Scope>,
    pub failures: Vec<Failure>,
    /// Files that are no pictures by their names.
    pub others: u64,
    /// Where each name is among the pictures.
    places: HashMap<String, usize>,
}

pub fn find(options: &Options) -> Result<Found> {
    let mut finder =
        Finder { options, names: Names::new(&options.root, options.url_prefix.as_deref())?, found: Found::default() };
    for source in &options.sources {
        finder.source(source)?;
    }
    Ok(finder.found)
}

struct Finder<'a> {
    options: &'a Options,
    names: Names,
    found: Found,
}

impl Finder<'_> {
    fn source(&mut self, source: &Path) -> Result<()> {
        if source == Path::new("-") {
            return self.list();
        }
        let metadata = fs::metadata(source).map_err(|e| crate::files::failed("read", source, &e))?;
        let source = self.names.below_root(source)?;
        let name = source.to_string_lossy().to_lowercase();
        if metadata.is_dir() {
            self.directory(&source)
        } else if [".csv", ".jsonl", ".ndjson"].iter().any(|end| name.ends_with(end)) {
            let reference = self.names.reference(&source).map_err(|e| Error::new(ErrorKind::InvalidArgument, e))?;
            self.found.texts.push((source, reference));
            Ok(())
        } else if archive::is_archive(&name) {
            self.archive(&source)
        } else {
            self.file(source, &metadata);
            Ok(())
        }
    }

    fn directory(&mut self, source: &Path) -> Result<()> {
        let globs = self.globs(source)?;
        let mut complete = true;
        let walk = WalkBuilder::new(source)
            .hidden(!self.options.hidden)
            .ignore(!self.options.no_ignore)
            .git_ignore(!self.options.no_ignore)
            .git_global(!self.options.no_ignore)
            .git_exclude(!self.options.no_ignore)
            .parents(!self.options.no_ignore)
            .follow_links(self.options.follow)
            .overrides(globs.clone())
            .sort_by_file_name(|a, b| a.cmp(b))
            .build();
        for entry in walk {
            let entry = match entry {
                Ok(entry) => entry,
                Err(e) => {
                    complete = false;
                    self.found.failures.push(Failure::new(source.display().to_string(), e.to_string()));
                    continue;
                }
            };
            if !entry.file_type().is_some_and(|kind| kind.is_file()) {
                continue;
            }
            if globs.num_whitelists() == 0 && !is_picture(entry.path()) {
                self.found.others += 1;
                continue;
            }
            match entry.metadata() {
                Ok(metadata) => self.file(entry.path().to_owned(), &metadata),
                Err(e) => {
                    complete = false;
                    self.found.failures.push(Failure::new(entry.path().display().to_string(), e.to_string()));
                }
            }
        }
        let prefix = self.names.scope(source).map_err(|e| Error::new(ErrorKind::InvalidArgument, e))?;
        self.found.scopes.push(Scope { prefix, complete });
        Ok(())
    }

    fn globs(&self, source: &Path) -> Result<Override> {
        let mut builder = OverrideBuilder::new(source);
        for glob in &self.options.glob {
            builder.add(glob).map_err(|e| Error::new(ErrorKind::InvalidArgument, e.to_string()))?;
        }
        builder.build().map_err(|e| Error::new(ErrorKind::InvalidArgument, e.to_string()))
    }

    fn archive(&mut self, source: &Path) -> Result<()> {
        let prefix = self.names.scope(source).map_err(|e| Error::new(ErrorKind::InvalidArgument, e))?;
        let (archive, members) = archive::members(source)?;
        let archive = Arc::new(archive);
        let mut complete = true;
        for member in members {
            let member = match member {
                Ok(member) => member,
                Err(e) => {
                    complete = false;
                    self.found.failures.push(Failure::new(source.display().to_string(), e.to_string()));
                    break;
                }
            };
            if !is_picture(&member.path) {
                self.found.others += 1;
                continue;
            }
            let place = Place::Member(archive.clone(), member.at);
            let named = self.names.member(&prefix, &member.path);
            self.add(named, &source.join(&member.path), place, member.size, member.modified);
        }
        self.found.scopes.push(Scope { prefix, complete });
        Ok(())
    }

    /// Paths on standard input.
    fn list(&mut self) -> Result<()> {
        let end = if self.options.null { b'\0' } else { b'\n' };
        for path in io::stdin().lock().split(end) {
            let path = path.map_err(|e| crate::files::failed("read", Path::new("standard input"), &e))?;
            if path.is_empty() {
                continue;
            }
            let path = PathBuf::from(std::ffi::OsString::from_vec(path));
            match fs::metadata(&path) {
                Ok(metadata) if metadata.is_file() => match self.names.below_root(&path) {
                    Ok(path) => self.file(path, &metadata),
                    Err(e) => self.found.failures.push(Failure::new(path.display().to_string(), e.to_string())),
                },
                Ok(_) => self.found.failures.push(Failure::new(path.display().to_string(), "it is no file".into())),
                Err(e) => self.found.failures.push(Failure::new(path.display().to_string(), e.to_string())),
            }
        }
        Ok(())
    }

    fn file(&mut self, path: PathBuf, metadata: &fs::Metadata) {
        let named = self.names.reference(&path);
        let shown = path.clone();
        self.add(named, &shown, Place::File(path), metadata.len(), metadata.modified().ok());
    }

    /// Of several pictures of one name the last counts, as in an archive that was appended to.
    fn add(
        &mut self,
        named: std::result::Result<String, String>,
        shown: &Path,
        place: Place,
        size: u64,
        modified: Option<SystemTime>,
    ) {
        let reference = match named {
            Ok(reference) => reference,
            Err(reason) => return self.found.failures.push(Failure::new(shown.display().to_string(), reason)),
        };
        let candidate = Candidate { reference: reference.clone(), place, size, modified };
        match self.found.places.get(&reference) {
            Some(&at) => self.found.pictures[at] = candidate,
            None => {
                self.found.places.insert(reference, self.found.pictures.len());
                self.found.pictures.push(candidate);
            }
        }
    }
}

impl Found {
    pub fn has(&self, reference: &str) -> bool {
        self.places.contains_key(reference)
    }
}

/// By the end of its name.
fn is_picture(path: &Path) -> bool {
    let end = path.extension().map(|end| end.to_string_lossy().to_lowercase());
    end.is_some_and(|end| RAW.contains(&end.as_str()) || format_extensions().any(|known| known == end))
}
