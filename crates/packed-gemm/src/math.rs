//! Elementary functions of vectors, without branches or calls.

use std::f32::consts::{LN_2, LOG2_E};

use pulp::Simd;

/// `a b + c`, in one instruction where `FUSED`: a call into the C library where the processor has none for it, so only
/// code that is compiled for one asks for it.
#[inline(always)]
pub fn multiply_add<S: Simd, const FUSED: bool>(simd: S, a: S::f32s, b: S::f32s, c: S::f32s) -> S::f32s {
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
#[inline(always)]
pub fn exp2<S: Simd, const FUSED: bool>(simd: S, x: S::f32s) -> S::f32s {
    // Not by minimum and maximum, which may lose a NaN.
    let (low, high) = (simd.splat_f32s(-126.0), simd.splat_f32s(126.0));
    let x = simd.select_f32s(simd.less_than_f32s(x, low), low, x);
    let x = simd.select_f32s(simd.greater_than_f32s(x, high), high, x);
    exp2_between::<S, FUSED>(simd, x)
}

/// The same for -126 to 126.
///
/// The nearest power of two times a polynomial on [-1/2, 1/2] (Cephes, `exp2f.c`).
#[inline(always)]
fn exp2_between<S: Simd, const FUSED: bool>(simd: S, x: S::f32s) -> S::f32s {
    // Adding 1.5 * 2^23 rounds to an integer, which then stands in the low bits of the sum.
    let round = simd.splat_f32s(12_582_912.0);
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

/// `x / (1 + e^(-y))`, the logistic function of `y` times `x`, whose sign `y` has. A NaN has to be one in both. The exponent
/// is rounded: `e^y` is then off by up to `6e-8 |y|` of itself.
#[inline(always)]
pub fn times_sigmoid<S: Simd, const FUSED: bool>(simd: S, x: S::f32s, y: S::f32s) -> S::f32s {
    let exponent = simd.mul_f32s(simd.splat_f32s(-LOG2_E), y);
    // A NaN that is lost here is still in `x`.
    let exponent = simd.max_f32s(simd.min_f32s(exponent, simd.splat_f32s(126.0)), simd.splat_f32s(-126.0));
    let e = exp2_between::<S, FUSED>(simd, exponent);
    simd.div_f32s(x, simd.add_f32s(simd.splat_f32s(1.0), e))
}

/// The error function within 2e-7 (Abramowitz and Stegun, 7.1.26).
#[inline(always)]
pub fn erf<S: Simd, const FUSED: bool>(simd: S, x: S::f32s) -> S::f32s {
    let (one, sign) = (simd.splat_f32s(1.0), simd.and_f32s(simd.splat_f32s(-0.0), x));
    let size = simd.xor_f32s(sign, x);
    let t = multiply_add::<S, FUSED>(simd, simd.splat_f32s(0.327_591_1), size, one);
    let t = simd.div_f32s(one, t);
    let p = polynomial::<S, FUSED>(simd, t, &[1.061_405_4, -1.453_152, 1.421_413_8, -0.284_496_74, 0.254_829_6]);
    // Never positive; a NaN that is lost here is still in `t`.
    let exponent = simd.mul_f32s(simd.mul_f32s(simd.splat_f32s(-LOG2_E), x), x);
    let e = exp2_between::<S, FUSED>(simd, simd.max_f32s(exponent, simd.splat_f32s(-126.0)));
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
    fn times_sigmoid_is_close_everywhere() {
        for times_sigmoid in [times_sigmoid::<Scalar, false>, times_sigmoid::<Scalar, true>] {
            let of = |x: f32| times_sigmoid(Scalar, x, 1.702 * x);
            for i in -800..=800 {
                let x = i as f32 / 10.0;
                let exact = f64::from(x) / (1.0 + (-1.702 * f64::from(x)).exp());
                let error = (f64::from(of(x)) - exact).abs() / exact.abs().max(1e-31);
                assert!(error < 1e-5, "x sigmoid({x}) is off by {error:e}");
                assert!(x < 0.0 || error < 2.5e-7, "x sigmoid({x}) is off by {error:e}");
            }
            assert_eq!((of(0.0), of(f32::INFINITY), of(f32::NEG_INFINITY)), (0.0, f32::INFINITY, f32::NEG_INFINITY));
            assert!(of(f32::NAN).is_nan());
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
