//! Products with packed weights as operations on candle tensors.

use candle_core::{CpuStorage, CustomOp1, CustomOp2, Layout, Shape, Tensor};
use packed_gemm::{Activation as Fused, Epilogue, Kernel, PackedMatrix};

use crate::error::Result;
use crate::spec::Activation;
use crate::weights::Weights;

/// `y = activation(x Wᵀ + b)`, or that plus a residual: the one place where a tower multiplies by weights.
pub struct Linear {
    matrix: PackedMatrix,
    bias: Option<Vec<f32>>,
    activation: Fused,
}

impl Linear {
    /// Weight and bias of `name`.
    pub fn load(weights: &Weights, name: &str) -> Result<Self> {
        let bias = weights.values(&format!("{name}.bias"))?;
        Ok(Self { bias: Some(bias), ..Self::load_without_bias(weights, &format!("{name}.weight"))? })
    }

    /// A matrix alone.
    pub fn load_without_bias(weights: &Weights, tensor: &str) -> Result<Self> {
        Ok(Self { matrix: weights.matrix(tensor)?, bias: None, activation: Fused::None })
    }

    pub fn with_activation(mut self, activation: Activation) -> Self {
        self.activation = match activation {
            Activation::QuickGelu => Fused::QuickGelu,
            Activation::Gelu => Fused::Gelu,
            Activation::GeluTanh => Fused::GeluTanh,
        };
        self
    }

    /// `x`: `[rows, inputs]`.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        Ok(x.apply_op1_no_bwd(self)?)
    }

    /// `residual`: `[rows, outputs]`.
    pub fn forward_onto(&self, x: &Tensor, residual: &Tensor) -> Result<Tensor> {
        Ok(x.apply_op2_no_bwd(residual, self)?)
    }

    fn multiply(
        &self,
        x: &[f32],
        layout: &Layout,
        residual: Option<&[f32]>,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        let (rows, n) = (layout.shape().dims2()?.0, self.matrix.outputs());
        let epilogue = Epilogue { bias: self.bias.as_deref(), activation: self.activation, residual };
        let mut out = vec![0.0; rows * n];
        self.matrix.multiply(Kernel::best(), x, &epilogue, &mut out).map_err(candle_core::Error::wrap)?;
        Ok((CpuStorage::F32(out), (rows, n).into()))
    }
}

impl CustomOp1 for Linear {
    fn name(&self) -> &'static str {
        "linear"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> candle_core::Result<(CpuStorage, Shape)> {
        self.multiply(values(x, layout)?, layout, None)
    }
}

impl CustomOp2 for Linear {
    fn name(&self) -> &'static str {
        "linear"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        layout: &Layout,
        residual: &CpuStorage,
        residual_layout: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        self.multiply(values(x, layout)?, layout, Some(values(residual, residual_layout)?))
    }
}

/// The values of a contiguous f32 tensor.
pub fn values<'a>(storage: &'a CpuStorage, layout: &Layout) -> candle_core::Result<&'a [f32]> {
    match layout.contiguous_offsets() {
        Some((start, end)) => Ok(&storage.as_slice::<f32>()?[start..end]),
        None => candle_core::bail!("tensor of shape {:?} is not contiguous", layout.shape()),
    }
}
