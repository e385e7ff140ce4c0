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
}

impl Part {
    /// The part of `tensor` that has `shape`.
    pub fn origin(self, tensor: String, mut shape: Vec<usize>) -> Origin {
        match self {
            Self::Whole | Self::Rows { .. } => {}
            Self::Stacked { of, .. } => shape[0] *= of,
            Self::Transposed => shape.reverse(),
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
        [Some((self.tensor.clone(), self.shape.clone())), self.added.clone()].into_iter().flatten()
    }
}
