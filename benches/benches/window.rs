//! What an item costs by the window of its stage: wider windows mean fewer wake-ups.

use benches::measure::runtime::checked;
use benches::options::Options;
use benches::ours;
use benches::tally::Tally;
use benches::work::noop;
use criterion::{BenchmarkId, Criterion, Throughput};
use pipeline_core::prelude::*;

const ITEMS: u64 = 100_000;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group("window");
    group.throughput(Throughput::Elements(ITEMS));
    for window in [16, 64, 256, 1024, 4096, 16_384] {
        let ordered = Options::parallelism(16).window(window);
        for (name, options) in [("ordered", ordered), ("unordered", ordered.unordered())] {
            group.bench_function(BenchmarkId::new(name, window), |bencher| {
                bencher.iter_custom(|runs| (0..runs).map(|_| run(options)).sum());
            });
        }
    }
    group.finish();
    criterion.final_summary();
}

fn run(options: Options) -> std::time::Duration {
    let stage = async move {
        ours::then(
            Pipeline::from_iter(0..ITEMS),
            options,
            noop,
            Tally::default(),
        )
        .await
    };
    checked(ITEMS, options.ordered, stage).expect("the result is right")
}
