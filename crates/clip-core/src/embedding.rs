//! What a model makes of an input.

use std::ops::{Deref, DerefMut};

use crate::image::Remarks;

/// An L2-normalised vector of the model's space.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Embedding {
    vector: Vec<f32>,
    /// What has to be known of the image that it was made of: whoever keeps the vector has to tell.
    pub remarks: Remarks,
}

impl Embedding {
    pub fn with(self, remarks: Remarks) -> Self {
        Self { remarks, ..self }
    }

    pub fn as_slice(&self) -> &[f32] {
        &self.vector
    }
}

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
