//! What the headers say of a frame.

use oxideav_av1::frame_header::{FrameHeader, FrameSize, FrameType};
use oxideav_av1::sequence_header::SequenceHeader;
use oxideav_av1::tile_info::TileInfo;
use oxideav_av1::uncompressed_header_tail::{
    CdefParams, DeltaLfParams, DeltaQParams, FrameRestorationType, LoopFilterParams, LrParams, QuantizationParams,
    SegmentationParams, TxMode,
};

/// `SEG_LVL_ALT_Q`, and the first of the four `SEG_LVL_ALT_LF`, and `SEG_LVL_SKIP`.
const ALT_Q: usize = 0;
const ALT_LF: usize = 1;
const SKIP: usize = 6;
/// `MAX_LOOP_FILTER`.
pub const MOST_FILTER: i32 = 63;

pub struct Setup<'h> {
    pub seq: &'h SequenceHeader,
    pub frame: &'h FrameHeader,
    pub size: &'h FrameSize,
    pub tiles: &'h TileInfo,
    pub quant: &'h QuantizationParams,
    pub segments: SegmentationParams,
    pub delta_q: DeltaQParams,
    pub delta_lf: DeltaLfParams,
    pub filter: &'h LoopFilterParams,
    pub cdef: &'h CdefParams,
    pub lr: &'h LrParams,
    pub tx_select: bool,
    pub reduced_tx: bool,
    /// Columns and rows of blocks of 4 x 4.
    pub cols: usize,
    pub rows: usize,
    pub planes: usize,
    pub depth: u32,
    pub lossless: [bool; 8],
    pub coded_lossless: bool,
}

impl<'h> Setup<'h> {
    /// `None` where a frame is not of the kind that is decoded here.
    pub fn new(seq: &'h SequenceHeader, frame: &'h FrameHeader) -> Option<Self> {
        let size = frame.frame_size.as_ref()?;
        let grain = frame.film_grain_params.as_ref().is_some_and(|grain| grain.apply_grain);
        let key = frame.frame_type == FrameType::Key && frame.show_frame && !frame.show_existing_frame;
        if !key || grain || size.use_superres {
            return None;
        }
        let quant = frame.quantization_params.as_ref()?;
        let segments = frame.segmentation_params.unwrap_or_else(SegmentationParams::disabled);
        let colour = &seq.color_config;
        let mut setup = Self {
            seq,
            frame,
            size,
            tiles: frame.tile_info.as_ref()?,
            quant,
            segments,
            delta_q: frame.delta_q_params.unwrap_or_default(),
            delta_lf: frame.delta_lf_params.unwrap_or_default(),
            filter: frame.loop_filter_params.as_ref()?,
            cdef: frame.cdef_params.as_ref()?,
            lr: frame.lr_params.as_ref()?,
            tx_select: frame.tx_mode == Some(TxMode::TxModeSelect),
            reduced_tx: frame.reduced_tx_set.unwrap_or_default(),
            cols: size.mi_cols as usize,
            rows: size.mi_rows as usize,
            planes: if colour.mono_chrome { 1 } else { 3 },
            depth: u32::from(colour.bit_depth),
            lossless: [false; 8],
            coded_lossless: false,
        };
        let q = quant;
        let no_deltas = [q.delta_q_y_dc, q.delta_q_u_dc, q.delta_q_u_ac, q.delta_q_v_dc, q.delta_q_v_ac] == [0; 5];
        for segment in 0..8 {
            setup.lossless[segment] = no_deltas && setup.base_q(segment) == 0;
        }
        setup.coded_lossless = setup.lossless == [true; 8];
        let sound = matches!(setup.depth, 8 | 10 | 12) && setup.cols >= 2 && setup.rows >= 2;
        sound.then_some(setup)
    }

    /// Columns and rows of a plane are those of luma, shifted by this.
    pub fn subsampling(&self, plane: usize) -> (usize, usize) {
        let colour = &self.seq.color_config;
        if plane == 0 { (0, 0) } else { (usize::from(colour.subsampling_x), usize::from(colour.subsampling_y)) }
    }

    /// Columns and rows of a plane, as shown.
    pub fn shown(&self, plane: usize) -> (usize, usize) {
        let (x, y) = self.subsampling(plane);
        let half = |side: u32, by: usize| (side as usize + by) >> by;
        (half(self.size.frame_width, x), half(self.size.frame_height, y))
    }

    fn has(&self, segment: usize, feature: usize) -> bool {
        self.segments.enabled && self.segments.segment_feature_active[segment & 7][feature]
    }

    fn feature(&self, segment: usize, feature: usize) -> i32 {
        if self.has(segment, feature) { i32::from(self.segments.segment_feature_data[segment & 7][feature]) } else { 0 }
    }

    pub fn skips(&self, segment: usize) -> bool {
        self.has(segment, SKIP)
    }

    /// `get_qindex(1, segment)`.
    pub fn base_q(&self, segment: usize) -> i32 {
        self.q_of(segment, i32::from(self.quant.base_q_idx))
    }

    /// `get_qindex(0, segment)`, where `current` is what the blocks have changed it to.
    pub fn current_q(&self, segment: usize, current: i32) -> i32 {
        if self.delta_q.delta_q_present { self.q_of(segment, current) } else { self.base_q(segment) }
    }

    fn q_of(&self, segment: usize, q: i32) -> i32 {
        if self.has(segment, ALT_Q) { (q + self.feature(segment, ALT_Q)).clamp(0, 255) } else { q }
    }

    /// The level of the quantizer matrix, 15 for none.
    pub fn matrix(&self, plane: usize, segment: usize) -> usize {
        if !self.quant.using_qmatrix || self.lossless[segment & 7] {
            return 15;
        }
        usize::from([self.quant.qm_y, self.quant.qm_u, self.quant.qm_v][plane.min(2)])
    }

    /// Of vertical and horizontal edges of luma, and of both chroma planes (section 7.14.5).
    pub fn filter_levels(&self, segment: usize, deltas: [i8; 4]) -> [u8; 4] {
        let filter = self.filter;
        std::array::from_fn(|i| {
            let delta = deltas[if self.delta_lf.delta_lf_multi { i } else { 0 }];
            let base = (i32::from(delta) + i32::from(filter.loop_filter_level[i])).clamp(0, MOST_FILTER);
            let mut level = (base + self.feature(segment, ALT_LF + i)).clamp(0, MOST_FILTER);
            if filter.loop_filter_delta_enabled {
                level += i32::from(filter.loop_filter_ref_deltas[0]) << (level >> 5);
            }
            level.clamp(0, MOST_FILTER) as u8
        })
    }

    pub fn restores(&self, plane: usize) -> bool {
        self.lr.frame_restoration_type[plane] != FrameRestorationType::None
    }

    /// The size of a restoration unit, and how many there are across and down.
    pub fn restoration_units(&self, plane: usize) -> (usize, usize, usize) {
        let (width, height) = self.shown(plane);
        let size = (self.lr.loop_restoration_size[plane] as usize).max(1);
        let units = |side: usize| ((side + (size >> 1)) / size).max(1);
        (size, units(width), units(height))
    }
}
