//! Images of a batch to pixel values, several at once, and one image to its hash.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::compute::Context;
use crate::detached::detached;
use crate::error::Result;
use crate::image::{
    Estimate, Limits, Pixels, ReadOptions, estimate, estimate_frames, estimate_hash, frames, perceptual_hash,
    pixel_values,
};
use crate::memory::copied;
use crate::spec::ImageSpec;

/// The pixel values of each image, `[3, S, S]`, or its error, in order. Nothing follows the first error.
///
/// Each thread takes the next image as soon as it is free, so a large one keeps no other waiting, but for memory:
/// images that together need more than there is have their tasks. When the caller stops, no other image is begun.
///
/// `room`: bytes that one image may take. One that needs more is a `LimitExceeded` of its own. The call fails with
/// `Cancelled` or `OutOfMemory`.
pub fn decode_all(
    images: &[&[u8]],
    room: usize,
    options: &ReadOptions,
    spec: &ImageSpec,
    ctx: &Context,
) -> Result<Vec<Result<Pixels>>> {
    decode_with(images.len(), true, ctx, |i, ctx| decode(images[i], room, options, spec, ctx))
}

/// The pixel values of each image, `[3, S, S]`, or its error, in order: as many results as images. An error ends
/// nothing.
///
/// Memory, tasks, `room` and failures of the call are those of [`decode_all`].
pub fn decode_each(
    images: &[&[u8]],
    room: usize,
    options: &ReadOptions,
    spec: &ImageSpec,
    ctx: &Context,
) -> Result<Vec<Result<Pixels>>> {
    decode_with(images.len(), false, ctx, |i, ctx| decode(images[i], room, options, spec, ctx))
}

/// The [hash](perceptual_hash) of an image, by which copies of a picture find each other: 64 bits.
///
/// Two pictures are compared by the number of bits in which their hashes differ.
///
/// # Errors
///
/// Those of [`decode`](crate::image::decode()), `LimitExceeded` where the image needs more memory than the budget
/// has, and `Cancelled`.
pub fn image_hash(image: &[u8], limits: &Limits, ctx: &Context) -> Result<u64> {
    let (room, limits) = (ctx.compute.memory().limit(), *limits);
    ctx.attend(|| make(image, room, estimate_hash(image, &limits), ctx, move |bytes| perceptual_hash(bytes, &limits)))
}

/// Up to `at_most` [frames] of an animation, evenly in time, each as a PNG file. Any other image is one
/// frame.
///
/// # Errors
///
/// Those of [`frames`], `LimitExceeded` where the image needs more memory than the budget has, and `Cancelled`.
pub fn image_frames(image: &[u8], at_most: usize, limits: &Limits, ctx: &Context) -> Result<Vec<Vec<u8>>> {
    let (room, limits) = (ctx.compute.memory().limit(), *limits);
    let work = move |bytes: &[u8]| frames(bytes, at_most, &limits);
    ctx.attend(|| make(image, room, estimate_frames(image, &limits), ctx, work))
}

/// One image to pixel values, charged with what its header says that it takes.
fn decode(bytes: &[u8], room: usize, options: &ReadOptions, spec: &ImageSpec, ctx: &Context) -> Result<Pixels> {
    let (estimate, options, spec) = (estimate(bytes, options, spec), *options, spec.clone());
    make(bytes, room, estimate, ctx, move |bytes| pixel_values(bytes, options, &spec))
}

/// What `work` makes of an image, within `room` bytes.
///
/// A decoder that does not look up runs on a thread of its own, with a copy of the image: the caller may leave it
/// behind.
fn make<T: Send + 'static>(
    bytes: &[u8],
    room: usize,
    Estimate { what, bytes: needed, deaf }: Estimate,
    ctx: &Context,
    work: impl Fn(&[u8]) -> Result<T> + Send + 'static,
) -> Result<T> {
    let memory = ctx.compute.memory();
    if needed > room {
        // Beside what the call has already.
        return Err(memory.exceeded(&what, needed.saturating_add(memory.limit().saturating_sub(room))));
    }
    let charge = memory.charge(needed, &what)?;
    if !deaf {
        return charge.cover(|| work(bytes));
    }
    let bytes = copied(bytes)?;
    detached(charge, move || work(&bytes))
}

/// Runs `decode` for each of `count` images on all threads. `errors_end`: images behind the first bad one are not
/// begun.
fn decode_with<T: Send>(
    count: usize,
    errors_end: bool,
    ctx: &Context,
    decode: impl Fn(usize, &Context) -> Result<T> + Sync,
) -> Result<Vec<Result<T>>> {
    ctx.check()?;
    // Images from here on are not begun: those after a bad one.
    let (end, stopped) = (AtomicUsize::new(count), AtomicBool::new(false));
    let decoded: Vec<Mutex<Option<Result<T>>>> = (0..count).map(|_| Mutex::new(None)).collect();
    let task = |i: usize, result: &dyn Fn() -> Result<T>| {
        if i < end.load(Ordering::Relaxed) {
            let result = result();
            if errors_end && result.is_err() {
                end.fetch_min(i + 1, Ordering::Relaxed);
            }
            *decoded[i].lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
        }
    };
    let pool = ctx.compute.pool();
    let mine = |i| task(i, &|| decode(i, ctx));
    let theirs = |i| {
        let ctx = Context { compute: ctx.compute, stop: &|| stopped.load(Ordering::Relaxed) || pool.is_halted() };
        task(i, &|| ctx.attend(|| decode(i, &ctx)));
    };
    ctx.attend(|| {
        pool.split_for(count, mine, theirs, &|| stopped.store(true, Ordering::Relaxed));
        Ok(())
    })?;
    // Images after a bad one may have been decoded before it was.
    let results = decoded.into_iter().take(end.into_inner());
    Ok(results.filter_map(|result| result.into_inner().unwrap_or_else(PoisonError::into_inner)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compute::Compute;
    use crate::error::{Error, ErrorKind};
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::time::Duration;

    fn sleep(milliseconds: u64) {
        std::thread::sleep(Duration::from_millis(milliseconds));
    }

    #[test]
    fn order_is_kept_and_nothing_follows_the_first_error() {
        let compute = Compute::new(3).unwrap();
        let ctx = Context { compute: &compute, stop: &|| false };
        let decode = |i: usize, _: &Context| {
            sleep([9, 0, 5, 2][i % 4]);
            if i == 7 || i == 9 { Err(Error::invalid_image("bad")) } else { Ok(i) }
        };
        for count in [0, 1, 2, 7] {
            let all = decode_with(count, true, &ctx, decode).unwrap();
            assert_eq!(all.into_iter().map(Result::unwrap).collect::<Vec<_>>(), (0..count).collect::<Vec<_>>());
        }
        let mut all = decode_with(30, true, &ctx, decode).unwrap();
        assert_eq!(all.len(), 8);
        assert_eq!(all.pop().unwrap().unwrap_err().kind, ErrorKind::InvalidImage);
        assert!(all.iter().all(Result::is_ok));
        let each = decode_with(30, false, &ctx, decode).unwrap();
        let bad = each.iter().enumerate().filter(|(_, result)| result.is_err()).map(|(i, _)| i);
        assert_eq!((each.len(), bad.collect::<Vec<_>>()), (30, vec![7, 9]));
    }

    /// The others go on while one takes its time: were they to wait for it, it would never see them done.
    #[test]
    fn a_slow_image_keeps_no_other_waiting() {
        let compute = Compute::new(2).unwrap();
        let ctx = Context { compute: &compute, stop: &|| false };
        let done = AtomicUsize::new(0);
        let all = decode_with(8, true, &ctx, |i, _| {
            if i == 0 {
                (0..1000).take_while(|_| done.load(Ordering::SeqCst) < 7).for_each(|_| sleep(10));
                return Ok(done.load(Ordering::SeqCst));
            }
            Ok(done.fetch_add(1, Ordering::SeqCst))
        });
        assert_eq!(*all.unwrap()[0].as_ref().unwrap(), 7);
    }

    /// Stopped while a helper decodes an image: by `true`, and by a panic. No other is begun, that one is waited for.
    #[test]
    fn stops_between_images() {
        let (compute, caller) = (Compute::new(2).unwrap(), std::thread::current().id());
        for panics in [false, true] {
            let (begun, ended) = (AtomicUsize::new(0), AtomicUsize::new(0));
            let (helper_at_work, go) = (AtomicBool::new(false), AtomicBool::new(false));
            let stop = || {
                if !helper_at_work.load(Ordering::SeqCst) {
                    return false;
                }
                // Only now may its image end, so it was being decoded.
                go.store(true, Ordering::SeqCst);
                if panics { std::panic::resume_unwind(Box::new("interrupted")) } else { true }
            };
            let ctx = Context { compute: &compute, stop: &stop };
            let result = catch_unwind(AssertUnwindSafe(|| {
                decode_with(10_000, true, &ctx, |_, _| {
                    begun.fetch_add(1, Ordering::SeqCst);
                    if std::thread::current().id() == caller {
                        sleep(2);
                    } else {
                        helper_at_work.store(true, Ordering::SeqCst);
                        (0..1000).take_while(|_| !go.load(Ordering::SeqCst)).for_each(|_| sleep(10));
                        // longer than it takes from the answer to the end
                        sleep(200);
                    }
                    ended.fetch_add(1, Ordering::SeqCst);
                    Ok(())
                })
            }));
            match result {
                Ok(result) => assert!(!panics && result.unwrap_err().kind == ErrorKind::Cancelled),
                Err(_) => assert!(panics),
            }
            assert!(begun.load(Ordering::SeqCst) < 10_000);
            assert_eq!(ended.load(Ordering::SeqCst), begun.load(Ordering::SeqCst));
        }
    }
}
