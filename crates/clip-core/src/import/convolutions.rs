//! Where timm has the convolutions of a vision tower (`vision_transformer_hybrid.py`, `fastvit.py`), which are one layer each
//! in the layout.

use super::fold::{Branch, Convolution, Fold, Half, Place};
use super::naming::TRUNK;
use super::origin::Origin;
use crate::layout::{STEM, VISION};
use crate::spec::{FastVit, ModelSpec, VisionLayers, stem};

/// What the layout's tensor `name`, of `shape`, is made of in a checkpoint that has a tensor where `has` says so. `None`:
/// another tensor, which a checkpoint has as a whole.
pub fn place(name: &str, shape: &[usize], spec: &ModelSpec, has: &dyn Fn(&str) -> bool) -> Option<Place> {
    match spec.vision.layers {
        VisionLayers::FastVit(size) => match name.strip_prefix("visual_projection.") {
            Some(half) => Some(Place::Origin(Origin::whole(format!("{TRUNK}.head.fc.{half}"), shape.to_vec()))),
            None => fast_vit(name.strip_prefix(VISION)?.strip_prefix('.')?, shape, size, has),
        },
        VisionLayers::ConvStem => conv_stem(name, spec.vision.tower.hidden).map(Place::Fold),
        _ => None,
    }
}

/// Of the three convolutions that make patches.
fn conv_stem(name: &str, hidden: usize) -> Option<Fold> {
    let (layer, half) = name.strip_prefix(STEM)?.strip_prefix('.')?.split_once('.')?;
    let (at, layers) = (layer.parse::<usize>().ok()?, stem(hidden));
    let sizes = *layers.get(at)?;
    let part = format!("{TRUNK}.patch_embed.backbone.{at}");
    // The last has a bias in the place of a norm.
    let branch = match at + 1 == layers.len() {
        true => biased(&format!("{part}.conv"), sizes.side),
        false => normed(&part, sizes.side),
    };
    let from = convolution(sizes.outputs, sizes.inputs, sizes.side, vec![branch]);
    Some(Fold { from, half: if half == "bias" { Half::Bias } else { Half::PixelWeight } })
}

/// Of a FastViT: `rest` is the name within the tower.
fn fast_vit(rest: &str, shape: &[usize], size: FastVit, has: &dyn Fn(&str) -> bool) -> Option<Place> {
    let (rest, half) = rest.rsplit_once('.')?;
    let half = match half {
        "bias" => Half::Bias,
        "kernel" => Half::Kernel,
        _ => Half::Weight,
    };
    let outputs = if half == Half::Weight { *shape.first()? } else { *shape.last()? };
    let stages = size.stages();
    let name = format!("{TRUNK}.{rest}");
    let (from, half) = match *rest.split('.').collect::<Vec<_>>() {
        ["stem", at] => {
            let (inputs, side) = match at {
                "0" => (3, 3),
                "1" => (1, 3),
                _ => (outputs, 1),
            };
            let skip = side == 1;
            let half = if half == Half::Weight && side > 1 { Half::PixelWeight } else { half };
            (mobile_one(&name, [outputs, inputs, side], size.has_wide_stem() && side > 1, skip, has), half)
        }
        ["stages", i, "downsample"] => (large(&format!("{TRUNK}.stages.{i}.downsample.proj.0"), outputs, has), half),
        ["stages", i, "downsample", "proj"] => (
            mobile_one(&format!("{TRUNK}.stages.{i}.downsample.proj.1"), [outputs, outputs, 1], false, true, has),
            half,
        ),
        ["stages", i, "downsample", "excite", layer] => {
            let inputs = excite_inputs(layer, stages.get(i.parse::<usize>().ok()?)?.width, FastVit::excited);
            return Some(excite(&format!("{TRUNK}.stages.{i}.downsample.proj.0.se.{layer}"), shape, inputs, half));
        }
        ["stages", i, "positions"] => (positions(&format!("{TRUNK}.stages.{i}.pos_emb"), outputs, has), half),
        ["stages", i, "blocks", j, ref part @ ..] => {
            let block = format!("{TRUNK}.stages.{i}.blocks.{j}");
            let Stage { width, scale, norm } = stage(&stages, i, size)?;
            match *part {
                ["mixer"] => (mixer(&block, outputs, has), half),
                ["attention", "qkv"] if norm => {
                    return Some(Place::Origin(Origin::whole(
                        format!("{block}.token_mixer.qkv.weight"),
                        shape.to_vec(),
                    )));
                }
                ["attention", "qkv"] => {
                    let kernel = Some((format!("{block}.token_mixer.qkv.weight"), 1));
                    let branches = vec![Branch { kernel, ..Branch::default() }];
                    let before = Some(format!("{block}.norm"));
                    (Convolution { matrix: true, before, ..convolution(3 * width, width, 1, branches) }, half)
                }
                ["attention", "out"] => {
                    let branches = vec![biased(&format!("{block}.token_mixer.proj"), 1)];
                    let scale = Some(format!("{block}.layer_scale_1.gamma"));
                    (Convolution { matrix: true, scale, ..convolution(width, width, 1, branches) }, half)
                }
                ["conv"] => (convolution(width, 1, 7, vec![normed(&format!("{block}.mlp.conv"), 7)]), half),
                ["fc1"] => {
                    let branches = vec![biased(&format!("{block}.mlp.fc1"), 1)];
                    (convolution(size.mlp_ratio() * width, width, 1, branches), half)
                }
                ["fc2"] => {
                    let branches = vec![biased(&format!("{block}.mlp.fc2"), 1)];
                    let scale = Some(format!("{block}.{scale}.gamma"));
                    (Convolution { scale, ..convolution(width, size.mlp_ratio() * width, 1, branches) }, half)
                }
                // a layer norm, whose name is timm's
                _ => return None,
            }
        }
        ["final"] => (mobile_one(&format!("{TRUNK}.final_conv"), [outputs, 1, 3], true, false, has), half),
        ["final", "excite", layer] => {
            let inputs = excite_inputs(layer, size.last_width(), |_| size.last_excited());
            return Some(excite(&format!("{TRUNK}.final_conv.se.{layer}"), shape, inputs, half));
        }
        _ => return None,
    };
    Some(Place::Fold(Fold { from, half }))
}

/// What tensors of a stage's blocks go by.
struct Stage {
    width: usize,
    /// The scale of the MLP.
    scale: &'static str,
    /// Has a layer norm.
    norm: bool,
}

fn stage(stages: &[crate::spec::Stage], i: &str, size: FastVit) -> Option<Stage> {
    let stage = stages.get(i.parse::<usize>().ok()?)?;
    let scale = if stage.attention { "layer_scale_2" } else { "layer_scale" };
    Some(Stage { width: stage.width, scale, norm: stage.attention && size.has_layer_norm() })
}

fn convolution(outputs: usize, inputs: usize, side: usize, branches: Vec<Branch>) -> Convolution {
    Convolution { outputs, inputs, side, branches, ..Convolution::default() }
}

/// timm's `ConvNormAct`.
fn normed(name: &str, side: usize) -> Branch {
    let (kernel, norm) = (Some((format!("{name}.conv.weight"), side)), Some(format!("{name}.bn")));
    Branch { kernel, norm, ..Branch::default() }
}

/// A layer with a bias.
fn biased(name: &str, side: usize) -> Branch {
    let (kernel, bias) = (Some((format!("{name}.weight"), side)), Some(format!("{name}.bias")));
    Branch { kernel, bias, ..Branch::default() }
}

/// What a checkpoint has in the place of all branches, once they were put together.
fn whole(name: &str, side: usize, has: &dyn Fn(&str) -> bool) -> Option<Branch> {
    let name = format!("{name}.reparam_conv");
    has(&format!("{name}.weight")).then(|| biased(&name, side))
}

/// timm's `MobileOneBlock`, of outputs, inputs and side. `wide`: with a branch of one pixel. `skip`: with a norm of the input.
fn mobile_one(
    name: &str,
    [outputs, inputs, side]: [usize; 3],
    wide: bool,
    skip: bool,
    has: &dyn Fn(&str) -> bool,
) -> Convolution {
    let branches = whole(name, side, has).map_or_else(|| branches(name, side, wide, skip), |whole| vec![whole]);
    convolution(outputs, inputs, side, branches)
}

fn branches(name: &str, side: usize, wide: bool, skip: bool) -> Vec<Branch> {
    let mut branches = vec![normed(&format!("{name}.conv_kxk.0"), side)];
    if wide {
        branches.push(normed(&format!("{name}.conv_scale"), 1));
    }
    if skip {
        branches.push(Branch { norm: Some(format!("{name}.identity")), ..Branch::default() });
    }
    branches
}

/// timm's `ReparamLargeKernelConv`.
fn large(name: &str, outputs: usize, has: &dyn Fn(&str) -> bool) -> Convolution {
    let branches = whole(name, 7, has).map_or_else(
        || vec![normed(&format!("{name}.large_conv"), 7), normed(&format!("{name}.small_conv"), 3)],
        |whole| vec![whole],
    );
    convolution(outputs, 1, 7, branches)
}

/// timm's `RepConditionalPosEnc`.
fn positions(name: &str, outputs: usize, has: &dyn Fn(&str) -> bool) -> Convolution {
    match whole(name, 7, has) {
        Some(whole) => convolution(outputs, 1, 7, vec![whole]),
        None => Convolution { skip: true, ..convolution(outputs, 1, 7, vec![biased(&format!("{name}.pos_enc"), 7)]) },
    }
}

/// timm's `RepMixer`.
fn mixer(block: &str, outputs: usize, has: &dyn Fn(&str) -> bool) -> Convolution {
    let name = format!("{block}.token_mixer");
    if let Some(whole) = whole(&name, 3, has) {
        return convolution(outputs, 1, 3, vec![whole]);
    }
    let mut branches = branches(&format!("{name}.mixer"), 3, true, true);
    branches.push(Branch { norm: Some(format!("{name}.norm.identity")), minus: true, ..Branch::default() });
    let scale = Some(format!("{name}.layer_scale.gamma"));
    Convolution { scale, skip: true, ..convolution(outputs, 1, 3, branches) }
}

fn excite_inputs(layer: &str, width: usize, between: impl Fn(usize) -> usize) -> usize {
    if layer == "fc1" { width } else { between(width) }
}

/// A layer of a squeeze and excitation: a convolution of one pixel.
fn excite(name: &str, shape: &[usize], inputs: usize, half: Half) -> Place {
    let outputs = shape.first().copied().unwrap_or_default();
    let from = convolution(outputs, inputs, 1, vec![biased(name, 1)]);
    Place::Fold(Fold { from, half: if half == Half::Bias { half } else { Half::Weight } })
}
