//! The file as a whole.

use crate::boxes::Boxes;
use crate::brands::Brands;
use crate::error::{Error, Result};
use crate::meta::Meta;
use crate::movie::Movie;

#[derive(Clone, Debug)]
pub struct File<'a> {
    pub bytes: &'a [u8],
    pub brands: Brands<'a>,
    /// Items.
    pub meta: Option<Meta<'a>>,
    /// Sequences.
    pub movie: Option<Movie<'a>>,
}

impl<'a> File<'a> {
    /// Of several boxes the first one counts. What is behind a box that is no box is not looked at, if there are items or a film.
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
