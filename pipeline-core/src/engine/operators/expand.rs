//! Each item to what is in it, or is made of it: none, one or many.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use futures_core::Stream;

use crate::engine::{
    envelope::Envelope,
    filler::Filler,
    inlet::Inlet,
    ledger::{Fate, Ledger},
    operator::{Bench, Operator, Step},
    shield,
    ticket::Ticket,
};

/// How what was made of an item is taken apart. All of it is code of the user's.
pub(crate) trait Parts: Send + 'static {
    type Whole;
    type Part: Send + 'static;

    fn begin(&mut self, whole: Self::Whole);
    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Self::Part>>;
    /// Drops what is left.
    fn clear(&mut self);
}

/// Of an iterator.
pub(crate) struct Iterated<I>(Option<I>);

impl<I> Default for Iterated<I> {
    fn default() -> Self {
        Iterated(None)
    }
}

impl<I> Parts for Iterated<I>
where
    I: Iterator<Item: Send + 'static> + Send + 'static,
{
    type Whole = I;
    type Part = I::Item;

    fn begin(&mut self, whole: I) {
        self.0 = Some(whole);
    }

    #[inline]
    fn poll_next(&mut self, _: &mut Context<'_>) -> Poll<Option<I::Item>> {
        Poll::Ready(self.0.as_mut().and_then(Iterator::next))
    }

    fn clear(&mut self) {
        self.0 = None;
    }
}

/// Of a stream, which need not be `Unpin`: all of them have their turn in one box.
pub(crate) struct Streamed<S>(Pin<Box<Option<S>>>);

impl<S> Default for Streamed<S> {
    fn default() -> Self {
        Streamed(Box::pin(None))
    }
}

impl<S> Parts for Streamed<S>
where
    S: Stream<Item: Send + 'static> + Send + 'static,
{
    type Whole = S;
    type Part = S::Item;

    fn begin(&mut self, whole: S) {
        self.0.set(Some(whole));
    }

    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<S::Item>> {
        match self.0.as_mut().as_pin_mut() {
            Some(stream) => stream.poll_next(context),
            None => Poll::Ready(None),
        }
    }

    fn clear(&mut self) {
        self.0.set(None);
    }
}

/// Expands one item after another. Each part shares the ticket of its item.
pub(crate) struct Expand<T: Send + 'static, F, P: Parts> {
    inlet: Inlet<T>,
    out: Filler<P::Part>,
    expand: F,
    parts: P,
    /// The item that is being taken apart.
    open: Option<Open>,
    /// It waits for room or items, and not for a stream of the user's.
    inside: bool,
}

struct Open {
    ticket: Ticket,
    /// Parts of it have been given.
    given: bool,
}

impl<T, F, P> Expand<T, F, P>
where
    T: Send + 'static,
    P: Parts + Default,
{
    pub(crate) fn new(inlet: Inlet<T>, out: Filler<P::Part>, expand: F) -> Self {
        Expand {
            inlet,
            out,
            expand,
            parts: P::default(),
            open: None,
            inside: false,
        }
    }
}

/// What came of asking for the next part.
enum Asked {
    Given,
    /// The item is over.
    Over,
    Wait,
}

impl<T: Send + 'static, F, P: Parts> Expand<T, F, P> {
    /// Asks an item for its next part, if there is room for that.
    fn ask(&mut self, open: Open, context: &mut Context<'_>, bench: &mut Bench) -> Asked {
        if self.out.poll_room().is_pending() {
            self.open = Some(open);
            self.inside = true;
            return Asked::Wait;
        }
        let Open { ticket, given } = open;
        let Some((asked, ticket)) = bench.shielded(ticket, || self.parts.poll_next(context)) else {
            self.clear();
            return Asked::Over;
        };
        match asked {
            Poll::Pending => {
                self.open = Some(Open { ticket, given });
                self.inside = false;
                Asked::Wait
            }
            Poll::Ready(Some(part)) => {
                let (ticket, rest) = ticket.share();
                self.out.push(Envelope::new(part, ticket));
                bench.gave();
                self.open = Some(Open {
                    ticket: rest,
                    given: true,
                });
                Asked::Given
            }
            Poll::Ready(None) => {
                self.clear();
                if given {
                    // its parts decide
                    bench.ledger().settle(ticket, Fate::Filtered);
                } else {
                    bench.filtered(ticket);
                }
                Asked::Over
            }
        }
    }

    fn clear(&mut self) {
        // destructors of the user's
        if let Err(payload) = shield::call(|| self.parts.clear()) {
            shield::panic_error(payload);
        }
    }
}

impl<T, F, P> Operator for Expand<T, F, P>
where
    T: Send + 'static,
    P: Parts,
    F: FnMut(T) -> P::Whole + Send + 'static,
{
    fn poll_work(&mut self, context: &mut Context<'_>, bench: &mut Bench) -> Poll<Step> {
        if self.out.is_unwanted() {
            return Poll::Ready(Step::End);
        }
        loop {
            while let Some(open) = self.open.take() {
                match self.ask(open, context, bench) {
                    Asked::Given if bench.is_due() => return Poll::Ready(Step::Pause),
                    Asked::Given | Asked::Over => {}
                    Asked::Wait => return Poll::Pending,
                }
            }
            match self.inlet.poll_next(context) {
                Poll::Ready(Some(Envelope { item, ticket })) => {
                    let due = bench.took();
                    if let Some((whole, ticket)) = bench.shielded(ticket, || (self.expand)(item)) {
                        self.parts.begin(whole);
                        self.open = Some(Open {
                            ticket,
                            given: false,
                        });
                    }
                    if due {
                        return Poll::Ready(Step::Pause);
                    }
                }
                Poll::Ready(None) => return Poll::Ready(Step::End),
                Poll::Pending => {
                    self.inside = true;
                    return Poll::Pending;
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

    fn cancel(&mut self, ledger: &Ledger) {
        if let Some(open) = self.open.take() {
            ledger.settle(open.ticket, Fate::Cancelled);
        }
        self.clear();
    }
}
