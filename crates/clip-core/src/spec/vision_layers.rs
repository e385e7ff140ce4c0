//! Vision towers of timm's `Eva` (timm, `eva.py`), which stand beside CLIP's text tower.

use serde::{Deserialize, Serialize};

use super::{VisionHead, VisionParts};

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
}

impl VisionLayers {
    /// How manifests spell the family, where it is not the model's own.
    pub fn name(self) -> Option<&'static str> {
        match self {
            Self::Own => None,
            Self::PeCore { .. } => Some("pe_core"),
        }
    }

    /// What of the tower no size tells. `own`: where that is the model's own family's.
    pub fn parts(self, own: VisionParts) -> VisionParts {
        match self {
            Self::Own => own,
            Self::PeCore { class_token, rope, pool } => VisionParts {
                class_token,
                patch_bias: false,
                pre_norm: true,
                head: VisionHead::AttentionLinear(pool),
                rope: Some(rope),
            },
        }
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
