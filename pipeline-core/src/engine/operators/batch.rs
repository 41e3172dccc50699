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

/// Gathers up to `max` items, for no longer than `age` after the first of them.
pub(crate) struct Batch<T: Send + 'static> {
    inlet: Inlet<T>,
    out: Filler<Vec<T>>,
    max: usize,
    age: Duration,
    items: Vec<T>,
    /// Of the items, if there are any.
    joined: Option<Joined>,
    /// When they have to leave; never, if there is nothing.
    due: Option<Moment>,
    /// The batch leaves as it is as soon as there is room.
    closed: bool,
    timer: Timer,
}

impl<T: Send + 'static> Batch<T> {
    pub(crate) fn new(inlet: Inlet<T>, out: Filler<Vec<T>>, max: usize, age: Duration) -> Self {
        Batch {
            inlet,
            out,
            max,
            age,
            items: Vec::new(),
            joined: None,
            due: None,
            closed: false,
            timer: Timer::default(),
        }
    }

    /// Whether the age is one that a timer has to be asked for.
    pub(crate) fn is_timed(age: Duration) -> bool {
        age != Duration::ZERO && age != Duration::MAX
    }

    fn take(&mut self, Envelope { item, ticket }: Envelope<T>) {
        self.items.push(item);
        match &mut self.joined {
            Some(joined) => joined.add(ticket),
            None => {
                self.joined = Some(Joined::from(ticket));
                if Self::is_timed(self.age) {
                    self.due = Moment::now().after(self.age);
                }
            }
        }
        self.closed = self.items.len() >= self.max;
    }

    /// Gives the batch away; there must be room.
    fn give(&mut self, bench: &mut Bench) {
        self.closed = false;
        self.due = None;
        if let Some(joined) = self.joined.take() {
            // the next one is likely to be as long
            let next = Vec::with_capacity(self.items.len());
            let items = mem::replace(&mut self.items, next);
            self.out.push(Envelope::new(items, joined.into_ticket()));
            bench.gave();
        }
    }
}

impl<T: Send + 'static> Operator for Batch<T> {
    fn poll_work(&mut self, context: &mut Context<'_>, bench: &mut Bench) -> Poll<Step> {
        loop {
            if self.closed {
                ready!(self.out.poll_room());
                self.give(bench);
            }
            match self.inlet.poll_next(context) {
                Poll::Ready(Some(envelope)) => {
                    self.take(envelope);
                    if bench.took() {
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

    fn flush(&mut self) {
        self.out.flush();
    }

    fn end(&mut self) {
        self.out.end();
    }

    fn cancel(&mut self, ledger: &Ledger) {
        if let Some(joined) = self.joined.take() {
            ledger.settle(joined.into_ticket(), Fate::Cancelled);
        }
        self.items.drain(..).for_each(shield::discard);
    }
}
