//! Takes the items of an edge for an operator: many at a time, and gives them one after another.

use std::{
    collections::VecDeque,
    mem,
    sync::Arc,
    task::{Context, Poll},
};

use super::{
    edge::{Reader, Taken},
    envelope::Envelope,
    hub::Hub,
    joint::Joint,
    limits::LOT,
    seat::Seat,
    stall::Brim,
};

/// Dropped before the end has come, it makes those before it end: see [`Reader::unwant`].
#[derive(Debug)]
pub(crate) struct Inlet<T: Send + 'static> {
    reader: Reader<T>,
    /// Taken at once, and given one by one.
    lot: VecDeque<Envelope<T>>,
    ended: bool,
}

impl<T: Send + 'static> Inlet<T> {
    /// For a task, which is woken when there is something to take.
    pub(crate) fn new(edge: Joint<T>, seat: &Arc<Seat>) -> Self {
        Inlet {
            reader: Reader::new(edge, seat),
            lot: VecDeque::new(),
            ended: false,
        }
    }

    pub(super) fn hub(&self) -> &Arc<Hub> {
        self.reader.hub()
    }

    /// The edge, as one that may be full.
    pub(crate) fn brim(&self) -> Arc<dyn Brim> {
        self.reader.brim()
    }

    /// The next item; none when nothing more comes.
    #[inline]
    pub(super) fn poll_next(&mut self, context: &Context<'_>) -> Poll<Option<Envelope<T>>> {
        match self.lot.pop_front() {
            Some(envelope) => Poll::Ready(Some(envelope)),
            None => self.poll_lot(context),
        }
    }

    /// Takes some items from the edge past this inlet, and puts them behind what is in `lot`. For an inlet
    /// that is asked for nothing else.
    pub(super) fn poll_past(
        &mut self,
        context: &Context<'_>,
        lot: &mut VecDeque<Envelope<T>>,
    ) -> Poll<Taken> {
        if self.ended {
            return Poll::Ready(Taken::End);
        }
        let polled = self.reader.poll_envelopes(context, LOT, lot);
        self.ended = matches!(polled, Poll::Ready(Taken::End));
        polled
    }

    /// The next item, left where it is.
    pub(super) fn poll_peek(&mut self, context: &Context<'_>) -> Poll<Option<&T>> {
        if self.lot.is_empty() {
            match self.poll_lot(context) {
                Poll::Ready(Some(envelope)) => self.lot.push_front(envelope),
                Poll::Ready(None) => return Poll::Ready(None),
                Poll::Pending => return Poll::Pending,
            }
        }
        Poll::Ready(self.lot.front().map(|envelope| &envelope.item))
    }

    fn poll_lot(&mut self, context: &Context<'_>) -> Poll<Option<Envelope<T>>> {
        let mut lot = mem::take(&mut self.lot);
        let polled = self.poll_past(context, &mut lot);
        self.lot = lot;
        // none at the end: the lot was empty
        polled.map(|_| self.lot.pop_front())
    }
}

impl<T: Send + 'static> Drop for Inlet<T> {
    fn drop(&mut self) {
        let hub = self.reader.hub();
        let lot = self.lot.drain(..);
        lot.for_each(|envelope| hub.ledger().cancel(envelope));
        if !self.ended && !hub.stopped() {
            self.reader.unwant();
        }
    }
}
