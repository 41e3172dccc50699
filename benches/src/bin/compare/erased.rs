//! Work and sinks of one type, for measurements in which a box an item does not count: everyone is compiled for them
//! once.

use std::sync::Arc;

use futures_util::Stream;
use futures_util::future::{BoxFuture, FutureExt};
use futures_util::stream;

use benches::options::Options;
use benches::peers::Peer;
use benches::tally::Wrong;

/// A result of some size.
#[derive(Debug)]
pub(super) struct Payload {
    pub(super) index: u64,
    #[expect(dead_code, reason = "it only takes room")]
    bytes: Vec<u8>,
}

impl Payload {
    /// Without bytes.
    pub(super) fn of(index: u64) -> Self {
        Payload::sized(index, 0)
    }

    /// With so many bytes.
    pub(super) fn sized(index: u64, bytes: usize) -> Self {
        Payload {
            index,
            bytes: vec![1; bytes],
        }
    }
}

/// What is done with an item.
#[derive(Clone)]
pub(super) struct Work(Arc<dyn Fn(u64) -> BoxFuture<'static, Payload> + Send + Sync>);

impl Work {
    pub(super) fn new<F, Fut>(function: F) -> Self
    where
        F: Fn(u64) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Payload> + Send + 'static,
    {
        Work(Arc::new(move |index| function(index).boxed()))
    }

    fn function(self) -> impl Fn(u64) -> BoxFuture<'static, Payload> + Send + Sync + 'static {
        move |index| (self.0)(index)
    }
}

/// What is done with a result.
pub(super) struct Drain(Box<dyn FnMut(Payload) -> BoxFuture<'static, ()> + Send>);

impl Drain {
    pub(super) fn new<F, Fut>(mut function: F) -> Self
    where
        F: FnMut(Payload) -> Fut + Send + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        Drain(Box::new(move |payload| function(payload).boxed()))
    }

    /// Does it.
    pub(super) fn take(&mut self, payload: Payload) -> BoxFuture<'static, ()> {
        (self.0)(payload)
    }
}

/// From `0..items` through `work` into `drain`.
pub(super) async fn consume<P: Peer>(
    items: u64,
    options: Options,
    work: Work,
    mut drain: Drain,
) -> Result<(), Wrong> {
    let sink = move |payload| drain.take(payload);
    P::for_each(0..items, options, work.function(), sink).await
}

/// The results of `work` on `0..items`.
pub(super) fn results<P: Peer>(
    items: u64,
    options: Options,
    work: Work,
) -> impl Stream<Item = Payload> + Send + 'static {
    P::stage(stream::iter(0..items), options, work.function())
}
