//! Each item to one of several branches.

use std::task::{Context, Poll};

use crate::{
    engine::{
        envelope::Envelope,
        filler::{Filler, flush_all},
        inlet::Inlet,
        ledger::Ledger,
        operator::{Bench, Operator, Step},
        shield,
    },
    error::{BoxError, ErrorKind},
};

/// Gives each item to the branch that `pick` names. An item for a branch that is full waits, and
/// those behind it with it.
pub(crate) struct Split<T: Send + 'static, F> {
    inlet: Inlet<T>,
    branches: Vec<Filler<T>>,
    pick: F,
    /// Waits for room in its branch.
    waiting: Option<(usize, Envelope<T>)>,
}

impl<T: Send + 'static, F> Split<T, F> {
    pub(crate) fn new(inlet: Inlet<T>, branches: Vec<Filler<T>>, pick: F) -> Self {
        Split {
            inlet,
            branches,
            pick,
            waiting: None,
        }
    }
}

impl<T, F> Operator for Split<T, F>
where
    T: Send + 'static,
    F: Fn(&T) -> usize + Send + 'static,
{
    fn poll_work(&mut self, context: &mut Context<'_>, bench: &mut Bench) -> Poll<Step> {
        loop {
            if let Some((branch, envelope)) = self.waiting.take() {
                let out = &mut self.branches[branch];
                if out.poll_room().is_pending() {
                    self.waiting = Some((branch, envelope));
                    return Poll::Pending;
                }
                out.push(envelope);
                bench.gave();
            }
            match self.inlet.poll_next(context) {
                Poll::Ready(Some(Envelope { item, ticket })) => {
                    let due = bench.took();
                    match bench.shielded(ticket, || (self.pick)(&item)) {
                        Some((branch, ticket)) if branch < self.branches.len() => {
                            self.waiting = Some((branch, Envelope::new(item, ticket)));
                        }
                        Some((branch, ticket)) => {
                            let error = format!(
                                "there is no branch {branch}: there are {}, counted from 0",
                                self.branches.len()
                            );
                            bench.failed(ticket, ErrorKind::Failed, BoxError::from(error));
                            shield::discard(item);
                        }
                        None => shield::discard(item),
                    }
                    if due {
                        return Poll::Ready(Step::Pause);
                    }
                }
                Poll::Ready(None) => return Poll::Ready(Step::End),
                Poll::Pending => return Poll::Pending,
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

    fn cancel(&mut self, ledger: &Ledger) {
        if let Some((_, envelope)) = self.waiting.take() {
            ledger.cancel(envelope);
        }
    }
}
