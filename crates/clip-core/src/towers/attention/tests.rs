//! Every kernel of this machine beside candle's own operations.

use super::*;
use candle_core::{D, DType, Device, Tensor};
use candle_nn::ops::softmax_last_dim;
use packed_gemm::Precision;

use crate::spec::{Rope, RopeOrder};

/// The same on candle's own operations, for one sequence.
fn reference(qkv: &Tensor, heads: usize, causal: bool) -> candle_core::Result<Tensor> {
    let length = qkv.dim(0)?;
    let hidden = |i: usize| causal && i % length > i / length;
    let hide: Vec<f32> = (0..length * length).map(|i| if hidden(i) { f32::NEG_INFINITY } else { 0.0 }).collect();
    biased(qkv, heads, &Tensor::from_vec(hide, (length, length), &Device::Cpu)?)
}

/// The same with `bias` added to the scores.
fn biased(qkv: &Tensor, heads: usize, bias: &Tensor) -> candle_core::Result<Tensor> {
    let (length, width) = qkv.dims2()?;
    let size = width / 3 / heads;
    let part = |i: usize| {
        qkv.narrow(1, i * width / 3, width / 3)?.reshape((length, heads, size))?.transpose(0, 1)?.contiguous()
    };
    let scores = (part(0)?.matmul(&part(1)?.t()?)? / (size as f64).sqrt())?.broadcast_add(bias)?;
    softmax_last_dim(&scores)?.matmul(&part(2)?)?.transpose(0, 1)?.reshape((length, width / 3))
}

#[test]
fn as_with_candles_own_operations() {
    for (heads, size, lengths) in [(1, 16, vec![1]), (3, 20, vec![5, 1, 17]), (2, 64, vec![50, 77])] {
        let hidden = heads * size;
        let rows = lengths.iter().sum::<usize>();
        let qkv = Tensor::randn(0f32, 1., (rows, 3 * hidden), &Device::Cpu).unwrap();
        for (causal, kernel) in [false, true].into_iter().flat_map(|c| Kernel::available().map(move |k| (c, k))) {
            let run = |queries| {
                let attention = Attention { heads, lengths: &lengths, causal, queries, positions: None };
                values_of(&attention, &qkv, kernel)
            };
            let last: Vec<usize> = lengths.iter().map(|n| n - 1).collect();
            let (all, one) = (run(Queries::All), run(Queries::Rows(&last)));
            let mut start = 0;
            for (i, &length) in lengths.iter().enumerate() {
                let expected = reference(&qkv.narrow(0, start, length).unwrap(), heads, causal).unwrap();
                let given = all.narrow(0, start, length).unwrap();
                close(&given, &expected);
                close(&one.narrow(0, i, 1).unwrap(), &expected.narrow(0, length - 1, 1).unwrap());
                start += length;
            }
        }
    }
}

#[test]
fn rounded_to_bf16() {
    for (heads, size, lengths) in [(1, 16, vec![1]), (3, 32, vec![5, 1, 17, 2]), (2, 64, vec![50, 77, 130])] {
        let rows = lengths.iter().sum::<usize>();
        let qkv = Tensor::randn(0f32, 1., (rows, 3 * heads * size), &Device::Cpu).unwrap();
        // What attention reads, so that its own rounding alone is left.
        let qkv = qkv.to_dtype(DType::BF16).unwrap().to_dtype(DType::F32).unwrap();
        for (causal, kernel) in [false, true].into_iter().flat_map(|c| Kernel::available().map(move |k| (c, k))) {
            let attention = Attention { heads, lengths: &lengths, causal, queries: Queries::All, positions: None };
            let all = rounded_values_of(&attention, &qkv, Precision::Bf16, kernel);
            let mut start = 0;
            for &length in &lengths {
                let expected = reference(&qkv.narrow(0, start, length).unwrap(), heads, causal).unwrap();
                within(1e-2, &all.narrow(0, start, length).unwrap(), &expected);
                start += length;
            }
        }
    }
}

/// Lengths that take several panels of keys and blocks of queries, the last of them cut.
#[test]
fn long_sequences() {
    for (heads, size, length) in [(2, 64, 257), (1, 80, 577), (1, 72, 131), (1, 64, 1025)] {
        let qkv = Tensor::randn(0f32, 1., (length, 3 * heads * size), &Device::Cpu).unwrap();
        let rounded = qkv.to_dtype(DType::BF16).unwrap().to_dtype(DType::F32).unwrap();
        for causal in [false, true] {
            let (exact, exact_rounded) =
                (reference(&qkv, heads, causal).unwrap(), reference(&rounded, heads, causal).unwrap());
            for kernel in Kernel::available() {
                for (queries, rows) in
                    [(Queries::All, 0..length), (Queries::Rows(&[length / 2]), length / 2..length / 2 + 1)]
                {
                    let attention = Attention { heads, lengths: &[length], causal, queries, positions: None };
                    let expected = |exact: &Tensor| exact.narrow(0, rows.start, rows.len()).unwrap();
                    close(&values_of(&attention, &qkv, kernel), &expected(&exact));
                    let given = rounded_values_of(&attention, &rounded, Precision::Bf16, kernel);
                    within(1e-2, &given, &expected(&exact_rounded));
                }
            }
        }
    }
}

/// Scores far apart: a softmax that does not know the largest one would overflow or lose the others.
#[test]
fn large_scores() {
    let (heads, size, length) = (1, 64, 200);
    let qkv = (Tensor::randn(0f32, 1., (length, 3 * size), &Device::Cpu).unwrap() * 20.0).unwrap();
    let (scale, expected) = (1.0 / 60.0, reference(&qkv, heads, false).unwrap());
    for kernel in Kernel::available() {
        let attention = Attention { heads, lengths: &[length], causal: false, queries: Queries::All, positions: None };
        let given = values_of(&attention, &qkv, kernel);
        within(1e-3, &(given * scale).unwrap(), &(&expected * scale).unwrap());
    }
}

#[test]
fn the_same_alone_and_on_any_number_of_threads() {
    let (heads, size, lengths) = (3, 64, [50, 1, 131, 257]);
    let qkv = Tensor::randn(0f32, 1., (lengths.iter().sum::<usize>(), 3 * heads * size), &Device::Cpu).unwrap();
    for (precision, kernel) in Kernel::available().flat_map(|k| [(Precision::F32, k), (Precision::Bf16, k)]) {
        for causal in [false, true] {
            let run = |lengths: &[usize], qkv: &Tensor, threads| {
                let attention = Attention { heads, lengths, causal, queries: Queries::All, positions: None };
                values_on(threads, &attention, qkv, precision, kernel).to_vec2::<f32>().unwrap()
            };
            let all = run(&lengths, &qkv, 1);
            assert!(all == run(&lengths, &qkv, 3), "{kernel} {precision:?}: threads");
            let mut start = 0;
            for length in lengths {
                let alone = run(&[length], &qkv.narrow(0, start, length).unwrap(), 1);
                assert!(all[start..start + length] == alone, "{kernel} {precision:?}: {length} rows");
                start += length;
            }
        }
    }
}

#[test]
fn what_is_not_a_number_stays_visible() {
    let (size, length) = (64, 150);
    let values: Vec<f32> = Tensor::randn(0f32, 1., (length * 3 * size,), &Device::Cpu).unwrap().to_vec1().unwrap();
    for (precision, kernel) in Kernel::available().flat_map(|k| [(Precision::F32, k), (Precision::Bf16, k)]) {
        for (bad, part) in [f32::NAN, -f32::NAN, f32::INFINITY].into_iter().flat_map(|x| [(x, 0), (x, 1), (x, 2)]) {
            let mut values = values.clone();
            values[(70 * 3 + part) * size + 5] = bad;
            let qkv = Tensor::from_vec(values, (length, 3 * size), &Device::Cpu).unwrap();
            let attention =
                Attention { heads: 1, lengths: &[length], causal: false, queries: Queries::All, positions: None };
            let given = rounded_values_of(&attention, &qkv, precision, kernel).to_vec2::<f32>().unwrap();
            // A query shows in its own row, a key of infinity where the other factor is positive, others in all rows.
            let shows = |row: &Vec<f32>| row.iter().any(|x| !x.is_finite());
            let rows = given.iter().filter(|row| shows(row)).count();
            match part {
                0 => assert!(shows(&given[70]) && rows == 1, "{kernel} {precision:?} {bad}: a query, {rows} rows"),
                1 if bad.is_infinite() => assert!(rows > 30, "{kernel} {precision:?}: a key, {rows} rows"),
                _ => assert!(rows == length, "{kernel} {precision:?} {bad}: {part}, {rows} rows"),
            }
        }
    }
}

#[test]
fn a_query_of_its_own() {
    let (heads, size, lengths) = (2, 20, [3, 17]);
    let hidden = heads * size;
    let random = |rows, width| Tensor::randn(0f32, 1., (rows, width), &Device::Cpu).unwrap();
    let (all, kv, rows) = (random(20, hidden), random(20, 2 * hidden), [1, 16]);
    let qkv = Tensor::cat(&[&all, &kv], 1).unwrap();
    let all: Vec<f32> = all.flatten_all().unwrap().to_vec1().unwrap();
    let queries = [&all[hidden..][..hidden], &all[(3 + 16) * hidden..]].concat();
    for (precision, kernel) in Kernel::available().flat_map(|k| [(Precision::F32, k), (Precision::Bf16, k)]) {
        for causal in [false, true] {
            let run = |queries, qkv: &Tensor| {
                let attention = Attention { heads, lengths: &lengths, causal, queries, positions: None };
                rounded_values_of(&attention, qkv, precision, kernel)
            };
            // The query itself is not rounded.
            let tolerance = if precision == Precision::F32 { 2e-6 } else { 1e-2 };
            let given = run(Queries::Given { rows: &rows, queries: &queries }, &kv);
            within(tolerance, &given, &run(Queries::Rows(&rows), &qkv));
        }
    }
}

/// Scores that fall with the distance, beside candle's with the bias added. Heads of 20 are no pairs of bf16.
#[test]
fn lowered_scores() {
    for (heads, size, length) in [(3, 16, 70), (2, 20, 9), (1, 64, 1)] {
        let qkv = Tensor::randn(0f32, 1., (length, 3 * heads * size), &Device::Cpu).unwrap();
        let qkv = qkv.to_dtype(DType::BF16).unwrap().to_dtype(DType::F32).unwrap();
        let positions = Positions::Alibi(slopes(heads, size));
        let bias: Vec<f32> = slopes(heads, 1)
            .into_iter()
            .flat_map(|slope| (0..length * length).map(move |i| -slope * (i / length).abs_diff(i % length) as f32))
            .collect();
        let bias = Tensor::from_vec(bias, (heads, length, length), &Device::Cpu).unwrap();
        let expected = biased(&qkv, heads, &bias).unwrap();
        for kernel in Kernel::available() {
            let run = |positions, queries, precision| {
                let attention = Attention { heads, lengths: &[length], causal: false, queries, positions };
                rounded_values_of(&attention, &qkv, precision, kernel)
            };
            let all = run(Some(&positions), Queries::All, Precision::F32);
            close(&all, &expected);
            within(2e-2, &run(Some(&positions), Queries::All, Precision::Bf16), &expected);
            let last = [length - 1];
            let last = run(Some(&positions), Queries::Rows(&last), Precision::F32);
            close(&last, &expected.narrow(0, length - 1, 1).unwrap());
            if length > 1 {
                let moved = (all - run(None, Queries::All, Precision::F32)).unwrap().abs().unwrap().max_all().unwrap();
                assert!(moved.to_scalar::<f32>().unwrap() > 0.05, "{moved}");
            }
        }
    }
}

/// Turned on the way, queries and keys give what those give that were turned before. Heads of 20 are no pairs of bf16.
#[test]
fn turned_queries_and_keys() {
    let rope = Rope { reference: 16, offset: 1, order: RopeOrder::ColumnsFirst };
    for (heads, size, side, before) in [(2, 64, 5, 1), (3, 20, 3, 0), (1, 32, 4, 2)] {
        let (turns, length) = (Turns::new(&rope, side, before, size), before + side * side);
        let qkv = Tensor::randn(0f32, 1., (2 * length, 3 * heads * size), &Device::Cpu).unwrap();
        let rounded = qkv.to_dtype(DType::BF16).unwrap().to_dtype(DType::F32).unwrap();
        let turned = |qkv: &Tensor| {
            let mut rows = qkv.to_vec2::<f32>().unwrap();
            for (i, row) in rows.iter_mut().enumerate() {
                row[..2 * heads * size].chunks_mut(size).for_each(|head| turns.turn(i % length, head));
            }
            Tensor::from_vec(rows.concat(), qkv.shape(), &Device::Cpu).unwrap()
        };
        let (before_all, rounded_before) = (turned(&qkv), turned(&rounded));
        let turns = Positions::Rotary(turns);
        let (lengths, some) = ([length; 2], [0, length - 1]);
        for (kernel, queries) in Kernel::available().flat_map(|k| [(k, Queries::All), (k, Queries::Rows(&some))]) {
            let run = |positions, qkv: &Tensor, precision| {
                let attention = Attention { heads, lengths: &lengths, causal: false, queries, positions };
                rounded_values_of(&attention, qkv, precision, kernel)
            };
            let exact = run(None, &before_all, Precision::F32);
            close(&run(Some(&turns), &qkv, Precision::F32), &exact);
            let expected = run(None, &rounded_before, Precision::F32);
            within(2e-2, &run(Some(&turns), &rounded, Precision::Bf16), &expected);
            let moved = (exact - run(None, &qkv, Precision::F32)).unwrap().abs().unwrap().max_all().unwrap();
            assert!(moved.to_scalar::<f32>().unwrap() > 0.05, "{moved}");
        }
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let compute = Compute::new(1).unwrap();
    let mut qkv = Rows::new(Precision::F32, compute.kernel());
    qkv.copy_from(compute.pool(), &[0.0; 5 * 24], 24).unwrap();
    let run = |heads, lengths: &[usize], queries| {
        let attention = Attention { heads, lengths, causal: false, queries, positions: None };
        let mut rows = Rows::new(Precision::F32, compute.kernel());
        attention.to_rows(&qkv, &mut rows, &compute).is_ok()
    };
    assert!(
        run(2, &[2, 3], Queries::All)
            && run(2, &[5], Queries::Rows(&[4]))
            && run(2, &[5], Queries::Given { rows: &[0], queries: &[0.0; 12] })
    );
    assert!(!run(3, &[2, 3], Queries::All), "heads");
    assert!(!run(2, &[2, 2], Queries::All), "lengths");
    assert!(!run(2, &[5], Queries::Rows(&[5])), "no such row");
    assert!(!run(2, &[2, 3], Queries::Rows(&[1])), "a row too few");
    assert!(!run(2, &[5], Queries::Given { rows: &[0], queries: &[0.0; 8] }), "the query's length");
    assert!(!run(2, &[5], Queries::Given { rows: &[5], queries: &[0.0; 12] }), "the query's row");
}

fn values_of(attention: &Attention, qkv: &Tensor, kernel: Kernel) -> Tensor {
    rounded_values_of(attention, qkv, Precision::F32, kernel)
}

/// What attention gives for `qkv` in a precision.
fn rounded_values_of(attention: &Attention, qkv: &Tensor, precision: Precision, kernel: Kernel) -> Tensor {
    values_on(2, attention, qkv, precision, kernel)
}

fn values_on(threads: usize, attention: &Attention, qkv: &Tensor, precision: Precision, kernel: Kernel) -> Tensor {
    let (width, compute) = (qkv.dims2().unwrap().1, Compute::with_kernel(threads, kernel).unwrap());
    let (mut rounded, mut rows) = (Rows::to_read(precision, kernel), Rows::new(Precision::F32, kernel));
    let values: Vec<f32> = qkv.flatten_all().unwrap().to_vec1().unwrap();
    rounded.copy_from(compute.pool(), &values, width).unwrap();
    attention.to_rows(&rounded, &mut rows, &compute).unwrap();
    let mut values = vec![0.0; rows.len() * rows.width()];
    for (i, values) in values.chunks_mut(rows.width()).enumerate() {
        rows.read(i, 0, values);
    }
    Tensor::from_vec(values, (rows.len(), rows.width()), &Device::Cpu).unwrap()
}

fn close(a: &Tensor, b: &Tensor) {
    within(2e-6, a, b);
}

fn within(tolerance: f32, a: &Tensor, b: &Tensor) {
    let error = (a - b).unwrap().abs().unwrap().flatten_all().unwrap().max(D::Minus1).unwrap();
    assert!(error.to_scalar::<f32>().unwrap() < tolerance, "{error}");
}

/// How fast attention is beside a product of a linear layer in the same precision, on one thread:
///
///     cargo test --release -p clip-core --lib attention::tests::how_fast -- --ignored --nocapture
#[test]
#[ignore = "takes a minute, and prints times"]
fn how_fast() {
    use packed_gemm::{Epilogue, PackedMatrix};
    use std::time::{Duration, Instant};
    const HEADS: usize = 16;
    let best = |run: &mut dyn FnMut()| {
        let (start, mut best) = (Instant::now(), Duration::MAX);
        while start.elapsed() < Duration::from_millis(700) {
            let start = Instant::now();
            run();
            best = best.min(start.elapsed());
        }
        best.as_secs_f64()
    };
    let random = |rows: usize, width: usize| -> Vec<f32> {
        Tensor::randn(0f32, 1., (rows, width), &Device::Cpu).unwrap().flatten_all().unwrap().to_vec1().unwrap()
    };
    let cases = [(10, true), (50, false), (77, true), (197, false), (257, false), (577, false), (1024, false)];
    for kernel in [Kernel::best()] {
        for precision in [Precision::F32, Precision::Bf16] {
            let compute = Compute::with_kernel(1, kernel).unwrap();
            let (mut x, mut read) = (Rows::new(precision, kernel), Rows::to_read(precision, kernel));
            let layer = PackedMatrix::pack(precision, &random(1024, 1024), 1024, 1024).unwrap();
            x.copy_from(compute.pool(), &random(577, 1024), 1024).unwrap();
            let time = best(&mut || drop(layer.multiply(compute.pool(), &x, &Epilogue::default()).unwrap()));
            println!("{kernel} {precision:?} product {:6.1} GFLOP/s", 2. * 577. * 1024. * 1024. / time / 1e9);
            for ((length, causal), size) in cases.into_iter().flat_map(|case| [(case, 64), (case, 80)]) {
                let width = 3 * HEADS * size;
                read.copy_from(compute.pool(), &random(length, width), width).unwrap();
                let lengths = [length];
                let attention =
                    Attention { heads: HEADS, lengths: &lengths, causal, queries: Queries::All, positions: None };
                let time = best(&mut || attention.to_rows(&read, &mut x, &compute).unwrap());
                let work = 4. * (HEADS * size * length * length) as f64;
                println!(
                    "{kernel} {precision:?} {length:4} x {size} {} {:8.1} us a head {:6.1} GFLOP/s",
                    if causal { "causal" } else { "      " },
                    time * 1e6 / HEADS as f64,
                    work / time / 1e9
                );
            }
        }
    }
}
