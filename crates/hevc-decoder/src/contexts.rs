//! The contexts of a slice's syntax elements, and what they begin with (tables 9-5 to 9-37).

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
    /// part_mode from its second bit on.
    pub const MORE_PARTS: u8 = 135;
    /// cu_skip_flag.
    pub const SKIP: u8 = 138;
    /// pred_mode_flag.
    pub const INTRA: u8 = 141;
    /// merge_flag.
    pub const MERGE: u8 = 142;
    /// merge_idx.
    pub const CANDIDATE: u8 = 143;
    /// inter_pred_idc.
    pub const DIRECTION: u8 = 144;
    /// ref_idx_l0 and ref_idx_l1.
    pub const REFERENCE: u8 = 149;
    /// abs_mvd_greater0_flag.
    pub const VECTOR_0: u8 = 151;
    /// abs_mvd_greater1_flag.
    pub const VECTOR_1: u8 = 152;
    /// mvp_l0_flag and mvp_l1_flag.
    pub const PREDICTOR: u8 = 153;
    /// rqt_root_cbf.
    pub const ROOT: u8 = 154;
}

#[rustfmt::skip]
const INIT: [[u8; 155]; 3] = [
    [
        153, 200, 139, 141, 157, 154, 184, 184, 63, 153, 138, 138, 111, 141, 94, 138, 182, 154, 154, 154, 154, 139,
        139, 110, 110, 124, 125, 140, 153, 125, 127, 140, 109, 111, 143, 127, 111, 79, 108, 123, 63, 110, 110, 124,
        125, 140, 153, 125, 127, 140, 109, 111, 143, 127, 111, 79, 108, 123, 63, 91, 171, 134, 141, 111, 111, 125,
        110, 110, 94, 124, 108, 124, 107, 125, 141, 179, 153, 125, 107, 125, 141, 179, 153, 125, 107, 125, 141, 179,
        153, 125, 140, 139, 182, 182, 152, 136, 152, 136, 153, 136, 139, 111, 136, 139, 111, 140, 92, 137, 138, 140,
        152, 138, 139, 153, 74, 149, 92, 139, 107, 122, 152, 140, 179, 166, 182, 140, 227, 122, 197, 138, 153, 136,
        167, 152, 152, 154, 154, 154, 154, 154, 154, 154, 154, 154, 154, 154, 154, 154, 154, 154, 154, 154, 154, 154,
        154,
    ],
    [
        153, 185, 107, 139, 126, 154, 154, 154, 152, 124, 138, 94, 153, 111, 149, 107, 167, 154, 154, 154, 154, 139,
        139, 125, 110, 94, 110, 95, 79, 125, 111, 110, 78, 110, 111, 111, 95, 94, 108, 123, 108, 125, 110, 94, 110,
        95, 79, 125, 111, 110, 78, 110, 111, 111, 95, 94, 108, 123, 108, 121, 140, 61, 154, 155, 154, 139, 153, 139,
        123, 123, 63, 153, 166, 183, 140, 136, 153, 154, 166, 183, 140, 136, 153, 154, 166, 183, 140, 136, 153, 154,
        170, 153, 123, 123, 107, 121, 107, 121, 167, 151, 183, 140, 151, 183, 140, 154, 196, 196, 167, 154, 152, 167,
        182, 182, 134, 149, 136, 153, 121, 136, 137, 169, 194, 166, 167, 154, 167, 137, 182, 107, 167, 91, 122, 107,
        167, 139, 154, 154, 197, 185, 201, 149, 110, 122, 95, 79, 63, 31, 31, 153, 153, 140, 198, 168, 79,
    ],
    [
        153, 160, 107, 139, 126, 154, 154, 183, 152, 224, 167, 122, 153, 111, 149, 92, 167, 154, 154, 154, 154, 139,
        139, 125, 110, 124, 110, 95, 94, 125, 111, 111, 79, 125, 126, 111, 111, 79, 108, 123, 93, 125, 110, 124, 110,
        95, 94, 125, 111, 111, 79, 125, 126, 111, 111, 79, 108, 123, 93, 121, 140, 61, 154, 170, 154, 139, 153, 139,
        123, 123, 63, 124, 166, 183, 140, 136, 153, 154, 166, 183, 140, 136, 153, 154, 166, 183, 140, 136, 153, 154,
        170, 153, 138, 138, 122, 121, 122, 121, 167, 151, 183, 140, 151, 183, 140, 154, 196, 167, 167, 154, 152, 167,
        182, 182, 134, 149, 136, 153, 121, 136, 122, 169, 208, 166, 167, 154, 152, 167, 182, 107, 167, 91, 107, 107,
        167, 139, 154, 154, 197, 185, 201, 134, 154, 137, 95, 79, 63, 31, 31, 153, 153, 169, 198, 168, 79,
    ],
];

/// As many as a byte can count, so that every place is there.
pub type Contexts = [Context; 256];

/// As they begin with a slice of that quantiser (clause 9.3.2.2). `kind`: initType, 0 in intra slices.
pub fn new(kind: usize, qp: i32) -> Contexts {
    let mut contexts = [Context::default(); 256];
    for (context, init) in contexts.iter_mut().zip(INIT[kind % 3]) {
        *context = Context::new(init, qp);
    }
    contexts
}
