//! Products with packed weights as operations on candle tensors, each with what comes before it: a norm or attention
//! writes the left-hand side in the format that the weights are multiplied in.

use std::ops::Range;

use candle_core::{CpuStorage, CustomOp1, InplaceOp1, InplaceOp2, Layout, Shape, Tensor};
use packed_gemm::{Activation as Fused, Epilogue, PackedMatrix, Precision, Rows};

use super::attention::{Attention, Queries};
use super::norm::LayerNorm;
use crate::compute::{Compute, Lent};
use crate::error::Result;
use crate::spec::Activation;
use crate::weights::Weights;

/// `y = activation(x Wᵀ + b)`.
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
    pub fn forward(&self, x: &Tensor, compute: &Compute) -> Result<Tensor> {
        Ok(x.apply_op1_no_bwd(&Op { norm: None, linear: self, compute })?)
    }

    /// Of `count` rows of `width` values, each as `row(i, values)` writes it; `out` becomes `[count, outputs]`.
    pub fn of_rows(
        &self,
        count: usize,
        width: usize,
        compute: &Compute,
        row: impl Fn(usize, &mut [f32]) + Sync,
        out: &mut Rows,
    ) -> Result<()> {
        let mut rows = self.rows(compute);
        rows.fill(compute.team(), count, width, row);
        Ok(self.to_rows(&rows, out, compute)?)
    }

    /// Of the normed rows.
    pub fn forward_normed(&self, norm: &LayerNorm, x: &Tensor, compute: &Compute) -> Result<Tensor> {
        Ok(x.apply_op1_no_bwd(&Op { norm: Some(norm), linear: self, compute })?)
    }

    /// Some outputs alone, where the matrix can be parted there.
    fn columns(&self, columns: Range<usize>) -> Option<Self> {
        let matrix = self.matrix.columns(columns.clone())?;
        Some(Self { matrix, bias: self.bias.as_ref().map(|bias| bias[columns].to_vec()), activation: self.activation })
    }

    fn rows<'a>(&self, compute: &'a Compute) -> Lent<'a> {
        compute.rows(self.matrix.precision())
    }

    /// For a product that something else than another product reads: as exact as the precision is worth.
    fn values<'a>(&self, compute: &'a Compute) -> Lent<'a> {
        compute.rows_to_read(if self.matrix.precision() == Precision::F32 { Precision::F32 } else { Precision::Bf16 })
    }

    fn epilogue(&self) -> Epilogue<'_> {
        Epilogue { bias: self.bias.as_deref(), activation: self.activation }
    }

    fn product(&self, x: &Rows, compute: &Compute) -> candle_core::Result<Vec<f32>> {
        self.matrix.multiply(compute.team(), x, &self.epilogue()).map_err(candle_core::Error::wrap)
    }

    /// Adds the product to the values of a tensor, `[rows, outputs]`.
    fn add_to(&self, x: &Rows, to: &mut CpuStorage, layout: &Layout, compute: &Compute) -> candle_core::Result<()> {
        let CpuStorage::F32(to) = to else { candle_core::bail!("tensor is not of f32") };
        let to = &mut to[contiguous(layout)?];
        self.matrix.add_to(compute.team(), x, &self.epilogue(), to).map_err(candle_core::Error::wrap)
    }

    /// The product as the left-hand side of another one.
    fn to_rows(&self, x: &Rows, out: &mut Rows, compute: &Compute) -> candle_core::Result<()> {
        whole(out, self, compute, |out| {
            let done = self.matrix.multiply_to_rows(compute.team(), x, &self.epilogue(), out);
            done.map_err(candle_core::Error::wrap)
        })
    }

    fn multiply(&self, x: &Rows, compute: &Compute) -> candle_core::Result<(CpuStorage, Shape)> {
        Ok((CpuStorage::F32(self.product(x, compute)?), (x.len(), self.matrix.outputs()).into()))
    }
}

/// What `fill` writes part by part becomes `rows`, of a product with `linear`'s precision: by way of rows to read where whole
/// ones are better.
fn whole(
    rows: &mut Rows,
    linear: &Linear,
    compute: &Compute,
    fill: impl FnOnce(&mut Rows) -> candle_core::Result<()>,
) -> candle_core::Result<()> {
    if !rows.is_better_whole() {
        return fill(rows);
    }
    let mut parts = linear.values(compute);
    fill(&mut parts)?;
    rows.copy_rows(compute.team(), &parts);
    Ok(())
}

/// Attention with a norm and a linear layer before it and one after it.
pub struct AttentionBlock {
    norm: LayerNorm,
    /// Query, key and value side by side.
    qkv: Linear,
    out: Linear,
}

impl AttentionBlock {
    pub fn new(norm: LayerNorm, qkv: Linear, out: Linear) -> Self {
        Self { norm, qkv, out }
    }

    /// `x`: `[rows, hidden]`. Returns `[rows that ask, hidden]`.
    pub fn forward(&self, attention: &Attention, x: &Tensor, compute: &Compute) -> Result<Tensor> {
        Ok(x.apply_op1_no_bwd(&Attend { block: self, attention, compute })?)
    }

    /// Adds that to `x` itself, of which every row asks.
    pub fn add_to(&self, attention: &Attention, x: &Tensor, compute: &Compute) -> Result<()> {
        Ok(x.inplace_op1(&Attend { block: self, attention, compute })?)
    }

    /// Adds it to the rows that ask, `[rows that ask, hidden]`.
    pub fn add_to_asking(&self, attention: &Attention, x: &Tensor, asking: &Tensor, compute: &Compute) -> Result<()> {
        Ok(asking.inplace_op2(x, &Attend { block: self, attention, compute })?)
    }
}

/// The block of two linear layers with a norm before and a residual around them.
pub struct Mlp {
    norm: LayerNorm,
    up: Linear,
    down: Linear,
}

impl Mlp {
    pub fn new(norm: LayerNorm, up: Linear, down: Linear) -> Self {
        Self { norm, up, down }
    }

    /// Adds `down(up(norm(x)))` to `x`, `[rows, hidden]`.
    pub fn add_to(&self, x: &Tensor, compute: &Compute) -> Result<()> {
        Ok(x.inplace_op1(&MlpOp { mlp: self, compute })?)
    }
}

struct Op<'a> {
    norm: Option<&'a LayerNorm>,
    linear: &'a Linear,
    compute: &'a Compute,
}

impl CustomOp1 for Op<'_> {
    fn name(&self) -> &'static str {
        "linear"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> candle_core::Result<(CpuStorage, Shape)> {
        let (x, width) = (values(x, layout)?, layout.shape().dims2()?.1);
        let mut rows = self.linear.rows(self.compute);
        match self.norm {
            Some(norm) => norm.to_rows(x, width, &mut rows, self.compute)?,
            None => rows.copy_from(self.compute.team(), x, width).map_err(candle_core::Error::wrap)?,
        }
        self.linear.multiply(&rows, self.compute)
    }
}

struct MlpOp<'a> {
    mlp: &'a Mlp,
    compute: &'a Compute,
}

impl InplaceOp1 for MlpOp<'_> {
    fn name(&self) -> &'static str {
        "mlp"
    }

    fn cpu_fwd(&self, x: &mut CpuStorage, layout: &Layout) -> candle_core::Result<()> {
        let (Mlp { norm, up, down }, compute) = (self.mlp, self.compute);
        let (mut rows, mut between) = (up.rows(compute), down.rows(compute));
        norm.to_rows(values(x, layout)?, layout.shape().dims2()?.1, &mut rows, compute)?;
        up.to_rows(&rows, &mut between, compute)?;
        down.add_to(&between, x, layout, compute)
    }
}

struct Attend<'a> {
    block: &'a AttentionBlock,
    attention: &'a Attention<'a>,
    compute: &'a Compute,
}

impl Attend<'_> {
    /// What the last linear layer takes.
    fn rows(&self, x: &CpuStorage, layout: &Layout) -> candle_core::Result<Lent<'_>> {
        self.mixed(&self.block.qkv, self.attention, x, layout)
    }

    /// The same of the rows that ask, which have been copied to `asking`: queries of these alone, which spares a third of the
    /// first product.
    fn rows_asked(&self, asking: &[f32], x: &CpuStorage, layout: &Layout) -> candle_core::Result<Lent<'_>> {
        let (AttentionBlock { norm, qkv, out: _ }, compute) = (self.block, self.compute);
        let hidden = layout.shape().dims2()?.1;
        let parts = (qkv.columns(0..hidden), qkv.columns(hidden..qkv.matrix.outputs()));
        let (Queries::Rows(at), (Some(query), Some(keys_values))) = (self.attention.queries, parts) else {
            return self.rows(x, layout);
        };
        let mut rows = query.rows(compute);
        norm.to_rows(asking, hidden, &mut rows, compute)?;
        let queries = query.product(&rows, compute)?;
        drop(rows);
        let queries = Queries::Given { rows: at, queries: &queries };
        self.mixed(&keys_values, &Attention { queries, ..*self.attention }, x, layout)
    }

    /// `linear` makes what `attention` reads.
    fn mixed(
        &self,
        linear: &Linear,
        attention: &Attention,
        x: &CpuStorage,
        layout: &Layout,
    ) -> candle_core::Result<Lent<'_>> {
        let compute = self.compute;
        let (mut rows, mut between) = (linear.rows(compute), linear.values(compute));
        self.block.norm.to_rows(values(x, layout)?, layout.shape().dims2()?.1, &mut rows, compute)?;
        linear.to_rows(&rows, &mut between, compute)?;
        whole(&mut rows, linear, compute, |rows| attention.to_rows(&between, rows, compute))?;
        Ok(rows)
    }
}

const ATTENTION: &str = "attention";

impl CustomOp1 for Attend<'_> {
    fn name(&self) -> &'static str {
        ATTENTION
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> candle_core::Result<(CpuStorage, Shape)> {
        self.block.out.multiply(&*self.rows(x, layout)?, self.compute)
    }
}

impl InplaceOp1 for Attend<'_> {
    fn name(&self) -> &'static str {
        ATTENTION
    }

    fn cpu_fwd(&self, x: &mut CpuStorage, layout: &Layout) -> candle_core::Result<()> {
        let rows = self.rows(x, layout)?;
        self.block.out.add_to(&rows, x, layout, self.compute)
    }
}

impl InplaceOp2 for Attend<'_> {
    fn name(&self) -> &'static str {
        ATTENTION
    }

    fn cpu_fwd(
        &self,
        asking: &mut CpuStorage,
        asking_layout: &Layout,
        x: &CpuStorage,
        layout: &Layout,
    ) -> candle_core::Result<()> {
        let rows = self.rows_asked(values(asking, asking_layout)?, x, layout)?;
        self.block.out.add_to(&rows, asking, asking_layout, self.compute)
    }
}

/// The values of a contiguous f32 tensor.
pub fn values<'a>(storage: &'a CpuStorage, layout: &Layout) -> candle_core::Result<&'a [f32]> {
    Ok(&storage.as_slice::<f32>()?[contiguous(layout)?])
}

fn contiguous(layout: &Layout) -> candle_core::Result<Range<usize>> {
    match layout.contiguous_offsets() {
        Some((start, end)) => Ok(start..end),
        None => candle_core::bail!("tensor of shape {:?} is not contiguous", layout.shape()),
    }
}
