//! Picture parameter sets (clause 7.3.2.3).

use crate::bits::Bits;
use crate::error::{Error, Result};
use crate::scaling::ScalingList;

/// A picture parameter set.
#[derive(Clone, Debug)]
pub struct Pps {
    /// The number of its sequence parameter set.
    pub sps: usize,
    /// dependent_slice_segments_enabled_flag.
    pub dependent_slices: bool,
    /// output_flag_present_flag.
    pub output_flag: bool,
    /// num_extra_slice_header_bits.
    pub extra_bits: usize,
    /// sign_data_hiding_enabled_flag.
    pub sign_hiding: bool,
    /// cabac_init_present_flag.
    pub cabac_init: bool,
    /// num_ref_idx_l0_default_active_minus1 and that of the other list, with one more.
    pub active: [usize; 2],
    /// Intra blocks are predicted from intra blocks alone.
    pub constrained_intra: bool,
    /// weighted_pred_flag and weighted_bipred_flag.
    pub weighted: [bool; 2],
    /// lists_modification_present_flag.
    pub lists_modified: bool,
    /// Blocks in a square of this side (its logarithm) have the same candidates to merge with.
    pub merge_level: u32,
    /// 26 + init_qp_minus26.
    pub init_qp: i32,
    /// transform_skip_enabled_flag.
    pub transform_skip: bool,
    /// Where quantisers change within a picture: how deep in the coding tree.
    pub qp_delta_depth: Option<u32>,
    /// Of Cb and Cr.
    pub qp_offsets: [i32; 2],
    /// pps_slice_chroma_qp_offsets_present_flag.
    pub slice_qp_offsets: bool,
    /// transquant_bypass_enabled_flag.
    pub bypass: bool,
    /// tiles_enabled_flag, and what follows it.
    pub tiles: Option<Tiles>,
    /// Rows of coding tree blocks begin with the state that the row above had.
    pub wavefront: bool,
    /// loop_filter_across_tiles_enabled_flag.
    pub filter_across_tiles: bool,
    /// pps_loop_filter_across_slices_enabled_flag.
    pub filter_across_slices: bool,
    /// Of slices that say nothing else.
    pub deblocking: Deblocking,
    /// deblocking_filter_override_enabled_flag.
    pub deblocking_override: bool,
    /// In the place of the sequence's.
    pub scaling: Option<Box<ScalingList>>,
    /// slice_segment_header_extension_present_flag.
    pub slice_extension: bool,
}

/// What the deblocking filter goes by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Deblocking {
    /// There is no such filter.
    pub disabled: bool,
    /// slice_beta_offset_div2 times two.
    pub beta_offset: i32,
    /// slice_tc_offset_div2 times two.
    pub tc_offset: i32,
}

impl Deblocking {
    /// A flag, then two offsets.
    pub fn read(bits: &mut Bits) -> Result<Self> {
        if bits.flag()? {
            return Ok(Self { disabled: true, ..Self::default() });
        }
        let (beta, tc) = (bits.se_within(-6, 6)?, bits.se_within(-6, 6)?);
        Ok(Self { disabled: false, beta_offset: 2 * beta, tc_offset: 2 * tc })
    }
}

/// Columns and rows of coding tree blocks that are coded apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tiles {
    /// Tiles across.
    pub columns: usize,
    /// Tiles down.
    pub rows: usize,
    /// Of all but the last: widths and heights, in coding tree blocks; `None` where they are alike.
    pub sizes: Option<(Vec<usize>, Vec<usize>)>,
}

impl Tiles {
    fn read(bits: &mut Bits) -> Result<Self> {
        // What the highest level allows.
        let (columns, rows) = (bits.ue_to(39)? as usize + 1, bits.ue_to(43)? as usize + 1);
        let mut sizes = None;
        if !bits.flag()? {
            let mut sides =
                |count: usize| (1..count).map(|_| Ok(bits.ue_to(1 << 13)? as usize + 1)).collect::<Result<Vec<_>>>();
            sizes = Some((sides(columns)?, sides(rows)?));
        }
        Ok(Self { columns, rows, sizes })
    }

    /// Where tiles begin across and down, and the ends, of a picture of so many coding tree blocks.
    pub fn bounds(&self, width: usize, height: usize) -> Result<(Vec<usize>, Vec<usize>)> {
        let bounds = |count: usize, sizes: Option<&Vec<usize>>, whole: usize| {
            let mut bounds: Vec<usize> = match sizes {
                None => (0..count).map(|i| i * whole / count).collect(),
                Some(sizes) => std::iter::once(0)
                    .chain(sizes.iter().scan(0, |at, size| {
                        *at += size;
                        Some(*at)
                    }))
                    .collect(),
            };
            bounds.push(whole);
            if bounds.windows(2).any(|pair| pair[0] >= pair[1]) {
                return Err(Error::Damaged("a tile has no size"));
            }
            Ok(bounds)
        };
        let sizes = self.sizes.as_ref();
        Ok((
            bounds(self.columns, sizes.map(|sizes| &sizes.0), width)?,
            bounds(self.rows, sizes.map(|sizes| &sizes.1), height)?,
        ))
    }
}

impl Pps {
    /// With its number.
    pub fn read(payload: &[u8]) -> Result<(usize, Self)> {
        let bits = &mut Bits::new(payload);
        let (id, sps) = (bits.ue_to(63)? as usize, bits.ue_to(15)? as usize);
        let (dependent_slices, output_flag) = (bits.flag()?, bits.flag()?);
        let extra_bits = bits.bits(3)? as usize;
        let sign_hiding = bits.flag()?;
        let cabac_init = bits.flag()?;
        let active = [bits.ue_to(14)? as usize + 1, bits.ue_to(14)? as usize + 1];
        let init_qp = 26 + bits.se_within(-74, 25)?;
        let constrained_intra = bits.flag()?;
        let transform_skip = bits.flag()?;
        let qp_delta_depth = if bits.flag()? { Some(bits.ue_to(3)?) } else { None };
        let qp_offsets = [bits.se_within(-12, 12)?, bits.se_within(-12, 12)?];
        let slice_qp_offsets = bits.flag()?;
        let weighted = [bits.flag()?, bits.flag()?];
        let bypass = bits.flag()?;
        let (has_tiles, wavefront) = (bits.flag()?, bits.flag()?);
        let tiles = if has_tiles { Some(Tiles::read(bits)?) } else { None };
        let filter_across_tiles = !has_tiles || bits.flag()?;
        let filter_across_slices = bits.flag()?;
        let mut deblocking = Deblocking::default();
        let mut deblocking_override = false;
        if bits.flag()? {
            deblocking_override = bits.flag()?;
            deblocking = Deblocking::read(bits)?;
        }
        let scaling = if bits.flag()? { Some(Box::new(ScalingList::read(bits)?)) } else { None };
        let lists_modified = bits.flag()?;
        let merge_level = bits.ue_to(4)? + 2;
        let slice_extension = bits.flag()?;
        if bits.flag()? {
            extensions(bits, transform_skip)?;
        }
        #[rustfmt::skip]
        let pps = Self {
            sps, dependent_slices, output_flag, extra_bits, sign_hiding, cabac_init, active, constrained_intra, weighted,
            lists_modified, merge_level, init_qp, transform_skip, qp_delta_depth, qp_offsets, slice_qp_offsets, bypass, tiles, wavefront, filter_across_tiles, filter_across_slices, deblocking,
            deblocking_override, scaling, slice_extension,
        };
        Ok((id, pps))
    }
}

/// Tools of later versions that change how a picture is decoded.
fn extensions(bits: &mut Bits, transform_skip: bool) -> Result<()> {
    let (range, _, three, screen) = (bits.flag()?, bits.flag()?, bits.flag()?, bits.flag()?);
    bits.skip(4)?;
    if range {
        let larger = transform_skip && bits.ue()? != 0;
        let (cross, offsets) = (bits.flag()?, bits.flag()?);
        if larger || cross || offsets || bits.ue()? != 0 || bits.ue()? != 0 {
            return Err(Error::Unsupported("tools of the range extensions"));
        }
    }
    if three || screen {
        return Err(Error::Unsupported("tools of the screen content and 3D extensions"));
    }
    Ok(())
}
