//! What a user would write or pick instead: the idioms of tokio, rayon, published crates.

#[cfg(feature = "peers")]
pub mod crates;
pub mod idioms;
pub mod threads;

use std::pin::pin;

use futures_util::{Stream, StreamExt, stream};

use crate::options::Options;
use crate::ours::Ours;
use crate::tally::{Collector, Wrong};

/// A way to do asynchronous work on items, several at once.
pub trait Peer: 'static {
    /// What it is called in tables.
    const NAME: &'static str;

    /// The package to thank, or to blame.
    const PACKAGE: &'static str;

    /// One stage: the results of `function`, as a stream.
    fn stage<S, F, Fut, T>(
        source: S,
        options: Options,
        function: F,
    ) -> impl Stream<Item = T> + Send + 'static
    where
        S: Stream<Item: Send> + Send + 'static,
        F: Fn(S::Item) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = T> + Send + 'static,
        T: Send + 'static;

    /// From `items` through a stage into `collector`.
    fn run<I, F, Fut, T, C>(
        items: I,
        options: Options,
        function: F,
        mut collector: C,
    ) -> impl Future<Output = Result<C, Wrong>> + Send
    where
        I: Iterator<Item: Send> + Send + 'static,
        F: Fn(I::Item) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = T> + Send + 'static,
        T: Send + 'static,
        C: Collector<T>,
    {
        async move {
            let results = Self::stage(stream::iter(items), options, function);
            drain(results, &mut collector).await;
            Ok(collector)
        }
    }

    /// From `items` through four stages of the same kind into `collector`.
    fn run_four<I, F, Fut, T, C>(
        items: I,
        options: Options,
        function: F,
        mut collector: C,
    ) -> impl Future<Output = Result<C, Wrong>> + Send
    where
        I: Iterator<Item = T> + Send + 'static,
        F: Fn(T) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = T> + Send + 'static,
        T: Send + 'static,
        C: Collector<T>,
    {
        async move {
            let first = Self::stage(stream::iter(items), options, function.clone());
            let second = Self::stage(first, options, function.clone());
            let third = Self::stage(second, options, function.clone());
            drain(Self::stage(third, options, function), &mut collector).await;
            Ok(collector)
        }
    }

    /// From `items` through a stage to `sink`, which takes one result at a time and may wait.
    fn for_each<I, F, Fut, T, K, Done>(
        items: I,
        options: Options,
        function: F,
        mut sink: K,
    ) -> impl Future<Output = Result<(), Wrong>> + Send
    where
        I: Iterator<Item: Send> + Send + 'static,
        F: Fn(I::Item) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = T> + Send + 'static,
        T: Send + 'static,
        K: FnMut(T) -> Done + Send + 'static,
        Done: Future<Output = ()> + Send + 'static,
    {
        async move {
            let mut results = pin!(Self::stage(stream::iter(items), options, function));
            while let Some(result) = results.next().await {
                sink(result).await;
            }
            Ok(())
        }
    }
}

/// Something to be done with each [`Peer`].
pub trait Visitor {
    /// Does it.
    fn visit<P: Peer>(&mut self);
}

/// Us, the idioms, and the published crates if they were built.
pub fn visit_all(visitor: &mut impl Visitor) {
    visitor.visit::<Ours>();
    visitor.visit::<idioms::Buffered>();
    visitor.visit::<idioms::SpawnBuffered>();
    visitor.visit::<idioms::SemaphoreSpawnMpsc>();
    visitor.visit::<idioms::JoinSet>();
    #[cfg(feature = "peers")]
    {
        visitor.visit::<crates::FuturesBuffered>();
        visitor.visit::<crates::TokioParUtil>();
        visitor.visit::<crates::ParStream>();
        visitor.visit::<crates::Pumps>();
        visitor.visit::<crates::Tower>();
    }
}

/// Takes everything that `results` gives.
pub async fn drain<T, C: Collector<T>>(results: impl Stream<Item = T>, collector: &mut C) {
    let mut results = pin!(results);
    while let Some(result) = results.next().await {
        collector.take(result);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::runtime;
    use crate::tally::Tally;
    use crate::work::{noop, pending_once};

    const ITEMS: u64 = 1000;

    struct Check(Options);

    impl Visitor for Check {
        fn visit<P: Peer>(&mut self) {
            let Check(options) = *self;
            let check = |tally: Result<Result<Tally, Wrong>, Wrong>| {
                let tally = tally.flatten().expect("it ends");
                assert_eq!(tally.check(ITEMS, options.ordered), Ok(()), "{}", P::NAME);
            };
            let tally = Tally::default;
            check(runtime::run(P::run(0..ITEMS, options, noop, tally())));
            check(runtime::run(P::run(
                0..ITEMS,
                options,
                pending_once,
                tally(),
            )));
            check(runtime::run(P::run_four(0..ITEMS, options, noop, tally())));
        }
    }

    #[test]
    fn everyone_gives_every_item_once() {
        for options in [
            Options::parallelism(4),
            Options::parallelism(4).unordered(),
            Options::parallelism(4).window(4),
        ] {
            visit_all(&mut Check(options));
        }
    }
}
