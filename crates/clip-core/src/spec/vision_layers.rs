//! Vision towers of timm that stand beside CLIP's text tower.

use serde::{Deserialize, Serialize};

use super::{FastVit, VisionHead, VisionParts};

/// Whose layers a vision tower has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VisionLayers {
    /// Those of the model's [`Architecture`](super::Architecture).
    #[default]
    Own,
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
            Self::Timm | Self::ConvStem | Self::FastVit(_) => Some("mobile_clip"),
        }
    }

    /// What of the tower no size tells. `own`: where that is the model's own family's.
    pub fn parts(self, own: VisionParts) -> VisionParts {
        let timm = VisionParts {
            class_token: true,
            conv_stem: false,
            patch_bias: false,
            pre_norm: true,
            head: VisionHead::Biased,
        };
        match self {
            Self::Own => own,
            Self::Timm => timm,
            Self::ConvStem => VisionParts { conv_stem: true, pre_norm: false, ..timm },
            Self::FastVit(_) => VisionParts { class_token: false, pre_norm: false, head: VisionHead::Mean, ..timm },
        }
    }
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
