//! The contender: this library.

use std::error::Error;

use pipeline_core::prelude::*;

use crate::options::Options;
use crate::tally::{Collector, Wrong};

/// One stage `function` between `source` and `collector`.
pub async fn then<In, F, Fut, T, C>(
    source: Pipeline<In>,
    options: Options,
    function: F,
    collector: C,
) -> Result<C, Wrong>
where
    In: Send + 'static,
    F: Fn(In) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = T> + Send + 'static,
    T: Send + 'static,
    C: Collector<T>,
{
    let stage = source.then(function).parallelism(options.parallelism);
    let stage = if options.ordered {
        stage.ordered()
    } else {
        stage.unordered()
    };
    let stage = match options.window {
        Some(items) => stage.window(items),
        None => stage,
    };
    collect(stage, collector).await
}

/// Runs `pipeline` into `collector`.
pub async fn collect<T, C>(pipeline: impl IntoPipeline<Item = T>, collector: C) -> Result<C, Wrong>
where
    T: Send + 'static,
    C: Collector<T>,
{
    let job = pipeline
        .into_pipeline()
        .fold(collector, |mut collector, item| {
            collector.take(item);
            collector
        });
    let report = job.run().await.map_err(|error| Wrong(describe(&error)))?;
    let items = report.items;
    if items.taken == items.delivered {
        Ok(report.value)
    } else {
        Err(Wrong(format!(
            "{} items were taken and {} delivered",
            items.taken, items.delivered
        )))
    }
}

/// An error with its causes, on one line.
pub fn describe(error: &(dyn Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |&error| error.source());
    causes
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}
