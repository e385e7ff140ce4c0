//! A Hadamard transform of each 64 values, which both sides of a product of integers go through.
//!
//! `x · w = (H x) · (H w) / 64` for the Hadamard matrix `H` of 64. Transformers have channels far above all others, beside
//! which a scale for the whole row leaves the rest a few steps. `H` spreads such a channel over 64 values, so that the
//! largest one is nearer to the others (QuaRot, arXiv 2404.00456). It needs no data, and no multiplication.
//!
//! Values at the end of a row that fill no 64 are transformed by 32, 16, 8, 4 and 2 of them, `n` values times `sqrt(64 / n)`:
//! all of a row are in units of the same size.

use crate::geometry::QUANT_GROUP;

/// Replaces the values of a row, or of whole groups of one, by their transforms.
#[inline(always)]
pub fn rotate(x: &mut [f32]) {
    let (groups, rest) = x.as_chunks_mut();
    groups.iter_mut().for_each(rotate_group);
    rotate_rest(rest);
}

/// The values that rotated ones were: the transform is its own inverse, but for a factor.
pub fn rotate_back(x: &mut [f32]) {
    rotate(x);
    x.iter_mut().for_each(|x| *x *= 1.0 / QUANT_GROUP as f32);
}

/// Replaces a group by its transform.
#[inline(always)]
pub fn rotate_group(x: &mut [f32; QUANT_GROUP]) {
    // Four at a time: longer loops over neighbours become a shuffle for each value.
    for four in x.as_chunks_mut().0 {
        let [a, b, c, d] = *four;
        let (p, q, r, s) = (a + b, a - b, c + d, c - d);
        *four = [p + r, q + s, p - r, q - s];
    }
    butterflies(x, 4);
    butterflies(x, 8);
    butterflies(x, 16);
    butterflies(x, 32);
}

/// Sums and differences of values that are `distance` apart.
#[inline(always)]
fn butterflies(x: &mut [f32], distance: usize) {
    for pair in x.chunks_exact_mut(2 * distance) {
        let (low, high) = pair.split_at_mut(distance);
        for (low, high) in low.iter_mut().zip(high) {
            (*low, *high) = (*low + *high, *low - *high);
        }
    }
}

/// Replaces less than a group, at the end of a row.
pub fn rotate_rest(mut x: &mut [f32]) {
    let mut size = QUANT_GROUP / 2;
    while !x.is_empty() {
        if x.len() >= size {
            let (piece, rest) = x.split_at_mut(size);
            let mut distance = 1;
            while distance < size {
                butterflies(piece, distance);
                distance *= 2;
            }
            let factor = ((QUANT_GROUP / size) as f32).sqrt();
            piece.iter_mut().for_each(|x| *x *= factor);
            x = rest;
        }
        size = (size / 2).max(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(count: usize) -> Vec<f32> {
        (0..count).map(|i| ((i * 37 + 11) % 101) as f32 - 50.0).collect()
    }

    /// By the definition, with the signs of `H`.
    #[test]
    fn as_a_product_with_the_matrix() {
        let x = numbers(QUANT_GROUP);
        let mut rotated = x.clone();
        rotate(&mut rotated);
        for (i, rotated) in rotated.iter().enumerate() {
            let sign = |j: usize| if (i & j).count_ones().is_multiple_of(2) { 1.0 } else { -1.0 };
            assert_eq!(*rotated, x.iter().enumerate().map(|(j, x)| sign(j) * x).sum());
        }
    }

    #[test]
    fn products_stay_what_they_are() {
        for k in [1, 2, 3, 31, 63, 64, 65, 129, 191, 208] {
            let (mut x, mut w) = (numbers(k), numbers(k + 5).split_off(5));
            let dot = |x: &[f32], w: &[f32]| x.iter().zip(w).map(|(x, w)| f64::from(*x) * f64::from(*w)).sum::<f64>();
            let (expected, before) = (dot(&x, &w), x.clone());
            rotate(&mut x);
            rotate(&mut w);
            assert!((dot(&x, &w) / 64.0 - expected).abs() < 1e-6 * 2500.0 * k as f64, "{k}");
            rotate_back(&mut x);
            assert!(x.iter().zip(&before).all(|(x, before)| (x - before).abs() < 1e-4), "{k}");
        }
    }

    #[test]
    fn one_value_is_spread_over_all() {
        let mut x = [0.0; 70];
        (x[7], x[65]) = (3.0, 3.0);
        rotate(&mut x);
        assert!(x[..64].iter().all(|x| x.abs() == 3.0));
        assert!(x[64..68].iter().all(|x| x.abs() == 12.0) && x[68..] == [0.0; 2]);
    }
}
