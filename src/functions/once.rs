//! Results that a statement has already: an expression with the same arguments again is answered by what it gave before.
//!
//! PostgreSQL evaluates a STABLE function for each row of a sequential scan. What it gave last is kept in `fn_extra`, which lives as
//! long as the expression's state: a statement, or in PL/pgSQL a transaction. So nothing is known by the place alone; arguments and
//! circumstances are compared at each call, in some nanoseconds.
#![allow(unsafe_code)]

use std::ptr;

use pgrx::{pg_sys, varlena};

use super::arguments::{Arguments, Kind};
use super::buffer::Buffer;
use super::circumstances::Circumstances;
pub use super::circumstances::Follows;
use crate::pg::datum::{Vector, VectorArray};

/// Arguments of a function, at most.
const MOST: usize = 3;

/// Bytes of an argument of which a copy is kept, to compare the next one with. A larger one is looked up by its hash, as without this.
const LONGEST: usize = 16 << 20;

/// A value of PostgreSQL's that a function makes.
pub trait Returned {
    /// In the current memory context; `function` is the one called.
    fn datum(self, function: pg_sys::Oid) -> pg_sys::Datum;
    /// Is the datum the value itself, and not where it is?
    const BY_VALUE: bool = false;
}

impl Returned for i32 {
    fn datum(self, _function: pg_sys::Oid) -> pg_sys::Datum {
        pg_sys::Datum::from(self)
    }
    const BY_VALUE: bool = true;
}

impl Returned for Vector {
    fn datum(self, _function: pg_sys::Oid) -> pg_sys::Datum {
        self.into_datum()
    }
}

impl Returned for VectorArray {
    fn datum(self, function: pg_sys::Oid) -> pg_sys::Datum {
        self.into_datum(function)
    }
}

/// An argument that a result is of.
#[derive(Clone, Copy)]
enum Given {
    Null,
    /// By value; or a constant of the plan, which lies where it lies as long as the expression.
    Datum(pg_sys::Datum),
    /// Bytes as they came. A toast pointer stands for its value: while a statement or a function runs, its snapshot keeps the value.
    Bytes,
}

/// What an expression gave last. Plain memory of the expression's context, which goes without being asked.
struct Kept {
    valid: bool,
    circumstances: Circumstances,
    given: [Given; MOST],
    copies: [Buffer; MOST],
    value: pg_sys::Datum,
    /// Where `value` is.
    buffer: Buffer,
    /// Whoever evaluates an expression several times before using what it gave (an array's elements, each converted) has a pointer to
    /// the first value. That one stays for good; all others are given as copies.
    replaced: bool,
}

/// The function's result where it is known: this is what a call costs a row. It can neither fail nor panic.
///
/// # Safety
///
/// `fcinfo` is that of a running call, whose function is declared with arguments of these kinds.
#[inline(always)]
pub unsafe fn known(fcinfo: pg_sys::FunctionCallInfo, kinds: &[Kind], follows: Follows) -> Option<pg_sys::Datum> {
    // SAFETY: the caller's promise. `fn_extra` is used here alone, for an expression of one function.
    unsafe {
        let arguments = Arguments::new(fcinfo, kinds);
        let kept = (*fcinfo).flinfo.as_ref()?.fn_extra.cast::<Kept>().as_ref()?;
        (!kept.replaced && kept.is_result(&arguments, Circumstances::now(follows)?)).then_some(kept.value)
    }
}

/// The function's result: as it was kept, or as `compute` gives it.
///
/// # Safety
///
/// As above.
pub unsafe fn once<T: Returned>(
    fcinfo: pg_sys::FunctionCallInfo,
    kinds: &[Kind],
    follows: Follows,
    compute: impl FnOnce(Arguments) -> T,
) -> pg_sys::Datum {
    // SAFETY: as above.
    unsafe {
        let arguments = Arguments::new(fcinfo, kinds);
        if arguments.has_null() {
            // Declared STRICT; whoever changed that gets what it means.
            (*fcinfo).isnull = true;
            return pg_sys::Datum::from(0);
        }
        let info = (*fcinfo).flinfo;
        if info.is_null() {
            return compute(arguments).datum(pg_sys::InvalidOid);
        }
        let Some(circumstances) = Circumstances::now(follows) else {
            return compute(arguments).datum((*info).fn_oid);
        };
        if let Some(kept) = (*info).fn_extra.cast::<Kept>().as_ref()
            && kept.is_result(&arguments, circumstances)
        {
            return kept.lend(T::BY_VALUE);
        }
        // What the call needs of the settings and of the bookkeeping it reads after `circumstances` were taken.
        let result = compute(arguments);
        if (*info).fn_extra.is_null() {
            (*info).fn_extra = Kept::new((*info).fn_mcxt, circumstances).cast();
        }
        (*(*info).fn_extra.cast::<Kept>()).replace(&arguments, &*info, circumstances, result)
    }
}

impl Kept {
    /// # Safety
    ///
    /// A memory context.
    unsafe fn new(context: pg_sys::MemoryContext, circumstances: Circumstances) -> *mut Self {
        // SAFETY: memory for a `Kept`, aligned for any type, which is written before it is used.
        unsafe {
            let kept = pg_sys::MemoryContextAlloc(context, size_of::<Self>()).cast::<Self>();
            kept.write(Self {
                valid: false,
                circumstances,
                given: [Given::Null; MOST],
                copies: [Buffer::NONE; MOST],
                value: pg_sys::Datum::from(0),
                buffer: Buffer::NONE,
                replaced: false,
            });
            kept
        }
    }

    #[inline(always)]
    fn is_result(&self, arguments: &Arguments, circumstances: Circumstances) -> bool {
        self.valid && self.circumstances == circumstances && self.is_of(arguments)
    }

    #[inline(always)]
    fn is_of(&self, arguments: &Arguments) -> bool {
        self.given.iter().zip(&self.copies).zip(arguments.kinds().iter().enumerate()).all(
            |((given, copy), (i, kind))| {
                let datum = arguments.datum(i);
                match given {
                    _ if arguments.is_null(i) => matches!(given, Given::Null),
                    Given::Null => false,
                    Given::Datum(given) => *given == datum,
                    // SAFETY: an argument of that kind.
                    Given::Bytes => unsafe { kind.length(datum).is_some_and(|n| copy.equals(datum.cast_mut_ptr(), n)) },
                }
            },
        )
    }

    /// # Safety
    ///
    /// A value is kept, by value or not.
    unsafe fn lend(&self, by_value: bool) -> pg_sys::Datum {
        if by_value || !self.replaced {
            return self.value;
        }
        // SAFETY: the buffer holds so many bytes, and palloc gives as many.
        unsafe {
            let copy = pg_sys::palloc(self.buffer.length);
            ptr::copy_nonoverlapping(self.buffer.bytes, copy.cast(), self.buffer.length);
            pg_sys::Datum::from(copy)
        }
    }

    /// Keeps a result in place of the one before, and gives it. An error on the way leaves nothing that is taken for a result.
    ///
    /// # Safety
    ///
    /// `info` is what `self` belongs to, and `arguments` are those of the running call.
    unsafe fn replace<T: Returned>(
        &mut self,
        arguments: &Arguments,
        info: &pg_sys::FmgrInfo,
        circumstances: Circumstances,
        result: T,
    ) -> pg_sys::Datum {
        let first = self.value.is_null() && !self.replaced;
        self.valid = false;
        // SAFETY: the caller's promise; a varlena has as many bytes as it says.
        unsafe {
            for (i, kind) in arguments.kinds().iter().enumerate() {
                let datum = arguments.datum(i);
                if arguments.is_null(i) {
                    self.given[i] = Given::Null;
                    continue;
                }
                if *kind == Kind::Value || arguments.is_constant(i, info) {
                    self.given[i] = Given::Datum(datum);
                    continue;
                }
                self.given[i] = Given::Bytes;
                let length = kind.length(datum).filter(|length| *length <= LONGEST);
                if !length.is_some_and(|n| self.copies[i].fill(datum.cast_mut_ptr(), n, info.fn_mcxt)) {
                    return result.datum(info.fn_oid);
                }
            }
            if T::BY_VALUE {
                self.value = result.datum(info.fn_oid);
            } else if first {
                let outside = pg_sys::MemoryContextSwitchTo(info.fn_mcxt);
                self.value = result.datum(info.fn_oid);
                pg_sys::MemoryContextSwitchTo(outside);
            } else {
                self.replaced = true;
                let value = result.datum(info.fn_oid);
                let length = varlena::varsize_any(value.cast_mut_ptr());
                if length > LONGEST || !self.buffer.fill(value.cast_mut_ptr(), length, info.fn_mcxt) {
                    return value;
                }
                self.value = pg_sys::Datum::from(self.buffer.bytes);
                (self.circumstances, self.valid) = (circumstances, true);
                return value;
            }
            (self.circumstances, self.valid) = (circumstances, true);
            self.value
        }
    }
}

/// Functions for SQL by [`once`]: `symbol(kinds of arguments), what it follows, what it does;`
macro_rules! once_functions {
    ($($(#[$about:meta])* $name:ident($($kind:ident),+), $follows:ident, $compute:expr;)+) => {$(
        const _: () = {
            #[allow(unsafe_code)]
            #[unsafe(export_name = concat!("pg_finfo_", stringify!($name)))]
            pub extern "C" fn about() -> *const pgrx::pg_sys::Pg_finfo_record {
                const VERSION_1: pgrx::pg_sys::Pg_finfo_record = pgrx::pg_sys::Pg_finfo_record { api_version: 1 };
                &VERSION_1
            }

            $(#[$about])*
            #[allow(unsafe_code)]
            #[unsafe(no_mangle)]
            pub unsafe extern "C-unwind" fn $name(fcinfo: pgrx::pg_sys::FunctionCallInfo) -> pgrx::pg_sys::Datum {
                use $crate::functions::{arguments::Kind, once};
                const KINDS: &[Kind] = &[$(Kind::$kind),+];
                // SAFETY: PostgreSQL calls it with its own fcinfo, as sql/ declares it. What may fail is guarded.
                unsafe {
                    match once::known(fcinfo, KINDS, once::Follows::$follows) {
                        Some(datum) => datum,
                        None => pgrx::pg_sys::panic::pgrx_extern_c_guard(|| {
                            once::once(fcinfo, KINDS, once::Follows::$follows, $compute)
                        }),
                    }
                }
            }
        };
    )+};
}
pub(crate) use once_functions;
