//! Any stream adaptor between two steps.

use std::{
    mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use futures_core::Stream;

use crate::{
    engine::{
        envelope::Envelope,
        filler::Filler,
        hub::{Hub, Task},
        inlet::Inlet,
        ledger::{Fate, Ledger},
        limits::HELPING,
        operator::{Bench, Operator, Step},
        shield,
        ticket::Ticket,
    },
    rt::Mutex,
};

/// What an adaptor takes its items from. Shared by the adaptor, which may keep it as long as it likes, and
/// the operator, which takes the right to take more away when the adaptor has ended or the run is over.
pub(crate) struct Intake<T: Send + 'static> {
    hub: Arc<Hub>,
    inner: Mutex<Inner<T>>,
}

struct Inner<T: Send + 'static> {
    /// None while it is in use, and when all is over. The run does not end while somebody has it.
    source: Option<(Task, Inlet<T>)>,
    /// Of the item that the adaptor has.
    given: Option<Ticket>,
    /// Since the operator asked last.
    taken: u64,
    /// Since the adaptor had to wait.
    in_a_row: usize,
    over: bool,
}

impl<T: Send + 'static> Inner<T> {
    /// An item that has been taken already, if there is one.
    fn give(&mut self) -> Option<T> {
        let (_, inlet) = self.source.as_mut()?;
        let envelope = inlet.pop()?;
        Some(self.open(envelope))
    }

    fn open(&mut self, Envelope { item, ticket }: Envelope<T>) -> T {
        self.given = Some(ticket);
        self.taken += 1;
        self.in_a_row += 1;
        item
    }
}

impl<T: Send + 'static> Intake<T> {
    pub(crate) fn new(task: Task, inlet: Inlet<T>) -> Arc<Self> {
        Arc::new(Intake {
            hub: Arc::clone(task.hub()),
            inner: Mutex::new(Inner {
                source: Some((task, inlet)),
                given: None,
                taken: 0,
                in_a_row: 0,
                over: false,
            }),
        })
    }

    /// The next item; none when nothing more comes, or the run was stopped. Whoever asks has done with the
    /// one before.
    pub(crate) fn poll_next(&self, context: &Context<'_>) -> Poll<Option<T>> {
        let stopped = self.hub.stopped();
        let mut inner = self.inner.lock();
        // before the lock is let go: from then on the run may end
        self.settle(inner.given.take());
        let over = inner.over || stopped;
        // an adaptor may take any number of items in one poll, and others are to have their turn
        let rests = !over && inner.in_a_row >= HELPING;
        let (mut item, mut source) = (None, None);
        if rests {
            inner.in_a_row = 0;
        } else if !over {
            item = inner.give();
            if item.is_none() {
                source = inner.source.take();
            }
        }
        drop(inner);
        if rests {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        match source {
            // not under the lock: the waker may be the user's
            Some((task, inlet)) => self.poll_source(context, task, inlet),
            None => Poll::Ready(item),
        }
    }

    fn poll_source(
        &self,
        context: &Context<'_>,
        task: Task,
        mut inlet: Inlet<T>,
    ) -> Poll<Option<T>> {
        let polled = inlet.poll_next(context);
        let mut inner = self.inner.lock();
        if inner.over {
            drop(inner);
            if let Poll::Ready(Some(envelope)) = polled {
                self.hub.ledger().cancel(envelope);
            }
            drop(inlet);
            task.finish();
            return Poll::Ready(None);
        }
        inner.source = Some((task, inlet));
        if polled.is_pending() {
            inner.in_a_row = 0;
        }
        polled.map(|envelope| envelope.map(|envelope| inner.open(envelope)))
    }

    fn settle(&self, done: Option<Ticket>) {
        if let Some(ticket) = done {
            let fate = if self.hub.stopped() {
                // nobody knows what the adaptor would have made of it
                Fate::Cancelled
            } else {
                Fate::Delivered
            };
            self.hub.ledger().settle(ticket, fate);
        }
    }

    /// Nothing more is taken: if more would come, those before it end.
    pub(crate) fn close(&self) {
        let mut inner = self.inner.lock();
        inner.over = true;
        self.settle(inner.given.take());
        let source = inner.source.take();
        drop(inner);
        if let Some((task, inlet)) = source {
            drop(inlet);
            task.finish();
        }
    }

    /// How many items have been taken since this was last asked.
    fn taken(&self) -> u64 {
        mem::take(&mut self.inner.lock().taken)
    }
}

/// Polls the adaptor, and numbers its items.
pub(crate) struct Through<T: Send + 'static, F, S: Stream<Item: Send + 'static>> {
    intake: Arc<Intake<T>>,
    out: Filler<S::Item>,
    /// Makes the adaptor.
    make: Option<F>,
    adaptor: Option<Pin<Box<S>>>,
    /// The number of the adaptor among the sources.
    source: u32,
    /// Of its next item.
    index: u64,
}

impl<T: Send + 'static, F, S: Stream<Item: Send + 'static>> Through<T, F, S> {
    pub(crate) fn new(intake: Arc<Intake<T>>, out: Filler<S::Item>, source: u32, make: F) -> Self {
        Through {
            intake,
            out,
            make: Some(make),
            adaptor: None,
            source,
            index: 0,
        }
    }

    fn discard(&mut self) {
        shield::discard(self.make.take());
        shield::discard(self.adaptor.take());
        self.intake.close();
    }
}

impl<T, F, S> Operator for Through<T, F, S>
where
    T: Send + 'static,
    F: FnOnce() -> S + Send + 'static,
    S: Stream<Item: Send + 'static> + Send + 'static,
{
    fn poll_work(&mut self, context: &mut Context<'_>, bench: &mut Bench) -> Poll<Step> {
        let step = self.work(context, bench);
        bench.took_by_itself(self.intake.taken());
        step
    }

    fn flush(&mut self) -> bool {
        self.out.flush()
    }

    fn end(&mut self) {
        self.out.end();
    }

    fn cancel(&mut self, _: &Ledger) {
        self.discard();
    }
}

impl<T, F, S> Through<T, F, S>
where
    T: Send + 'static,
    F: FnOnce() -> S + Send + 'static,
    S: Stream<Item: Send + 'static> + Send + 'static,
{
    /// A panic here is the adaptor's, and ends the run: there is no item to be the error of.
    fn work(&mut self, context: &mut Context<'_>, bench: &mut Bench) -> Poll<Step> {
        if self.out.is_unwanted() {
            self.discard();
            return Poll::Ready(Step::End);
        }
        if let Some(make) = self.make.take() {
            self.adaptor = Some(Box::pin(make()));
        }
        loop {
            ready!(self.out.poll_room());
            let Some(adaptor) = &mut self.adaptor else {
                return Poll::Ready(Step::End);
            };
            match adaptor.as_mut().poll_next(context) {
                Poll::Ready(Some(item)) => {
                    let ticket = Ticket::Single {
                        source: self.source,
                        index: self.index,
                    };
                    self.index += 1;
                    // before anybody can settle it
                    bench.ledger().enter(1);
                    self.out.push(Envelope::new(item, ticket));
                    bench.gave();
                    if bench.is_due() {
                        return Poll::Ready(Step::Pause);
                    }
                }
                Poll::Ready(None) => {
                    self.discard();
                    return Poll::Ready(Step::End);
                }
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}
