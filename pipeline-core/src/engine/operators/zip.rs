//! Pairs of two inputs.

use std::{
    sync::Arc,
    task::{Context, Poll, ready},
};

use crate::engine::{
    envelope::Envelope,
    filler::Filler,
    inlet::Inlet,
    ledger::Ledger,
    operator::{Bench, Operator, Step},
    stall::Join,
};

/// Takes one item of each input when both have one.
pub(crate) struct Zip<A: Send + 'static, B: Send + 'static> {
    first: Inlet<A>,
    second: Inlet<B>,
    out: Filler<(A, B)>,
    join: Arc<Join>,
}

impl<A: Send + 'static, B: Send + 'static> Zip<A, B> {
    pub(crate) fn new(
        first: Inlet<A>,
        second: Inlet<B>,
        out: Filler<(A, B)>,
        join: Arc<Join>,
    ) -> Self {
        Zip {
            first,
            second,
            out,
            join,
        }
    }
}

impl<A: Send + 'static, B: Send + 'static> Operator for Zip<A, B> {
    fn poll_work(&mut self, context: &mut Context<'_>, bench: &mut Bench) -> Poll<Step> {
        loop {
            // both are asked, as either may have come to its end
            let first = self.first.poll_peek(context).map(|item| item.is_some());
            let second = self.second.poll_peek(context).map(|item| item.is_some());
            match (first, second) {
                (Poll::Ready(false), _) | (_, Poll::Ready(false)) => return Poll::Ready(Step::End),
                (Poll::Pending, _) => {
                    self.join.waits_for(0);
                    return Poll::Pending;
                }
                (_, Poll::Pending) => {
                    self.join.waits_for(1);
                    return Poll::Pending;
                }
                (Poll::Ready(true), Poll::Ready(true)) => {}
            }
            ready!(self.out.poll_room());
            let (Poll::Ready(Some(first)), Poll::Ready(Some(second))) = (
                self.first.poll_next(context),
                self.second.poll_next(context),
            ) else {
                return Poll::Ready(Step::End);
            };
            let ticket = first.ticket.and(second.ticket);
            self.out
                .push(Envelope::new((first.item, second.item), ticket));
            bench.gave();
            let due = bench.took();
            if bench.took() || due {
                return Poll::Ready(Step::Pause);
            }
        }
    }

    fn waits_inside(&self) -> bool {
        true
    }

    fn flush(&mut self) -> bool {
        self.out.flush()
    }

    fn end(&mut self) {
        self.out.end();
    }

    fn cancel(&mut self, _: &Ledger) {}
}
