//! Published crates of the same kind, used as their documentation says.

use futures_buffered::BufferedStreamExt;
use futures_util::{Stream, StreamExt};
use par_stream::ParStreamExt;
use pumps::{Concurrency, Pipeline};
use tokio_par_util::StreamParExt;

use super::idioms::drain;
use crate::options::Options;
use crate::tally::Collector;

/// `futures-buffered`: like `buffered`, with the futures in one slab. One task.
pub async fn futures_buffered<S, F, Fut, T, C>(
    source: S,
    options: Options,
    function: F,
    mut collector: C,
) -> C
where
    S: Stream + Send + 'static,
    F: Fn(S::Item) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = T> + Send + 'static,
    C: Collector<T>,
{
    drain(
        source.map(function).buffered_ordered(options.parallelism),
        &mut collector,
    )
    .await;
    collector
}

/// `tokio-par-util`: a task an item, a window as wide as the parallelism.
pub async fn tokio_par_util<S, F, Fut, T, C>(
    source: S,
    options: Options,
    function: F,
    mut collector: C,
) -> C
where
    S: Stream + Send + 'static,
    F: Fn(S::Item) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = T> + Send + 'static,
    T: Send + 'static,
    C: Collector<T>,
{
    drain(
        source.map(function).parallel_buffered(options.parallelism),
        &mut collector,
    )
    .await;
    collector
}

/// `par-stream`: worker tasks, an unbounded reorder buffer.
pub async fn par_stream<S, F, Fut, T, C>(
    source: S,
    options: Options,
    function: F,
    mut collector: C,
) -> C
where
    S: Stream<Item: Send> + Send + 'static,
    F: Fn(S::Item) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = T> + Send + 'static,
    T: Send + 'static,
    C: Collector<T>,
{
    drain(
        ParStreamExt::par_then(source, options.parallelism, function),
        &mut collector,
    )
    .await;
    collector
}

/// `pumps`: a task a stage, channels of one item between them.
pub async fn pumps<S, F, Fut, T, C>(source: S, options: Options, function: F, mut collector: C) -> C
where
    S: Stream<Item: Send> + Send + 'static,
    F: Fn(S::Item) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = T> + Send + 'static,
    T: Send + 'static,
    C: Collector<T>,
{
    let stage = Concurrency::concurrent_ordered(options.parallelism);
    let (mut results, finished) = Pipeline::from_stream(source).map(function, stage).build();
    while let Some(result) = results.recv().await {
        collector.take(result);
    }
    finished.await.expect("a pump panicked");
    collector
}
