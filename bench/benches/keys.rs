//! Keys to ids per second on the embedded Postgres, 10,000 at a time: 100,000 that are new, and
//! the same when they are known, past the cache.

#![expect(clippy::expect_used, reason = "a benchmark has nobody to tell but its reader")]

use std::time::Duration;

use bench::KeyBench;
use criterion::{Criterion, SamplingMode, Throughput, criterion_group, criterion_main};

const KEYS: u64 = 100_000;

fn keys(criterion: &mut Criterion) {
    let bench = KeyBench::start(KEYS).expect("Postgres");
    let mut group = criterion.benchmark_group("100,000 keys");
    // Each takes about a second, so samples of several say no more.
    group.sampling_mode(SamplingMode::Flat).sample_size(10);
    group.measurement_time(Duration::from_secs(10)).throughput(Throughput::Elements(KEYS));
    group.bench_function("new", |bencher| {
        // Each time in a database without keys, the making of which is not measured.
        bencher.iter_custom(|times| (0..times).map(|_| bench.mint().expect("ids")).sum());
    });
    group.bench_function("known", |bencher| {
        bencher.iter(|| bench.look_up().expect("ids"));
    });
    group.finish();
    bench.stop();
}

criterion_group!(benches, keys);
criterion_main!(benches);
