//! The weights of an installed model, read tensor by tensor as a tower asks for them.

use std::collections::BTreeMap;

use candle_core::{Device, Tensor};
use safetensors::Dtype;

use crate::error::{Error, Result};
use crate::installed::{Installed, WEIGHTS_F32};
use crate::layout;
use crate::tensor_file::TensorFile;

pub struct Weights {
    file: TensorFile,
    shapes: BTreeMap<String, Vec<usize>>,
}

impl Weights {
    /// Opens the file and compares its header with what the spec expects: every tensor, no other, each of its shape.
    pub fn open(model: &Installed) -> Result<Self> {
        let file = TensorFile::open(&model.dir.join(WEIGHTS_F32))?;
        let shapes: BTreeMap<_, _> = layout::tensors(model.spec()).into_iter().collect();
        let mut seen = 0;
        for (name, info) in file.tensors() {
            if shapes.get(&name) != Some(&info.shape) || info.dtype != Dtype::F32 {
                return Err(Error::corrupted(format!(
                    "model \"{}\": tensor \"{name}\" of type {:?} and shape {:?} is not what the model's spec expects",
                    model.name, info.dtype, info.shape
                )));
            }
            seen += 1;
        }
        if seen != shapes.len() {
            return Err(Error::corrupted(format!(
                "model \"{}\" has {seen} tensors, expected {}",
                model.name,
                shapes.len()
            )));
        }
        Ok(Self { file, shapes })
    }

    pub fn tensor(&self, name: &str) -> Result<Tensor> {
        Ok(Tensor::from_vec(self.values(name)?, self.shape(name)?, &Device::Cpu)?)
    }

    pub fn values(&self, name: &str) -> Result<Vec<f32>> {
        self.shape(name)?;
        self.file.read_f32(name)
    }

    pub fn shape(&self, name: &str) -> Result<&[usize]> {
        let shape = self.shapes.get(name).map(Vec::as_slice);
        shape.ok_or_else(|| Error::internal(format!("no tensor \"{name}\" in the layout")))
    }
}
