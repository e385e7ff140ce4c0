//! The products of a layer of CLIP ViT-B/32, for 8 images and for one text of 10 tokens, in every precision, by every
//! kernel of this machine:
//!
//!     cargo bench -p packed-gemm [-- FILTER]
//!
//! "Elements" are multiplications with their additions; twice that is what is usually given as FLOP.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use packed_gemm::{Activation, Epilogue, Kernel, PackedMatrix, Precision, Rows, ThreadPool};

fn products(criterion: &mut Criterion) {
    let pool = ThreadPool::new(std::thread::available_parallelism().map_or(1, |n| n.get())).expect("threads");
    // rows, outputs, inputs
    for (m, n, k) in [(400, 2304, 768), (400, 768, 768), (400, 3072, 768), (400, 768, 3072), (10, 2048, 512)] {
        let number = |i: usize| ((i * 7919 % 1009) as f32 - 504.0) / 504.0;
        let weights: Vec<f32> = (0..n * k).map(number).collect();
        let x: Vec<f32> = (0..m * k).map(number).collect();
        let bias: Vec<f32> = (0..n).map(number).collect();
        let mut group = criterion.benchmark_group(format!("{m}x{n}x{k}"));
        group.throughput(Throughput::Elements((m * n * k) as u64)).sample_size(20);
        for precision in [Precision::F32, Precision::Bf16, Precision::Int8] {
            let packed = PackedMatrix::pack(precision, &weights, n, k).expect("lengths fit");
            for kernel in Kernel::available() {
                let mut rows = Rows::new(precision, kernel);
                rows.copy_from(&pool, &x, k).expect("lengths fit");
                let epilogue = Epilogue { bias: Some(&bias), activation: Activation::QuickGelu };
                group.bench_function(BenchmarkId::new(format!("{precision:?}"), kernel), |bencher| {
                    bencher.iter(|| packed.multiply(&pool, &rows, &epilogue));
                });
            }
        }
    }
}

criterion_group!(benches, products);
criterion_main!(benches);
