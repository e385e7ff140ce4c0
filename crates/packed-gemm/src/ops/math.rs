//! Elementary functions of vectors, without branches or calls.
//!
//! `APPROX` ones are for what is rounded to bf16 or 8 bits afterwards: where the processor has instructions that save much of
//! the time (AVX-512), they are within 2e-4 of the exact value.

#[cfg(target_arch = "x86_64")]
use std::any::Any;
use std::f32::consts::{LN_2, LOG2_E};

use pulp::Simd;
#[cfg(target_arch = "x86_64")]
use pulp::{f32x16, x86::V4};

/// `a b + c`, in one instruction where `FMA`: a call into the C library where the processor has none for it, so only
/// code that is compiled for one asks for it.
#[inline(always)]
pub fn multiply_add<S: Simd, const FMA: bool>(simd: S, a: S::f32s, b: S::f32s, c: S::f32s) -> S::f32s {
    if FMA { simd.mul_add_f32s(a, b, c) } else { simd.add_f32s(simd.mul_f32s(a, b), c) }
}

/// A polynomial, the coefficient of the highest power first.
#[inline(always)]
fn polynomial<S: Simd, const FMA: bool>(simd: S, x: S::f32s, coefficients: &[f32]) -> S::f32s {
    let mut p = simd.splat_f32s(0.0);
    for (i, c) in coefficients.iter().enumerate() {
        let c = simd.splat_f32s(*c);
        p = if i == 0 { c } else { multiply_add::<S, FMA>(simd, p, x, c) };
    }
    p
}

/// `2^x` within 2 units in the last place; saturates beyond ±126. `FMA`: the processor has an instruction that multiplies
/// and adds. `APPROX`: within 2e-4 of itself where that is faster, and then zero or infinite beyond what f32 can hold.
#[inline(always)]
pub fn exp2<S: Simd, const FMA: bool, const APPROX: bool>(simd: S, x: S::f32s) -> S::f32s {
    if APPROX && let Some(power) = approx_exp2(simd, x) {
        return power;
    }
    // Not by minimum and maximum, which may lose a NaN.
    let (low, high) = (simd.splat_f32s(-126.0), simd.splat_f32s(126.0));
    let x = simd.select_f32s(simd.less_than_f32s(x, low), low, x);
    let x = simd.select_f32s(simd.greater_than_f32s(x, high), high, x);
    exp2_between::<S, FMA>(simd, x)
}

/// `2^x`, as [`exp2`] gives it, but that a NaN may be lost.
#[inline(always)]
fn exp2_unless_nan<S: Simd, const FMA: bool, const APPROX: bool>(simd: S, x: S::f32s) -> S::f32s {
    if APPROX && let Some(power) = approx_exp2(simd, x) {
        return power;
    }
    let x = simd.max_f32s(simd.min_f32s(x, simd.splat_f32s(126.0)), simd.splat_f32s(-126.0));
    exp2_between::<S, FMA>(simd, x)
}

/// `2^x` for `x` of -126 to 126: the nearest power of two times a polynomial on [-1/2, 1/2] (Cephes, `exp2f.c`).
#[inline(always)]
fn exp2_between<S: Simd, const FMA: bool>(simd: S, x: S::f32s) -> S::f32s {
    // Adding 1.5 * 2^23 rounds to an integer, which then stands in the low bits of the sum.
    let round = simd.splat_f32s(12_582_912.0);
    let shifted = simd.add_f32s(x, round);
    let r = simd.sub_f32s(x, simd.sub_f32s(shifted, round));
    let p = polynomial::<S, FMA>(
        simd,
        r,
        &[1.535_336_2e-4, 1.339_887_4e-3, 9.618_437e-3, 5.550_332_5e-2, 0.240_226_48, LN_2, 1.0],
    );
    let exponent = simd.add_u32s(simd.transmute_u32s_f32s(shifted), simd.splat_u32s(127));
    let power = simd.transmute_f32s_u32s(simd.wrapping_dyn_shl_u32s(exponent, simd.splat_u32s(23)));
    simd.mul_f32s(p, power)
}

/// A value as one of another type, if that is its type: what only one kind of vectors has is compiled for that kind
/// alone.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn same<T: 'static, U: Copy + 'static>(x: T) -> Option<U> {
    (&x as &dyn Any).downcast_ref().copied()
}

/// `2^x` within 1e-4 of itself, zero and infinity where that is what it rounds to: the power of two not above it times a
/// polynomial on [0, 1], the one whose largest relative error is least (found by Lawson's iteration).
#[inline(always)]
#[cfg_attr(not(target_arch = "x86_64"), expect(unused_variables))]
fn approx_exp2<S: Simd>(simd: S, x: S::f32s) -> Option<S::f32s> {
    #[cfg(target_arch = "x86_64")]
    {
        /// Downwards, to an integer.
        const FLOOR: i32 = 0x01;
        let (simd, x): (V4, f32x16) = (same(simd)?, same(x)?);
        let r = pulp::cast(simd.avx512dq._mm512_reduce_ps::<FLOOR>(pulp::cast(x)));
        let p = polynomial::<V4, true>(simd, r, &[0.078_024_544, 0.226_067_19, 0.695_833_5, 0.999_925_2]);
        let power: f32x16 = pulp::cast(simd.avx512f._mm512_scalef_ps(pulp::cast(p), pulp::cast(x)));
        same(power)
    }
    #[cfg(not(target_arch = "x86_64"))]
    None
}

/// `a / b`
#[inline(always)]
fn divide<S: Simd, const APPROX: bool>(simd: S, a: S::f32s, b: S::f32s) -> S::f32s {
    #[cfg(target_arch = "x86_64")]
    if APPROX && let (Some(v4), Some(b)) = (same::<_, V4>(simd), same::<_, f32x16>(b)) {
        let inverse: f32x16 = pulp::cast(v4.avx512f._mm512_rcp14_ps(pulp::cast(b)));
        if let Some(inverse) = same(inverse) {
            return simd.mul_f32s(a, inverse);
        }
    }
    simd.div_f32s(a, b)
}

/// `x / (1 + e^(-y))`, the logistic function of `y` times `x`, whose sign `y` has. A NaN has to be one in both. The exponent
/// is rounded: `e^y` is then off by up to `6e-8 |y|` of itself. `APPROX`: of minus infinity a NaN.
#[inline(always)]
pub fn times_sigmoid<S: Simd, const FMA: bool, const APPROX: bool>(simd: S, x: S::f32s, y: S::f32s) -> S::f32s {
    let e = exp2_unless_nan::<S, FMA, APPROX>(simd, simd.mul_f32s(simd.splat_f32s(-LOG2_E), y));
    divide::<S, APPROX>(simd, x, simd.add_f32s(simd.splat_f32s(1.0), e))
}

/// The error function within 2e-7 (Abramowitz and Stegun, 7.1.26).
#[inline(always)]
pub fn erf<S: Simd, const FMA: bool, const APPROX: bool>(simd: S, x: S::f32s) -> S::f32s {
    let (one, sign) = (simd.splat_f32s(1.0), simd.and_f32s(simd.splat_f32s(-0.0), x));
    let size = simd.xor_f32s(sign, x);
    let t = multiply_add::<S, FMA>(simd, simd.splat_f32s(0.327_591_1), size, one);
    let t = divide::<S, APPROX>(simd, one, t);
    let p = polynomial::<S, FMA>(simd, t, &[1.061_405_4, -1.453_152, 1.421_413_8, -0.284_496_74, 0.254_829_6]);
    // A NaN that is lost here is still in `t`.
    let exponent = simd.mul_f32s(simd.mul_f32s(simd.splat_f32s(-LOG2_E), x), x);
    let e = exp2_unless_nan::<S, FMA, APPROX>(simd, exponent);
    let rest = simd.mul_f32s(simd.mul_f32s(p, t), e);
    simd.or_f32s(sign, simd.sub_f32s(one, rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use pulp::Scalar;

    #[test]
    fn exp2_is_close_everywhere() {
        exp2_is_close(|x| exp2::<_, false, false>(Scalar, x));
        exp2_is_close(|x| exp2::<_, true, false>(Scalar, x));
    }

    fn exp2_is_close(exp2: impl Fn(f32) -> f32) {
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

    /// `x sigmoid(1.702 x)`
    fn quick_gelu<S: Simd, const FMA: bool, const APPROX: bool>(simd: S, x: S::f32s) -> S::f32s {
        times_sigmoid::<S, FMA, APPROX>(simd, x, simd.mul_f32s(simd.splat_f32s(1.702), x))
    }

    #[test]
    fn times_sigmoid_is_close_everywhere() {
        for of in [|x| quick_gelu::<_, false, false>(Scalar, x), |x| quick_gelu::<_, true, false>(Scalar, x)] {
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
            for erf in [|x| erf::<_, false, false>(Scalar, x), |x| erf::<_, true, false>(Scalar, x)] {
                assert!((erf(x) - exact).abs() < 3e-7, "erf({x}) = {}", erf(x));
                assert!((erf(-x) + exact).abs() < 3e-7, "erf(-{x}) = {}", erf(-x));
            }
        }
    }

    /// Of the same vectors: approximations, and as exact as they are.
    #[cfg(target_arch = "x86_64")]
    #[test]
    fn approximations_are_close() {
        let Some(simd) = V4::try_new() else { return };
        let close = |x: f32, approx: fn(V4, f32x16) -> f32x16, exact: fn(V4, f32x16) -> f32x16, least: f32| {
            let (approx, exact) = (approx(simd, simd.splat_f32s(x)).0, exact(simd, simd.splat_f32s(x)).0);
            assert!((approx - exact).abs() <= 2e-4 * exact.abs().max(least), "of {x}: {approx} is not {exact}");
            approx
        };
        for i in -12_500..=12_500 {
            let x = i as f32 / 100.0;
            close(x, exp2::<_, true, true>, exp2::<_, true, false>, 0.0);
            close(x, quick_gelu::<_, true, true>, quick_gelu::<_, true, false>, 1e-30);
            close(x, erf::<_, true, true>, erf::<_, true, false>, 1.0);
        }
        for x in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let gelu = quick_gelu::<_, true, true>(simd, simd.splat_f32s(x)).0;
            assert!(!gelu.is_finite(), "{x} became {gelu}");
        }
        assert!(exp2::<_, true, true>(simd, simd.splat_f32s(f32::NAN)).0.is_nan());
        assert_eq!(exp2::<_, true, true>(simd, simd.splat_f32s(f32::NEG_INFINITY)).0, 0.0);
    }
}
