//! Scores that fall with the distance (ALiBi, arXiv 2108.12409), both ways: `- slope * |i - j|`, as in JinaBERT.

/// What a score loses for each row between its two, of each head of `size` values: times the root of that, as scores
/// are scaled after it.
///
/// Slopes are `2^(-8 / n)` and its powers for `n` heads, a power of two. For other numbers of heads they are those of the
/// next lower power, and then every other one of twice that.
pub fn slopes(heads: usize, size: usize) -> Vec<f32> {
    let (lower, scale) = (1 << heads.max(1).ilog2(), (size as f64).sqrt());
    let power = |i: usize, of: usize| 2f64.powf(-8.0 * (i + 1) as f64 / of as f64);
    let more = (0..).step_by(2).map(|i| power(i, 2 * lower));
    let all = (0..lower).map(|i| power(i, lower)).chain(more).take(heads);
    all.map(|slope| (f64::from(slope as f32) * scale) as f32).collect()
}

/// Lowers the scores of `row` by their distances from it.
#[inline(always)]
pub fn lower(scores: &mut [f32], row: usize, slope: f32) {
    let row = row as f32;
    for (j, score) in scores.iter_mut().enumerate() {
        *score -= slope * (row - j as f32).abs();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As in the paper, for 8 heads, and as its code has them for others.
    #[test]
    fn slopes_of_heads() {
        let unscaled = |heads| slopes(heads, 1);
        assert_eq!(unscaled(8), [0.5, 0.25, 0.125, 0.0625, 0.03125, 0.015625, 0.0078125, 0.00390625]);
        let root = 0.5f64.sqrt() as f32;
        assert_eq!(unscaled(12)[8..], [root, root / 2.0, root / 4.0, root / 8.0]);
        assert_eq!(unscaled(1), [1.0 / 256.0]);
        assert_eq!(unscaled(3), [0.0625, 0.00390625, 0.25]);
        assert_eq!(slopes(8, 64)[0], 4.0);
        assert!(unscaled(0).is_empty());
    }

    #[test]
    fn scores_fall_both_ways() {
        let mut scores = [1.0; 5];
        lower(&mut scores, 2, 0.5);
        assert_eq!(scores, [0.0, 0.5, 1.0, 0.5, 0.0]);
    }
}
