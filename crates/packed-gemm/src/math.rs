//! Elementary functions of vectors, without branches or calls.

use std::f32::consts::{LN_2, LOG2_E};

use pulp::Simd;

/// `a b + c`, in one instruction where `FUSED`: a call into the C library where the processor has none for it, so only
/// code that is compiled for one asks for it.
#[inline(always)]
fn multiply_add<S: Simd, const FUSED: bool>(simd: S, a: S::f32s, b: S::f32s, c: S::f32s) -> S::f32s {
    if FUSED { simd.mul_add_f32s(a, b, c) } else { simd.add_f32s(simd.mul_f32s(a, b), c) }
}

/// A polynomial, the coefficient of the highest power first.
#[inline(always)]
fn polynomial<S: Simd, const FUSED: bool>(simd: S, x: S::f32s, coefficients: &[f32]) -> S::f32s {
    let mut p = simd.splat_f32s(0.0);
    for (i, c) in coefficients.iter().enumerate() {
        let c = simd.splat_f32s(*c);
        p = if i == 0 { c } else { multiply_add::<S, FUSED>(simd, p, x, c) };
    }
    p
}

/// `2^x` within 2 units in the last place; saturates beyond ±126. `FUSED`: the processor has an instruction that multiplies
/// and adds.
///
/// The nearest power of two times a polynomial on [-1/2, 1/2] (Cephes, `exp2f.c`).
#[inline(always)]
pub fn exp2<S: Simd, const FUSED: bool>(simd: S, x: S::f32s) -> S::f32s {
    // Adding 1.5 * 2^23 rounds to an integer, which then stands in the low bits of the sum.
    let round = simd.splat_f32s(12_582_912.0);
    // Not by minimum and maximum, which may lose a NaN.
    let (low, high) = (simd.splat_f32s(-126.0), simd.splat_f32s(126.0));
    let x = simd.select_f32s(simd.less_than_f32s(x, low), low, x);
    let x = simd.select_f32s(simd.greater_than_f32s(x, high), high, x);
    let shifted = simd.add_f32s(x, round);
    let r = simd.sub_f32s(x, simd.sub_f32s(shifted, round));
    let p = polynomial::<S, FUSED>(
        simd,
        r,
        &[1.535_336_2e-4, 1.339_887_4e-3, 9.618_437e-3, 5.550_332_5e-2, 0.240_226_48, LN_2, 1.0],
    );
    let exponent = simd.add_u32s(simd.transmute_u32s_f32s(shifted), simd.splat_u32s(127));
    let power = simd.transmute_f32s_u32s(simd.wrapping_dyn_shl_u32s(exponent, simd.splat_u32s(23)));
    simd.mul_f32s(p, power)
}

/// `1 / (1 + e^(-factor x))`. The exponent is rounded: `e^x` is then off by up to `6e-8 |x|` of itself.
#[inline(always)]
pub fn sigmoid<S: Simd, const FUSED: bool>(simd: S, factor: f32, x: S::f32s) -> S::f32s {
    let one = simd.splat_f32s(1.0);
    let e = exp2::<S, FUSED>(simd, simd.mul_f32s(simd.splat_f32s(-factor * LOG2_E), x));
    simd.div_f32s(one, simd.add_f32s(one, e))
}

/// The error function within 2e-7 (Abramowitz and Stegun, 7.1.26).
#[inline(always)]
pub fn erf<S: Simd, const FUSED: bool>(simd: S, x: S::f32s) -> S::f32s {
    let (one, sign) = (simd.splat_f32s(1.0), simd.and_f32s(simd.splat_f32s(-0.0), x));
    let size = simd.xor_f32s(sign, x);
    let t = multiply_add::<S, FUSED>(simd, simd.splat_f32s(0.327_591_1), size, one);
    let t = simd.div_f32s(one, t);
    let p = polynomial::<S, FUSED>(simd, t, &[1.061_405_4, -1.453_152, 1.421_413_8, -0.284_496_74, 0.254_829_6]);
    let e = exp2::<S, FUSED>(simd, simd.mul_f32s(simd.mul_f32s(simd.splat_f32s(-LOG2_E), x), x));
    let rest = simd.mul_f32s(simd.mul_f32s(p, t), e);
    simd.or_f32s(sign, simd.sub_f32s(one, rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use pulp::Scalar;

    #[test]
    fn exp2_is_close_everywhere() {
        exp2_is_close(exp2::<Scalar, false>);
        exp2_is_close(exp2::<Scalar, true>);
    }

    fn exp2_is_close(exp2: impl Fn(Scalar, f32) -> f32) {
        let exp2 = |x| exp2(Scalar, x);
        for i in -12_600..=12_600 {
            let x = i as f32 / 100.0;
            let exact = f64::from(x).exp2();
            let error = (f64::from(exp2(x)) - exact).abs() / exact;
            assert!(error < 2.5e-7, "2^{x} is off by {error:e}");
        }
        assert_eq!((exp2(0.0), exp2(-3.0)), (1.0, 0.125));
        assert!(exp2(f32::NEG_INFINITY) < 2e-38 && exp2(f32::INFINITY) > 8e37);
        assert!(exp2(f32::NAN).is_nan());
    }

    #[test]
    fn sigmoid_is_close_everywhere() {
        for i in -800..=800 {
            let x = i as f32 / 10.0;
            let exact = 1.0 / (1.0 + (-1.702 * f64::from(x)).exp());
            for sigmoid in [sigmoid::<Scalar, false>, sigmoid::<Scalar, true>] {
                let error = (f64::from(sigmoid(Scalar, 1.702, x)) - exact).abs() / exact.max(1e-32);
                assert!(error < 1e-5, "sigmoid({x}) is off by {error:e}");
                assert!(x < 0.0 || error < 2.5e-7, "sigmoid({x}) is off by {error:e}");
            }
        }
    }

    #[test]
    fn erf_is_close_everywhere() {
        // Values of Abramowitz and Stegun, table 7.1.
        for (x, exact) in
            [(0.0, 0.0), (0.1, 0.112_462_9), (0.5, 0.520_499_9), (1.0, 0.842_700_8), (2.0, 0.995_322_3), (4.0, 1.0)]
        {
            for erf in [erf::<Scalar, false>, erf::<Scalar, true>] {
                let erf = |x| erf(Scalar, x);
                assert!((erf(x) - exact).abs() < 3e-7, "erf({x}) = {}", erf(x));
                assert!((erf(-x) + exact).abs() < 3e-7, "erf(-{x}) = {}", erf(-x));
            }
        }
    }
}
