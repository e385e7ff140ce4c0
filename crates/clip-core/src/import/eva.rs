//! Vision towers of timm's `Eva` that open_clip's configurations name by their name in timm (timm, `eva.py`).

use super::naming::{TRUNK, renamed};
use super::origin::Origin;
use crate::layout::VISION;
use crate::spec::{Activation, Pool, Rope, RopeOrder, TowerSpec, VisionLayers, VisionSpec};

/// A tower that timm knows by its name.
struct Tower {
    name: &'static str,
    kind: Kind,
    patch: usize,
    image: usize,
    /// Width, layers, heads, and width within an MLP.
    sizes: [usize; 4],
}

/// What towers have in common.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Meta's Perception Encoder.
    PeCore { class_token: bool },
    /// EVA-01.
    Eva01,
    /// EVA-02 but for the largest.
    Eva02,
    /// EVA-02's largest, which is none of its architecture.
    Enormous,
}

const PE: Kind = Kind::PeCore { class_token: true };
const PE_G: Kind = Kind::PeCore { class_token: false };

/// Patch, image and sizes.
const fn sized(name: &'static str, kind: Kind, patch: usize, image: usize, sizes: [usize; 4]) -> Tower {
    Tower { name, kind, patch, image, sizes }
}

const TOWERS: [Tower; 16] = [
    // as tests/golden/timm_towers.py registers them with timm
    sized("vit_pe_core_golden_patch5_20", PE, 5, 20, [48, 2, 3, 96]),
    sized("vit_pe_core_golden_patch4_20", PE_G, 4, 20, [40, 2, 2, 72]),
    sized("eva_golden_patch5_20", Kind::Eva01, 5, 20, [40, 2, 2, 88]),
    sized("eva02_golden_patch5_20", Kind::Eva02, 5, 20, [48, 2, 3, 128]),
    sized("eva02_golden_enormous_patch4_20", Kind::Enormous, 4, 20, [40, 2, 2, 84]),
    sized("vit_pe_core_tiny_patch16_384", PE, 16, 384, [192, 12, 3, 768]),
    sized("vit_pe_core_small_patch16_384", PE, 16, 384, [384, 12, 6, 1536]),
    sized("vit_pe_core_base_patch16_224", PE, 16, 224, [768, 12, 12, 3072]),
    sized("vit_pe_core_large_patch14_336", PE, 14, 336, [1024, 24, 16, 4096]),
    sized("vit_pe_core_gigantic_patch14_448", PE_G, 14, 448, [1536, 50, 16, 8960]),
    sized("eva_giant_patch14_224", Kind::Eva01, 14, 224, [1408, 40, 16, 6144]),
    sized("eva_giant_patch14_clip_224", Kind::Eva01, 14, 224, [1408, 40, 16, 6144]),
    sized("eva02_base_patch16_clip_224", Kind::Eva02, 16, 224, [768, 12, 12, 2048]),
    sized("eva02_large_patch14_clip_224", Kind::Eva02, 14, 224, [1024, 24, 16, 2730]),
    sized("eva02_large_patch14_clip_336", Kind::Eva02, 14, 336, [1024, 24, 16, 2730]),
    sized("eva02_enormous_patch14_clip_224", Kind::Enormous, 14, 224, [1792, 64, 16, 15360]),
];

/// Patches of a side that EVA-02's positions are counted for (`ref_feat_shape`).
const EVA_REFERENCE: usize = 16;
/// Heads of PE-Core's pooling, and the width of its MLP over that of a row.
const PE_POOL: (usize, usize) = (8, 4);

impl Tower {
    fn spec(&self) -> VisionSpec {
        let (side, [hidden, layers, heads, intermediate]) = (self.image / self.patch, self.sizes);
        let (layer_norm_eps, activation, kind) = match self.kind {
            Kind::PeCore { class_token } => {
                // counted for the tower's own images
                let rope = Rope { reference: side, offset: u8::from(class_token), order: RopeOrder::ColumnsFirst };
                let pool = Pool { heads: PE_POOL.0, intermediate: PE_POOL.1 * hidden };
                (1e-5, Activation::Gelu, VisionLayers::PeCore { class_token, rope, pool })
            }
            Kind::Eva01 => (1e-6, Activation::Gelu, VisionLayers::Eva01),
            Kind::Eva02 => {
                let rope = Rope { reference: EVA_REFERENCE, offset: 0, order: RopeOrder::RowsFirst };
                (1e-6, Activation::Silu, VisionLayers::Eva02 { rope })
            }
            Kind::Enormous => (1e-6, Activation::Gelu, VisionLayers::Eva02Enormous),
        };
        VisionSpec {
            image_size: self.image,
            patch_size: self.patch,
            tower: TowerSpec { hidden, layers, heads, intermediate, layer_norm_eps, activation },
            layers: kind,
        }
    }

    /// `timm_pool` of open_clip's configuration.
    fn pool(&self) -> &'static str {
        match self.kind {
            Kind::PeCore { .. } => "map",
            Kind::Eva01 | Kind::Eva02 | Kind::Enormous => "token",
        }
    }
}

/// The tower that timm calls `name`, and what open_clip's configuration has to say of its pooling.
pub fn tower(name: &str) -> Option<(VisionSpec, &'static str)> {
    let found = TOWERS.iter().find(|tower| tower.name == name)?;
    Some((found.spec(), found.pool()))
}

/// What such a tower calls its tensors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Names {
    /// As in other towers of timm's.
    PeCore,
    /// Biases of query and value alone, beside one matrix.
    Eva01,
    /// Query, key and value apart, and a gated MLP.
    Eva02,
}

impl Names {
    /// Of a tower of these layers. `None`: they are no `Eva`'s.
    pub fn of(layers: VisionLayers) -> Option<Self> {
        match layers {
            VisionLayers::Own
            | VisionLayers::Timm
            | VisionLayers::ConvStem
            | VisionLayers::JinaClip { .. }
            | VisionLayers::FastVit(_) => None,
            VisionLayers::PeCore { .. } => Some(Self::PeCore),
            VisionLayers::Eva01 | VisionLayers::Eva02Enormous => Some(Self::Eva01),
            VisionLayers::Eva02 { .. } => Some(Self::Eva02),
        }
    }

    /// Where the layout's tensor `name`, of `shape`, is. `None`: where other towers of timm's have it.
    pub fn origin(self, name: &str, shape: &[usize]) -> Option<Origin> {
        let (layer, part) = name.strip_prefix(VISION)?.strip_prefix(".encoder.layers.")?.split_once('.')?;
        let tensor = self.of_layer(part)?;
        Some(Origin::whole(format!("{TRUNK}.blocks.{layer}.{tensor}"), shape.to_vec()))
    }

    /// A part of a layer, where no other tower of timm's calls it so.
    fn of_layer(self, part: &str) -> Option<String> {
        match (self, part) {
            (Self::Eva01, "self_attn.q_proj.bias") => Some("attn.q_bias".into()),
            (Self::Eva01, "self_attn.v_proj.bias") => Some("attn.v_bias".into()),
            (Self::Eva02, _) => Some(renamed(part, &EVA02_LAYER)),
            (Self::PeCore | Self::Eva01, _) => None,
        }
    }
}

/// Parts of a layer: in the layout, and in EVA-02.
const EVA02_LAYER: [(&str, &str); 8] = [
    ("layer_norm1.", "norm1."),
    ("layer_norm2.", "norm2."),
    ("self_attn.layer_norm.", "attn.norm."),
    ("self_attn.out_proj.", "attn.proj."),
    ("self_attn.", "attn."),
    ("mlp.gate.", "mlp.fc1_g."),
    ("mlp.fc1.", "mlp.fc1_x."),
    ("mlp.layer_norm.", "mlp.norm."),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_tower_has_its_sizes() {
        for known in TOWERS {
            let (tower, pool) = tower(known.name).unwrap();
            let numbers: Vec<usize> = known.name.split(['_', 'h']).filter_map(|part| part.parse().ok()).collect();
            assert_eq!(numbers, [tower.patch_size, tower.image_size], "{}", known.name);
            assert!(tower.image_size.is_multiple_of(tower.patch_size));
            assert!((tower.tower.hidden / tower.tower.heads).is_multiple_of(4));
            assert_eq!(pool, if known.name.starts_with("eva") { "token" } else { "map" });
        }
        for other in ["vit_pe_lang_large_patch14_448", "eva02_large_patch14_448", "eva_giant_patch14_336", ""] {
            assert_eq!(tower(other), None);
        }
    }
}
