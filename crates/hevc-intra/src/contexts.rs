//! The contexts of an intra slice's syntax elements, and what they begin with (tables 9-5 to 9-37).

use crate::cabac::Context;

/// Where those of each element begin.
pub mod at {
    pub const SAO_MERGE: u8 = 0;
    pub const SAO_TYPE: u8 = 1;
    pub const SPLIT_CODING: u8 = 2;
    pub const BYPASS: u8 = 5;
    pub const PARTS: u8 = 6;
    pub const LIKELY_MODE: u8 = 7;
    pub const CHROMA_MODE: u8 = 8;
    pub const SPLIT_TRANSFORM: u8 = 9;
    pub const CODED_LUMA: u8 = 12;
    pub const CODED_CHROMA: u8 = 14;
    pub const QP_DELTA: u8 = 19;
    pub const TRANSFORM_SKIP: u8 = 21;
    pub const LAST_X: u8 = 23;
    pub const LAST_Y: u8 = 41;
    pub const CODED_SUB_BLOCK: u8 = 59;
    pub const SIGNIFICANT: u8 = 63;
    pub const GREATER_1: u8 = 105;
    pub const GREATER_2: u8 = 129;
}

#[rustfmt::skip]
const INIT: [u8; 135] = [
    153, 200, 139, 141, 157, 154, 184, 184, 63, 153, 138, 138, 111, 141, 94, 138, 182, 154, 154, 154, 154, 139, 139,
    110, 110, 124, 125, 140, 153, 125, 127, 140, 109, 111, 143, 127, 111, 79, 108, 123, 63,
    110, 110, 124, 125, 140, 153, 125, 127, 140, 109, 111, 143, 127, 111, 79, 108, 123, 63,
    91, 171, 134, 141,
    111, 111, 125, 110, 110, 94, 124, 108, 124, 107, 125, 141, 179, 153, 125, 107, 125, 141, 179, 153, 125,
    107, 125, 141, 179, 153, 125, 140, 139, 182, 182, 152, 136, 152, 136, 153, 136, 139, 111, 136, 139, 111,
    140, 92, 137, 138, 140, 152, 138, 139, 153, 74, 149, 92, 139, 107, 122, 152, 140, 179, 166, 182, 140, 227, 122, 197,
    138, 153, 136, 167, 152, 152,
];

/// As many as a byte can count, so that every place is there.
pub type Contexts = [Context; 256];

pub fn new(qp: i32) -> Contexts {
    let mut contexts = [Context::default(); 256];
    for (context, init) in contexts.iter_mut().zip(INIT) {
        *context = Context::new(init, qp);
    }
    contexts
}
