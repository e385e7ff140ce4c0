//! One file from the hub to the disk: resumed where it broke off, never longer than announced, checked at the end.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::path::Path;

use clip_core::{Error, Result};

use super::cache::Cache;
use super::checksum::{Checksum, Hasher};
use super::http::{Attempt, Failure, Reply, unreadable};
use super::hub::{Hub, Linked, RemoteFile, Repository};
use super::progress::Progress;
use super::retry::Retries;
use crate::files::failed;

const CHUNK: usize = 256 << 10;

pub struct Fetch<'a> {
    pub hub: &'a Hub,
    pub repository: &'a Repository,
    pub commit: &'a str,
    pub cache: &'a Cache,
}

/// A part on disk, with the checksum of what it holds.
struct Part {
    out: File,
    hash: Hasher,
    length: u64,
}

impl Fetch<'_> {
    /// The file is whole and right when this returns.
    pub fn file(&self, file: &RemoteFile, progress: &Progress) -> Result<()> {
        let (whole, part) = (self.cache.path(&file.name), self.cache.part(file));
        progress.start(&file.name, file.size);
        if self.is_there(file)? {
            progress.add(file.size);
            return Ok(());
        }
        if let Some(dir) = part.parent() {
            fs::create_dir_all(dir).map_err(|e| failed("write", dir, &e))?;
        }
        let mut download = open_part(&part, file)?;
        progress.add(download.length);
        let mut retries = Retries::default();
        while download.length < file.size {
            let before = download.length;
            let result = self.attempt(file, &mut download, progress);
            if download.length > before {
                retries.reset();
            }
            if let Err(failure) = result {
                retries.after(failure)?;
            }
        }
        let given = download.hash.finish();
        if given != file.checksum {
            // Whatever was wrong with it, the next attempt starts without it.
            fs::remove_file(&part).map_err(|e| failed("remove", &part, &e))?;
            let what = format!("file \"{}\" has {given}, expected {}", file.name, file.checksum);
            return Err(Error::corrupted(what).with_hint("It was discarded. The same command downloads it again."));
        }
        download.out.sync_all().map_err(|e| failed("write", &part, &e))?;
        fs::rename(&part, &whole).map_err(|e| failed("write", &whole, &e))
    }

    /// Whether an earlier run has brought the whole file.
    fn is_there(&self, file: &RemoteFile) -> Result<bool> {
        let path = self.cache.path(&file.name);
        let Ok(mut whole) = File::open(&path) else { return Ok(false) };
        let mut hash = file.checksum.hasher(file.size);
        let length = hash.read(&mut whole).map_err(|e| failed("read", &path, &e))?;
        let same = length == file.size && hash.finish() == file.checksum;
        if !same {
            fs::remove_file(&path).map_err(|e| failed("remove", &path, &e))?;
        }
        Ok(same)
    }

    /// Asks for what is missing and appends what comes.
    fn attempt(&self, file: &RemoteFile, part: &mut Part, progress: &Progress) -> Attempt<()> {
        let reply = self.hub.open(self.repository, self.commit, &file.name, part.length)?;
        self.check(file, &reply)?;
        if reply.status != 206 && part.length > 0 {
            // The server sends the file from its start, or finds the part too long.
            progress.take_back(part.length);
            part.restart(file)?;
        }
        if reply.status == 416 {
            return Err(Failure::Passing { what: format!("file \"{}\" cannot be resumed", file.name), after: None });
        }
        check_range(file, &reply, part.length)?;
        let (mut reader, mut buffer) = (reply.body.into_reader(), vec![0; CHUNK]);
        loop {
            let n = reader.read(&mut buffer).map_err(|e| Failure::Passing {
                what: format!("file \"{}\" broke off at {} of {} bytes: {e}", file.name, part.length, file.size),
                after: None,
            })?;
            if n == 0 && part.length == file.size {
                return Ok(());
            }
            if n == 0 {
                let what = format!("file \"{}\" ended at {} of {} bytes", file.name, part.length, file.size);
                return Err(Failure::Passing { what, after: None });
            }
            if n as u64 > file.size - part.length {
                part.restart(file)?;
                return Err(too_long(file).into());
            }
            part.append(&buffer[..n]).map_err(|e| failed("write", &self.cache.part(file), &e))?;
            progress.add(n as u64);
        }
    }

    fn check(&self, file: &RemoteFile, reply: &Reply) -> Result<()> {
        let linked = Linked::of(&reply.hub).checksum;
        // A small file may lie in Git LFS on one side and be a blob on the other; the content decides then.
        let comparable = |other: &Checksum| other.hex().len() == file.checksum.hex().len();
        if let Some(other) = linked.filter(|other| comparable(other) && *other != file.checksum) {
            return Err(unreadable(format!(
                "the hub lists file \"{}\" with {} and sends one with {other}",
                file.name, file.checksum
            )));
        }
        match reply.headers.get("content-encoding").and_then(|value| value.to_str().ok()) {
            None | Some("" | "identity") => Ok(()),
            Some(other) => Err(unreadable(format!("file \"{}\" comes in encoding \"{other}\"", file.name))),
        }
    }
}

impl Part {
    fn append(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.out.write_all(bytes)?;
        self.hash.update(bytes);
        self.length += bytes.len() as u64;
        Ok(())
    }

    fn restart(&mut self, file: &RemoteFile) -> Result<()> {
        self.out.set_len(0).map_err(|e| unreadable(format!("could not empty the part of \"{}\": {e}", file.name)))?;
        (self.hash, self.length) = (file.checksum.hasher(file.size), 0);
        Ok(())
    }
}

/// Takes up what an earlier run has left.
fn open_part(path: &Path, file: &RemoteFile) -> Result<Part> {
    let fail = |e: std::io::Error| failed("write", path, &e);
    // In append mode every write goes to the end, also after the file was emptied.
    let mut out = OpenOptions::new().read(true).append(true).create(true).open(path).map_err(fail)?;
    let mut hash = file.checksum.hasher(file.size);
    let length = hash.read(&mut out).map_err(fail)?;
    let mut part = Part { out, hash, length };
    if length > file.size {
        part.restart(file)?;
    }
    Ok(part)
}

/// The part that comes must be the part that is missing.
fn check_range(file: &RemoteFile, reply: &Reply, from: u64) -> Result<()> {
    let header = |name| reply.headers.get(name).and_then(|value| value.to_str().ok());
    if reply.status == 206 {
        let range = header("content-range").unwrap_or("none");
        let expected = format!("bytes {from}-{}/", file.size - 1);
        if !range.starts_with(&expected)
            || !matches!(&range[expected.len()..], total if total == "*" || total == file.size.to_string())
        {
            return Err(unreadable(format!(
                "file \"{}\" comes with range {range:?}, expected {expected}{}",
                file.name, file.size
            )));
        }
        return Ok(());
    }
    match header("content-length").map(str::parse::<u64>) {
        Some(Ok(length)) if length > file.size => Err(too_long(file)),
        Some(Ok(length)) if length < file.size => Err(unreadable(format!(
            "file \"{}\" comes with {length} bytes, the hub lists it with {}",
            file.name, file.size
        ))),
        _ => Ok(()),
    }
}

fn too_long(file: &RemoteFile) -> Error {
    unreadable(format!("file \"{}\" is longer than the {} bytes that the hub lists", file.name, file.size))
}
