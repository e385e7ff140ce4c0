//! A loaded model: texts and images in, embeddings out.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use once_cell::sync::OnceCell;
use sha2::{Digest, Sha256};

use crate::background::beside;
use crate::calibrate::{Means, uncentre};
use crate::classify;
use crate::compute::Context;
use crate::embedding::Embedding;
use crate::error::{Error, ErrorKind, Result};
use crate::finish::{finish, finish_each};
use crate::image::{Pixels, ReadOptions, estimate};
use crate::installed::{Installed, MAX_TOKENIZER, TOKENIZER};
use crate::memory::{self, Headroom, look};
use crate::merges;
use crate::passes::{Need, Size, image_bytes, in_passes, text_bytes};
use crate::pixels;
use crate::precision::Precision;
use crate::regular;
use crate::spec::{Calibration, ModelSpec};
use crate::tensor_file::hex;
use crate::text::{Check, Tokenizer};
use crate::towers::{Picture, TextTower, VisionTower};
use crate::watched::{Watched, trust_path};
use crate::weights::Weights;

/// Images of a pass: 8 where all threads share it, at least 4 where each thread has passes of its own.
const IMAGES: Size = Size { most: 8, alone: 4 };
/// Texts have fewer rows than images, so that a pass takes more of them.
const TEXTS: Size = Size { most: 32, alone: 16 };

/// Bytes that a tower or a tokenizer takes beside its mapped files, at most: vectors, positions, expressions.
const LOADING: usize = 16 << 20;
/// A tokenizer takes so many times the length of its description, while that is read.
const PARSING: usize = 16;

/// And so many times the length of a text, up to which it is read.
const TOKENIZING: usize = 64;
/// Bytes of a text that count for the reservation: the tokenizer reads at most half a megabyte of a longer one.
const LONG_TEXT: usize = 1 << 20;

/// Reads `tokenizer.json`, on whatever thread it is called.
type ReadTokenizer = Box<dyn FnOnce() -> Result<Tokenizer> + Send>;

/// An installed model: texts and images in, [embeddings](Embedding) out.
///
/// Its parts (tokenizer, text tower, vision tower) are read on first use, each on its own. Weights are mapped, so
/// that all processes that use a model share one copy.
///
/// Towers follow transformers' `modeling_clip.py` and `modeling_siglip.py`. Calls that embed can be stopped by their
/// [`Context`].
///
/// ```no_run
/// use clip_core::image::Limits;
/// use clip_core::{Compute, Context, Model, ModelDir};
///
/// # fn main() -> clip_core::Result<()> {
/// let model = Model::new(ModelDir::new("/srv/models").open("clip-vit-base-patch32")?, None)?;
/// let compute = Compute::new(0)?;
/// let ctx = Context { compute: &compute, stop: &|| false };
///
/// let texts = model.embed_texts(&["a photo of a cat", "a photo of a dog"], &ctx)?;
/// let image = std::fs::read("cat.jpg").expect("a readable file");
/// let images = model.embed_images(&[&image], &Limits::default(), &ctx)?;
///
/// let probabilities = model.classify(&images[0], &[&texts[0], &texts[1]]);
/// println!("{:.0} % cat", 100.0 * probabilities[0]);
/// # Ok(())
/// # }
/// ```
pub struct Model {
    installed: Installed,
    tokenizer: OnceCell<Tokenizer>,
    precision: Precision,
    weights: OnceCell<Weights>,
    text: OnceCell<TextTower>,
    vision: OnceCell<VisionTower>,
    /// A file has changed under it.
    stale: AtomicBool,
}

impl Model {
    /// With weights in `precision`, or where that is `None`, in the one that [`Precision::auto`] chooses, else in
    /// f32.
    ///
    /// Nothing is read yet.
    ///
    /// # Errors
    ///
    /// `Unsupported` where no weights are installed in that precision.
    pub fn new(installed: Installed, precision: Option<Precision>) -> Result<Self> {
        Ok(Self {
            precision: installed.precision(precision)?,
            installed,
            tokenizer: OnceCell::new(),
            weights: OnceCell::new(),
            text: OnceCell::new(),
            vision: OnceCell::new(),
            stale: AtomicBool::new(false),
        })
    }

    /// The format of the weights that every call uses.
    pub fn precision(&self) -> Precision {
        self.precision
    }

    /// The manifest and the place of the files.
    pub fn installed(&self) -> &Installed {
        &self.installed
    }

    /// What the model is, resolved by its import.
    pub fn spec(&self) -> &ModelSpec {
        self.installed.spec()
    }

    fn means(&self) -> Option<&Means> {
        match &self.spec().calibration {
            Calibration::None => None,
            Calibration::Means(means) => Some(means),
        }
    }

    /// Zero-shot classification: the probability of each label, from embeddings of this model (see [`classify`]).
    ///
    /// `image` is `[dimensions]`, and so is each of `labels`. Gives one probability a label, in order. They add up to
    /// one, unless the model scores by a sigmoid.
    ///
    /// The scale was learnt on plain vectors, so a calibrated model's are taken back to those.
    pub fn classify(&self, image: &[f32], labels: &[&[f32]]) -> Vec<f32> {
        let spec = self.spec();
        match self.means() {
            None => classify::probabilities(image, labels, spec),
            Some(means) => {
                let labels: Vec<_> = labels.iter().map(|label| uncentre(label, &means.text)).collect();
                classify::probabilities(&uncentre(image, &means.image), &labels, spec)
            }
        }
    }

    /// Reads everything that a first use would read, and tokenizes once: expressions are compiled when they are first
    /// used.
    ///
    /// # Errors
    ///
    /// - `MissingFile` or `Corrupted` where a file is gone or damaged
    /// - `OutOfMemory` where the system refuses what reading takes
    pub fn load(&self) -> Result<()> {
        self.tokenizer()?.encode("a photo of 1 cat")?;
        self.text_tower()?;
        self.vision_tower()?;
        self.check_files()
    }

    /// Was a file of the model changed while it was in use? Then every call fails with `Corrupted`.
    ///
    /// A model that is opened anew may work again: its file may have been put back.
    pub fn is_stale(&self) -> bool {
        self.stale.load(SeqCst)
    }

    /// What `work` computes with the model's files, if they are what they were when they were installed.
    fn with_files<T>(&self, ctx: &Context, work: impl FnOnce() -> Result<T>) -> Result<T> {
        self.trust_files(&|| ctx.check())?;
        let result = work();
        // That the files have changed is the reason of whatever error there is.
        self.check_files()?;
        result
    }

    /// Before the files are used: a mapped one that was written to since is compared with its checksum.
    fn trust_files(&self, check: Check) -> Result<()> {
        for (file, watched) in self.files() {
            let Some(entry) = self.installed.manifest.files.get(&file) else { continue };
            let trusted = match watched {
                Some(watched) => watched.trust(entry, check),
                None => trust_path(&self.installed.dir.join(&file), entry, check),
            };
            self.or_stale(trusted)?;
        }
        self.check_files()
    }

    /// After the files were used: what was computed from one that has changed is thrown away, by `Corrupted`.
    fn check_files(&self) -> Result<()> {
        if self.is_stale() {
            let what = format!("model \"{}\": its files were changed after it was opened", self.installed.name);
            return Err(Error::corrupted(what));
        }
        self.files()
            .into_iter()
            .filter_map(|(_, watched)| watched)
            .try_for_each(|watched| self.or_stale(watched.check()))
    }

    /// Notes that a check has failed. A caller who stopped during the check says nothing of the files.
    fn or_stale(&self, result: Result<()>) -> Result<()> {
        if result.as_ref().is_err_and(|e| e.kind != ErrorKind::Cancelled) {
            self.stale.store(true, SeqCst);
        }
        result
    }

    /// The files that are mapped, once they are open.
    fn files(&self) -> [(String, Option<&Watched>); 2] {
        [
            (self.precision.file(), self.weights.get().map(Weights::watched)),
            (merges::FILE.to_owned(), self.tokenizer.get().and_then(Tokenizer::watched)),
        ]
    }

    /// Has a tower been read?
    pub fn is_loaded(&self) -> bool {
        self.text.get().is_some() || self.vision.get().is_some()
    }

    /// Embeds texts, in order: one vector of `[dimensions]` for each.
    ///
    /// A text longer than the model's context is cut, as [`Tokenizer::encode`] says. An empty text is embedded, too.
    ///
    /// # Errors
    ///
    /// - `Cancelled` where the caller stops
    /// - `LimitExceeded` where the batch needs more memory than the [budget](crate::memory::Budget) has
    /// - `OutOfMemory` where the system refuses memory
    /// - `MissingFile` or `Corrupted` where a file of the model is gone, damaged or was changed
    pub fn embed_texts(&self, texts: &[&str], ctx: &Context) -> Result<Vec<Embedding>> {
        self.embed_texts_in(texts, None, ctx)
    }

    /// The same for texts of a language, as `deu_Latn`; `None`: that which the model's files name. It does nothing where the
    /// model has no [languages](Tokenizer::languages).
    ///
    /// # Errors
    ///
    /// Those of [`Model::embed_texts`], and `InvalidArgument` for a language that the model does not have.
    pub fn embed_texts_in(&self, texts: &[&str], language: Option<&str>, ctx: &Context) -> Result<Vec<Embedding>> {
        let bytes = texts.len().saturating_mul(self.output_bytes());
        let _charge = ctx.attend(|| ctx.compute.memory().charge(bytes, &format!("batch of {} texts", texts.len())))?;
        self.with_files(ctx, || {
            let tokenizer = self.tokenizer_in(ctx)?;
            let mut all = memory::with_capacity(texts.len())?;
            for some in texts.chunks(TEXTS.most * ctx.compute.threads()) {
                let encode = |text: &&str| {
                    look();
                    tokenizer.encode_in(text, language, ctx)
                };
                let longest = some.iter().map(|text| text.len()).max().unwrap_or(0);
                let _room = Headroom::new(longest.min(LONG_TEXT) * TOKENIZING)?;
                let ids = ctx.attend(|| some.iter().map(encode).collect::<Result<Vec<_>>>())?;
                all.extend(self.embed_sequences(&ids, 0, bytes, ctx)?);
            }
            Ok(all)
        })
    }

    /// Bytes of an embedding until the end of the call: once here, and once as its caller gives it on.
    fn output_bytes(&self) -> usize {
        2 * size_of::<f32>() * self.spec().dimensions + 256
    }

    /// Embeds token ids, one sequence a text, as [`Tokenizer::encode`] gives them. For tests that leave the tokenizer
    /// out.
    ///
    /// # Errors
    ///
    /// Those of [`Model::embed_texts`]. A sequence that is empty or longer than the context is `Internal`, and so is
    /// an id beyond the vocabulary.
    pub fn embed_tokens(&self, ids: &[Vec<u32>], ctx: &Context) -> Result<Vec<Embedding>> {
        self.with_files(ctx, || self.embed_sequences(ids, self.output_bytes(), 0, ctx))
    }

    /// Embeds sequences of ids. `output`: bytes of an embedding that are still to be charged. `held`: those that have
    /// been.
    fn embed_sequences(&self, ids: &[Vec<u32>], output: usize, held: usize, ctx: &Context) -> Result<Vec<Embedding>> {
        let (tower, mean) = (self.text_tower()?, self.means().map(|means| &*means.text));
        let ids: Vec<&[u32]> = ids.iter().map(Vec::as_slice).collect();
        let rows: Vec<usize> = ids.iter().map(|ids| tower.rows(ids)).collect();
        let (cost, thread) = text_bytes(self.spec());
        let need = Need { cost, thread, beside: 0, output, held };
        in_passes(&rows, &TEXTS, &need, ctx, |range, ctx| finish(tower.forward(&ids[range], ctx)?, mean))
    }

    /// Embeds encoded images (JPEG, PNG, ...), in order: one vector of `[dimensions]` for each.
    ///
    /// Decoding follows Pillow, and preprocessing transformers' `CLIPImageProcessor`: see [`crate::image`]. The first
    /// bad image ends the batch, and has its place in [`Error::item`].
    ///
    /// # Errors
    ///
    /// - `InvalidImage`, `Unsupported` or `LimitExceeded` for an image, as [`decode`](crate::image::decode()) says
    /// - `LimitExceeded` where the batch or one image needs more memory than the budget has
    /// - `Cancelled`, `OutOfMemory`, `MissingFile` and `Corrupted`, as for texts
    pub fn embed_images(
        &self,
        images: &[&[u8]],
        options: impl Into<ReadOptions>,
        ctx: &Context,
    ) -> Result<Vec<Embedding>> {
        let options = options.into();
        self.with_files(ctx, || {
            let (tower, (need, room)) = (self.vision_tower()?, self.images_need(images, &options, ctx)?);
            in_passes(&vec![1; images.len()], &IMAGES, &need, ctx, |range, ctx| {
                let decoded = pixels::decode_all(&images[range.clone()], room, &options, &self.spec().image, ctx)?;
                let pixels = decoded.into_iter().zip(range).map(|(result, i)| result.map_err(|e| e.at(i)));
                self.embed_pass(tower, pixels.collect::<Result<Vec<_>>>()?, ctx)?.into_iter().collect()
            })
        })
    }

    /// Embeds encoded images, where a bad one is a failure of its own and the others have their embeddings.
    ///
    /// Gives as many results as there are images, in order. The errors inside name no item.
    ///
    /// # Errors
    ///
    /// The call itself fails where no image is to blame: with `Cancelled`, `OutOfMemory`, `MissingFile`, `Corrupted`,
    /// or `LimitExceeded` for the batch.
    pub fn try_embed_images(
        &self,
        images: &[&[u8]],
        options: impl Into<ReadOptions>,
        ctx: &Context,
    ) -> Result<Vec<Result<Embedding>>> {
        let options = options.into();
        self.with_files(ctx, || {
            let (tower, (need, room)) = (self.vision_tower()?, self.images_need(images, &options, ctx)?);
            in_passes(&vec![1; images.len()], &IMAGES, &need, ctx, |range, ctx| {
                let mut pixels = Vec::with_capacity(range.len());
                let decoded = pixels::decode_each(&images[range], room, &options, &self.spec().image, ctx)?;
                let failures: Vec<_> =
                    decoded.into_iter().map(|result| result.map(|values| pixels.push(values)).err()).collect();
                let mut embedded = self.embed_pass(tower, pixels, ctx)?.into_iter();
                let result = |failure: Option<Error>| match failure {
                    Some(e) => Ok(Err(e)),
                    None => embedded.next().ok_or_else(|| Error::internal("an image has no embedding")),
                };
                failures.into_iter().map(result).collect()
            })
        })
    }

    /// Embeds pixel values, `[3, size, size]` an image, as [`pixel_values`](crate::image::pixel_values()) gives them.
    ///
    /// # Errors
    ///
    /// Those of [`Model::embed_texts`]. Values of another number are `Internal`.
    pub fn embed_pixels(&self, pixels: &[Vec<f32>], ctx: &Context) -> Result<Vec<Embedding>> {
        let side = self.spec().vision.image_size;
        let square = pixels.iter().map(|values| Picture { values, width: side, height: side });
        self.embed_pictures(&square.collect::<Vec<_>>(), ctx)
    }

    /// The same of pictures as [`pixel_values`](crate::image::pixel_values()) gives them, with their sizes: those of some models
    /// have any aspect.
    ///
    /// # Errors
    ///
    /// Those of [`Model::embed_texts`]. A size that the model does not see is `Internal`.
    pub fn embed_seen(&self, pixels: &[Pixels], ctx: &Context) -> Result<Vec<Embedding>> {
        self.embed_pictures(&pixels.iter().map(picture).collect::<Vec<_>>(), ctx)
    }

    fn embed_pictures(&self, pictures: &[Picture], ctx: &Context) -> Result<Vec<Embedding>> {
        self.with_files(ctx, || {
            let (tower, need) = (self.vision_tower()?, self.pass_need());
            in_passes(&vec![1; pictures.len()], &IMAGES, &need, ctx, |range, ctx| {
                let vectors = tower.forward(&pictures[range], ctx)?;
                finish_each(vectors, self.means().map(|means| &*means.image))?.into_iter().collect()
            })
        })
    }

    /// What images take during a pass. Each costs one unit, as if all had as many rows as one may have.
    fn pass_need(&self) -> Need {
        let (cost, thread) = image_bytes(self.spec());
        Need { cost, thread, beside: 0, output: self.output_bytes(), held: 0 }
    }

    /// What a batch of images takes, and the bytes that one image may take to be decoded.
    ///
    /// An image that needs more fails by itself, when its turn comes. Room is made for the largest of the others.
    fn images_need(&self, images: &[&[u8]], options: &ReadOptions, ctx: &Context) -> Result<(Need, usize)> {
        let need = self.pass_need();
        let batch = images.len().saturating_mul(need.output).saturating_add(ctx.compute.threads() * need.thread);
        let room = ctx.compute.memory().limit().saturating_sub(batch.saturating_add(need.cost));
        let bytes = |image: &&[u8]| {
            look();
            estimate(image, options, &self.spec().image).bytes
        };
        let beside = ctx.attend(|| Ok(images.iter().map(bytes).filter(|bytes| *bytes <= room).max().unwrap_or(0)))?;
        Ok((Need { beside, ..need }, room))
    }

    /// Embeds the images of one pass, with what is to be remarked on each. A vector without a direction is its
    /// image's error.
    fn embed_pass(&self, tower: &VisionTower, pixels: Vec<Pixels>, ctx: &Context) -> Result<Vec<Result<Embedding>>> {
        if pixels.is_empty() {
            return Ok(Vec::new());
        }
        let pictures: Vec<Picture> = pixels.iter().map(picture).collect();
        let embedded = finish_each(tower.forward(&pictures, ctx)?, self.means().map(|means| &*means.image))?;
        let remarks = pixels.iter().map(|image| image.remarks);
        let remarked =
            embedded.into_iter().zip(remarks).map(|(result, remarks)| result.map(|embedding| embedding.with(remarks)));
        Ok(remarked.collect())
    }

    /// The model's tokenizer, which is read by the first call.
    ///
    /// # Errors
    ///
    /// - `MissingFile` or `Corrupted` where its file is gone or is not what was installed
    /// - `OutOfMemory` where the system refuses what reading takes
    pub fn tokenizer(&self) -> Result<&Tokenizer> {
        self.tokenizer.get_or_try_init(|| self.read_tokenizer(|read| read()))
    }

    /// The tokenizer, for a caller who may want to stop: to read a `tokenizer.json` of 35 MB takes a second.
    ///
    /// Fails as [`Model::tokenizer`] does, and with `Cancelled`.
    pub fn tokenizer_in(&self, ctx: &Context) -> Result<&Tokenizer> {
        self.trust_files(&|| ctx.check())?;
        self.tokenizer.get_or_try_init(|| self.read_tokenizer(|read| beside(read, &|| ctx.check())))
    }

    /// `run` gives what reads `tokenizer.json`, where there is no compact form.
    fn read_tokenizer(&self, run: impl FnOnce(ReadTokenizer) -> Result<Tokenizer>) -> Result<Tokenizer> {
        let _room = Headroom::new(LOADING)?;
        let text = &self.spec().text;
        let tokenizer = match self.compact_tokenizer() {
            Some(path) => Tokenizer::open_compact(&path, text.context_length, text.cleaning)?,
            None => run(self.tokenizer_json())?,
        };
        Ok(if text.has_languages() { tokenizer.with_languages() } else { tokenizer })
    }

    /// Tokens of a whole text, see [`Tokenizer::count`].
    pub fn count_tokens(&self, text: &str, ctx: &Context) -> Result<usize> {
        self.with_files(ctx, || self.tokenizer_in(ctx)?.count(text, ctx))
    }

    fn compact_tokenizer(&self) -> Option<PathBuf> {
        let there = self.installed.manifest.files.contains_key(merges::FILE);
        (there && Tokenizer::holds_compact(self.spec().text.cleaning)).then(|| self.installed.dir.join(merges::FILE))
    }

    /// Reads and checks `tokenizer.json`.
    fn tokenizer_json(&self) -> ReadTokenizer {
        let (path, text) = (self.installed.dir.join(TOKENIZER), &self.spec().text);
        let expected = self.installed.manifest.files.get(TOKENIZER).map(|entry| entry.sha256.clone());
        let (context_length, cleaning) = (text.context_length, text.cleaning);
        Box::new(move || {
            let bytes = regular::read(&path, MAX_TOKENIZER)?;
            if expected.is_some_and(|expected| expected != hex(&Sha256::digest(&bytes))) {
                return Err(Error::corrupted(format!("file {}: is not what was installed", path.display())));
            }
            let _room = Headroom::new(PARSING * bytes.len())?;
            Tokenizer::with_cleaning(&bytes, context_length, cleaning)
        })
    }

    fn weights(&self) -> Result<&Weights> {
        self.weights.get_or_try_init(|| Weights::open(&self.installed, self.precision))
    }

    fn text_tower(&self) -> Result<&TextTower> {
        self.text.get_or_try_init(|| {
            let _room = Headroom::new(LOADING)?;
            TextTower::load(self.weights()?, self.spec())
        })
    }

    fn vision_tower(&self) -> Result<&VisionTower> {
        self.vision.get_or_try_init(|| {
            let _room = Headroom::new(LOADING)?;
            VisionTower::load(self.weights()?, self.spec())
        })
    }
}

fn picture(pixels: &Pixels) -> Picture<'_> {
    Picture { values: &pixels.values, width: pixels.width, height: pixels.height }
}
