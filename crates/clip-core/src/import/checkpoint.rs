//! A checkpoint's tensors, compared with those of `layout.rs` and read in their order.

use std::collections::{BTreeMap, BTreeSet};

use super::convolutions;
use super::fold::{Fold, Place};
use super::naming::Naming;
use super::origin::{Origin, Part, waves};
use super::source::Source;
use crate::error::{Error, Result};
use crate::layout;
use crate::spec::ModelSpec;

/// A checkpoint whose every tensor has its place in the layout, and which has all of them.
pub struct Checkpoint {
    source: Source,
    places: BTreeMap<String, Place>,
}

impl Checkpoint {
    /// Compares the tensors of `source` with those of `spec`, by name and shape.
    ///
    /// `InvalidModel` with the name of a tensor that is missing, left over or of another shape.
    pub fn new(source: Source, spec: &ModelSpec, naming: &Naming) -> Result<Self> {
        let mut given = source.shapes();
        let place = |(name, shape): (String, Vec<usize>)| {
            let place = convolutions::place(&name, &shape, spec, &|tensor| given.contains_key(tensor));
            let place = place.unwrap_or_else(|| Place::Origin(naming.origin(&name, shape)));
            (name, place)
        };
        let places: BTreeMap<String, Place> = layout::tensors(spec).into_iter().map(place).collect();
        let mut done = BTreeSet::new();
        for (tensor, shape) in places.values().flat_map(Place::sources) {
            match given.remove(&tensor) {
                None if done.contains(&tensor) => {}
                None => return Err(Error::invalid_model(format!("tensor \"{tensor}\" is missing"))),
                Some(other) if other != shape => {
                    return Err(Error::invalid_model(format!(
                        "tensor \"{tensor}\" has shape {other:?}, expected {shape:?}"
                    )));
                }
                Some(_) => drop(done.insert(tensor)),
            }
        }
        let scalars = [layout::LOGIT_SCALE, layout::LOGIT_BIAS];
        given.retain(|name, _| !scalars.contains(&name.as_str()) && !naming.ignores(name));
        match given.into_keys().next() {
            Some(name) => Err(Error::invalid_model(format!(
                "tensor \"{name}\" is left over: no part of this architecture uses it"
            ))),
            None => Ok(Self { source, places }),
        }
    }

    /// A tensor by its name in the layout, row by row.
    ///
    /// # Errors
    ///
    /// `InvalidModel` where a value is not finite, `Corrupted` where the file ends before the tensor.
    pub fn read_f32(&self, name: &str) -> Result<Vec<f32>> {
        match self.places.get(name) {
            Some(Place::Origin(origin)) => self.read_origin(origin),
            Some(Place::Fold(fold)) => self.read_folded(name, fold),
            None => Err(Error::internal(format!("no tensor \"{name}\" in the layout"))),
        }
    }

    /// A tensor of one of the file, or of a part of it.
    fn read_origin(&self, origin: &Origin) -> Result<Vec<f32>> {
        let Origin { tensor, shape, part, adapter, added } = origin;
        if let (Part::Waves { first }, &[rows, width]) = (part, shape.as_slice()) {
            return Ok(waves(*first, rows, width));
        }
        let mut values = self.read_checked(tensor, shape)?;
        if let Some(adapter) = adapter {
            let [left, right] = [&adapter.left, &adapter.right].map(|(name, shape)| self.read_checked(name, shape));
            adapter.add_to(&mut values, &left?, &right?);
        }
        if let (Some(added), Some(width)) = (added, shape.last()) {
            let row = self.read_origin(added)?;
            for values in values.chunks_mut((*width).max(1)) {
                values.iter_mut().zip(&row).for_each(|(value, more)| *value += more);
            }
        }
        Ok(match (part, shape.as_slice()) {
            (Part::Stacked { index, of }, _) => {
                let each = values.len() / of;
                values.truncate((index + 1) * each);
                values.split_off(index * each)
            }
            (Part::Transposed, &[rows, columns]) => {
                (0..columns).flat_map(|c| (0..rows).map(move |r| r * columns + c)).map(|at| values[at]).collect()
            }
            (Part::ChannelsLast, &[_, columns]) if columns >= 3 => {
                let pixels = columns / 3;
                let row = |row: &[f32]| {
                    (0..3).flat_map(|c| (0..pixels).map(move |i| 3 * i + c)).map(|at| row[at]).collect::<Vec<_>>()
                };
                values.chunks_exact(columns).flat_map(row).collect()
            }
            (Part::Times(factor), _) => values.into_iter().map(|value| value * factor).collect(),
            (Part::Rows { first, count }, &[_, width]) => {
                values.truncate((first + count) * width);
                values.split_off(first * width)
            }
            _ => values,
        })
    }

    /// A tensor that is made of several. `InvalidModel` where a value of it is not finite, as of a negative variance.
    fn read_folded(&self, name: &str, fold: &Fold) -> Result<Vec<f32>> {
        let values = fold.read(&|tensor, shape| self.read_checked(tensor, shape))?;
        match values.iter().find(|v| !v.is_finite()) {
            Some(bad) => Err(Error::invalid_model(format!("tensor \"{name}\" with its norms contains {bad}"))),
            None => Ok(values),
        }
    }

    /// A tensor of the file. `InvalidModel` where a value is not finite, `Corrupted` where the file ends before it.
    fn read_checked(&self, tensor: &str, shape: &[usize]) -> Result<Vec<f32>> {
        let values = self.source.read_f32(tensor)?;
        if values.len() != shape.iter().product::<usize>() {
            let given = values.len();
            return Err(Error::corrupted(format!("tensor \"{tensor}\": {given} values, expected shape {shape:?}")));
        }
        match values.iter().find(|v| !v.is_finite()) {
            Some(bad) => Err(Error::invalid_model(format!("tensor \"{tensor}\" contains {bad}"))),
            None => Ok(values),
        }
    }

    /// A number that lies beside the towers. `InvalidModel` where it is not one number below `limit`.
    pub fn scalar(&self, name: &str, limit: f32) -> Result<f32> {
        match self.source.read_f32(name)?.as_slice() {
            [value] if value.is_finite() && value.abs() < limit => Ok(*value),
            other => Err(Error::invalid_model(format!(
                "tensor \"{name}\" is {:?}, expected one number below {limit}",
                &other[..other.len().min(4)]
            ))),
        }
    }
}
