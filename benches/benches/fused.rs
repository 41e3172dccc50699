//! What an item costs by the number of steps that are fused into its stage.

use std::hint::black_box;
use std::time::Duration;

use benches::measure::runtime::checked;
use benches::ours;
use benches::tally::Tally;
use benches::work::noop;
use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, Throughput};
use pipeline_core::prelude::*;

const ITEMS: u64 = 100_000;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group("fused");
    group.throughput(Throughput::Elements(ITEMS));
    bench(&mut group, "0", stage);
    bench(&mut group, "1 map", || stage().map(black_box));
    bench(&mut group, "2 maps", || {
        stage().map(black_box).map(black_box)
    });
    bench(&mut group, "4 maps", || {
        stage()
            .map(black_box)
            .map(black_box)
            .map(black_box)
            .map(black_box)
    });
    bench(&mut group, "filter", || stage().filter(keep));
    bench(&mut group, "4 filters", || {
        stage().filter(keep).filter(keep).filter(keep).filter(keep)
    });
    bench(&mut group, "inspect", || stage().inspect(look));
    group.finish();
    criterion.final_summary();
}

fn keep(item: &u64) -> bool {
    black_box(*item) < ITEMS
}

fn look(item: &u64) {
    black_box(*item);
}

fn stage() -> Pipeline<u64, impl pipeline_core::pipeline::Tail<Item = u64>> {
    Pipeline::from_iter(0..ITEMS).then(noop)
}

fn bench<P: IntoPipeline<Item = u64> + Send + 'static>(
    group: &mut BenchmarkGroup<'_, WallTime>,
    name: &str,
    steps: fn() -> P,
) {
    group.bench_function(name, |bencher| {
        bencher.iter_custom(|runs| (0..runs).map(|_| run(steps)).sum());
    });
}

fn run<P: IntoPipeline<Item = u64> + Send + 'static>(steps: fn() -> P) -> Duration {
    let run = async move { ours::collect(steps(), Tally::default()).await };
    checked(ITEMS, true, run).expect("the result is right")
}
