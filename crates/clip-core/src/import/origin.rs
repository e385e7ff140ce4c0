//! Where a tensor of the layout is in a checkpoint.

/// The tensor of a checkpoint that one of the layout is made of.
pub struct Origin {
    /// Its name there.
    pub tensor: String,
    /// Its shape there.
    pub shape: Vec<usize>,
    /// What of it is taken.
    pub part: Part,
    /// What is added to it first.
    pub adapter: Option<Adapter>,
    /// What its first row is added to every row of.
    pub added: Option<Box<Origin>>,
}

/// A product of two narrow matrices that is added to a tensor (LoRA, arXiv 2106.09685). Each is one of several: tensors of three
/// dimensions, the outermost of which is a task's.
pub struct Adapter {
    /// `[tasks, rows, rank]`: name and shape.
    pub left: (String, Vec<usize>),
    /// `[tasks, rank, columns]`: name and shape.
    pub right: (String, Vec<usize>),
    /// Which one is added.
    pub task: usize,
    /// Times this.
    pub scale: f32,
}

impl Adapter {
    /// Adds the product to `values`, `[rows, columns]`, of the tensors' values.
    pub fn add_to(&self, values: &mut [f32], left: &[f32], right: &[f32]) {
        let (&[_, rows, rank], &[_, _, columns]) = (&self.left.1[..], &self.right.1[..]) else { return };
        let left = left.chunks((rows * rank).max(1)).nth(self.task).unwrap_or_default();
        let right = right.chunks((rank * columns).max(1)).nth(self.task).unwrap_or_default();
        let mut sums = vec![0.0; columns];
        for (values, left) in values.chunks_mut(columns.max(1)).zip(left.chunks(rank.max(1))) {
            sums.fill(0.0);
            for (factor, right) in left.iter().zip(right.chunks(columns.max(1))) {
                sums.iter_mut().zip(right).for_each(|(sum, value)| *sum += factor * value);
            }
            values.iter_mut().zip(&sums).for_each(|(value, sum)| *value += self.scale * sum);
        }
    }
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
        Origin { tensor, shape, part: self, adapter: None, added: None }
    }
}

impl Origin {
    /// All of the tensor.
    pub fn whole(tensor: String, shape: Vec<usize>) -> Self {
        Part::Whole.origin(tensor, shape)
    }

    /// Names and shapes of all tensors that it is made of.
    pub fn sources(&self) -> Vec<(String, Vec<usize>)> {
        let made = matches!(self.part, Part::Waves { .. });
        let mut all = Vec::new();
        all.extend((!made).then(|| (self.tensor.clone(), self.shape.clone())));
        all.extend(self.adapter.iter().flat_map(|adapter| [adapter.left.clone(), adapter.right.clone()]));
        all.extend(self.added.iter().flat_map(|added| added.sources()));
        all
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
    use super::*;

    #[test]
    fn a_product_is_added() {
        let named = |name: &str, shape: [usize; 3]| (name.to_owned(), shape.to_vec());
        let (left, right) = (named("l", [2, 2, 1]), named("r", [2, 1, 3]));
        let adapter = Adapter { left, right, task: 1, scale: 0.5 };
        let mut values = [1.0; 6];
        adapter.add_to(&mut values, &[9.0, 9.0, 2.0, 4.0], &[9.0, 9.0, 9.0, 1.0, 2.0, 3.0]);
        assert_eq!(values, [2.0, 3.0, 4.0, 3.0, 5.0, 7.0]);
    }

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
