//! The contexts of an intra slice's syntax elements, and what they begin with (tables 9-5 to 9-37).

use crate::cabac::Context;

/// The first context of each syntax element, by its name in the standard.
pub mod at {
    /// sao_merge_left_flag and sao_merge_up_flag.
    pub const SAO_MERGE: u8 = 0;
    /// sao_type_idx_luma and sao_type_idx_chroma.
    pub const SAO_TYPE: u8 = 1;
    /// split_cu_flag.
    pub const SPLIT_CODING: u8 = 2;
    /// cu_transquant_bypass_flag.
    pub const BYPASS: u8 = 5;
    /// part_mode.
    pub const PARTS: u8 = 6;
    /// prev_intra_luma_pred_flag.
    pub const LIKELY_MODE: u8 = 7;
    /// intra_chroma_pred_mode.
    pub const CHROMA_MODE: u8 = 8;
    /// split_transform_flag.
    pub const SPLIT_TRANSFORM: u8 = 9;
    /// cbf_luma.
    pub const CODED_LUMA: u8 = 12;
    /// cbf_cb and cbf_cr.
    pub const CODED_CHROMA: u8 = 14;
    /// cu_qp_delta_abs.
    pub const QP_DELTA: u8 = 19;
    /// transform_skip_flag, of luma and of chroma.
    pub const TRANSFORM_SKIP: u8 = 21;
    /// last_sig_coeff_x_prefix.
    pub const LAST_X: u8 = 23;
    /// last_sig_coeff_y_prefix.
    pub const LAST_Y: u8 = 41;
    /// coded_sub_block_flag.
    pub const CODED_SUB_BLOCK: u8 = 59;
    /// sig_coeff_flag.
    pub const SIGNIFICANT: u8 = 63;
    /// coeff_abs_level_greater1_flag.
    pub const GREATER_1: u8 = 105;
    /// coeff_abs_level_greater2_flag.
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

/// As they begin with a slice of that quantiser (clause 9.3.2.2).
pub fn new(qp: i32) -> Contexts {
    let mut contexts = [Context::default(); 256];
    for (context, init) in contexts.iter_mut().zip(INIT) {
        *context = Context::new(init, qp);
    }
    contexts
}
