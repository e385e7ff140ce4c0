//! A frame: its blocks, its filters, and what is kept of it.

use av1_intra::Frame;
use oxideav_av1::cdf::{InterWalkPixels, PartitionWalker, TileCdfContext, TileGeometry};
use oxideav_av1::encoder::tile_group_obu::{ParsedTileGroup, TilePayload, parse_tile_group_obu_body};
use oxideav_av1::inter_pred::get_relative_dist;
use oxideav_av1::symbol_decoder::SymbolDecoder;
use oxideav_av1::tile_info::TileInfo;
use oxideav_av1::uncompressed_header_tail::FilmGrainParams;

use super::filters;
use super::inter::{Referred, primary, specs, stores};
use super::references::{References, SLOTS, Samples, Stored};
use super::walk::Walk;
use crate::Env;
use crate::error::{Error, Result, look};
use crate::header::fault;
use crate::intra;

/// The largest part of a vector that is kept (`REFMVS_LIMIT`).
const LONGEST: i16 = (1 << 12) - 1;

/// `groups`: tile groups, in their order.
pub fn decode(walk: &Walk<'_>, groups: &[&[u8]], references: &References, env: &Env<'_>) -> Result<Stored> {
    let tiles = tiles(walk.tiles, groups)?;
    let (rows, cols) = (walk.size.mi_rows, walk.size.mi_cols);
    let whole = TileGeometry { mi_row_start: 0, mi_row_end: rows, mi_col_start: 0, mi_col_end: cols };
    let mut walker = PartitionWalker::new(rows, cols, whole).ok_or(Error::Av1("a frame has no blocks"))?;
    let referred = if walk.frame.frame_is_intra { None } else { Some(Referred::new(walk, references)?) };
    let cdfs = blocks(walk, &tiles, references, referred.as_ref(), &mut walker, env)?;
    look(env)?;
    let (vectors, referred_to) = vectors(walk, references, referred.as_ref(), &walker);
    let segments = walker.segment_ids().iter().map(|&segment| segment.max(0)).collect();
    let planes = match Frame::new(walk.seq, walk.frame) {
        // What is predicted from no other has an exact decoder.
        Some(frame) => {
            drop(walker);
            let planes = frame.decode(groups, env.go_on).map_err(intra::fault)?;
            planes.iter().map(samples).collect::<Result<_>>()?
        }
        None => {
            let planes = filters::filter(walk, walker)?;
            let shown = planes.iter().enumerate().map(|(plane, raw)| raw.crop(walk.shown(plane)));
            shown.collect::<Result<_>>()?
        }
    };
    Ok(Stored {
        planes,
        grain: grain(walk, references),
        rows,
        cols,
        vectors,
        referred: referred_to,
        segments,
        order_hints: referred.map_or([0; SLOTS], |referred| referred.hints.order_hints_by_ref),
        cdfs,
        is_intra: walk.frame.frame_is_intra,
    })
}

/// Decodes the blocks of all tiles. Returns the probabilities that the frame ends with.
fn blocks(
    walk: &Walk<'_>,
    tiles: &[TilePayload],
    references: &References,
    referred: Option<&Referred>,
    walker: &mut PartitionWalker,
    env: &Env<'_>,
) -> Result<Box<TileCdfContext>> {
    let frame = walk.frame;
    let begin = match primary(walk, references) {
        Some(before) => {
            let mut cdfs = before.cdfs.clone();
            cdfs.zero_counts();
            cdfs
        }
        None if frame.primary_ref_frame != oxideav_av1::frame_header::PRIMARY_REF_NONE => {
            return Err(Error::Av1("a frame begins with the state of one that is not there"));
        }
        None => {
            let mut cdfs = Box::new(TileCdfContext::new_from_defaults());
            cdfs.init_coeff_cdfs(walk.quant.base_q_idx);
            cdfs
        }
    };
    // Of slots that hold nothing.
    let none = Samples { width: 8, height: 8, data: vec![0; 64] };
    let stores = stores(walk.planes(), references, &none);
    let specs = specs(walk, &stores);
    let pixels = referred.map(|referred| InterWalkPixels {
        ref_frame_idx: referred.refs.ref_frame_idx,
        bit_depth: walk.seq.color_config.bit_depth,
        plane_refs: &specs,
        order_hints: referred.hints,
    });
    let context = referred.map(|referred| {
        let mut context = referred.context(walk);
        context.pixels = pixels.as_ref();
        context
    });
    let (params, quantizer, restoration) = (walk.params(), walk.quantizer(), walk.restoration());
    let mut end = None;
    let across = walk.tiles.tile_cols.max(1) as usize;
    for (i, tile) in tiles.iter().enumerate() {
        look(env)?;
        let (row, col) = (i / across, i % across);
        walker.begin_tile(TileGeometry {
            mi_row_start: walk.tiles.mi_row_starts[row],
            mi_row_end: walk.tiles.mi_row_starts[row + 1],
            mi_col_start: walk.tiles.mi_col_starts[col],
            mi_col_end: walk.tiles.mi_col_starts[col + 1],
        });
        walker.set_current_q_index(i32::from(walk.quant.base_q_idx));
        let mut symbols =
            SymbolDecoder::init_symbol(&tile.bytes, tile.bytes.len(), frame.disable_cdf_update).map_err(fault)?;
        let mut cdfs = begin.clone();
        walker
            .decode_tile_syntax_with_lr(
                &mut symbols,
                &mut cdfs,
                &params,
                restoration.as_ref(),
                context.as_ref(),
                &quantizer,
                walk.reads_deltas(),
            )
            .map_err(fault)?;
        if !frame.disable_frame_end_update_cdf && i == walk.tiles.context_update_tile_id as usize {
            end = Some(cdfs);
        }
    }
    Ok(end.unwrap_or(begin))
}

/// All tiles of a frame, one after the other.
fn tiles(info: &TileInfo, groups: &[&[u8]]) -> Result<Vec<TilePayload>> {
    const MISSING: Error = Error::Av1("a tile is missing");
    let log2 = |many: u32| many.max(1).next_power_of_two().ilog2();
    let many = info.tile_cols * info.tile_rows;
    let mut tiles = Vec::new();
    for group in groups {
        let sizes = (log2(info.tile_cols), log2(info.tile_rows), u32::from(info.tile_size_bytes));
        let ParsedTileGroup { tg_start, tiles: more, .. } =
            parse_tile_group_obu_body(group, many, sizes.0, sizes.1, sizes.2).map_err(fault)?;
        if tg_start as usize != tiles.len() {
            return Err(MISSING);
        }
        tiles.extend(more);
    }
    if tiles.len() == many as usize { Ok(tiles) } else { Err(MISSING) }
}

/// Of each block the vector that later frames go by, and what it refers to (section 7.19).
fn vectors(
    walk: &Walk<'_>,
    references: &References,
    referred: Option<&Referred>,
    walker: &PartitionWalker,
) -> (Vec<i16>, Vec<i8>) {
    let cells = walk.size.mi_rows as usize * walk.size.mi_cols as usize;
    let (mut vectors, mut kept) = (vec![0; 2 * cells], vec![-1; cells]);
    let Some(referred) = referred else { return (vectors, kept) };
    let is_before = |to: i8| {
        let slot = usize::try_from(to - 1).ok().and_then(|i| referred.refs.ref_frame_idx.get(i).copied());
        slot.is_some_and(|slot| {
            let hint = references.info.order_hint[usize::from(slot) % SLOTS] as i32;
            get_relative_dist(hint, walk.frame.order_hint as i32, walk.hint_bits()) < 0
        })
    };
    let before: [bool; SLOTS] = std::array::from_fn(|to| to > 0 && is_before(to as i8));
    let theirs = walker.ref_frames().chunks_exact(2).zip(walker.mvs().chunks_exact(4));
    for ((to, from), (vector, kept)) in theirs.zip(vectors.chunks_exact_mut(2).zip(&mut kept)) {
        for (&to, part) in to.iter().zip(from.chunks_exact(2)) {
            let before = usize::try_from(to).ok().and_then(|to| before.get(to).copied()).unwrap_or_default();
            if before && part.iter().all(|part| part.unsigned_abs() <= LONGEST as u16) {
                *kept = to;
                vector.copy_from_slice(part);
            }
        }
    }
    (vectors, kept)
}

/// The grain that is put upon it as it is shown.
fn grain(walk: &Walk<'_>, references: &References) -> Option<FilmGrainParams> {
    let own = walk.frame.film_grain_params.as_ref().filter(|grain| grain.apply_grain)?;
    if !own.predicted {
        return Some(own.clone());
    }
    let from = references.slots.get(usize::from(own.film_grain_params_ref_idx))?.as_ref()?;
    let mut grain = from.grain.clone()?;
    grain.grain_seed = own.grain_seed;
    grain.apply_grain = true;
    Some(grain)
}

fn samples(plane: &av1_intra::Plane) -> Result<Samples> {
    let (width, height) = (plane.width(), plane.height());
    let mut data = Vec::new();
    data.try_reserve_exact(width * height).map_err(|_| Error::OutOfMemory(2 * width * height))?;
    for y in 0..height {
        data.extend_from_slice(plane.row(y));
    }
    Ok(Samples { width: width as u32, height: height as u32, data })
}
