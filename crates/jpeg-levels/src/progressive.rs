//! Blocks of progressive scans in Huffman coding. Follows `jdphuff.c`.

use crate::bits::Bits;
use crate::block::Block;
use crate::coder::Band;
use crate::huffman::{Next, Table};

/// `decode_mcu_DC_first` of `jdphuff.c`. `last`: the component's DC coefficient before.
#[inline(always)]
pub fn dc_first(bits: &mut Bits, table: &Table, last: &mut i32, low: u32, mut block: Block<'_>) {
    bits.refill();
    *last = last.wrapping_add(table.difference(bits));
    block.set(0, (*last << low) as i16);
}

/// `decode_mcu_DC_refine`: one more bit.
#[inline(always)]
pub fn dc_refine(bits: &mut Bits, low: u32, mut block: Block<'_>) {
    if bits.next_bit() {
        block.set(0, block.get(0) | 1 << low);
    }
}

/// `decode_mcu_AC_first`. `end_run`: blocks to come without coefficients in this band.
#[inline(always)]
pub fn ac_first(state: &mut Bits, table: &Table, band: Band, end_run: &mut u32, mut block: Block<'_>) {
    if *end_run > 0 {
        *end_run -= 1;
        return;
    }
    let mut bits = *state;
    let mut k = band.first;
    while k <= band.last {
        bits.refill();
        match table.next(&mut bits) {
            Next::Value { run, value } => {
                k += run;
                block.set(k, (value << band.low) as i16);
                k += 1;
            }
            Next::Run(15) => k += 16,
            Next::Run(size) => {
                *end_run = blocks(&mut bits, size) - 1;
                break;
            }
        }
    }
    *state = bits;
}

/// How many blocks a run of blocks without new coefficients has, this one among them.
fn blocks(bits: &mut Bits, size: u32) -> u32 {
    if size == 0 {
        return 1;
    }
    bits.refill();
    (1 << size) + bits.take(size)
}

/// `decode_mcu_AC_refine`: one more bit of known coefficients, and new ones between them.
#[inline(always)]
pub fn ac_refine(state: &mut Bits, table: &Table, band: Band, end_run: &mut u32, mut block: Block<'_>) {
    let mut bits = *state;
    let one = 1i16 << band.low;
    let present = block.present();
    let all = u64::MAX >> (63 - band.last);
    let mut k = band.first;
    if *end_run == 0 {
        while k <= band.last {
            bits.refill();
            // A new coefficient has one bit, its sign, whatever its symbol says of its size.
            let (run, new) = match table.symbol(&mut bits) {
                (15, 0) => (15, 0),
                (size, 0) => {
                    *end_run = blocks(&mut bits, size);
                    break;
                }
                (run, size) => {
                    bits.bad_code |= size != 1;
                    (run, if bits.bit() { one } else { -one })
                }
            };
            // Over so many zeros, and the coefficients between them.
            let mut zeros = !present & all & u64::MAX << k;
            for _ in 0..run {
                zeros &= zeros.wrapping_sub(1);
            }
            let end = (zeros.trailing_zeros() as usize).min(band.last + 1);
            refine(&mut bits, &mut block, present & bits_of(k, end), one);
            if new != 0 {
                block.set(end, new);
            }
            k = end + 1;
        }
    }
    if *end_run > 0 {
        refine(&mut bits, &mut block, present & bits_of(k, band.last + 1), one);
        *end_run -= 1;
    }
    *state = bits;
}

/// Bits from a place up to another one, which is 64 at most.
#[inline(always)]
fn bits_of(from: usize, end: usize) -> u64 {
    if from < end { (u64::MAX << from) & (u64::MAX >> (64 - end)) } else { 0 }
}

/// A bit for each of these coefficients: one that is set moves it away from zero, unless it has moved already.
#[inline(always)]
fn refine(bits: &mut Bits, block: &mut Block<'_>, mut places: u64, one: i16) {
    while places != 0 {
        bits.refill();
        let count = places.count_ones().min(32);
        let mut moves = bits.take(count) << (32 - count);
        for _ in 0..count {
            let k = places.trailing_zeros() as usize;
            places &= places - 1;
            let value = block.get(k);
            let step = if value >= 0 { one } else { -one };
            let moved = moves >> 31 == 1 && value & one == 0;
            block.set(k, value.wrapping_add(if moved { step } else { 0 }));
            moves <<= 1;
        }
    }
}
