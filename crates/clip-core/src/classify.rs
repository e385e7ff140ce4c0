//! Zero-shot classification: one image, some labels, a probability each (the CLIP paper, arXiv 2103.00020, §3.1).

use crate::error::{Error, ErrorKind, Result};

/// Puts each label into the template at `{}`.
pub fn prompts(template: &str, labels: &[&str]) -> Result<Vec<String>> {
    if !template.contains("{}") {
        return Err(Error::new(
            ErrorKind::InvalidArgument,
            format!("template \"{template}\" has no place for the label"),
        )
        .with_hint("Write {} where the label belongs, as in \"a photo of a {}\"."));
    }
    Ok(labels.iter().map(|label| template.replace("{}", label)).collect())
}

/// Softmax of the cosines times the model's own scale. All vectors are unit vectors of one space.
pub(crate) fn probabilities<L: AsRef<[f32]>>(image: &[f32], labels: &[L], logit_scale: f32) -> Vec<f32> {
    let scale = logit_scale.exp();
    let logits: Vec<f32> =
        labels.iter().map(|label| scale * label.as_ref().iter().zip(image).map(|(a, b)| a * b).sum::<f32>()).collect();
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let weights: Vec<f32> = logits.iter().map(|logit| (logit - largest).exp()).collect();
    let total: f32 = weights.iter().sum();
    weights.iter().map(|weight| weight / total).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn softmax_with_scale() {
        let p = probabilities(&[1.0, 0.0], &[vec![1.0, 0.0], vec![0.0, 1.0]], 3f32.ln());
        let e3 = 3f32.exp();
        assert!((p[0] - e3 / (e3 + 1.0)).abs() < 1e-6);
        assert!((p.iter().sum::<f32>() - 1.0).abs() < 1e-6);
    }

    #[test]
    fn template_needs_a_place() {
        assert_eq!(prompts("a {}!", &["cat"]).unwrap(), ["a cat!"]);
        assert_eq!(prompts("a cat", &["cat"]).unwrap_err().kind, ErrorKind::InvalidArgument);
    }
}
