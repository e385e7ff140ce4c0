//! Arithmetic decoding (clause 9.3.4.3).

use crate::error::{Error, Result};

/// Ranges of the less probable value, by state and two bits of the range (table 9-52).
#[rustfmt::skip]
const LPS: [[u8; 4]; 64] = [
    [128,176,208,240],[128,167,197,227],[128,158,187,216],[123,150,178,205],[116,142,169,195],[111,135,160,185],
    [105,128,152,175],[100,122,144,166],[95,116,137,158],[90,110,130,150],[85,104,123,142],[81,99,117,135],
    [77,94,111,128],[73,89,105,122],[69,85,100,116],[66,80,95,110],[62,76,90,104],[59,72,86,99],[56,69,81,94],
    [53,65,77,89],[51,62,73,85],[48,59,69,80],[46,56,66,76],[43,53,63,72],[41,50,59,69],[39,48,56,65],[37,45,54,62],
    [35,43,51,59],[33,41,48,56],[32,39,46,53],[30,37,43,50],[29,35,41,48],[27,33,39,45],[26,31,37,43],[24,30,35,41],
    [23,28,33,39],[22,27,32,37],[21,26,30,35],[20,24,29,33],[19,23,27,31],[18,22,26,30],[17,21,25,28],[16,20,23,27],
    [15,19,22,25],[14,18,21,24],[14,17,20,23],[13,16,19,22],[12,15,18,21],[12,14,17,20],[11,14,16,19],[11,13,15,18],
    [10,12,15,17],[10,12,14,16],[9,11,13,15],[9,11,12,14],[8,10,12,14],[8,9,11,13],[7,9,11,12],[7,9,10,12],
    [7,8,10,11],[6,8,9,11],[6,7,9,10],[6,7,8,9],[2,2,2,2],
];
/// States after the less probable value (table 9-53); after the other one they go up to 62.
#[rustfmt::skip]
const AFTER_LPS: [u8; 64] = [
    0,0,1,2,2,4,4,5,6,7,8,9,9,11,11,12,13,13,15,15,16,16,18,18,19,19,21,21,22,22,23,24,24,25,26,26,27,27,28,29,29,30,30,30,
    31,32,32,33,33,33,34,34,35,35,35,36,36,36,37,37,37,38,38,63,
];

/// The next contexts by this one, after a value that is the more probable one and after one that is not.
const NEXT: [[u8; 2]; 128] = {
    let mut next = [[0; 2]; 128];
    let mut i = 0;
    while i < 128 {
        let (state, value) = (i >> 1, (i & 1) as u8);
        let up = if state < 62 { state as u8 + 1 } else { state as u8 };
        let turned = if state == 0 { 1 - value } else { value };
        next[i] = [up << 1 | value, AFTER_LPS[state] << 1 | turned];
        i += 1;
    }
    next
};

/// State, and the more probable value as the last bit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Context(u8);

impl Context {
    /// Clause 9.3.2.2.
    pub fn new(init: u8, qp: i32) -> Self {
        let (slope, offset) = (i32::from(init >> 4) * 5 - 45, (i32::from(init & 15) << 3) - 16);
        let state = (((slope * qp.clamp(0, 51)) >> 4) + offset).clamp(1, 126);
        // Within 0 to 62.
        Self(if state > 63 { (state as u8 - 64) << 1 | 1 } else { (63 - state as u8) << 1 })
    }
}

/// Reads zeros behind the end of its bytes, which is to be looked at from time to time.
#[derive(Clone, Debug)]
pub struct Cabac<'a> {
    data: &'a [u8],
    /// The next byte, which may be behind the end.
    at: usize,
    range: u32,
    /// The offset of 9 bits, and so many more behind it.
    value: u64,
    more: u32,
}

impl<'a> Cabac<'a> {
    /// Begins with the first nine bits (clause 9.3.2.5).
    pub fn new(data: &'a [u8]) -> Self {
        let mut new = Self { data, at: 0, range: 510, value: 0, more: 0 };
        // Nine bits of sixteen.
        new.value = u64::from(new.byte()) << 8;
        new.value |= u64::from(new.byte());
        new.more = 7;
        new.refill();
        new
    }

    fn byte(&mut self) -> u8 {
        let byte = self.data.get(self.at).copied().unwrap_or(0);
        self.at += 1;
        byte
    }

    /// At least 16 bits behind the offset.
    #[inline(always)]
    fn refill(&mut self) {
        if self.more < 16 {
            self.load();
        }
    }

    #[inline(never)]
    fn load(&mut self) {
        // Four bytes, which makes at most 56 bits.
        if let Some(bytes) = self.data.get(self.at..).and_then(|rest| rest.first_chunk::<4>()) {
            self.value = self.value << 32 | u64::from(u32::from_be_bytes(*bytes));
            self.at += 4;
            self.more += 32;
        } else {
            self.value = self.value << 8 | u64::from(self.byte());
            self.value = self.value << 8 | u64::from(self.byte());
            self.more += 16;
        }
    }

    /// A bit whose chances `context` knows and learns (clause 9.3.4.3.2).
    #[inline(always)]
    pub fn decision(&mut self, context: &mut Context) -> bool {
        let state = usize::from(context.0 & 127);
        let less = u32::from(LPS[state >> 1][(self.range >> 6 & 3) as usize]);
        let range = self.range - less;
        let scaled = u64::from(range) << self.more;
        let lps = self.value >= scaled;
        let value = (context.0 & 1 == 1) != lps;
        context.0 = NEXT[state][usize::from(lps)];
        if lps {
            self.value -= scaled;
            let shift = less.leading_zeros() - 23;
            self.range = less << shift;
            self.more -= shift;
        } else {
            let shift = u32::from(range < 256);
            self.range = range << shift;
            self.more -= shift;
        }
        self.refill();
        value
    }

    /// A bit of even chances (clause 9.3.4.3.4).
    #[inline(always)]
    pub fn bypass(&mut self) -> bool {
        self.more -= 1;
        let scaled = u64::from(self.range) << self.more;
        let one = self.value >= scaled;
        self.value -= if one { scaled } else { 0 };
        self.refill();
        one
    }

    /// At most 16 values, the first one highest.
    #[inline(always)]
    pub fn bypass_bits(&mut self, count: u32) -> u32 {
        let mut bits = 0;
        for _ in 0..count {
            self.more -= 1;
            let scaled = u64::from(self.range) << self.more;
            let one = self.value >= scaled;
            self.value -= if one { scaled } else { 0 };
            bits = bits << 1 | u32::from(one);
        }
        self.refill();
        bits
    }

    /// Truncated unary.
    pub fn bypass_unary(&mut self, most: u32) -> u32 {
        let mut count = 0;
        while count < most && self.bypass() {
            count += 1;
        }
        count
    }

    /// The bit that ends a segment, tile or row (clause 9.3.4.3.5).
    pub fn terminate(&mut self) -> bool {
        self.range -= 2;
        let scaled = u64::from(self.range) << self.more;
        if self.value >= scaled {
            return true;
        }
        if self.range < 256 {
            self.range <<= 1;
            self.more -= 1;
            self.refill();
        }
        false
    }

    /// Whether it needed bytes that are not there.
    pub fn check(&self) -> Result<()> {
        if self.end() > self.data.len() { Err(Error::Truncated) } else { Ok(()) }
    }

    /// Bytes that it has used. After `terminate` what follows begins here.
    fn end(&self) -> usize {
        self.at - self.more as usize / 8
    }

    /// So many bytes that are not coded, after `terminate`. It begins anew behind them.
    pub fn raw(&mut self, count: usize) -> Result<&'a [u8]> {
        let rest = self.data.get(self.end()..).ok_or(Error::Truncated)?;
        let (raw, rest) = rest.split_at_checked(count).ok_or(Error::Truncated)?;
        *self = Self::new(rest);
        Ok(raw)
    }

    /// Begins anew with the byte that follows.
    pub fn restart(&mut self) -> Result<()> {
        let rest = self.data.get(self.end()..).ok_or(Error::Truncated)?;
        *self = Self::new(rest);
        Ok(())
    }
}
