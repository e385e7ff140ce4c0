//! What `oxideav-av1` is told of a frame before it reads its blocks.

use oxideav_av1::cdf::{LrParams, QuantizerParams, TileDecodeParams};
use oxideav_av1::frame_header::{FrameHeader, FrameSize};
use oxideav_av1::sequence_header::SequenceHeader;
use oxideav_av1::tile_info::TileInfo;
use oxideav_av1::uncompressed_header_tail::{
    LrParams as FrameLrParams, QuantizationParams, SEG_LVL_ALT_Q, SEG_LVL_SKIP, SegmentationParams, TxMode,
};

use crate::error::{Error, Result};

const SEGMENTS: usize = 8;

/// The parts of a header that every coded frame has.
pub struct Walk<'h> {
    pub seq: &'h SequenceHeader,
    pub frame: &'h FrameHeader,
    pub size: &'h FrameSize,
    pub tiles: &'h TileInfo,
    pub quant: &'h QuantizationParams,
    pub restoration: &'h FrameLrParams,
    pub segments: SegmentationParams,
    pub lossless: [bool; SEGMENTS],
}

impl<'h> Walk<'h> {
    pub fn new(seq: &'h SequenceHeader, frame: &'h FrameHeader) -> Result<Self> {
        const MISSING: Error = Error::Av1("a frame's header is not whole");
        let quant = frame.quantization_params.as_ref().ok_or(MISSING)?;
        let segments = frame.segmentation_params.unwrap_or_else(SegmentationParams::disabled);
        let deltas =
            [quant.delta_q_y_dc, quant.delta_q_u_dc, quant.delta_q_u_ac, quant.delta_q_v_dc, quant.delta_q_v_ac];
        let lossless = std::array::from_fn(|segment| {
            let changes = segments.enabled && segments.segment_feature_active[segment][SEG_LVL_ALT_Q];
            let change = if changes { i32::from(segments.segment_feature_data[segment][SEG_LVL_ALT_Q]) } else { 0 };
            deltas.iter().all(|&delta| delta == 0) && i32::from(quant.base_q_idx) + change <= 0
        });
        let walk = Self {
            seq,
            frame,
            size: frame.frame_size.as_ref().ok_or(MISSING)?,
            tiles: frame.tile_info.as_ref().ok_or(MISSING)?,
            quant,
            restoration: frame.lr_params.as_ref().ok_or(MISSING)?,
            segments,
            lossless,
        };
        let ends = |starts: &[u32], many: u32| starts.len() == many as usize + 1;
        let tiles = ends(&walk.tiles.mi_row_starts, walk.tiles.tile_rows)
            && ends(&walk.tiles.mi_col_starts, walk.tiles.tile_cols);
        let larger = !walk.size.use_superres || walk.size.upscaled_width > walk.size.frame_width;
        if tiles && larger && matches!(seq.color_config.bit_depth, 8 | 10 | 12) { Ok(walk) } else { Err(MISSING) }
    }

    pub fn planes(&self) -> usize {
        usize::from(self.seq.color_config.num_planes)
    }

    /// Columns and rows of a plane are those of luma, shifted by this.
    pub fn subsampling(&self, plane: usize) -> (u8, u8) {
        let colour = &self.seq.color_config;
        if plane == 0 { (0, 0) } else { (u8::from(colour.subsampling_x), u8::from(colour.subsampling_y)) }
    }

    /// Columns and rows of a plane, as shown.
    pub fn shown(&self, plane: usize) -> (u32, u32) {
        let (x, y) = self.subsampling(plane);
        let half = |side: u32, by: u8| (side + u32::from(by)) >> by;
        (half(self.size.upscaled_width, x), half(self.size.frame_height, y))
    }

    pub fn coded_lossless(&self) -> bool {
        self.lossless == [true; SEGMENTS]
    }

    pub fn hint_bits(&self) -> u32 {
        if self.seq.enable_order_hint { u32::from(self.seq.order_hint_bits) } else { 0 }
    }

    /// Of blocks.
    pub fn params(&self) -> TileDecodeParams<'_> {
        let (seq, frame, colour) = (self.seq, self.frame, &self.seq.color_config);
        let delta_q = frame.delta_q_params.unwrap_or_default();
        let delta_lf = frame.delta_lf_params.unwrap_or_default();
        TileDecodeParams {
            frame_is_intra: frame.frame_is_intra,
            subsampling_x: u8::from(colour.subsampling_x),
            subsampling_y: u8::from(colour.subsampling_y),
            num_planes: colour.num_planes,
            seg_id_pre_skip: self.segments.seg_id_pre_skip,
            segmentation_enabled: self.segments.enabled,
            seg_skip: std::array::from_fn(|segment| {
                self.segments.enabled && self.segments.segment_feature_active[segment][SEG_LVL_SKIP]
            }),
            last_active_seg_id: self.segments.last_active_seg_id,
            lossless_array: &self.lossless,
            coded_lossless: self.coded_lossless(),
            enable_cdef: seq.enable_cdef,
            allow_intrabc: frame.allow_intrabc,
            cdef_bits: frame.cdef_params.as_ref().map_or(0, |cdef| u32::from(cdef.cdef_bits)),
            use_128x128_superblock: seq.use_128x128_superblock,
            delta_q_res: delta_q.delta_q_res,
            delta_lf_present: delta_lf.delta_lf_present,
            delta_lf_multi: delta_lf.delta_lf_multi,
            mono_chrome: colour.mono_chrome,
            delta_lf_res: delta_lf.delta_lf_res,
            allow_screen_content_tools: frame.allow_screen_content_tools,
            enable_filter_intra: seq.enable_filter_intra,
            bit_depth: colour.bit_depth,
            tx_mode_select: frame.tx_mode == Some(TxMode::TxModeSelect),
            reduced_tx_set: frame.reduced_tx_set.unwrap_or_default(),
            enable_intra_edge_filter: seq.enable_intra_edge_filter,
        }
    }

    pub fn quantizer(&self) -> QuantizerParams {
        let (quant, segments) = (self.quant, &self.segments);
        let matrix = |level: u8| {
            std::array::from_fn(|segment| if quant.using_qmatrix && !self.lossless[segment] { level } else { 15 })
        };
        QuantizerParams {
            base_q_idx: quant.base_q_idx,
            delta_q_y_dc: quant.delta_q_y_dc,
            delta_q_u_dc: quant.delta_q_u_dc,
            delta_q_u_ac: quant.delta_q_u_ac,
            delta_q_v_dc: quant.delta_q_v_dc,
            delta_q_v_ac: quant.delta_q_v_ac,
            using_qmatrix: quant.using_qmatrix,
            bit_depth: self.seq.color_config.bit_depth,
            delta_q_present: self.reads_deltas(),
            current_q_index: quant.base_q_idx,
            segmentation_enabled: segments.enabled,
            seg_alt_q_active: segments.segment_feature_active.map(|active| active[SEG_LVL_ALT_Q]),
            seg_alt_q_data: segments.segment_feature_data.map(|data| data[SEG_LVL_ALT_Q]),
            seg_qm_level: [matrix(quant.qm_y), matrix(quant.qm_u), matrix(quant.qm_v)],
        }
    }

    pub fn reads_deltas(&self) -> bool {
        self.frame.delta_q_params.unwrap_or_default().delta_q_present
    }

    /// Of restoration units, where there are any.
    pub fn restoration(&self) -> Option<LrParams> {
        let (subsampling_x, subsampling_y) = self.subsampling(1);
        self.restoration.uses_lr.then(|| LrParams {
            num_planes: self.planes(),
            frame_restoration_type: self.restoration.frame_restoration_type.map(|kind| kind as u8),
            loop_restoration_size: self.restoration.loop_restoration_size,
            subsampling_x,
            subsampling_y,
            frame_height: self.size.frame_height,
            upscaled_width: self.size.upscaled_width,
            use_superres: self.size.use_superres,
            superres_denom: self.size.superres_denom,
            allow_intrabc: self.frame.allow_intrabc,
        })
    }
}
