//! What an item costs by the number of stages that it goes through.

use benches::measure::runtime::checked;
use benches::ours;
use benches::tally::Tally;
use benches::work::noop;
use criterion::{BenchmarkId, Criterion, Throughput};
use pipeline_core::prelude::*;

const ITEMS: u64 = 100_000;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group("chain");
    group.throughput(Throughput::Elements(ITEMS));
    for parallelism in [1, 16] {
        for stages in [0, 1, 2, 4, 8] {
            group.bench_function(
                BenchmarkId::new(format!("parallelism {parallelism}"), stages),
                |bencher| {
                    bencher.iter_custom(|runs| (0..runs).map(|_| run(stages, parallelism)).sum());
                },
            );
        }
    }
    group.finish();
    criterion.final_summary();
}

fn run(stages: usize, parallelism: usize) -> std::time::Duration {
    let chain = async move {
        let source = Pipeline::from_iter(0..ITEMS);
        let chain = (0..stages).fold(source, |chain, _| {
            chain.then(noop).parallelism(parallelism).into()
        });
        ours::collect(chain, Tally::default()).await
    };
    checked(ITEMS, true, chain).expect("the result is right")
}
