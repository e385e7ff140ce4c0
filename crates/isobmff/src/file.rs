//! The file as a whole.

use crate::boxes::Boxes;
use crate::brands::Brands;
use crate::error::{Error, Result};
use crate::meta::Meta;
use crate::movie::Movie;

/// A file whose tables are read. The data of its pictures stay where they are.
#[derive(Clone, Debug)]
pub struct File<'a> {
    /// All of it.
    pub bytes: &'a [u8],
    /// What it says that it is.
    pub brands: Brands<'a>,
    /// Its items, where it has any: still pictures.
    pub meta: Option<Meta<'a>>,
    /// Its tracks, where it has any: sequences.
    pub movie: Option<Movie<'a>>,
}

impl<'a> File<'a> {
    /// Reads the tables of a file. Of several boxes of a kind the first one counts.
    ///
    /// What is behind a box that is no box is not looked at, if there are items or a film.
    ///
    /// # Errors
    ///
    /// `NotIsobmff` without an `ftyp` box. `Truncated` or `Damaged` where a table is, `Unsupported` for versions of
    /// tables, `TooMuch` for more than [`MOST`](crate::MOST) entries.
    pub fn read(bytes: &'a [u8]) -> Result<Self> {
        let brands = Brands::read(bytes).ok_or(Error::NotIsobmff)?;
        let mut file = Self { bytes, brands, meta: None, movie: None };
        for atom in Boxes::of_file(bytes) {
            let atom = match atom {
                Ok(atom) => atom,
                Err(_) if file.meta.is_some() || file.movie.is_some() => break,
                Err(error) => return Err(error),
            };
            match &atom.kind {
                b"meta" if file.meta.is_none() => file.meta = Some(Meta::read(bytes, &atom)?),
                b"moov" if file.movie.is_none() => file.movie = Some(Movie::read(bytes, &atom)?),
                _ => {}
            }
        }
        Ok(file)
    }
}
