//! What a model makes of an input.

use std::ops::{Deref, DerefMut};

use crate::image::Remarks;

/// An L2-normalised vector of the model's space, `[dimensions]` values in f32.
///
/// It derefs to its values. The dot product of two embeddings of one model is their cosine.
///
/// ```
/// use clip_core::Embedding;
///
/// let (a, b) = (Embedding::from(vec![0.6, 0.8]), Embedding::from(vec![1.0, 0.0]));
/// let cosine: f32 = a.iter().zip(b.iter()).map(|(a, b)| a * b).sum();
/// assert_eq!(cosine, 0.6);
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Embedding {
    vector: Vec<f32>,
    /// What has to be known of the image that it was made of: whoever keeps the vector has to tell.
    pub remarks: Remarks,
}

impl Embedding {
    /// This vector with `remarks` in place of those that it has.
    pub fn with(self, remarks: Remarks) -> Self {
        Self { remarks, ..self }
    }

    /// The values, `[dimensions]`.
    pub fn as_slice(&self) -> &[f32] {
        &self.vector
    }
}

/// Takes the values as they are, without remarks. Nothing is normalised here: the caller gives a unit vector.
impl From<Vec<f32>> for Embedding {
    fn from(vector: Vec<f32>) -> Self {
        Self { vector, remarks: Remarks::default() }
    }
}

impl Deref for Embedding {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        &self.vector
    }
}

impl DerefMut for Embedding {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.vector
    }
}
