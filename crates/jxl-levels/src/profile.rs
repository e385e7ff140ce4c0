//! Where an ICC profile ends that is coded before the first frame (ISO/IEC 18181-1, annex E.4).

use jxl_bitstream::Bitstream;

use crate::codes;
use crate::error::{Error, Result, look};
use jpeg_levels::Env;

/// Bytes of a profile, as it is coded and as it comes out. The largest that printers have are a half of it.
const LONGEST: u64 = 4 << 20;
/// Bytes from one look to the next.
const LOOK: u64 = 1 << 16;

/// Moves behind the profile. `jxl` makes room for all bytes that it declares, so they are counted first.
pub fn skip(bits: &mut Bitstream, env: &Env<'_>) -> Result<()> {
    let len = bits.read_u64()?;
    if len > LONGEST {
        return Err(Error::TooMuch("its colour profile is too long"));
    }
    let (mut coded, _) = codes::read(bits, 41)?;
    coded.begin(bits)?;
    let mut declared = Some(Declared::default());
    let (mut last, mut before) = (0, 0);
    for i in 0..len {
        if i % LOOK == 0 {
            look(env)?;
        }
        let symbol = coded.read_varint(bits, context(i, last, before))?;
        let byte = u8::try_from(symbol).map_err(|_| Error::Damaged("a colour profile of no bytes".to_owned()))?;
        if let Some(size) = declared.as_mut().and_then(|declared| declared.add(byte)) {
            declared = None;
            if size > LONGEST {
                return Err(Error::TooMuch("its colour profile is too long"));
            }
        }
        (before, last) = (last, byte);
    }
    coded.finalize()?;
    Ok(())
}

/// The first number of the profile: how long it is when it is decoded. Seven bits a byte.
#[derive(Default)]
struct Declared {
    value: u64,
    shift: u32,
}

impl Declared {
    /// The number, at its last byte.
    fn add(&mut self, byte: u8) -> Option<u64> {
        self.value |= u64::from(byte & 0x7f).checked_shl(self.shift).unwrap_or(u64::MAX);
        self.shift += 7;
        (byte < 0x80).then_some(self.value)
    }
}

/// By the two bytes before.
fn context(i: u64, last: u8, before: u8) -> u32 {
    if i <= 128 {
        return 0;
    }
    let first = match last {
        b'a'..=b'z' | b'A'..=b'Z' => 0,
        b'0'..=b'9' | b'.' | b',' => 1,
        0..=1 => 2 + u32::from(last),
        2..=15 => 4,
        241..=254 => 5,
        255 => 6,
        _ => 7,
    };
    let second = match before {
        b'a'..=b'z' | b'A'..=b'Z' => 0,
        b'0'..=b'9' | b'.' | b',' => 1,
        0..=15 => 2,
        241..=255 => 3,
        _ => 4,
    };
    1 + first + 8 * second
}
