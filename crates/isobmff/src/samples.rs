//! Where the samples of a track are: `stbl`.

use crate::FourCc;
use crate::boxes::{Atom, find};
use crate::error::{Error, Result};

/// The tables, which stay where they are.
#[derive(Clone, Copy, Debug)]
pub struct Samples<'a> {
    file: &'a [u8],
    count: u32,
    /// Of every sample, or 0.
    size: u32,
    sizes: &'a [[u8; 4]],
    chunks: Chunks<'a>,
    /// First chunk, samples in each, description.
    runs: &'a [[u8; 12]],
    /// Samples, ticks of each.
    durations: &'a [[u8; 8]],
    /// Samples, ticks that each is shown later than it is decoded.
    delays: &'a [[u8; 8]],
    /// `None`: all are.
    sync: Option<&'a [[u8; 4]]>,
}

#[derive(Clone, Copy, Debug)]
enum Chunks<'a> {
    Short(&'a [[u8; 4]]),
    Long(&'a [[u8; 8]]),
}

/// A picture of a sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample<'a> {
    /// Where its data begin in the file, in bytes.
    pub offset: u64,
    /// Its data.
    pub data: &'a [u8],
    /// In ticks of the track.
    pub duration: u32,
    /// It can be decoded without others.
    pub sync: bool,
    /// For [`Track::entry`](crate::Track::entry).
    pub description: u32,
}

impl<'a> Samples<'a> {
    /// The tables in an `stbl` box. Compact ones (`stz2`) are `Unsupported`.
    pub(crate) fn read(file: &'a [u8], stbl: &Atom<'a>) -> Result<Self> {
        let missing = Error::Damaged("a track lacks a sample table");
        let part = |kind: &FourCc| find(stbl.children()?, kind);
        let (_, _, mut stsz) =
            part(b"stsz")?.ok_or(Error::Unsupported("sizes of samples in a compact table"))?.full()?;
        let (size, count) = (stsz.u32()?, stsz.u32()?);
        let sizes = if size == 0 { rows(stsz.rest(), count)? } else { Default::default() };
        let chunks = match (part(b"stco")?, part(b"co64")?) {
            (Some(atom), _) => Chunks::Short(table(&atom)?),
            (None, Some(atom)) => Chunks::Long(table(&atom)?),
            (None, None) => return Err(missing),
        };
        let runs = table(&part(b"stsc")?.ok_or(missing)?)?;
        let durations = table(&part(b"stts")?.ok_or(missing)?)?;
        let delays = part(b"ctts")?.map(|atom| table(&atom)).transpose()?.unwrap_or_default();
        let sync = part(b"stss")?.map(|atom| table(&atom)).transpose()?;
        Ok(Self { file, count, size, sizes, chunks, runs, durations, delays, sync })
    }

    /// Samples of the track.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// Sample `i`, from 0 on. Takes time as the tables are long.
    ///
    /// `Damaged` where the tables do not have it, `Truncated` where its data are not in the file.
    pub fn get(&self, i: u32) -> Result<Sample<'a>> {
        if i >= self.count {
            return Err(Error::Damaged("a sample is not there"));
        }
        let (offset, description) = self.place(i)?;
        let size = self.size_of(i)?;
        let data = self.bytes(offset, size)?;
        let sync =
            self.sync.is_none_or(|sync| sync.iter().any(|&number| u32::from_be_bytes(number) == i.saturating_add(1)));
        Ok(Sample { offset, data, duration: self.duration(i), sync, description })
    }

    /// The number of the first sample that can be decoded without others, from 0 on. `Damaged` where there is none.
    pub fn first_sync(&self) -> Result<u32> {
        let Some(sync) = self.sync else { return Ok(0) };
        let first = sync.iter().map(|&number| u32::from_be_bytes(number)).min();
        first.and_then(|number| number.checked_sub(1)).ok_or(Error::Damaged("no sample can be decoded without others"))
    }

    pub(crate) fn size_of(&self, i: u32) -> Result<u32> {
        if self.size != 0 {
            return Ok(self.size);
        }
        self.sizes.get(i as usize).map(|&size| u32::from_be_bytes(size)).ok_or(Error::Damaged("a sample has no size"))
    }

    /// Of all samples in their order, in ticks of the track. They end where the table does, or go on for longer than there are samples.
    pub fn durations(&self) -> impl Iterator<Item = u32> + use<'a> {
        self.durations.iter().flat_map(|row| {
            let [count, ticks] = words(row);
            std::iter::repeat_n(ticks, count as usize)
        })
    }

    /// Ticks that each sample is shown later than it is decoded, in their order. They end where the table does, or go on for longer
    /// than there are samples.
    pub fn delays(&self) -> impl Iterator<Item = i32> + use<'a> {
        self.delays.iter().flat_map(|row| {
            let [count, ticks] = words(row);
            // Written with signs in both versions of the table.
            std::iter::repeat_n(ticks as i32, count as usize)
        })
    }

    fn duration(&self, i: u32) -> u32 {
        let mut end = 0u64;
        for row in self.durations {
            let [count, ticks] = words(row);
            end += u64::from(count);
            if u64::from(i) < end {
                return ticks;
            }
        }
        0
    }

    /// Offset in the file, and description.
    fn place(&self, i: u32) -> Result<(u64, u32)> {
        const BAD: Error = Error::Damaged("a sample is in no chunk");
        let sample = u64::from(i);
        // Chunks from 0 on, and the number of the first sample there.
        let mut before = 0u64;
        for (at, row) in self.runs.iter().enumerate() {
            let [first, samples, description] = words(row);
            let next = self.runs.get(at + 1).map_or(u64::from(u32::MAX) + 1, |row| u64::from(words::<12, 3>(row)[0]));
            let chunks = next.checked_sub(u64::from(first)).filter(|_| first > 0).ok_or(BAD)?;
            // At most 2^32 of 2^32.
            let end = before.saturating_add(chunks * u64::from(samples));
            if sample < end {
                let into = sample - before;
                let chunk = u64::from(first) - 1 + into / u64::from(samples);
                let start = self.chunks.get(chunk).ok_or(BAD)?;
                return Ok((start.checked_add(self.skipped(i, into % u64::from(samples))?).ok_or(BAD)?, description));
            }
            before = end;
        }
        Err(BAD)
    }

    /// The samples that chunks of a row of the table have, the number of the next row's first chunk, and their description.
    pub(crate) fn run(&self, row: usize) -> Option<(u32, u64, u32)> {
        let [_, samples, description] = words(self.runs.get(row)?);
        let next = self.runs.get(row + 1).map_or(u64::MAX, |next| u64::from(words::<12, 3>(next)[0]));
        Some((samples, next, description))
    }

    /// Where a chunk begins, from 0 on.
    pub(crate) fn chunk(&self, i: u64) -> Option<u64> {
        self.chunks.get(i)
    }

    /// So many bytes from one on.
    pub(crate) fn bytes(&self, offset: u64, size: u32) -> Result<&'a [u8]> {
        let data =
            usize::try_from(offset).ok().and_then(|at| self.file.get(at..)).and_then(|rest| rest.get(..size as usize));
        data.ok_or(Error::Truncated)
    }

    /// Bytes of so many samples before one.
    fn skipped(&self, i: u32, count: u64) -> Result<u64> {
        if self.size != 0 {
            return Ok(count * u64::from(self.size));
        }
        let end = i as usize;
        let sizes = usize::try_from(count).ok().and_then(|count| self.sizes.get(end.checked_sub(count)?..end));
        let sizes = sizes.ok_or(Error::Damaged("a sample has no size"))?;
        Ok(sizes.iter().map(|&size| u64::from(u32::from_be_bytes(size))).sum())
    }
}

impl Chunks<'_> {
    fn get(self, i: u64) -> Option<u64> {
        let i = usize::try_from(i).ok()?;
        match self {
            Self::Short(offsets) => offsets.get(i).map(|&offset| u64::from(u32::from_be_bytes(offset))),
            Self::Long(offsets) => offsets.get(i).map(|&offset| u64::from_be_bytes(offset)),
        }
    }
}

/// The rows of a full box that counts them.
fn table<'a, const N: usize>(atom: &Atom<'a>) -> Result<&'a [[u8; N]]> {
    let (_, _, mut cursor) = atom.full()?;
    let count = cursor.u32()?;
    rows(cursor.rest(), count)
}

fn rows<const N: usize>(bytes: &[u8], count: u32) -> Result<&[[u8; N]]> {
    bytes.as_chunks().0.get(..count as usize).ok_or(Error::Damaged("a sample table ends before its rows do"))
}

/// The numbers of a row.
fn words<const N: usize, const M: usize>(row: &[u8; N]) -> [u32; M] {
    let mut words = [0; M];
    for (word, bytes) in words.iter_mut().zip(row.as_chunks().0) {
        *word = u32::from_be_bytes(*bytes);
    }
    words
}
