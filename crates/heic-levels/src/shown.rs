//! What a file shows.

use std::sync::Arc;

use isobmff::File;

use crate::Env;
use crate::decode;
use crate::error::Result;
use crate::overlay::Overlay;
use crate::source::Source;
use crate::turn::Turn;

#[derive(Clone, Debug)]
pub enum Shown<'a> {
    Picture(Box<Source<'a>>),
    Overlay(Overlay<'a>),
}

impl<'a> Shown<'a> {
    pub fn new(bytes: &'a [u8]) -> Result<Self> {
        let file = File::read(bytes)?;
        let Some((primary, meta)) = file.meta.and_then(|meta| Some((meta.primary?, Arc::new(meta)))) else {
            return Ok(Self::Picture(Box::new(Source::of_movie(file.movie.as_ref())?)));
        };
        if meta.item(primary).is_some_and(|item| item.kind == *b"iovl" && !item.protected) {
            return Ok(Self::Overlay(Overlay::new(&meta, primary)?));
        }
        Ok(Self::Picture(Box::new(Source::of_item(&meta, primary)?)))
    }

    pub fn turn(&self) -> &Turn {
        match self {
            Self::Picture(source) => &source.turn,
            Self::Overlay(overlay) => &overlay.turn,
        }
    }

    /// Width and height before it is turned and cropped.
    pub fn stored(&self) -> (usize, usize) {
        match self {
            Self::Picture(source) => (source.width, source.height),
            Self::Overlay(overlay) => (overlay.width, overlay.height),
        }
    }

    /// Bytes beside those of the picture.
    pub fn needs(&self) -> Result<usize> {
        match self {
            Self::Picture(source) => decode::needs(source),
            Self::Overlay(overlay) => overlay.needs(),
        }
    }

    pub fn decode(&self, env: &Env) -> Result<Vec<u8>> {
        match self {
            Self::Picture(source) => decode::decode(source, env),
            Self::Overlay(overlay) => overlay.decode(env),
        }
    }
}
