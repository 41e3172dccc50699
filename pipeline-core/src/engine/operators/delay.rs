//! Items that wait for their time.

use std::{
    collections::VecDeque,
    task::{Context, Poll, ready},
    time::Duration,
};

use super::agenda::{Agenda, Queue};
use crate::{
    engine::{
        envelope::Envelope,
        filler::Filler,
        inlet::Inlet,
        ledger::Ledger,
        operator::{Bench, Operator, Step},
        shield,
    },
    rt::{Moment, Timer},
};

/// Each item leaves so long after it came.
pub(crate) fn delay<T: Send + 'static>(
    inlet: Inlet<T>,
    out: Filler<T>,
    capacity: usize,
    delay: Duration,
) -> impl Operator {
    let due = move |_: &T| Moment::now().after(delay);
    Delay::<T, VecDeque<_>, _>::new(inlet, out, capacity, due)
}

/// Each item leaves when it is due.
pub(crate) fn delay_until<T: Send + 'static>(
    inlet: Inlet<T>,
    out: Filler<T>,
    capacity: usize,
    due: impl Fn(&T) -> Moment + Send + 'static,
) -> impl Operator {
    Delay::<T, Agenda<_>, _>::new(inlet, out, capacity, due)
}

/// Keeps up to `capacity` items, each until it is due. There is one timer, which is set for the next one.
struct Delay<T: Send + 'static, Q, F> {
    inlet: Inlet<T>,
    out: Filler<T>,
    due: F,
    capacity: usize,
    queue: Q,
    /// Nothing more comes.
    ended: bool,
    timer: Timer,
    /// It waits for room or items, and for no time.
    inside: bool,
}

impl<T, Q, F> Delay<T, Q, F>
where
    T: Send + 'static,
    Q: Queue<T>,
    F: Fn(&T) -> Q::Due,
{
    fn new(inlet: Inlet<T>, out: Filler<T>, capacity: usize, due: F) -> Self {
        Delay {
            inlet,
            out,
            due,
            capacity,
            queue: Q::default(),
            ended: false,
            timer: Timer::default(),
            inside: false,
        }
    }

    /// Hands on what is due. Pending if there is no room for it.
    fn give(&mut self, now: Moment, bench: &mut Bench) -> Poll<Went> {
        while self.queue.next_due().is_some_and(|due| due <= now) {
            let room = ready!(self.out.poll_room());
            for _ in 0..room {
                let Some(envelope) = self.queue.take_due(now) else {
                    break;
                };
                self.out.push(envelope);
                bench.gave();
                if bench.is_due() {
                    return Poll::Ready(Went::Long);
                }
            }
        }
        Poll::Ready(Went::Through)
    }

    /// Takes in what comes, as long as there is a place for it.
    fn take(&mut self, context: &Context<'_>, bench: &mut Bench) -> Went {
        while !self.ended && self.queue.len() < self.capacity {
            match self.inlet.poll_next(context) {
                Poll::Ready(Some(Envelope { item, ticket })) => {
                    let long = bench.took();
                    match bench.shielded(ticket, || (self.due)(&item)) {
                        Some((due, ticket)) => self.queue.put(due, Envelope::new(item, ticket)),
                        None => shield::discard(item),
                    }
                    if long {
                        return Went::Long;
                    }
                }
                Poll::Ready(None) => self.ended = true,
                Poll::Pending => break,
            }
        }
        Went::Through
    }
}

/// How far a piece of work went.
enum Went {
    /// There is nothing more to be done.
    Through,
    /// It is time to come back.
    Long,
}

impl<T, Q, F> Operator for Delay<T, Q, F>
where
    T: Send + 'static,
    Q: Queue<T>,
    F: Fn(&T) -> Q::Due + Send + 'static,
{
    fn poll_work(&mut self, context: &mut Context<'_>, bench: &mut Bench) -> Poll<Step> {
        loop {
            if self.out.is_unwanted() {
                return Poll::Ready(Step::End);
            }
            let given = self.give(Moment::now(), bench);
            if matches!(given, Poll::Ready(Went::Long)) {
                return Poll::Ready(Step::Pause);
            }
            if matches!(self.take(context, bench), Went::Long) {
                return Poll::Ready(Step::Pause);
            }
            if self.ended && self.queue.len() == 0 {
                return Poll::Ready(Step::End);
            }
            // what never leaves waits for whoever ends the run
            self.inside = given.is_pending() || self.queue.len() == 0;
            if given.is_pending() {
                return Poll::Pending;
            }
            let Some(due) = self.queue.next_due() else {
                return Poll::Pending;
            };
            // a timer is not asked for what came too late for it
            if due > Moment::now() {
                ready!(self.timer.poll_until(due, context));
            }
        }
    }

    fn waits_inside(&self) -> bool {
        self.inside
    }

    fn flush(&mut self) -> bool {
        self.out.flush()
    }

    fn end(&mut self) {
        self.out.end();
    }

    fn cancel(&mut self, ledger: &Ledger) {
        let left = self.queue.take_all();
        left.for_each(|envelope| ledger.cancel(envelope));
    }
}
