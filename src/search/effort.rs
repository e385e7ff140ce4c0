//! How far an index is searched. Knows nothing of PostgreSQL, so that all of it can be tested without a server.
//!
//! How many candidates HNSW has to look at for the true neighbours depends on the vectors, and differs by a factor of a hundred.
//! So the first searches of a session look further than the answer needs. Where what comes late belongs into the answer, much
//! has been left out, and the next step is tried.

/// pgvector's largest `hnsw.ef_search`.
const MOST: usize = 1000;
/// Lists of more rows than that are not scanned for the sake of some rows that the index has missed.
const SCANNED: f64 = 200_000.0;
/// As many rows are scanned in the time in which an index comes to one candidate.
const SCAN_OF: f64 = 20.0;
/// Searches of a session that are checked at first, and how often later.
const CHECKED: u32 = 8;
const CHECKED_AGAIN: u32 = 64;
/// One row of so many may be late, and rows that tell it later on.
const MISSED: usize = 50;
const ENOUGH: usize = 100;

/// What searches of one kind have taught.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Learnt {
    step: u32,
    searches: u32,
    /// Rows of the searches that were checked at this step, and how many of them came late.
    asked: usize,
    late: usize,
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
        let (is_scanned, scan) = (rows <= SCANNED, (rows / SCAN_OF) as usize);
        // A scan is the next step, or what an index must not come near to for some rows more.
        let reach = if is_scanned { scan.min(4 * MOST) } else { (scan / 4).min(k.saturating_mul(32)) };
        let reach = reach.max(MOST).max(k.saturating_add(seen).saturating_mul(4));
        let is_last = breadth > reach;
        if is_last && is_scanned {
            return Effort::Scan;
        }
        let ef_search = breadth.min(MOST);
        let wide = (breadth > MOST).then_some(breadth.min(reach));
        // Some more than asked for: where an index is searched in rounds, what comes late may be nearer. In one round it is sorted.
        let enough = k + if filtered || wide.is_some() { (k / 2).max(20) } else { (k / 10).max(5) };
        let candidates = match wide {
            None => enough,
            // What the filter leaves of that is not known. So more are asked for, and found in more rounds of the index.
            Some(breadth) if filtered => enough.saturating_mul(breadth / MOST),
            Some(breadth) => breadth.max(enough),
        };
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

    /// Of the answer's `k` rows so many were among the late ones. True where the next step is to be tried at once. At first any sign
    /// will do. Later one late row of ten says little, and a session that took it for a sign each time would only ever go further.
    pub fn has_missed(&mut self, k: usize, late: usize) -> bool {
        self.asked = self.asked.saturating_add(k);
        self.late = self.late.saturating_add(late);
        let (asked, seen) = if self.searches <= CHECKED { (k, late) } else { (self.asked.max(ENOUGH), self.late) };
        let missed = seen.saturating_mul(MISSED) > asked;
        if missed {
            *self = Self { step: self.step + 1, ..Self::default() };
        } else if self.asked > 10 * ENOUGH {
            // Tables change.
            (self.asked, self.late) = (self.asked / 2, self.late / 2);
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
        for _ in 0..8 {
            assert_eq!(learnt.effort(&FEW), Effort::Index { ef_search: 100, candidates: 110, late: 10 });
        }
        assert_eq!(learnt.effort(&FEW), Effort::Index { ef_search: 100, candidates: 15, late: 0 });
    }

    #[test]
    fn what_was_missed_is_looked_for_further_away_and_then_by_a_scan() {
        let mut learnt = Learnt::default();
        let mut steps = Vec::new();
        while let Effort::Index { ef_search, .. } = learnt.effort(&FEW) {
            steps.push(ef_search);
            assert!(learnt.has_missed(10, 1));
        }
        assert_eq!(steps, [100, 200, 400, 800, 1000, 1000]);
        assert!(!Learnt::default().has_missed(100, 2), "two of a hundred are let go");
    }

    #[test]
    fn a_late_row_now_and_then_is_no_sign_for_ever() {
        let mut learnt = Learnt::default();
        let mut checks = 0;
        for _ in 0..100_000 {
            if let Effort::Index { late: 1.., .. } = learnt.effort(&FEW) {
                checks += 1;
                assert!(!learnt.has_missed(10, usize::from(checks > 8 && checks % 10 == 0)));
            }
        }
        assert!(checks > 1500);
        let missed = (0..1000)
            .any(|_| matches!(learnt.effort(&FEW), Effort::Index { late: 1.., .. }) && learnt.has_missed(10, 3));
        assert!(missed, "three of ten each time");
    }

    #[test]
    fn a_small_table_is_scanned_sooner() {
        let (mut learnt, few) = (Learnt { step: 4, ..Learnt::default() }, Wanted { rows: 20_000.0, ..FEW });
        assert_eq!(learnt.effort(&few), Effort::Scan);
        assert_eq!(learnt.effort(&FEW), Effort::Index { ef_search: 1000, candidates: 1610, late: 10 });
    }

    #[test]
    fn many_rows_are_not_scanned() {
        let mut learnt = Learnt { step: 9, ..Learnt::default() };
        let many = Wanted { rows: 1e6, ..FEW };
        assert_eq!(learnt.effort(&many), Effort::Index { ef_search: 1000, candidates: 1000, late: 0 });
        assert_eq!(
            learnt.effort(&Wanted { filtered: true, ..many }),
            Effort::Index { ef_search: 1000, candidates: 30, late: 0 }
        );
    }

    #[test]
    fn for_many_rows_of_a_large_table_an_index_goes_further() {
        let steps = |wanted: Wanted| {
            let mut learnt = Learnt::default();
            std::iter::from_fn(|| match learnt.effort(&wanted) {
                Effort::Index { candidates, late: 1.., .. } => {
                    Some((learnt.has_missed(wanted.k, wanted.k), candidates).1)
                }
                _ => None,
            })
            .collect::<Vec<_>>()
        };
        let large = Wanted { rows: 1e6, ..FEW };
        assert_eq!(steps(Wanted { k: 1000, ..large }), [2250, 4250, 8250]);
        assert_eq!(steps(Wanted { k: 100, filtered: true, ..large }), [175, 175, 175, 175, 475]);
        assert_eq!(steps(large).len(), 4, "no further than it was");
    }

    #[test]
    fn a_page_far_down_looks_past_the_pages_before() {
        let page = Wanted { k: 20, seen: 400, filtered: true, rows: 1e6 };
        assert_eq!(Learnt::default().effort(&page), Effort::Index { ef_search: 840, candidates: 40, late: 0 });
    }
}
