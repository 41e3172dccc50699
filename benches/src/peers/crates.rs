//! Published crates of the same kind, used as their documentation says.

use std::convert::Infallible;
use std::sync::Arc;

use futures_buffered::BufferedStreamExt;
use futures_util::{Stream, StreamExt, future::Either, stream};
use par_stream::ParStreamExt;
use pumps::{Concurrency, Pipeline};
use tokio_par_util::StreamParExt;
use tower::{ServiceBuilder, ServiceExt, service_fn};

use super::Peer;
use crate::options::Options;

/// `futures-buffered`: like `buffered`, with the futures in one slab. One task.
#[derive(Debug)]
pub struct FuturesBuffered;

impl Peer for FuturesBuffered {
    const NAME: &'static str = "futures-buffered";
    const PACKAGE: &'static str = "futures-buffered";

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
        let futures = source.map(function);
        if options.ordered {
            Either::Left(futures.buffered_ordered(options.parallelism))
        } else {
            Either::Right(futures.buffered_unordered(options.parallelism))
        }
    }
}

/// `tokio-par-util`: a task an item, a window as wide as the parallelism.
#[derive(Debug)]
pub struct TokioParUtil;

impl Peer for TokioParUtil {
    const NAME: &'static str = "tokio-par-util";
    const PACKAGE: &'static str = "tokio-par-util";

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
        let futures = source.map(function);
        if options.ordered {
            Either::Left(futures.parallel_buffered(options.parallelism))
        } else {
            Either::Right(futures.parallel_buffer_unordered(options.parallelism))
        }
    }
}

/// `par-stream`: worker tasks, an unbounded reorder buffer.
#[derive(Debug)]
pub struct ParStream;

impl Peer for ParStream {
    const NAME: &'static str = "par-stream";
    const PACKAGE: &'static str = "par-stream";

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
        if options.ordered {
            let results = ParStreamExt::par_then(source, options.parallelism, function);
            Either::Left(results)
        } else {
            let function = Arc::new(function);
            let results =
                source.par_then_unordered(options.parallelism, move |item| function(item));
            Either::Right(results)
        }
    }
}

/// `pumps`: a task a stage, channels of one item between them.
#[derive(Debug)]
pub struct Pumps;

impl Peer for Pumps {
    const NAME: &'static str = "pumps";
    const PACKAGE: &'static str = "pumps";

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
        let stage = if options.ordered {
            Concurrency::concurrent_ordered(options.parallelism)
        } else {
            Concurrency::concurrent_unordered(options.parallelism)
        };
        // the handle by which one could wait for its end is not needed to read what comes out
        let (mut results, _handle) = Pipeline::from_stream(source).map(function, stage).build();
        stream::poll_fn(move |context| results.poll_recv(context))
    }
}

/// `tower`: `call_all` over a service with a concurrency limit. One task.
#[derive(Debug)]
pub struct Tower;

impl Peer for Tower {
    const NAME: &'static str = "tower call_all";
    const PACKAGE: &'static str = "tower";

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
        let service = ServiceBuilder::new()
            .concurrency_limit(options.parallelism)
            .service(service_fn(move |item| {
                let work = function(item);
                async move { Ok::<T, Infallible>(work.await) }
            }));
        let results = service.call_all(source);
        let results = if options.ordered {
            Either::Left(results)
        } else {
            Either::Right(results.unordered())
        };
        results.map(|result| match result {
            Ok(result) => result,
            Err(never) => match never {},
        })
    }
}
