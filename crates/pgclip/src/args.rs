//! The command line's words.

use std::path::{Path, PathBuf};
use std::process;

use clap::{ArgMatches, Args, CommandFactory, FromArgMatches, Parser, Subcommand};
use clip_core::image::{Grey16, JpegDecoding, Limits, ReadOptions, Truncated, format_names};
use clip_core::{Error, ErrorKind, ModelDir, Precision, Result};

use crate::database::Target;
use crate::{browse, calibrate, known, load, search, status};

/// Install and try CLIP models for pg_clip.
///
/// A model is imported once from a Hugging Face model directory; after that the database and this program use it by
/// its name. What concerns a database connects to its server as psql does; nothing else needs one.
#[derive(Parser)]
#[command(version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
pub enum Command {
    /// Install a model from a Hugging Face directory
    ///
    /// Reads config.json, preprocessor_config.json, tokenizer.json and the weights (model.safetensors, its shards, or
    /// pytorch_model.bin; f32, f16 or bf16). Whatever this version does not know, and any tensor that is missing or
    /// left over, is an error. An installed name never changes its content; importing the same model again is fine.
    Import {
        /// Directory with the model's files
        source: PathBuf,
        /// Directory of the model whose images go with it, where the source is an encoder of texts alone
        #[arg(long, value_name = "DIR")]
        images: Option<PathBuf>,
        /// Name to install it under [default: the directory's name]
        #[arg(long)]
        name: Option<String>,
        /// License of the weights [default: the `license:` line of README.md]
        #[arg(long, alias = "licence")]
        license: Option<String>,
        /// The model's license may forbid commercial use
        #[arg(long, alias = "accept-licence")]
        accept_license: bool,
        #[command(flatten)]
        models: Models,
    },
    /// Download a model from a Hugging Face hub and install it
    ///
    /// Only the files that an import reads are downloaded, each is checked against the hub's checksum. A download that
    /// breaks off is kept, and the same command resumes it. HF_TOKEN is the token for private and gated models;
    /// HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY are honoured.
    Pull {
        /// ORG/NAME, or a name that `pgclip known` lists
        model: String,
        /// Branch, tag or commit [default: main]
        #[arg(long)]
        revision: Option<String>,
        /// The model whose images go with it, where it is an encoder of texts alone: ORG/NAME, or a known name
        #[arg(long, value_name = "MODEL")]
        images: Option<String>,
        /// Address of the hub
        #[arg(long, value_name = "URL", env = "HF_ENDPOINT", default_value = "https://huggingface.co")]
        endpoint: String,
        /// Name to install it under [default: the repository's, in lower case]
        #[arg(long)]
        name: Option<String>,
        /// License of the weights [default: the `license:` line of README.md]
        #[arg(long, alias = "licence")]
        license: Option<String>,
        /// The model's license may forbid commercial use
        #[arg(long, alias = "accept-licence")]
        accept_license: bool,
        /// Only download, into this directory: for a machine without a network, see `import`
        #[arg(long, value_name = "DIR", conflicts_with_all = ["name", "license", "cache_dir", "model_dir"])]
        download_only: Option<PathBuf>,
        /// Directory for files until they are installed [default: pgclip under $XDG_CACHE_HOME or ~/.cache]
        #[arg(long, value_name = "DIR", env = "PGCLIP_CACHE_DIR")]
        cache_dir: Option<PathBuf>,
        /// Seconds that the hub may be silent
        #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=3600))]
        timeout: u64,
        #[command(flatten)]
        models: Models,
    },
    /// Load pictures and texts into a table of a database
    ///
    /// Called again, it sends what is new or changed since. Rows of pictures have their paths as content_ref, and size,
    /// mtime, sha256, width and height in metadata. Rows of texts have the text, and the other columns of its line.
    /// Exit status: 0 if all is loaded, 3 if some files could not be, 1 for another failure, 2 for a wrong option.
    Load(Box<load::Options>),
    /// List the models that `pull` knows by a short name, and which suits this machine
    ///
    /// Accuracy is the published share of ImageNet's pictures that the model names right without training on them. The recommended model
    /// is the most accurate one for which an image takes 250 ms at most in f32, estimated from its size and this machine's cores, whose
    /// weights in f32 and bf16 fit in half of the memory, and whose license does not forbid commercial use; else the fastest that fits.
    Known {
        /// Only models that are meant for this
        #[arg(long, value_name = "TASK")]
        r#for: Option<known::Task>,
        /// Print the list as JSON
        #[arg(long)]
        json: bool,
    },
    /// Print what an import would do, without doing it
    Inspect {
        /// Directory with the model's files
        source: PathBuf,
        /// Directory of the model whose images go with it, where the source is an encoder of texts alone
        #[arg(long, value_name = "DIR")]
        images: Option<PathBuf>,
    },
    /// Write man pages and completions of shells, for packages
    #[command(hide = true)]
    Manual {
        /// Directory that gets share/man and the like
        prefix: PathBuf,
    },
    /// List installed models
    List {
        #[command(flatten)]
        models: Models,
    },
    /// Read an installed model's files and compare them with their checksums
    Verify {
        /// Name of the model
        name: String,
        #[command(flatten)]
        models: Models,
    },
    /// Print milliseconds of the engine's parts on this machine
    ///
    /// One line a case: CASE PRECISION MILLISECONDS, the best of several runs, for the whole batch. image_b8 is 8 images
    /// from pixel values to embeddings, text_b32_l10 32 texts of 10 tokens, photos all photos that are given from their
    /// bytes to embeddings, pixels:FILE one of them from its bytes to pixel values on one thread.
    Bench {
        /// Name of the model
        name: String,
        /// Number format of the weights [default: every one]
        #[arg(long, value_name = "f32|bf16|int8")]
        precision: Option<Precision>,
        /// A case to time, such as image_b8 [default: every one]
        #[arg(long)]
        case: Vec<String>,
        /// A photo for the cases photos and pixels; may be given several times
        #[arg(long, value_name = "FILE")]
        photo: Vec<PathBuf>,
        /// Threads to compute with, 0 for automatic
        #[arg(long, default_value_t = 0)]
        threads: usize,
        #[command(flatten)]
        models: Models,
    },
    /// Derive a model whose texts and images lie around the same point
    ///
    /// In every CLIP the vectors of texts and those of images lie apart, so that a mixed list shows one kind first. The
    /// derived model subtracts the mean vector of each kind and normalises again (arXiv 2507.19054). It shares the
    /// weights of the plain model, and has its own name and fingerprint.
    Calibrate {
        /// Name of the plain model
        name: String,
        /// Name of the derived model
        #[arg(long, value_name = "NEW")]
        r#as: String,
        #[command(flatten)]
        sample: Sample,
        /// Language of the texts, such as deu_Latn, for models whose texts begin with the token of one [default: the model's]
        #[arg(long, value_name = "NAME")]
        language: Option<String>,
        #[command(flatten)]
        reading: Images,
        /// Also write the two mean vectors to this file
        #[arg(long, value_name = "FILE")]
        save_means: Option<PathBuf>,
        /// Threads to compute with, 0 for automatic
        #[arg(long, default_value_t = 0)]
        threads: usize,
        #[command(flatten)]
        models: Models,
    },
    /// Print retrieval figures on a set of named pictures
    ///
    /// Recall at 1, 5 and 10 in both directions, and the share of pictures in one list of names and pictures.
    /// models/pictograms/train/eval_set.py writes such a set. --compare says whether a number format is as good as f32
    /// on it: its exit status is 1 where that is not so.
    Evaluate {
        /// Name of the model
        name: String,
        /// Number format of the weights [default: the fastest here]
        #[arg(long, value_name = "f32|bf16|int8")]
        precision: Option<Precision>,
        /// Directory with evalset.json and its pictures, or of pictures alone, which their files name
        #[arg(long, value_name = "DIR")]
        set: PathBuf,
        /// Compare the number format with f32: vectors, nearest ten, recall
        #[arg(long, conflicts_with = "page")]
        compare: bool,
        /// Also write a page with the five first pictures of each free query
        #[arg(long, value_name = "FILE")]
        page: Option<PathBuf>,
        /// Threads to compute with, 0 for automatic
        #[arg(long, default_value_t = 0)]
        threads: usize,
        #[command(flatten)]
        models: Models,
    },
    /// Find the rows of a table that are nearest to words or to a picture
    ///
    /// Prints distance, modality and content_ref, nearest first: what the SQL function clip_search gives. The model runs in the server.
    Search(search::options::Options),
    /// Search a table in this machine's browser
    ///
    /// By words or by a picture. Prints the address of a page, and serves it on 127.0.0.1 alone until Ctrl-C. Whoever has
    /// the address can search the table and see pictures below --root; nothing is written.
    Browse(browse::options::Options),
    /// Tell what the extension does in a database, and what to do where it stands still
    ///
    /// Versions, models, embedded tables, rows that wait, failures, backfills and changes of model. A role sees what the extension's views
    /// show it.
    Status(status::options::Options),
    /// Print embeddings, one JSON line an input: {"kind", "dims", "embedding"}
    ///
    /// --text and --image may be repeated and mixed; the lines come in the order of the options.
    Embed {
        /// Name of the model
        name: String,
        /// Number format of the weights [default: the fastest here]
        #[arg(long, value_name = "f32|bf16|int8")]
        precision: Option<Precision>,
        /// A text to embed
        #[arg(long, value_name = "TEXT", required_unless_present = "image", allow_hyphen_values = true)]
        text: Vec<String>,
        #[arg(long, value_name = "FILE", help = format!("An image file to embed ({})", format_names()))]
        image: Vec<PathBuf>,
        /// Language of the texts, such as deu_Latn, for models whose texts begin with the token of one [default: the model's]
        #[arg(long, value_name = "NAME")]
        language: Option<String>,
        #[command(flatten)]
        reading: Images,
        /// Threads to compute with, 0 for automatic
        #[arg(long, default_value_t = 0)]
        threads: usize,
        #[command(flatten)]
        models: Models,
    },
}

/// What a calibration takes the means of.
#[derive(Args)]
#[group(required = true, multiple = true)]
pub struct Sample {
    /// File with one text a line, as rows will hold them
    #[arg(long, value_name = "FILE", requires = "images")]
    texts: Option<PathBuf>,
    /// Directory of images, as rows will hold them
    #[arg(long, value_name = "DIR", requires = "texts")]
    images: Option<PathBuf>,
    /// File with the mean vectors of an earlier calibration
    #[arg(long, value_name = "FILE", conflicts_with_all = ["texts", "images"])]
    means: Option<PathBuf>,
}

impl Sample {
    pub fn get(&self) -> calibrate::Sample<'_> {
        match (&self.means, &self.texts, &self.images) {
            (Some(means), ..) => calibrate::Sample::Means(means),
            (None, Some(texts), Some(images)) => calibrate::Sample::Inputs { texts, images },
            _ => unreachable!("the argument parser requires --means, or --texts with --images"),
        }
    }
}

/// How images are read: the settings of the extension, by the same names.
#[derive(Args)]
pub struct Images {
    /// Largest image file, in bytes
    #[arg(long, value_name = "N", default_value_t = Limits::default().max_bytes)]
    max_image_bytes: usize,
    /// Largest image, in pixels
    #[arg(long, value_name = "N", default_value_t = Limits::default().max_pixels)]
    max_image_pixels: u64,
    /// What becomes of images that are truncated or damaged
    #[arg(long, value_name = "error|embed", default_value = "error", hide_default_value = true, value_parser = ["error", "embed"])]
    truncated_images: String,
    /// What becomes of grey levels above 255, in images of 16 bits and more
    #[arg(long, value_name = "clip|scale", default_value = "clip", hide_default_value = true, value_parser = ["clip", "scale"])]
    gray16: String,
    /// What is decoded of JPEG images that are far larger than the model's input
    #[arg(long, value_name = "full|reduced", default_value = "full", hide_default_value = true, value_parser = ["full", "reduced"])]
    jpeg_decoding: String,
}

impl Images {
    pub fn options(&self) -> ReadOptions {
        ReadOptions {
            limits: Limits { max_bytes: self.max_image_bytes, max_pixels: self.max_image_pixels },
            truncated: if self.truncated_images == "embed" { Truncated::Accept } else { Truncated::Refuse },
            grey16: if self.gray16 == "scale" { Grey16::Scale } else { Grey16::Clip },
            jpeg: if self.jpeg_decoding == "reduced" { JpegDecoding::Reduced } else { JpegDecoding::Full },
        }
    }
}

/// Which server, and database.
#[derive(Args)]
pub struct Database {
    /// The database: a URL, words as `host=... dbname=...`, or a name [default: as psql, by PGHOST, PGDATABASE, ...]
    #[arg(short, long, value_name = "URL")]
    database: Option<String>,
}

impl Database {
    pub fn target(&self) -> Result<Target> {
        Target::new(self.database.as_deref())
    }
}

/// Where the directory of a server's models leads that was installed as a package. pg_config comes with packages for developers.
const PACKAGED_MODELS: &str = "/var/lib/pg_clip/models";

#[derive(Args)]
pub struct Models {
    /// Directory of installed models [default: pg_clip/models under `pg_config --sharedir`, or without pg_config
    /// /var/lib/pg_clip/models, where Debian's packages have them]
    #[arg(long, value_name = "DIR", env = "PGCLIP_MODEL_DIR")]
    model_dir: Option<PathBuf>,
}

impl Models {
    pub fn open(&self) -> Result<ModelDir> {
        if let Some(dir) = &self.model_dir {
            return Ok(ModelDir::new(dir));
        }
        let missing = |e: String| {
            Error::new(ErrorKind::MissingFile, format!("could not ask pg_config for the model directory: {e}"))
                .with_hint("Name the directory with --model-dir.")
        };
        let named = std::env::var("PG_CONFIG").ok();
        let asked = process::Command::new(named.as_deref().unwrap_or("pg_config")).arg("--sharedir").output();
        if asked.is_err() && named.is_none() && Path::new(PACKAGED_MODELS).is_dir() {
            return Ok(ModelDir::new(PACKAGED_MODELS));
        }
        let output = asked.map_err(|e| missing(e.to_string()))?;
        let sharedir = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        if !output.status.success() || sharedir.is_empty() {
            return Err(missing(format!("it ended with {}", output.status)));
        }
        Ok(ModelDir::new(PathBuf::from(sharedir).join("pg_clip/models")))
    }
}

/// One `--text` or `--image`.
pub enum Input {
    Text(String),
    Image(PathBuf),
}

pub struct Parsed {
    pub command: Command,
    /// The inputs of `embed` in the order of the command line.
    pub inputs: Vec<Input>,
}

/// What the manual is made of.
pub fn definition() -> clap::Command {
    Cli::command()
}

/// Ends the program with usage or help where the words ask for it.
pub fn parse() -> Parsed {
    let matches = Cli::command().get_matches();
    let command = Cli::from_arg_matches(&matches).unwrap_or_else(|e| e.exit()).command;
    let inputs = matches.subcommand_matches("embed").map_or_else(Vec::new, inputs);
    Parsed { command, inputs }
}

fn inputs(matches: &ArgMatches) -> Vec<Input> {
    fn indexed<T: Clone + Send + Sync + 'static>(
        matches: &ArgMatches,
        id: &str,
        make: fn(T) -> Input,
    ) -> Vec<(usize, Input)> {
        let values = matches.get_many::<T>(id).into_iter().flatten().cloned().map(make);
        matches.indices_of(id).into_iter().flatten().zip(values).collect()
    }
    let mut all = indexed(matches, "text", Input::Text);
    all.extend(indexed(matches, "image", Input::Image));
    all.sort_by_key(|(index, _)| *index);
    all.into_iter().map(|(_, input)| input).collect()
}
