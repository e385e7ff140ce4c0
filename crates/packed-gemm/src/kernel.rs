//! Which machine code a product runs on.

use std::fmt;
use std::str::FromStr;
use std::sync::OnceLock;

/// A set of processor instructions that products are written for. All give the same numbers but for rounding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kernel {
    /// Plain Rust, right everywhere.
    Portable,
    /// x86-64-v3: with AVX2 and FMA.
    Avx2,
    /// x86-64-v4: with AVX-512 F, BW, CD, DQ and VL.
    Avx512,
    /// x86-64-v4 with AVX-512 VNNI, which adds up products of four integers.
    Avx512Vnni,
    /// x86-64-v4 with AVX-512 VNNI and BF16, which adds up products of pairs of bf16.
    Avx512Bf16,
    /// All of these with AMX for bf16 and int8, on Linux: products of tiles of 16 × 64 bytes.
    Amx,
}

/// Names a kernel to be used instead of the fastest, for tests and comparisons: see [`Kernel::best`].
pub const VARIABLE: &str = "PACKED_GEMM_KERNEL";

impl Kernel {
    const ALL: [Self; 6] = [Self::Portable, Self::Avx2, Self::Avx512, Self::Avx512Vnni, Self::Avx512Bf16, Self::Amx];

    /// The kernels that this machine can run, the fastest last.
    pub fn available() -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(|kernel| kernel.runs_here())
    }

    /// The fastest kernel of this machine, or the one that the environment variable `PACKED_GEMM_KERNEL` names where the
    /// machine can run that. Found once in a process.
    pub fn best() -> Self {
        static BEST: OnceLock<Kernel> = OnceLock::new();
        *BEST.get_or_init(|| {
            let named = std::env::var(VARIABLE).ok().and_then(|name| name.parse().ok());
            let named = named.filter(|kernel: &Self| kernel.runs_here());
            named.or_else(|| Self::available().last()).unwrap_or(Self::Portable)
        })
    }

    /// In lower case, as [`VARIABLE`] and [`Kernel::from_str`] take it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Portable => "portable",
            Self::Avx2 => "avx2",
            Self::Avx512 => "avx512",
            Self::Avx512Vnni => "avx512vnni",
            Self::Avx512Bf16 => "avx512bf16",
            Self::Amx => "amx",
        }
    }

    /// Does this machine have the instructions?
    pub fn runs_here(self) -> bool {
        match self {
            Self::Portable => true,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => pulp::x86::V3::is_available(),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => pulp::x86::V4::is_available(),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512Vnni => Self::Avx512.runs_here() && is_x86_feature_detected!("avx512vnni"),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512Bf16 => Self::Avx512Vnni.runs_here() && is_x86_feature_detected!("avx512bf16"),
            #[cfg(target_arch = "x86_64")]
            Self::Amx => Self::Avx512Bf16.runs_here() && crate::x86::has_amx(),
            #[cfg(not(target_arch = "x86_64"))]
            Self::Avx2 | Self::Avx512 | Self::Avx512Vnni | Self::Avx512Bf16 | Self::Amx => false,
        }
    }

    /// Are there instructions for pairs of bf16?
    pub fn has_bf16(self) -> bool {
        matches!(self, Self::Avx512Bf16 | Self::Amx)
    }

    /// Is a product with a matrix of bf16 one of pairs of bf16? Else rows are f32. On Intel's processors an instruction of
    /// AVX-512 BF16 takes two cycles, in which there is room for four of f32: that is faster, even though the weights have to
    /// become f32 first.
    pub fn multiplies_bf16(self) -> bool {
        self.has_bf16() && (self.has_tiles() || !is_intel())
    }

    /// Does a product with a matrix of bf16 take no longer than one of f32? It makes f32 of half the bytes at least. With few
    /// rows AVX2 has not the time for it.
    pub fn is_as_fast_with_bf16(self) -> bool {
        matches!(self, Self::Avx512 | Self::Avx512Vnni | Self::Avx512Bf16 | Self::Amx)
    }

    /// Does it sum up products of four integers of 8 bits?
    pub fn has_dot(self) -> bool {
        matches!(self, Self::Avx512Vnni | Self::Avx512Bf16 | Self::Amx)
    }

    /// Does it read tiles of 16 rows? Rows are then stored as tiles, for AMX alone.
    pub(crate) fn has_tiles(self) -> bool {
        self == Self::Amx
    }

    /// Does it add products of integers up in 16 bits?
    pub(crate) fn has_groups(self) -> bool {
        matches!(self, Self::Avx2 | Self::Avx512)
    }

    /// Integers of the left-hand side go from minus this to plus this. AVX2 adds pairs of products in 16 bits, which must
    /// hold `2 * (2 * levels + 1) * 127`.
    pub fn levels(self) -> i32 {
        if self.has_dot() || self == Self::Portable { 127 } else { 63 }
    }

    /// What an integer of the left-hand side has for zero: AVX2 and VNNI multiply unsigned ones.
    pub(crate) fn zero(self) -> i32 {
        if self.has_tiles() { 0 } else { self.levels() + 1 }
    }
}

impl fmt::Display for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Kernel {
    type Err = String;

    /// By [`Kernel::name`]. The error lists the names.
    fn from_str(name: &str) -> Result<Self, String> {
        let names = Self::ALL.map(Self::name).join(", ");
        let found = Self::ALL.into_iter().find(|kernel| kernel.name() == name);
        found.ok_or_else(|| format!("unknown kernel \"{name}\": expected one of {names}"))
    }
}

/// By CPUID, asked once.
#[cfg(target_arch = "x86_64")]
fn is_intel() -> bool {
    static IS_INTEL: OnceLock<bool> = OnceLock::new();
    *IS_INTEL.get_or_init(crate::x86::is_intel)
}

#[cfg(not(target_arch = "x86_64"))]
fn is_intel() -> bool {
    false
}
