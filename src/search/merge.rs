//! How lists become one. Knows nothing of PostgreSQL, so that all of it can be tested without a server.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::hash::Hash;

/// The row of a list that its others are measured by, where lists are of two cones. The first alone would always be as good as
/// the other list's first. Measured in `bench/CUTOFF.md`, beside ranks and the list's mean and spread.
pub const BASE: usize = 10;

/// What decides between rows of two modalities.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// Texts and images lie in one cone of the space, so distances say the same of both.
    Distance,
    /// They lie in two, and any row of the query's own modality is nearer than all of the other: what counts is how much nearer a
    /// row is than its list's tenth.
    Relative,
}

/// A list's next rows, nearest first, and the distance of its tenth.
pub struct List<'a> {
    pub distances: &'a [f64],
    pub base: f64,
}

/// The distance that a list's rows are measured by, from its beginning: its tenth's, or the last one's of fewer.
pub fn base(distances: &[f64]) -> f64 {
    distances.iter().take(BASE).next_back().copied().unwrap_or(0.0)
}

/// The next `k` rows of all lists: number of the list, and of the row in it. Where the rule knows no difference, the first list
/// goes first.
pub fn merge(rule: Rule, lists: &[List], k: usize) -> Vec<(usize, usize)> {
    let mut taken = vec![0; lists.len()];
    let mut merged = Vec::new();
    while merged.len() < k {
        let heads = lists.iter().zip(&taken).enumerate();
        let heads = heads.filter_map(|(i, (list, at))| {
            let distance = *list.distances.get(*at)?;
            Some((i, if rule == Rule::Relative { distance - list.base } else { distance }))
        });
        let Some((list, _)) = heads.min_by(|(_, a), (_, b)| a.total_cmp(b)) else { break };
        merged.push((list, taken[list]));
        taken[list] += 1;
    }
    merged
}

/// Reciprocal rank fusion (Cormack, Clarke and Büttcher, SIGIR 2009): a row's score is the sum of 1 / (60 + rank) over the lists
/// that it is in. Gives, for each row once, the number of the first list that it is in and its place there, best first.
pub fn fuse<T: Hash + Eq>(lists: &[Vec<T>]) -> Vec<(usize, usize)> {
    const K: f64 = 60.0;
    let mut scores: HashMap<&T, (f64, (usize, usize))> = HashMap::new();
    for (number, list) in lists.iter().enumerate() {
        for (place, row) in list.iter().enumerate() {
            scores.entry(row).or_insert((0.0, (number, place))).0 += 1.0 / (K + (place + 1) as f64);
        }
    }
    let mut fused: Vec<_> = scores.into_values().collect();
    // Of equal scores, what the earlier list has goes first.
    fused.sort_by(|a, b| b.0.total_cmp(&a.0).then(first(a.1, b.1)));
    fused.into_iter().map(|(_, found)| found).collect()
}

fn first(a: (usize, usize), b: (usize, usize)) -> Ordering {
    a.1.cmp(&b.1).then(a.0.cmp(&b.0))
}

#[cfg(test)]
mod tests {
    use super::{BASE, List, Rule, base, fuse, merge};

    const LISTS: [&[f64]; 2] = [&[0.7, 0.8, 0.9], &[0.1, 0.75]];

    fn merged(rule: Rule, bases: [f64; 2], k: usize) -> Vec<(usize, usize)> {
        let lists = [0, 1].map(|i| List { distances: LISTS[i], base: bases[i] });
        merge(rule, &lists, k)
    }

    #[test]
    fn by_distance_the_nearest_comes_first() {
        assert_eq!(merged(Rule::Distance, [0.9, 0.2], 4), [(1, 0), (0, 0), (1, 1), (0, 1)]);
    }

    #[test]
    fn in_two_cones_what_stands_out_in_its_list_comes_first() {
        assert_eq!(merged(Rule::Relative, [0.9, 0.15], 4), [(0, 0), (0, 1), (1, 0), (0, 2)]);
        assert_eq!(merged(Rule::Relative, [0.9, 0.8], 9), [(1, 0), (0, 0), (0, 1), (1, 1), (0, 2)]);
        assert_eq!(merged(Rule::Relative, [0.7, 0.1], 1), [(0, 0)], "the first list's, of equals");
    }

    #[test]
    fn a_list_is_measured_by_its_tenth_or_its_last() {
        let distances: Vec<f64> = (1..=20).map(f64::from).collect();
        assert_eq!([&distances[..], &distances[..BASE], &distances[..3], &[]].map(base), [10.0, 10.0, 3.0, 0.0]);
    }

    #[test]
    fn a_row_of_both_lists_is_before_what_is_first_in_one() {
        assert_eq!(fuse(&[vec!["a", "b"], vec!["c", "b"]]), [(0, 1), (0, 0), (1, 0)]);
        assert_eq!(fuse(&[vec![], vec!["c", "b"]]), [(1, 0), (1, 1)]);
        assert!(fuse::<u8>(&[]).is_empty());
    }
}
