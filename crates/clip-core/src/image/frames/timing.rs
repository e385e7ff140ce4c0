//! Which frames are shown when.

/// What viewers make of a frame that is said to be shown for 10 milliseconds or less.
const USUAL: u64 = 100;

/// Up to `most` numbers of frames in their order: all where there are no more, else those that are shown in the middle of as many
/// equal parts of the time. One that is shown in the middle of several is there once.
pub fn choose(durations: &[u32], most: usize) -> Vec<usize> {
    if durations.len() <= most {
        return (0..durations.len()).collect();
    }
    let shown = |milliseconds: &u32| if *milliseconds <= 10 { USUAL } else { u64::from(*milliseconds) };
    let total: u64 = durations.iter().map(shown).sum();
    let mut chosen = Vec::new();
    let (mut part, mut end) = (0, 0);
    for (i, duration) in durations.iter().enumerate() {
        end += shown(duration);
        // The middle of part k of n is (2k + 1) / 2n of the time.
        let is_middle_before =
            |part: usize| (2 * part as u128 + 1) * u128::from(total) < 2 * most as u128 * u128::from(end);
        if part < most && is_middle_before(part) {
            chosen.push(i);
            while part < most && is_middle_before(part) {
                part += 1;
            }
        }
    }
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_where_there_are_no_more() {
        assert_eq!(choose(&[100, 20, 5000], 3), [0, 1, 2]);
        assert_eq!(choose(&[100, 20, 5000], 16), [0, 1, 2]);
        assert!(choose(&[], 4).is_empty() && choose(&[7, 7], 0).is_empty());
    }

    #[test]
    fn evenly_in_time() {
        assert_eq!(choose(&[50; 10], 5), [0, 2, 4, 6, 8].map(|i| i + 1));
        assert_eq!(choose(&[50; 9], 3), [1, 4, 7]);
        assert_eq!(choose(&[50; 9], 1), [4]);
        // Nine tenths of the time are one frame's.
        assert_eq!(choose(&[50, 50, 900], 2), [2]);
        assert_eq!(choose(&[900, 50, 50], 2), [0]);
        assert_eq!(choose(&[300, 300, 200, 200], 2), [0, 2]);
    }

    /// Frames of no time are shown as long as viewers show them.
    #[test]
    fn without_time() {
        assert_eq!(choose(&[0; 4], 2), [1, 3]);
        assert_eq!(choose(&[0, 10, 100, 100], 2), [1, 3]);
        assert_eq!(choose(&[u32::MAX; 5], 1), [2]);
    }
}
