//! Where a tensor of the layout is in a checkpoint.

/// The tensor of a checkpoint that one of the layout is made of.
pub struct Origin {
    /// Its name there.
    pub tensor: String,
    /// Its shape there.
    pub shape: Vec<usize>,
    /// What of it is taken.
    pub part: Part,
    /// A tensor whose first row is added to every row, and its shape.
    pub added: Option<(String, Vec<usize>)>,
}

/// What of a tensor is taken.
#[derive(Clone, Copy)]
pub enum Part {
    /// All of it, as it lies there.
    Whole,
    /// One of several matrices of equal sizes, as query, key and value, whose rows lie one below the other.
    Stacked { index: usize, of: usize },
    /// Columns are rows: open_clip multiplies from the other side.
    Transposed,
    /// So many rows, from one on.
    Rows { first: usize, count: usize },
    /// Columns are pixels of a patch with their colours side by side; here a whole patch of each colour comes first.
    ChannelsLast,
    /// All of it, times a number.
    Times(f32),
    /// Nothing: sines and cosines of the positions from this one on, which checkpoints leave out.
    Waves { first: usize },
}

impl Part {
    /// The part of `tensor` that has `shape`.
    pub fn origin(self, tensor: String, mut shape: Vec<usize>) -> Origin {
        match self {
            Self::Whole | Self::Rows { .. } | Self::Times(_) | Self::Waves { .. } => {}
            Self::Stacked { of, .. } => shape[0] *= of,
            Self::Transposed => shape.reverse(),
            Self::ChannelsLast => shape = vec![shape[0], shape[1..].iter().product()],
        }
        Origin { tensor, shape, part: self, added: None }
    }
}

impl Origin {
    /// All of the tensor.
    pub fn whole(tensor: String, shape: Vec<usize>) -> Self {
        Part::Whole.origin(tensor, shape)
    }

    /// Names and shapes of all tensors that it is made of.
    pub fn sources(&self) -> impl Iterator<Item = (String, Vec<usize>)> {
        let made = matches!(self.part, Part::Waves { .. });
        let whole = (!made).then(|| (self.tensor.clone(), self.shape.clone()));
        [whole, self.added.clone()].into_iter().flatten()
    }
}

/// Positions of M2M-100 (transformers, `M2M100SinusoidalPositionalEmbedding`): `[count, width]`, a row of sines and then of
/// cosines for each position from `first` on.
///
/// Every step is rounded to f32, as there: at the 77th position a rounding of the angle is 4e-6.
pub fn waves(first: usize, count: usize, width: usize) -> Vec<f32> {
    let half = width / 2;
    let step = (-(10_000f64.ln()) / (half.saturating_sub(1).max(1)) as f64) as f32;
    let rates: Vec<f32> = (0..half).map(|i| f64::from(i as f32 * step).exp() as f32).collect();
    let mut rows = Vec::with_capacity(count * width);
    for position in first..first + count {
        let angles = || rates.iter().map(|rate| f64::from(position as f32 * rate));
        rows.extend(angles().map(|angle| angle.sin() as f32));
        rows.extend(angles().map(|angle| angle.cos() as f32));
        rows.extend((2 * half..width).map(|_| 0.0));
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::waves;

    #[test]
    fn sines_then_cosines() {
        let rows = waves(2, 3, 5);
        assert_eq!(rows.len(), 15);
        for (value, expected) in rows.iter().zip([2f32.sin(), 2e-4f32.sin(), 2f32.cos(), 2e-4f32.cos()]) {
            assert!((value - expected).abs() < 1e-7, "{value}, expected {expected}");
        }
        assert!(rows[4] == 0.0 && rows[14] == 0.0, "what is left over of an odd width");
        assert!((rows[10] - 4f32.sin()).abs() < 1e-7);
        for width in 0..4 {
            assert!(waves(0, 2, width).iter().all(|value| value.is_finite()), "{width}");
        }
    }
}
