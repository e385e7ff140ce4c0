//! Every kernel of this machine against a product in f64, on sizes that fill no tile.

use half::bf16;
use packed_gemm::{
    Activation, Epilogue, Kernel, PackedMatrix, Precision, Quantization, Rows, ScaleScope, ShapeError, ThreadPool,
};

const PRECISIONS: [Precision; 3] = [Precision::F32, Precision::Bf16, Precision::Int8];

/// Numbers in [-1, 1) that look random and are the same everywhere.
fn numbers(seed: u64, count: usize) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((state >> 40) as f32) / (1u64 << 23) as f32 - 1.0
    };
    (0..count).map(|_| next()).collect()
}

const ACTIVATIONS: [Activation; 6] = [
    Activation::None,
    Activation::QuickGelu,
    Activation::Gelu,
    Activation::GeluTanh,
    Activation::Relu,
    Activation::Silu,
];

fn activate(activation: Activation, x: f64) -> f64 {
    let phi = |x: f64| 0.5 * (1.0 + erf(x / 2f64.sqrt()));
    match activation {
        Activation::None => x,
        Activation::QuickGelu => x / (1.0 + (-1.702 * x).exp()),
        Activation::Silu => x / (1.0 + (-x).exp()),
        Activation::Gelu => x * phi(x),
        Activation::GeluTanh => {
            0.5 * x * (1.0 + ((2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x.powi(3))).tanh())
        }
        Activation::Relu => x.max(0.0),
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
    let row = |x: &[f32]| -> Vec<f64> {
        let one = |j: usize| {
            let product: f64 = x.iter().zip(&w[j * k..]).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
            let sum = product + e.bias.map_or(0.0, |b| f64::from(b[j]));
            activate(e.activation, sum)
        };
        (0..n).map(one).collect()
    };
    x.chunks_exact(k).flat_map(row).collect()
}

/// What a matrix of this precision can hold: `W`'s rows with one scale each, transformed.
fn rounded_weights(precision: Precision, values: Vec<f32>, k: usize) -> Vec<f32> {
    match precision {
        Precision::F32 => values,
        Precision::Bf16 => values.into_iter().map(|x| bf16::from_f32(x).to_f32()).collect(),
        Precision::Int8 => transformed(&values, k, |row| {
            row.iter_mut().for_each(|w| *w /= 64.0);
            let largest = row.iter().fold(0f32, |largest, x| largest.max(x.abs()));
            let step = largest / 127.0;
            row.iter_mut().for_each(|w| *w = (*w / step).round() * step * 64.0);
        }),
    }
}

/// Values whose transforms, `group` at a time, are what `of` makes of those of `values`.
fn transformed(values: &[f32], group: usize, of: impl Fn(&mut [f32])) -> Vec<f32> {
    let mut values = values.to_vec();
    for group in values.chunks_mut(group) {
        transform(group);
        of(group);
        transform(group);
        group.iter_mut().for_each(|x| *x /= 64.0);
    }
    values
}

/// Sums and differences of 64 values, and at the end of 32, 16 and so on, times eight over the root of how many.
fn transform(mut x: &mut [f32]) {
    let mut size = 64;
    while !x.is_empty() {
        while x.len() < size {
            size /= 2;
        }
        let (piece, rest) = x.split_at_mut(size);
        for distance in (0..6).map(|power| 1 << power).filter(|distance| *distance < size) {
            for i in (0..size).filter(|i| i & distance == 0) {
                (piece[i], piece[i + distance]) = (piece[i] + piece[i + distance], piece[i] - piece[i + distance]);
            }
        }
        let factor = ((64 / size) as f32).sqrt();
        piece.iter_mut().for_each(|x| *x *= factor);
        x = rest;
    }
}

/// What the left-hand side of this precision can hold: of integers each row with a scale, or each 64 values of it.
fn rounded_rows(precision: Precision, kernel: Kernel, values: Vec<f32>, k: usize) -> Vec<f32> {
    if precision != Precision::Int8 {
        return rounded_weights(precision, values, k);
    }
    let Quantization { qmax, scope, .. } = quantization(kernel, k);
    let group = if scope == ScaleScope::Row { k } else { 64 };
    values.chunks(k).flat_map(|row| transformed(row, group, |group| round_to_steps(group, qmax as f32))).collect()
}

/// Steps from the smallest value to the largest one, one of which is zero.
fn round_to_steps(values: &mut [f32], qmax: f32) {
    let range = range(values);
    let (step, inverse) = ((range[1] - range[0]) / qmax, qmax / (range[1] - range[0]));
    let zero = (-range[0] * inverse).round_ties_even();
    for x in values {
        *x = (((*x * inverse).round_ties_even() + zero).clamp(0.0, qmax) - zero) * step;
    }
}

/// The smallest and the largest value, or zero.
fn range(values: &[f32]) -> [f32; 2] {
    values.iter().fold([0.0, 0.0], |[low, high], x| [low.min(*x), high.max(*x)])
}

/// What integers of rows of `k` values are.
fn quantization(kernel: Kernel, k: usize) -> Quantization {
    let mut rows = Rows::new(Precision::Int8, kernel);
    rows.copy_from(&ThreadPool::solo(), &vec![0.0; k], k).unwrap();
    rows.quantization().unwrap()
}

/// Have integers a scale for each row? What is written in parts is then staged.
fn is_of_whole_rows(precision: Precision, kernel: Kernel) -> bool {
    precision == Precision::Int8 && quantization(kernel, 64).scope == ScaleScope::Row
}

/// A product from plain slices.
fn multiply(
    packed: &PackedMatrix,
    pool: &ThreadPool,
    kernel: Kernel,
    x: &[f32],
    epilogue: &Epilogue,
) -> Result<Vec<f32>, ShapeError> {
    let mut rows = Rows::new(packed.precision(), kernel);
    rows.copy_from(pool, x, packed.inputs())?;
    packed.multiply(pool, &rows, epilogue)
}

fn check(precision: Precision, kernel: Kernel, m: usize, n: usize, k: usize, epilogue: &Epilogue) {
    check_values(precision, kernel, numbers(1, m * k), numbers(2, n * k), k, epilogue);
}

fn check_values(precision: Precision, kernel: Kernel, x: Vec<f32>, w: Vec<f32>, k: usize, epilogue: &Epilogue) {
    let (m, n) = (x.len() / k, w.len() / k);
    let x = rounded_rows(precision, kernel, x, k);
    let w = rounded_weights(precision, w, k);
    let packed = PackedMatrix::pack(precision, &w, n, k).unwrap();
    let out = multiply(&packed, &ThreadPool::solo(), kernel, &x, epilogue).unwrap();
    assert_eq!(out.len(), m * n);
    let what = format!("{precision:?} {kernel:?} {m} x {k} x {n}, {epilogue:?}");
    assert_close(&what, &out, &expected(&x, &w, k, n, epilogue), k);
}

fn assert_close(what: &str, out: &[f32], expected: &[f64], k: usize) {
    // rounding grows with the square root of the terms
    let bound = 1e-6 * (k as f64).sqrt() + 1e-6;
    for (i, (given, expected)) in out.iter().zip(expected).enumerate() {
        assert!((f64::from(*given) - expected).abs() < bound, "{what}: {given} at {i}, expected {expected}");
    }
}

#[test]
fn every_kernel_on_odd_sizes() {
    for kernel in Kernel::available() {
        for m in [0, 1, 2, 5, 6, 7, 13, 40] {
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

/// More steps than a core's cache holds, in each precision, with few rows and with enough to unpack a panel for.
#[test]
fn long_rows_pass_in_parts() {
    let (n, bias) = (70, numbers(3, 70));
    for kernel in Kernel::available() {
        for (precision, k) in [(Precision::F32, 1601), (Precision::Bf16, 3201), (Precision::Int8, 6401)] {
            for m in [1, 3, 13] {
                let epilogue = Epilogue { bias: Some(&bias), activation: Activation::QuickGelu };
                check(precision, kernel, m, n, k, &epilogue);
            }
        }
        for precision in PRECISIONS {
            let packed = PackedMatrix::pack(precision, &numbers(2, n * 6401), n, 6401).unwrap();
            let none = packed.multiply(&ThreadPool::solo(), &Rows::new(precision, kernel), &Epilogue::default());
            assert_eq!(none.unwrap(), []);
        }
    }
}

/// As another product writes them, panel by panel. Groups of a row differ by factors of a thousand, which one scale for
/// the row would lose.
#[test]
fn integers_written_in_parts() {
    for kernel in Kernel::available() {
        for (m, n, k) in [(1, 64, 64), (10, 65, 100), (16, 64, 128), (33, 200, 129), (70, 70, 320)] {
            let mut x = numbers(1, m * k);
            x.iter_mut().enumerate().for_each(|(i, x)| *x *= [1.0, 1e-3][i % k / 64 % 2]);
            let (pool, none, rows) = (ThreadPool::solo(), Epilogue::default(), integers_in_parts(kernel, &x, k));
            // What they are written in first.
            if matches!(kernel, Kernel::Avx512Bf16 | Kernel::Amx | Kernel::NeonI8mm) {
                x = rounded_weights(Precision::Bf16, x, k);
            }
            let x = rounded_rows(Precision::Int8, kernel, x, k);
            let w = rounded_weights(Precision::Int8, numbers(2, n * k), k);
            let packed = PackedMatrix::pack(Precision::Int8, &w, n, k).unwrap();
            let out = packed.multiply(&pool, &rows, &none).unwrap();
            assert_close(&format!("{kernel:?} {m} x {k} x {n}"), &out, &expected(&x, &w, k, n, &none), k);
        }
    }
}

/// Where a row has one scale, the sum of its integers still fits 32 bits.
#[test]
fn integers_of_very_long_rows() {
    let n = 3;
    for kernel in Kernel::available() {
        for k in [40_000, 131_072, 131_073, 300_000] {
            let w: Vec<f32> = (0..n * k).map(|i| if i / k == 2 { -1.0 } else { 1.0 }).collect();
            let packed = PackedMatrix::pack(Precision::Int8, &w, n, k).unwrap();
            let out = multiply(&packed, &ThreadPool::solo(), kernel, &vec![1.0; k], &Epilogue::default()).unwrap();
            for (given, sign) in out.iter().zip([1.0, 1.0, -1.0]) {
                let expected = sign * k as f32;
                assert!((given - expected).abs() < 1e-4 * k as f32, "{kernel:?}: {given} is not {expected}");
            }
        }
    }
}

/// The values as a product writes them: with the unit matrix, in f32.
fn integers_in_parts(kernel: Kernel, values: &[f32], k: usize) -> Rows {
    let unit: Vec<f32> = (0..k * k).map(|i| if i % (k + 1) == 0 { 1.0 } else { 0.0 }).collect();
    let unit = PackedMatrix::pack(Precision::F32, &unit, k, k).unwrap();
    let (pool, [mut whole, mut rows]) =
        (ThreadPool::solo(), [Precision::F32, Precision::Int8].map(|p| Rows::new(p, kernel)));
    whole.copy_from(&pool, values, k).unwrap();
    unit.multiply_to_rows(&pool, &whole, &Epilogue::default(), &mut rows).unwrap();
    rows
}

/// As a network's are: most are small beside the largest one of their row, so that products can be added in 16 bits. AVX2
/// does so in jobs of 48 rows or more.
#[test]
fn integers_of_weights_with_outliers() {
    for kernel in Kernel::available() {
        for (m, n, k) in [(47, 64, 16), (48, 64, 16), (48, 70, 80), (96, 130, 1040), (61, 384, 3328)] {
            let w = numbers(2, n * k).into_iter().map(|w| w.powi(5)).collect();
            check_values(Precision::Int8, kernel, numbers(1, m * k), w, k, &Epilogue::default());
        }
    }
}

/// The largest sums that 16 bits hold, and larger ones, of either sign.
#[test]
fn sums_of_integers_do_not_overflow() {
    let (m, n, k) = (48, 64, 1024);
    for kernel in Kernel::available() {
        for sign in [1.0, -1.0] {
            let mut w = vec![1.0; n * k];
            for row in w.chunks_exact_mut(k) {
                row[0] = 127.0; // so that the row's integers are these very numbers
                row[64..80].fill(65.0 * sign);
                row[80..96].fill(66.0 * sign);
                row[96..112].fill(127.0 * sign);
                row[120..124].fill(127.0);
                row[124..128].fill(-127.0);
                row.iter_mut().for_each(|w| *w /= 1024.0);
                // What becomes these numbers.
                transform(row);
            }
            for x in [1.0, -1.0] {
                let mut x = vec![x / 64.0; m * k];
                x.chunks_mut(k).for_each(transform);
                check_values(Precision::Int8, kernel, x, w.clone(), k, &Epilogue::default());
            }
        }
    }
}

#[test]
fn every_epilogue() {
    let (m, n, k) = (7, 70, 33);
    let bias = numbers(3, n);
    for kernel in Kernel::available() {
        for activation in ACTIVATIONS {
            for precision in PRECISIONS {
                check(precision, kernel, m, n, k, &Epilogue { bias: Some(&bias), activation });
                check(precision, kernel, m, n, k, &Epilogue { activation, ..Epilogue::default() });
            }
        }
    }
}

#[test]
fn a_product_is_added_to_what_is_there() {
    let (pool, m, n, k) = (ThreadPool::new(2).unwrap(), 40, 150, 70);
    let (x, w, bias, before) = (numbers(1, m * k), numbers(2, n * k), numbers(3, n), numbers(4, m * n));
    let epilogue = Epilogue { bias: Some(&bias), ..Epilogue::default() };
    for (precision, kernel) in PRECISIONS.into_iter().flat_map(|p| Kernel::available().map(move |k| (p, k))) {
        let packed = PackedMatrix::pack(precision, &w, n, k).unwrap();
        let product = multiply(&packed, &pool, kernel, &x, &epilogue).unwrap();
        let (mut rows, mut out) = (Rows::new(precision, kernel), before.clone());
        rows.copy_from(&pool, &x, k).unwrap();
        packed.add_to(&pool, &rows, &epilogue, &mut out).unwrap();
        let expected: Vec<f32> = before.iter().zip(product).map(|(before, product)| before + product).collect();
        assert_eq!(out, expected, "{precision:?} {kernel:?}");
    }
}

#[test]
fn a_batch_gives_the_sums_of_its_rows_in_any_pool() {
    // Enough rows for several ranges of them.
    let (m, n) = (230, 768);
    let (three, solo) = (ThreadPool::new(3).unwrap(), ThreadPool::solo());
    for k in [300, 304] {
        let x = numbers(5, m * k);
        let w: Vec<f32> = numbers(6, n * k).into_iter().map(|w| w.powi(5)).collect();
        for (precision, kernel) in PRECISIONS.into_iter().flat_map(|p| Kernel::available().map(move |k| (p, k))) {
            let packed = PackedMatrix::pack(precision, &w, n, k).unwrap();
            let whole = multiply(&packed, &three, kernel, &x, &Epilogue::default()).unwrap();
            for i in [0, 1, 100, m - 1] {
                let row = multiply(&packed, &solo, kernel, &x[i * k..][..k], &Epilogue::default()).unwrap();
                assert_eq!(row, whole[i * n..][..n], "{precision:?} {kernel:?}");
            }
        }
    }
}

#[test]
fn a_product_is_the_next_ones_input() {
    let (pool, m, k, middle, n) = (ThreadPool::new(2).unwrap(), 11, 40, 200, 30);
    let (x, first, second) = (numbers(1, m * k), numbers(2, middle * k), numbers(3, n * middle));
    for (precision, kernel) in PRECISIONS.into_iter().flat_map(|p| Kernel::available().map(move |k| (p, k))) {
        let first = PackedMatrix::pack(precision, &first, middle, k).unwrap();
        let second = PackedMatrix::pack(precision, &second, n, middle).unwrap();
        for activation in ACTIVATIONS {
            let epilogue = Epilogue { activation, ..Epilogue::default() };
            let step_by_step = multiply(&first, &pool, kernel, &x, &epilogue).unwrap();
            let (mut rows, mut between) = (Rows::new(precision, kernel), Rows::new(precision, kernel));
            rows.copy_from(&pool, &x, k).unwrap();
            first.multiply_to_rows(&pool, &rows, &epilogue, &mut between).unwrap();
            if activation == Activation::None || precision == Precision::F32 {
                assert_written_in_parts(&between, &step_by_step, &second);
            } else {
                assert_close_when_rounded(&between, &step_by_step);
            }
        }
    }
}

/// Activations of what is rounded are within 2e-4 of themselves, and so is the largest value of what has a scale, whose step
/// is half the other error.
fn assert_close_when_rounded(rows: &Rows, values: &[f32]) {
    let (k, kernel, quantization) = (rows.width(), rows.kernel(), rows.quantization());
    let whole = quantization.is_some_and(|quantization| quantization.scope == ScaleScope::Row);
    let group = if whole { k } else { 64 };
    for (i, row) in values.chunks(k).enumerate() {
        let mut read = vec![0.0; k];
        rows.read(i, 0, &mut read);
        for (read, values) in read.chunks(group).zip(row.chunks(group)) {
            let largest = values.iter().fold(0f32, |largest, x| largest.max(x.abs()));
            let mut transformed = values.to_vec();
            transform(&mut transformed);
            let [low, high] = range(&transformed);
            for (read, x) in read.iter().zip(values) {
                let bf16 = if quantization.is_none() || whole { x.abs() / 256.0 } else { 0.0 };
                let step = quantization.map_or(0.0, |quantization| (high - low) / quantization.qmax as f32);
                let of_largest = if whole { largest / 256.0 } else { 0.0 };
                let error = (read - x).abs();
                let bound = 1.001 * (bf16 + step) + 2e-4 * largest + of_largest;
                assert!(error <= bound, "{kernel:?}: {read} is not {x}");
            }
        }
    }
}

/// Rows that were written in parts are what the values are when they are rounded, and so is their product.
fn assert_written_in_parts(rows: &Rows, values: &[f32], packed: &PackedMatrix) {
    let (pool, k) = (ThreadPool::solo(), rows.width());
    let (precision, kernel) = (rows.precision(), rows.kernel());
    let product = packed.multiply(&pool, rows, &Epilogue::default()).unwrap();
    let mut same = Rows::new(precision, kernel);
    if is_of_whole_rows(precision, kernel) {
        let mut parts = Rows::to_read(Precision::Bf16, kernel);
        parts.copy_from(&pool, values, k).unwrap();
        same.copy_rows(&pool, &parts);
    } else {
        same.copy_from(&pool, values, k).unwrap();
    }
    let expected = packed.multiply(&pool, &same, &Epilogue::default()).unwrap();
    assert_eq!(product, expected, "{precision:?} {kernel:?}");
}

#[test]
fn rows_are_filled_part_by_part() {
    let (pool, heights, parts) = (ThreadPool::new(2).unwrap(), [3, 1, 5], 3);
    // Parts of 7 or 10 values share groups of integers, so that their rows are written whole.
    for width in [7, 10, 64] {
        let (m, k, n) = (9, parts * width, 20);
        let (x, w) = (numbers(1, m * k), numbers(2, n * k));
        for (precision, kernel) in PRECISIONS.into_iter().flat_map(|p| Kernel::available().map(move |k| (p, k))) {
            let packed = PackedMatrix::pack(precision, &w, n, k).unwrap();
            let mut rows = Rows::new(precision, kernel);
            rows.fill_grid(&pool, &heights, parts, width, |i, part, cell| {
                let start: usize = heights[..i].iter().sum();
                for (row, values) in cell.chunks_exact_mut(width).enumerate() {
                    values.copy_from_slice(&x[(start + row) * k + part * width..][..width]);
                }
            });
            assert_written_in_parts(&rows, &x, &packed);
        }
    }
}

#[test]
fn rows_are_read_as_they_were_rounded() {
    let cases = PRECISIONS.into_iter().flat_map(|p| Kernel::available().map(move |k| (p, k)));
    let cases = cases.flat_map(|case| [(case, 131, true), (case, 131, false), (case, 128, true), (case, 128, false)]);
    for ((precision, kernel), k, to_read) in cases {
        let x = numbers(1, 19 * k);
        let mut rows = if to_read { Rows::to_read(precision, kernel) } else { Rows::new(precision, kernel) };
        rows.copy_from(&ThreadPool::solo(), &x, k).unwrap();
        assert_eq!(rows.is_to_read(), to_read);
        // Where the kernel does not multiply pairs of bf16, as on Intel's without AMX, or has none, the rows are f32.
        let pairs = match kernel {
            Kernel::Amx | Kernel::NeonI8mm => true,
            Kernel::Avx512Bf16 => to_read || rows.is_of_pairs(),
            _ => false,
        };
        let exact = precision == Precision::Bf16 && !pairs;
        let expected = if exact { x.clone() } else { rounded_rows(precision, kernel, x.clone(), k) };
        for (column, width) in [(0, k), (0, 0), (0, 96), (64, 64), (64, 2), (65, 1), (63, 40), (k - 1, 1), (k, 0)] {
            for (i, expected) in expected.chunks(k).enumerate() {
                let mut given = vec![9.0; width];
                rows.read(i, column, &mut given);
                for (given, expected) in given.iter().zip(&expected[column..]) {
                    assert!(
                        (given - expected).abs() <= 1e-6 * expected.abs(),
                        "{precision:?} {kernel:?} {given} {expected}"
                    );
                }
            }
        }
    }
}

#[test]
fn rows_are_copied_as_they_were_rounded() {
    let pool = ThreadPool::new(2).unwrap();
    for (kernel, bad) in Kernel::available().flat_map(|kernel| [(kernel, f32::NAN), (kernel, f32::NEG_INFINITY)]) {
        let (mut from, mut copy) = (Rows::to_read(Precision::Bf16, kernel), Rows::new(Precision::Int8, kernel));
        from.fill(&pool, 2, 128, |i, row| row.fill(if i == 0 { 1.0 } else { bad }));
        copy.copy_rows(&pool, &from);
        let mut row = [0.0; 128];
        copy.read(0, 0, &mut row);
        assert!(row.iter().all(|x| (x - 1.0).abs() < 1e-6), "{kernel:?}");
        copy.read(1, 0, &mut row);
        assert!(row.iter().any(|x| !x.is_finite()), "{kernel:?}: {bad} is lost");
    }
    for (kernel, k) in Kernel::available().flat_map(|kernel| [33, 64, 100, 192, 768].map(|k| (kernel, k))) {
        for precision in [Precision::F32, Precision::Bf16] {
            let values: Vec<f32> = numbers(9, 37 * k).iter().enumerate().map(|(i, x)| x * (i % 7) as f32).collect();
            let (mut from, mut copy, mut filled) = (
                Rows::to_read(precision, kernel),
                Rows::new(Precision::Int8, kernel),
                Rows::new(Precision::Int8, kernel),
            );
            from.copy_from(&pool, &values, k).unwrap();
            copy.copy_rows(&pool, &from);
            filled.fill(&pool, 37, k, |i, row| from.read(i, 0, row));
            assert_eq!((copy.len(), copy.width()), (37, k));
            for i in 0..37 {
                let read = |rows: &Rows| {
                    let mut row = vec![0.0; k];
                    rows.read(i, 0, &mut row);
                    row
                };
                assert_eq!(read(&copy), read(&filled), "{kernel:?} {precision:?}, row {i} of {k}");
            }
        }
    }
}

#[test]
fn what_is_not_finite_stays_visible() {
    let (n, k) = (3, 130);
    let w = numbers(2, n * k);
    for (precision, kernel) in PRECISIONS.into_iter().flat_map(|p| Kernel::available().map(move |k| (p, k))) {
        let packed = PackedMatrix::pack(precision, &w, n, k).unwrap();
        for bad in [f32::NAN, f32::INFINITY] {
            let mut x = numbers(1, k);
            x[70] = bad;
            let out = multiply(&packed, &ThreadPool::solo(), kernel, &x, &Epilogue::default()).unwrap();
            assert!(out.iter().all(|y| !y.is_finite()), "{precision:?} {kernel:?}: {out:?}");
        }
    }
}

#[test]
fn bytes_make_the_same_matrix_again() {
    let (n, k, w) = (70, 9, numbers(7, 70 * 9));
    let product = |matrix: &PackedMatrix| {
        multiply(matrix, &ThreadPool::solo(), Kernel::best(), &numbers(8, 2 * k), &Epilogue::default()).unwrap()
    };
    for precision in PRECISIONS {
        let matrix = PackedMatrix::pack(precision, &w, n, k).unwrap();
        let bytes = matrix.as_bytes();
        assert_eq!(bytes.len(), PackedMatrix::packed_bytes(precision, n, k).unwrap());
        let again = PackedMatrix::from_bytes(precision, bytes.clone(), n, k).unwrap();
        assert_eq!(product(&matrix), product(&again));
        assert!(PackedMatrix::from_bytes(precision, bytes.slice(4..), n, k).is_err(), "too short");
        assert!(PackedMatrix::from_bytes(precision, bytes.clone(), n, k + 4).is_err(), "another shape");
        let mut shifted = vec![0; bytes.len() + 4];
        let offset = (0..4).find(|i| shifted[*i..].as_ptr().addr() % 4 == 1).unwrap();
        shifted[offset..][..bytes.len()].copy_from_slice(bytes);
        let shifted = bytes::Bytes::from(shifted).slice(offset..offset + bytes.len());
        assert!(PackedMatrix::from_bytes(precision, shifted, n, k).is_err(), "not aligned");
    }
}

#[test]
fn any_bytes_give_a_product() {
    // A damaged file may hold anything: the numbers are wrong then, but nothing else happens.
    let (n, k) = (70, 9);
    for (precision, kernel) in PRECISIONS.into_iter().flat_map(|p| Kernel::available().map(move |k| (p, k))) {
        for byte in [0x00, 0x7f, 0x80, 0xff] {
            let bytes = vec![byte; PackedMatrix::packed_bytes(precision, n, k).unwrap() + 4];
            let offset = bytes.as_ptr().addr().wrapping_neg() % 4;
            let bytes =
                bytes::Bytes::from(bytes).slice(offset..).slice(..PackedMatrix::packed_bytes(precision, n, k).unwrap());
            let matrix = PackedMatrix::from_bytes(precision, bytes, n, k).unwrap();
            let out = multiply(&matrix, &ThreadPool::solo(), kernel, &numbers(8, 2 * k), &Epilogue::default()).unwrap();
            assert_eq!(out.len(), 2 * n);
        }
    }
}

#[test]
fn shapes_are_checked() {
    let message = |e: ShapeError| e.to_string();
    let pack = |weights: &[f32], n, k| PackedMatrix::pack(Precision::F32, weights, n, k).map_err(message);
    assert_eq!(pack(&[0.0; 5], 2, 3).unwrap_err(), "number of weights is 5, expected 6");
    assert!(pack(&[], 0, 3).is_err());
    assert!(PackedMatrix::packed_bytes(Precision::Bf16, usize::MAX, 2).is_err());
    assert!(PackedMatrix::packed_bytes(Precision::F32, usize::MAX / 64, 64).is_err());
    let w = pack(&[1.0; 6], 2, 3).unwrap();
    let pool = ThreadPool::solo();
    let run = |x: &[f32], epilogue: &Epilogue| multiply(&w, &pool, Kernel::Portable, x, epilogue).map_err(message);
    assert!(run(&[0.0; 3], &Epilogue::default()).is_ok());
    assert_eq!(run(&[0.0; 4], &Epilogue::default()).unwrap_err(), "length of the left-hand side is 4, expected 3");
    let bias = Epilogue { bias: Some(&[0.0; 3]), ..Epilogue::default() };
    assert_eq!(run(&[0.0; 3], &bias).unwrap_err(), "length of the bias is 3, expected 2");
    let mut rows = Rows::new(Precision::F32, Kernel::Portable);
    rows.copy_from(&pool, &[0.0; 3], 3).unwrap();
    let added = w.add_to(&pool, &rows, &Epilogue::default(), &mut [0.0; 3]).map_err(message);
    assert_eq!(added.unwrap_err(), "number of values to add to is 3, expected 2");
    rows.copy_from(&pool, &[0.0; 4], 2).unwrap();
    let result = w.multiply(&pool, &rows, &Epilogue::default()).map_err(message);
    assert_eq!(result.unwrap_err(), "width of the left-hand side is 2, expected 3");
    let mut rows = Rows::new(Precision::Bf16, Kernel::Portable);
    rows.copy_from(&pool, &[0.0; 3], 3).unwrap();
    let result = w.multiply(&pool, &rows, &Epilogue::default()).map_err(message);
    assert_eq!(result.unwrap_err(), "bits of the left-hand side's precision is 16, expected 32");
}
