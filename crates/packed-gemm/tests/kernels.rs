//! Every kernel of this machine against a product in f64, on sizes that fill no tile.

use half::bf16;
use packed_gemm::{Activation, Epilogue, Kernel, PackedMatrix, Precision};

const PRECISIONS: [Precision; 2] = [Precision::F32, Precision::Bf16];

/// Numbers in [-1, 1) that look random and are the same everywhere.
fn numbers(seed: u64, count: usize) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((state >> 40) as f32) / (1u64 << 23) as f32 - 1.0
    };
    (0..count).map(|_| next()).collect()
}

fn activate(activation: Activation, x: f64) -> f64 {
    let phi = |x: f64| 0.5 * (1.0 + erf(x / 2f64.sqrt()));
    match activation {
        Activation::None => x,
        Activation::QuickGelu => x / (1.0 + (-1.702 * x).exp()),
        Activation::Gelu => x * phi(x),
        Activation::GeluTanh => {
            0.5 * x * (1.0 + ((2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x.powi(3))).tanh())
        }
    }
}

/// By its series, which converges everywhere.
fn erf(x: f64) -> f64 {
    let (mut term, mut sum, mut n) = (x, x, 0.0);
    while term.abs() > 1e-17 && n < 200.0 {
        n += 1.0;
        term *= -x * x / n;
        sum += term / (2.0 * n + 1.0);
    }
    sum * 2.0 / std::f64::consts::PI.sqrt()
}

fn expected(x: &[f32], w: &[f32], k: usize, n: usize, e: &Epilogue) -> Vec<f64> {
    let row = |x: &[f32], i: usize| -> Vec<f64> {
        let one = |j: usize| {
            let product: f64 = x.iter().zip(&w[j * k..]).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
            let sum = product + e.bias.map_or(0.0, |b| f64::from(b[j]));
            activate(e.activation, sum) + e.residual.map_or(0.0, |r| f64::from(r[i * n + j]))
        };
        (0..n).map(one).collect()
    };
    x.chunks_exact(k).enumerate().flat_map(|(i, x)| row(x, i)).collect()
}

/// What a matrix of this precision can hold.
fn rounded(precision: Precision, values: Vec<f32>) -> Vec<f32> {
    match precision {
        Precision::F32 => values,
        Precision::Bf16 => values.into_iter().map(|x| bf16::from_f32(x).to_f32()).collect(),
    }
}

fn check(precision: Precision, kernel: Kernel, m: usize, n: usize, k: usize, epilogue: &Epilogue) {
    let (x, w) = (rounded(precision, numbers(1, m * k)), rounded(precision, numbers(2, n * k)));
    let packed = PackedMatrix::pack(precision, &w, n, k).unwrap();
    let mut out = vec![f32::NAN; m * n];
    packed.multiply(kernel, &x, epilogue, &mut out).unwrap();
    // rounding grows with the square root of the terms
    let bound = 1e-6 * (k as f64).sqrt() + 1e-6;
    for (i, (given, expected)) in out.iter().zip(expected(&x, &w, k, n, epilogue)).enumerate() {
        let error = (f64::from(*given) - expected).abs();
        assert!(
            error < bound,
            "{precision:?} {kernel:?} {m} x {k} x {n}, {epilogue:?}: {given} at {i}, expected {expected}"
        );
    }
}

#[test]
fn every_kernel_on_odd_sizes() {
    for kernel in Kernel::available() {
        for m in [0, 1, 2, 5, 6, 7, 13] {
            for n in [1, 15, 63, 64, 65, 200] {
                for k in [1, 2, 7, 64, 129] {
                    for precision in PRECISIONS {
                        check(precision, kernel, m, n, k, &Epilogue::default());
                    }
                }
            }
        }
    }
}

#[test]
fn every_epilogue() {
    let (m, n, k) = (7, 70, 33);
    let (bias, residual) = (numbers(3, n), numbers(4, m * n));
    for kernel in Kernel::available() {
        for activation in [Activation::None, Activation::QuickGelu, Activation::Gelu, Activation::GeluTanh] {
            for precision in PRECISIONS {
                let all = Epilogue { bias: Some(&bias), activation, residual: Some(&residual) };
                check(precision, kernel, m, n, k, &all);
                check(precision, kernel, m, n, k, &Epilogue { activation, ..Epilogue::default() });
            }
        }
    }
}

#[test]
fn a_batch_gives_the_sums_of_its_rows_in_any_pool() {
    let (m, n, k) = (50, 768, 300);
    let (x, w) = (numbers(5, m * k), numbers(6, n * k));
    for (precision, kernel) in PRECISIONS.into_iter().flat_map(|p| Kernel::available().map(move |k| (p, k))) {
        let packed = PackedMatrix::pack(precision, &w, n, k).unwrap();
        let mut whole = vec![0.0; m * n];
        let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build().unwrap();
        pool.install(|| packed.multiply(kernel, &x, &Epilogue::default(), &mut whole)).unwrap();
        for (x, whole) in x.chunks_exact(k).zip(whole.chunks_exact(n)) {
            let mut row = vec![0.0; n];
            packed.multiply(kernel, x, &Epilogue::default(), &mut row).unwrap();
            assert_eq!(row, whole, "{precision:?} {kernel:?}");
        }
    }
}

#[test]
fn bytes_make_the_same_matrix_again() {
    let (n, k, w) = (70, 9, numbers(7, 70 * 9));
    let product = |matrix: &PackedMatrix| {
        let mut out = vec![0.0; 2 * n];
        matrix.multiply(Kernel::best(), &numbers(8, 2 * k), &Epilogue::default(), &mut out).unwrap();
        out
    };
    for precision in PRECISIONS {
        let matrix = PackedMatrix::pack(precision, &w, n, k).unwrap();
        let bytes = matrix.as_bytes();
        assert_eq!(bytes.len(), PackedMatrix::packed_bytes(precision, n, k).unwrap());
        let again = PackedMatrix::from_bytes(precision, bytes.clone(), n, k).unwrap();
        assert_eq!(product(&matrix), product(&again));
        assert!(PackedMatrix::from_bytes(precision, bytes.slice(4..), n, k).is_err(), "too short");
        assert!(PackedMatrix::from_bytes(precision, bytes.clone(), n, k + 2).is_err(), "another shape");
        let mut shifted = vec![0; bytes.len() + 4];
        let offset = (0..4).find(|i| shifted[*i..].as_ptr().addr() % 4 == 1).unwrap();
        shifted[offset..][..bytes.len()].copy_from_slice(bytes);
        let shifted = bytes::Bytes::from(shifted).slice(offset..offset + bytes.len());
        assert!(PackedMatrix::from_bytes(precision, shifted, n, k).is_err(), "not aligned");
    }
}

#[test]
fn shapes_are_checked() {
    let message = |e: packed_gemm::ShapeError| e.to_string();
    let pack = |weights: &[f32], n, k| PackedMatrix::pack(Precision::F32, weights, n, k).map_err(message);
    assert_eq!(pack(&[0.0; 5], 2, 3).unwrap_err(), "number of weights is 5, expected 6");
    assert!(pack(&[], 0, 3).is_err());
    assert!(PackedMatrix::packed_bytes(Precision::Bf16, usize::MAX, 2).is_err());
    assert!(PackedMatrix::packed_bytes(Precision::F32, usize::MAX / 64, 64).is_err());
    let w = pack(&[1.0; 6], 2, 3).unwrap();
    let run = |x: &[f32], out: usize, epilogue: &Epilogue| {
        w.multiply(Kernel::Portable, x, epilogue, &mut vec![0.0; out]).map_err(message)
    };
    assert!(run(&[0.0; 3], 2, &Epilogue::default()).is_ok());
    assert_eq!(run(&[0.0; 4], 2, &Epilogue::default()).unwrap_err(), "length of the left-hand side is 4, expected 3");
    assert_eq!(run(&[0.0; 3], 3, &Epilogue::default()).unwrap_err(), "length of the output is 3, expected 2");
    let bias = Epilogue { bias: Some(&[0.0; 3]), ..Epilogue::default() };
    assert_eq!(run(&[0.0; 3], 2, &bias).unwrap_err(), "length of the bias is 3, expected 2");
    let residual = Epilogue { residual: Some(&[0.0; 3]), ..Epilogue::default() };
    assert_eq!(run(&[0.0; 3], 2, &residual).unwrap_err(), "length of the residual is 3, expected 2");
}
