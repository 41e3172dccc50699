//! The end of a pipeline that is read by a task of the user's own, as a stream.

use std::{
    fmt,
    sync::Arc,
    task::{Context, Poll},
};

use super::{
    edge::{Reader, Taken},
    hub::{Hub, Link, Task},
    ledger::{Fate, Ledger},
    shield,
};
use crate::{error::Origin, report::StageReport, rt::Mutex};

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
    origins: Vec<Origin>,
    /// Source items given out and not settled yet.
    given: u64,
    over: bool,
}

impl<T: Send + 'static> StreamEnd<T> {
    pub(crate) fn new(task: Task, reader: Reader<T>, most: usize) -> Arc<Self> {
        let hub = Arc::clone(task.hub());
        let (items, origins) = (Vec::new(), Vec::new());
        let inner = Inner {
            source: Some((task, reader)),
            items,
            origins,
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
        let (task, reader, mut items, mut origins) = {
            let mut inner = self.inner.lock();
            if !stopped && let (Some(item), Some(origin)) = (inner.items.pop(), inner.origins.pop())
            {
                inner.given += u64::from(origin.count());
                return Poll::Ready(Some(item));
            }
            self.hub
                .ledger()
                .settle(Fate::Delivered, std::mem::take(&mut inner.given));
            let Some((task, reader)) = inner.source.take() else {
                return Poll::Ready(None);
            };
            (
                task,
                reader,
                std::mem::take(&mut inner.items),
                std::mem::take(&mut inner.origins),
            )
        };
        // outside of the lock: wakers of the user's are cloned and dropped in it
        let taken = if stopped {
            Poll::Ready(Taken::End)
        } else {
            reader.poll_take(context, self.most, &mut items, &mut origins)
        };
        items.reverse();
        origins.reverse();
        let mut inner = self.inner.lock();
        let ended = inner.over || taken == Poll::Ready(Taken::End);
        if ended {
            inner.over = true;
            drop(inner);
            self.cancel(items, &origins);
            drop(reader);
            task.finish();
            return Poll::Ready(None);
        }
        inner.source = Some((task, reader));
        let next = items.pop().zip(origins.pop());
        (inner.items, inner.origins) = (items, origins);
        match next {
            Some((item, origin)) => {
                inner.given += u64::from(origin.count());
                Poll::Ready(Some(item))
            }
            None => Poll::Pending,
        }
    }

    /// Nobody wants the rest: it is dropped as it comes, and counts as cancelled.
    pub(crate) fn poll_discard(&self, context: &Context<'_>) -> Poll<()> {
        loop {
            let (items, origins) = {
                let mut inner = self.inner.lock();
                (
                    std::mem::take(&mut inner.items),
                    std::mem::take(&mut inner.origins),
                )
            };
            self.cancel(items, &origins);
            match self.poll_next(context) {
                Poll::Ready(Some(item)) => {
                    let mut inner = self.inner.lock();
                    let source_items = std::mem::take(&mut inner.given);
                    drop(inner);
                    self.hub.ledger().settle(Fate::Cancelled, source_items);
                    shield::discard(item);
                }
                Poll::Ready(None) => return Poll::Ready(()),
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    fn cancel(&self, items: Vec<T>, origins: &[Origin]) {
        items
            .into_iter()
            .zip(origins)
            .for_each(|(item, origin)| self.hub.ledger().cancel(item, origin));
    }

    /// The run is over, or will be as soon as this end has let go.
    fn let_go(&self) {
        let (source, items, origins, given) = {
            let mut inner = self.inner.lock();
            inner.over = true;
            let Inner {
                source,
                items,
                origins,
                given,
                ..
            } = &mut *inner;
            (
                source.take(),
                std::mem::take(items),
                std::mem::take(origins),
                std::mem::take(given),
            )
        };
        self.hub.ledger().settle(Fate::Delivered, given);
        self.cancel(items, &origins);
        if let Some((task, reader)) = source {
            drop(reader);
            task.finish();
        }
    }
}

impl<T: Send + 'static> Link for StreamEnd<T> {
    fn wind_down(&self) {
        self.let_go();
    }

    fn look(self: Arc<Self>) -> bool {
        false
    }

    fn report(&self, _: u64) -> Option<StageReport> {
        None
    }

    fn clear(&self, _: &Ledger) {
        self.let_go();
    }
}

impl<T> fmt::Debug for StreamEnd<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StreamEnd")
    }
}
