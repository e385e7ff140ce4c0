//! Probabilities of symbols (section 9.4), as complements: of 32768, what the symbols up to one leave.

use oxideav_av1::cdf as standard;

/// As many of the first symbols as there are, and how often they have been read.
fn one<const M: usize>(table: [u16; M]) -> [u16; M] {
    let mut table = table;
    for number in table.iter_mut().take(M.saturating_sub(1)) {
        *number = 32768 - *number;
    }
    table
}

fn two<const M: usize, const A: usize>(table: [[u16; M]; A]) -> [[u16; M]; A] {
    table.map(one)
}

fn three<const M: usize, const A: usize, const B: usize>(table: [[[u16; M]; A]; B]) -> [[[u16; M]; A]; B] {
    table.map(two)
}

fn four<const M: usize, const A: usize, const B: usize, const C: usize>(
    table: [[[[u16; M]; A]; B]; C],
) -> [[[[u16; M]; A]; B]; C] {
    table.map(three)
}

/// Colours of palettes, from two to eight of them, in rows of the longest.
fn colours<const M: usize>(table: &[[u16; M]; 5]) -> [[u16; 9]; 5] {
    table.map(|row| {
        let mut long = [0; 9];
        for (to, from) in long.iter_mut().zip(one(row)) {
            *to = from;
        }
        long
    })
}

/// Of a vector's row or column.
#[derive(Clone)]
pub struct VectorCdfs {
    pub sign: [u16; 3],
    pub class: [u16; 12],
    pub small: [u16; 3],
    pub bits: [[u16; 3]; 10],
}

#[derive(Clone)]
pub struct Cdfs {
    pub y_mode: [[[u16; 14]; 5]; 5],
    pub uv_mode: [[u16; 14]; 13],
    pub uv_mode_cfl: [[u16; 15]; 13],
    pub angle: [[u16; 8]; 8],
    pub partition_8: [[u16; 5]; 4],
    pub partition_16: [[[u16; 11]; 4]; 3],
    pub partition_128: [[u16; 9]; 4],
    pub skip: [[u16; 3]; 3],
    pub segment: [[u16; 9]; 3],
    pub delta_q: [u16; 5],
    pub delta_lf: [u16; 5],
    pub delta_lf_multi: [[u16; 5]; 4],
    pub filter_intra: [[u16; 3]; 22],
    pub filter_intra_mode: [u16; 6],
    pub palette_y: [[[u16; 3]; 3]; 7],
    pub palette_uv: [[u16; 3]; 2],
    pub palette_size: [[[u16; 8]; 7]; 2],
    /// By luma or chroma, and the palette's size less 2.
    pub palette_colour: [[[[u16; 9]; 5]; 7]; 2],
    pub cfl_sign: [u16; 9],
    pub cfl_alpha: [[u16; 17]; 6],
    pub tx_8: [[u16; 3]; 3],
    pub tx_16: [[[u16; 4]; 3]; 3],
    pub tx_type_7: [[[u16; 8]; 13]; 2],
    pub tx_type_5: [[[u16; 6]; 13]; 3],
    pub tx_split: [[u16; 3]; 21],
    pub tx_type_16: [[u16; 17]; 2],
    pub tx_type_12: [u16; 13],
    pub tx_type_2: [[u16; 3]; 4],
    pub copied: [u16; 3],
    pub vector_joint: [u16; 5],
    pub vectors: [VectorCdfs; 2],
    pub wiener: [u16; 3],
    pub self_guided: [u16; 3],
    pub restoration: [u16; 4],
    pub all_zero: [[[u16; 3]; 13]; 5],
    pub end_16: [[[u16; 6]; 2]; 2],
    pub end_32: [[[u16; 7]; 2]; 2],
    pub end_64: [[[u16; 8]; 2]; 2],
    pub end_128: [[[u16; 9]; 2]; 2],
    pub end_256: [[[u16; 10]; 2]; 2],
    pub end_512: [[u16; 11]; 2],
    pub end_1024: [[u16; 12]; 2],
    pub end_extra: [[[[u16; 3]; 9]; 2]; 5],
    pub dc_sign: [[[u16; 3]; 3]; 2],
    pub base_end: [[[[u16; 4]; 4]; 2]; 5],
    pub base: [[[[u16; 5]; 42]; 2]; 5],
    pub range: [[[[u16; 5]; 21]; 2]; 5],
}

impl Cdfs {
    /// Those that a frame begins with which goes on from no other.
    pub fn new(base_q: u8) -> Self {
        let q = match base_q {
            0..=20 => 0,
            21..=60 => 1,
            61..=120 => 2,
            _ => 3,
        };
        use standard as s;
        Self {
            y_mode: three(s::DEFAULT_INTRA_FRAME_Y_MODE_CDF),
            uv_mode: two(s::DEFAULT_UV_MODE_CFL_NOT_ALLOWED_CDF),
            uv_mode_cfl: two(s::DEFAULT_UV_MODE_CFL_ALLOWED_CDF),
            angle: two(s::DEFAULT_ANGLE_DELTA_CDF),
            partition_8: two(s::DEFAULT_PARTITION_W8_CDF),
            partition_16: three([
                s::DEFAULT_PARTITION_W16_CDF,
                s::DEFAULT_PARTITION_W32_CDF,
                s::DEFAULT_PARTITION_W64_CDF,
            ]),
            partition_128: two(s::DEFAULT_PARTITION_W128_CDF),
            skip: two(s::DEFAULT_SKIP_CDF),
            segment: two(s::DEFAULT_SEGMENT_ID_CDF),
            delta_q: one(s::DEFAULT_DELTA_Q_CDF),
            delta_lf: one(s::DEFAULT_DELTA_LF_CDF),
            delta_lf_multi: [one(s::DEFAULT_DELTA_LF_CDF); 4],
            filter_intra: two(s::DEFAULT_FILTER_INTRA_CDF),
            filter_intra_mode: one(s::DEFAULT_FILTER_INTRA_MODE_CDF),
            palette_y: three(s::DEFAULT_PALETTE_Y_MODE_CDF),
            palette_uv: two(s::DEFAULT_PALETTE_UV_MODE_CDF),
            palette_size: three([s::DEFAULT_PALETTE_Y_SIZE_CDF, s::DEFAULT_PALETTE_UV_SIZE_CDF]),
            palette_colour: [
                [
                    colours(&s::DEFAULT_PALETTE_SIZE_2_Y_COLOR_CDF),
                    colours(&s::DEFAULT_PALETTE_SIZE_3_Y_COLOR_CDF),
                    colours(&s::DEFAULT_PALETTE_SIZE_4_Y_COLOR_CDF),
                    colours(&s::DEFAULT_PALETTE_SIZE_5_Y_COLOR_CDF),
                    colours(&s::DEFAULT_PALETTE_SIZE_6_Y_COLOR_CDF),
                    colours(&s::DEFAULT_PALETTE_SIZE_7_Y_COLOR_CDF),
                    colours(&s::DEFAULT_PALETTE_SIZE_8_Y_COLOR_CDF),
                ],
                [
                    colours(&s::DEFAULT_PALETTE_SIZE_2_UV_COLOR_CDF),
                    colours(&s::DEFAULT_PALETTE_SIZE_3_UV_COLOR_CDF),
                    colours(&s::DEFAULT_PALETTE_SIZE_4_UV_COLOR_CDF),
                    colours(&s::DEFAULT_PALETTE_SIZE_5_UV_COLOR_CDF),
                    colours(&s::DEFAULT_PALETTE_SIZE_6_UV_COLOR_CDF),
                    colours(&s::DEFAULT_PALETTE_SIZE_7_UV_COLOR_CDF),
                    colours(&s::DEFAULT_PALETTE_SIZE_8_UV_COLOR_CDF),
                ],
            ],
            cfl_sign: one(s::DEFAULT_CFL_SIGN_CDF),
            cfl_alpha: two(s::DEFAULT_CFL_ALPHA_CDF),
            tx_8: two(s::DEFAULT_TX_8X8_CDF),
            tx_16: three([s::DEFAULT_TX_16X16_CDF, s::DEFAULT_TX_32X32_CDF, s::DEFAULT_TX_64X64_CDF]),
            tx_type_7: three(s::DEFAULT_INTRA_TX_TYPE_SET1_CDF),
            tx_type_5: three(s::DEFAULT_INTRA_TX_TYPE_SET2_CDF),
            tx_split: two(s::DEFAULT_TXFM_SPLIT_CDF),
            tx_type_16: two(s::DEFAULT_INTER_TX_TYPE_SET1_CDF),
            tx_type_12: one(s::DEFAULT_INTER_TX_TYPE_SET2_CDF),
            tx_type_2: two(s::DEFAULT_INTER_TX_TYPE_SET3_CDF),
            copied: one(s::DEFAULT_INTRABC_CDF),
            vector_joint: one(s::DEFAULT_MV_JOINT_CDF),
            vectors: s::DEFAULT_MV_CLASS_CDF.map(|class| VectorCdfs {
                sign: one(s::DEFAULT_MV_SIGN_CDF),
                class: one(class),
                small: one(s::DEFAULT_MV_CLASS0_BIT_CDF),
                bits: two(s::DEFAULT_MV_BIT_CDF),
            }),
            wiener: one(s::DEFAULT_USE_WIENER_CDF),
            self_guided: one(s::DEFAULT_USE_SGRPROJ_CDF),
            restoration: one(s::DEFAULT_RESTORATION_TYPE_CDF),
            all_zero: three(s::DEFAULT_TXB_SKIP_CDF[q]),
            end_16: three(s::DEFAULT_EOB_PT_16_CDF[q]),
            end_32: three(s::DEFAULT_EOB_PT_32_CDF[q]),
            end_64: three(s::DEFAULT_EOB_PT_64_CDF[q]),
            end_128: three(s::DEFAULT_EOB_PT_128_CDF[q]),
            end_256: three(s::DEFAULT_EOB_PT_256_CDF[q]),
            end_512: two(s::DEFAULT_EOB_PT_512_CDF[q]),
            end_1024: two(s::DEFAULT_EOB_PT_1024_CDF[q]),
            end_extra: four(s::DEFAULT_EOB_EXTRA_CDF[q]),
            dc_sign: three(s::DEFAULT_DC_SIGN_CDF[q]),
            base_end: four(s::DEFAULT_COEFF_BASE_EOB_CDF[q]),
            base: four(s::DEFAULT_COEFF_BASE_CDF[q]),
            range: four(s::DEFAULT_COEFF_BR_CDF[q]),
        }
    }
}
