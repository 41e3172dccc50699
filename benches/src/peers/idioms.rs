//! What is written by hand with `futures` and tokio, each at its best.

use std::collections::VecDeque;
use std::pin::pin;
use std::sync::Arc;

use futures_util::{Stream, StreamExt};
use tokio::sync::{Semaphore, mpsc};

use crate::options::Options;
use crate::tally::Collector;

/// `buffered` or `buffer_unordered`: concurrent, all in one task.
pub async fn buffered<S, F, Fut, T, C>(
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
    let futures = source.map(function);
    if options.ordered {
        drain(futures.buffered(options.parallelism), &mut collector).await;
    } else {
        drain(
            futures.buffer_unordered(options.parallelism),
            &mut collector,
        )
        .await;
    }
    collector
}

/// The same over tasks: `.map(|item| tokio::spawn(f(item))).buffered(n)`.
pub async fn spawn_buffered<S, F, Fut, T, C>(
    source: S,
    options: Options,
    function: F,
    collector: C,
) -> C
where
    S: Stream + Send + 'static,
    F: Fn(S::Item) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = T> + Send + 'static,
    T: Send + 'static,
    C: Collector<T>,
{
    let spawned = move |item| {
        let task = tokio::spawn(function(item));
        async move { task.await.expect("a job panicked") }
    };
    buffered(source, options, spawned, collector).await
}

/// A permit, a task and a message for each item, and a ring that puts results back in order.
///
/// Bounded like our stage: a second semaphore keeps no more than a window of items inside.
pub async fn semaphore_spawn_mpsc<S, F, Fut, T, C>(
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
    let size = options.window_or_default();
    let window = Arc::new(Semaphore::new(size));
    let (finished, mut results) = mpsc::channel::<(u64, T)>(size);

    let room = window.clone();
    let feeder = tokio::spawn(async move {
        let permits = Arc::new(Semaphore::new(options.parallelism));
        let mut source = pin!(source);
        let mut sequence = 0;
        while let Some(item) = source.next().await {
            if options.ordered {
                room.acquire().await.expect("never closed").forget();
            }
            let permit = permits.clone().acquire_owned().await.expect("never closed");
            let work = function(item);
            let finished = finished.clone();
            tokio::spawn(async move {
                let result = work.await;
                drop(permit);
                // fails only when the receiver is gone, and with it the run
                let _ = finished.send((sequence, result)).await;
            });
            sequence += 1;
        }
    });

    if options.ordered {
        let mut ring = VecDeque::new();
        let mut head = 0;
        while let Some((sequence, result)) = results.recv().await {
            let slot = (sequence - head) as usize;
            if ring.len() <= slot {
                ring.resize_with(slot + 1, || None);
            }
            ring[slot] = Some(result);
            let before = head;
            while let Some(Some(result)) = ring.pop_front_if(|slot| slot.is_some()) {
                collector.take(result);
                head += 1;
            }
            if head > before {
                window.add_permits((head - before) as usize);
            }
        }
    } else {
        while let Some((_, result)) = results.recv().await {
            collector.take(result);
        }
    }
    feeder.await.expect("the feeder panicked");
    collector
}

/// One hop: a task that sends item by item, a task that receives.
pub async fn mpsc_hop<C: Collector<u64>>(items: u64, capacity: usize, mut collector: C) -> C {
    let (sender, mut receiver) = mpsc::channel(capacity);
    tokio::spawn(async move {
        for item in 0..items {
            if sender.send(item).await.is_err() {
                return;
            }
        }
    });
    while let Some(item) = receiver.recv().await {
        collector.take(item);
    }
    collector
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
    use futures_util::stream;

    use super::*;
    use crate::measure::runtime;
    use crate::tally::{Tally, Wrong};
    use crate::work::{noop, pending_once};

    const ITEMS: u64 = 3000;

    fn check<F>(ordered: bool, run: F) -> Result<(), Wrong>
    where
        F: Future<Output = Tally> + Send + 'static,
    {
        runtime::run(run)?.check(ITEMS, ordered)
    }

    #[test]
    fn every_idiom_gives_every_item_once() {
        let source = || stream::iter(0..ITEMS);
        for options in [
            Options::parallelism(4),
            Options::parallelism(4).unordered(),
            Options::parallelism(4).window(4),
        ] {
            let ordered = options.ordered;
            let results = [
                check(
                    ordered,
                    buffered(source(), options, pending_once, Tally::default()),
                ),
                check(
                    ordered,
                    spawn_buffered(source(), options, pending_once, Tally::default()),
                ),
                check(
                    ordered,
                    semaphore_spawn_mpsc(source(), options, noop, Tally::default()),
                ),
                check(
                    ordered,
                    semaphore_spawn_mpsc(source(), options, pending_once, Tally::default()),
                ),
                check(ordered, mpsc_hop(ITEMS, 8, Tally::default())),
            ];
            assert_eq!(results, [const { Ok(()) }; 5], "{options:?}");
        }
    }
}
