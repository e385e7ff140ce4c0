//! The settings: one place for their names, ranges, defaults and words.

mod setting;

use std::ffi::{CStr, CString};
use std::path::PathBuf;
use std::time::Duration;

use clip_core::Precision;
use clip_core::image::{Grey16, JpegDecoding, Limits, ReadOptions, Truncated};
use pgrx::guc::{GucContext, GucFlags, GucRegistry, GucSetting, PostgresGucEnum};
use pgrx::pg_sys;
use pgrx::pg_sys::errcodes::PgSqlErrorCode;

pub use setting::changes;
use setting::{Setting, assigned, is_defined};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PostgresGucEnum)]
#[allow(non_camel_case_types)]
enum PrecisionSetting {
    auto,
    f32,
    bf16,
    int8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PostgresGucEnum)]
#[allow(non_camel_case_types)]
enum TruncatedSetting {
    error,
    embed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PostgresGucEnum)]
#[allow(non_camel_case_types)]
enum GraySetting {
    clip,
    scale,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PostgresGucEnum)]
#[allow(non_camel_case_types)]
enum JpegSetting {
    full,
    reduced,
}

const BUNDLED_MODEL: &CStr = c"pictograms";

static MODEL: Setting<Option<CString>> =
    Setting::new(c"clip.model", GucSetting::<Option<CString>>::new(Some(BUNDLED_MODEL)));
static PRECISION: Setting<PrecisionSetting> =
    Setting::new(c"clip.precision", GucSetting::<PrecisionSetting>::new(PrecisionSetting::auto));
static THREADS: Setting<i32> = Setting::new(c"clip.threads", GucSetting::<i32>::new(0));
static CACHE_ENTRIES: Setting<i32> = Setting::new(c"clip.cache_entries", GucSetting::<i32>::new(256));
static MODEL_DIR: Setting<Option<CString>> =
    Setting::new(c"clip.model_dir", GucSetting::<Option<CString>>::new(Some(c"")));
static MAX_IMAGE_BYTES: Setting<i32> = Setting::new(c"clip.max_image_bytes", GucSetting::<i32>::new(64 << 20));
static MAX_IMAGE_PIXELS: Setting<i32> = Setting::new(c"clip.max_image_pixels", GucSetting::<i32>::new(178_956_970));
static TRUNCATED_IMAGES: Setting<TruncatedSetting> =
    Setting::new(c"clip.truncated_images", GucSetting::<TruncatedSetting>::new(TruncatedSetting::error));
static GRAY16: Setting<GraySetting> = Setting::new(c"clip.gray16", GucSetting::<GraySetting>::new(GraySetting::clip));
static JPEG_DECODING: Setting<JpegSetting> =
    Setting::new(c"clip.jpeg_decoding", GucSetting::<JpegSetting>::new(JpegSetting::full));
static TEXT_LANGUAGE: Setting<Option<CString>> =
    Setting::new(c"clip.text_language", GucSetting::<Option<CString>>::new(Some(c"")));
/// In kilobytes.
static MAX_MEMORY: Setting<i32> = Setting::new(c"clip.max_memory", GucSetting::<i32>::new(256 << 10));
static TEXT_SEARCH_CONFIG: Setting<Option<CString>> =
    Setting::new(c"clip.text_search_config", GucSetting::<Option<CString>>::new(Some(c"")));
static WORKERS: Setting<i32> = Setting::new(c"clip.workers", GucSetting::<i32>::new(1));
static WORKER_TIMEOUT: Setting<i32> = Setting::new(c"clip.worker_timeout", GucSetting::<i32>::new(60_000));
static PRELOAD: Setting<Option<CString>> = Setting::new(c"clip.preload", GucSetting::<Option<CString>>::new(Some(c"")));

/// False where another copy of the library has done so in this process.
pub fn register() -> bool {
    if is_defined(MODEL.name) {
        setting::leave_to_another_copy();
        return false;
    }
    register_what_results_follow();
    // SAFETY: the hook cannot panic but by PostgreSQL's errors, which its guard passes on.
    #[allow(unsafe_code)]
    unsafe {
        GucRegistry::define_int_guc_with_hooks(
            THREADS.name,
            c"Threads that one session computes with.",
            c"0 takes one per core, 8 at most: more gain little per image, and other sessions want cores too. Only superusers may set more than there are processors.",
            &THREADS.value,
            0,
            256,
            GucContext::Userset,
            GucFlags::default(),
            Some(check_threads),
            None,
            None,
        );
    }
    GucRegistry::define_int_guc(
        CACHE_ENTRIES.name,
        c"Recent inputs whose embeddings a session remembers.",
        c"What was embedded before, by this or another statement, is not computed again. One entry takes the bytes of a vector. 0 remembers nothing.",
        &CACHE_ENTRIES.value,
        0,
        1_000_000,
        GucContext::Userset,
        GucFlags::default(),
    );
    GucRegistry::define_string_guc(
        TEXT_SEARCH_CONFIG.name,
        c"Text search configuration of clip_search's words.",
        c"Such as \"english\". Default: that of default_text_search_config. An index of clip_create_words_index serves the one that it was made with.",
        &TEXT_SEARCH_CONFIG.value,
        GucContext::Userset,
        GucFlags::default(),
    );
    GucRegistry::define_int_guc(
        MAX_MEMORY.name,
        c"Memory that one call takes beside its input and the mapped weights.",
        c"Over all of its threads, estimated before work begins: images of a batch then wait for each other, and one that alone needs more is refused. Default: suits a container of 512 MB, and photographs of 50 megapixels.",
        &MAX_MEMORY.value,
        16 << 10,
        i32::MAX,
        GucContext::Suset,
        GucFlags::UNIT_KB,
    );
    GucRegistry::define_string_guc(
        PRELOAD.name,
        c"Models that the server reads at start, separated by commas.",
        c"Needs pg_clip in shared_preload_libraries. Sessions then share the server's copy and start warm.",
        &PRELOAD.value,
        // PostgreSQL lets a library define settings of server start only at server start. Loaded later, the library
        // still knows this one, so that ALTER SYSTEM can set it for the next start.
        if preloading() { GucContext::Postmaster } else { GucContext::Sighup },
        GucFlags::default(),
    );
    GucRegistry::define_int_guc(
        WORKERS.name,
        c"Background workers that embed the waiting rows of a database.",
        c"Needs pg_clip in shared_preload_libraries. A worker computes with clip.threads threads, so that one is enough to use all cores. 0 starts none.",
        &WORKERS.value,
        0,
        16,
        GucContext::Sighup,
        GucFlags::default(),
    );
    GucRegistry::define_int_guc(
        WORKER_TIMEOUT.name,
        c"Time that code of a table may take for a batch of its rows, in a worker or in clip_drain.",
        c"Triggers, policies, types and functions of the table, and locks that they wait for. A row whose code takes longer has failed. 0 sets no limit.",
        &WORKER_TIMEOUT.value,
        0,
        i32::MAX,
        GucContext::Suset,
        GucFlags::UNIT_MS,
    );
    reserve_prefix();
    true
}

/// Those by which the same input may give another result.
#[allow(unsafe_code)]
fn register_what_results_follow() {
    // SAFETY: the hooks cannot panic.
    unsafe {
        GucRegistry::define_string_guc_with_hooks(
            MODEL.name,
            c"Name of the model that embeds where a call names none.",
            c"An installed model, see clip_models(). Default: the model that comes with the extension.",
            &MODEL.value,
            GucContext::Userset,
            GucFlags::default(),
            None,
            Some(assigned::string),
            None,
        );
        GucRegistry::define_enum_guc_with_hooks(
            PRECISION.name,
            c"Number format to compute with.",
            c"\"auto\" takes the fastest installed format whose answers are as good as those of f32. IMMUTABLE functions, which are given a model, compute in f32 always.",
            &PRECISION.value,
            GucContext::Userset,
            GucFlags::default(),
            None,
            Some(assigned::number),
            None,
        );
        GucRegistry::define_string_guc_with_hooks(
            MODEL_DIR.name,
            c"Directory of installed models.",
            c"Empty: pg_clip/models in PostgreSQL's share directory, where \"pgclip import\" puts them.",
            &MODEL_DIR.value,
            GucContext::Suset,
            GucFlags::SUPERUSER_ONLY,
            None,
            Some(assigned::string),
            None,
        );
        GucRegistry::define_int_guc_with_hooks(
            MAX_IMAGE_BYTES.name,
            c"Largest encoded image that is accepted, in bytes.",
            c"Checked before anything is read. Photographs of 50 megapixels have about 20 MB.",
            &MAX_IMAGE_BYTES.value,
            1,
            i32::MAX,
            GucContext::Suset,
            GucFlags::UNIT_BYTE,
            None,
            Some(assigned::number),
            None,
        );
        GucRegistry::define_int_guc_with_hooks(
            MAX_IMAGE_PIXELS.name,
            c"Largest image that is decoded, in pixels.",
            c"Checked in the header, before decoding. What a picture takes while it is decoded is limited by clip.max_memory. Default: what Pillow reads, which is twice the size from which on it warns.",
            &MAX_IMAGE_PIXELS.value,
            1,
            i32::MAX,
            GucContext::Suset,
            GucFlags::default(),
            None,
            Some(assigned::number),
            None,
        );
        GucRegistry::define_enum_guc_with_hooks(
            TRUNCATED_IMAGES.name,
            c"What becomes of images that are truncated or damaged.",
            c"\"embed\" embeds what can be decoded of them, with a warning and an entry in clip_failures. IMMUTABLE functions, which are given a model, refuse them always.",
            &TRUNCATED_IMAGES.value,
            GucContext::Userset,
            GucFlags::default(),
            None,
            Some(assigned::number),
            None,
        );
        GucRegistry::define_string_guc_with_hooks(
            TEXT_LANGUAGE.name,
            c"Language of texts, for models whose texts begin with the token of one.",
            c"Such as \"deu_Latn\". Default: the one that the model's tokenizer names. SET changes that of queries alone: rows follow the setting of the database or role. IMMUTABLE functions, which are given a model, take the default always.",
            &TEXT_LANGUAGE.value,
            GucContext::Userset,
            GucFlags::default(),
            None,
            Some(assigned::string),
            None,
        );
        GucRegistry::define_enum_guc_with_hooks(
            GRAY16.name,
            c"What becomes of grey levels above 255, in images of 16 bits and more.",
            c"\"clip\" cuts them, as Pillow does; \"scale\" brings all of them into 0 to 255. IMMUTABLE functions, which are given a model, cut them always.",
            &GRAY16.value,
            GucContext::Userset,
            GucFlags::default(),
            None,
            Some(assigned::number),
            None,
        );
        GucRegistry::define_enum_guc_with_hooks(
            JPEG_DECODING.name,
            c"What is decoded of JPEG images that are far larger than the model's input.",
            c"\"full\" decodes all pixels, as Pillow does; \"reduced\" decodes to 1/2, 1/4 or 1/8 of the size as long as twice the model's input is left. IMMUTABLE functions, which are given a model, decode all pixels always.",
            &JPEG_DECODING.value,
            GucContext::Userset,
            GucFlags::default(),
            None,
            Some(assigned::number),
            None,
        );
    }
}

/// More threads than processors take memory and nobody's time but others', so that only a superuser may ask for them; whoever
/// writes the configuration, or a role's or database's settings, has been asked before.
#[pgrx::pg_guard]
#[allow(unsafe_code)]
unsafe extern "C-unwind" fn check_threads(
    value: *mut i32,
    _extra: *mut *mut std::ffi::c_void,
    source: pg_sys::GucSource::Type,
) -> bool {
    use pg_sys::GucSource::*;
    let processors = std::thread::available_parallelism().map_or(1, |n| n.get());
    // SAFETY: PostgreSQL gives a pointer to the value, and takes the strings from the memory for errors. Who is asking is known
    // within a transaction.
    unsafe {
        let asked = matches!(source, PGC_S_CLIENT | PGC_S_TEST | PGC_S_INTERACTIVE | PGC_S_SESSION);
        let given = *value;
        if given as usize <= processors
            || !asked
            || pg_sys::InitializingParallelWorker
            || !pg_sys::IsTransactionState()
            || pg_sys::superuser()
        {
            return true;
        }
        let message = format!(
            "permission denied to set parameter \"clip.threads\" to {given}, more than the {processors} processors"
        );
        if let Ok(message) = CString::new(message) {
            pg_sys::GUC_check_errcode(PgSqlErrorCode::ERRCODE_INSUFFICIENT_PRIVILEGE as i32);
            pg_sys::GUC_check_errmsg_string = pg_sys::MemoryContextStrdup(pg_sys::ErrorContext, message.as_ptr());
        }
        false
    }
}

/// Makes a typo such as `clip.modell` an error instead of a setting nobody reads.
#[allow(unsafe_code)]
fn reserve_prefix() {
    // SAFETY: a plain call with a NUL-terminated string that lives for ever.
    unsafe { pg_sys::MarkGUCPrefixReserved(c"clip".as_ptr()) };
}

/// Is the library being loaded by `shared_preload_libraries`?
#[allow(unsafe_code)]
pub fn preloading() -> bool {
    // SAFETY: reads a flag that only the main thread, this one, writes.
    unsafe { pg_sys::process_shared_preload_libraries_in_progress }
}

fn number(setting: &Setting<i32>) -> i32 {
    setting.get(|value| value.parse().ok())
}

fn string(setting: &Setting<Option<CString>>) -> String {
    setting
        .get(|value| CString::new(value).ok().map(Some))
        .map(|value| value.to_string_lossy().into_owned())
        .unwrap_or_default()
}

pub fn model() -> String {
    string(&MODEL)
}

/// `None` for the fastest that is installed.
pub fn precision() -> Option<Precision> {
    let parse = |value: String| match value.as_str() {
        "f32" => Some(PrecisionSetting::f32),
        "bf16" => Some(PrecisionSetting::bf16),
        "int8" => Some(PrecisionSetting::int8),
        _ => None,
    };
    match PRECISION.get(parse) {
        PrecisionSetting::auto => None,
        PrecisionSetting::f32 => Some(Precision::F32),
        PrecisionSetting::bf16 => Some(Precision::Bf16),
        PrecisionSetting::int8 => Some(Precision::Int8),
    }
}

pub fn threads() -> usize {
    number(&THREADS) as usize
}

/// In bytes.
pub fn max_memory() -> usize {
    (number(&MAX_MEMORY) as usize).saturating_mul(1024)
}

pub fn cache_entries() -> usize {
    number(&CACHE_ENTRIES) as usize
}

pub fn limits() -> Limits {
    Limits { max_bytes: number(&MAX_IMAGE_BYTES) as usize, max_pixels: number(&MAX_IMAGE_PIXELS) as u64 }
}

/// How images are read, but where a function names its model.
pub fn read_options() -> ReadOptions {
    let truncated = TRUNCATED_IMAGES.get(|value| match value.as_str() {
        "embed" => Some(TruncatedSetting::embed),
        _ => Some(TruncatedSetting::error),
    });
    let gray16 = GRAY16.get(|value| match value.as_str() {
        "scale" => Some(GraySetting::scale),
        _ => Some(GraySetting::clip),
    });
    let jpeg = JPEG_DECODING.get(|value| match value.as_str() {
        "reduced" => Some(JpegSetting::reduced),
        _ => Some(JpegSetting::full),
    });
    ReadOptions {
        limits: limits(),
        truncated: if truncated == TruncatedSetting::embed { Truncated::Accept } else { Truncated::Refuse },
        grey16: if gray16 == GraySetting::scale { Grey16::Scale } else { Grey16::Clip },
        jpeg: if jpeg == JpegSetting::reduced { JpegDecoding::Reduced } else { JpegDecoding::Full },
    }
}

/// The language of texts that a session asks with. `None`: the model's own.
pub fn text_language() -> Option<String> {
    Some(string(&TEXT_LANGUAGE)).filter(|language| !language.is_empty())
}

/// The language of texts in rows: as [`text_language`] is where nobody has SET it. A session that asks in German, and hands its
/// connection on, writes no rows as German ones.
pub fn text_language_of_rows() -> Option<String> {
    TEXT_LANGUAGE.unset().filter(|language| !language.is_empty())
}

pub fn model_dir() -> PathBuf {
    match string(&MODEL_DIR) {
        dir if dir.is_empty() => share_dir().join("pg_clip/models"),
        dir => dir.into(),
    }
}

/// `None`: PostgreSQL's own.
pub fn text_search_config() -> Option<CString> {
    CString::new(string(&TEXT_SEARCH_CONFIG)).ok().filter(|name| !name.is_empty())
}

pub fn workers() -> usize {
    number(&WORKERS) as usize
}

/// `None` for no limit.
pub fn worker_timeout() -> Option<Duration> {
    match number(&WORKER_TIMEOUT) {
        0 => None,
        milliseconds => Some(Duration::from_millis(milliseconds as u64)),
    }
}

pub fn preload() -> Vec<String> {
    string(&PRELOAD).split(',').map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).collect()
}

#[allow(unsafe_code)]
fn share_dir() -> PathBuf {
    let mut path = [0; pg_sys::MAXPGPATH as usize];
    // SAFETY: get_share_path writes a NUL-terminated string of at most MAXPGPATH bytes into `path`.
    let path = unsafe {
        pg_sys::get_share_path((&raw const pg_sys::my_exec_path).cast(), path.as_mut_ptr());
        CStr::from_ptr(path.as_ptr())
    };
    PathBuf::from(path.to_string_lossy().into_owned())
}
