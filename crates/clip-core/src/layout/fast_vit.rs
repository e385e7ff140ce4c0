//! The tensors of a FastViT, each of several of a checkpoint's (`import/convolutions.rs`). Where every channel has a kernel of its
//! own, that is `kernel`, `[side, side, channels]`; convolutions of one pixel are matrices.

use super::{TensorShape, VISION, linear, norm};
use crate::spec::FastVit;

/// All tensors but the projection.
pub fn tensors(size: FastVit, all: &mut Vec<TensorShape>) {
    let stages = size.stages();
    let mut before = stages.first().map_or(0, |stage| stage.width);
    linear(&format!("{VISION}.stem.0"), 3 * 3 * 3, before, all);
    depthwise(&format!("{VISION}.stem.1"), 3, before, all);
    linear(&format!("{VISION}.stem.2"), before, before, all);
    for (i, stage) in stages.iter().enumerate() {
        let (name, width) = (format!("{VISION}.stages.{i}"), stage.width);
        if i > 0 {
            depthwise(&format!("{name}.downsample"), 7, width, all);
            if stage.excite {
                excite(&format!("{name}.downsample.excite"), width, FastVit::excited(width), all);
            }
            linear(&format!("{name}.downsample.proj"), width, width, all);
        }
        if stage.attention {
            depthwise(&format!("{name}.positions"), 7, width, all);
        }
        for j in 0..stage.depth {
            let block = format!("{name}.blocks.{j}");
            match (stage.attention, size.has_layer_norm()) {
                (false, _) => depthwise(&format!("{block}.mixer"), 3, width, all),
                (true, false) => linear(&format!("{block}.attention.qkv"), width, 3 * width, all),
                (true, true) => {
                    norm(&format!("{block}.norm"), width, all);
                    all.push((format!("{block}.attention.qkv.weight"), vec![3 * width, width]));
                }
            }
            if stage.attention {
                linear(&format!("{block}.attention.out"), width, width, all);
            }
            depthwise(&format!("{block}.conv"), 7, width, all);
            linear(&format!("{block}.fc1"), width, size.mlp_ratio() * width, all);
            linear(&format!("{block}.fc2"), size.mlp_ratio() * width, width, all);
        }
        before = width;
    }
    let last = size.last_width();
    depthwise(&format!("{VISION}.final"), 3, last, all);
    excite(&format!("{VISION}.final.excite"), last, size.last_excited(), all);
    debug_assert_eq!(last, 2 * before);
}

/// A kernel of each channel, and a bias.
fn depthwise(name: &str, side: usize, width: usize, all: &mut Vec<TensorShape>) {
    all.push((format!("{name}.kernel"), vec![side, side, width]));
    all.push((format!("{name}.bias"), vec![width]));
}

/// Two layers that see one row an image. They are no matrices of a product: two of ten thousand multiplications are theirs.
fn excite(name: &str, width: usize, between: usize, all: &mut Vec<TensorShape>) {
    for (layer, inputs, outputs) in [("fc1", width, between), ("fc2", between, width)] {
        all.push((format!("{name}.{layer}.kernel"), vec![outputs, inputs]));
        all.push((format!("{name}.{layer}.bias"), vec![outputs]));
    }
}
