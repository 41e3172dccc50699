//! The end of a pipeline that is read by a task of the user's own, as a stream.

use std::{
    fmt, mem,
    sync::Arc,
    task::{Context, Poll},
};

use super::{
    edge::{Reader, Taken},
    hub::{Hub, Link, Task},
    ledger::{Fate, Ledger},
    shield,
    weights::Weights,
};
use crate::{report::StageReport, rt::Mutex};

/// Items that have arrived, and the right to take more. Shared by the stream and the run, which
/// takes it away when it is stopped and nobody polls the stream.
pub(crate) struct StreamEnd<T> {
    hub: Arc<Hub>,
    most: usize,
    inner: Mutex<Inner<T>>,
}

struct Inner<T> {
    /// None while it is in use, and when all is over.
    source: Option<(Task, Reader<T>)>,
    /// Taken from the edge and not given out, the next one last.
    items: Vec<T>,
    weights: Weights,
    /// Source items given out and not settled yet.
    given: u64,
    over: bool,
}

impl<T> Inner<T> {
    fn give(&mut self) -> Option<T> {
        let item = self.items.pop()?;
        self.given += self.weights.take_last(1);
        Some(item)
    }
}

impl<T: Send + 'static> StreamEnd<T> {
    pub(crate) fn new(task: Task, reader: Reader<T>, most: usize) -> Arc<Self> {
        let hub = Arc::clone(task.hub());
        let (items, weights) = (Vec::new(), Weights::default());
        let inner = Inner {
            source: Some((task, reader)),
            items,
            weights,
            given: 0,
            over: false,
        };
        let end = Arc::new(StreamEnd {
            hub: Arc::clone(&hub),
            most,
            inner: Mutex::new(inner),
        });
        hub.add(end.clone());
        end
    }

    /// The next item; none when the pipeline has come to its end, or the run was stopped.
    pub(crate) fn poll_next(&self, context: &Context<'_>) -> Poll<Option<T>> {
        let stopped = self.hub.stopped();
        let (task, reader, mut items, mut weights) = {
            let mut inner = self.inner.lock();
            if !stopped && let Some(item) = inner.give() {
                return Poll::Ready(Some(item));
            }
            self.hub
                .ledger()
                .settle(Fate::Delivered, mem::take(&mut inner.given));
            let Some((task, reader)) = inner.source.take() else {
                return Poll::Ready(None);
            };
            (
                task,
                reader,
                mem::take(&mut inner.items),
                mem::take(&mut inner.weights),
            )
        };
        // outside of the lock: wakers of the user's are cloned and dropped in it
        let taken = if stopped {
            Poll::Ready(Taken::End)
        } else {
            reader.poll_take(context, self.most, true, &mut items, &mut weights)
        };
        let mut inner = self.inner.lock();
        if inner.over || taken == Poll::Ready(Taken::End) {
            inner.over = true;
            drop(inner);
            self.cancel(items, weights);
            drop(reader);
            task.finish();
            return Poll::Ready(None);
        }
        inner.source = Some((task, reader));
        (inner.items, inner.weights) = (items, weights);
        inner
            .give()
            .map_or(Poll::Pending, |item| Poll::Ready(Some(item)))
    }

    /// Nobody wants the rest: it is dropped as it comes, and counts as cancelled.
    pub(crate) fn poll_discard(&self, context: &Context<'_>) -> Poll<()> {
        loop {
            let (items, weights) = {
                let mut inner = self.inner.lock();
                (mem::take(&mut inner.items), mem::take(&mut inner.weights))
            };
            self.cancel(items, weights);
            match self.poll_next(context) {
                Poll::Ready(Some(item)) => {
                    let unwanted = {
                        let mut inner = self.inner.lock();
                        mem::take(&mut inner.given)
                    };
                    self.hub.ledger().settle(Fate::Cancelled, unwanted);
                    shield::discard(item);
                }
                Poll::Ready(None) => return Poll::Ready(()),
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    fn cancel(&self, items: Vec<T>, mut weights: Weights) {
        self.hub
            .ledger()
            .settle(Fate::Cancelled, weights.take_last(usize::MAX));
        items.into_iter().for_each(shield::discard);
    }

    /// The run is over, or will be as soon as this end has let go.
    fn end(&self) {
        let (source, items, weights, given) = {
            let mut inner = self.inner.lock();
            inner.over = true;
            let Inner {
                source,
                items,
                weights,
                given,
                ..
            } = &mut *inner;
            (
                source.take(),
                mem::take(items),
                mem::take(weights),
                mem::take(given),
            )
        };
        self.hub.ledger().settle(Fate::Delivered, given);
        self.cancel(items, weights);
        if let Some((task, reader)) = source {
            drop(reader);
            task.finish();
        }
    }
}

impl<T: Send + 'static> Link for StreamEnd<T> {
    fn wind_down(&self) {
        self.end();
    }

    fn let_go(&self) {
        self.end();
    }

    fn look(self: Arc<Self>) -> bool {
        false
    }

    fn report(&self, _: u64) -> Option<StageReport> {
        None
    }

    fn clear(&self, _: &Ledger) {
        self.end();
    }
}

impl<T> fmt::Debug for StreamEnd<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StreamEnd")
    }
}
