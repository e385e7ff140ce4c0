//! Which machine code a product runs on: names, and what the machine has. What a kernel does stands with its code.

#[cfg(target_arch = "aarch64")]
use std::arch::is_aarch64_feature_detected;
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
    /// arm64: NEON, which every such processor has.
    Neon,
    /// NEON with SDOT, which adds up products of four integers.
    NeonDot,
    /// NEON with I8MM and BF16, which multiply two rows by two columns.
    NeonI8mm,
}

/// Names a kernel to be used instead of the fastest, for tests and comparisons: see [`Kernel::best`].
pub const VARIABLE: &str = "PACKED_GEMM_KERNEL";

impl Kernel {
    const ALL: [Self; 9] = [
        Self::Portable,
        Self::Avx2,
        Self::Avx512,
        Self::Avx512Vnni,
        Self::Avx512Bf16,
        Self::Amx,
        Self::Neon,
        Self::NeonDot,
        Self::NeonI8mm,
    ];

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
            Self::Neon => "neon",
            Self::NeonDot => "neondot",
            Self::NeonI8mm => "neoni8mm",
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
            Self::Amx => Self::Avx512Bf16.runs_here() && crate::cpu::has_amx(),
            #[cfg(target_arch = "aarch64")]
            Self::Neon => true,
            #[cfg(target_arch = "aarch64")]
            Self::NeonDot => is_aarch64_feature_detected!("dotprod"),
            #[cfg(target_arch = "aarch64")]
            Self::NeonI8mm => {
                // Armv8.6 has all of them.
                Self::NeonDot.runs_here()
                    && is_aarch64_feature_detected!("i8mm")
                    && is_aarch64_feature_detected!("bf16")
            }
            #[allow(unreachable_patterns)]
            _ => false,
        }
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
