//! Any stream adaptor between two steps.

use std::{
    collections::VecDeque,
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
    rt::{
        Mutex,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

/// What an adaptor takes its items from. It has many of them in hand, so that the next one costs no lock.
pub(crate) struct Supply<T: Send + 'static> {
    intake: Arc<Intake<T>>,
    /// Taken from the edge, and not yet asked for. What their tickets are is known to the intake.
    lot: VecDeque<Envelope<T>>,
    /// Since the adaptor had to wait.
    in_a_row: usize,
}

/// What the adaptor's [`Supply`], which it may keep as long as it likes and on any task, shares with the
/// operator, which takes the right to take more away when the adaptor has ended or the run is over. The
/// tickets stay here: then they are settled, wherever the items are.
pub(crate) struct Intake<T: Send + 'static> {
    hub: Arc<Hub>,
    /// How many items the adaptor was given, and [`OVER`]: both in one word, so that each item was given
    /// either before the end or not at all.
    given: AtomicU64,
    inner: Mutex<Inner<T>>,
}

/// No more is given.
const OVER: u64 = 1 << 63;

struct Inner<T: Send + 'static> {
    /// None while it is in use, and when all is over. The run does not end while somebody has it.
    source: Option<(Task, Inlet<T>)>,
    /// How many items the supply was handed.
    handed: u64,
    /// How many of them are settled, the first ones.
    settled: u64,
    /// Of the others, those that do not stand for one source item alone, with their numbers.
    wide: VecDeque<(u64, Ticket)>,
    /// How many of those given the operator knows of.
    told: u64,
    /// Nothing more is taken, after so many were given.
    over: Option<u64>,
}

impl<T: Send + 'static> Inner<T> {
    /// These are now in the supply.
    fn hand_out(&mut self, lot: &mut VecDeque<Envelope<T>>) {
        for Envelope { ticket, .. } in lot {
            if let Some(wide) = ticket.take_wide() {
                self.wide.push_back((self.handed, wide));
            }
            self.handed += 1;
        }
    }
}

impl<T: Send + 'static> Supply<T> {
    /// The next item; none when nothing more comes, or the run was stopped. Whoever asks has done with the
    /// one before.
    pub(crate) fn poll_next(&mut self, context: &Context<'_>) -> Poll<Option<T>> {
        if self.intake.hub.stopped() {
            self.discard();
            return Poll::Ready(None);
        }
        // an adaptor may take any number of items in one poll, and others are to have their turn
        if self.in_a_row >= HELPING {
            self.in_a_row = 0;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        if self.lot.is_empty() && self.intake.poll_lot(context, &mut self.lot).is_pending() {
            self.in_a_row = 0;
            return Poll::Pending;
        }
        if self.lot.is_empty() || !self.intake.give() {
            self.discard();
            return Poll::Ready(None);
        }
        self.in_a_row += 1;
        Poll::Ready(self.lot.pop_front().map(|envelope| envelope.item))
    }

    fn discard(&mut self) {
        let lot = self.lot.drain(..);
        lot.for_each(|envelope| shield::discard(envelope.item));
    }
}

// its items are never pinned
impl<T: Send + 'static> Unpin for Supply<T> {}

impl<T: Send + 'static> Drop for Supply<T> {
    fn drop(&mut self) {
        // before the run may end
        self.discard();
        self.intake.close();
    }
}

impl<T: Send + 'static> Intake<T> {
    pub(crate) fn new(task: Task, inlet: Inlet<T>) -> (Arc<Self>, Supply<T>) {
        let intake = Arc::new(Intake {
            hub: Arc::clone(task.hub()),
            given: AtomicU64::new(0),
            inner: Mutex::new(Inner {
                source: Some((task, inlet)),
                handed: 0,
                settled: 0,
                wide: VecDeque::new(),
                told: 0,
                over: None,
            }),
        });
        let supply = Supply {
            intake: Arc::clone(&intake),
            lot: VecDeque::new(),
            in_a_row: 0,
        };
        (intake, supply)
    }

    /// Hands out the next lot; none when nothing more comes.
    fn poll_lot(&self, context: &Context<'_>, lot: &mut VecDeque<Envelope<T>>) -> Poll<()> {
        let mut inner = self.inner.lock();
        // before the lock is let go: from then on the run may end
        let given = self.given(&inner);
        self.settle(&mut inner, given, Fate::Delivered);
        let source = inner.source.take();
        drop(inner);
        let Some((task, mut inlet)) = source else {
            return Poll::Ready(());
        };
        // not under the lock: the waker may be the user's
        let polled = inlet.poll_past(context, lot);
        let mut inner = self.inner.lock();
        if inner.over.is_some() {
            drop(inner);
            let unwanted = lot.drain(..);
            unwanted.for_each(|envelope| self.hub.ledger().cancel(envelope));
            drop(inlet);
            task.finish();
            return Poll::Ready(());
        }
        inner.hand_out(lot);
        inner.source = Some((task, inlet));
        polled.map(|_| ())
    }

    /// One more item is given. False if all is over.
    #[inline]
    fn give(&self) -> bool {
        // nothing else is read by who sees it, so no order is needed but that of the word itself
        self.given.fetch_add(1, Relaxed) & OVER == 0
    }

    fn given(&self, inner: &Inner<T>) -> u64 {
        inner.over.unwrap_or_else(|| self.given.load(Relaxed))
    }

    /// Settles the items before this number that are not settled.
    fn settle(&self, inner: &mut Inner<T>, number: u64, fate: Fate) {
        let mut singles = number.saturating_sub(inner.settled);
        while let Some((_, ticket)) = inner.wide.pop_front_if(|(of, _)| *of < number) {
            singles -= 1;
            self.hub.ledger().settle(ticket, fate);
        }
        self.hub.ledger().add(fate, singles);
        inner.settled = inner.settled.max(number);
    }

    /// Nothing more is taken: if more would come, those before it end.
    fn close(&self) {
        let mut inner = self.inner.lock();
        if inner.over.is_some() {
            return;
        }
        let given = self.given.fetch_or(OVER, Relaxed);
        inner.over = Some(given);
        let last = if self.hub.stopped() {
            // nobody knows what the adaptor would have made of it
            Fate::Cancelled
        } else {
            Fate::Delivered
        };
        self.settle(&mut inner, given.saturating_sub(1), Fate::Delivered);
        self.settle(&mut inner, given, last);
        let handed = inner.handed;
        self.settle(&mut inner, handed, Fate::Cancelled);
        let source = inner.source.take();
        drop(inner);
        if let Some((task, inlet)) = source {
            drop(inlet);
            task.finish();
        }
    }

    /// How many items have been given since this was last asked.
    fn taken(&self) -> u64 {
        let mut inner = self.inner.lock();
        let given = self.given(&inner);
        // the adaptor may still work on the last one
        self.settle(&mut inner, given.saturating_sub(1), Fate::Delivered);
        given - mem::replace(&mut inner.told, given)
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
    /// Items before this one are in the ledger.
    entered: u64,
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
            entered: 0,
        }
    }

    /// Puts what the adaptor gave into the ledger. Called before it is handed on, as it may be settled at once.
    fn enter(&mut self) {
        let entered = mem::replace(&mut self.entered, self.index);
        self.intake.hub.ledger().enter(self.index - entered);
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
        self.enter();
        self.out.flush()
    }

    fn end(&mut self) {
        self.enter();
        self.out.end();
    }

    fn cancel(&mut self, _: &Ledger) {
        // what has not been handed on settles itself
        self.enter();
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
            self.enter();
            let room = ready!(self.out.poll_room());
            let Some(adaptor) = &mut self.adaptor else {
                return Poll::Ready(Step::End);
            };
            for _ in 0..room {
                let Some(item) = ready!(adaptor.as_mut().poll_next(context)) else {
                    self.discard();
                    return Poll::Ready(Step::End);
                };
                let ticket = Ticket::Single {
                    source: self.source,
                    index: self.index,
                };
                self.index += 1;
                self.out.push(Envelope::new(item, ticket));
                bench.gave();
                if bench.is_due() {
                    return Poll::Ready(Step::Pause);
                }
            }
        }
    }
}
