//! The contender: this library.

use std::error::Error;

use futures_util::{Stream, StreamExt};
use pipeline_core::prelude::*;

use crate::options::Options;
use crate::peers::Peer;
use crate::tally::{Collector, Wrong};

/// This library beside its peers.
#[derive(Debug)]
pub struct Ours;

impl Peer for Ours {
    const NAME: &'static str = "ours";
    const PACKAGE: &'static str = "pipeline-core";

    fn stage<S, F, Fut, T>(
        source: S,
        options: Options,
        function: F,
    ) -> impl Stream<Item = T> + Send + 'static
    where
        S: Stream<Item: Send> + Send + 'static,
        F: Fn(S::Item) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = T> + Send + 'static,
        T: Send + 'static,
    {
        let job = stage(Pipeline::from_stream(source), options, function).into_stream();
        let results = job.start().expect("the options are valid");
        results.map(|result| result.expect("nothing fails"))
    }

    async fn run<I, F, Fut, T, C>(
        items: I,
        options: Options,
        function: F,
        collector: C,
    ) -> Result<C, Wrong>
    where
        I: Iterator<Item: Send> + Send + 'static,
        F: Fn(I::Item) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = T> + Send + 'static,
        T: Send + 'static,
        C: Collector<T>,
    {
        then(Pipeline::from_iter(items), options, function, collector).await
    }

    async fn run_four<I, F, Fut, T, C>(
        items: I,
        options: Options,
        function: F,
        collector: C,
    ) -> Result<C, Wrong>
    where
        I: Iterator<Item = T> + Send + 'static,
        F: Fn(T) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = T> + Send + 'static,
        T: Send + 'static,
        C: Collector<T>,
    {
        let first = stage(Pipeline::from_iter(items), options, function.clone());
        let second = stage(first, options, function.clone());
        let third = stage(second, options, function.clone());
        collect(stage(third, options, function), collector).await
    }

    async fn for_each<I, F, Fut, T, K, Done>(
        items: I,
        options: Options,
        function: F,
        mut sink: K,
    ) -> Result<(), Wrong>
    where
        I: Iterator<Item: Send> + Send + 'static,
        F: Fn(I::Item) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = T> + Send + 'static,
        T: Send + 'static,
        K: FnMut(T) -> Done + Send + 'static,
        Done: Future<Output = ()> + Send + 'static,
    {
        let taken =
            stage(Pipeline::from_iter(items), options, function).try_for_each(move |item| {
                let done = sink(item);
                async {
                    done.await;
                    Ok::<(), BoxError>(())
                }
            });
        let report = taken.run().await;
        report.map(drop).map_err(|error| Wrong(describe(&error)))
    }
}

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
    collect(stage(source, options, function), collector).await
}

/// `function` as a stage after `source`.
fn stage<In, F, Fut, T>(source: Pipeline<In>, options: Options, function: F) -> Pipeline<T>
where
    In: Send + 'static,
    F: Fn(In) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = T> + Send + 'static,
    T: Send + 'static,
{
    let stage = source.then(function).parallelism(options.parallelism);
    let stage = if options.ordered {
        stage.ordered()
    } else {
        stage.unordered()
    };
    match options.window {
        Some(items) => stage.window(items).into_pipeline(),
        None => stage.into_pipeline(),
    }
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
