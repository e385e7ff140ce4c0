//! Vision towers that open_clip's configurations name by their name in timm (timm, `vision_transformer.py`).

use super::{eva, refused};
use crate::error::{Error, Result};
use crate::spec::{Activation, Architecture, FastVit, STEM_PATCH, TowerSpec, VisionLayers, VisionSpec};

/// Sizes of SigLIP's towers, by the part of the name that stands for them.
struct Size {
    name: &'static str,
    width: usize,
    layers: usize,
    heads: usize,
    /// Width of an MLP over that of a row.
    mlp_ratio: f64,
}

#[rustfmt::skip]
const SIZES: [Size; 5] = [
    // as tests/golden/make_family_models.py registers it with timm
    Size { name: "golden", width: 24, layers: 2, heads: 3, mlp_ratio: 3.7362 },
    Size { name: "base", width: 768, layers: 12, heads: 12, mlp_ratio: 4.0 },
    Size { name: "large", width: 1024, layers: 24, heads: 16, mlp_ratio: 4.0 },
    Size { name: "so400m", width: 1152, layers: 27, heads: 16, mlp_ratio: 3.7362 },
    Size { name: "giantopt", width: 1536, layers: 40, heads: 16, mlp_ratio: 4.0 },
];

/// Size, patch and image of the towers that there are, and their activations.
///
/// timm has the approximation of GELU in those alone that came with SigLIP 2; those of both versions have the exact one, whose
/// vectors differ a little from transformers'.
#[rustfmt::skip]
const SIGLIP: [(&str, usize, usize, Activation); 18] = [
    ("golden", 6, 20, Activation::Gelu),
    ("golden", 5, 20, Activation::GeluTanh),
    ("base", 32, 256, Activation::GeluTanh),
    ("base", 16, 224, Activation::Gelu),
    ("base", 16, 256, Activation::Gelu),
    ("base", 16, 384, Activation::Gelu),
    ("base", 16, 512, Activation::Gelu),
    ("large", 16, 256, Activation::Gelu),
    ("large", 16, 384, Activation::Gelu),
    ("large", 16, 512, Activation::GeluTanh),
    ("so400m", 14, 224, Activation::Gelu),
    ("so400m", 14, 378, Activation::Gelu),
    ("so400m", 14, 384, Activation::Gelu),
    ("so400m", 16, 256, Activation::GeluTanh),
    ("so400m", 16, 384, Activation::GeluTanh),
    ("so400m", 16, 512, Activation::GeluTanh),
    ("giantopt", 16, 256, Activation::GeluTanh),
    ("giantopt", 16, 384, Activation::GeluTanh),
];

/// What every layer norm of them adds to the variance.
const EPS: f64 = 1e-6;

/// A tower that timm has a name for.
pub struct Tower {
    /// How large it is.
    pub spec: VisionSpec,
    /// The family of the model that it is a part of.
    pub architecture: Architecture,
    /// open_clip's `timm_pool` that goes with it.
    pub pool: &'static str,
    /// open_clip's `timm_proj` that goes with it.
    pub proj: &'static str,
}

/// The tower that timm calls `name`. `Unsupported` where it is none of these families.
pub fn tower(name: &str) -> Result<Tower> {
    if let Some(size) = FastVit::ALL.into_iter().find(|size| size.name() == name) {
        return Ok(Tower { spec: size.vision(), architecture: Architecture::Clip, pool: "avg", proj: "" });
    }
    if let Some((spec, pool)) = eva::tower(name) {
        return Ok(Tower { spec, architecture: Architecture::Clip, pool, proj: "" });
    }
    match mobile(name) {
        Some(spec) => Ok(Tower { spec, architecture: Architecture::Clip, pool: "token", proj: "" }),
        None => Ok(Tower { spec: siglip(name)?, architecture: Architecture::Siglip, pool: "map", proj: "none" }),
    }
}

/// MobileCLIP's vision transformers: name, image, patch, width, layers, heads, what norms add to the variance, layers.
type Mobile = (&'static str, usize, usize, usize, usize, usize, f64, VisionLayers);

#[rustfmt::skip]
const MOBILE: [Mobile; 4] = [
    // as tests/golden/timm_towers.py registers them
    ("vit_golden_mci_48", 48, STEM_PATCH, 32, 2, 4, 1e-6, VisionLayers::ConvStem),
    ("vit_golden_patch5_clip_20", 20, 5, 24, 2, 3, 1e-5, VisionLayers::Timm),
    ("vit_base_mci_224", 224, STEM_PATCH, 768, 12, 12, 1e-6, VisionLayers::ConvStem),
    ("vit_large_patch14_clip_224", 224, 14, 1024, 24, 16, 1e-5, VisionLayers::Timm),
];

/// The vision transformer of MobileCLIP that timm calls `name`.
fn mobile(name: &str) -> Option<VisionSpec> {
    let found = MOBILE.into_iter().find(|tower| tower.0 == name);
    found.map(|(_, image_size, patch_size, hidden, layers, heads, layer_norm_eps, kind)| VisionSpec {
        image_size,
        patch_size,
        layers: kind,
        tower: TowerSpec {
            hidden,
            layers,
            heads,
            intermediate: 4 * hidden,
            layer_norm_eps,
            activation: Activation::Gelu,
        },
    })
}

/// The tower of SigLIP that timm calls `name`. `Unsupported` where it is no such tower.
fn siglip(name: &str) -> Result<VisionSpec> {
    let found = SIGLIP.iter().find(|(size, patch, image, _)| name == format!("vit_{size}_patch{patch}_siglip_{image}"));
    let (size, patch_size, image_size, activation) = found.ok_or_else(|| refused::vision_tower(name))?;
    let size = SIZES.iter().find(|known| known.name == *size);
    let size = size.ok_or_else(|| Error::internal(format!("no sizes of vision tower \"{name}\"")))?;
    Ok(VisionSpec {
        image_size: *image_size,
        patch_size: *patch_size,
        layers: VisionLayers::Own,
        tower: TowerSpec {
            hidden: size.width,
            layers: size.layers,
            heads: size.heads,
            // as Python's int() cuts it
            intermediate: (size.width as f64 * size.mlp_ratio) as usize,
            layer_norm_eps: EPS,
            activation: *activation,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_tower_has_its_sizes() {
        for (size, patch, image, activation) in SIGLIP {
            let tower = siglip(&format!("vit_{size}_patch{patch}_siglip_{image}")).unwrap();
            assert_eq!((tower.patch_size, tower.image_size, tower.tower.activation), (patch, image, activation));
            assert!(tower.tower.hidden.is_multiple_of(tower.tower.heads));
        }
        let widths = |name| siglip(name).map(|v| (v.tower.hidden, v.tower.intermediate, v.tower.layers)).unwrap();
        assert_eq!(widths("vit_so400m_patch14_siglip_384"), (1152, 4304, 27));
        assert_eq!(widths("vit_giantopt_patch16_siglip_256"), (1536, 6144, 40));
    }

    #[test]
    fn mobileclips_vision_transformers() {
        for (name, layers) in
            [("vit_base_mci_224", VisionLayers::ConvStem), ("vit_large_patch14_clip_224", VisionLayers::Timm)]
        {
            let Tower { spec, architecture, pool, proj } = tower(name).unwrap();
            assert_eq!((spec.layers, architecture, pool, proj), (layers, Architecture::Clip, "token", ""));
            assert_eq!(spec.tower.hidden, 64 * spec.tower.heads);
        }
    }

    #[test]
    fn other_towers_are_refused() {
        for name in ["vit_base_patch16_siglip_gap_224", "vit_base_patch16_siglip_225", "vit_base_patch16_clip_224", ""]
        {
            let error = tower(name).err().unwrap();
            assert_eq!(error.message, format!("vision tower \"{name}\" of timm is not supported"));
        }
    }
}
