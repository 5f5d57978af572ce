//! Mapped rows per second on one core, beside a copy of the same bytes into a `Vec<u8>`.

#![expect(clippy::expect_used, reason = "a benchmark has nobody to tell but its reader")]

use std::hint::black_box;

use bench::sample::Sample;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

/// One batch: what does not fit into the caches is measured by `cargo run --release -p bench`.
const ROWS: u64 = 10_000;

fn mapping(criterion: &mut Criterion) {
    let plan = bench::plan().expect("Spacehub's mapping");
    for (table, name) in
        [("Contract", "contracts"), ("Invoice", "invoices"), ("InvoiceLine", "invoice lines")]
    {
        let sample = Sample::new(&plan, table, ROWS).expect("rows");
        let bytes = sample.bytes().expect("good rows");
        let mut group = criterion.benchmark_group(name);
        group.throughput(Throughput::Elements(ROWS));
        group.bench_function("map", |bencher| {
            bencher.iter(|| black_box(&sample).map().expect("good rows"));
        });
        group.throughput(Throughput::Elements(bytes.count()));
        group.bench_function("copy the same bytes", |bencher| {
            bencher.iter(|| black_box(&bytes).copy());
        });
        group.finish();
    }
}

criterion_group!(benches, mapping);
criterion_main!(benches);
