//! How lists become one. Knows nothing of PostgreSQL, so that all of it can be tested without a server.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::hash::Hash;

/// What decides between rows of two modalities.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// Texts and images lie in one cone of the space, so distances say the same of both.
    Distance,
    /// They lie in two, and any row of the query's own modality is nearer than all of the other: each list's best comes first,
    /// then each list's second.
    Rank,
}

/// A list's next rows, nearest first, and how many of it were taken before.
pub struct List<'a> {
    pub distances: &'a [f64],
    pub seen: u64,
}

/// The next `k` rows of all lists: number of the list, and of the row in it. Where the rule knows no difference, the first list
/// goes first.
pub fn merge(rule: Rule, lists: &[List], k: usize) -> Vec<(usize, usize)> {
    let mut taken = vec![0; lists.len()];
    let mut merged = Vec::new();
    while merged.len() < k {
        let heads = lists.iter().zip(&taken).enumerate();
        let heads = heads.filter_map(|(i, (list, at))| Some((i, *list.distances.get(*at)?, list.seen + *at as u64)));
        let next = heads.min_by(|(_, a_distance, a_rank), (_, b_distance, b_rank)| match rule {
            Rule::Distance => a_distance.total_cmp(b_distance),
            Rule::Rank => a_rank.cmp(b_rank),
        });
        let Some((list, ..)) = next else { break };
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
    use super::{List, Rule, fuse, merge};

    fn merged(rule: Rule, seen: [u64; 2], k: usize) -> Vec<(usize, usize)> {
        let lists: [&[f64]; 2] = [&[0.7, 0.8, 0.9], &[0.1, 0.75]];
        let lists = [0, 1].map(|i| List { distances: lists[i], seen: seen[i] });
        merge(rule, &lists, k)
    }

    #[test]
    fn by_distance_the_nearest_comes_first() {
        assert_eq!(merged(Rule::Distance, [0, 0], 4), [(1, 0), (0, 0), (1, 1), (0, 1)]);
    }

    #[test]
    fn by_rank_lists_take_turns_and_the_longer_one_goes_on() {
        assert_eq!(merged(Rule::Rank, [0, 0], 9), [(0, 0), (1, 0), (0, 1), (1, 1), (0, 2)]);
        assert_eq!(merged(Rule::Rank, [2, 1], 2), [(1, 0), (0, 0)], "a page begins with whose turn it is");
    }

    #[test]
    fn a_row_of_both_lists_is_before_what_is_first_in_one() {
        assert_eq!(fuse(&[vec!["a", "b"], vec!["c", "b"]]), [(0, 1), (0, 0), (1, 0)]);
        assert_eq!(fuse(&[vec![], vec!["c", "b"]]), [(1, 0), (1, 1)]);
        assert!(fuse::<u8>(&[]).is_empty());
    }
}
