//! `clip_classify`: zero-shot classification of one image.

use clip_core::classify::Template;
use clip_core::{Context, Modality};
use pgrx::iter::TableIterator;
use pgrx::{Array, name, pg_extern};

use crate::backend::{remarks, session};
use crate::error::{OrRaise, SqlState, raise};
use crate::pg::datum::{copy, to_utf8};
use crate::pg::interrupts;

/// Bytes of prompts that are held at a time; so many labels as have them go through the model together.
const MAX_PROMPTS: usize = 4 << 20;

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
    session::check_batch(labels.len()).or_raise();
    let labels: Vec<&[u8]> = labels
        .iter()
        .map(|label| label.unwrap_or_else(|| raise(SqlState::NullNotAllowed, "labels must not contain NULL", None)))
        .collect();
    if labels.is_empty() {
        return TableIterator::empty();
    }
    let model = session::model_or_default(model).or_raise();
    let compute = session::compute().or_raise();
    let ctx = Context { compute: &compute, stop: &interrupts::stop };
    let template = Template::new(&to_utf8(template), model.tokenizer_in(&ctx).or_raise(), &ctx).or_raise();
    let image = session::embed_one(&model, Modality::Image, image).or_raise();
    remarks::warn_of(&image);
    let mut texts = Vec::with_capacity(labels.len());
    let (mut prompts, mut size) = (Vec::new(), 0);
    for (i, label) in labels.iter().enumerate() {
        let prompt = template.prompt(&to_utf8(label), &ctx).or_raise();
        size += prompt.len();
        prompts.push(prompt);
        if size >= MAX_PROMPTS || i + 1 == labels.len() {
            let batch: Vec<&[u8]> = prompts.iter().map(|prompt| prompt.as_bytes()).collect();
            texts.extend(session::embed(&model, Modality::Text, &batch).or_raise());
            (prompts, size) = (Vec::new(), 0);
        }
    }
    let probabilities = model.classify(&image, &texts.iter().map(|text| text.as_slice()).collect::<Vec<_>>());
    let mut rows: Vec<(Vec<u8>, f32)> = labels.iter().map(|label| copy(label)).zip(probabilities).collect();
    rows.sort_by(|a, b| b.1.total_cmp(&a.1));
    TableIterator::new(rows)
}
