//! Several inputs to one output, as items come.

use std::task::{Context, Poll, ready};

use crate::engine::{
    filler::Filler,
    inlet::Inlet,
    ledger::Ledger,
    limits::LOT,
    operator::{Bench, Operator, Step},
};

/// Takes from one input after another, up to a lot from each in its turn.
pub(crate) struct Merge<T: Send + 'static> {
    /// Those that have not ended.
    inlets: Vec<Inlet<T>>,
    out: Filler<T>,
    /// Whose turn it is, and how many more items of it.
    turn: usize,
    left: usize,
}

impl<T: Send + 'static> Merge<T> {
    pub(crate) fn new(inlets: Vec<Inlet<T>>, out: Filler<T>) -> Self {
        Merge {
            inlets,
            out,
            turn: 0,
            left: LOT,
        }
    }

    fn next_turn(&mut self) {
        self.turn += 1;
        self.left = LOT;
    }
}

impl<T: Send + 'static> Operator for Merge<T> {
    fn poll_work(&mut self, context: &mut Context<'_>, bench: &mut Bench) -> Poll<Step> {
        // inputs in a row that had nothing
        let mut empty = 0;
        loop {
            ready!(self.out.poll_room());
            if self.turn >= self.inlets.len() {
                self.turn = 0;
            }
            let Some(inlet) = self.inlets.get_mut(self.turn) else {
                return Poll::Ready(Step::End);
            };
            match inlet.poll_next(context) {
                Poll::Ready(Some(envelope)) => {
                    empty = 0;
                    self.out.push(envelope);
                    bench.gave();
                    self.left -= 1;
                    if self.left == 0 {
                        self.next_turn();
                    }
                    if bench.took() {
                        return Poll::Ready(Step::Pause);
                    }
                }
                Poll::Ready(None) => {
                    self.inlets.remove(self.turn);
                    self.left = LOT;
                }
                Poll::Pending => {
                    empty += 1;
                    if empty >= self.inlets.len() {
                        return Poll::Pending;
                    }
                    self.next_turn();
                }
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
