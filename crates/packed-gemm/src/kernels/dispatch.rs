//! From the name of a kernel to its type.

use super::MicroKernel;
use crate::isa::Kernel;
use crate::lhs::buffer::Formats;
use crate::precision::Precision;

/// `$run` with `$K` as the type of a kernel.
macro_rules! with_kernel {
    ($kernel:expr, $K:ident => $run:expr) => {
        match $kernel {
            $crate::isa::Kernel::Portable => {
                type $K = $crate::kernels::portable::Portable;
                $run
            }
            #[cfg(target_arch = "x86_64")]
            $crate::isa::Kernel::Avx2 => {
                type $K = $crate::kernels::avx2::Avx2;
                $run
            }
            #[cfg(target_arch = "x86_64")]
            $crate::isa::Kernel::Avx512 => {
                type $K = $crate::kernels::avx512::Avx512;
                $run
            }
            #[cfg(target_arch = "x86_64")]
            $crate::isa::Kernel::Avx512Vnni => {
                type $K = $crate::kernels::avx512::Avx512Vnni;
                $run
            }
            #[cfg(target_arch = "x86_64")]
            $crate::isa::Kernel::Avx512Bf16 => {
                type $K = $crate::kernels::avx512::Avx512Bf16;
                $run
            }
            #[cfg(target_arch = "x86_64")]
            $crate::isa::Kernel::Amx => {
                type $K = $crate::kernels::amx::Amx;
                $run
            }
            #[cfg(target_arch = "aarch64")]
            $crate::isa::Kernel::Neon => {
                type $K = $crate::kernels::neon::Neon;
                $run
            }
            #[cfg(target_arch = "aarch64")]
            $crate::isa::Kernel::NeonDot => {
                type $K = $crate::kernels::neon::NeonDot;
                $run
            }
            #[cfg(target_arch = "aarch64")]
            $crate::isa::Kernel::NeonI8mm => {
                type $K = $crate::kernels::neon::NeonI8mm;
                $run
            }
            // Those of other processors do not run here.
            _ => {
                type $K = $crate::kernels::portable::Portable;
                $run
            }
        }
    };
}

pub(crate) use with_kernel;

impl Kernel {
    /// Does a product with a matrix of bf16 take no longer than one of f32? It makes f32 of half the bytes at least. With few
    /// rows AVX2 has not the time for it.
    pub fn is_as_fast_with_bf16(self) -> bool {
        with_kernel!(self, K => K::IS_AS_FAST_WITH_BF16)
    }

    /// Is a product of integers much faster than every other? Where processors sum up products of four.
    pub fn is_fastest_with_int8(self) -> bool {
        with_kernel!(self, K => K::IS_FASTEST_WITH_INT8)
    }

    /// Are there instructions for pairs of bf16?
    pub(crate) fn has_bf16(self) -> bool {
        with_kernel!(self, K => K::HAS_BF16)
    }

    /// What rows of a precision are for it.
    pub(crate) fn formats(self, precision: Precision) -> Formats {
        with_kernel!(self, K => Formats {
            lhs: K::lhs_format(precision),
            to_read: K::format_to_read(precision),
            staging: K::format_to_read(Precision::Bf16),
        })
    }
}
