//! Drives the end of a pipeline: gives it what has arrived, as much at a time as there is, one call
//! after another.

use std::{
    future::{poll_fn, ready},
    sync::Arc,
    task::Poll,
};

use super::{
    edge::{Reader, Taken},
    guarded::{Guarded, close, guard},
    hub::Task,
    ledger::Fate,
    limits::{TAKE, TURN_NS},
    shield,
    stubs::Stubs,
};
use crate::{
    error::{BoxError, Cause},
    rt::{self, Mutex},
};

/// Where items end. The engine's view of a sink.
pub(crate) trait Outlet<T>: Send + 'static {
    /// What it makes of the items.
    type Value: Send + 'static;
    /// It pops items off the back, so they are to lie the last one first.
    const LAST_FIRST: bool;
    /// Takes items out as they are safe: off the front, or off the back if they lie last first.
    fn write(&mut self, items: &mut Vec<T>) -> impl Future<Output = Result<(), BoxError>> + Send;
    fn flush(&mut self) -> impl Future<Output = Result<(), BoxError>> + Send {
        ready(Ok(()))
    }
    /// Items that `write` has taken out, but that were not safe when it ended too soon.
    fn at_risk(&self) -> usize {
        0
    }
    /// Whether items that a failed `write` has left inside were offered to it, and so have failed;
    /// else they are cancelled.
    fn was_offered_all(&self) -> bool;
    fn close(self) -> impl Future<Output = Result<Self::Value, BoxError>> + Send;
}

/// The most items that an end behind an edge of this capacity takes at once.
pub(crate) fn most_at_once(capacity: usize) -> usize {
    capacity.clamp(1, TAKE)
}

/// Starts the end that reads `edge`. What it makes of the items is left in `value`.
pub(crate) fn launch_outlet<T: Send + 'static, O: Outlet<T>>(
    task: Task,
    outlet: O,
    reader: Reader<T>,
    most: usize,
    value: Arc<Mutex<Option<O::Value>>>,
) {
    let runtime = task.hub().runtime().clone();
    runtime.spawn(drive(task, outlet, reader, most, value));
}

async fn drive<T: Send + 'static, O: Outlet<T>>(
    mut task: Task,
    mut outlet: O,
    reader: Reader<T>,
    most: usize,
    value: Arc<Mutex<Option<O::Value>>>,
) {
    task.take_seat().await;
    if let Err(error) = fill(&task, &mut outlet, &reader, most).await {
        task.hub().stop(Cause::Sink(error));
    }
    drop(reader);
    match close(&mut task, || outlet.close()).await {
        Ok(Some(made)) => {
            *value.lock() = Some(made);
            if task.hub().abandoned() {
                // the owner may have looked before it was there
                let unwanted = value.lock().take();
                shield::discard(unwanted);
            }
        }
        Ok(None) => {}
        Err(error) => task.hub().doom(Cause::Sink(error)),
    }
    task.finish();
}

/// What is to be done next.
enum Step {
    Write,
    /// Nothing is there at the moment.
    Flush,
    End,
    Stop,
}

async fn fill<T: Send + 'static, O: Outlet<T>>(
    task: &Task,
    outlet: &mut O,
    reader: &Reader<T>,
    most: usize,
) -> Result<(), BoxError> {
    let hub = task.hub();
    let mut hand = Hand {
        task,
        outlet,
        items: Vec::new(),
        stubs: Stubs::default(),
    };
    let mut unflushed = false;
    let mut turn_since = hub.now();
    loop {
        let step = poll_fn(|context| {
            task.seat().begin();
            if hub.stopped() {
                return Poll::Ready(Step::Stop);
            }
            let Hand { items, stubs, .. } = &mut hand;
            match reader.poll_take(context, most, O::LAST_FIRST, items, stubs) {
                Poll::Ready(Taken::Items) => Poll::Ready(Step::Write),
                Poll::Ready(Taken::End) => Poll::Ready(Step::End),
                Poll::Pending if unflushed => Poll::Ready(Step::Flush),
                Poll::Pending => {
                    task.seat().rest_inside();
                    Poll::Pending
                }
            }
        });
        match step.await {
            Step::Write => hand.write().await?,
            Step::Flush | Step::End if unflushed => {
                guard(|| !hub.stopped(), || hand.outlet.flush())
                    .await
                    .into_result()
                    .unwrap_or(Ok(()))?;
                unflushed = false;
                turn_since = hub.now();
                continue;
            }
            Step::Flush => {}
            Step::End | Step::Stop => return Ok(()),
        }
        unflushed = true;
        let now = hub.now();
        if now.saturating_sub(turn_since) > TURN_NS {
            rt::give_way().await;
            turn_since = hub.now();
        }
    }
}

/// What has been taken from the edge and is not settled yet, and the end that it is for.
struct Hand<'a, T, O: Outlet<T>> {
    task: &'a Task,
    outlet: &'a mut O,
    items: Vec<T>,
    stubs: Stubs,
}

impl<T: Send + 'static, O: Outlet<T>> Hand<'_, T, O> {
    /// Gives the end all of it.
    async fn write(&mut self) -> Result<(), BoxError> {
        let hub = Arc::clone(self.task.hub());
        while !self.items.is_empty() {
            let written = guard(|| !hub.stopped(), || self.outlet.write(&mut self.items)).await;
            let done = matches!(written, Guarded::Done(Ok(())));
            let at_risk = if done { 0 } else { self.at_risk() };
            let safe = self.deliver(at_risk);
            let error = match written {
                Guarded::Done(Ok(())) if safe > 0 => continue,
                Guarded::Done(Ok(())) => {
                    BoxError::from("it took none of the items, and reported no error")
                }
                Guarded::Done(Err(error)) => error,
                Guarded::Panicked(payload) => shield::panic_error(payload),
                Guarded::GivenUp => {
                    self.cancel();
                    return Ok(());
                }
            };
            let failed = if self.outlet.was_offered_all() {
                usize::MAX
            } else {
                at_risk
            };
            self.settle(failed, Fate::Failed);
            self.cancel();
            return Err(error);
        }
        Ok(())
    }
}

impl<T, O: Outlet<T>> Hand<'_, T, O> {
    fn at_risk(&self) -> usize {
        shield::call(|| self.outlet.at_risk()).unwrap_or(0)
    }

    /// Settles what the end has taken out, and says how many that are.
    fn deliver(&mut self, at_risk: usize) -> usize {
        let safe = self
            .stubs
            .count()
            .saturating_sub(self.items.len() + at_risk);
        self.settle(safe, Fate::Delivered);
        safe
    }

    /// Settles the rest.
    fn cancel(&mut self) {
        self.settle(usize::MAX, Fate::Cancelled);
        self.items.drain(..).for_each(shield::discard);
    }

    fn settle(&mut self, items: usize, fate: Fate) {
        let ledger = self.task.hub().ledger();
        if O::LAST_FIRST {
            self.stubs.settle_last(items, fate, ledger);
        } else {
            self.stubs.settle_first(items, fate, ledger);
        }
    }
}

/// In the middle of a write only when the runtime goes: what was given to the end is settled all the same (I9).
impl<T, O: Outlet<T>> Drop for Hand<'_, T, O> {
    fn drop(&mut self) {
        if self.stubs.count() > 0 {
            let at_risk = self.at_risk();
            self.deliver(at_risk);
            self.cancel();
        }
    }
}
