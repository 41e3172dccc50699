use std::{
    fmt,
    future::poll_fn,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use futures_core::Stream;

use super::{Control, Items};
use crate::{
    engine::{Ended, Hub, discard},
    error::{Cause, RunError},
    report::Report,
    rt::Mutex,
};

/// Where an end leaves its value, or several ends leave theirs.
type Value<R> = Arc<dyn Take<R>>;

/// Gives what an end has left, once.
trait Take<R>: Send + Sync {
    fn take(&self) -> Option<R>;
}

impl<R: Send> Take<R> for Mutex<Option<R>> {
    fn take(&self) -> Option<R> {
        self.lock().take()
    }
}

/// The values of two ends.
struct Both<A, B>(Value<A>, Value<B>);

impl<A, B> Take<(A, B)> for Both<A, B> {
    fn take(&self) -> Option<(A, B)> {
        // both are taken, so that neither is kept when the other one is missing
        match (self.0.take(), self.1.take()) {
            (Some(a), Some(b)) => Some((a, b)),
            (a, b) => {
                discard(a);
                discard(b);
                None
            }
        }
    }
}

/// The values of many ends.
struct Each<R>(Vec<Value<R>>);

impl<R> Take<Vec<R>> for Each<R> {
    fn take(&self) -> Option<Vec<R>> {
        let values: Vec<_> = self.0.iter().map(|value| value.take()).collect();
        if values.iter().all(Option::is_some) {
            return Some(values.into_iter().flatten().collect());
        }
        values.into_iter().for_each(discard);
        None
    }
}

/// Drops what nobody will take from a stream any more.
type Discard = Box<dyn FnMut(&Context<'_>) -> Poll<()> + Send>;

/// What an end hands to the owner of the run.
pub(crate) struct Prepared<R> {
    value: Value<R>,
    discard: Option<Discard>,
}

impl<R: Send + 'static> Prepared<R> {
    pub(crate) fn value(value: Arc<Mutex<Option<R>>>) -> Self {
        Prepared {
            value,
            discard: None,
        }
    }

    /// Of two ends of one run.
    pub(super) fn and<S: Send + 'static>(self, other: Prepared<S>) -> Prepared<(R, S)> {
        let discards = self.discard.into_iter().chain(other.discard);
        Prepared {
            value: Arc::new(Both(self.value, other.value)),
            discard: all(discards.collect()),
        }
    }

    /// Of any number of ends of one run.
    pub(super) fn each(ends: Vec<Self>) -> Prepared<Vec<R>> {
        let (values, discards): (Vec<_>, Vec<_>) =
            ends.into_iter().map(|end| (end.value, end.discard)).unzip();
        Prepared {
            value: Arc::new(Each(values)),
            discard: all(discards.into_iter().flatten().collect()),
        }
    }
}

/// Discards from several streams at once.
fn all(mut discards: Vec<Discard>) -> Option<Discard> {
    if discards.is_empty() {
        return None;
    }
    Some(Box::new(move |context| {
        discards.retain_mut(|discard| discard(context).is_pending());
        if discards.is_empty() {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }))
}

impl<T: Send + 'static> Prepared<Items<T>> {
    pub(crate) fn stream(items: Items<T>) -> Self {
        let end = Arc::clone(items.end());
        let discard = move |context: &Context<'_>| end.poll_discard(context);
        Prepared {
            value: Arc::new(Mutex::new(Some(items))),
            discard: Some(Box::new(discard)),
        }
    }
}

/// A run and its owner.
///
/// Made by [`Job::start`](crate::Job::start), which has started it. **Dropping it cancels the run**:
/// no body is begun or polled again; sources, sinks and stages are then dropped and not closed.
/// Others get a [`control`](Running::control).
///
/// A run whose pipeline ends in [`into_stream`](crate::Pipeline::into_stream) is a [`Stream`] of
/// `Result<T, RunError>`. Nobody need poll it for the stages to work: they go on until their
/// windows are full. After the last item comes the `Err` of a run that did not finish, once.
///
/// ```
/// use std::time::Duration;
/// use pipeline_core::{prelude::*, report::Outcome};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), BoxError> {
/// let (sender, numbers) = Pipeline::channel(8);
/// let mut running = numbers.map(|n: u64| n + 1).collect().start()?;
/// let control = running.control();
///
/// sender.send(1).await?;
/// control.drain(Duration::from_secs(10));
/// let report = running.wait().await?;
/// assert_eq!((report.value, report.outcome), (vec![2], Some(Outcome::Drained)));
/// assert!(sender.send(2).await.is_err()); // and the item comes back in the error
/// # Ok(()) }
/// ```
#[must_use = "dropping a `Running` cancels its run"]
pub struct Running<R = ()> {
    hub: Arc<Hub>,
    value: Value<R>,
    /// A stream, from its first poll on. Behind a lock that nobody takes, here and below: a value that
    /// is only used by its owner makes nobody less `Sync`.
    own: Mutex<Option<R>>,
    discard: Mutex<Option<Discard>>,
}

impl<R> Running<R> {
    pub(super) fn new(hub: Arc<Hub>, prepared: Prepared<R>) -> Self {
        let Prepared { value, discard } = prepared;
        Running {
            hub,
            value,
            own: Mutex::new(None),
            discard: Mutex::new(discard),
        }
    }

    /// For others than the owner: to cancel, to drain, to look.
    #[must_use]
    pub fn control(&self) -> Control {
        Control::new(Arc::clone(&self.hub))
    }
}

impl<R: Send + 'static> Running<R> {
    /// The report, when nothing of the user's runs any more and all is closed.
    ///
    /// It is ready when the source has come to its end and so has every item, or when the run was
    /// drained, or after a cancel or a failure. A body that blocks its thread is waited for. What a
    /// stream has not given out is dropped as it comes, and counts as cancelled; to end an endless
    /// one cancel or drain it first.
    ///
    /// # Errors
    ///
    /// A [`RunError`] if the run did not finish: its cause, with the report of what was done.
    ///
    /// # Panics
    ///
    /// If it is called again after it was ready, or after a stream has given its last `Err`: the
    /// outcome of a run is given once.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a dropped future loses nothing, so it fits `select!`.
    pub async fn wait(&mut self) -> Result<Report<R>, RunError> {
        let ended = poll_fn(|context| {
            if let Some(discard) = self.discard.get_mut() {
                ready!(discard(context));
            }
            self.hub.poll_end(context)
        })
        .await;
        let Some(ended) = ended else {
            panic!("the outcome of a run is given once, and it has been given")
        };
        let Ended { cause, report } = ended;
        let value = self.own.get_mut().take().or_else(|| self.value.take());
        match (cause, value) {
            (None, Some(value)) => Ok(report.map(|()| value)),
            // an end that did not fail has left its value
            (cause, value) => {
                // it may hold items, and must not keep the outcome from its owner
                discard(value);
                Err(run_error(cause.unwrap_or(Cause::Cancelled), report))
            }
        }
    }
}

fn run_error(cause: Cause, report: Report) -> RunError {
    RunError {
        cause,
        report: Box::new(report),
    }
}

impl<T: Send + 'static> Stream for Running<Items<T>> {
    type Item = Result<T, RunError>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let running = self.get_mut();
        let own = running.own.get_mut();
        if own.is_none() {
            *own = running.value.take();
        }
        if let Some(items) = own
            && let Some(item) = ready!(items.end().poll_next(context))
        {
            return Poll::Ready(Some(Ok(item)));
        }
        let Some(Ended { cause, report }) = ready!(running.hub.poll_end(context)) else {
            return Poll::Ready(None);
        };
        Poll::Ready(cause.map(|cause| Err(run_error(cause, report))))
    }
}

impl<R> Unpin for Running<R> {}

impl<R> Drop for Running<R> {
    fn drop(&mut self) {
        self.hub.abandon();
        // of a run that had ended; whoever drops this is not to be struck by a destructor of its items
        discard(self.own.get_mut().take());
        discard(self.value.take());
    }
}

impl<R> fmt::Debug for Running<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Running")
            .field("run", &self.hub)
            .finish_non_exhaustive()
    }
}
