//! Where pipelines begin.

use futures_core::Stream;
use tokio::sync::mpsc;

use super::{Pipeline, draft::WINDOW, graph::Node, tail::Closed};
use crate::{
    engine::{Feed, Joint, Role, launch_feed},
    error::BoxError,
    plan::{Mistake, StepKind},
    source::{Channel, Items, Iter, Own, Results, Source},
};

/// Sources. Nothing is taken from one before the job is started, and never more than there is room
/// for: see [`buffer`](Pipeline::buffer).
impl<T: Send + 'static> Pipeline<T> {
    /// The items of an iterator.
    ///
    /// It runs on the runtime's threads, a few items at a time between other tasks: one that blocks
    /// (reads a file, walks a tree) holds up a thread of the runtime while it does. A drain stops it
    /// between two items. A panic of it is its end, and fails the run.
    #[expect(
        clippy::should_implement_trait,
        reason = "`FromIterator` cannot ask for `Send`"
    )]
    pub fn from_iter<I>(items: I) -> Self
    where
        I: IntoIterator<Item = T>,
        I::IntoIter: Send + 'static,
    {
        start("from_iter", None, Iter(items.into_iter()))
    }

    /// The items of a stream. It is polled by one task; a drain stops polling it and drops it.
    pub fn from_stream(stream: impl Stream<Item = T> + Send + 'static) -> Self {
        start("from_stream", None, Items::new(stream))
    }

    /// The items of a stream of results. An `Err` is a failed item, of a stage named `source`, and
    /// the stream goes on: it is counted and told like any other failure, and by the default policy
    /// it ends the run.
    pub fn from_try_stream<E>(stream: impl Stream<Item = Result<T, E>> + Send + 'static) -> Self
    where
        E: Into<BoxError> + Send + 'static,
    {
        start("from_try_stream", None, Results::new(stream))
    }

    /// The items of a [`Source`].
    pub fn from_source(source: impl Source<Item = T>) -> Self {
        start("from_source", None, Own(source))
    }

    /// Fed by hand, from any task or thread.
    ///
    /// The sender is tokio's own: `send` waits for room, `try_send` hands the item back when there
    /// is none, `reserve` is cancel safe, `blocking_send` is for plain threads
    /// (in async code it panics; in a body that fails its item). The pipeline ends
    /// when the last sender has been dropped and what was sent is through. A drain refuses what is
    /// sent from then on (the item comes back) and delivers what had been accepted; a cancel drops it.
    ///
    /// `capacity` is the number of items that wait in the channel, at least 1; as many again
    /// (at most 1024) are read ahead of the next step, unless [`buffer`](Self::buffer) says otherwise.
    ///
    /// A body that sends into its own pipeline waits for itself when everything is full: use
    /// `try_send` there. A cancel or a drain ends such a wait.
    ///
    /// A capacity of 0 is refused at the start ([`BuildError::Zero`](crate::BuildError::Zero)).
    ///
    /// ```
    /// use pipeline_core::prelude::*;
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), BoxError> {
    /// let (sender, words) = Pipeline::channel(16);
    /// let mut running = words.map(|word: &str| word.len()).collect().start()?;
    /// sender.send("one").await?;
    /// sender.send("three").await?;
    /// drop(sender);
    /// assert_eq!(running.wait().await?.value, [3, 5]);
    /// # Ok(()) }
    /// ```
    #[must_use = "a pipeline does nothing until it has an end, and that job is run"]
    pub fn channel(capacity: usize) -> (mpsc::Sender<T>, Self) {
        // tokio panics at 0 and above its own maximum; 0 is refused at the start, by its name
        let (sender, receiver) =
            mpsc::channel(capacity.clamp(1, tokio::sync::Semaphore::MAX_PERMITS));
        (sender, start("channel", Some(capacity), Channel(receiver)))
    }

    /// At most so many items are read ahead of the next step; 1024 unless set, for a channel its
    /// capacity if that is less. At least 1. Exact: not one more is taken.
    ///
    /// Directly after a source: behind a stage it is refused at the start, because there the
    /// [`window`](Pipeline::window) of the stage is the bound.
    pub fn buffer(mut self, items: usize) -> Self {
        match self.tail.last_mut().map(|node| &mut node.kind) {
            Some(StepKind::Source { buffer, .. }) => *buffer = items,
            Some(StepKind::Stage { mistake, .. } | StepKind::Operator { mistake, .. }) => {
                *mistake = Some(Mistake::MisplacedBuffer);
            }
            // a branch, of which others know
            None => self.tail.misplace_buffer(),
            Some(StepKind::End { .. }) => {}
        }
        self
    }
}

fn start<F: Feed>(name: &'static str, capacity: Option<usize>, feed: F) -> Pipeline<F::Item> {
    let buffer = capacity.map_or(WINDOW, |capacity| capacity.min(WINDOW));
    let kind = StepKind::Source {
        channel: capacity,
        buffer,
    };
    let node = Node::new(name, kind, Vec::new());
    Pipeline::new(Closed::new(node, move |assembly, from| {
        let edge = Joint::new(assembly.hub(), from.node.kind.capacity());
        let task = assembly.hub().task(Role::Source);
        let into = edge.clone();
        let source = assembly.source(&from.node);
        assembly.at_start(move |preparations| {
            launch_feed(task, feed, source, into, preparations.take());
        });
        edge
    }))
}
