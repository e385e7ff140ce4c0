//! Zero-shot classification: one image, some labels, a probability each (the CLIP paper, arXiv 2103.00020, §3.1; the
//! SigLIP paper, arXiv 2303.15343, §3.1).

use memchr::memmem::Finder;

use crate::compute::Context;
use crate::error::{Error, ErrorKind, Result};
use crate::spec::{ModelSpec, Scoring};
use crate::text::{MAX_TOKENIZED, Tokenizer};

/// Where a label goes.
const PLACE: &str = "{}";
/// Places that a template may have; further ones are not seen. So many labels of one byte are far more than a context.
const MAX_PLACES: usize = 1 << 16;
/// Bytes of a prompt that is made as it is.
const WHOLE: usize = 16 << 10;
/// Bytes between two looks at whether the caller wants to stop.
const LOOK: usize = 1 << 20;
/// Characters of a template that an error shows.
const SHOWN: usize = 100;

/// A text with places for a label, `{}`, no longer than a tokenizer may have to see of it.
pub struct Template<'a> {
    tokenizer: &'a Tokenizer,
    /// What stands before, between and after the places.
    literals: Vec<String>,
}

impl<'a> Template<'a> {
    /// A template of `template`, in which `{}` stands for the label, as in `a photo of a {}`. It may stand there
    /// several times.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` where there is no `{}`, `Cancelled` where the caller stops.
    pub fn new(template: &str, tokenizer: &'a Tokenizer, ctx: &Context) -> Result<Self> {
        let mut at = place(template, ctx)?;
        if at.is_none() {
            let cut = template.char_indices().nth(SHOWN).map(|(end, _)| format!("{}...", &template[..end]));
            let shown = cut.as_deref().unwrap_or(template);
            let what = format!("template \"{shown}\" has no place for the label");
            return Err(Error::new(ErrorKind::InvalidArgument, what)
                .with_hint("Write {} where the label belongs, as in \"a photo of a {}\"."));
        }
        let (mut literals, mut rest, mut size) = (Vec::new(), template, 0);
        loop {
            let literal = tokenizer.shortened(at.map_or(rest, |at| &rest[..at]), MAX_TOKENIZED - size, ctx)?;
            size += literal.len();
            literals.push(literal);
            match at {
                Some(end) if size < MAX_TOKENIZED && literals.len() <= MAX_PLACES => {
                    rest = &rest[end + PLACE.len()..];
                    at = place(rest, ctx)?;
                }
                _ => return Ok(Self { tokenizer, literals }),
            }
        }
    }

    /// The template with a label in its places, or as much of it as makes the same tokens.
    ///
    /// It fails with `Cancelled` where the caller stops.
    pub fn prompt(&self, label: &str, ctx: &Context) -> Result<String> {
        let size = self.literals.iter().map(String::len).sum::<usize>();
        let labels = (self.literals.len() - 1).saturating_mul(label.len());
        if size.saturating_add(labels) <= WHOLE {
            return Ok(self.literals.join(label));
        }
        // Once, as it may be in many places.
        let label = &*self.tokenizer.shortened(label, MAX_TOKENIZED, ctx)?;
        let parts =
            self.literals.iter().enumerate().flat_map(|(i, literal)| [if i == 0 { "" } else { label }, literal]);
        self.tokenizer.relevant(parts, ctx)
    }
}

/// Where the first place begins, in bytes. The caller is asked whether to stop every megabyte.
fn place(text: &str, ctx: &Context) -> Result<Option<usize>> {
    let (bytes, finder) = (text.as_bytes(), Finder::new(PLACE));
    for start in (0..bytes.len()).step_by(LOOK) {
        ctx.check()?;
        let end = bytes.len().min(start + LOOK + PLACE.len() - 1);
        if let Some(at) = finder.find(&bytes[start..end]) {
            return Ok(Some(start + at));
        }
    }
    Ok(None)
}

/// Probabilities of `labels`, in order: cosines times the model's own scale, then a softmax or sigmoid.
///
/// `image` is `[dimensions]`, and so is each label: unit vectors of one space.
pub(crate) fn probabilities<L: AsRef<[f32]>>(image: &[f32], labels: &[L], spec: &ModelSpec) -> Vec<f32> {
    let scale = spec.logit_scale.exp();
    let logits =
        labels.iter().map(|label| scale * label.as_ref().iter().zip(image).map(|(a, b)| a * b).sum::<f32>()).collect();
    match spec.scoring {
        Scoring::Softmax => softmax(logits),
        Scoring::Sigmoid { bias } => logits.into_iter().map(|logit| 1.0 / (1.0 + (-(logit + bias)).exp())).collect(),
    }
}

/// With the largest logit at zero, so that no exponential overflows.
fn softmax(logits: Vec<f32>) -> Vec<f32> {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let weights: Vec<f32> = logits.iter().map(|logit| (logit - largest).exp()).collect();
    let total: f32 = weights.iter().sum();
    weights.iter().map(|weight| weight / total).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scores(scoring: Scoring) -> Vec<f32> {
        let tower = crate::spec::TowerSpec {
            hidden: 4,
            layers: 1,
            heads: 2,
            intermediate: 8,
            layer_norm_eps: 1e-5,
            activation: crate::spec::Activation::Gelu,
        };
        let spec = ModelSpec { logit_scale: 3f32.ln(), scoring, ..crate::spec::tests::spec(tower) };
        probabilities(&[1.0, 0.0], &[vec![1.0, 0.0], vec![0.0, 1.0]], &spec)
    }

    #[test]
    fn sigmoid_with_scale_and_bias() {
        let p = scores(Scoring::Sigmoid { bias: -2.0 });
        assert!((p[0] - 1.0 / (1.0 + (-1f32).exp())).abs() < 1e-6);
        assert!((p[1] - 1.0 / (1.0 + 2f32.exp())).abs() < 1e-6);
    }

    #[test]
    fn softmax_with_scale() {
        let p = scores(Scoring::Softmax);
        let e3 = 3f32.exp();
        assert!((p[0] - e3 / (e3 + 1.0)).abs() < 1e-6);
        assert!((p.iter().sum::<f32>() - 1.0).abs() < 1e-6);
    }

    fn with_tokenizer<R>(f: impl FnOnce(&Tokenizer, &Context) -> R) -> R {
        let json = include_bytes!("../tests/golden/models/tiny-clip/tokenizer.json");
        let compute = crate::Compute::new(1).unwrap();
        f(&Tokenizer::from_bytes(json, 24).unwrap(), &Context { compute: &compute, stop: &|| false })
    }

    #[test]
    fn template_needs_a_place() {
        with_tokenizer(|tokenizer, ctx| {
            let template = |text: &str| Template::new(text, tokenizer, ctx).map(|t| t.prompt("cat", ctx).unwrap());
            assert_eq!(template("a {}!").unwrap(), "a cat!");
            assert_eq!(template("{}{} {{}}").unwrap(), "catcat {cat}");
            for (text, shown) in [("a cat".to_owned(), 50), ("{ } é".repeat(1 << 20), 200)] {
                let error = template(&text).unwrap_err();
                assert_eq!(error.kind, ErrorKind::InvalidArgument);
                assert!(error.message.len() < shown, "{}", error.message.len());
            }
        });
    }

    /// As long as the whole one is, its prompt has the same tokens, wherever the label is and however often.
    #[test]
    fn long_templates_make_short_prompts_of_the_same_tokens() {
        with_tokenizer(|tokenizer, ctx| {
            let blanks = " ".repeat(200_000);
            let words = "a cat and ".repeat(20_000);
            for template in [
                format!("{blanks}a {{}} in{blanks}{{}}{blanks}"),
                format!("{{}}{words}{{}}"),
                format!("a photo of {words}{{}}"),
                format!("{blanks}{{}}{words}"),
                "{}".repeat(100_000),
                " {}".repeat(60_000),
                format!("{}{{}}", "x".repeat(100_000)),
            ] {
                let short = Template::new(&template, tokenizer, ctx).unwrap();
                for label in ["cat", "", " ", "red dog", blanks.as_str(), words.as_str()] {
                    if template.len().saturating_mul(label.len()) > 1 << 31 && template.matches("{}").count() > 2 {
                        continue;
                    }
                    let prompt = short.prompt(label, ctx).unwrap();
                    assert!(prompt.len() < 200 << 10, "{} bytes", prompt.len());
                    let whole = tokenizer.encode(&template.replace("{}", label)).unwrap();
                    assert_eq!(tokenizer.encode(&prompt).unwrap(), whole);
                }
            }
        });
    }
}
