//! What one backend keeps between calls: loaded models, threads, the memo, counters.

use std::cell::RefCell;
use std::collections::HashMap;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::{Arc, Once};
use std::time::Instant;

use clip_core::memory::{self, Budget, Headroom};
use clip_core::text;
use clip_core::{
    Background, Compute, Context, Embedding, Error, ErrorKind, Modality, Model, ModelDir, Precision, Result,
};
use pgrx::pg_sys;

use crate::backend::memo::{self, Memo};
use crate::backend::reading::Reading;
use crate::backend::remarks;
use crate::backend::stats::{self, Call, Stats};
use crate::error::sqlstate;
use crate::guc;
use crate::pg::interrupts;

/// Inputs of one call at most; their vectors have to fit into one array value.
const MAX_BATCH: usize = 1 << 14;

/// What a call keeps of an input beside its embedding.
const KEPT: usize = 512;

/// Directory and name, and the precision that is asked for.
type ModelKey = (PathBuf, String, Option<Precision>);

struct Session {
    models: HashMap<ModelKey, Rc<Model>>,
    /// The setting it was made for, and the threads.
    compute: Option<(usize, Rc<Compute>)>,
    background: Rc<Background>,
    /// What a call may take.
    memory: Arc<Budget>,
    memo: Memo,
    stats: Stats,
}

thread_local! {
    // A backend has one thread that may call this; the engine's own threads never do.
    static SESSION: RefCell<Session> = RefCell::new(Session {
        models: HashMap::new(),
        compute: None,
        background: Rc::default(),
        memory: Arc::default(),
        memo: Memo::new(),
        stats: Stats::default(),
    });
}

/// The borrow never spans a call into PostgreSQL or the engine, so it cannot be taken twice.
fn with<R>(f: impl FnOnce(&mut Session) -> R) -> R {
    SESSION.with(|session| f(&mut session.borrow_mut()))
}

pub fn model_dir() -> ModelDir {
    ModelDir::new(guc::model_dir())
}

/// The named model in the session's precision, opened once per session.
pub fn model(name: &str) -> Result<Rc<Model>> {
    // Where f32 is the fastest, it is one model with that of the IMMUTABLE functions.
    let fastest = || (Precision::auto() == Precision::F32).then_some(Precision::F32);
    opened(name, guc::precision().or_else(fastest)).map_err(|e| match e.kind {
        ErrorKind::Unsupported if e.hint.is_none() => e.with_hint("Set clip.precision to \"auto\"."),
        _ => e,
    })
}

fn opened(name: &str, precision: Option<Precision>) -> Result<Rc<Model>> {
    let key = (guc::model_dir(), name.to_owned(), precision);
    // One whose files have changed is opened anew.
    if let Some(model) = with(|s| s.models.get(&key).filter(|model| !model.is_stale()).cloned()) {
        return Ok(model);
    }
    let model = Rc::new(Model::new(ModelDir::new(&key.0).open(name)?, precision)?);
    with(|s| s.models.insert(key, model.clone()));
    Ok(model)
}

/// For functions that are IMMUTABLE where they are given a name: the named model in f32, which every installation has, as
/// what an index holds must not depend on a setting. Without a name, the session's model in the session's precision.
pub fn immutable_or_default(name: Option<&str>) -> Result<Rc<Model>> {
    match name {
        Some(name) => opened(name, Some(Precision::F32)),
        None => model(&guc::model()),
    }
}

/// `name`, or the session's model where it is `None`, in the session's precision.
pub fn model_or_default(name: Option<&str>) -> Result<Rc<Model>> {
    match name {
        Some(name) => model(name),
        None => model(&guc::model()),
    }
}

/// Has this session used the model, in any precision?
pub fn is_loaded(name: &str) -> bool {
    let dir = guc::model_dir();
    with(|s| s.models.iter().any(|((d, n, _), model)| *d == dir && n == name && model.is_loaded()))
}

/// The session's threads, made anew when `clip.threads` changed.
pub fn compute() -> Result<Rc<Compute>> {
    let wanted = guc::threads();
    if let Some(compute) =
        with(|s| s.compute.as_ref().filter(|(made_for, _)| *made_for == wanted).map(|(_, c)| c.clone()))
    {
        return Ok(compute);
    }
    halt_at_exit();
    let compute = Rc::new(Compute::new(wanted)?.with_memory(memory()?));
    with(|s| s.compute = Some((wanted, compute.clone())));
    Ok(compute)
}

/// The session's budget, as large as the setting is now. Fails where the system has no memory for a call to begin with.
fn memory() -> Result<Arc<Budget>> {
    memory::prepare()?;
    let memory = with(|s| s.memory.clone());
    memory.set_limit(guc::max_memory(), "Raise clip.max_memory.");
    Ok(memory)
}

/// Has [`halt`] called when the process exits.
fn halt_at_exit() {
    static AT_EXIT: Once = Once::new();
    AT_EXIT.call_once(|| interrupts::register_exit(halt));
}

/// The threads' work ends here, whatever they are at: the process exits.
extern "C-unwind" fn halt(_code: std::ffi::c_int, _argument: pg_sys::Datum) {
    let _ = SESSION.try_with(|session| {
        if let Ok(session) = session.try_borrow() {
            session.background.halt();
            if let Some((_, compute)) = &session.compute {
                compute.pool().halt();
            }
        }
    });
}

/// Of this session, or of all where they are shared.
pub fn counters(shared: bool) -> Vec<stats::Row> {
    if shared { stats::shared::all() } else { with(|s| s.stats.all()) }
}

pub fn reset_counters() {
    with(|s| s.stats.reset());
    stats::shared::reset();
}

/// What a session asks with.
pub fn embed_one(model: &Model, modality: Modality, input: &[u8]) -> Result<Rc<Embedding>> {
    embed_one_as(model, modality, input, &Reading::of_queries())
}

/// What a row holds.
pub fn embed_row(model: &Model, modality: Modality, input: &[u8]) -> Result<Rc<Embedding>> {
    embed_one_as(model, modality, input, &Reading::of_rows())
}

pub fn embed_one_as(model: &Model, modality: Modality, input: &[u8], reading: &Reading) -> Result<Rc<Embedding>> {
    let mut embedded = embed_as(model, modality, &[input], reading)?;
    embedded.pop().ok_or_else(|| Error::internal("one input gave no embedding"))
}

/// Embeds each input that a session asks with, from the memo where it was seen before; equal inputs of one call run once.
pub fn embed(model: &Model, modality: Modality, inputs: &[&[u8]]) -> Result<Vec<Rc<Embedding>>> {
    embed_as(model, modality, inputs, &Reading::of_queries())
}

/// The same with inputs read in a way of the caller's.
pub fn embed_as(model: &Model, modality: Modality, inputs: &[&[u8]], reading: &Reading) -> Result<Vec<Rc<Embedding>>> {
    let run = |inputs: &[&[u8]]| Ok(run(model, modality, inputs, reading)?.into_iter().map(Ok).collect());
    counted(model, modality, |call| through_memo(model, modality, inputs, reading, call, run)?.into_iter().collect())
}

/// As [`embed`] for inputs of rows, where a bad one is a failure of its own and the others have their embeddings.
pub fn try_embed(model: &Model, modality: Modality, inputs: &[&[u8]]) -> Result<Vec<Result<Rc<Embedding>>>> {
    let reading = Reading::of_rows();
    each_for_itself(model, modality, inputs, &reading, |inputs| {
        here(|ctx| try_run(model, modality, inputs, &reading, ctx))
    })
}

/// As [`try_embed`], computed on other threads, see [`Background::run`]: a single input on one, as who waits is not the
/// caller, and whoever wrote it may be about to write another.
pub fn try_embed_beside(
    model: &Model,
    modality: Modality,
    inputs: &[&[u8]],
    attend: &mut dyn FnMut(),
) -> Result<Vec<Result<Rc<Embedding>>>> {
    let reading = Reading::of_rows();
    each_for_itself(model, modality, inputs, &reading, |inputs| {
        let (background, memory) = (with(|s| s.background.clone()), memory()?);
        let threads = if inputs.len() == 1 { 1 } else { guc::threads() };
        halt_at_exit();
        background.run(threads, &memory, |ctx| try_run(model, modality, inputs, &reading, ctx), attend)
    })
}

fn each_for_itself(
    model: &Model,
    modality: Modality,
    inputs: &[&[u8]],
    reading: &Reading,
    run: impl FnOnce(&[&[u8]]) -> Result<Vec<Result<Embedding>>>,
) -> Result<Vec<Result<Rc<Embedding>>>> {
    counted(model, modality, |call| {
        let embedded = through_memo(model, modality, inputs, reading, call, run)?;
        call.errors.extend(embedded.iter().filter_map(|result| result.as_ref().err().map(sqlstate)));
        Ok(embedded)
    })
}

fn counted<T>(model: &Model, modality: Modality, work: impl FnOnce(&mut Call) -> Result<T>) -> Result<T> {
    let (mut call, start) = (Call::default(), Instant::now());
    let result = work(&mut call);
    call.errors.extend(result.as_ref().err().map(sqlstate));
    call.spent = start.elapsed();
    let name = &model.installed().name;
    with(|s| s.stats.add(name, modality, &call));
    stats::shared::add(name, modality, &call);
    result
}

/// The perceptual hash of an image; no model has a part in it.
pub fn image_hash(image: &[u8]) -> Result<u64> {
    memory::prepare()?;
    here(|ctx| clip_core::image_hash(image, &guc::limits(), ctx))
}

/// Frames of an animation, each a PNG.
pub fn image_frames(image: &[u8], at_most: usize) -> Result<Vec<Vec<u8>>> {
    memory::prepare()?;
    here(|ctx| clip_core::image_frames(image, at_most, &guc::limits(), ctx))
}

/// The largest JPEG in a camera's raw file.
pub fn image_preview(image: &[u8]) -> Result<Option<&[u8]>> {
    clip_core::image::preview(image, &guc::limits())
}

pub fn check_batch(inputs: usize) -> Result<()> {
    if inputs > MAX_BATCH {
        return Err(Error::limit(format!("batch of {inputs} inputs exceeds the limit of {MAX_BATCH}"))
            .with_hint("Split the array."));
    }
    Ok(())
}

fn through_memo(
    model: &Model,
    modality: Modality,
    inputs: &[&[u8]],
    reading: &Reading,
    call: &mut Call,
    run: impl FnOnce(&[&[u8]]) -> Result<Vec<Result<Embedding>>>,
) -> Result<Vec<Result<Rc<Embedding>>>> {
    check_batch(inputs.len())?;
    memory::prepare()?;
    let _room = Headroom::new(inputs.len() * KEPT)?;
    let keys: Vec<memo::Key> = inputs.iter().map(|input| memo::key(model, modality, input, reading)).collect();
    let mut known: HashMap<memo::Key, Result<Rc<Embedding>>> = with(|s| {
        s.memo.set_capacity(guc::cache_entries(), guc::max_memory() / 4);
        keys.iter().filter_map(|key| Some((*key, Ok(s.memo.get(key)?)))).collect()
    });
    let mut missing: Vec<usize> = Vec::new();
    let mut queued = std::collections::HashSet::new();
    for (i, key) in keys.iter().enumerate() {
        if !known.contains_key(key) && queued.insert(key) {
            missing.push(i);
        }
    }
    let mut new = Vec::new();
    if !missing.is_empty() {
        new = run(&missing.iter().map(|i| inputs[*i]).collect::<Vec<_>>()).map_err(|mut e| {
            e.item = e.item.and_then(|item| missing.get(item).copied());
            e
        })?;
    }
    call.items = missing.len();
    call.memo_hits = inputs.len() - missing.len();
    with(|s| {
        for (i, result) in missing.iter().zip(new) {
            let result = result.map(Rc::new);
            if let Ok(embedding) = &result {
                s.memo.put(keys[*i], embedding.clone());
            }
            known.insert(keys[*i], result);
        }
    });
    remarks::tell_of_clipping(known.values().flatten().map(|embedding| &**embedding));
    keys.iter()
        .map(|key| known.get(key).cloned().ok_or_else(|| Error::internal("an input of the batch has no embedding")))
        .collect()
}

/// Runs `work` on the session's threads, this one among them.
fn here<R>(work: impl FnOnce(&Context) -> Result<R>) -> Result<R> {
    memory()?;
    let compute = compute()?;
    work(&Context { compute: &compute, stop: &interrupts::stop })
}

fn run(model: &Model, modality: Modality, inputs: &[&[u8]], reading: &Reading) -> Result<Vec<Embedding>> {
    here(|ctx| match modality {
        Modality::Image => model.embed_images(inputs, reading.images, ctx),
        Modality::Text => embed_texts(model, inputs, reading, ctx),
    })
}

fn try_run(
    model: &Model,
    modality: Modality,
    inputs: &[&[u8]],
    reading: &Reading,
    ctx: &Context,
) -> Result<Vec<Result<Embedding>>> {
    match modality {
        Modality::Image => model.try_embed_images(inputs, reading.images, ctx),
        Modality::Text => Ok(embed_texts(model, inputs, reading, ctx)?.into_iter().map(Ok).collect()),
    }
}

fn embed_texts(model: &Model, inputs: &[&[u8]], reading: &Reading, ctx: &Context) -> Result<Vec<Embedding>> {
    let embedded = model.embed_texts_in(&utf8(inputs, ctx)?, reading.language.as_deref(), ctx);
    embedded.map_err(|e| match e.kind {
        ErrorKind::InvalidArgument => e.context(format!("clip.text_language for model \"{}\"", model.installed().name)),
        _ => e,
    })
}

fn utf8<'a>(inputs: &[&'a [u8]], ctx: &Context) -> Result<Vec<&'a str>> {
    let text =
        |bytes: &&'a [u8]| text::utf8(bytes, &|| ctx.check())?.ok_or_else(|| Error::internal("text is not UTF-8"));
    inputs.iter().map(text).collect()
}

/// Reads the models of `clip.preload` in the server's first process, so that every session starts with them in memory
/// that is shared until somebody writes to it, which nobody does.
pub fn preload() {
    if !guc::preloading() {
        return;
    }
    for name in guc::preload() {
        if let Err(e) = model(&name).and_then(|model| model.load()) {
            // A server that does not start because of a model would be worse than one without it.
            crate::error::warn(e.context("clip.preload"));
        }
    }
}
