//! From a tower's rows to embeddings.

use candle_core::Tensor;

use crate::calibrate::{centre, normalize};
use crate::embedding::Embedding;
use crate::error::{Error, Result};

/// Rows to unit length, and where the spec has means, around the modality's; a row that has no direction is an error,
/// never a made-up vector.
pub fn finish(rows: Tensor, mean: Option<&[f32]>) -> Result<Vec<Embedding>> {
    finish_each(rows, mean)?.into_iter().collect()
}

/// Each row of `[rows, dimensions]` to unit length and around `mean`. A row without a direction is `Internal`.
pub fn finish_each(rows: Tensor, mean: Option<&[f32]>) -> Result<Vec<Result<Embedding>>> {
    let rows: Vec<Vec<f32>> = rows.to_vec2()?;
    let finished = rows.into_iter().map(|mut row| {
        let done = normalize(&mut row).and_then(|()| mean.map_or(Some(()), |mean| centre(&mut row, mean)));
        done.map(|()| row.into()).ok_or_else(|| Error::internal("the model gave a vector without a direction"))
    });
    Ok(finished.collect())
}
