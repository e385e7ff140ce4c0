//! Tar archives, plain and compressed by gzip. Nothing is extracted: members are read where they lie.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use clip_core::Result;
use flate2::read::MultiGzDecoder;
use tar::{Archive, EntryType};

/// A regular file in an archive.
pub struct Member {
    pub path: PathBuf,
    /// Where its bytes begin.
    pub at: u64,
    pub size: u64,
    pub modified: Option<SystemTime>,
}

/// By a file's name, in lower case.
pub fn is_archive(name: &str) -> bool {
    [".tar", ".tar.gz", ".tgz"].iter().any(|end| name.ends_with(end))
}

/// What lies in an archive, and the file to read it from: a temporary one where it is compressed.
pub fn members(path: &Path) -> Result<(File, Vec<io::Result<Member>>)> {
    let failed = |e: io::Error| crate::files::failed("read", path, &e);
    let mut file = File::open(path).map_err(failed)?;
    let mut magic = [0; 2];
    let compressed = file.read(&mut magic).map_err(failed)? == 2 && magic == [0x1f, 0x8b];
    file.seek(SeekFrom::Start(0)).map_err(failed)?;
    if compressed {
        let mut plain = tempfile::tempfile().map_err(failed)?;
        io::copy(&mut MultiGzDecoder::new(BufReader::new(file)), &mut plain).map_err(failed)?;
        file = plain;
        file.seek(SeekFrom::Start(0)).map_err(failed)?;
    }
    let mut archive = Archive::new(BufReader::new(&file));
    let members = archive.entries_with_seek().map_err(failed)?.filter_map(|entry| member(entry).transpose()).collect();
    drop(archive);
    Ok((file, members))
}

fn member<R: Read>(entry: io::Result<tar::Entry<'_, R>>) -> io::Result<Option<Member>> {
    let entry = entry?;
    if !matches!(entry.header().entry_type(), EntryType::Regular | EntryType::Continuous) {
        return Ok(None);
    }
    let modified =
        entry.header().mtime().ok().map(|seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds.min(1 << 40)));
    Ok(Some(Member { path: entry.path()?.into_owned(), at: entry.raw_file_position(), size: entry.size(), modified }))
}
