//! How far an index is searched. Knows nothing of PostgreSQL, so that all of it can be tested without a server.
//!
//! How many candidates HNSW has to look at for the true neighbours depends on the vectors, and differs by a factor of a hundred.
//! So the first searches of a session look further than the answer needs. Where what comes late belongs into the answer, much
//! has been left out, and the next step is tried.

/// pgvector's largest `hnsw.ef_search`.
const MOST: usize = 1000;
/// Lists of more rows than that are not scanned for the sake of some rows that the index has missed.
const SCANNED: f64 = 200_000.0;
/// Searches of a session that are checked at first, and how often later.
const CHECKED: u32 = 4;
const CHECKED_AGAIN: u32 = 64;

/// What searches of one kind have taught.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Learnt {
    step: u32,
    searches: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effort {
    Index {
        ef_search: usize,
        candidates: usize,
        /// The last of the candidates tell how much was left out: so many.
        late: usize,
    },
    Scan,
}

/// What to do for `k` rows of a list.
pub struct Wanted {
    pub k: usize,
    /// Rows that pages before have given.
    pub seen: usize,
    /// Rows are taken away by a filter or a policy, so that the index looks at more than it gives.
    pub filtered: bool,
    /// Rows of the table.
    pub rows: f64,
}

impl Learnt {
    pub fn effort(&mut self, wanted: &Wanted) -> Effort {
        let Wanted { k, seen, filtered, rows } = *wanted;
        let breadth = seen.saturating_add(k).saturating_mul(2).max(100).saturating_mul(1 << self.step.min(16));
        let is_last = breadth > MOST.max(k.saturating_add(seen).saturating_mul(4));
        if is_last && rows <= SCANNED {
            return Effort::Scan;
        }
        let ef_search = breadth.min(MOST);
        // Some more than asked for: what comes late may be nearer.
        let enough = k + (k / 2).max(20);
        let candidates = if filtered || breadth <= MOST { enough } else { breadth.clamp(enough, MOST.max(4 * k)) };
        let is_checked =
            seen == 0 && !is_last && (self.searches < CHECKED || self.searches.is_multiple_of(CHECKED_AGAIN));
        self.searches = self.searches.wrapping_add(1);
        if !is_checked {
            return Effort::Index { ef_search, candidates, late: 0 };
        }
        // The next round of the index begins with its nearest.
        let late = (k / 4).max(10);
        let candidates = if filtered { candidates } else { candidates.max(ef_search) };
        Effort::Index { ef_search, candidates: candidates + late, late }
    }

    /// Of the answer's `k` rows so many were among the late ones. True where the next step is to be tried at once.
    pub fn has_missed(&mut self, k: usize, late: usize) -> bool {
        let missed = late * 50 > k;
        if missed {
            self.step += 1;
            self.searches = 0;
        }
        missed
    }
}

#[cfg(test)]
mod tests {
    use super::{Effort, Learnt, Wanted};

    const FEW: Wanted = Wanted { k: 10, seen: 0, filtered: false, rows: 100_000.0 };

    #[test]
    fn the_first_searches_are_checked() {
        let mut learnt = Learnt::default();
        for _ in 0..4 {
            assert_eq!(learnt.effort(&FEW), Effort::Index { ef_search: 100, candidates: 110, late: 10 });
        }
        assert_eq!(learnt.effort(&FEW), Effort::Index { ef_search: 100, candidates: 30, late: 0 });
    }

    #[test]
    fn what_was_missed_is_looked_for_further_away_and_then_by_a_scan() {
        let mut learnt = Learnt::default();
        let mut steps = Vec::new();
        while let Effort::Index { ef_search, .. } = learnt.effort(&FEW) {
            steps.push(ef_search);
            assert!(learnt.has_missed(10, 1));
        }
        assert_eq!(steps, [100, 200, 400, 800]);
        assert!(!Learnt::default().has_missed(100, 2), "two of a hundred are let go");
    }

    #[test]
    fn many_rows_are_not_scanned() {
        let mut learnt = Learnt { step: 9, searches: 0 };
        let many = Wanted { rows: 1e6, ..FEW };
        assert_eq!(learnt.effort(&many), Effort::Index { ef_search: 1000, candidates: 1000, late: 0 });
        assert_eq!(
            learnt.effort(&Wanted { filtered: true, ..many }),
            Effort::Index { ef_search: 1000, candidates: 30, late: 0 }
        );
    }

    #[test]
    fn a_page_far_down_looks_past_the_pages_before() {
        let page = Wanted { k: 20, seen: 400, filtered: true, rows: 1e6 };
        assert_eq!(Learnt::default().effort(&page), Effort::Index { ef_search: 840, candidates: 40, late: 0 });
    }
}
