//! Loops in the machine code that the kernel of the products has.

use packed_gemm::{Kernel, erf};
use pulp::{Arch, Scalar128b, Simd, WithSimd};

use crate::compute::Compute;

/// A loop for vectors of any length. `FUSED`: multiplications and additions are one instruction.
pub trait Loop {
    /// Runs it.
    fn run<S: Simd, const FUSED: bool>(self, simd: S);
}

/// A loop as pulp calls it.
struct With<L, const FUSED: bool>(L);

impl<L: Loop, const FUSED: bool> WithSimd for With<L, FUSED> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        self.0.run::<S, FUSED>(simd);
    }
}

/// Runs `body` with the vectors that go with a kernel.
pub fn dispatch(kernel: Kernel, body: impl Loop) {
    match kernel {
        Kernel::Portable => Simd::vectorize(Scalar128b, With::<_, false>(body)),
        #[cfg(target_arch = "x86_64")]
        Kernel::Avx2 if let Some(simd) = pulp::x86::V3::try_new() => Simd::vectorize(simd, With::<_, true>(body)),
        _ => Arch::new().dispatch(With::<_, true>(body)),
    }
}

/// `a b + c`
#[inline(always)]
pub fn multiply_add<S: Simd, const FUSED: bool>(simd: S, a: S::f32s, b: S::f32s, c: S::f32s) -> S::f32s {
    if FUSED { simd.mul_add_f32s(a, b, c) } else { simd.add_f32s(simd.mul_f32s(a, b), c) }
}

/// Pixels that a thread computes at a time.
const PIXELS: usize = 64;

/// `x Phi(x)` of all values, `[pixels, width]`, in place, after a factor for each of a pixel's values.
pub fn gelu(values: &mut [f32], width: usize, factors: Option<&[f32]>, compute: &Compute) {
    compute.for_each_chunk(values, PIXELS * width, |_, values| {
        if let Some(factors) = factors {
            for pixel in values.chunks_exact_mut(width) {
                pixel.iter_mut().zip(factors).for_each(|(value, factor)| *value *= factor);
            }
        }
        dispatch(compute.kernel(), Gelu(values));
    });
}

struct Gelu<'a>(&'a mut [f32]);

impl Loop for Gelu<'_> {
    #[inline(always)]
    fn run<S: Simd, const FUSED: bool>(self, simd: S) {
        let (vectors, rest) = S::as_mut_simd_f32s(self.0);
        for x in vectors {
            *x = gelu_of::<S, FUSED>(simd, *x);
        }
        if !rest.is_empty() {
            let mut last = [0.0; 16];
            last[..rest.len()].copy_from_slice(rest);
            for x in S::as_mut_simd_f32s(&mut last).0 {
                *x = gelu_of::<S, FUSED>(simd, *x);
            }
            rest.copy_from_slice(&last[..rest.len()]);
        }
    }
}

#[inline(always)]
fn gelu_of<S: Simd, const FUSED: bool>(simd: S, x: S::f32s) -> S::f32s {
    let half = simd.mul_f32s(simd.splat_f32s(0.5), x);
    let erf = erf::<S, FUSED, false>(simd, simd.mul_f32s(simd.splat_f32s(std::f32::consts::FRAC_1_SQRT_2), x));
    multiply_add::<S, FUSED>(simd, half, erf, half)
}
