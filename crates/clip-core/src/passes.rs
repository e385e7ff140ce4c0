//! Batches in passes, each thread with its own.
//!
//! Threads that share the loops of a pass wait for each other after each of them, some hundred times a pass. Where a batch is
//! large enough, every thread rather computes passes alone.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Mutex, PoisonError};

use crate::compute::Context;
use crate::error::{Error, ErrorKind, Result};
use crate::image::most_pixels;
use crate::memory;
use crate::spec::{Gating, LayerParts, ModelSpec, Norms, TowerSpec, VisionHead, VisionLayers};

/// How many items a pass takes.
pub struct Size {
    /// Items of a pass that all threads share, at most.
    ///
    /// Few enough that what a layer hands to the next one stays in the caches, and that cancelling is quick.
    pub most: usize,
    /// Items of a pass that one thread computes alone, at least.
    ///
    /// Enough to keep it at work on a layer's weights once they have come from memory.
    pub alone: usize,
}

/// What the items of a batch take, in bytes.
pub struct Need {
    /// For each unit of an item's cost, while its pass is computed.
    pub cost: usize,
    /// Of each thread, whatever it computes.
    pub thread: usize,
    /// What one item takes beside its pass while it is made ready, at most; items may wait for each other.
    pub beside: usize,
    /// Of each item, until the end of the call.
    pub output: usize,
    /// What the call has been charged already, all together.
    pub held: usize,
}

/// Bytes that the layers take for an image during a pass, its pixels among them, and what each thread takes.
pub fn image_bytes(spec: &ModelSpec) -> (usize, usize) {
    let (vision, rows, parts) = (&spec.vision, spec.most_rows(), spec.vision_parts());
    let pooling = if let VisionHead::AttentionLinear(pool) = parts.head { pool.intermediate } else { 0 };
    let patch = 3 * vision.patch_size * vision.patch_size;
    let (row, thread) = pass_bytes(&vision.tower, patch.max(pooling), rows);
    // what attention and MLP give before it is normed
    let apart = if parts.layers.norms == Norms::Inside { vision.tower.hidden } else { 0 };
    let row = row + gate_bytes(&vision.tower, parts.layers) + size_of::<f32>() * apart;
    let pixels = 3 * size_of::<f32>() * most_pixels(&spec.image);
    let layers = match vision.layers {
        VisionLayers::FastVit(size) => size.bytes(),
        _ => row.saturating_mul(rows),
    };
    (layers.saturating_add(pixels), thread)
}

/// Bytes that the layers take for a token during a pass, and what each thread takes.
pub fn text_bytes(spec: &ModelSpec) -> (usize, usize) {
    let (row, thread) = pass_bytes(&spec.text.tower, 0, spec.text.context_length);
    (row + gate_bytes(&spec.text.tower, spec.text_parts().layers), thread)
}

/// Both factors of a gated MLP, of a row.
fn gate_bytes(tower: &TowerSpec, parts: LayerParts) -> usize {
    match parts.gating {
        Gating::None => 0,
        Gating::Normed | Gating::Plain => 2 * size_of::<f32>() * tower.intermediate,
    }
}

/// What a row of a tower takes during a pass, and a thread. `patch`: values of a patch, where rows are made of those.
///
/// The residuals; two left-hand sides of products, the memory of each as wide as the widest; queries, keys and values, rounded
/// and before that; what is embedded. All as f32, which is what they are at most. Integers are a byte beside what they are
/// staged in, for which queries, keys and values leave room.
fn pass_bytes(tower: &TowerSpec, patch: usize, rows: usize) -> (usize, usize) {
    let widest = tower.intermediate.max(tower.hidden).max(patch);
    let row = size_of::<f32>() * (2 * tower.hidden + 2 * widest + 6 * tower.hidden);
    // Of attention: a head's keys and values, its output, and scores of 24 queries as f32 and as bf16. Of products: a panel
    // laid out anew, and a job's sums.
    let head = tower.hidden.div_ceil(tower.heads.max(1)) + 16;
    (row, size_of::<f32>() * ((4 * head + 36) * (rows + 32)) + (1 << 19))
}

/// What `pass` gives for the items of a batch, in order, or the first error. `costs`: of each item, in any unit.
///
/// `pass` is called for ranges of items, on the calling thread with the caller's context. Where that is stopped or
/// panics, the passes of other threads end at their next look.
///
/// Passes are as many, and on as many threads, as the memory allows. Where it is too little for one item, the error
/// is `LimitExceeded`.
pub fn in_passes<R: Send>(
    costs: &[usize],
    size: &Size,
    need: &Need,
    ctx: &Context,
    pass: impl Fn(Range<usize>, &Context) -> Result<Vec<R>> + Sync,
) -> Result<Vec<R>> {
    let plan = Plan::new(costs, size, need, ctx)?;
    let _charge = ctx.compute.memory().charge(plan.bytes, "batch")?;
    let (ranges, mut all) = (plan.ranges, memory::with_capacity(costs.len())?);
    if !plan.apart {
        for range in ranges {
            all.extend(ctx.attend(|| pass(range, ctx))?);
        }
        return Ok(all);
    }
    let results: Vec<Mutex<Option<Result<Vec<R>>>>> = ranges.iter().map(|_| Mutex::new(None)).collect();
    let (failed, stopped) = (AtomicUsize::new(usize::MAX), AtomicBool::new(false));
    // Gives false where the pass was cancelled.
    let task = |i: usize, ctx: &Context| {
        // The first error is the one to report: what follows it need not be begun, what goes before it is done.
        if i > failed.load(SeqCst) {
            return true;
        }
        let result = ctx.attend(|| pass(ranges[i].clone(), ctx));
        let error = result.as_ref().err().map(|e| e.kind);
        if error.is_some() {
            failed.fetch_min(i, SeqCst);
        }
        *results[i].lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
        error != Some(ErrorKind::Cancelled)
    };
    let pool = ctx.compute.pool();
    let stop = || stopped.store(true, SeqCst);
    let mine = |i| {
        if !task(i, ctx) {
            stop();
        }
    };
    let theirs = |i| {
        task(i, &Context { compute: ctx.compute, stop: &|| stopped.load(SeqCst) || pool.is_halted() });
    };
    // The calling thread looks up between its passes, too, and while it waits for those of others.
    ctx.attend(|| {
        pool.split_for(ranges.len(), mine, theirs, &stop);
        Ok(())
    })?;
    for result in results {
        let result = result.into_inner().unwrap_or_else(PoisonError::into_inner);
        all.extend(result.ok_or_else(|| Error::internal("a pass was not computed"))??);
    }
    Ok(all)
}

/// How a batch is computed.
struct Plan {
    ranges: Vec<Range<usize>>,
    /// Each thread computes passes of its own.
    apart: bool,
    /// Bytes that the passes take, but for making items ready.
    bytes: usize,
}

impl Plan {
    /// Passes for each thread alone where the batch is large enough and the memory allows them, else as few shared
    /// ones as it allows.
    fn new(costs: &[usize], size: &Size, need: &Need, ctx: &Context) -> Result<Self> {
        let (threads, memory) = (ctx.compute.threads(), ctx.compute.memory());
        let outputs = costs.len().saturating_mul(need.output);
        let fixed = outputs.saturating_add(threads.saturating_mul(need.thread));
        let room = memory.limit().saturating_sub(need.held.saturating_add(need.beside));
        let bytes = |ranges: &[Range<usize>], passes: usize| {
            let most = ranges.iter().map(|range| costs[range.clone()].iter().sum::<usize>()).max().unwrap_or(0);
            fixed.saturating_add(most.saturating_mul(passes).saturating_mul(need.cost))
        };
        if threads > 1 && costs.len() >= threads * size.alone {
            let alone = costs.len() / size.alone;
            let ranges = split(costs, alone - alone % threads);
            let bytes = bytes(&ranges, threads);
            if bytes <= room {
                return Ok(Self { ranges, apart: true, bytes });
            }
        }
        let mut count = costs.len().div_ceil(size.most);
        loop {
            let ranges = split(costs, count);
            let bytes = bytes(&ranges, 1);
            if bytes <= room || count >= costs.len() {
                let needed = bytes.saturating_add(need.beside).saturating_add(need.held);
                return match needed <= memory.limit() {
                    true => Ok(Self { ranges, apart: false, bytes }),
                    false => Err(memory.exceeded(&format!("batch of {} inputs", costs.len()), needed)),
                };
            }
            count = (2 * count).clamp(1, costs.len());
        }
    }
}

/// Ranges of about the same cost, `count` at most, none of them empty.
fn split(costs: &[usize], count: usize) -> Vec<Range<usize>> {
    let total: usize = costs.iter().sum();
    let (mut ranges, mut start, mut sum) = (Vec::with_capacity(count), 0, 0);
    for (i, cost) in costs.iter().enumerate() {
        sum += cost;
        // Of as many ranges as items each has one, whatever they cost.
        if count >= costs.len() || sum * count >= total * (ranges.len() + 1) || i + 1 == costs.len() {
            ranges.push(start..i + 1);
            start = i + 1;
        }
    }
    ranges
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compute::Compute;
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::thread;
    use std::time::Duration;

    const SIZE: Size = Size { most: 8, alone: 4 };
    const NEED: Need = Need { cost: 1, thread: 1, beside: 1, output: 1, held: 0 };

    #[test]
    fn splits_by_cost() {
        assert_eq!(split(&[1; 8], 2), [0..4, 4..8]);
        assert_eq!(split(&[1; 17], 4), [0..5, 5..9, 9..13, 13..17]);
        assert_eq!(split(&[6, 1, 1, 1, 1, 1, 1], 2), [0..1, 1..7]);
        assert_eq!(split(&[1, 1, 100], 2).len(), 1);
        assert_eq!(split(&[1, 1, 100], 3).len(), 3);
        assert!(split(&[], 0).is_empty());
        for n in 1..70 {
            let costs: Vec<usize> = (0..n).map(|i| 1 + i * 7 % 5).collect();
            for count in 1..9 {
                let items: Vec<usize> = split(&costs, count).into_iter().flatten().collect();
                assert_eq!(items, (0..n).collect::<Vec<_>>());
            }
        }
    }

    #[test]
    fn items_keep_their_order_on_any_number_of_threads() {
        for threads in 1..5 {
            let compute = Compute::new(threads).unwrap();
            let ctx = Context { compute: &compute, stop: &|| false };
            for n in [0, 1, 3, 8, 9, 40, 100] {
                let ids = Mutex::new(std::collections::HashSet::new());
                let pass = |range: Range<usize>, _: &Context| {
                    ids.lock().unwrap().insert(thread::current().id());
                    thread::sleep(Duration::from_millis(1));
                    Ok(range.collect())
                };
                assert_eq!(in_passes(&vec![1; n], &SIZE, &NEED, &ctx, pass).unwrap(), (0..n).collect::<Vec<_>>());
                let apart = threads > 1 && n >= threads * SIZE.alone && n > 40;
                assert!(!apart || ids.into_inner().unwrap().len() > 1, "{threads} threads, {n} items");
            }
        }
    }

    #[test]
    fn the_first_error_is_reported() {
        let compute = Compute::new(2).unwrap();
        let ctx = Context { compute: &compute, stop: &|| false };
        for bad in [0, 17, 39] {
            let pass = |range: Range<usize>, _: &Context| {
                let check = |i| if i >= bad { Err(Error::internal(format!("item {i}"))) } else { Ok(i) };
                range.map(check).collect::<Result<Vec<_>>>()
            };
            let error = in_passes(&[1; 40], &SIZE, &NEED, &ctx, pass).unwrap_err();
            assert_eq!(error.message, format!("item {bad}"));
        }
    }

    #[test]
    fn passes_are_cut_to_fit_the_memory() {
        let compute = Compute::new(2).unwrap();
        let ctx = Context { compute: &compute, stop: &|| false };
        let need = Need { cost: 10, thread: 5, beside: 100, output: 1, held: 0 };
        let plan = |limit, costs: &[usize]| {
            compute.memory().set_limit(limit, "");
            Plan::new(costs, &SIZE, &need, &ctx).map(|plan| (plan.apart, plan.ranges.len(), plan.bytes))
        };
        let items = [1; 16];
        // outputs and threads take 26 of it, what is made ready 100
        assert_eq!(plan(206, &items).unwrap(), (true, 4, 106));
        assert!(!plan(205, &items).unwrap().0);
        assert_eq!(plan(205, &items[..7]).unwrap(), (false, 1, 17 + 70));
        assert_eq!(plan(186, &items[..7]).unwrap(), (false, 2, 17 + 40));
        assert_eq!(plan(127, &items[..7]).unwrap(), (false, 7, 17 + 10));
        assert_eq!(plan(126, &items[..7]).unwrap_err().kind, ErrorKind::LimitExceeded);
        assert_eq!(plan(1000, &[]).unwrap(), (false, 0, 10));
        compute.memory().set_limit(127, "");
        let pass = |range: Range<usize>, _: &Context| Ok(range.collect());
        assert_eq!(in_passes(&items[..7], &SIZE, &need, &ctx, pass).unwrap(), [0, 1, 2, 3, 4, 5, 6]);
    }

    /// Until it is told to stop.
    fn endless(range: Range<usize>, ctx: &Context) -> Result<Vec<usize>> {
        loop {
            ctx.check()?;
            if range.end > 1000 {
                return Ok(Vec::new());
            }
            thread::sleep(Duration::from_millis(1));
        }
    }

    #[test]
    fn all_threads_stop_when_the_caller_does() {
        let (compute, asked) = (Compute::new(3).unwrap(), AtomicUsize::new(0));
        let stop = || asked.fetch_add(1, SeqCst) > 20;
        let error =
            in_passes(&[1; 40], &SIZE, &NEED, &Context { compute: &compute, stop: &stop }, endless).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Cancelled);
        let panics = || if asked.fetch_add(1, SeqCst) > 60 { panic!("interrupted") } else { false };
        let ctx = Context { compute: &compute, stop: &panics };
        let panic = catch_unwind(AssertUnwindSafe(|| in_passes(&[1; 40], &SIZE, &NEED, &ctx, endless))).unwrap_err();
        assert_eq!(*panic.downcast::<&str>().unwrap(), "interrupted");
        // A process that exits from within: nobody is at work after `halt`.
        let working = AtomicUsize::new(0);
        let halts = || {
            if asked.fetch_add(1, SeqCst) < 120 {
                return false;
            }
            compute.pool().halt();
            assert!(working.load(SeqCst) <= 1, "no other one");
            true
        };
        let pass = |range, ctx: &Context| {
            working.fetch_add(1, SeqCst);
            let result = endless(range, ctx);
            working.fetch_sub(1, SeqCst);
            result
        };
        assert!(in_passes(&[1; 40], &SIZE, &NEED, &Context { compute: &compute, stop: &halts }, pass).is_err());
    }
}
