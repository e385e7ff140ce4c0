//! Zero-shot classification: one image, some labels, a probability each (the CLIP paper, arXiv 2103.00020, §3.1; the
//! SigLIP paper, arXiv 2303.15343, §3.1).

use crate::error::{Error, ErrorKind, Result};
use crate::spec::{ModelSpec, Scoring};

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

/// Probabilities from the cosines times the model's own scale. All vectors are unit vectors of one space.
pub(crate) fn probabilities<L: AsRef<[f32]>>(image: &[f32], labels: &[L], spec: &ModelSpec) -> Vec<f32> {
    let scale = spec.logit_scale.exp();
    let logits =
        labels.iter().map(|label| scale * label.as_ref().iter().zip(image).map(|(a, b)| a * b).sum::<f32>()).collect();
    match spec.scoring {
        Scoring::Softmax => softmax(logits),
        Scoring::Sigmoid { bias } => logits.into_iter().map(|logit| 1.0 / (1.0 + (-(logit + bias)).exp())).collect(),
    }
}

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

    #[test]
    fn template_needs_a_place() {
        assert_eq!(prompts("a {}!", &["cat"]).unwrap(), ["a cat!"]);
        assert_eq!(prompts("a cat", &["cat"]).unwrap_err().kind, ErrorKind::InvalidArgument);
    }
}
