//! How a statement finds a row again: by its primary key, under which it waits, or as the very version that was read.
#![allow(unsafe_code)]

use pgrx::datum::DatumWithOid;
use pgrx::pg_sys;

use crate::pg::datum::{VarlenaCopy, argument, array_of};

pub enum Locator {
    /// A whole `text[]`: the key's columns, each as its type writes it.
    Key(VarlenaCopy),
    Version(Version),
}

/// A row's version: as soon as somebody changes the row, it is another.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Version {
    pub place: Place,
    pub xmin: pg_sys::TransactionId,
}

impl Version {
    pub fn none() -> DatumWithOid<'static> {
        DatumWithOid::null_oid(pg_sys::XIDOID)
    }

    pub fn xmin(self) -> DatumWithOid<'static> {
        // SAFETY: a value of type xid, which is one word.
        unsafe { argument(pg_sys::Datum::from(self.xmin.into_inner()), pg_sys::XIDOID) }
    }
}

/// A `ctid`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub block: u32,
    pub offset: u16,
}

impl Place {
    pub const BEFORE_ALL: Self = Self { block: 0, offset: 0 };

    /// # Safety
    ///
    /// `datum` is a `tid`.
    pub unsafe fn of(datum: pg_sys::Datum) -> Self {
        // SAFETY: the caller's promise.
        let tid = unsafe { &*datum.cast_mut_ptr::<pg_sys::ItemPointerData>() };
        let block = u32::from(tid.ip_blkid.bi_hi) << 16 | u32::from(tid.ip_blkid.bi_lo);
        Self { block, offset: tid.ip_posid }
    }

    /// In memory that PostgreSQL frees.
    fn datum(self) -> pg_sys::Datum {
        // SAFETY: memory for one value, which is written whole.
        unsafe {
            let tid = pg_sys::palloc(size_of::<pg_sys::ItemPointerData>()).cast::<pg_sys::ItemPointerData>();
            let block = pg_sys::BlockIdData { bi_hi: (self.block >> 16) as u16, bi_lo: self.block as u16 };
            tid.write(pg_sys::ItemPointerData { ip_blkid: block, ip_posid: self.offset });
            pg_sys::Datum::from(tid)
        }
    }

    pub fn none() -> DatumWithOid<'static> {
        DatumWithOid::null_oid(pg_sys::TIDOID)
    }

    pub fn argument(self) -> DatumWithOid<'static> {
        // SAFETY: a palloc'd `tid`.
        unsafe { argument(self.datum(), pg_sys::TIDOID) }
    }
}

/// What the pipeline works on: a job of the queue, or a row that a backfill came to.
pub trait Located {
    fn locator(&self) -> &Locator;

    fn version(&self) -> Option<Version> {
        match self.locator() {
            Locator::Version(version) => Some(*version),
            Locator::Key(_) => None,
        }
    }
}

/// Which of the two a statement goes by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    Key,
    Version,
}

/// Where the rows are, as the first argument of a statement: the elements of their keys, one key's after the other's, as
/// `text[]`, or their places as `tid[]`.
pub fn locators<'a, J: Located + 'a>(by: By, jobs: impl IntoIterator<Item = &'a J>) -> DatumWithOid<'static> {
    let (mut elements, mut nulls) = (Vec::new(), Vec::new());
    for job in jobs {
        match job.locator() {
            Locator::Key(key) => split(key, &mut elements, &mut nulls),
            Locator::Version(version) => {
                elements.push(version.place.datum());
                nulls.push(false);
            }
        }
    }
    // SAFETY: the array copies its elements, which are of the type that all locators of one statement are of.
    unsafe {
        match by {
            By::Key => argument(array_of(&mut elements, &mut nulls, pg_sys::TEXTOID), pg_sys::TEXTARRAYOID),
            By::Version => argument(array_of(&mut elements, &mut nulls, pg_sys::TIDOID), pg_sys::TIDARRAYOID),
        }
    }
}

/// The versions' `xmin` as `xid[]`.
pub fn xmins<'a, J: Located + 'a>(jobs: impl IntoIterator<Item = &'a J>) -> DatumWithOid<'static> {
    let xmin = |job: &J| job.version().map_or(0, |version| version.xmin.into_inner());
    let mut values: Vec<_> = jobs.into_iter().map(|job| pg_sys::Datum::from(xmin(job))).collect();
    let mut nulls = vec![false; values.len()];
    // SAFETY: values of type xid.
    unsafe { argument(array_of(&mut values, &mut nulls, pg_sys::XIDOID), pg_sys::XIDARRAYOID) }
}

fn split(key: &VarlenaCopy, elements: &mut Vec<pg_sys::Datum>, nulls: &mut Vec<bool>) {
    // SAFETY: a key is a whole `text[]`, whose elements whoever makes an array of them copies; text is aligned to integers.
    unsafe {
        let align = b'i' as std::ffi::c_char;
        let (mut datums, mut are_null, mut count) = (std::ptr::null_mut(), std::ptr::null_mut(), 0);
        let array = key.as_ptr().cast_mut().cast();
        pg_sys::deconstruct_array(array, pg_sys::TEXTOID, -1, false, align, &mut datums, &mut are_null, &mut count);
        for i in 0..usize::try_from(count).unwrap_or(0) {
            elements.push(*datums.add(i));
            nulls.push(*are_null.add(i));
        }
    }
}
