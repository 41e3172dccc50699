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
    stubs::Stubs,
};
use crate::rt::Mutex;

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
    stubs: Stubs,
    /// Of those that were given out and are not settled yet.
    given: Stubs,
    over: bool,
}

impl<T> Inner<T> {
    fn give(&mut self) -> Option<T> {
        let item = self.items.pop()?;
        self.stubs.move_last(&mut self.given);
        Some(item)
    }
}

impl<T: Send + 'static> StreamEnd<T> {
    pub(crate) fn new(task: Task, reader: Reader<T>, most: usize) -> Arc<Self> {
        let hub = Arc::clone(task.hub());
        let (items, stubs) = (Vec::new(), Stubs::default());
        let inner = Inner {
            source: Some((task, reader)),
            items,
            stubs,
            given: Stubs::default(),
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
        let (task, reader, mut items, mut stubs) = {
            let mut inner = self.inner.lock();
            if !stopped && let Some(item) = inner.give() {
                return Poll::Ready(Some(item));
            }
            let ledger = self.hub.ledger();
            inner
                .given
                .settle_first(usize::MAX, Fate::Delivered, ledger);
            let Some((task, reader)) = inner.source.take() else {
                return Poll::Ready(None);
            };
            (
                task,
                reader,
                mem::take(&mut inner.items),
                mem::take(&mut inner.stubs),
            )
        };
        task.seat().begin();
        // outside of the lock: wakers of the user's are cloned and dropped in it
        let taken = if stopped {
            Poll::Ready(Taken::End)
        } else {
            reader.poll_take(context, self.most, true, &mut items, &mut stubs)
        };
        let mut inner = self.inner.lock();
        if inner.over || taken == Poll::Ready(Taken::End) {
            inner.over = true;
            drop(inner);
            self.cancel(items, stubs);
            drop(reader);
            task.finish();
            return Poll::Ready(None);
        }
        if taken.is_pending() {
            task.seat().rest_inside();
        }
        inner.source = Some((task, reader));
        (inner.items, inner.stubs) = (items, stubs);
        inner
            .give()
            .map_or(Poll::Pending, |item| Poll::Ready(Some(item)))
    }

    /// Nobody wants the rest: it is dropped as it comes, and counts as cancelled.
    pub(crate) fn poll_discard(&self, context: &Context<'_>) -> Poll<()> {
        loop {
            let (items, stubs) = {
                let mut inner = self.inner.lock();
                (mem::take(&mut inner.items), mem::take(&mut inner.stubs))
            };
            self.cancel(items, stubs);
            match self.poll_next(context) {
                Poll::Ready(Some(item)) => {
                    let mut unwanted = {
                        let mut inner = self.inner.lock();
                        mem::take(&mut inner.given)
                    };
                    unwanted.settle_first(usize::MAX, Fate::Cancelled, self.hub.ledger());
                    shield::discard(item);
                }
                Poll::Ready(None) => return Poll::Ready(()),
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    fn cancel(&self, items: Vec<T>, mut stubs: Stubs) {
        stubs.settle_last(usize::MAX, Fate::Cancelled, self.hub.ledger());
        items.into_iter().for_each(shield::discard);
    }

    /// The run is over, or will be as soon as this end has let go.
    fn end(&self) {
        let (source, items, stubs, mut given) = {
            let mut inner = self.inner.lock();
            inner.over = true;
            let Inner {
                source,
                items,
                stubs,
                given,
                ..
            } = &mut *inner;
            (
                source.take(),
                mem::take(items),
                mem::take(stubs),
                mem::take(given),
            )
        };
        given.settle_first(usize::MAX, Fate::Delivered, self.hub.ledger());
        self.cancel(items, stubs);
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

    fn clear(&self, _: &Ledger) {
        self.end();
    }
}

impl<T> fmt::Debug for StreamEnd<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StreamEnd")
    }
}
