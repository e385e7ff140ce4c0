//! What the processor says of itself, and its prefetch.

/// Is it Intel's? By CPUID, asked once.
#[cfg(target_arch = "x86_64")]
pub fn is_intel() -> bool {
    static IS_INTEL: std::sync::OnceLock<bool> = std::sync::OnceLock::new();
    *IS_INTEL.get_or_init(|| {
        let leaf = std::arch::x86_64::__cpuid(0);
        [leaf.ebx, leaf.edx, leaf.ecx].map(u32::to_le_bytes).as_flattened() == b"GenuineIntel"
    })
}

/// Has the machine AMX, and may this process use it? Linux gives the registers' state to processes that ask for it; their
/// threads and forks have it then, too. Asked for once.
#[cfg(target_arch = "x86_64")]
pub fn has_amx() -> bool {
    static HAS: std::sync::OnceLock<bool> = std::sync::OnceLock::new();
    if cfg!(feature = "emulate-amx") {
        return true;
    }
    *HAS.get_or_init(|| {
        // bits of EDX in leaf 7 of CPUID
        const BF16: u32 = 1 << 22;
        const TILE: u32 = 1 << 24;
        const INT8: u32 = 1 << 25;
        let features = std::arch::x86_64::__cpuid_count(7, 0).edx;
        features & (BF16 | TILE | INT8) == BF16 | TILE | INT8 && amx_is_permitted()
    })
}

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
#[allow(unsafe_code)]
fn amx_is_permitted() -> bool {
    // asm/prctl.h
    const ARCH_REQ_XCOMP_PERM: libc::c_int = 0x1023;
    const XFEATURE_XTILE_DATA: libc::c_ulong = 18;
    // SAFETY: it asks for a permission and reads no memory of ours.
    unsafe { libc::syscall(libc::SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILE_DATA) == 0 }
}

#[cfg(all(target_arch = "x86_64", not(target_os = "linux")))]
fn amx_is_permitted() -> bool {
    false
}

/// Asks for the cache line at `at`, which may be any address.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
#[allow(unsafe_code)]
pub fn prefetch<T>(at: *const T) {
    use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
    // SAFETY: a prefetch may point anywhere.
    unsafe { _mm_prefetch::<_MM_HINT_T0>(at.cast()) };
}

/// Elsewhere the processor's own prefetching has to do.
#[cfg(not(target_arch = "x86_64"))]
#[inline(always)]
pub fn prefetch<T>(_: *const T) {}
