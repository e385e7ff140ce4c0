//! FastViT, the vision tower of MobileCLIP S (timm, `fastvit.py`): what its names stand for.

use serde::{Deserialize, Serialize};

use super::{Activation, TowerSpec, VisionLayers, VisionSpec};

/// A FastViT, as timm calls it. The name says all of its sizes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FastVit {
    /// `fastvit_mci0`: MobileCLIP2 S0.
    Mci0,
    /// `fastvit_mci1`: MobileCLIP S1.
    Mci1,
    /// `fastvit_mci2`: MobileCLIP S2, of both versions.
    Mci2,
    /// `fastvit_mci3`: MobileCLIP2 S3.
    Mci3,
    /// `fastvit_mci4`: MobileCLIP2 S4.
    Mci4,
    /// Tiny, of four stages, for tests.
    GoldenFour,
    /// Tiny, of five stages, for tests.
    GoldenFive,
}

/// Blocks of one width, on one grid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stage {
    /// Values of a pixel.
    pub width: usize,
    /// Blocks.
    pub depth: usize,
    /// Pixels see each other, not only their neighbours. Positions come before that.
    pub attention: bool,
    /// A squeeze and excitation follows the convolution that makes the grid smaller.
    pub excite: bool,
}

/// Width of an attention's head.
const HEAD: usize = 32;

impl FastVit {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::Mci0, Self::Mci1, Self::Mci2, Self::Mci3, Self::Mci4, Self::GoldenFour, Self::GoldenFive];

    /// timm's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mci0 => "fastvit_mci0",
            Self::Mci1 => "fastvit_mci1",
            Self::Mci2 => "fastvit_mci2",
            Self::Mci3 => "fastvit_mci3",
            Self::Mci4 => "fastvit_mci4",
            Self::GoldenFour => "fastvit_golden_four",
            Self::GoldenFive => "fastvit_golden_five",
        }
    }

    /// Its stages, each on a grid of half the side of the one before.
    pub fn stages(self) -> Vec<Stage> {
        let sizes: &[(usize, usize)] = match self {
            Self::Mci0 => &[(64, 2), (128, 6), (256, 10), (512, 2)],
            Self::Mci1 => &[(64, 4), (128, 12), (256, 20), (512, 4)],
            Self::Mci2 => &[(80, 4), (160, 12), (320, 24), (640, 4)],
            Self::Mci3 => &[(96, 2), (192, 12), (384, 24), (768, 4), (1536, 2)],
            Self::Mci4 => &[(128, 2), (256, 12), (512, 24), (1024, 4), (2048, 4)],
            Self::GoldenFour => &[(4, 1), (8, 2), (16, 1), (32, 1)],
            Self::GoldenFive => &[(4, 1), (8, 1), (16, 1), (32, 1), (64, 1)],
        };
        let stage = |(i, (width, depth)): (usize, &(usize, usize))| Stage {
            width: *width,
            depth: *depth,
            attention: i > 2,
            excite: i > 1 && !self.has_layer_norm(),
        };
        sizes.iter().enumerate().map(stage).collect()
    }

    /// Before an attention comes a layer norm, and not a batch norm, which is a part of the next layer.
    pub fn has_layer_norm(self) -> bool {
        matches!(self, Self::Mci3 | Self::Mci4 | Self::GoldenFive)
    }

    /// The first two convolutions have a second branch.
    pub fn has_wide_stem(self) -> bool {
        !self.has_layer_norm()
    }

    /// Width of an MLP over that of a row.
    pub fn mlp_ratio(self) -> usize {
        if self.has_layer_norm() { 4 } else { 3 }
    }

    /// Values of a pixel after the last convolution.
    pub fn last_width(self) -> usize {
        2 * self.width()
    }

    /// Values of a pixel after the last stage.
    fn width(self) -> usize {
        self.stages().last().map_or(0, |stage| stage.width)
    }

    /// Values between the two layers of a stage's squeeze and excitation (timm, `SqueezeExcite`, `rd_ratio=0.25`).
    pub fn excited(width: usize) -> usize {
        ((width / 4 + 4) / 8 * 8).max(8)
    }

    /// The same of the last convolution's (`rd_divisor=1`).
    pub fn last_excited(self) -> usize {
        self.last_width().div_ceil(16)
    }

    /// Heads of an attention of rows of `width` values.
    pub fn heads(width: usize) -> usize {
        width / HEAD
    }

    /// Pixels of a side after the stem: each of its two convolutions halves it.
    pub fn first_grid(self) -> usize {
        self.image_size().div_ceil(2).div_ceil(2)
    }

    fn image_size(self) -> usize {
        match self {
            Self::GoldenFour => 48,
            Self::GoldenFive => 64,
            Self::Mci0 | Self::Mci1 | Self::Mci2 | Self::Mci3 | Self::Mci4 => 256,
        }
    }

    /// The tower as a spec says it. Its transformer is that of the last stage.
    pub fn vision(self) -> VisionSpec {
        let (stages, hidden) = (self.stages(), self.width());
        VisionSpec {
            tower: TowerSpec {
                hidden,
                layers: stages.iter().map(|stage| stage.depth).sum(),
                heads: Self::heads(hidden),
                intermediate: self.mlp_ratio() * hidden,
                layer_norm_eps: 1e-5,
                activation: Activation::Gelu,
            },
            image_size: self.image_size(),
            patch_size: 2 << stages.len(),
            layers: VisionLayers::FastVit(self),
        }
    }

    /// Bytes that an image takes during a pass, at most: of each kind of buffer the largest, as all are kept.
    pub fn bytes(self) -> usize {
        let area = |side: usize| side * side;
        let (first, half) = (area(self.first_grid()), area(self.image_size().div_ceil(2)));
        let ratio = self.mlp_ratio();
        // The stem: patches of 27 values, the first rows, and those as they are padded; then each stage's rows, those of its
        // convolution, and of its products the left-hand side, what lies between, queries, keys and values.
        let mut grid = self.first_grid();
        let [mut rows, mut between, mut left] = [0; 3];
        for (i, stage) in self.stages().iter().enumerate() {
            grid = if i > 0 { grid.div_ceil(2) } else { grid };
            rows = rows.max(3 * area(grid) * stage.width);
            between = between.max(area(grid) * stage.width * ratio);
            left = left.max(area(grid) * stage.width * 4);
        }
        let width = self.stages().first().map_or(0, |stage| stage.width);
        let last = area(grid) * self.last_width();
        size_of::<f32>() * (half * (32 + width) + 2 * first * width + rows + between + left + last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_fit_together() {
        for size in FastVit::ALL {
            let VisionSpec { tower, patch_size, .. } = size.vision();
            assert!(size.stages().iter().filter(|s| s.attention).all(|s| s.width % HEAD == 0), "{size:?}");
            assert_eq!((tower.hidden, tower.heads), (size.width(), size.width() / HEAD));
            assert_eq!(patch_size, if size.has_layer_norm() { 64 } else { 32 });
        }
        let excited = |size: FastVit| size.stages().iter().map(|s| FastVit::excited(s.width)).collect::<Vec<_>>();
        assert_eq!((excited(FastVit::Mci2), FastVit::Mci2.last_excited()), (vec![24, 40, 80, 160], 80));
    }
}
