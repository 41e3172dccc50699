//! What is written by hand with `futures` and tokio, each at its best.

use std::collections::{BTreeMap, VecDeque};
use std::mem;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Poll, ready};

use futures_util::{Stream, StreamExt, future::Either, stream};
use tokio::sync::{Semaphore, mpsc};
use tokio::task;

use super::Peer;
use crate::options::Options;
use crate::tally::Collector;

/// `buffered` or `buffer_unordered`: concurrent, all in one task.
#[derive(Debug)]
pub struct Buffered;

impl Peer for Buffered {
    const NAME: &'static str = "futures buffered";
    const PACKAGE: &'static str = "futures-util";

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
            Either::Left(futures.buffered(options.parallelism))
        } else {
            Either::Right(futures.buffer_unordered(options.parallelism))
        }
    }
}

/// The same over tasks: `.map(|item| tokio::spawn(f(item))).buffered(n)`.
#[derive(Debug)]
pub struct SpawnBuffered;

impl Peer for SpawnBuffered {
    const NAME: &'static str = "spawn + buffered";
    const PACKAGE: &'static str = "tokio";

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
        Buffered::stage(source, options, move |item| {
            let task = tokio::spawn(function(item));
            async move { task.await.expect("a job panicked") }
        })
    }
}

/// A permit, a task and a message for each item, and a ring that puts results back in order.
///
/// Bounded like our stage: a second semaphore keeps no more than a window of items inside.
#[derive(Debug)]
pub struct SemaphoreSpawnMpsc;

impl Peer for SemaphoreSpawnMpsc {
    const NAME: &'static str = "semaphore + spawn";
    const PACKAGE: &'static str = "tokio";

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
        let size = options.window_or_default();
        let window = Arc::new(Semaphore::new(size));
        let (finished, mut results) = mpsc::channel::<(u64, T)>(size);

        let room = window.clone();
        tokio::spawn(async move {
            let permits = Arc::new(Semaphore::new(options.parallelism));
            let mut source = pin!(source);
            let mut sequence = 0;
            while let Some(item) = source.next().await {
                if options.ordered {
                    room.acquire().await.expect("never closed").forget();
                }
                if finished.is_closed() {
                    break;
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

        let mut ring: VecDeque<Option<T>> = VecDeque::new();
        let mut head = 0;
        let mut freed = 0;
        stream::poll_fn(move |context| {
            loop {
                if let Some(Some(result)) = ring.pop_front_if(|slot| slot.is_some()) {
                    head += 1;
                    freed += 1;
                    return Poll::Ready(Some(result));
                }
                if freed > 0 {
                    window.add_permits(mem::take(&mut freed));
                }
                let Some((sequence, result)) = ready!(results.poll_recv(context)) else {
                    return Poll::Ready(None);
                };
                if !options.ordered {
                    return Poll::Ready(Some(result));
                }
                let slot = (sequence - head) as usize;
                if ring.len() <= slot {
                    ring.resize_with(slot + 1, || None);
                }
                ring[slot] = Some(result);
            }
        })
    }
}

/// A set of tasks kept full, and for order a map of the results that are early: without a bound, as it is
/// mostly written.
#[derive(Debug)]
pub struct JoinSet;

impl Peer for JoinSet {
    const NAME: &'static str = "JoinSet";
    const PACKAGE: &'static str = "tokio";

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
        let mut source = Box::pin(source.enumerate().fuse());
        let mut tasks = task::JoinSet::new();
        let mut early = BTreeMap::new();
        let mut next = 0;
        stream::poll_fn(move |context| {
            loop {
                if let Some(result) = early.remove(&next) {
                    next += 1;
                    return Poll::Ready(Some(result));
                }
                let mut ended = false;
                while tasks.len() < options.parallelism {
                    match source.as_mut().poll_next(context) {
                        Poll::Ready(Some((place, item))) => {
                            let work = function(item);
                            tasks.spawn(async move { (place, work.await) });
                        }
                        Poll::Ready(None) => {
                            ended = true;
                            break;
                        }
                        Poll::Pending => break,
                    }
                }
                match ready!(tasks.poll_join_next(context)) {
                    Some(finished) => {
                        let (place, result) = finished.expect("a job panicked");
                        if !options.ordered || place == next {
                            next += 1;
                            return Poll::Ready(Some(result));
                        }
                        early.insert(place, result);
                    }
                    None if ended => return Poll::Ready(None),
                    None => return Poll::Pending,
                }
            }
        })
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::runtime;
    use crate::tally::Tally;

    #[test]
    fn a_hop_gives_every_item_once() {
        let tally = runtime::run(mpsc_hop(3000, 8, Tally::default()));
        assert_eq!(tally.expect("it ends").check(3000, true), Ok(()));
    }
}
