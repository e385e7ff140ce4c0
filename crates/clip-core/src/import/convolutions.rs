//! Where timm has the convolutions of a vision tower (`vision_transformer_hybrid.py`, `fastvit.py`), which are one layer each
//! in the layout.

use super::fold::{Branch, Convolution, Fold, Half};
use crate::layout::STEM;
use crate::spec::{ModelSpec, stem};

/// What names of a vision tower's tensors begin with in open_clip's layout.
const TRUNK: &str = "visual.trunk";

/// What the layout's tensor `name` is made of. `None`: another tensor, which a checkpoint has as a whole.
pub fn fold(name: &str, spec: &ModelSpec) -> Option<Fold> {
    let (layer, half) = name.strip_prefix(STEM)?.strip_prefix('.')?.split_once('.')?;
    let at = layer.parse::<usize>().ok()?;
    let sizes = *stem(spec.vision.tower.hidden).get(at)?;
    let part = format!("{TRUNK}.patch_embed.backbone.{at}");
    let kernel = Some((format!("{part}.conv.weight"), sizes.side));
    // The last has a bias in the place of a norm.
    let last = at + 1 == stem(spec.vision.tower.hidden).len();
    let branch = match last {
        true => Branch { kernel, bias: Some(format!("{part}.conv.bias")), ..Branch::default() },
        false => Branch { kernel, norm: Some(format!("{part}.bn")), ..Branch::default() },
    };
    let from = Convolution {
        outputs: sizes.outputs,
        inputs: sizes.inputs,
        side: sizes.side,
        branches: vec![branch],
        ..Convolution::default()
    };
    let half = if half == "bias" { Half::Bias } else { Half::PixelWeight };
    Some(Fold { from, half })
}
