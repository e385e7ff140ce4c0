//! Calibration: one space in which texts and images lie around the same point.
//!
//! In every CLIP the vectors of texts and those of images lie in two separate cones, so that a mixed list shows rows
//! of the query's own modality first. The known remedy is to subtract the mean vector of each modality and to
//! normalise again ("Closing the Modality Gap for Mixed Modality Search", arXiv 2507.19054). The means belong to the
//! spec of a derived model, which has its own name and fingerprint and shares the weights of the plain one.

use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::bounds::Checked;
use crate::error::{Error, ErrorKind, Result};
use crate::install::{self, Imported};
use crate::installed::{Installed, Manifest, ModelDir, TOKENIZER, fingerprint};
use crate::spec::Calibration;
use crate::tensor_file::cannot_write;

/// Fewer inputs than this do not tell where a modality's vectors lie.
pub const MIN_INPUTS: usize = 16;

/// The mean vector of each modality, each `[dimensions]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Means {
    /// Of texts' unit vectors.
    pub text: Vec<f32>,
    /// Of images' unit vectors.
    pub image: Vec<f32>,
}

impl Means {
    /// Both means must have the model's dimensions and a length below one.
    pub(crate) fn check(&self, dimensions: usize) -> Checked {
        for (what, mean) in [("text", &self.text), ("image", &self.image)] {
            if mean.len() != dimensions {
                let given = mean.len();
                return Err(format!("mean {what} vector has {given} dimensions, expected {dimensions}"));
            }
            // Unit vectors that do not all point the same way have a mean shorter than one.
            let length = mean.iter().map(|x| x * x).sum::<f32>().sqrt();
            if length.is_nan() || length >= 1.0 {
                return Err(format!("mean {what} vector has length {length}, expected less than 1"));
            }
        }
        Ok(())
    }
}

/// Collects unit vectors and gives their mean. Sums are f64, so that their order hardly matters.
#[derive(Default)]
pub struct MeanVector {
    sum: Vec<f64>,
    count: usize,
}

impl MeanVector {
    /// Counts a vector, `[dimensions]`. All of them have the same length.
    pub fn add(&mut self, vector: &[f32]) {
        self.sum.resize(vector.len(), 0.0);
        self.sum.iter_mut().zip(vector).for_each(|(sum, x)| *sum += f64::from(*x));
        self.count += 1;
    }

    /// The mean, `[dimensions]`. `what`, in the plural, names the inputs in the error.
    ///
    /// Fewer than [`MIN_INPUTS`] are `InvalidArgument`.
    pub fn mean(&self, what: &str) -> Result<Vec<f32>> {
        if self.count < MIN_INPUTS {
            return Err(invalid(format!("calibration has {} {what}, expected at least {MIN_INPUTS}", self.count)));
        }
        Ok(self.sum.iter().map(|sum| (sum / self.count as f64) as f32).collect())
    }
}

/// Installs `plain` under `name` with a calibration. The weights are hard links: they cost no disk and no memory.
///
/// # Errors
///
/// - `InvalidArgument` where `plain` is calibrated already, or the means do not fit it
/// - `InvalidName`, `AlreadyExists` or `MissingFile`, as an import fails with them
pub fn derive(models: &ModelDir, plain: &Installed, name: &str, means: Means) -> Result<Imported> {
    check_plain(plain)?;
    means.check(plain.spec().dimensions).map_err(invalid)?;
    let mut spec = plain.spec().clone();
    spec.calibration = Calibration::Means(means);
    install::install(models, name, |dir| {
        for file in plain.manifest.files.keys() {
            link(&plain.dir.join(file), &dir.join(file))?;
        }
        let tokenizer = plain.manifest.files.get(TOKENIZER).ok_or_else(|| Error::internal("no tokenizer listed"))?;
        Ok(Manifest {
            fingerprint: fingerprint(&spec, &tokenizer.sha256, &plain.manifest.tensors)?,
            spec: spec.clone(),
            ..plain.manifest.clone()
        })
    })
}

/// Fails with `InvalidArgument` for a model that is calibrated: means of vectors that were shifted already would be
/// wrong.
pub fn check_plain(model: &Installed) -> Result<()> {
    match model.spec().calibration {
        Calibration::None => Ok(()),
        Calibration::Means(_) => Err(invalid(format!("model \"{}\" is calibrated already", model.name))
            .with_hint("Calibrate the plain model that it was derived from.")),
    }
}

/// Gives a file a second name, without a copy where the file system can.
fn link(from: &Path, to: &Path) -> Result<()> {
    // A file system without hard links gets a copy.
    fs::hard_link(from, to).or_else(|_| fs::copy(from, to).map(|_| ())).map_err(|e| cannot_write(to, &e))
}

fn invalid(what: String) -> Error {
    Error::new(ErrorKind::InvalidArgument, what)
}

/// Moves a unit vector by the mean and back to unit length, both `[dimensions]`. `None` where it is the mean itself
/// and has no direction left.
pub(crate) fn centre(vector: &mut [f32], mean: &[f32]) -> Option<()> {
    vector.iter_mut().zip(mean).for_each(|(x, m)| *x -= m);
    normalize(vector)
}

/// The unit vector that [`centre`] made this one from.
///
/// It is `mean + a * centred` for the one positive `a` that gives it length one: the other root of that quadratic
/// equation is negative, as the mean is shorter than one.
pub(crate) fn uncentre(centred: &[f32], mean: &[f32]) -> Vec<f32> {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
    let (along, rest) = (dot(centred, mean), 1.0 - dot(mean, mean));
    let a = ((along * along + rest).sqrt() - along) as f32;
    centred.iter().zip(mean).map(|(c, m)| m + a * c).collect()
}

/// Brings a vector to unit length. `None`, and no change, for one that has no direction: zeros, or with a value that
/// is not finite.
pub(crate) fn normalize(vector: &mut [f32]) -> Option<()> {
    let norm = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
    if !norm.is_finite() || norm == 0.0 {
        return None;
    }
    vector.iter_mut().for_each(|x| *x /= norm);
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uncentre_undoes_centre() {
        for (plain, mean) in [([0.6f32, 0.8, 0.0], [0.5f32, 0.1, -0.3]), ([-1.0, 0.0, 0.0], [0.9, 0.0, 0.0])] {
            let mut moved = plain;
            centre(&mut moved, &mean).unwrap();
            assert!((moved.iter().map(|x| x * x).sum::<f32>() - 1.0).abs() < 1e-6);
            for (back, x) in uncentre(&moved, &mean).iter().zip(plain) {
                assert!((back - x).abs() < 1e-6, "{back} instead of {x}");
            }
        }
    }

    #[test]
    fn the_mean_itself_has_no_direction() {
        assert!(centre(&mut [0.6, 0.8], &[0.6, 0.8]).is_none());
    }

    #[test]
    fn few_inputs_are_refused() {
        let mut mean = MeanVector::default();
        (1..MIN_INPUTS).for_each(|_| mean.add(&[1.0, 0.0]));
        assert_eq!(mean.mean("texts").unwrap_err().message, "calibration has 15 texts, expected at least 16");
        mean.add(&[0.0, 1.0]);
        assert_eq!(mean.mean("texts").unwrap(), [0.9375, 0.0625]);
    }

    #[test]
    fn means_are_checked() {
        let means = |text: &[f32], image: &[f32]| Means { text: text.to_vec(), image: image.to_vec() };
        assert!(means(&[0.5, 0.5], &[0.0, 0.0]).check(2).is_ok());
        assert!(means(&[0.5], &[0.0, 0.0]).check(2).is_err());
        assert!(means(&[0.5, 0.5], &[1.0, 0.0]).check(2).is_err());
        assert!(means(&[0.5, 0.5], &[f32::NAN, 0.0]).check(2).is_err());
    }
}
