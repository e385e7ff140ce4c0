//! Arguments of a function as PostgreSQL has them, read when they are needed: most calls only compare them.
#![allow(unsafe_code)]

use std::borrow::Cow;
use std::ffi::CStr;

use pgrx::{Array, FromDatum, pg_sys, varlena};

use crate::pg::datum::to_utf8;

/// How a value lies in memory, by its type.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `regclass`, `integer`: in the datum itself.
    Value,
    /// `text`, `bytea`, an array.
    Varlena,
    Name,
    /// An array, or NULL.
    OptionalVarlena,
}

impl Kind {
    /// Bytes of the value as it lies there. `None` where it refers to other memory, which may change.
    ///
    /// # Safety
    ///
    /// A value of this kind.
    pub unsafe fn length(self, datum: pg_sys::Datum) -> Option<usize> {
        match self {
            Self::Value => None,
            Self::Name => Some(size_of::<pg_sys::NameData>()),
            // SAFETY: the caller's promise.
            Self::Varlena | Self::OptionalVarlena => unsafe {
                let value = datum.cast_mut_ptr::<pg_sys::varlena>();
                let is_plain = !varlena::varatt_is_1b_e(value)
                    || u32::from(varlena::vartag_external(value)) == pg_sys::vartag_external::VARTAG_ONDISK;
                is_plain.then(|| varlena::varsize_any(value))
            },
        }
    }
}

/// Those of a running call.
#[derive(Clone, Copy)]
pub struct Arguments<'a> {
    given: &'a [pg_sys::NullableDatum],
    kinds: &'a [Kind],
}

impl<'a> Arguments<'a> {
    /// # Safety
    ///
    /// `fcinfo` is that of a call that runs as long as `'a`, with arguments of these kinds.
    pub unsafe fn new(fcinfo: pg_sys::FunctionCallInfo, kinds: &'a [Kind]) -> Self {
        // SAFETY: the caller's promise.
        let given = unsafe { (*fcinfo).args.as_slice(kinds.len()) };
        Self { given, kinds }
    }

    pub fn kinds(&self) -> &'a [Kind] {
        self.kinds
    }

    /// Is one NULL that may not be?
    pub fn has_null(&self) -> bool {
        let mut given = self.given.iter().zip(self.kinds);
        given.any(|(argument, kind)| argument.isnull && *kind != Kind::OptionalVarlena)
    }

    pub fn is_null(&self, i: usize) -> bool {
        self.given[i].isnull
    }

    pub fn datum(&self, i: usize) -> pg_sys::Datum {
        self.given[i].value
    }

    pub fn oid(&self, i: usize) -> pg_sys::Oid {
        pg_sys::Oid::from(self.datum(i).value() as u32)
    }

    /// The bytes of a `text` or `bytea`.
    pub fn bytes(&self, i: usize) -> &'a [u8] {
        // SAFETY: of that kind; a value that is not plain is copied into the current memory context, which outlives the call.
        unsafe {
            let value = pg_sys::pg_detoast_datum_packed(self.datum(i).cast_mut_ptr());
            varlena::varlena_to_byte_slice(value)
        }
    }

    /// A `text` that is a name of ours.
    pub fn text(&self, i: usize) -> Cow<'a, str> {
        to_utf8(self.bytes(i))
    }

    pub fn name(&self, i: usize) -> &'a CStr {
        // SAFETY: a `name` is NUL-terminated.
        unsafe { CStr::from_ptr(self.datum(i).cast_mut_ptr()) }
    }

    /// An array of `text` or `bytea`.
    pub fn array(&self, i: usize) -> Array<'a, &'a [u8]> {
        // SAFETY: of that kind; detoasted, it lies in the current memory context.
        unsafe { Array::from_polymorphic_datum(self.datum(i), false, pg_sys::InvalidOid) }
            .unwrap_or_else(|| unreachable!("an argument that is not NULL has a value"))
    }

    /// Is it a constant of the plan, as long as there is an expression `info` for it?
    ///
    /// # Safety
    ///
    /// `info` is that of the running call.
    pub unsafe fn is_constant(&self, i: usize, info: &pg_sys::FmgrInfo) -> bool {
        // SAFETY: nodes of the plan, which are what their tags say; a list of as many elements as its length.
        unsafe {
            let Some(node) = info.fn_expr.as_ref() else { return false };
            if node.type_ != pg_sys::NodeTag::T_FuncExpr {
                return false;
            }
            let Some(list) = (*info.fn_expr.cast::<pg_sys::FuncExpr>()).args.as_ref() else { return false };
            if i >= usize::try_from(list.length).unwrap_or(0) {
                return false;
            }
            let argument = (*list.elements.add(i)).ptr_value.cast::<pg_sys::Node>();
            if (*argument).type_ != pg_sys::NodeTag::T_Const {
                return false;
            }
            let constant = &*argument.cast::<pg_sys::Const>();
            !constant.constisnull && constant.constvalue == self.datum(i)
        }
    }
}
