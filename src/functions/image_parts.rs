//! `clip_image_frames` and `clip_image_preview`: images that are in an image.

use clip_core::image::MOST_FRAMES;
use pgrx::pg_extern;

use crate::backend::session;
use crate::error::{OrRaise, SqlState, raise};

/// `(image bytea, at_most integer)`
#[pg_extern(sql = false)]
fn clip_image_frames(image: &[u8], at_most: i32) -> Vec<Vec<u8>> {
    let count = usize::try_from(at_most).ok().filter(|count| (1..=MOST_FRAMES).contains(count));
    let Some(count) = count else {
        let message = format!("at_most is {at_most}: expected a number from 1 to {MOST_FRAMES}");
        raise(SqlState::InvalidParameter, message, None)
    };
    session::image_frames(image, count).or_raise()
}

/// `(image bytea)`
#[pg_extern(sql = false)]
fn clip_image_preview(image: &[u8]) -> Option<&[u8]> {
    session::image_preview(image).or_raise()
}
