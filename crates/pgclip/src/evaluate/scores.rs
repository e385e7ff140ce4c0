//! Retrieval figures from cosines. Percentages; ties count against the model.

use clip_core::Embedding;

/// Cosines, one row a query.
pub fn similarities(queries: &[Embedding], answers: &[Embedding]) -> Vec<Vec<f32>> {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum();
    queries.iter().map(|query| answers.iter().map(|answer| dot(query, answer)).collect()).collect()
}

/// How far ahead each query's one right answer stands.
pub struct Recall {
    /// 0 is the best.
    ranks: Vec<usize>,
}

impl Recall {
    /// `right`: the column of each row's right answer.
    pub fn new(similarities: &[Vec<f32>], right: &[usize]) -> Self {
        let rank = |(row, right): (&Vec<f32>, &usize)| {
            row.iter().enumerate().filter(|(i, s)| i != right && **s >= row[*right]).count()
        };
        Self { ranks: similarities.iter().zip(right).map(rank).collect() }
    }

    /// Share of queries whose right answer is among the first `k`.
    pub fn at(&self, k: usize) -> f64 {
        percent(self.ranks.iter().filter(|rank| **rank < k).count(), self.ranks.len())
    }

    pub fn len(&self) -> usize {
        self.ranks.len()
    }
}

/// What stands in the first ten rows of one list of names and pictures.
pub struct Mixed {
    /// Share of pictures.
    pub pictures: f64,
    /// Share of queries that find their counterpart of the other modality.
    pub own: f64,
}

impl Mixed {
    /// Query i is the name i, which itself is not counted.
    pub fn of_names(to_names: &[Vec<f32>], to_pictures: &[Vec<f32>]) -> Self {
        let (found, n) = (first_ten(to_names, to_pictures, Some), to_names.len());
        Self { pictures: pictures(&found, n), own: own(&found, |i| n + i) }
    }

    /// Query i is the picture i, which itself is not counted.
    pub fn of_pictures(to_names: &[Vec<f32>], to_pictures: &[Vec<f32>]) -> Self {
        let (found, n) = (first_ten(to_names, to_pictures, |i| Some(to_names.len() + i)), to_names.len());
        Self { pictures: pictures(&found, n), own: own(&found, |i| i) }
    }

    /// Share of pictures for queries that are not in the list.
    pub fn share(to_names: &[Vec<f32>], to_pictures: &[Vec<f32>]) -> f64 {
        let names = to_names.first().map_or(0, Vec::len);
        pictures(&first_ten(to_names, to_pictures, |_| None), names)
    }
}

/// The first ten rows for each query: columns of names, then those of pictures.
fn first_ten(
    to_names: &[Vec<f32>],
    to_pictures: &[Vec<f32>],
    itself: impl Fn(usize) -> Option<usize>,
) -> Vec<Vec<usize>> {
    let one = |(i, (names, pictures)): (usize, (&Vec<f32>, &Vec<f32>))| {
        let mut list: Vec<(usize, f32)> = names.iter().chain(pictures).copied().enumerate().collect();
        list.retain(|(column, _)| Some(*column) != itself(i));
        list.sort_by(|a, b| b.1.total_cmp(&a.1));
        list.into_iter().take(10).map(|(column, _)| column).collect()
    };
    to_names.iter().zip(to_pictures).enumerate().map(one).collect()
}

fn pictures(found: &[Vec<usize>], names: usize) -> f64 {
    let all = found.iter().flatten();
    percent(all.clone().filter(|column| **column >= names).count(), all.count())
}

fn own(found: &[Vec<usize>], counterpart: impl Fn(usize) -> usize) -> f64 {
    let finds = |(i, row): (usize, &Vec<usize>)| row.contains(&counterpart(i));
    percent(found.iter().enumerate().filter(|row| finds(*row)).count(), found.len())
}

fn percent(part: usize, whole: usize) -> f64 {
    100.0 * part as f64 / whole.max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recall_counts_ties_against_the_model() {
        let recall = Recall::new(&[vec![0.9, 0.5], vec![0.9, 0.5], vec![0.3, 0.3]], &[0, 1, 1]);
        assert_eq!(recall.ranks, [0, 1, 1]);
        assert!((recall.at(1) - 100.0 / 3.0).abs() < 1e-9);
        assert_eq!(recall.at(2), 100.0);
    }

    #[test]
    fn one_list_of_both_kinds() {
        // two names and two pictures, by query: name 0 is nearest to itself, then to both pictures, then to name 1
        let (names, pictures) = (vec![vec![1.0, 0.1], vec![0.1, 1.0]], vec![vec![0.8, 0.7], vec![0.2, 0.3]]);
        let mixed = Mixed::of_names(&names, &pictures);
        assert!((mixed.pictures - 400.0 / 6.0).abs() < 1e-9);
        assert_eq!(mixed.own, 100.0);
        assert_eq!(Mixed::share(&names, &pictures), 50.0);
        assert_eq!(first_ten(&names, &pictures, Some)[0], [2, 3, 1]);
    }
}
