//! The inner loops in x86-64's vector instructions.

#![allow(unsafe_code)]
// Plain loops over indices: iterators and closures are functions without the kernel's features, which the compiler does
// not reliably inline into one that has them.
#![allow(clippy::needless_range_loop)]

mod amx;
mod attention;
mod avx2;
mod avx2_int8;
mod avx512;

pub use amx::{amx, has_amx};
pub use attention::{columns_of_16, columns_of_16_avx2, multiply_pairs};
pub use avx2::unpack_narrow;
pub use avx2_int8::lay_out;
pub use avx512::{RowLines, from_bf16, integers_of_bf16, to_bf16};

use pulp::x86::{V3, V4};

use crate::tile::{Operands, Panel, Part, ROWS, Sums, product, rows};
use avx2::{f32_avx2, weights_bf16_avx2};
use avx2_int8::int8_avx2;
use avx512::*;

/// Sums of a part by the kernel of that name. Callable where [`Kernel::runs_here`](crate::Kernel::runs_here) says so.
#[target_feature(enable = "avx512f,avx512bw,avx512cd,avx512dq,avx512vl,avx512bf16,avx512vnni,avx2,fma")]
pub fn avx512_bf16(part: &Part, sums: &mut Sums) {
    product!(part, sums, v4(), true, f32_avx512, weights_bf16_avx512, bf16_avx512, int8_avx512);
}

/// Sums of a part by the kernel of that name. Callable where [`Kernel::runs_here`](crate::Kernel::runs_here) says so.
#[target_feature(enable = "avx512f,avx512bw,avx512cd,avx512dq,avx512vl,avx512vnni,avx2,fma")]
pub fn avx512_vnni(part: &Part, sums: &mut Sums) {
    product!(part, sums, v4(), true, f32_avx512, weights_bf16_avx512, no_bf16, int8_avx512);
}

/// Sums of a part by the kernel of that name, integers by AVX2. Callable where
/// [`Kernel::runs_here`](crate::Kernel::runs_here) says so.
#[target_feature(enable = "avx512f,avx512bw,avx512cd,avx512dq,avx512vl,avx2,fma")]
pub fn avx512(part: &Part, sums: &mut Sums) {
    product!(part, sums, v4(), true, f32_avx512, weights_bf16_avx512, no_bf16, int8_avx2);
}

/// Sums of a part by the kernel of that name. Callable where [`Kernel::runs_here`](crate::Kernel::runs_here) says so.
#[target_feature(enable = "avx2,fma")]
pub fn avx2(part: &Part, sums: &mut Sums) {
    product!(part, sums, v3(), true, f32_avx2, weights_bf16_avx2, no_bf16, int8_avx2);
}

/// By the processor's own word.
pub fn is_intel() -> bool {
    let leaf = std::arch::x86_64::__cpuid(0);
    [leaf.ebx, leaf.edx, leaf.ecx].map(u32::to_le_bytes).as_flattened() == b"GenuineIntel"
}

/// pulp's vectors of 16 values, for machines that `Kernel::Avx512` has been found to run on.
#[target_feature(enable = "avx512f,avx512bw,avx512cd,avx512dq,avx512vl,avx2,fma")]
#[inline]
fn v4() -> V4 {
    // SAFETY: `Kernel::runs_here` has asked pulp.
    unsafe { V4::new_unchecked() }
}

/// pulp's vectors of 8 values, for machines that `Kernel::Avx2` has been found to run on.
#[target_feature(enable = "avx2,fma")]
#[inline]
fn v3() -> V3 {
    // SAFETY: the same.
    unsafe { V3::new_unchecked() }
}

/// Rows are pairs of bf16 only for kernels that multiply them: see `rows::Format`.
fn no_bf16<const M: usize>(_: &[u32], _: usize, _: Panel<u32>, _: &[u32], _: bool, _: &mut Sums) {
    unreachable!("pairs of bf16 for a kernel without them");
}
