//! Numbers that are computed at once: loops that become vector instructions, of any processor.
//!
//! What a function with more instructions calls, without being one of them, has no vectors: all of this is inlined.

pub mod pixels;

pub use pulp::NullaryFnOnce;

/// With the instructions of x86-64-v3 where they are there. What is to use them has to be inlined into `call`.
#[inline]
pub fn run<F: NullaryFnOnce>(work: F) -> F::Output {
    #[cfg(target_arch = "x86_64")]
    if let Some(simd) = pulp::x86::V3::try_new() {
        return simd.vectorize(work);
    }
    work.call()
}

/// Each number that follows from its place.
///
/// As `std::array::from_fn`, which is not always inlined.
#[inline(always)]
pub fn each<T: Copy + Default, const N: usize>(of: impl Fn(usize) -> T) -> [T; N] {
    let mut all = [T::default(); N];
    for (i, one) in all.iter_mut().enumerate() {
        *one = of(i);
    }
    all
}

/// As `clamp`, which panics where `least` is more than `most`: a loop that may panic has no vectors.
#[inline(always)]
pub fn within<T: Ord>(value: T, least: T, most: T) -> T {
    value.max(least).min(most)
}

/// Rows become columns.
#[inline(always)]
pub fn transposed<T: Copy + Default>(square: [[T; 8]; 8]) -> [[T; 8]; 8] {
    crossed::<T, 1>(crossed::<T, 2>(crossed::<T, 4>(square)))
}

/// Of each two rows that are so far apart, the corners off the diagonal change places: shuffles of vectors, where all three steps at
/// once would be loads of single numbers.
#[inline(always)]
fn crossed<T: Copy + Default, const FAR: usize>(square: [[T; 8]; 8]) -> [[T; 8]; 8] {
    each(|i| {
        let (one, other) = (square[i & !FAR], square[i | FAR]);
        each(|c| match (i & FAR == 0, c & FAR == 0) {
            (true, true) => one[c],
            (true, false) => other[c & !FAR],
            (false, true) => one[c | FAR],
            (false, false) => other[c],
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_become_columns() {
        let square: [[i32; 8]; 8] = each(|y| each(|x| (10 * y + x) as i32));
        assert_eq!(transposed(square), each(|y| each(|x| square[x][y])));
    }
}
