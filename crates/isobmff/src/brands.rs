//! What a file says that it is.

use crate::FourCc;
use crate::boxes::Boxes;

/// The brands of a file: what readers it is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Brands<'a> {
    /// What the file is first of all: `heic`, `avif`, `mif1`.
    pub major: FourCc,
    compatible: &'a [FourCc],
}

impl<'a> Brands<'a> {
    /// `None` where the bytes do not begin with an `ftyp` box. Of one that is cut, the brands that are there.
    pub fn read(bytes: &'a [u8]) -> Option<Self> {
        let first = Boxes::of_file(bytes).next()?.ok().filter(|atom| atom.kind == *b"ftyp")?;
        let (major, rest) = first.body.split_first_chunk::<4>()?;
        // A version is between them.
        let compatible = rest.get(4..).unwrap_or_default().as_chunks::<4>().0;
        Some(Self { major: *major, compatible })
    }

    /// What it is, too, in the file's order.
    pub fn compatible(&self) -> &'a [FourCc] {
        self.compatible
    }

    /// The major brand, or one of the others.
    pub fn has(&self, brand: &FourCc) -> bool {
        self.major == *brand || self.compatible.contains(brand)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::written::atom;

    #[test]
    fn major_and_compatible() {
        let bytes = atom(b"ftyp", b"heic\0\0\0\0mif1heix");
        let brands = Brands::read(&bytes).unwrap();
        assert!(brands.major == *b"heic" && brands.has(b"heic") && brands.has(b"heix") && !brands.has(b"avif"));
        assert_eq!(Brands::read(&bytes[..18]).unwrap().compatible(), Vec::<FourCc>::new());
        assert_eq!(Brands::read(&bytes[..11]), None);
        assert_eq!(Brands::read(&atom(b"free", b"heic")), None);
        assert_eq!(Brands::read(b""), None);
    }
}
