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

/// A linear layer, `y = activation(x Wᵀ + b)`, with `x` of `[rows, inputs]` and `y` of `[rows, outputs]`.
pub struct Linear {
    matrix: PackedMatrix,
    bias: Option<Vec<f32>>,
    activation: Fused,
}

impl Linear {
    /// The layer with weight `[outputs, inputs]` and bias `[outputs]` of `name`.
    pub fn load(weights: &Weights, name: &str) -> Result<Self> {
        let bias = weights.values(&format!("{name}.bias"))?;
        Ok(Self { bias: Some(bias), ..Self::load_without_bias(weights, &format!("{name}.weight"))? })
    }

    /// The layer of a matrix alone, whose whole name `tensor` is.
    pub fn load_without_bias(weights: &Weights, tensor: &str) -> Result<Self> {
        Ok(Self { matrix: weights.matrix(tensor)?, bias: None, activation: Fused::None })
    }

    /// The layer with a bias of zero for `count` outputs from `first` on, which the file leaves out.
    pub fn with_zeros(mut self, first: usize, count: usize) -> Self {
        if let Some(bias) = &mut self.bias {
            let first = first.min(bias.len());
            bias.splice(first..first, std::iter::repeat_n(0.0, count));
        }
        self
    }

    /// The layer with a function on its outputs, which is computed while the sums are in the cache.
    pub fn with_activation(mut self, activation: Activation) -> Self {
        self.activation = match activation {
            Activation::QuickGelu => Fused::QuickGelu,
            Activation::Gelu => Fused::Gelu,
            Activation::GeluTanh => Fused::GeluTanh,
            Activation::Relu => Fused::Relu,
            Activation::Silu => Fused::Silu,
        };
        self
    }

    /// Multiplies `x`, `[rows, inputs]`, and returns `[rows, outputs]`.
    pub fn forward(&self, x: &Tensor, compute: &Compute) -> Result<Tensor> {
        Ok(x.apply_op1_no_bwd(&Op { norm: None, linear: self, compute })?)
    }

    /// Multiplies `count` rows of `width` values, each as `row(i, values)` writes it. `out` becomes `[count,
    /// outputs]`.
    ///
    /// So the patches of images need not lie in memory as rows first.
    pub fn of_rows(
        &self,
        count: usize,
        width: usize,
        compute: &Compute,
        row: impl Fn(usize, &mut [f32]) + Sync,
        out: &mut Rows,
    ) -> Result<()> {
        let mut rows = self.rows(compute);
        rows.fill(compute.pool(), count, width, row);
        Ok(self.to_rows(&rows, out, compute)?)
    }

    /// The same as values, `[count, outputs]`.
    pub fn of_rows_to_values(
        &self,
        count: usize,
        width: usize,
        compute: &Compute,
        row: impl Fn(usize, &mut [f32]) + Sync,
    ) -> Result<Vec<f32>> {
        let mut rows = self.rows(compute);
        rows.fill(compute.pool(), count, width, row);
        Ok(self.product(&rows, compute)?)
    }

    /// Multiplies the rows of `x`, `[rows, width]`, and returns `[rows, outputs]`.
    pub fn of_values(&self, x: &[f32], width: usize, compute: &Compute) -> Result<Vec<f32>> {
        let mut rows = self.rows(compute);
        to_rows(None, x, width, &mut rows, compute)?;
        Ok(self.product(&rows, compute)?)
    }

    /// Multiplies the normed rows of `x`, `[rows, inputs]`, and returns `[rows, outputs]`.
    pub fn forward_normed(&self, norm: &LayerNorm, x: &Tensor, compute: &Compute) -> Result<Tensor> {
        Ok(x.apply_op1_no_bwd(&Op { norm: Some(norm), linear: self, compute })?)
    }

    /// The layer of some outputs alone, where the matrix can be parted there: at whole panels.
    fn columns(&self, columns: Range<usize>) -> Option<Self> {
        let matrix = self.matrix.columns(columns.clone())?;
        Some(Self { matrix, bias: self.bias.as_ref().map(|bias| bias[columns].to_vec()), activation: self.activation })
    }

    /// Memory for this layer's left-hand side.
    fn rows<'a>(&self, compute: &'a Compute) -> Lent<'a> {
        compute.rows(self.matrix.precision())
    }

    /// Memory for a product that attention reads: as exact as the precision is worth.
    fn values<'a>(&self, compute: &'a Compute) -> Lent<'a> {
        compute.rows_to_read(if self.matrix.precision() == Precision::F32 { Precision::F32 } else { Precision::Bf16 })
    }

    /// What is done to the sums: bias, then activation.
    fn epilogue(&self) -> Epilogue<'_> {
        Epilogue { bias: self.bias.as_deref(), activation: self.activation }
    }

    /// `[rows, outputs]` in f32.
    fn product(&self, x: &Rows, compute: &Compute) -> candle_core::Result<Vec<f32>> {
        self.matrix.multiply(compute.pool(), x, &self.epilogue()).map_err(candle_core::Error::wrap)
    }

    /// Adds the product to the values of a tensor, `[rows, outputs]`.
    fn add_to(&self, x: &Rows, to: &mut CpuStorage, layout: &Layout, compute: &Compute) -> candle_core::Result<()> {
        let CpuStorage::F32(to) = to else { candle_core::bail!("tensor is not of f32") };
        let to = &mut to[contiguous(layout)?];
        self.matrix.add_to(compute.pool(), x, &self.epilogue(), to).map_err(candle_core::Error::wrap)
    }

    /// The product as the left-hand side of another one, `[rows, outputs]`.
    fn to_rows(&self, x: &Rows, out: &mut Rows, compute: &Compute) -> candle_core::Result<()> {
        self.matrix.multiply_to_rows(compute.pool(), x, &self.epilogue(), out).map_err(candle_core::Error::wrap)
    }

    /// The product as a new tensor, `[rows, outputs]`.
    fn multiply(&self, x: &Rows, compute: &Compute) -> candle_core::Result<(CpuStorage, Shape)> {
        Ok((CpuStorage::F32(self.product(x, compute)?), (x.len(), self.matrix.outputs()).into()))
    }
}

/// Attention with a linear layer before and one after it, and maybe a norm before all.
pub struct AttentionBlock {
    norm: Option<LayerNorm>,
    /// Query, key and value side by side.
    qkv: Linear,
    /// Before the last layer.
    inner: Option<LayerNorm>,
    out: Linear,
}

impl AttentionBlock {
    /// `qkv`: `[3 * hidden, hidden]`, or without queries `[2 * hidden, hidden]`.
    pub fn new(norm: Option<LayerNorm>, qkv: Linear, out: Linear) -> Self {
        Self { norm, qkv, inner: None, out }
    }

    /// The same with a norm between the attention and the last layer.
    pub fn with_inner_norm(self, inner: Option<LayerNorm>) -> Self {
        Self { inner, ..self }
    }

    /// Reads `x`, `[rows, hidden]`, and returns `[rows that ask, hidden]`, without a residual.
    pub fn forward(&self, attention: &Attention, x: &Tensor, compute: &Compute) -> Result<Tensor> {
        Ok(x.apply_op1_no_bwd(&Attend { block: self, attention, compute })?)
    }

    /// Adds the block's output to `x` itself, `[rows, hidden]`, of which every row asks.
    pub fn add_to(&self, attention: &Attention, x: &Tensor, compute: &Compute) -> Result<()> {
        Ok(x.inplace_op1(&Attend { block: self, attention, compute })?)
    }

    /// Adds the block's output to copies of the rows that ask: `asking`, `[rows that ask, hidden]`. `x` stays as it
    /// is.
    pub fn add_to_asking(&self, attention: &Attention, x: &Tensor, asking: &Tensor, compute: &Compute) -> Result<()> {
        Ok(asking.inplace_op2(x, &Attend { block: self, attention, compute })?)
    }
}

/// Two linear layers with a residual around them, and maybe a norm before (transformers, `CLIPMLP`).
pub struct Mlp {
    norm: Option<LayerNorm>,
    up: Linear,
    gate: Option<Gate>,
    down: Linear,
}

/// What an MLP's first rows are multiplied with, and maybe a norm of the product (timm, `SwiGLU` of `mlp.py`).
pub struct Gate {
    /// `[intermediate, hidden]`, with the activation.
    pub linear: Linear,
    /// Of the products.
    pub norm: Option<LayerNorm>,
}

impl Mlp {
    /// `up`: `[intermediate, hidden]`, with the activation. `down`: `[hidden, intermediate]`.
    pub fn new(norm: Option<LayerNorm>, up: Linear, down: Linear) -> Self {
        Self { norm, up, gate: None, down }
    }

    /// The same with a gate, which has the activation in the place of `up`.
    pub fn with_gate(self, gate: Option<Gate>) -> Self {
        Self { gate, ..self }
    }

    /// `down(up(norm(x)))` of `x`, `[rows, hidden]`, without a residual.
    pub fn forward(&self, x: &Tensor, compute: &Compute) -> Result<Tensor> {
        Ok(x.apply_op1_no_bwd(&MlpOp { mlp: self, compute })?)
    }

    /// Adds `down(up(norm(x)))` to `x`, `[rows, hidden]`.
    pub fn add_to(&self, x: &Tensor, compute: &Compute) -> Result<()> {
        Ok(x.inplace_op1(&MlpOp { mlp: self, compute })?)
    }

    /// Adds `down(up(norm(from)))` to `to`, `[rows, hidden]`. `from`: `[rows, width]`.
    pub fn add_of(&self, from: &[f32], to: &mut [f32], width: usize, compute: &Compute) -> Result<()> {
        let between = self.between(from, width, compute)?;
        let added = self.down.matrix.add_to(compute.pool(), &between, &self.down.epilogue(), to);
        Ok(added.map_err(candle_core::Error::wrap)?)
    }

    /// What the last layer multiplies, for all rows of `x`, `[rows, width]`.
    fn between<'a>(&self, x: &[f32], width: usize, compute: &'a Compute) -> candle_core::Result<Lent<'a>> {
        let Self { norm, up, gate, down } = self;
        let (mut rows, mut between) = (up.rows(compute), down.rows(compute));
        to_rows(norm.as_ref(), x, width, &mut rows, compute)?;
        let Some(gate) = gate else {
            up.to_rows(&rows, &mut between, compute)?;
            return Ok(between);
        };
        let (mut gates, mut gated) = (gate.linear.values(compute), up.values(compute));
        gate.linear.to_rows(&rows, &mut gates, compute)?;
        up.to_rows(&rows, &mut gated, compute)?;
        let (count, width) = (gated.len(), gated.width());
        let product = |i: usize, row: &mut [f32]| {
            gated.read(i, 0, row);
            let mut factors = vec![0.0; width];
            gates.read(i, 0, &mut factors);
            row.iter_mut().zip(&factors).for_each(|(value, factor)| *value *= factor);
        };
        match &gate.norm {
            Some(norm) => norm.fill(count, width, &mut between, compute, product)?,
            None => between.fill(compute.pool(), count, width, product),
        }
        Ok(between)
    }
}

/// `x`, `[rows, width]`, becomes the left-hand side of a product, normed where there is a norm.
fn to_rows(
    norm: Option<&LayerNorm>,
    x: &[f32],
    width: usize,
    rows: &mut Rows,
    compute: &Compute,
) -> candle_core::Result<()> {
    match norm {
        Some(norm) => norm.to_rows(x, width, rows, compute),
        None => rows.copy_from(compute.pool(), x, width).map_err(candle_core::Error::wrap),
    }
}

/// A linear layer as candle calls it.
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
        to_rows(self.norm, x, width, &mut rows, self.compute)?;
        self.linear.multiply(&rows, self.compute)
    }
}

/// An MLP as candle calls it.
struct MlpOp<'a> {
    mlp: &'a Mlp,
    compute: &'a Compute,
}

impl MlpOp<'_> {
    /// What the last layer multiplies, for all rows of `x`.
    fn rows(&self, x: &CpuStorage, layout: &Layout) -> candle_core::Result<Lent<'_>> {
        self.mlp.between(values(x, layout)?, layout.shape().dims2()?.1, self.compute)
    }
}

const MLP: &str = "mlp";

impl CustomOp1 for MlpOp<'_> {
    fn name(&self) -> &'static str {
        MLP
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> candle_core::Result<(CpuStorage, Shape)> {
        self.mlp.down.multiply(&*self.rows(x, layout)?, self.compute)
    }
}

impl InplaceOp1 for MlpOp<'_> {
    fn name(&self) -> &'static str {
        MLP
    }

    fn cpu_fwd(&self, x: &mut CpuStorage, layout: &Layout) -> candle_core::Result<()> {
        let rows = self.rows(x, layout)?;
        self.mlp.down.add_to(&rows, x, layout, self.compute)
    }
}

/// An attention block as candle calls it.
struct Attend<'a> {
    block: &'a AttentionBlock,
    attention: &'a Attention<'a>,
    compute: &'a Compute,
}

impl Attend<'_> {
    /// The attention's output for all rows of `x`, as the last linear layer takes it.
    fn rows(&self, x: &CpuStorage, layout: &Layout) -> candle_core::Result<Lent<'_>> {
        self.mixed(&self.block.qkv, self.attention, x, layout)
    }

    /// The attention's output for the rows that ask, of which `asking` is a copy.
    ///
    /// Queries are made of these alone, which spares a third of the first product.
    fn rows_asked(&self, asking: &[f32], x: &CpuStorage, layout: &Layout) -> candle_core::Result<Lent<'_>> {
        let (AttentionBlock { norm, qkv, .. }, compute) = (self.block, self.compute);
        let hidden = layout.shape().dims2()?.1;
        let parts = (qkv.columns(0..hidden), qkv.columns(hidden..qkv.matrix.outputs()));
        let (Queries::Rows(at), (Some(query), Some(keys_values))) = (self.attention.queries, parts) else {
            return self.rows(x, layout);
        };
        let mut rows = query.rows(compute);
        to_rows(norm.as_ref(), asking, hidden, &mut rows, compute)?;
        let queries = query.product(&rows, compute)?;
        drop(rows);
        let queries = Queries::Given { rows: at, queries: &queries };
        self.mixed(&keys_values, &Attention { queries, ..*self.attention }, x, layout)
    }

    /// The attention's output. `linear` makes the queries, keys and values that `attention` reads.
    fn mixed(
        &self,
        linear: &Linear,
        attention: &Attention,
        x: &CpuStorage,
        layout: &Layout,
    ) -> candle_core::Result<Lent<'_>> {
        let compute = self.compute;
        let (mut rows, mut between) = (linear.rows(compute), linear.values(compute));
        to_rows(self.block.norm.as_ref(), values(x, layout)?, layout.shape().dims2()?.1, &mut rows, compute)?;
        linear.to_rows(&rows, &mut between, compute)?;
        // The same memory, unless the last layer is of another precision, as in SigLIP's head.
        drop(rows);
        let mut rows = self.block.out.rows(compute);
        let Some(norm) = &self.block.inner else {
            attention.to_rows(&between, &mut rows, compute)?;
            return Ok(rows);
        };
        let mut mixed = compute.rows_to_read(Precision::F32);
        attention.to_rows(&between, &mut mixed, compute)?;
        norm.fill(mixed.len(), mixed.width(), &mut rows, compute, |i, row| mixed.read(i, 0, row))?;
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

/// The values of a contiguous f32 tensor. Any other is an error.
pub fn values<'a>(storage: &'a CpuStorage, layout: &Layout) -> candle_core::Result<&'a [f32]> {
    Ok(&storage.as_slice::<f32>()?[contiguous(layout)?])
}

fn contiguous(layout: &Layout) -> candle_core::Result<Range<usize>> {
    match layout.contiguous_offsets() {
        Some((start, end)) => Ok(start..end),
        None => candle_core::bail!("tensor of shape {:?} is not contiguous", layout.shape()),
    }
}
