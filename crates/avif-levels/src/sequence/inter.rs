//! What a frame that is predicted from others is told of them (sections 5.9.2, 7.8 and 7.9).

use oxideav_av1::cdf::{FrameInterOrderHints, InterFrameContext, MotionFieldMvs};
use oxideav_av1::frame_header::{InterFrameRefs, PRIMARY_REF_NONE};
use oxideav_av1::inter_pred::{
    PlaneRefSpec, REF_SCALE_SHIFT, RefFrameStoreEntry, get_relative_dist, motion_field_estimation_core,
};

use super::references::{References, SLOTS, Samples, Stored};
use super::walk::Walk;
use crate::error::{Error, Result};

/// Frames that one refers to.
const REFERRED: usize = 7;

/// How the frames that are referred to lie in time, and whether they have another size.
pub struct Referred {
    pub refs: InterFrameRefs,
    pub hints: FrameInterOrderHints,
    pub motion: MotionFieldMvs,
    behind: [i32; SLOTS],
    scaled: [bool; REFERRED],
    /// Segments of the frame before; `None` where there are no segments.
    segments: Option<Vec<i32>>,
}

impl Referred {
    pub fn new(walk: &Walk<'_>, references: &References) -> Result<Self> {
        let refs = walk.frame.inter_refs.ok_or(Error::Av1("a frame's header is not whole"))?;
        let bits = walk.hint_bits();
        let current = walk.frame.order_hint as i32;
        let (mut hints, mut behind, mut scaled) = ([0; SLOTS], [0; SLOTS], [false; REFERRED]);
        for (i, &slot) in refs.ref_frame_idx.iter().enumerate() {
            let slot = usize::from(slot) % SLOTS;
            hints[i + 1] = references.info.order_hint[slot] as i32;
            behind[i + 1] = i32::from(get_relative_dist(hints[i + 1], current, bits) > 0);
            let scale = |theirs: u32, ours: u32| {
                let ours = u64::from(ours.max(1));
                ((u64::from(theirs) << REF_SCALE_SHIFT) + ours / 2) / ours
            };
            let across = scale(references.info.upscaled_width[slot], walk.size.frame_width);
            let down = scale(references.info.frame_height[slot], walk.size.frame_height);
            scaled[i] = [across, down] != [1 << REF_SCALE_SHIFT; 2];
        }
        let (rows, cols) = (walk.size.mi_rows, walk.size.mi_cols);
        let motion = if refs.use_ref_frame_mvs {
            let slots = std::array::from_fn(|i| references.slots[i].as_ref().map(|stored| stored.motion()));
            motion_field_estimation_core(&slots, &refs.ref_frame_idx, &hints, current, bits, rows, cols)
        } else {
            MotionFieldMvs::new_invalid(rows, cols)
        };
        let hints =
            FrameInterOrderHints { order_hint_bits: bits, current_order_hint: current, order_hints_by_ref: hints };
        let segments = walk.segments.enabled.then(|| {
            let cells = rows as usize * cols as usize;
            let before = primary(walk, references).filter(|before| (before.rows, before.cols) == (rows, cols));
            before.map(|before| before.segments.clone()).filter(|all| all.len() == cells).unwrap_or(vec![0; cells])
        });
        Ok(Self { refs, hints, motion, behind, scaled, segments })
    }

    /// All but the samples.
    pub fn context(&self, walk: &Walk<'_>) -> InterFrameContext<'_> {
        let (seq, frame, segments) = (walk.seq, walk.frame, &walk.segments);
        let mut context = InterFrameContext::identity_default(&self.motion);
        context.segmentation_update_map = segments.update_map;
        context.segmentation_temporal_update = segments.temporal_update;
        context.seg_feature_active = segments.segment_feature_active;
        context.seg_feature_data = segments.segment_feature_data;
        context.prev_segment_ids = self.segments.as_deref();
        context.skip_mode_present = frame.skip_mode_present.unwrap_or_default();
        if let Some(pair) = frame.skip_mode_frame {
            context.skip_mode_frame = pair.map(i32::from);
        }
        context.reference_select = frame.reference_select.unwrap_or_default();
        if let Some(motion) = &frame.global_motion_params {
            context.gm_type = motion.gm_type.map(|kind| kind as i32);
            context.gm_params = motion.gm_params;
        }
        context.ref_frame_sign_bias = self.behind;
        context.allow_high_precision_mv = self.refs.allow_high_precision_mv;
        context.force_integer_mv = frame.force_integer_mv;
        context.use_ref_frame_mvs = self.refs.use_ref_frame_mvs;
        context.is_motion_mode_switchable = self.refs.is_motion_mode_switchable;
        context.allow_warped_motion = frame.allow_warped_motion.unwrap_or_default();
        context.is_scaled_per_ref = self.scaled;
        context.enable_interintra_compound = seq.enable_interintra_compound;
        context.enable_masked_compound = seq.enable_masked_compound;
        context.enable_jnt_comp = seq.enable_jnt_comp;
        context.order_hints = self.hints;
        context.interpolation_filter = self.refs.interpolation_filter as u8;
        context.enable_dual_filter = seq.enable_dual_filter;
        context
    }
}

/// The frame whose state one begins with.
pub fn primary<'r>(walk: &Walk<'_>, references: &'r References) -> Option<&'r Stored> {
    let frame = walk.frame;
    if frame.primary_ref_frame == PRIMARY_REF_NONE {
        return None;
    }
    let slot = *frame.inter_refs.as_ref()?.ref_frame_idx.get(usize::from(frame.primary_ref_frame))?;
    references.slots.get(usize::from(slot))?.as_deref()
}

/// Of each plane the samples of all slots. Sizes are those of luma, as the library wants them.
pub fn stores<'r>(
    planes: usize,
    references: &'r References,
    none: &'r Samples,
) -> Vec<[RefFrameStoreEntry<'r>; SLOTS]> {
    let store = |plane: usize, slot: usize| {
        let kept = references.slots[slot].as_ref();
        let (luma, samples) =
            kept.and_then(|kept| kept.planes.first().zip(kept.planes.get(plane))).unwrap_or((none, none));
        RefFrameStoreEntry {
            plane: &samples.data,
            stride: samples.width as usize,
            upscaled_width: luma.width,
            width: luma.width,
            height: luma.height,
        }
    };
    (0..planes).map(|plane| std::array::from_fn(|slot| store(plane, slot))).collect()
}

pub fn specs<'r>(walk: &Walk<'_>, stores: &'r [[RefFrameStoreEntry<'r>; SLOTS]]) -> Vec<PlaneRefSpec<'r>> {
    let spec = |(plane, store): (usize, &'r [RefFrameStoreEntry<'r>; SLOTS])| {
        let (subsampling_x, subsampling_y) = walk.subsampling(plane);
        PlaneRefSpec {
            plane: plane as u8,
            subsampling_x,
            subsampling_y,
            frame_store: store,
            frame_width: walk.size.frame_width,
            frame_height: walk.size.frame_height,
        }
    };
    stores.iter().enumerate().map(spec).collect()
}
