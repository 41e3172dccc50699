//! Ends. Each makes a job of the pipeline.

use std::sync::Arc;

use super::{Assembly, Node, Pipeline, Tail, tail};
use crate::{
    engine::{Joint, Outlet, Reader, Role, StreamEnd, launch_outlet, most_at_once},
    error::BoxError,
    plan::StepKind,
    rt::Mutex,
    run::{Items, Job, Prepared},
    sink::{Collect, Fold, ForEach, Forward, Own, Sink, TryForEach},
};

/// Ends. Each makes a [`Job`]; what it makes of the items is the `value` of the
/// [`Report`](crate::Report). An end runs in one task, and takes items in the order in which the
/// last step gives them.
impl<T: Send + 'static, L: Tail<Item = T>> Pipeline<T, L> {
    /// Calls `function` with each item. A panic ends the run.
    pub fn for_each<F>(self, function: F) -> Job
    where
        F: FnMut(T) + Send + 'static,
    {
        self.end("for_each", ForEach::new(function))
    }

    /// Awaits `function` for each item, one at a time; the first error ends the run. For work with
    /// options make it a stage, and end with [`count`](Self::count).
    pub fn try_for_each<F, Fut, E>(self, function: F) -> Job
    where
        F: FnMut(T) -> Fut + Send + 'static,
        Fut: Future<Output = Result<(), E>> + Send + 'static,
        E: Into<BoxError> + Send + 'static,
    {
        self.end("try_for_each", TryForEach::new(function))
    }

    /// Writes the items to a [`Sink`].
    pub fn sink(self, sink: impl Sink<T>) -> Job {
        self.end("sink", Own(sink))
    }

    /// Sends the items into a sink of the `futures` crates, flushes it when nothing else has
    /// arrived, and closes it at the end. An item counts as delivered when the sink has accepted it.
    pub fn forward(
        self,
        sink: impl futures_sink::Sink<T, Error: Into<BoxError> + Send> + Send + 'static,
    ) -> Job {
        self.end("forward", Forward::new(sink))
    }

    /// All items in a `Vec`, without bound.
    pub fn collect(self) -> Job<Vec<T>> {
        self.end("collect", Collect(Vec::new()))
    }

    /// One value of all items. A panic of `function` ends the run.
    pub fn fold<A, F>(self, init: A, function: F) -> Job<A>
    where
        A: Send + 'static,
        F: FnMut(A, T) -> A + Send + 'static,
    {
        self.end("fold", Fold::new(init, function))
    }

    /// How many items arrived. They are dropped.
    pub fn count(self) -> Job<u64> {
        self.end(
            "count",
            Fold::new(0, |count, item| {
                drop(item);
                count + 1
            }),
        )
    }

    /// The items as a stream. Once started the job is the stream: see [`Running`](crate::Running).
    ///
    /// ```
    /// use pipeline_core::prelude::*;
    /// use tokio_stream::StreamExt;
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), BoxError> {
    /// let mut squares = Pipeline::from_iter(1..4).map(|n| n * n).into_stream().start()?;
    /// let mut sum = 0;
    /// while let Some(square) = squares.next().await {
    ///     sum += square?; // an `Err` comes last, if the run did not finish
    /// }
    /// assert_eq!(sum, 14);
    /// # Ok(()) }
    /// ```
    pub fn into_stream(self) -> Job<Items<T>> {
        let (end, most, open) = self.close("into_stream");
        Job::new(end, move |assembly| {
            let edge = open(assembly);
            let task = assembly.hub().task(Role::End);
            let reader = Reader::new(edge, task.seat());
            Prepared::stream(Items::new(StreamEnd::new(task, reader, most)))
        })
    }

    fn end<O: Outlet<T>>(self, name: &'static str, outlet: O) -> Job<O::Value> {
        let (end, most, open) = self.close(name);
        Job::new(end, move |assembly| {
            let edge = open(assembly);
            let task = assembly.hub().task(Role::End);
            let reader = Reader::new(edge, task.seat());
            let value = Arc::new(Mutex::new(None));
            let into = Arc::clone(&value);
            assembly.at_start(move |_| launch_outlet(task, outlet, reader, most, into));
            Prepared::value(value)
        })
    }

    /// The end as a step, how many items it takes at once, and what makes everything before it.
    fn close(
        self,
        name: &'static str,
    ) -> (
        Arc<Node>,
        usize,
        impl FnOnce(&mut Assembly) -> Joint<T> + Send,
    ) {
        let (from, upstream) = tail::close(self.tail).split();
        let most = most_at_once(from.node.kind.capacity());
        let end = Node::new(name, StepKind::End { batch: most }, vec![from]);
        (end, most, upstream)
    }
}
