//! Vision towers of timm's `Eva` that open_clip's configurations name by their name in timm (timm, `eva.py`).

use super::naming::timm_vision;
use super::origin::Origin;
use crate::layout::VISION;
use crate::spec::{Activation, Pool, Rope, RopeOrder, TowerSpec, VisionLayers, VisionSpec};

/// A tower that timm knows by its name.
struct Tower {
    /// What stands before its patch and its image in that name.
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
}

const PE: Kind = Kind::PeCore { class_token: true };
const PE_G: Kind = Kind::PeCore { class_token: false };

/// Patch, image and sizes.
const fn sized(name: &'static str, kind: Kind, patch: usize, image: usize, sizes: [usize; 4]) -> Tower {
    Tower { name, kind, patch, image, sizes }
}

const TOWERS: [Tower; 7] = [
    // as tests/golden/timm_towers.py registers them with timm
    sized("vit_pe_core_golden", PE, 5, 20, [48, 2, 3, 96]),
    sized("vit_pe_core_golden", PE_G, 4, 20, [40, 2, 2, 72]),
    sized("vit_pe_core_tiny", PE, 16, 384, [192, 12, 3, 768]),
    sized("vit_pe_core_small", PE, 16, 384, [384, 12, 6, 1536]),
    sized("vit_pe_core_base", PE, 16, 224, [768, 12, 12, 3072]),
    sized("vit_pe_core_large", PE, 14, 336, [1024, 24, 16, 4096]),
    sized("vit_pe_core_gigantic", PE_G, 14, 448, [1536, 50, 16, 8960]),
];

/// Heads of PE-Core's pooling, and the width of its MLP over that of a row.
const PE_POOL: (usize, usize) = (8, 4);

impl Tower {
    fn spec(&self) -> VisionSpec {
        let (side, [hidden, layers, heads, intermediate]) = (self.image / self.patch, self.sizes);
        let (layer_norm_eps, kind) = match self.kind {
            Kind::PeCore { class_token } => {
                // counted for the tower's own images
                let rope = Rope { reference: side, offset: u8::from(class_token), order: RopeOrder::ColumnsFirst };
                let pool = Pool { heads: PE_POOL.0, intermediate: PE_POOL.1 * hidden };
                (1e-5, VisionLayers::PeCore { class_token, rope, pool })
            }
        };
        VisionSpec {
            image_size: self.image,
            patch_size: self.patch,
            tower: TowerSpec { hidden, layers, heads, intermediate, layer_norm_eps, activation: Activation::Gelu },
            layers: kind,
        }
    }

    /// As timm calls it.
    fn name(&self) -> String {
        format!("{}_patch{}_{}", self.name, self.patch, self.image)
    }

    /// `timm_pool` of open_clip's configuration.
    fn pool(&self) -> &'static str {
        match self.kind {
            Kind::PeCore { .. } => "map",
        }
    }
}

/// The tower that timm calls `name`, and what open_clip's configuration has to say of its pooling.
pub fn tower(name: &str) -> Option<(VisionSpec, &'static str)> {
    let found = TOWERS.iter().find(|tower| tower.name() == name)?;
    Some((found.spec(), found.pool()))
}

/// What such a tower calls its tensors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Names;

impl Names {
    /// Of a tower of these layers. `None`: they are no `Eva`'s.
    pub fn of(layers: VisionLayers) -> Option<Self> {
        match layers {
            VisionLayers::Own => None,
            VisionLayers::PeCore { .. } => Some(Self),
        }
    }

    /// Where the layout's tensor `name`, of `shape`, is. `None`: it is not of the vision tower.
    pub fn origin(self, name: &str, shape: &[usize]) -> Option<Origin> {
        if let Some(rest) = name.strip_prefix("visual_projection.") {
            return Some(Origin::whole(format!("visual.trunk.head.{rest}"), shape.to_vec()));
        }
        let rest = name.strip_prefix(VISION)?.strip_prefix('.')?;
        Some(match rest.split_once('.') {
            Some(("embeddings", "class_embedding")) => {
                let shape = [&[1, 1], shape].concat();
                Origin::whole("visual.trunk.cls_token".into(), shape)
            }
            Some(("pre_layrnorm", part)) => Origin::whole(format!("visual.trunk.norm_pre.{part}"), shape.to_vec()),
            _ => timm_vision(rest, shape.to_vec()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_tower_has_its_sizes() {
        for known in TOWERS {
            let (tower, pool) = tower(&known.name()).unwrap();
            assert_eq!((tower.patch_size, tower.image_size), (known.patch, known.image));
            assert!(tower.image_size.is_multiple_of(tower.patch_size));
            assert!((tower.tower.hidden / tower.tower.heads).is_multiple_of(4));
            assert_eq!(pool, "map");
        }
        assert_eq!(tower("vit_pe_lang_large_patch14_448"), None);
    }
}
