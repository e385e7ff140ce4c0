//! Room for a block at work, which is taken once.

use crate::intra::Border;
use crate::residual::LARGEST;
use crate::transform::Coefficients;

/// Room for a block at work.
pub struct Scratch {
    /// The samples around it.
    pub border: Border,
    /// What is predicted of it.
    pub predicted: [u16; LARGEST],
    /// What it has of each frequency.
    pub coefficients: Coefficients,
    /// What is added.
    pub residual: [i32; LARGEST],
}

impl Scratch {
    /// Zeros.
    pub fn new() -> Self {
        Self { border: [0; 129], predicted: [0; LARGEST], coefficients: Coefficients::new(), residual: [0; LARGEST] }
    }
}
