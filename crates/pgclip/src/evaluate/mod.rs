//! `evaluate`: retrieval figures of an installed model on a set of named pictures, through the engine that the
//! database runs.

mod compare;
mod page;
mod scores;
mod set;

use std::path::Path;
use std::process::ExitCode;

use clip_core::image::Limits;
use clip_core::{Compute, Context, Embedding, Model, ModelDir, Precision, Result};

use crate::progress::Bar;
use compare::{Comparison, Embedded};
use scores::{Mixed, Recall, similarities};
use set::Set;

/// Inputs between two steps of the progress bar.
const CHUNK: usize = 64;

pub fn evaluate(
    name: &str,
    precision: Option<Precision>,
    set: &Path,
    page: Option<&Path>,
    threads: usize,
    models: &ModelDir,
) -> Result<()> {
    let set = Set::read(set)?;
    let model = Model::new(models.open(name)?, precision)?;
    let compute = Compute::new(threads)?;
    let embedder = Embedder { model: &model, ctx: Context { compute: &compute, stop: &|| false } };

    let names: Vec<&str> = set.pictures.iter().map(|picture| picture.en.as_str()).collect();
    let queries: Vec<&str> = set.queries.iter().map(|query| query.text.as_str()).collect();
    let images = embedder.images(&set)?;
    let texts = embedder.texts(&names)?;
    let free = embedder.texts(&queries)?;
    let own: Vec<usize> = (0..names.len()).collect();
    let found = similarities(&texts, &images);

    println!("{name} in {} on {} pictures of {}", model.precision(), names.len(), set.style);
    println!("{:<36} {:>6} {:>6} {:>6} {:>6}", "", "R@1", "R@5", "R@10", "n");
    let line = |what: &str, r: Recall| {
        println!("{what:<36} {:>6.1} {:>6.1} {:>6.1} {:>6}", r.at(1), r.at(5), r.at(10), r.len());
    };
    line("text to image, English names", Recall::new(&found, &own));
    for language in ["de", "fr", "es"] {
        let (rows, names): (Vec<usize>, Vec<&str>) = set.named(language).unzip();
        if !rows.is_empty() {
            line(
                &format!("text to image, {language} names"),
                Recall::new(&similarities(&embedder.texts(&names)?, &images), &rows),
            );
        }
    }
    line("image to text, English names", Recall::new(&similarities(&images, &texts), &own));
    let (keywords, pictures): (Vec<&str>, Vec<usize>) = set.keywords().unzip();
    if !keywords.is_empty() {
        line("held-out keyword to image", Recall::new(&similarities(&embedder.texts(&keywords)?, &images), &pictures));
    }
    println!("\none list of names and pictures, first 10 rows");
    let mixed = Mixed::of_names(&similarities(&texts, &texts), &found);
    println!("{:<36} {:>6.1} % pictures, own picture found {:.1} %", "query by name", mixed.pictures, mixed.own);
    let mixed = Mixed::of_pictures(&similarities(&images, &texts), &similarities(&images, &images));
    println!("{:<36} {:>6.1} % pictures, own name found {:.1} %", "query by picture", mixed.pictures, mixed.own);
    if !free.is_empty() {
        let pictures = Mixed::share(&similarities(&free, &texts), &similarities(&free, &images));
        println!("{:<36} {pictures:>6.1} % pictures", "query by free text");
    }
    if let Some(page) = page {
        page::write(page, name, &set, &similarities(&free, &images))?;
        println!("\nfive first pictures of each free query: {}", page.display());
    }
    Ok(())
}

/// Compares a number format with f32 on the same inputs. Fails, as an exit status, where it does not hold what a format
/// has to hold that `auto` takes.
pub fn compare(
    name: &str,
    precision: Option<Precision>,
    set: &Path,
    threads: usize,
    models: &ModelDir,
) -> Result<ExitCode> {
    let (set, compute) = (Set::read(set)?, Compute::new(threads)?);
    let names: Vec<&str> = set.pictures.iter().map(|picture| picture.en.as_str()).collect();
    let embedded = |precision| -> Result<(Embedded, Precision)> {
        let model = Model::new(models.open(name)?, precision)?;
        let embedder = Embedder { model: &model, ctx: Context { compute: &compute, stop: &|| false } };
        let embedded = Embedded { images: embedder.images(&set)?, texts: embedder.texts(&names)? };
        Ok((embedded, model.precision()))
    };
    let (other, precision) = embedded(precision)?;
    let (exact, _) = embedded(Some(Precision::F32))?;
    println!("{name} in {precision} beside f32, on {} pictures of {}\n", names.len(), set.style);
    let comparison = Comparison::new(&exact, &other);
    comparison.print();
    let failures = comparison.failures();
    println!("\n{}", if failures.is_empty() { "As good as f32." } else { "Not as good as f32:" });
    failures.iter().for_each(|failure| println!("- {failure}"));
    Ok(if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

struct Embedder<'a> {
    model: &'a Model,
    ctx: Context<'a>,
}

impl Embedder<'_> {
    fn images(&self, set: &Set) -> Result<Vec<Embedding>> {
        let bar = Bar::new("{msg} [{bar:40}] {pos}/{len}", "pictures");
        let mut all = Vec::with_capacity(set.pictures.len());
        for pictures in set.pictures.chunks(CHUNK) {
            let bytes = pictures.iter().map(|p| set.bytes(p)).collect::<Result<Vec<_>>>()?;
            let bytes: Vec<&[u8]> = bytes.iter().map(Vec::as_slice).collect();
            let embedded = self.model.embed_images(&bytes, &Limits::default(), &self.ctx);
            all.extend(embedded.map_err(|e| match e.item.and_then(|item| pictures.get(item)) {
                Some(picture) => e.context(&picture.en),
                None => e,
            })?);
            bar.set(all.len() as u64, set.pictures.len() as u64);
        }
        bar.clear();
        Ok(all)
    }

    fn texts(&self, texts: &[&str]) -> Result<Vec<Embedding>> {
        self.model.embed_texts(texts, &self.ctx)
    }
}
