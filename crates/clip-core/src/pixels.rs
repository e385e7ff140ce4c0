//! Images of a batch to pixel values, several at once.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use crate::compute::Context;
use crate::error::Result;
use crate::image::{Limits, pixel_values};
use crate::spec::ImageSpec;

/// How often the caller is asked whether to go on.
const ASK: Duration = Duration::from_millis(10);

/// The pixel values of each image, or its error, in order. Nothing follows the first error.
///
/// Each thread takes the next image as soon as it is free, so a large one keeps no other waiting. When the caller stops,
/// the images that are being decoded are finished and no other is begun.
pub fn decode_all(images: &[&[u8]], limits: &Limits, spec: &ImageSpec, ctx: &Context) -> Result<Vec<Result<Vec<f32>>>> {
    decode_with(images.len(), true, ctx, |i| pixel_values(images[i], limits, spec))
}

/// The same, where an error ends nothing: as many results as images.
pub fn decode_each(
    images: &[&[u8]],
    limits: &Limits,
    spec: &ImageSpec,
    ctx: &Context,
) -> Result<Vec<Result<Vec<f32>>>> {
    decode_with(images.len(), false, ctx, |i| pixel_values(images[i], limits, spec))
}

fn decode_with<T: Send>(
    count: usize,
    errors_end: bool,
    ctx: &Context,
    decode: impl Fn(usize) -> Result<T> + Sync,
) -> Result<Vec<Result<T>>> {
    ctx.check()?;
    if count == 1 {
        return Ok(vec![decode(0)]);
    }
    // Images from here on are not begun: those after a bad one, and all when the caller stops.
    let end = AtomicUsize::new(count);
    let (sender, results) = mpsc::channel();
    let mut decoded: Vec<Option<Result<T>>> = (0..count).map(|_| None).collect();
    let count = ctx.compute.scope(|scope| -> Result<usize> {
        // However this ends, by a panic of the caller's too, what was not begun is not: the scope waits for its tasks.
        let _stop = OnDrop(&end);
        for i in 0..count {
            let (sender, end, decode) = (sender.clone(), &end, &decode);
            scope.spawn(move |_| {
                if i < end.load(Ordering::Relaxed) {
                    let result = decode(i);
                    if errors_end && result.is_err() {
                        end.fetch_min(i + 1, Ordering::Relaxed);
                    }
                    // Nobody listens any more when the caller has stopped.
                    let _ = sender.send((i, result));
                }
            });
        }
        drop(sender);
        loop {
            match results.recv_timeout(ASK) {
                Ok((i, result)) => decoded[i] = Some(result),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok(end.load(Ordering::Relaxed)),
            }
            ctx.check()?;
        }
    })?;
    // Images after a bad one may have been decoded before it was.
    Ok(decoded.into_iter().take(count).flatten().collect())
}

struct OnDrop<'a>(&'a AtomicUsize);

impl Drop for OnDrop<'_> {
    fn drop(&mut self) {
        self.0.fetch_min(0, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compute::Compute;
    use crate::error::{Error, ErrorKind};
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::atomic::AtomicBool;

    fn sleep(milliseconds: u64) {
        std::thread::sleep(Duration::from_millis(milliseconds));
    }

    #[test]
    fn order_is_kept_and_nothing_follows_the_first_error() {
        let compute = Compute::new(3).unwrap();
        let ctx = Context { compute: &compute, stop: &|| false };
        let decode = |i: usize| {
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
        let all = decode_with(8, true, &ctx, |i| {
            if i == 0 {
                (0..1000).take_while(|_| done.load(Ordering::SeqCst) < 7).for_each(|_| sleep(10));
                return Ok(done.load(Ordering::SeqCst));
            }
            Ok(done.fetch_add(1, Ordering::SeqCst))
        });
        assert_eq!(*all.unwrap()[0].as_ref().unwrap(), 7);
    }

    /// Stopped while the first images are decoded: by `true`, and by a panic. No other is begun, those are waited for.
    #[test]
    fn stops_between_images() {
        let compute = Compute::new(2).unwrap();
        for panics in [false, true] {
            let (begun, ended, go) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicBool::new(false));
            let stop = || {
                if begun.load(Ordering::SeqCst) == 0 {
                    return false;
                }
                // Only now may they end, so they were running.
                go.store(true, Ordering::SeqCst);
                if panics { std::panic::resume_unwind(Box::new("interrupted")) } else { true }
            };
            let ctx = Context { compute: &compute, stop: &stop };
            let result = catch_unwind(AssertUnwindSafe(|| {
                decode_with(100, true, &ctx, |_| {
                    begun.fetch_add(1, Ordering::SeqCst);
                    (0..1000).take_while(|_| !go.load(Ordering::SeqCst)).for_each(|_| sleep(10));
                    // longer than it takes from the answer to the end
                    sleep(500);
                    ended.fetch_add(1, Ordering::SeqCst);
                    Ok(())
                })
            }));
            match result {
                Ok(result) => assert!(!panics && result.unwrap_err().kind == ErrorKind::Cancelled),
                Err(_) => assert!(panics),
            }
            let begun = begun.load(Ordering::SeqCst);
            assert!((1..=2).contains(&begun), "{begun} images begun");
            assert_eq!(ended.load(Ordering::SeqCst), begun);
        }
    }
}
