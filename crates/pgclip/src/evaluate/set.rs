//! The evaluation set: `evalset.json` and its pictures, as `models/pictograms/train/eval_set.py` writes them.

use std::fs;
use std::path::{Path, PathBuf};

use clip_core::Result;
use clip_core::image::sniff;
use serde::Deserialize;

use crate::files::{invalid, read};

#[derive(Deserialize)]
pub struct Set {
    /// Whose pictures they are.
    pub style: String,
    pub pictures: Vec<Picture>,
    #[serde(default)]
    held_out: Vec<Keyword>,
    #[serde(default)]
    pub queries: Vec<Query>,
    #[serde(skip)]
    dir: PathBuf,
}

#[derive(Deserialize)]
pub struct Picture {
    file: String,
    /// Name in English, by which it is to be found; in other languages where there is one.
    pub en: String,
    de: Option<String>,
    fr: Option<String>,
    es: Option<String>,
}

/// A word that training did not see together with its picture.
#[derive(Deserialize)]
struct Keyword {
    text: String,
    picture: usize,
    #[serde(default)]
    leaked: bool,
}

/// A free query, without a right answer.
#[derive(Deserialize)]
pub struct Query {
    pub text: String,
    pub language: String,
}

impl Set {
    pub fn read(dir: &Path) -> Result<Self> {
        let path = dir.join("evalset.json");
        if !path.exists() {
            return Self::of_pictures(dir);
        }
        let mut set: Self = serde_json::from_slice(&read(&path)?).map_err(|e| invalid(&path, e))?;
        if set.pictures.is_empty() {
            return Err(invalid(&path, "has no pictures"));
        }
        if let Some(keyword) = set.held_out.iter().find(|keyword| keyword.picture >= set.pictures.len()) {
            let what = format!(
                "keyword \"{}\" is of picture {}, expected less than {}",
                keyword.text,
                keyword.picture,
                set.pictures.len()
            );
            return Err(invalid(&path, what));
        }
        set.dir = dir.to_owned();
        Ok(set)
    }

    /// All files of a directory that begin as pictures do, sorted by name, each with the words of its name.
    fn of_pictures(dir: &Path) -> Result<Self> {
        let entries = fs::read_dir(dir).map_err(|e| invalid(dir, e))?;
        let mut files: Vec<String> =
            entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect();
        files.sort();
        let mut set = Self {
            style: dir.display().to_string(),
            pictures: Vec::new(),
            held_out: Vec::new(),
            queries: Vec::new(),
            dir: dir.to_owned(),
        };
        for file in files {
            if dir.join(&file).is_file() && sniff(&read(&dir.join(&file))?).is_ok() {
                let stem = Path::new(&file).file_stem().unwrap_or_default().to_string_lossy();
                let en = stem.split(['-', '_', '.', ' ']).filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
                set.pictures.push(Picture { en, file, de: None, fr: None, es: None });
            }
        }
        if set.pictures.is_empty() { Err(invalid(dir, "has no evalset.json and no pictures")) } else { Ok(set) }
    }

    pub fn bytes(&self, picture: &Picture) -> Result<Vec<u8>> {
        read(&self.dir.join(&picture.file))
    }

    /// The pictures that have a name in a language.
    pub fn named(&self, language: &str) -> impl Iterator<Item = (usize, &str)> {
        self.pictures.iter().enumerate().filter_map(move |(i, picture)| {
            let name = match language {
                "de" => &picture.de,
                "fr" => &picture.fr,
                _ => &picture.es,
            };
            Some((i, name.as_deref()?))
        })
    }

    /// Held-out keywords that no other list gave away, each with its picture.
    pub fn keywords(&self) -> impl Iterator<Item = (&str, usize)> {
        self.held_out.iter().filter(|keyword| !keyword.leaked).map(|keyword| (keyword.text.as_str(), keyword.picture))
    }
}
