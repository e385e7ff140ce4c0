//! One number format beside f32, on the same inputs: how far its vectors are, and what becomes of the answers.

use clip_core::Embedding;

use super::scores::{Recall, similarities};

/// Neighbours that are looked at: as many as a page of answers has.
const NEAREST: usize = 10;
/// Cosine to f32 at the worst input, at least.
const WORST_COSINE: f64 = 0.999;
/// Neighbours of f32 that are still among the nearest, in percent, at least.
const KEPT: f64 = 98.0;
/// How much farther than f32's last neighbour one that comes instead may be, as a difference of cosines.
const NEWCOMER: f32 = 0.005;
/// Percentage points that recall may lose.
const RECALL: f64 = 1.0;

/// Embeddings of a set in one number format.
pub struct Embedded {
    pub images: Vec<Embedding>,
    /// The name of each image, in the same order.
    pub texts: Vec<Embedding>,
}

/// What another number format than f32 does to vectors and to answers.
pub struct Comparison {
    /// Smallest cosines to f32, of images and of texts.
    worst: [f64; 2],
    /// Mean cosines, of images and of texts.
    mean: [f64; 2],
    /// From texts to images and back.
    directions: [Direction; 2],
}

/// Queries of one kind among answers of the other.
struct Direction {
    /// Share of f32's nearest that are still among the nearest, in percent.
    kept: f64,
    /// The largest difference between f32's cosine of the last of its nearest and that of one that came instead. Zero where
    /// none came.
    newcomer: f32,
    /// Recall at 1 and at 10, in f32.
    before: [f64; 2],
    /// Recall at 1 and at 10, in the other format.
    after: [f64; 2],
}

impl Comparison {
    pub fn new(exact: &Embedded, other: &Embedded) -> Self {
        let [images, texts] =
            [(&exact.images, &other.images), (&exact.texts, &other.texts)].map(|(exact, other)| cosines(exact, other));
        Self {
            worst: [&images, &texts].map(|all| all.iter().copied().fold(1.0, f64::min)),
            mean: [&images, &texts].map(|all| all.iter().sum::<f64>() / all.len().max(1) as f64),
            directions: [
                Direction::new(&similarities(&exact.texts, &exact.images), &similarities(&other.texts, &other.images)),
                Direction::new(&similarities(&exact.images, &exact.texts), &similarities(&other.images, &other.texts)),
            ],
        }
    }

    /// Neighbours that are kept, in percent, the mean of both directions.
    fn kept(&self) -> f64 {
        self.directions.iter().map(|direction| direction.kept).sum::<f64>() / 2.0
    }

    /// What does not hold of what a format has to hold to be taken without being asked for.
    pub fn failures(&self) -> Vec<String> {
        let mut failures = Vec::new();
        let mut require = |holds: bool, failure: String| {
            if !holds {
                failures.push(failure);
            }
        };
        let worst = self.worst[0].min(self.worst[1]);
        require(worst >= WORST_COSINE, format!("smallest cosine is {worst:.5}, expected at least {WORST_COSINE}"));
        let kept = self.kept();
        require(kept >= KEPT, format!("{kept:.2} % of the {NEAREST} nearest are kept, expected at least {KEPT} %"));
        for (direction, name) in self.directions.iter().zip(NAMES) {
            let newcomer = direction.newcomer;
            require(
                newcomer <= NEWCOMER,
                format!("{name}: a newcomer is {newcomer:.4} farther than the last one, expected at most {NEWCOMER}"),
            );
            for (k, (before, after)) in [1, 10].into_iter().zip(direction.before.into_iter().zip(direction.after)) {
                require(
                    before - after <= RECALL,
                    format!("{name}: R@{k} is {after:.1}, expected {before:.1} less {RECALL} at most"),
                );
            }
        }
        failures
    }

    /// Prints the figures as a table.
    pub fn print(&self) {
        println!("{:<36} {:>10} {:>10}", "cosine to f32", "smallest", "mean");
        for (i, kind) in ["images", "texts"].into_iter().enumerate() {
            println!("{kind:<36} {:>10.6} {:>10.6}", self.worst[i], self.mean[i]);
        }
        println!("\n{:<36} {:>10} {:>10} {:>12} {:>12}", "answers beside f32's", "kept", "newcomer", "R@1", "R@10");
        for (direction, name) in self.directions.iter().zip(NAMES) {
            let recall =
                |i: usize| format!("{:.1} {:+.1}", direction.before[i], direction.after[i] - direction.before[i]);
            println!(
                "{name:<36} {:>8.2} % {:>10.4} {:>12} {:>12}",
                direction.kept,
                -direction.newcomer,
                recall(0),
                recall(1)
            );
        }
    }
}

/// Names of the directions.
const NAMES: [&str; 2] = ["text to image", "image to text"];

impl Direction {
    /// From cosines, one row a query. Query i is the counterpart of answer i.
    fn new(exact: &[Vec<f32>], other: &[Vec<f32>]) -> Self {
        let (mut kept, mut newcomer) = (0, 0f32);
        for (exact, other) in exact.iter().zip(other) {
            let (before, after) = (nearest(exact), nearest(other));
            let Some(last) = before.last().map(|last| exact[*last]) else { continue };
            for answer in after {
                if before.contains(&answer) {
                    kept += 1;
                } else {
                    newcomer = newcomer.max(last - exact[answer]);
                }
            }
        }
        let nearest = exact.first().map_or(0, Vec::len).min(NEAREST);
        let own: Vec<usize> = (0..exact.len()).collect();
        let recall = |all: &[Vec<f32>]| {
            let recall = Recall::new(all, &own);
            [1, 10].map(|k| recall.at(k))
        };
        Self {
            kept: 100.0 * f64::from(kept) / (nearest * exact.len()).max(1) as f64,
            newcomer,
            before: recall(exact),
            after: recall(other),
        }
    }
}

/// The answers of the largest cosines, the largest first.
fn nearest(cosines: &[f32]) -> Vec<usize> {
    let mut all: Vec<usize> = (0..cosines.len()).collect();
    all.sort_by(|a, b| cosines[*b].total_cmp(&cosines[*a]));
    all.truncate(NEAREST);
    all
}

/// Of vectors with those of the same inputs.
fn cosines(exact: &[Embedding], other: &[Embedding]) -> Vec<f64> {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
    let cosine = |(a, b): (&Embedding, &Embedding)| dot(a, b) / (dot(a, a) * dot(b, b)).sqrt();
    exact.iter().zip(other).map(cosine).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Eleven answers on a quarter of a circle, the queries beside the first.
    fn set() -> Embedded {
        let at = |angle: f32| Embedding::from(vec![angle.cos(), angle.sin()]);
        Embedded {
            images: (0..11).map(|i| at(0.1 * i as f32)).collect(),
            texts: (0..11).map(|i| at(0.1 * i as f32 + 0.01)).collect(),
        }
    }

    #[test]
    fn the_same_vectors_pass() {
        let same = Comparison::new(&set(), &set());
        assert!((same.worst[0] - 1.0).abs() < 1e-9 && (same.kept() - 100.0).abs() < 1e-9);
        assert_eq!(same.failures(), [""; 0]);
    }

    #[test]
    fn each_part_of_the_gate_can_fail() {
        let mut other = set();
        // The farthest image of the first query becomes its nearest.
        other.images.swap(0, 10);
        let failures = Comparison::new(&set(), &other).failures().join("\n");
        for part in ["smallest cosine is 0.54", "are kept", "a newcomer is", "R@1 is", "R@10 is"] {
            assert!(failures.contains(part), "{part}: {failures}");
        }
    }
}
