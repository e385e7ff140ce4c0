//! The bytes of a frame's tiles (section 5.11.1).

use oxideav_av1::tile_info::TileInfo;

use crate::error::{Error, Result};

const SHORT: Error = Error::Damaged("a tile ends after the data do");

/// Adds the tiles of a group to `tiles`, which are in their order.
pub fn read<'d>(info: &TileInfo, data: &'d [u8], tiles: &mut Vec<&'d [u8]>) -> Result<()> {
    let many = (info.tile_cols as usize).saturating_mul(info.tile_rows as usize);
    let (mut first, mut last, mut header) = (0, many.saturating_sub(1), 0);
    if many > 1 {
        let bits = info.tile_cols_log2 + info.tile_rows_log2;
        let number = data.iter().take(8).fold(0u64, |number, &byte| number << 8 | u64::from(byte));
        let number = number.checked_shl(8 * (8 - data.len().min(8) as u32)).unwrap_or(0);
        header = 1;
        if number >> 63 == 1 && bits <= 24 {
            let part = |from: u32| ((number << from) >> (64 - bits.max(1))) as usize;
            (first, last) = (part(1), part(1 + bits));
            header = (1 + 2 * bits as usize).div_ceil(8);
        }
    }
    if first != tiles.len() || last < first || last >= many {
        return Err(Error::Damaged("tiles are not in their order"));
    }
    let mut rest = data.get(header..).ok_or(SHORT)?;
    for number in first..=last {
        let mut size = rest.len();
        if number != last {
            let (bytes, after) = rest.split_at_checked(usize::from(info.tile_size_bytes)).ok_or(SHORT)?;
            size = bytes.iter().rev().fold(0usize, |size, &byte| size << 8 | usize::from(byte)) + 1;
            rest = after;
        }
        let (tile, after) = rest.split_at_checked(size).ok_or(SHORT)?;
        if tile.is_empty() {
            return Err(SHORT);
        }
        tiles.try_reserve(1).map_err(|_| Error::OutOfMemory(size_of::<&[u8]>()))?;
        tiles.push(tile);
        rest = after;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_without_all_of_their_bytes() {
        let info = TileInfo::uniform_layout(64, 64, false, 1, 1).expect("four tiles");
        // Of tiles two to three, and of all of them.
        for group in [&[0b1101_1000][..], &[0], &[]] {
            for len in 0..=group.len() {
                let mut tiles = vec![];
                assert!(read(&info, &group[..len], &mut tiles).is_err(), "{group:?} {len}");
            }
        }
        // A flag, three times a size less one, of four bytes, and a tile, then the last one.
        let data = [0, 1, 0, 0, 0, 7, 7, 0, 0, 0, 0, 8, 0, 0, 0, 0, 9, 1];
        let mut tiles = vec![];
        read(&info, &data, &mut tiles).expect("four tiles");
        assert_eq!(tiles, [&[7, 7][..], &[8], &[9], &[1]]);
    }
}
