//! `hvcC`: what an HEVC decoder needs before a picture's data (ISO/IEC 14496-15).

use crate::cursor::Cursor;
use crate::error::{Error, Result};

/// The body of an `hvcC` box (ISO/IEC 14496-15, 8.3.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HevcConfig<'a> {
    /// Bytes of the length before each NAL unit of the data: 1, 2 or 4, or 3.
    pub length_size: usize,
    arrays: usize,
    rest: &'a [u8],
}

impl<'a> HevcConfig<'a> {
    /// Reads the body of the box, whose header has 23 bytes.
    pub fn read(body: &'a [u8]) -> Result<Self> {
        let mut cursor = Cursor::new(body);
        // The rest of the header says again what the parameter sets do.
        let [_, .., sizes, arrays] = cursor.array::<23>()?;
        Ok(Self { length_size: usize::from(sizes & 3) + 1, arrays: usize::from(arrays), rest: cursor.rest() })
    }

    /// Hands out each NAL unit: parameter sets, and messages. It ends with the first error, of the bytes or of
    /// `each`.
    pub fn units<E: From<Error>>(
        &self,
        mut each: impl FnMut(&'a [u8]) -> std::result::Result<(), E>,
    ) -> std::result::Result<(), E> {
        let mut cursor = Cursor::new(self.rest);
        for _ in 0..self.arrays {
            cursor.u8()?;
            for _ in 0..cursor.u16()? {
                let len = usize::from(cursor.u16()?);
                each(cursor.take(len)?)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn units(body: &[u8]) -> Result<Vec<&[u8]>> {
        let mut found = Vec::new();
        HevcConfig::read(body)?.units::<Error>(|unit| {
            found.push(unit);
            Ok(())
        })?;
        Ok(found)
    }

    #[test]
    fn units_of_arrays() {
        let mut body = vec![0; 23];
        (body[0], body[21], body[22]) = (1, 0xff, 2);
        body.extend([0xa0, 0, 2, 0, 1, b'a', 0, 2, b'b', b'c', 0xa1, 0, 1, 0, 0]);
        assert_eq!(units(&body).unwrap(), [&b"a"[..], b"bc", b""]);
        assert_eq!(HevcConfig::read(&body).unwrap().length_size, 4);
        for len in 0..body.len() {
            assert!(units(&body[..len]).is_err());
        }
    }
}
