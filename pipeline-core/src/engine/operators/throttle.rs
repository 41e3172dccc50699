//! At most so many items in so much time.

use std::{
    task::{Context, Poll, ready},
    time::Duration,
};

use crate::{
    config::{Rate, Schedule},
    engine::{
        filler::Filler,
        inlet::Inlet,
        ledger::Ledger,
        limits::LATE,
        operator::{Bench, Operator, Step},
    },
    rt::{Moment, Timer},
};

/// Lets items go one after another, each when the schedule says so.
pub(crate) struct Throttle<T: Send + 'static> {
    inlet: Inlet<T>,
    out: Filler<T>,
    schedule: Schedule,
    /// When the first item came; the schedule counts from there.
    start: Option<Moment>,
    /// Ever since an item had to wait for its time another one was there.
    behind: bool,
    timer: Timer,
    /// It waits for room or items, and for no time.
    inside: bool,
}

impl<T: Send + 'static> Throttle<T> {
    pub(crate) fn new(inlet: Inlet<T>, out: Filler<T>, rate: Rate) -> Self {
        Throttle {
            inlet,
            out,
            schedule: Schedule::new(rate),
            start: None,
            behind: false,
            timer: Timer::default(),
            inside: false,
        }
    }

    /// Waits until the next item may go.
    fn poll_due(&mut self, context: &mut Context<'_>) -> Poll<Duration> {
        let start = *self.start.get_or_insert_with(Moment::now);
        let now = Moment::now().since(start);
        let Some(due) = self.schedule.next() else {
            return Poll::Pending;
        };
        if due <= now {
            return Poll::Ready(now);
        }
        self.behind = true;
        // too far away to be told is never
        let Some(moment) = start.after(due) else {
            return Poll::Pending;
        };
        ready!(self.timer.poll_until(moment, context));
        Poll::Ready(Moment::now().since(start).max(due))
    }
}

impl<T: Send + 'static> Operator for Throttle<T> {
    fn poll_work(&mut self, context: &mut Context<'_>, bench: &mut Bench) -> Poll<Step> {
        if self.out.is_unwanted() {
            return Poll::Ready(Step::End);
        }
        loop {
            self.inside = true;
            // room first: what waits for it has not gone
            ready!(self.out.poll_room());
            match self.inlet.poll_peek(context) {
                Poll::Ready(Some(_)) => {}
                Poll::Ready(None) => return Poll::Ready(Step::End),
                Poll::Pending => {
                    self.behind = false;
                    return Poll::Pending;
                }
            }
            self.inside = false;
            let now = ready!(self.poll_due(context));
            if let Poll::Ready(Some(envelope)) = self.inlet.poll_next(context) {
                let late = if self.behind { LATE } else { Duration::ZERO };
                self.schedule.go(now, late);
                self.out.push(envelope);
                bench.gave();
                if bench.took() {
                    return Poll::Ready(Step::Pause);
                }
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

    fn cancel(&mut self, _: &Ledger) {}
}
