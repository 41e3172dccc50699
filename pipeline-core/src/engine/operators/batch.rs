//! Many items to one vector.

use std::{
    mem,
    task::{Context, Poll, ready},
    time::Duration,
};

use crate::{
    engine::{
        envelope::Envelope,
        filler::Filler,
        inlet::Inlet,
        ledger::{Fate, Ledger},
        operator::{Bench, Operator, Step},
        shield,
        ticket::Joined,
    },
    rt::{Moment, Timer},
};

/// Gathers items up to a weight of `max`, for no longer than `age` after the first of them.
pub(crate) struct Batch<T: Send + 'static, F> {
    inlet: Inlet<T>,
    out: Filler<Vec<T>>,
    max: usize,
    age: Duration,
    /// No item weighs less than 1.
    weigh: F,
    items: Vec<T>,
    /// Of the items together.
    weight: usize,
    /// Of the items, if there are any.
    joined: Option<Joined>,
    /// When they have to leave; never, if there is nothing.
    due: Option<Moment>,
    /// The batch leaves as it is as soon as there is room.
    closed: bool,
    /// Too heavy for the batch that is closed: the first of the next one.
    next: Option<Weighed<T>>,
    timer: Timer,
}

struct Weighed<T> {
    envelope: Envelope<T>,
    weight: usize,
    /// Of a batch that it is the first one of.
    due: Option<Moment>,
}

/// Whether the age is one that a timer has to be asked for.
pub(crate) fn is_timed(age: Duration) -> bool {
    age != Duration::ZERO && age != Duration::MAX
}

/// When a batch that begins now has to leave, if a timer has to be asked for that.
pub(super) fn due_from_now(age: Duration) -> Option<Moment> {
    is_timed(age).then(|| Moment::now().after(age)).flatten()
}

impl<T: Send + 'static, F> Batch<T, F> {
    pub(crate) fn new(
        inlet: Inlet<T>,
        out: Filler<Vec<T>>,
        max: usize,
        age: Duration,
        weigh: F,
    ) -> Self {
        Batch {
            inlet,
            out,
            max,
            age,
            weigh,
            items: Vec::new(),
            weight: 0,
            joined: None,
            due: None,
            closed: false,
            next: None,
            timer: Timer::default(),
        }
    }

    fn take(&mut self, envelope: Envelope<T>, weight: usize) {
        let is_first = self.joined.is_none();
        let fits = weight <= self.max.saturating_sub(self.weight);
        let weighed = Weighed {
            envelope,
            weight,
            due: (is_first || !fits)
                .then(|| due_from_now(self.age))
                .flatten(),
        };
        if is_first || fits {
            self.add(weighed);
        } else {
            self.next = Some(weighed);
            self.closed = true;
        }
    }

    fn add(&mut self, weighed: Weighed<T>) {
        let Weighed {
            envelope: Envelope { item, ticket },
            weight,
            due,
        } = weighed;
        self.items.push(item);
        self.weight = self.weight.saturating_add(weight);
        match &mut self.joined {
            Some(joined) => joined.add(ticket),
            None => {
                self.joined = Some(Joined::from(ticket));
                self.due = due;
            }
        }
        self.closed = self.weight >= self.max;
    }

    /// Gives the batch away, and begins the next one; there must be room.
    fn give(&mut self, bench: &mut Bench) {
        self.closed = false;
        self.due = None;
        self.weight = 0;
        if let Some(joined) = self.joined.take() {
            // the next one is likely to be as long
            let next = Vec::with_capacity(self.items.len());
            let items = mem::replace(&mut self.items, next);
            self.out.push(Envelope::new(items, joined.into_ticket()));
            bench.gave();
        }
        if let Some(weighed) = self.next.take() {
            self.add(weighed);
        }
    }
}

impl<T, F> Operator for Batch<T, F>
where
    T: Send + 'static,
    F: FnMut(&T) -> usize + Send + 'static,
{
    fn poll_work(&mut self, context: &mut Context<'_>, bench: &mut Bench) -> Poll<Step> {
        if self.out.is_unwanted() {
            return Poll::Ready(Step::End);
        }
        loop {
            while self.closed {
                ready!(self.out.poll_room());
                self.give(bench);
            }
            match self.inlet.poll_next(context) {
                Poll::Ready(Some(Envelope { item, ticket })) => {
                    let due = bench.took();
                    match bench.shielded(ticket, || (self.weigh)(&item)) {
                        Some((weight, ticket)) => {
                            self.take(Envelope::new(item, ticket), weight.max(1));
                        }
                        None => shield::discard(item),
                    }
                    if due {
                        // items may come so fast that there is never a wait to look at the clock in
                        self.closed |= self.due.is_some_and(|due| due <= Moment::now());
                        return Poll::Ready(Step::Pause);
                    }
                }
                Poll::Ready(None) if self.joined.is_none() => return Poll::Ready(Step::End),
                Poll::Ready(None) => self.closed = true,
                Poll::Pending if self.joined.is_none() => return Poll::Pending,
                Poll::Pending if self.age == Duration::ZERO => self.closed = true,
                Poll::Pending => match self.due {
                    Some(due) => {
                        ready!(self.timer.poll_until(due, context));
                        self.closed = true;
                    }
                    None => return Poll::Pending,
                },
            }
        }
    }

    fn waits_inside(&self) -> bool {
        // one that is closed waits for room, and for no time
        self.due.is_none() || self.closed
    }

    fn flush(&mut self) -> bool {
        self.out.flush()
    }

    fn end(&mut self) {
        self.out.end();
    }

    fn cancel(&mut self, ledger: &Ledger) {
        if let Some(joined) = self.joined.take() {
            ledger.settle(joined.into_ticket(), Fate::Cancelled);
        }
        if let Some(weighed) = self.next.take() {
            ledger.cancel(weighed.envelope);
        }
        self.items.drain(..).for_each(shield::discard);
    }
}
