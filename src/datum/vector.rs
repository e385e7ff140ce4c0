//! pgvector's `vector`: a varlena of `int16 dim, int16 unused, float4 x[dim]` (pgvector, `src/vector.h`).

use std::ffi::CStr;
use std::rc::Rc;

use clip_core::Embedding;
use pgrx::callconv::{BoxRet, FcInfo};
use pgrx::datum::Datum;
use pgrx::{Array, IntoDatum, pg_sys};

use crate::error::{SqlState, raise};

/// The varlena's length word, then two 16-bit integers.
const HEADER: usize = 8;

pub struct Vector(pub Rc<Embedding>);

impl Vector {
    #[allow(unsafe_code)]
    pub fn into_datum(self) -> pg_sys::Datum {
        let x = self.0.as_slice();
        let size = HEADER + size_of_val(x);
        // An installed model has at most 16,000 dimensions, which import and loading check.
        let (Ok(dim), Ok(length)) = (i16::try_from(x.len()), i32::try_from(size)) else {
            raise(SqlState::DataException, format!("a vector cannot have {} dimensions", x.len()), None);
        };
        // SAFETY: palloc gives `size` bytes, aligned for any type, or raises an error. Every byte is written: length
        // word, dimensions, the unused field and `x`, whose bytes end exactly at `size`.
        unsafe {
            let start = pg_sys::palloc(size).cast::<u8>();
            pgrx::set_varsize_4b(start.cast(), length);
            start.add(4).cast::<i16>().write(dim);
            start.add(6).cast::<i16>().write(0);
            std::ptr::copy_nonoverlapping(x.as_ptr(), start.add(HEADER).cast::<f32>(), x.len());
            pg_sys::Datum::from(start)
        }
    }
}

// SAFETY: the datum is a palloc'd varlena of the layout of `vector`, which is what the SQL declaration returns.
#[allow(unsafe_code)]
unsafe impl BoxRet for Vector {
    unsafe fn box_into<'fcx>(self, fcinfo: &mut FcInfo<'fcx>) -> Datum<'fcx> {
        let datum = self.into_datum();
        // SAFETY: see the impl.
        unsafe { fcinfo.return_raw_datum(datum) }
    }
}

/// As a column of a row, whose type the SQL declaration says.
impl IntoDatum for Vector {
    fn into_datum(self) -> Option<pg_sys::Datum> {
        Some(Vector::into_datum(self))
    }

    fn type_oid() -> pg_sys::Oid {
        pg_sys::InvalidOid
    }
}

/// `vector[]` of the shape of another array, with NULLs where that one had them.
pub struct VectorArray {
    elements: Vec<Option<Rc<Embedding>>>,
    dimensions: Vec<i32>,
    lower_bounds: Vec<i32>,
}

impl VectorArray {
    /// One element for each of `shape`'s, in storage order.
    #[allow(unsafe_code)]
    pub fn new(elements: Vec<Option<Rc<Embedding>>>, shape: Array<'_, &[u8]>) -> Self {
        // SAFETY: an array's header is followed by as many lengths as it has dimensions, then by as many lower bounds.
        let (dimensions, lower_bounds) = unsafe {
            let array = shape.into_array_type();
            let n = usize::try_from((*array).ndim).unwrap_or(0);
            let lengths = array.add(1).cast::<i32>();
            (std::slice::from_raw_parts(lengths, n).to_vec(), std::slice::from_raw_parts(lengths.add(n), n).to_vec())
        };
        let expected = if dimensions.is_empty() { 0 } else { dimensions.iter().product() };
        assert_eq!(elements.len() as i32, expected, "elements of an array of shape {dimensions:?}");
        Self { elements, dimensions, lower_bounds }
    }
}

// SAFETY: construct_md_array makes a well-formed array value of the function's declared return type.
#[allow(unsafe_code)]
unsafe impl BoxRet for VectorArray {
    unsafe fn box_into<'fcx>(mut self, fcinfo: &mut FcInfo<'fcx>) -> Datum<'fcx> {
        let mut nulls: Vec<bool> = self.elements.iter().map(Option::is_none).collect();
        let mut datums: Vec<pg_sys::Datum> =
            self.elements.into_iter().map(|v| v.map_or(pg_sys::Datum::from(0), |v| Vector(v).into_datum())).collect();
        // SAFETY: flinfo is set for every call from SQL. There are as many datums and nulls as the product of the
        // dimensions, and as many lower bounds as dimensions; with none of them the array is empty.
        unsafe {
            let function = (*(*fcinfo.as_mut_ptr()).flinfo).fn_oid;
            let element = pg_sys::get_element_type(pg_sys::get_func_rettype(function));
            let (mut length, mut by_value, mut align) = (0, false, 0);
            pg_sys::get_typlenbyvalalign(element, &mut length, &mut by_value, &mut align);
            let array = pg_sys::construct_md_array(
                datums.as_mut_ptr(),
                nulls.as_mut_ptr(),
                self.dimensions.len() as i32,
                self.dimensions.as_mut_ptr(),
                self.lower_bounds.as_mut_ptr(),
                element,
                length as i32,
                by_value,
                align,
            );
            fcinfo.return_raw_datum(pg_sys::Datum::from(array))
        }
    }
}

/// Is this type pgvector's `vector`? Asked of the extension, not of `search_path`, where anybody may have put a type of
/// that name.
#[allow(unsafe_code)]
pub fn is_vector_type(oid: pg_sys::Oid) -> bool {
    // SAFETY: plain catalog look-ups with NUL-terminated names; format_type_be gives a palloc'd C string.
    unsafe {
        let extension = pg_sys::get_extension_oid(c"vector".as_ptr(), true);
        if extension == pg_sys::InvalidOid || pg_sys::getExtensionOfObject(pg_sys::TypeRelationId, oid) != extension {
            return false;
        }
        // The extension has other types too: halfvec, sparsevec, arrays. The name may carry its schema.
        let name = CStr::from_ptr(pg_sys::format_type_be(oid)).to_string_lossy();
        name.rsplit('.').next() == Some("vector")
    }
}
