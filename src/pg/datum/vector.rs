//! pgvector's `vector`: a varlena of `int16 dim, int16 unused, float4 x[dim]` (pgvector, `src/vector.h`). Its `halfvec` is the same
//! of 16 bits a value (`src/halfvec.h`).

use std::ffi::CStr;
use std::rc::Rc;

use clip_core::Embedding;
use pgrx::callconv::{BoxRet, FcInfo};
use pgrx::datum::Datum;
use pgrx::{Array, IntoDatum, pg_sys};

use super::half::half;
use crate::error::{SqlState, raise};

/// The varlena's length word, then two 16-bit integers.
const HEADER: usize = 8;

/// What an embedding column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VectorType {
    Vector,
    Halfvec,
}

impl VectorType {
    /// Of a type of pgvector's, `None` for any other. Asked of the extension, not of `search_path`, where anybody may have put a
    /// type of that name.
    #[allow(unsafe_code)]
    pub fn of(oid: pg_sys::Oid) -> Option<Self> {
        // SAFETY: plain catalog look-ups with NUL-terminated names; format_type_be gives a palloc'd C string.
        unsafe {
            let extension = pg_sys::get_extension_oid(c"vector".as_ptr(), true);
            if extension == pg_sys::InvalidOid || pg_sys::getExtensionOfObject(pg_sys::TypeRelationId, oid) != extension
            {
                return None;
            }
            // The extension has other types too: sparsevec, arrays. The name may carry its schema.
            let name = CStr::from_ptr(pg_sys::format_type_be(oid)).to_string_lossy();
            [Self::Vector, Self::Halfvec].into_iter().find(|one| name.rsplit('.').next() == Some(one.name()))
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Vector => "vector",
            Self::Halfvec => "halfvec",
        }
    }
}

pub struct Vector(pub Rc<Embedding>);

impl Vector {
    #[allow(unsafe_code)]
    pub fn into_datum(self) -> pg_sys::Datum {
        let x = self.0.as_slice();
        // SAFETY: palloc gives as many bytes, aligned for any type, or raises an error.
        unsafe {
            let start = pg_sys::palloc(HEADER + size_of_val(x)).cast::<u8>();
            write_vector(x, start);
            pg_sys::Datum::from(start)
        }
    }

    /// As a value of a column, its numbers rounded as pgvector's cast rounds them.
    #[allow(unsafe_code)]
    pub fn into_datum_of(self, column: VectorType) -> pg_sys::Datum {
        if column == VectorType::Vector {
            return self.into_datum();
        }
        let x = self.0.as_slice();
        let size = HEADER + size_of::<u16>() * x.len();
        // SAFETY: palloc gives as many bytes, aligned for any type, or raises an error. Every byte is written: the header, and
        // as many halves as there are numbers.
        unsafe {
            let start = pg_sys::palloc(size).cast::<u8>();
            write_header(start, x.len(), size);
            let halves = start.add(HEADER).cast::<u16>();
            for (i, x) in x.iter().enumerate() {
                halves.add(i).write(half(*x));
            }
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

impl VectorArray {
    /// A value of the type that a function is declared to return.
    #[allow(unsafe_code)]
    pub fn into_datum(self, function: pg_sys::Oid) -> pg_sys::Datum {
        // SAFETY: look-ups in PostgreSQL's caches.
        let element = unsafe { pg_sys::get_element_type(pg_sys::get_func_rettype(function)) };
        pg_sys::Datum::from(self.into_array(element))
    }

    /// Written at once: `construct_md_array` would need all vectors a second time, as values of their own.
    ///
    /// Layout (`utils/array.h`): header, lengths, lower bounds, a bit for each element that is there, and from a multiple of
    /// eight on the elements, of which a vector begins at a multiple of four and ends there, too.
    #[allow(unsafe_code)]
    fn into_array(self, element: pg_sys::Oid) -> *mut pg_sys::ArrayType {
        if self.elements.is_empty() {
            // SAFETY: a plain call.
            return unsafe { pg_sys::construct_empty_array(element) };
        }
        let (count, axes) = (self.elements.len(), self.dimensions.len());
        let nulls = self.elements.iter().any(Option::is_none);
        let bitmap = size_of::<pg_sys::ArrayType>() + 2 * axes * size_of::<i32>();
        let start = (bitmap + if nulls { count.div_ceil(8) } else { 0 }).next_multiple_of(8);
        let vectors: usize = self.elements.iter().flatten().map(|v| HEADER + size_of_val(v.as_slice())).sum();
        let size = start + vectors;
        let Some(length) = i32::try_from(size).ok().filter(|length| *length < 1 << 30) else {
            raise(SqlState::ProgramLimitExceeded, format!("an array of {size} bytes exceeds the limit of 1 GB"), None);
        };
        // SAFETY: palloc0 gives `size` bytes, aligned for any type, or raises an error. The header, lengths and bounds lie before
        // `bitmap`, the bits before `start`, and the vectors end exactly at `size`.
        unsafe {
            let array = pg_sys::palloc0(size).cast::<u8>();
            pgrx::set_varsize_4b(array.cast(), length);
            let header = array.cast::<pg_sys::ArrayType>();
            (*header).ndim = axes as i32;
            (*header).dataoffset = if nulls { start as i32 } else { 0 };
            (*header).elemtype = element;
            let sides = header.add(1).cast::<i32>();
            std::ptr::copy_nonoverlapping(self.dimensions.as_ptr(), sides, axes);
            std::ptr::copy_nonoverlapping(self.lower_bounds.as_ptr(), sides.add(axes), axes);
            let mut at = array.add(start);
            for (i, vector) in self.elements.into_iter().enumerate() {
                let Some(vector) = vector else { continue };
                if nulls {
                    *array.add(bitmap + i / 8) |= 1 << (i % 8);
                }
                at = at.add(write_vector(&vector, at));
            }
            header
        }
    }
}

/// The numbers of a `vector`, in the current memory context where it lies there or is not toasted.
///
/// # Safety
///
/// A value of that type, which stays as long as `'a`.
#[allow(unsafe_code)]
pub unsafe fn vector_slice<'a>(datum: pg_sys::Datum) -> &'a [f32] {
    // SAFETY: the caller's promise; a `vector` has as many numbers as it says, within the length of its varlena.
    unsafe {
        let start = pg_sys::pg_detoast_datum(datum.cast_mut_ptr()).cast::<u8>();
        let dim = usize::try_from(start.add(4).cast::<i16>().read()).unwrap_or(0);
        let bytes = pgrx::varlena::varsize_any(start.cast());
        if bytes != HEADER + dim * size_of::<f32>() {
            raise(SqlState::DataException, format!("a vector of {dim} dimensions has {bytes} bytes"), None);
        }
        std::slice::from_raw_parts(start.add(HEADER).cast::<f32>(), dim)
    }
}

/// Writes a `vector` and gives its length; `at` is aligned to four bytes and has room for it.
#[allow(unsafe_code)]
unsafe fn write_vector(x: &[f32], at: *mut u8) -> usize {
    let size = HEADER + size_of_val(x);
    // SAFETY: the caller's promise. Every byte is written: the header and `x`, whose bytes end exactly at `size`.
    unsafe {
        write_header(at, x.len(), size);
        std::ptr::copy_nonoverlapping(x.as_ptr(), at.add(HEADER).cast::<f32>(), x.len());
    }
    size
}

/// Length word, dimensions, the unused field; `at` is aligned to four bytes and has room for them.
#[allow(unsafe_code)]
unsafe fn write_header(at: *mut u8, dimensions: usize, size: usize) {
    // An installed model has at most 16,000 dimensions, which import and loading check.
    let (Ok(dim), Ok(length)) = (i16::try_from(dimensions), i32::try_from(size)) else {
        raise(SqlState::DataException, format!("a vector cannot have {dimensions} dimensions"), None);
    };
    // SAFETY: the caller's promise.
    unsafe {
        pgrx::set_varsize_4b(at.cast(), length);
        at.add(4).cast::<i16>().write(dim);
        at.add(6).cast::<i16>().write(0);
    }
}
