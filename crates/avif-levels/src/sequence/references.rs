//! Frames that later ones may refer to (sections 7.20 and 7.21).

use std::sync::Arc;

use oxideav_av1::cdf::TileCdfContext;
use oxideav_av1::frame_header::{FrameHeader, FrameType, RefInfo};
use oxideav_av1::inter_pred::MotionFieldSlot;
use oxideav_av1::uncompressed_header_tail::FilmGrainParams;

/// Slots that there are.
pub const SLOTS: usize = 8;

/// Samples of a plane.
#[derive(Debug, Default)]
pub struct Samples {
    pub width: u32,
    pub height: u32,
    pub data: Vec<u16>,
}

/// What is kept of a frame.
#[derive(Debug)]
pub struct Stored {
    /// Without grain.
    pub planes: Vec<Samples>,
    pub grain: Option<FilmGrainParams>,
    /// Blocks of 4 x 4 luma samples.
    pub rows: u32,
    pub cols: u32,
    /// Of each block a vector, what it refers to, and its segment.
    pub vectors: Vec<i16>,
    pub referred: Vec<i8>,
    pub segments: Vec<i32>,
    /// Of what it refers to.
    pub order_hints: [i32; SLOTS],
    pub cdfs: Box<TileCdfContext>,
    pub is_intra: bool,
}

impl Stored {
    pub fn motion(&self) -> MotionFieldSlot<'_> {
        MotionFieldSlot {
            mf_mvs: &self.vectors,
            mf_ref_frames: &self.referred,
            saved_order_hints: self.order_hints,
            mi_rows: self.rows,
            mi_cols: self.cols,
            frame_is_intra: self.is_intra,
        }
    }
}

#[derive(Default)]
pub struct References {
    /// What headers are read by.
    pub info: RefInfo,
    pub slots: [Option<Arc<Stored>>; SLOTS],
}

impl References {
    /// Puts a frame where its header wants it.
    pub fn store(&mut self, header: &FrameHeader, stored: &Arc<Stored>) {
        let Some(size) = &header.frame_size else { return };
        let default = RefInfo::default();
        let info = &mut self.info;
        for i in slots(header.refresh_frame_flags) {
            info.valid[i] = true;
            info.order_hint[i] = header.order_hint;
            info.frame_id[i] = header.current_frame_id;
            info.upscaled_width[i] = size.upscaled_width;
            info.frame_height[i] = size.frame_height;
            info.render_width[i] = size.render_width;
            info.render_height[i] = size.render_height;
            info.frame_type_is_key[i] = header.frame_type == FrameType::Key;
            info.saved_gm_params[i] =
                header.global_motion_params.as_ref().map_or(default.saved_gm_params[i], |motion| motion.gm_params);
            let filter = header.loop_filter_params.as_ref();
            info.saved_lf_ref_deltas[i] =
                filter.map_or(default.saved_lf_ref_deltas[i], |filter| filter.loop_filter_ref_deltas);
            info.saved_lf_mode_deltas[i] =
                filter.map_or(default.saved_lf_mode_deltas[i], |filter| filter.loop_filter_mode_deltas);
            let segments = header.segmentation_params.as_ref();
            info.saved_seg_feature_active[i] =
                segments.map_or(default.saved_seg_feature_active[i], |segments| segments.segment_feature_active);
            info.saved_seg_feature_data[i] =
                segments.map_or(default.saved_seg_feature_data[i], |segments| segments.segment_feature_data);
            self.slots[i] = Some(Arc::clone(stored));
        }
    }

    /// Puts a key frame that is shown once more into other slots.
    pub fn reload(&mut self, from: usize, flags: u8) {
        let info = &mut self.info;
        for i in slots(flags) {
            info.valid[i] = true;
            info.order_hint[i] = info.order_hint[from];
            info.frame_id[i] = info.frame_id[from];
            info.upscaled_width[i] = info.upscaled_width[from];
            info.frame_height[i] = info.frame_height[from];
            info.render_width[i] = info.render_width[from];
            info.render_height[i] = info.render_height[from];
            info.frame_type_is_key[i] = info.frame_type_is_key[from];
            info.saved_gm_params[i] = info.saved_gm_params[from];
            info.saved_lf_ref_deltas[i] = info.saved_lf_ref_deltas[from];
            info.saved_lf_mode_deltas[i] = info.saved_lf_mode_deltas[from];
            info.saved_seg_feature_active[i] = info.saved_seg_feature_active[from];
            info.saved_seg_feature_data[i] = info.saved_seg_feature_data[from];
            self.slots[i] = self.slots[from].clone();
        }
    }
}

fn slots(flags: u8) -> impl Iterator<Item = usize> {
    (0..SLOTS).filter(move |i| flags >> i & 1 == 1)
}
