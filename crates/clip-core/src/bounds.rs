//! What no [`ModelSpec`] may say, whoever wrote it: an import checks it, and everybody who opens an installed model does so again.

use crate::spec::*;

/// Bounds far above any published model, so that products of dimensions cannot overflow.
///
/// Of widths, layers, heads and the context.
const MAX_WIDTH: usize = 1 << 16;
/// Of token ids: 4 million, where SigLIP 2's vocabulary has 256,000.
const MAX_VOCAB: usize = 1 << 22;
/// pgvector's `vector` holds so many at most.
const MAX_DIMENSIONS: usize = 16_000;
/// Of an image's side, in pixels.
const MAX_IMAGE_SIZE: usize = 1 << 12;
/// Of rotary positions: published ones are ten thousand to a few million.
const MAX_ROTARY_BASE: f32 = 1e9;
/// Absolute value of the scale's tensor, less than this. Its exponential is a factor, which stays below 5e8.
pub const MAX_LOGIT_SCALE: f32 = 20.0;
/// Absolute value of the bias, less than this. Published ones lie between -10 and -20.
pub const MAX_LOGIT_BIAS: f32 = 1000.0;

/// Nothing, or what is wrong: the field, what it is and what was expected.
pub type Checked = Result<(), String>;

impl ModelSpec {
    /// Checks the numbers that say how large the tensors are, before any of them is asked for.
    ///
    /// Names are those of `config.json` where they differ, in brackets.
    pub fn check_sizes(&self) -> Checked {
        for (name, tower) in [("text", &self.text.tower), ("vision", &self.vision.tower)] {
            tower.check(name)?;
        }
        in_range("dimensions (projection_dim)", self.dimensions, 1..=MAX_DIMENSIONS)?;
        let parts = self.vision_parts();
        let as_wide = matches!(parts.head, VisionHead::Attention | VisionHead::Class);
        if as_wide && self.dimensions != self.vision.tower.hidden {
            let (texts, images) = (self.dimensions, self.vision.tower.hidden);
            return Err(format!("texts have {texts} dimensions, images {images}: expected the same"));
        }
        let text = self.text_parts();
        match text.head {
            TextHead::Mlp { intermediate } => {
                in_range("text head's intermediate size", intermediate, 1..=MAX_WIDTH)?;
            }
            TextHead::None if self.dimensions != self.text.tower.hidden => {
                let (wide, all) = (self.text.tower.hidden, self.dimensions);
                return Err(format!("texts have {wide} dimensions, expected the model's {all}"));
            }
            TextHead::Projection | TextHead::Biased | TextHead::None => {}
        }
        if let Some(TextPositions::Rotary { base }) = text.positions {
            check_rotary(base, &self.text.tower)?;
        }
        in_range("vocab_size", self.text.vocab_size, 1..=MAX_VOCAB)?;
        // Begin, end, and room for something in between.
        in_range("context_length (max_position_embeddings)", self.text.context_length, 3..=MAX_WIDTH)?;
        in_range("image_size", self.vision.image_size, 1..=MAX_IMAGE_SIZE)?;
        in_range("patch_size", self.vision.patch_size, 1..=self.vision.image_size)?;
        if let VisionHead::AttentionLinear(pool) = parts.head {
            pool.check(self.vision.tower.hidden)?;
        }
        if let Some(rope) = parts.rope {
            rope.check(&self.vision.tower)?;
        }
        if let ResizeRule::Patches { size, most } = self.image.resize {
            // Together no more pixels than the largest square.
            let patch = self.vision.patch_size;
            in_range("patches of an image (max_num_patches)", most as usize, 1..=(MAX_IMAGE_SIZE / patch).pow(2))?;
            if size as usize != patch || parts.class_token || parts.rope.is_some() {
                return Err(format!("images in patches of {size} pixels: the vision tower has others, of {patch}"));
            }
        }
        if let VisionLayers::FastVit(size) = self.vision.layers
            && self.vision != size.vision()
        {
            return Err(format!("vision tower is not what {} means: expected its sizes", size.name()));
        }
        let (hidden, patch) = (self.vision.tower.hidden, self.vision.patch_size);
        if parts.conv_stem && (!hidden.is_multiple_of(4) || patch != STEM_PATCH) {
            return Err(format!(
                "vision hidden_size {hidden} and patch_size {patch}: expected a multiple of 4 and {STEM_PATCH} with convolutions"
            ));
        }
        Ok(())
    }

    /// Checks every field, the sizes included.
    pub fn check(&self) -> Checked {
        self.check_sizes()?;
        self.image.check(self.vision.image_size)?;
        below("logit_scale", self.logit_scale, MAX_LOGIT_SCALE)?;
        if let Scoring::Sigmoid { bias } = self.scoring {
            below("scoring: bias", bias, MAX_LOGIT_BIAS)?;
        }
        match self.text.pooling {
            TextPooling::LargestId | TextPooling::Mean | TextPooling::First => {}
            TextPooling::FirstEos(id) | TextPooling::Last { pad: id } => {
                in_range("token of pooling", id as usize, 0..=self.text.vocab_size - 1)?;
            }
        }
        if let TextLayers::Unmasked { pad } = self.text.layers {
            in_range("token of padding", pad as usize, 0..=self.text.vocab_size - 1)?;
        }
        match &self.calibration {
            Calibration::None => Ok(()),
            Calibration::Means(means) => means.check(self.dimensions),
        }
    }
}

impl TowerSpec {
    /// One tower, `name` being the one for the message.
    fn check(&self, name: &str) -> Checked {
        for (what, n) in [
            ("hidden_size", self.hidden),
            ("layers (num_hidden_layers)", self.layers),
            ("heads (num_attention_heads)", self.heads),
            ("intermediate_size", self.intermediate),
        ] {
            in_range(&format!("{name} {what}"), n, 1..=MAX_WIDTH)?;
        }
        if !self.hidden.is_multiple_of(self.heads) {
            return Err(format!("{name} hidden_size {} is no multiple of {} heads", self.hidden, self.heads));
        }
        let eps = self.layer_norm_eps;
        if !(eps > 0.0 && eps < 1.0) {
            return Err(format!("{name} layer_norm_eps {eps} is out of range: expected more than 0 and less than 1"));
        }
        Ok(())
    }
}

impl Pool {
    /// The pooling of rows of `hidden` values.
    fn check(&self, hidden: usize) -> Checked {
        in_range("pooling heads", self.heads, 1..=MAX_WIDTH)?;
        in_range("pooling intermediate_size", self.intermediate, 1..=MAX_WIDTH)?;
        if !hidden.is_multiple_of(self.heads) {
            return Err(format!("vision hidden_size {hidden} is no multiple of {} pooling heads", self.heads));
        }
        Ok(())
    }
}

impl Rope {
    /// Positions of a tower whose sizes have been checked.
    fn check(&self, tower: &TowerSpec) -> Checked {
        in_range("rope reference", self.reference, 1..=MAX_IMAGE_SIZE)?;
        let size = tower.hidden / tower.heads;
        if !size.is_multiple_of(4) {
            return Err(format!("vision heads of {size} cannot be turned by rope: expected a multiple of 4"));
        }
        Ok(())
    }
}

/// Rotary positions of a text tower whose sizes have been checked.
fn check_rotary(base: f32, tower: &TowerSpec) -> Checked {
    if !(1.0..MAX_ROTARY_BASE).contains(&base) {
        return Err(format!("rotary base {base} is out of range: expected 1 to {MAX_ROTARY_BASE}"));
    }
    let size = tower.hidden / tower.heads;
    if !size.is_multiple_of(2) {
        return Err(format!("text heads of {size} cannot be turned by rotary positions: expected a multiple of 2"));
    }
    Ok(())
}

impl ImageSpec {
    /// The preprocessing of a tower that sees squares of `image_size` pixels.
    fn check(&self, image_size: usize) -> Checked {
        if self.crop as usize != image_size {
            return Err(format!(
                "image crop {} is out of range: expected the tower's image_size {image_size}",
                self.crop
            ));
        }
        match self.resize {
            ResizeRule::ShortestEdge(side) | ResizeRule::Squash(side) => {
                in_range("image resize", side as usize, image_size..=MAX_WIDTH)?;
            }
            // with the sizes
            ResizeRule::Patches { .. } => {}
        }
        if !(self.rescale > 0.0 && self.rescale <= 1.0) {
            return Err(format!("image rescale {} is out of range: expected more than 0, at most 1", self.rescale));
        }
        check_levels(self.mean, self.std)
    }
}

/// Mean and deviation of red, green and blue: all finite, the deviation positive, as it divides.
pub fn check_levels(mean: [f32; 3], std: [f32; 3]) -> Checked {
    if std.iter().any(|s| !s.is_finite() || *s <= 0.0) || mean.iter().any(|m| !m.is_finite()) {
        return Err(format!(
            "mean {mean:?} and deviation {std:?} of images: expected finite numbers, the deviation positive"
        ));
    }
    Ok(())
}

/// Is `value`, which the message calls `what`, in the range?
fn in_range(what: &str, value: usize, range: std::ops::RangeInclusive<usize>) -> Checked {
    if range.contains(&value) {
        return Ok(());
    }
    Err(format!("{what} {value} is out of range: expected {} to {}", range.start(), range.end()))
}

/// Is the absolute value of `value` less than `limit`? A NaN is not.
fn below(what: &str, value: f32, limit: f32) -> Checked {
    if value.abs() < limit {
        return Ok(());
    }
    Err(format!("{what} {value} is out of range: expected a number below {limit}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calibrate::Means;
    use crate::installed::parameters;

    fn good() -> ModelSpec {
        crate::spec::tests::spec(TowerSpec {
            hidden: 8,
            layers: 2,
            heads: 2,
            intermediate: 16,
            layer_norm_eps: 1e-5,
            activation: Activation::Gelu,
        })
    }

    /// Of any aspect.
    fn in_patches(spec: &mut ModelSpec, size: usize, most: usize) {
        (spec.architecture, spec.dimensions) = (Architecture::Siglip, 8);
        spec.image.resize = ResizeRule::Patches { size: size as u32, most: most as u32 };
    }

    /// The vision tower of a Perception Encoder.
    fn pe_core(spec: &mut ModelSpec, reference: usize, heads: usize, intermediate: usize) {
        let rope = Rope { reference, offset: 1, order: RopeOrder::ColumnsFirst };
        spec.vision.layers = VisionLayers::PeCore { class_token: true, rope, pool: Pool { heads, intermediate } };
    }

    /// The same with so many heads in its layers.
    fn turned(spec: &mut ModelSpec, heads: usize) {
        pe_core(spec, 1, 2, 1);
        spec.vision.tower.heads = heads;
    }

    /// That of an EVA-02.
    fn eva02(spec: &mut ModelSpec, reference: usize) {
        let rope = Rope { reference, offset: 0, order: RopeOrder::RowsFirst };
        spec.vision.layers = VisionLayers::Eva02 { rope };
    }

    /// What an error names, the field, and values that it cannot have.
    type Wrong<'a, T> = (&'a str, fn(&mut ModelSpec, T), &'a [T]);

    /// Every field that is a number, with numbers that it cannot be.
    #[test]
    fn every_number_has_its_range() {
        assert_eq!(good().check(), Ok(()));
        let edits: [Wrong<usize>; 25] = [
            ("text hidden", |s, n| s.text.tower.hidden = n, &[0, 7, 1 << 17, usize::MAX]),
            ("text layers", |s, n| s.text.tower.layers = n, &[0, (1 << 16) + 1, usize::MAX]),
            ("text heads", |s, n| s.text.tower.heads = n, &[0, 3, 16, usize::MAX]),
            ("text intermediate", |s, n| s.text.tower.intermediate = n, &[0, usize::MAX]),
            ("vision hidden", |s, n| s.vision.tower.hidden = n, &[0, 7, usize::MAX]),
            ("vision layers", |s, n| s.vision.tower.layers = n, &[0, usize::MAX]),
            ("vision heads", |s, n| s.vision.tower.heads = n, &[0, 3, usize::MAX]),
            ("vision intermediate", |s, n| s.vision.tower.intermediate = n, &[0, usize::MAX]),
            ("dimensions", |s, n| s.dimensions = n, &[0, 16_001, usize::MAX]),
            ("vocab_size", |s, n| s.text.vocab_size = n, &[0, (1 << 22) + 1, usize::MAX]),
            ("context_length", |s, n| s.text.context_length = n, &[0, 2, (1 << 16) + 1, usize::MAX]),
            ("image_size", |s, n| s.vision.image_size = n, &[0, 4097, usize::MAX]),
            ("patch_size", |s, n| s.vision.patch_size = n, &[0, 13, usize::MAX]),
            ("crop", |s, n| s.image.crop = n as u32, &[0, 11, 13, usize::MAX]),
            ("resize", |s, n| s.image.resize = ResizeRule::Squash(n as u32), &[0, 11, usize::MAX]),
            ("patches", |s, n| in_patches(s, 4, n), &[0, 1 << 21, usize::MAX]),
            ("pixels", |s, n| in_patches(s, n, 4), &[0, 3, 5, usize::MAX]),
            ("pooling", |s, n| s.text.pooling = TextPooling::FirstEos(n as u32), &[11, usize::MAX]),
            ("pooling", |s, n| s.text.pooling = TextPooling::Last { pad: n as u32 }, &[11, usize::MAX]),
            ("heads", |s, n| pe_core(s, 1, n, 1), &[0, 3, 16, usize::MAX]),
            ("intermediate_size", |s, n| pe_core(s, 1, 2, n), &[0, (1 << 16) + 1, usize::MAX]),
            ("reference", |s, n| pe_core(s, n, 2, 1), &[0, 4097, usize::MAX]),
            ("rope", |s, n| turned(s, n), &[4, 8]),
            ("heads", |s, n| turned(s, n), &[0, 3, usize::MAX]),
            ("reference", |s, n| eva02(s, n), &[0, 4097, usize::MAX]),
        ];
        for (what, edit, values) in edits {
            for value in values {
                let mut spec = good();
                edit(&mut spec, *value);
                let error = spec.check().expect_err(&format!("{what} = {value}"));
                // What is no model can be asked for its size.
                assert_eq!(parameters(&spec).is_none(), spec.check_sizes().is_err(), "{what} = {value}");
                spec.positions();
                assert!(error.contains(what.split(' ').next_back().unwrap()), "{what} = {value}: {error}");
            }
        }
        let mut spec = good();
        pe_core(&mut spec, 14, 8, 32);
        assert_eq!(spec.check(), Ok(()));
        let golden = || {
            let vision = FastVit::GoldenFour.vision();
            let side = vision.image_size as u32;
            let image = ImageSpec { crop: side, resize: ResizeRule::Squash(side), ..good().image };
            ModelSpec { vision, image, ..good() }
        };
        assert_eq!(golden().check(), Ok(()));
        let edits: [fn(&mut VisionSpec); 4] = [
            |v| v.image_size = 4096,
            |v| v.tower.hidden = 1 << 16,
            |v| v.tower.layers = 1,
            |v| v.layers = VisionLayers::FastVit(FastVit::Mci4),
        ];
        for edit in edits {
            let mut spec = golden();
            edit(&mut spec.vision);
            assert!(spec.check_sizes().unwrap_err().contains("fastvit"), "{:?}", spec.vision);
        }
        for (hidden, patch) in [(6, 16), (8, 15), (8, 4)] {
            let mut spec = good();
            spec.vision.layers = VisionLayers::ConvStem;
            (spec.vision.tower.hidden, spec.vision.patch_size) = (hidden, patch);
            (spec.vision.image_size, spec.image.crop, spec.image.resize) = (32, 32, ResizeRule::Squash(32));
            assert!(spec.check().unwrap_err().contains("with convolutions"), "{hidden}, {patch}");
            (spec.vision.tower.hidden, spec.vision.patch_size) = (8, 16);
            assert_eq!(spec.check(), Ok(()));
        }
        for base in [0.0, -1.0, 1e9, f32::NAN, f32::INFINITY] {
            let mut spec = good();
            let rotary = |base| TextLayers::Jina { positions: TextPositions::Rotary { base }, gated: true };
            (spec.text.layers, spec.dimensions) = (rotary(base), 8);
            assert!(spec.check().unwrap_err().contains("rotary base"), "{base}");
            spec.text.layers = rotary(10_000.0);
            assert_eq!(spec.check(), Ok(()));
            spec.text.tower.heads = 8;
            assert!(spec.check().unwrap_err().contains("multiple of 2"));
            spec.text.layers = TextLayers::Jina { positions: TextPositions::Alibi, gated: true };
            assert_eq!(spec.check(), Ok(()));
            spec.dimensions = 5;
            assert!(spec.check().unwrap_err().contains("texts have 8 dimensions"));
        }
        for pad in [11, u32::MAX] {
            let mut spec = good();
            spec.text.layers = TextLayers::Unmasked { pad };
            assert!(spec.check().unwrap_err().contains("padding"), "{pad}");
        }
        let edits: [Wrong<f64>; 7] = [
            ("eps", |s, x| s.text.tower.layer_norm_eps = x, &[0.0, -1.0, 1.0]),
            ("eps", |s, x| s.vision.tower.layer_norm_eps = x, &[0.0, -1.0, 1.0]),
            ("rescale", |s, x| s.image.rescale = x, &[0.0, -1.0, 2.0]),
            ("deviation", |s, x| s.image.std[1] = x as f32, &[0.0, -1.0]),
            ("mean", |s, x| s.image.mean[2] = x as f32, &[]),
            ("logit_scale", |s, x| s.logit_scale = x as f32, &[20.0, -1e30]),
            ("bias", |s, x| s.scoring = Scoring::Sigmoid { bias: x as f32 }, &[1000.0, -1e30]),
        ];
        for (what, edit, values) in edits {
            for value in values.iter().chain(&[f64::NAN, f64::INFINITY, f64::NEG_INFINITY]) {
                let mut spec = good();
                edit(&mut spec, *value);
                let error = spec.check().expect_err(&format!("{what} = {value}"));
                // What is no model can be asked for its size.
                assert_eq!(parameters(&spec).is_none(), spec.check_sizes().is_err(), "{what} = {value}");
                spec.positions();
                assert!(error.contains(what), "{what} = {value}: {error}");
            }
        }
    }

    #[test]
    fn means_are_checked_with_the_rest() {
        for (text, image) in
            [(vec![0.1; 4], vec![0.1; 5]), (vec![0.1; 5], vec![0.9; 5]), (vec![f32::NAN; 5], vec![0.1; 5])]
        {
            let spec = ModelSpec { calibration: Calibration::Means(Means { text, image }), ..good() };
            assert!(spec.check().unwrap_err().contains("mean"));
        }
    }
}
