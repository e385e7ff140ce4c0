//! `clip_combine`: the direction of a weighted sum of vectors.
#![allow(unsafe_code)]

use std::rc::Rc;

use pgrx::pg_sys;

use super::arguments::Arguments;
use super::once::once_functions;
use crate::error::{SqlState, raise};
use crate::pg::datum::{Vector, vector_slice};
use crate::pg::interrupts;

/// A sum so much shorter than its terms is what rounding has left of nothing.
const NOTHING: f64 = 1e-6;

once_functions! {
    clip_combine_wrapper(Varlena, OptionalVarlena), Settings, combine;
}

fn combine(given: Arguments) -> Vector {
    let vectors = elements(&given, 0, "vectors");
    if vectors.is_empty() {
        raise(SqlState::InvalidParameter, "there are no vectors to combine", None);
    }
    let weights = (!given.is_null(1)).then(|| elements(&given, 1, "weights"));
    if let Some(weights) = weights
        && weights.len() != vectors.len()
    {
        let message = format!("{} weights for {} vectors", weights.len(), vectors.len());
        raise(SqlState::ArrayElement, message, Some("Give a weight for each vector, or none at all."));
    }
    let (mut sum, mut terms) = (Vec::<f64>::new(), 0.0);
    for (i, vector) in vectors.iter().enumerate() {
        interrupts::stop();
        let weight = weights.map_or(1.0, |weights| f64::from(f32::from_bits(weights[i].value() as u32)));
        if !weight.is_finite() {
            raise(SqlState::InvalidParameter, format!("weight {} is {weight}, not a finite number", i + 1), None);
        }
        // SAFETY: an element of a `vector[]`.
        let vector = unsafe { vector_slice(*vector) };
        if i == 0 {
            sum = vec![0.0; vector.len()];
        } else if vector.len() != sum.len() {
            let message = format!("vector {} has {} dimensions, expected {}", i + 1, vector.len(), sum.len());
            raise(SqlState::DataException, message, Some("Vectors of two models cannot be combined."));
        }
        sum.iter_mut().zip(vector).for_each(|(sum, x)| *sum += weight * f64::from(*x));
        terms += weight.abs() * length(vector.iter().map(|x| f64::from(*x)));
    }
    let norm = length(sum.iter().copied());
    if norm <= NOTHING * terms {
        raise(
            SqlState::DataException,
            "the vectors cancel each other out",
            Some("A sum of zero has no direction. Choose other weights."),
        );
    }
    let unit: Vec<f32> = sum.iter().map(|x| (x / norm) as f32).collect();
    Vector(Rc::new(unit.into()))
}

fn length(x: impl Iterator<Item = f64>) -> f64 {
    x.map(|x| x * x).sum::<f64>().sqrt()
}

/// Those of an array of one dimension, none of them NULL.
fn elements<'a>(given: &Arguments<'a>, i: usize, what: &str) -> &'a [pg_sys::Datum] {
    let (mut length, mut by_value, mut align) = (0, false, 0);
    let (mut values, mut nulls, mut count) = (std::ptr::null_mut(), std::ptr::null_mut(), 0);
    // SAFETY: an array as the function is declared to take; what is made of it lies in the current memory context, which outlives the
    // call.
    unsafe {
        let array = pg_sys::pg_detoast_datum(given.datum(i).cast_mut_ptr()).cast::<pg_sys::ArrayType>();
        if (*array).ndim > 1 {
            let message = format!("{what} have {} dimensions, expected one list", (*array).ndim);
            raise(SqlState::ArrayElement, message, None);
        }
        let element = (*array).elemtype;
        pg_sys::get_typlenbyvalalign(element, &mut length, &mut by_value, &mut align);
        let length = i32::from(length);
        pg_sys::deconstruct_array(array, element, length, by_value, align, &mut values, &mut nulls, &mut count);
        let count = usize::try_from(count).unwrap_or(0);
        if count == 0 {
            return &[];
        }
        if std::slice::from_raw_parts(nulls, count).contains(&true) {
            raise(SqlState::NullNotAllowed, format!("{what} must not contain NULL"), None);
        }
        std::slice::from_raw_parts(values, count)
    }
}
