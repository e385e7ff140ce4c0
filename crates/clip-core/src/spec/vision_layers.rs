//! Vision towers of timm that stand beside CLIP's text tower.

use serde::{Deserialize, Serialize};

use super::{FastVit, Norms, VisionHead, VisionParts};

/// Whose layers a vision tower has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum VisionLayers {
    /// Those of the model's [`Architecture`](super::Architecture).
    #[default]
    Own,
    /// Meta's Perception Encoder: rotary positions beside the learnt ones, a pooling by attention, a linear layer.
    PeCore {
        /// A learnt row before those of the patches.
        class_token: bool,
        /// Rotary positions of the patches.
        rope: Rope,
        /// The pooling.
        pool: Pool,
    },
    /// EVA-01: a linear layer with a bias after the class token, and keys without one.
    Eva01,
    /// EVA-02: the same with rotary positions, gated MLPs and norms within both halves of a layer.
    Eva02 {
        /// Rotary positions of the patches.
        rope: Rope,
    },
    /// EVA-02 enormous: EVA-01 with the norms after each half of a layer.
    Eva02Enormous,
    /// EVA-02 with nothing after the class token's norm: Jina CLIP (`eva_model.py` of `jinaai/jina-clip-implementation`).
    JinaClip {
        /// Rotary positions of the patches.
        rope: Rope,
    },
    /// CLIP's as timm has them, whose projection has a bias: MobileCLIP2 L/14 (timm, `vision_transformer.py`).
    Timm,
    /// MobileCLIP B: convolutions make the patches' rows, and the class has no position (timm, `vit_base_mci_224` of
    /// `vision_transformer_hybrid.py`).
    ConvStem,
    /// MobileCLIP S: no transformer but in the last stages.
    FastVit(FastVit),
}

impl VisionLayers {
    /// How manifests spell the family, where it is not the model's own.
    pub fn name(self) -> Option<&'static str> {
        match self {
            Self::Own => None,
            Self::PeCore { .. } => Some("pe_core"),
            Self::Eva01 | Self::Eva02 { .. } | Self::Eva02Enormous => Some("eva"),
            Self::JinaClip { .. } => Some("jina_clip"),
            Self::Timm | Self::ConvStem | Self::FastVit(_) => Some("mobile_clip"),
        }
    }

    /// Is the model's int8 as good as f32 (`docs/models/precision.md`)? Those whose worst cosine was below 0.999 at full width have
    /// it for the asking alone.
    pub fn is_good_in_int8(self) -> bool {
        !matches!(
            self,
            Self::Eva02 { .. }
                | Self::JinaClip { .. }
                | Self::FastVit(FastVit::Mci3 | FastVit::Mci4 | FastVit::GoldenFive)
        )
    }

    /// What of the tower no size tells. `own`: where that is the model's own family's.
    pub fn parts(self, own: VisionParts) -> VisionParts {
        let eva = |norms, rope: Option<Rope>| VisionParts {
            class_token: true,
            conv_stem: false,
            patch_bias: true,
            pre_norm: false,
            head: VisionHead::Linear,
            layers: LayerParts { norms, key_bias: false, gating: rope.map_or(Gating::None, |_| Gating::Normed) },
            rope,
        };
        let timm = VisionParts {
            class_token: true,
            conv_stem: false,
            patch_bias: false,
            pre_norm: true,
            head: VisionHead::Linear,
            layers: Norms::Before.into(),
            rope: None,
        };
        match self {
            Self::Eva01 => eva(Norms::Before, None),
            Self::Eva02 { rope } => eva(Norms::Before, Some(rope)),
            Self::Eva02Enormous => eva(Norms::Inside, None),
            Self::JinaClip { rope } => VisionParts { head: VisionHead::Class, ..eva(Norms::Before, Some(rope)) },
            Self::Own => own,
            Self::PeCore { class_token, rope, pool } => VisionParts {
                class_token,
                conv_stem: false,
                patch_bias: false,
                pre_norm: true,
                head: VisionHead::AttentionLinear(pool),
                layers: Norms::Before.into(),
                rope: Some(rope),
            },
            Self::Timm => timm,
            Self::ConvStem => VisionParts { conv_stem: true, pre_norm: false, ..timm },
            Self::FastVit(_) => VisionParts { class_token: false, pre_norm: false, head: VisionHead::Mean, ..timm },
        }
    }
}

/// How the layers of a transformer are put together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LayerParts {
    /// Where the layer norms are.
    pub norms: Norms,
    /// The layer that makes keys has a bias.
    pub key_bias: bool,
    /// What its MLPs multiply.
    pub gating: Gating,
}

/// Does an MLP multiply two rows, of which one has passed the activation (GLU, arXiv 2002.05202)?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gating {
    /// No: one row passes it.
    None,
    /// It does, and norms the products. So does the attention with its rows before the last linear layer (EVA-02's SwiGLU).
    Normed,
    /// It does, with layers without a bias before the products (JinaBERT's GEGLU).
    Plain,
}

impl From<Norms> for LayerParts {
    /// All else as in CLIP.
    fn from(norms: Norms) -> Self {
        Self { norms, key_bias: true, gating: Gating::None }
    }
}

/// Positions that turn queries and keys (timm, `RotaryEmbeddingCat` of `pos_embed_sincos.py`): one half of a head by the
/// patch's row, the other by its column, each pair of values by an angle of its own. Rows before the patches are not
/// turned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rope {
    /// Patches of a side of the image that angles are counted for: those of another one are stretched to it
    /// (`ref_feat_shape`).
    pub reference: usize,
    /// Where the first patch of a side is (`rope_grid_offset`).
    pub offset: u8,
    /// Which half of a head goes by what (`rope_grid_indexing`).
    pub order: RopeOrder,
}

/// Which half of a head goes by the patch's row, and which by its column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RopeOrder {
    /// The first by its row (`ij`).
    RowsFirst,
    /// The first by its column (`xy`).
    ColumnsFirst,
}

/// An attention of a learnt row over all others, and an MLP, of sizes that are not the tower's (timm,
/// `AttentionPoolLatent`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pool {
    /// Heads of the attention.
    pub heads: usize,
    /// Width of a row within the MLP.
    pub intermediate: usize,
}

/// The convolutions of [`VisionLayers::ConvStem`]: each has its side as its stride, so that no two squares overlap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StemLayer {
    /// Values of a pixel that it reads.
    pub inputs: usize,
    /// Side of the square that becomes one pixel.
    pub side: usize,
    /// Values of a pixel that it makes.
    pub outputs: usize,
}

/// Those of a tower of width `hidden`. A patch is as large as all of them together.
pub fn stem(hidden: usize) -> [StemLayer; 3] {
    let narrow = hidden / 4;
    [
        StemLayer { inputs: 3, side: 4, outputs: narrow },
        StemLayer { inputs: narrow, side: 2, outputs: narrow },
        StemLayer { inputs: narrow, side: 2, outputs: hidden },
    ]
}

/// Side of a patch that [`stem`] makes one row of.
pub const STEM_PATCH: usize = 16;
