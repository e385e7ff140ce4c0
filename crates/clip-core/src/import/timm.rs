//! Vision towers that open_clip's configurations name by their name in timm (timm, `vision_transformer.py`).

use super::refused;
use crate::error::{Error, Result};
use crate::spec::{Activation, TowerSpec, VisionLayers, VisionSpec};

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

/// The tower of SigLIP that timm calls `name`. `Unsupported` where it is no such tower.
pub fn siglip(name: &str) -> Result<VisionSpec> {
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
    fn other_towers_are_refused() {
        for name in ["vit_base_patch16_siglip_gap_224", "vit_base_patch16_siglip_225", "vit_base_patch16_clip_224", ""]
        {
            let error = siglip(name).unwrap_err();
            assert_eq!(error.message, format!("vision tower \"{name}\" of timm is not supported"));
        }
    }
}
