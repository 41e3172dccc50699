//! What an item costs by how many of them fail, and by where failures go.

use std::time::Duration;

use benches::measure::runtime::timed;
use criterion::{BenchmarkId, Criterion, Throughput};
use pipeline_core::error::{OnError, Overflow, RunError};
use pipeline_core::prelude::*;
use pipeline_core::report::{Counts, Report};
use tokio::sync::mpsc;

const ITEMS: u64 = 100_000;

/// The smallest error.
#[derive(Debug, thiserror::Error)]
#[error("refused")]
struct Refused;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group("errors");
    group.throughput(Throughput::Elements(ITEMS));
    for percent in [0, 1, 100] {
        group.bench_function(BenchmarkId::new("counted", percent), |bencher| {
            bencher.iter_custom(|runs| (0..runs).map(|_| counted(percent)).sum());
        });
        group.bench_function(BenchmarkId::new("sent", percent), |bencher| {
            bencher.iter_custom(|runs| (0..runs).map(|_| sent(percent)).sum());
        });
    }
    group.finish();
    criterion.final_summary();
}

fn job(percent: u64) -> Job {
    let stage = Pipeline::from_iter(0..ITEMS).try_map(move |item| {
        if item % 100 < percent {
            Err(Refused)
        } else {
            Ok(item)
        }
    });
    stage.parallelism(16).for_each(drop)
}

/// Nobody receives them.
fn counted(percent: u64) -> Duration {
    checked(percent, async move {
        job(percent).on_error(OnError::Continue).run().await
    })
}

/// To a task that receives them all.
fn sent(percent: u64) -> Duration {
    checked(percent, async move {
        let (sender, mut failures) = mpsc::channel(1024);
        let receiver = tokio::spawn(async move {
            let mut count = 0;
            while failures.recv().await.is_some() {
                count += 1;
            }
            count
        });
        let report = job(percent)
            .errors(sender)
            .error_overflow(Overflow::Wait)
            .run()
            .await?;
        assert_eq!(
            receiver.await.expect("it does not panic"),
            ITEMS / 100 * percent
        );
        Ok(report)
    })
}

fn checked(
    percent: u64,
    run: impl Future<Output = Result<Report, RunError>> + Send + 'static,
) -> Duration {
    let (elapsed, report) = timed(run).expect("it ends");
    let Counts { taken, failed, .. } = report.expect("failures do not end it").items;
    assert_eq!((taken, failed), (ITEMS, ITEMS / 100 * percent));
    elapsed
}
