//! Each item to every branch.

use std::task::{Context, Poll, ready};

use crate::engine::{
    envelope::Envelope,
    filler::{Filler, flush_all},
    inlet::Inlet,
    ledger::Ledger,
    operator::{Bench, Operator, Step},
    shield,
};

/// Gives each item to all branches that take something, once all of them have room. The last one of
/// them gets the item itself, the others copies.
pub(crate) struct Broadcast<T: Send + 'static> {
    inlet: Inlet<T>,
    branches: Vec<Filler<T>>,
    /// Of one item, and the branches that get them. Kept for the sake of their allocations.
    copies: Vec<T>,
    to: Vec<usize>,
}

impl<T: Clone + Send + 'static> Broadcast<T> {
    pub(crate) fn new(inlet: Inlet<T>, branches: Vec<Filler<T>>) -> Self {
        Broadcast {
            inlet,
            branches,
            copies: Vec::new(),
            to: Vec::new(),
        }
    }

    fn give(&mut self, Envelope { item, ticket }: Envelope<T>, bench: &mut Bench) {
        self.to.clear();
        let branches = self.branches.iter().enumerate();
        let wanted = branches.filter(|(_, branch)| !branch.is_unwanted());
        self.to.extend(wanted.map(|(branch, _)| branch));
        let Some(last) = self.to.pop() else {
            return bench.cancelled(Envelope::new(item, ticket));
        };
        // all copies are made before any is given away, so that an item fails as a whole
        let (copies, others) = (&mut self.copies, self.to.len());
        let copied = bench.shielded(ticket, || {
            copies.extend((0..others).map(|_| item.clone()));
        });
        let Some(((), mut ticket)) = copied else {
            self.copies.drain(..).for_each(shield::discard);
            return shield::discard(item);
        };
        for (branch, copy) in self.to.iter().zip(self.copies.drain(..)) {
            let (part, rest) = ticket.share();
            ticket = rest;
            self.branches[*branch].push(Envelope::new(copy, part));
            bench.gave();
        }
        self.branches[last].push(Envelope::new(item, ticket));
        bench.gave();
    }
}

impl<T: Clone + Send + 'static> Operator for Broadcast<T> {
    fn poll_work(&mut self, context: &mut Context<'_>, bench: &mut Bench) -> Poll<Step> {
        loop {
            for branch in &mut self.branches {
                ready!(branch.poll_room());
            }
            match ready!(self.inlet.poll_next(context)) {
                Some(envelope) => {
                    self.give(envelope, bench);
                    if bench.took() {
                        return Poll::Ready(Step::Pause);
                    }
                }
                None => return Poll::Ready(Step::End),
            }
        }
    }

    fn waits_inside(&self) -> bool {
        true
    }

    fn flush(&mut self) -> bool {
        flush_all(&mut self.branches)
    }

    fn end(&mut self) {
        self.branches.iter_mut().for_each(Filler::end);
    }

    fn cancel(&mut self, _: &Ledger) {}
}
