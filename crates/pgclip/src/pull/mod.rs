//! `pull`: a model of a Hugging Face hub is downloaded, checked and imported.
//!
//! Files go to a cache directory first and are imported from there, so that a download can be resumed and a model is
//! never visible before it is whole.

mod cache;
mod checksum;
mod fetch;
mod http;
mod hub;
pub mod plan;
mod progress;
mod proxy;
mod retry;

use std::path::{Path, PathBuf};
use std::time::Duration;

use clip_core::import::{self, Directories};
use clip_core::{Error, ModelDir, Precision, Result};

use crate::files::read;
use crate::interrupt;
use crate::known::{self, Known};
use crate::{license, models};
use cache::Cache;
use checksum::Checksum;
use fetch::Fetch;
use hub::{Hub, RemoteFile, Repository};
use plan::Plan;
use progress::Progress;

/// No published model comes near; whoever announces more has other plans with this disk.
const MAX_WEIGHTS: u64 = 64 << 30;
const MAX_SMALL: u64 = 256 << 20;

pub struct Options<'a> {
    /// `ORG/NAME`, or a known name.
    pub model: &'a str,
    pub revision: Option<&'a str>,
    /// The model whose images go with the texts of an encoder: `ORG/NAME`, or a known name.
    pub images: Option<&'a str>,
    pub endpoint: &'a str,
    pub name: Option<&'a str>,
    pub license: Option<&'a str>,
    /// Go on though the license forbids commercial use.
    pub accept_license: bool,
    pub cache_dir: Option<&'a Path>,
    pub timeout: Duration,
}

/// Downloads and installs a model.
pub fn pull(options: &Options, models: &ModelDir) -> Result<()> {
    let source = Source::of(options)?;
    let name = match options.name {
        Some(name) => name.to_owned(),
        None => source.name(),
    };
    ModelDir::check_name(&name).map_err(|e| e.with_hint("Name the model with --name."))?;
    let dir = |of: &Source| -> Result<PathBuf> {
        Ok(cache::root(options.cache_dir)?.join(of.repository.id.replace('/', "--")))
    };
    let images = source.images(options)?;
    announce(&dir(&source)?)?;
    let plan = plan::of(images.is_some());
    let (cache, _) = download(&source, options, dir(&source)?, true, plan)?;
    let images = match images {
        Some(images) => Some(download(&images, options, dir(&images)?, true, plan::files)?.0),
        None => None,
    };
    let from = Directories { model: cache.dir(), images: images.as_ref().map(Cache::dir) };
    let found = import::inspect(from)?;
    let sizes = Precision::ALL.into_iter().map(|precision| found.bytes(precision)).sum::<Result<u64>>()?;
    cache::check_space(models.root(), sizes)?;
    // What is known of the license counts where the model card is silent.
    let known = source.known.and_then(|known| known.license.clone()).filter(|_| found.license == "unknown");
    let license = options.license.map(str::to_owned).or(known);
    models::import(from, Some(&name), license.as_deref(), true, models)?;
    cache.close(false);
    images.into_iter().for_each(|cache| cache.close(false));
    Ok(())
}

/// Downloads the files that `pgclip import` reads into a directory of the user's.
pub fn download_only(options: &Options, dir: &Path) -> Result<()> {
    let source = Source::of(options)?;
    let images = source.images(options)?;
    announce(dir)?;
    let plan = plan::of(images.is_some());
    let (cache, commit) = download(&source, options, dir.to_owned(), false, plan)?;
    cache.close(true);
    println!("downloaded {} at {commit} into {}", source.repository.id, dir.display());
    if let Some(images) = images {
        println!("its images are those of {}: download that, too, and import both with --images", images.repository.id);
    }
    Ok(())
}

struct Source {
    repository: Repository,
    known: Option<&'static Known>,
}

impl Source {
    fn of(options: &Options) -> Result<Self> {
        Self::named(options.model, options.revision)
    }

    /// `ORG/NAME`, or a known name.
    fn named(name: &str, revision: Option<&str>) -> Result<Self> {
        let known = if name.contains('/') { None } else { Some(known::find(name)?) };
        let id = known.map_or(name, |known| &known.repository);
        let revision = revision.or(known.and_then(|known| known.revision.as_deref())).unwrap_or("main");
        Ok(Self { repository: Repository::new(id, revision)?, known })
    }

    /// The model whose images go with it, where it is an encoder of texts alone.
    fn images(&self, options: &Options) -> Result<Option<Self>> {
        let name = options.images.or(self.known.and_then(|known| known.images.as_deref()));
        name.map(|name| Self::named(name, None)).transpose()
    }

    /// A file's checksum, where the registry has it and its own revision is asked for.
    fn checksum(&self, file: &str) -> Option<Checksum> {
        let known = self.known.filter(|known| known.revision.as_deref() == Some(&self.repository.revision))?;
        known.sha256.get(file).cloned().map(Checksum::Sha256)
    }

    /// Fails where a license forbids commercial use, the one of the registry or of the model's card, and is not accepted.
    fn check_license(&self, card: Option<&[u8]>, options: &Options) -> Result<()> {
        let stated = card.map(import::license_of_card).filter(|license| license != "unknown");
        let listed = self.known.and_then(|known| known.license.clone());
        let forbids = self.known.is_some_and(|known| known.noncommercial);
        let page = format!("at {}/{}", options.endpoint.trim_end_matches('/'), self.repository.id);
        license::check(&stated.or(listed).unwrap_or_default(), forbids, options.accept_license, &page)
    }

    /// The name to install under where none is given.
    fn name(&self) -> String {
        match self.known {
            Some(known) => known.name.clone(),
            None => self.repository.id.rsplit('/').next().unwrap_or_default().to_lowercase(),
        }
    }
}

/// Says on Ctrl-C that nothing is lost.
fn announce(dir: &Path) -> Result<()> {
    let dir = dir.to_owned();
    interrupt::on_cancel(move || {
        eprintln!(
            "\npgclip: cancelled; what was downloaded is kept in \"{}\", the same command goes on from there",
            dir.display()
        );
    })
}

fn download(source: &Source, options: &Options, dir: PathBuf, own: bool, plan: Plan) -> Result<(Cache, String)> {
    source.check_license(None, options)?;
    let token = std::env::var("HF_TOKEN").ok().filter(|token| !token.is_empty());
    let hub = Hub::new(options.endpoint, token, options.timeout)?;
    let repository = &source.repository;
    let listing = hub.list(repository)?;
    let file = |name: &str| {
        let mut file = hub.file(repository, &listing, name)?;
        if let Some(expected) = source.checksum(name) {
            if matches!(file.checksum, Checksum::Sha256(_)) && file.checksum != expected {
                let what = format!("file \"{name}\" has {} on the hub, expected {expected}", file.checksum);
                return Err(Error::corrupted(what).with_hint(
                    "It is not the file that pgclip knows. With --revision main pgclip takes what the hub has.",
                ));
            }
            file.checksum = expected;
        }
        let limit =
            if [".json", ".md", ".txt"].iter().any(|end| name.ends_with(end)) { MAX_SMALL } else { MAX_WEIGHTS };
        if file.size > limit {
            return Err(Error::limit(format!("file \"{name}\" has {} bytes, expected {limit} at most", file.size)));
        }
        Ok(file)
    };
    let prefix = plan::prefix(|name| listing.has(name));
    let path = |name: &str| if name == plan::CARD { name.to_owned() } else { format!("{prefix}{name}") };
    let has = |name: &str| listing.has(&path(name));
    plan(&repository.id, &has)?;

    let cache = Cache::open(dir)?;
    let fetch = Fetch { hub: &hub, repository, commit: &listing.commit, cache: &cache };
    let small = |file: &RemoteFile| {
        fetch.file(file, &Progress::new(file.size))?;
        read(&cache.path(&file.name))
    };
    let timm = plan::is_ambiguous(has) && !plan::is_of_transformers(&small(&file(plan::CONFIG)?)?);
    let has = |name: &str| has(name) && !(timm && name == plan::CONFIG);
    let names = plan(&repository.id, &has)?;
    let mut files = names.into_iter().map(|name| file(&path(name))).collect::<Result<Vec<RemoteFile>>>()?;
    if let Some(index) = files.iter().find(|file| plan::is_index(&file.name)).cloned() {
        let shards = plan::shards(&index.name, &small(&index)?, has)?;
        files.extend(shards.iter().map(|name| file(&path(name))).collect::<Result<Vec<_>>>()?);
    }
    cache.check_space(&files)?;
    let progress = Progress::new(files.iter().map(|file| file.size).fold(0, u64::saturating_add));
    for file in &files {
        fetch.file(file, &progress)?;
        if file.name == plan::CARD {
            source.check_license(Some(&read(&cache.path(plan::CARD))?), options)?;
        }
    }
    progress.clear();
    if own {
        cache.keep_only(&files)?;
    }
    Ok((cache, listing.commit))
}
