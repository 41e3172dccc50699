//! What an item costs by the end of its pipeline.

use std::convert::Infallible;
use std::future::ready;
use std::hint::black_box;

use benches::measure::runtime::timed;
use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, Throughput};
use futures_util::TryStreamExt;
use pipeline_core::error::RunError;
use pipeline_core::prelude::*;

const ITEMS: u64 = 100_000;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group("ends");
    group.throughput(Throughput::Elements(ITEMS));
    bench(&mut group, "count", count);
    bench(&mut group, "fold", fold);
    bench(&mut group, "for_each", for_each);
    bench(&mut group, "try_for_each", try_for_each);
    bench(&mut group, "sink", sink);
    bench(&mut group, "collect", collect);
    bench(&mut group, "into_stream", into_stream);
    group.finish();
    criterion.final_summary();
}

/// `end` gives the number of items that it was given.
fn bench<F>(group: &mut BenchmarkGroup<'_, WallTime>, name: &str, end: fn() -> F)
where
    F: Future<Output = Result<u64, RunError>> + Send + 'static,
{
    let run = || {
        let (elapsed, items) = timed(end()).expect("it ends");
        assert_eq!(items.expect("it does not fail"), ITEMS);
        elapsed
    };
    group.bench_function(name, |bencher| {
        bencher.iter_custom(|runs| (0..runs).map(|_| run()).sum());
    });
}

fn source() -> Pipeline<u64> {
    Pipeline::from_iter(0..ITEMS)
}

async fn count() -> Result<u64, RunError> {
    Ok(source().count().run().await?.value)
}

async fn fold() -> Result<u64, RunError> {
    Ok(source().fold(0, |count, _| count + 1).run().await?.value)
}

async fn for_each() -> Result<u64, RunError> {
    let job = source().for_each(|item| {
        black_box(item);
    });
    Ok(job.run().await?.items.delivered)
}

async fn try_for_each() -> Result<u64, RunError> {
    let job = source().try_for_each(|_| ready(Ok::<_, Infallible>(())));
    Ok(job.run().await?.items.delivered)
}

async fn sink() -> Result<u64, RunError> {
    Ok(source().sink(Discard).run().await?.items.delivered)
}

async fn collect() -> Result<u64, RunError> {
    Ok(source().collect().run().await?.value.len() as u64)
}

async fn into_stream() -> Result<u64, RunError> {
    let items = source().into_stream().start()?;
    items.try_fold(0, |count, _| ready(Ok(count + 1))).await
}

struct Discard;

impl Sink<u64> for Discard {
    type Error = Infallible;

    async fn write(&mut self, items: &mut Vec<u64>) -> Result<(), Infallible> {
        items.clear();
        Ok(())
    }
}
