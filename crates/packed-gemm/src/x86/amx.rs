//! Tiles of AMX: 16 rows of 64 bytes in each of eight registers, and products of two of them in one instruction.
//!
//! Left-hand sides are stored as tiles, of 1 KiB each. 16 words of each column of a panel, as it is stored, are tiles
//! already: rows of 64 bytes, 64 words apart. The intrinsics are not stable yet, so the instructions
//! are written out.

use std::arch::asm;
use std::arch::x86_64::*;
use std::mem::MaybeUninit;
use std::sync::OnceLock;

use super::{V4, avx512_bf16, v4};
use crate::format::LINE;
use crate::tile::{COLUMNS, Int8, Operands, Part, QUADS, Sums, TILE};

/// Words of a tile's row, and rows of a tile.
const WORDS: usize = LINE;
/// Columns whose sums two tiles hold.
const HALF: usize = 2 * WORDS;

/// Of the next panel, for few rows: by more of them its own reading is disturbed.
const FIRST_LINES: usize = 32;

/// The shapes of the eight registers.
#[repr(C, align(64))]
struct Configuration {
    palette: u8,
    start_row: u8,
    reserved: [u8; 14],
    row_bytes: [u16; 16],
    rows: [u8; 16],
}

/// What begins at a cache line.
#[repr(align(64))]
struct Line<T>(T);

static ZERO: Line<[u32; WORDS]> = Line([0; WORDS]);

/// All of them whole: what is not there is read all the same, and its sums go nowhere.
static WHOLE: Configuration = Configuration {
    palette: 1,
    start_row: 0,
    reserved: [0; 14],
    row_bytes: [64, 64, 64, 64, 64, 64, 64, 64, 0, 0, 0, 0, 0, 0, 0, 0],
    rows: [16, 16, 16, 16, 16, 16, 16, 16, 0, 0, 0, 0, 0, 0, 0, 0],
};

/// The registers while they are in use. Cleared afterwards: the kernel saves them for a thread that has them.
struct Tiles(());

impl Tiles {
    /// # Safety
    /// The machine has AMX, and the process the permission to use it.
    #[inline]
    unsafe fn new() -> Self {
        // SAFETY: a valid configuration of 64 bytes.
        unsafe { asm!("ldtilecfg [{}]", in(reg) &raw const WHOLE, options(nostack, preserves_flags, readonly)) };
        Self(())
    }
}

impl Drop for Tiles {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: they were configured.
        unsafe { asm!("tilerelease", options(nostack, preserves_flags, nomem)) };
    }
}

/// The compiler has no use for the registers, so that they keep what is in them from one of these to the next.
macro_rules! zero {
    ($($t:literal)*) => { asm!($(concat!("tilezero tmm", $t)),*, options(nostack, preserves_flags, nomem)) };
}
/// 16 rows of 64 bytes, so many bytes apart.
macro_rules! load {
    ($t:literal, $at:expr, $stride:expr) => {
        asm!(concat!("tileloadd tmm", $t, ", [{} + {}]"), in(reg) $at, in(reg) $stride,
            options(nostack, preserves_flags, readonly))
    };
}
/// 16 rows of 64 bytes that are not read again soon: they need not drive out of the first cache what is.
macro_rules! stream {
    ($t:literal, $at:expr, $stride:expr) => {
        asm!(concat!("tileloaddt1 tmm", $t, ", [{} + {}]"), in(reg) $at, in(reg) $stride,
            options(nostack, preserves_flags, readonly))
    };
}
macro_rules! store {
    ($t:literal, $at:expr, $stride:expr) => {
        asm!(concat!("tilestored [{} + {}], tmm", $t), in(reg) $at, in(reg) $stride, options(nostack, preserves_flags))
    };
}
/// Adds a product of rows and weights to sums.
macro_rules! dot {
    ($instruction:literal, $sums:literal, $x:literal, $w:literal) => {
        asm!(concat!($instruction, " tmm", $sums, ", tmm", $x, ", tmm", $w), options(nostack, preserves_flags, nomem))
    };
}

/// Adds a product of rows and weights to sums, of integers or of pairs of bf16.
macro_rules! multiply {
    ($int8:expr, $sums:literal, $x:literal, $w:literal) => {
        if $int8 { dot!("tdpbssd", $sums, $x, $w) } else { dot!("tdpbf16ps", $sums, $x, $w) }
    };
}

/// Rows whose sums have left the tiles, to be finished while those multiply the next ones.
struct Behind<'a> {
    part: &'a Part<'a>,
    sums: &'a mut Sums,
    /// The first one.
    row: usize,
    scales: Option<&'a [f32; COLUMNS]>,
    simd: V4,
    /// The sums are integers, and this is what those of each row are in units of.
    row_scales: Option<&'a [f32]>,
}

impl Behind<'_> {
    #[inline(always)]
    fn one(&mut self) {
        if let Some((sums, rest)) = std::mem::take(&mut self.sums).split_first_mut() {
            self.finish(sums);
            self.sums = rest;
        }
    }

    #[inline(always)]
    fn all(mut self) {
        for sums in std::mem::take(&mut self.sums) {
            self.finish(sums);
        }
    }

    #[inline(always)]
    fn finish(&mut self, sums: &mut [f32; COLUMNS]) {
        if let (Some(scales), true) = (self.row_scales, self.part.last) {
            let scale = scales[self.row];
            for sum in sums.iter_mut() {
                *sum = sum.to_bits().cast_signed() as f32 * scale;
            }
        }
        self.part.finish::<_, true>(self.simd, std::slice::from_mut(sums), self.row, self.scales);
        self.row += 1;
    }
}

/// Goes through the rows, two tiles of them at a time.
macro_rules! tiles {
    ($part:expr, $sums:expr, $scales:expr, $row_scales:expr, |$row:ident, $tile:ident, $ahead:ident, $behind:ident| $kernel:ident$(::<$int8:literal>)?($($argument:expr),*)) => {{
        let (part, sums): (&Part, &mut Sums) = ($part, $sums);
        let rows = part.job.rows;
        let blocks = rows.div_ceil(2 * TILE);
        let mut before = 0..0;
        for block in 0..blocks {
            let $row = block * 2 * TILE;
            let count = (rows - $row).min(2 * TILE);
            // Two places take turns.
            let at = part.place($row, 4 * TILE);
            let [$tile, sums] = sums
                .get_disjoint_mut([at..at + count.next_multiple_of(TILE), before])
                .expect("places of different blocks");
            let row = $row.saturating_sub(2 * TILE);
            let $behind = Behind { part, sums, row, scales: $scales, row_scales: $row_scales, simd: v4() };
            // For few rows the processor's own prefetching does better: there is little to hide it behind.
            let $ahead = if rows > TILE { part.share_of_ahead(block, blocks) } else { &[] };
            $kernel$(::<$int8>)?($($argument),*);
            before = at..at + count;
        }
        if rows <= TILE {
            // The next panel begins to come while these are finished.
            Ahead::new(&part.ahead[..part.ahead.len().min(FIRST_LINES * WORDS)], 1).fetch();
        }
        let row = blocks.saturating_sub(1) * 2 * TILE;
        Behind { part, sums: &mut sums[before], row, scales: $scales, row_scales: $row_scales, simd: v4() }.all();
    }};
}

/// Sums of a part by the kernel of that name, f32 by AVX-512. Callable where
/// [`Kernel::runs_here`](crate::Kernel::runs_here) says so.
#[target_feature(enable = "avx512f,avx512bw,avx512cd,avx512dq,avx512vl,avx512bf16,avx512vnni,avx2,fma")]
pub fn amx(part: &Part, sums: &mut Sums) {
    let add = part.add;
    match part.operands {
        Operands::Bf16 { x, stride, panel } => {
            // SAFETY: `Kernel::Amx` runs here, as `Part::run` has asserted.
            let tiles = unsafe { Tiles::new() };
            tiles!(part, sums, None, None, |row, tile, ahead, behind| totals::<false>(
                &tiles,
                &x[row * stride..],
                stride,
                panel.values,
                panel.steps(),
                ahead,
                behind,
                add,
                tile
            ));
        }
        Operands::Int8(operands) => {
            // SAFETY: the same.
            let tiles = unsafe { Tiles::new() };
            let scales = Some(operands.column_scales);
            if operands.scale_stride == 1 {
                tiles!(part, sums, scales, Some(operands.scales), |row, tile, ahead, behind| totals::<true>(
                    &tiles,
                    &operands.x[row * operands.stride..],
                    operands.stride,
                    operands.panel,
                    operands.quads,
                    ahead,
                    behind,
                    add,
                    tile
                ));
                return;
            }
            tiles!(part, sums, scales, None, |row, tile, ahead, behind| blocks(
                &tiles,
                row,
                part.job.rows - row,
                &operands,
                ahead,
                behind,
                add,
                tile
            ));
        }
        _ => avx512_bf16(part, sums),
    }
}

/// One or two tiles of rows, of pairs of bf16 or, `INT8`, of integers whose sums stay integers.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512cd,avx512dq,avx512vl,avx512bf16,avx512vnni,avx2,fma")]
#[allow(clippy::too_many_arguments)]
fn totals<const INT8: bool>(
    _: &Tiles,
    x: &[u32],
    stride: usize,
    panel: &[u32],
    steps: usize,
    ahead: &[u32],
    mut behind: Behind,
    add: bool,
    tile: &mut Sums,
) {
    let whole = steps / WORDS * WORDS;
    // A block of integers is a tile's row; the panel has a line of their sums before each.
    let lines = if INT8 { steps.div_ceil(WORDS) } else { 0 };
    assert!(x.len() >= (tile.len() - TILE) * stride + TILE * steps.next_multiple_of(WORDS));
    assert!(panel.len() == (steps + lines) * COLUMNS);
    assert!(tile.len() == TILE || tile.len() == 2 * TILE);
    let mut ahead = Ahead::new(ahead, 2 * steps.div_ceil(WORDS));
    let rest = (whole < steps).then(|| rest(&panel[(whole + lines) * COLUMNS..]));
    for column in [0, HALF] {
        let sums: *mut f32 = tile.as_mut_ptr().cast::<f32>().wrapping_add(column);
        let second = sums.wrapping_add(TILE * COLUMNS);
        let two = tile.len() == 2 * TILE;
        // SAFETY: the assertions above: `tile` has one or two times 16 rows of 64 sums, and each step is a tile of as many
        // rows and 16 × 64 words of the panel.
        unsafe {
            zero!(0 1 2 3);
            if add {
                load!(0, sums, 4 * COLUMNS);
                load!(1, sums.add(WORDS), 4 * COLUMNS);
                if two {
                    load!(2, second, 4 * COLUMNS);
                    load!(3, second.add(WORDS), 4 * COLUMNS);
                }
            }
            for s in (0..steps).step_by(WORDS) {
                let w: *const u32 = match &rest {
                    Some(rest) if s == whole => rest.0.as_ptr(),
                    _ => panel.as_ptr().add(if INT8 { s + s / WORDS + 1 } else { s } * COLUMNS),
                };
                let (x, w) = (x.as_ptr().add(TILE * s), w.add(column));
                load!(4, x, 4 * WORDS);
                stream!(6, w, 4 * COLUMNS);
                multiply!(INT8, 0, 4, 6);
                stream!(7, w.add(WORDS), 4 * COLUMNS);
                multiply!(INT8, 1, 4, 7);
                if two {
                    load!(5, x.add(TILE * stride), 4 * WORDS);
                    multiply!(INT8, 2, 5, 6);
                    multiply!(INT8, 3, 5, 7);
                }
                ahead.fetch();
                behind.one();
            }
            store!(0, sums, 4 * COLUMNS);
            store!(1, sums.add(WORDS), 4 * COLUMNS);
            if two {
                store!(2, second, 4 * COLUMNS);
                store!(3, second.add(WORDS), 4 * COLUMNS);
            }
        }
    }
    behind.all();
}

/// Integers with a scale for each 64 of a row, for `count` rows or as many as the tiles have. A block of 64 is a step; its
/// sums leave the tile to be multiplied by the scale of each row.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512cd,avx512dq,avx512vl,avx512bf16,avx512vnni,avx2,fma")]
#[allow(clippy::too_many_arguments)]
fn blocks(
    _: &Tiles,
    row: usize,
    count: usize,
    operands: &Int8,
    ahead: &[u32],
    mut behind: Behind,
    add: bool,
    tile: &mut Sums,
) {
    let Int8 { stride, scale_stride, quads, panel, .. } = *operands;
    let (x, scales) = (&operands.x[row * stride..], &operands.scales[row * scale_stride..]);
    let (blocks, whole) = (quads.div_ceil(QUADS), quads / QUADS);
    assert!(x.len() >= (tile.len() - TILE) * stride + TILE * quads.next_multiple_of(WORDS));
    assert!(tile.len().is_multiple_of(TILE));
    assert!(scales.len() >= (tile.len() - 1) * scale_stride + blocks);
    assert!(panel.len() == (quads + blocks) * COLUMNS);
    let mut ahead = Ahead::new(ahead, tile.len() / TILE * blocks);
    let rest = (whole < blocks).then(|| rest(&panel[(whole * (QUADS + 1) + 1) * COLUMNS..]));
    for (first, tile) in tile.chunks_exact_mut(TILE).enumerate() {
        let scales = scales[first * TILE * scale_stride..].as_ptr();
        let count = TILE.min(count - first * TILE);
        let mut sums = MaybeUninit::<Line<[[[i32; COLUMNS]; TILE]; 2]>>::uninit();
        let sums: *mut [[i32; COLUMNS]; TILE] = sums.as_mut_ptr().cast();
        // While the tiles multiply a block, the sums of the one before are scaled.
        for block in 0..=blocks {
            // SAFETY: `tile` is 16 rows of 64 values; by the assertions above each block has a tile of as many rows of
            // `x`, their scales, and after 64 sums 16 × 64 words of the panel.
            unsafe {
                if block < blocks {
                    let w: *const u32 = match &rest {
                        Some(rest) if block == whole => rest.0.as_ptr(),
                        _ => panel.as_ptr().add((block * (QUADS + 1) + 1) * COLUMNS),
                    };
                    let x = x.as_ptr().add(TILE * (first * stride + block * QUADS));
                    // Not `tilezero`: products with a tile that it cleared wait for each other.
                    load!(0, ZERO.0.as_ptr(), 0usize);
                    load!(1, ZERO.0.as_ptr(), 0usize);
                    load!(2, ZERO.0.as_ptr(), 0usize);
                    load!(3, ZERO.0.as_ptr(), 0usize);
                    load!(4, x, 4 * WORDS);
                    load!(5, w, 4 * COLUMNS);
                    dot!("tdpbssd", 0, 4, 5);
                    load!(6, w.add(WORDS), 4 * COLUMNS);
                    dot!("tdpbssd", 1, 4, 6);
                    load!(7, w.add(2 * WORDS), 4 * COLUMNS);
                    dot!("tdpbssd", 2, 4, 7);
                    load!(5, w.add(3 * WORDS), 4 * COLUMNS);
                    dot!("tdpbssd", 3, 4, 5);
                    let sums = sums.add(block % 2).cast::<i32>();
                    store!(0, sums, 4 * COLUMNS);
                    store!(1, sums.add(WORDS), 4 * COLUMNS);
                    store!(2, sums.add(2 * WORDS), 4 * COLUMNS);
                    store!(3, sums.add(3 * WORDS), 4 * COLUMNS);
                }
                if block > 0 {
                    let sums = sums.add((block - 1) % 2).cast::<i32>();
                    for i in 0..count {
                        let scale = _mm512_set1_ps(*scales.add(i * scale_stride + block - 1));
                        for j in 0..4 {
                            let sum = _mm512_cvtepi32_ps(_mm512_loadu_si512(sums.add(i * COLUMNS + 16 * j).cast()));
                            let at = tile[i].as_mut_ptr().add(16 * j);
                            let total = if block > 1 || add { _mm512_loadu_ps(at) } else { _mm512_setzero_ps() };
                            _mm512_storeu_ps(at, _mm512_fmadd_ps(sum, scale, total));
                        }
                    }
                    ahead.fetch();
                    behind.one();
                }
            }
        }
    }
    behind.all();
}

/// The last words of a panel, which fill no tile, filled up with zeros. Those of rows are.
fn rest(words: &[u32]) -> Line<[u32; WORDS * COLUMNS]> {
    let mut rest = Line([0; WORDS * COLUMNS]);
    rest.0[..words.len()].copy_from_slice(words);
    rest
}

/// Asks for memory, evenly spread over the steps of a block of rows: so it comes while the processor multiplies.
struct Ahead<'a> {
    lines: std::slice::Chunks<'a, u32>,
    per_step: usize,
}

impl<'a> Ahead<'a> {
    fn new(words: &'a [u32], steps: usize) -> Self {
        let lines = words.chunks(WORDS);
        Self { per_step: lines.len().div_ceil(steps), lines }
    }

    #[inline(always)]
    fn fetch(&mut self) {
        for line in self.lines.by_ref().take(self.per_step) {
            // SAFETY: a prefetch may point anywhere.
            unsafe { _mm_prefetch::<_MM_HINT_T1>(line.as_ptr().cast()) };
        }
    }
}

/// Has the machine AMX, and may this process use it? Linux gives the registers' state to processes that ask for it; their
/// threads and forks have it then, too. Asked for once.
pub fn has_amx() -> bool {
    static HAS: OnceLock<bool> = OnceLock::new();
    *HAS.get_or_init(|| {
        // bits of EDX in leaf 7 of CPUID
        const BF16: u32 = 1 << 22;
        const TILE: u32 = 1 << 24;
        const INT8: u32 = 1 << 25;
        let features = __cpuid_count(7, 0).edx;
        features & (BF16 | TILE | INT8) == BF16 | TILE | INT8 && permitted()
    })
}

#[cfg(target_os = "linux")]
fn permitted() -> bool {
    // asm/prctl.h
    const ARCH_REQ_XCOMP_PERM: libc::c_int = 0x1023;
    const XFEATURE_XTILE_DATA: libc::c_ulong = 18;
    // SAFETY: it asks for a permission and reads no memory of ours.
    unsafe { libc::syscall(libc::SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILE_DATA) == 0 }
}

#[cfg(not(target_os = "linux"))]
fn permitted() -> bool {
    false
}
