//! `clip_classify`: zero-shot classification of one image.

use clip_core::classify::prompts;
use pgrx::iter::TableIterator;
use pgrx::{Array, name, pg_extern};

use crate::datum::{to_utf8, utf8_all};
use crate::error::{OrRaise, SqlState, raise};
use crate::session;
use crate::stats::Kind;

/// The most probable label first; labels come back in the bytes that they were given in.
#[pg_extern(sql = false)]
fn clip_classify(
    image: Option<&[u8]>,
    labels: Option<Array<&[u8]>>,
    template: Option<&[u8]>,
    model: Option<&str>,
) -> TableIterator<'static, (name!(label, Vec<u8>), name!(probability, f32))> {
    let (Some(image), Some(labels), Some(template)) = (image, labels, template) else {
        return TableIterator::empty();
    };
    let labels: Vec<&[u8]> = labels
        .iter()
        .map(|label| label.unwrap_or_else(|| raise(SqlState::NullNotAllowed, "labels must not contain NULL", None)))
        .collect();
    if labels.is_empty() {
        return TableIterator::empty();
    }
    let model = session::model_or_default(model).or_raise();
    let words = utf8_all(labels.iter().copied());
    let texts = prompts(&to_utf8(template), &words.iter().map(|word| &**word).collect::<Vec<_>>()).or_raise();
    let texts: Vec<&[u8]> = texts.iter().map(|text| text.as_bytes()).collect();
    let image = session::embed_one(&model, Kind::Image, image).or_raise();
    let texts = session::embed(&model, Kind::Text, &texts).or_raise();
    let probabilities = model.classify(&image, &texts.iter().map(|text| text.as_slice()).collect::<Vec<_>>());
    let mut rows: Vec<(Vec<u8>, f32)> = labels.iter().map(|label| label.to_vec()).zip(probabilities).collect();
    rows.sort_by(|a, b| b.1.total_cmp(&a.1));
    TableIterator::new(rows)
}
