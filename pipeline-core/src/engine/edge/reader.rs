//! The consumer's side of an edge that ends in the hands of one reader: a sink, or a stream.

use std::{
    collections::VecDeque,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use super::{Action, Edge, State};
use crate::engine::{
    envelope::Envelope,
    hub::Hub,
    joint::{Joint, is_large},
    seat::Seat,
    stall::Brim,
    stubs::Stubs,
};

/// The reader's waker while it waits.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    waker: Option<Waker>,
    /// If it matters that it is roused.
    seat: Option<Arc<Seat>>,
}

impl Waiting {
    pub(super) fn take(&mut self) -> Option<Sleeper> {
        let waker = self.waker.take()?;
        let seat = self.seat.clone();
        Some(Sleeper { waker, seat })
    }
}

/// A reader that waits, to be woken outside of the lock.
pub(super) struct Sleeper {
    waker: Waker,
    seat: Option<Arc<Seat>>,
}

impl Sleeper {
    pub(super) fn wake(self) {
        if let Some(seat) = self.seat {
            seat.rouse();
        }
        self.waker.wake();
    }
}

/// The right to read an edge. There is one.
#[derive(Debug)]
pub(crate) struct Reader<T>(Joint<T>);

/// What a look at the edge brought.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    Items,
    End,
}

impl<T: Send + 'static> Reader<T> {
    /// For the task of a seat.
    pub(crate) fn new(edge: Joint<T>, seat: &Arc<Seat>) -> Self {
        if seat.is_watched() {
            match &edge {
                Joint::Plain(edge) => edge.state.lock().reader.seat = Some(Arc::clone(seat)),
                Joint::Boxed(edge) => edge.state.lock().reader.seat = Some(Arc::clone(seat)),
            }
        }
        Reader(edge)
    }

    /// The edge, as one that may be full.
    pub(in crate::engine) fn brim(&self) -> Arc<dyn Brim> {
        match &self.0 {
            Joint::Plain(edge) => edge.clone(),
            Joint::Boxed(edge) => edge.clone(),
        }
    }

    /// Takes up to `most` items as soon as there is one; `last_first` for ends that pop them.
    pub(in crate::engine) fn poll_take(
        &self,
        context: &Context<'_>,
        most: usize,
        last_first: bool,
        items: &mut Vec<T>,
        stubs: &mut Stubs,
    ) -> Poll<Taken> {
        self.poll_each(context, most, last_first, |Envelope { item, ticket }| {
            stubs.push(ticket);
            items.push(item);
        })
    }

    /// The same, in their envelopes.
    pub(in crate::engine) fn poll_envelopes(
        &self,
        context: &Context<'_>,
        most: usize,
        envelopes: &mut VecDeque<Envelope<T>>,
    ) -> Poll<Taken> {
        self.poll_each(context, most, false, |envelope| {
            envelopes.push_back(envelope)
        })
    }

    fn poll_each(
        &self,
        context: &Context<'_>,
        most: usize,
        last_first: bool,
        mut take: impl FnMut(Envelope<T>),
    ) -> Poll<Taken> {
        match &self.0 {
            // one of the two is never taken, nor compiled: so `take` is called in one place, and inlined
            Joint::Plain(edge) if const { !is_large::<T>() } => {
                edge.poll_take(context, most, last_first, take)
            }
            Joint::Plain(_) => Poll::Pending,
            Joint::Boxed(_) if const { !is_large::<T>() } => Poll::Pending,
            Joint::Boxed(edge) => {
                let mut boxes = Vec::new();
                let taken =
                    edge.poll_take(context, most, last_first, |envelope| boxes.push(envelope));
                // unpacked outside of the lock
                for Envelope { item, ticket } in boxes {
                    take(Envelope::new(*item, ticket));
                }
                taken
            }
        }
    }

    /// Takes nothing more, though more may come: those before it end.
    pub(in crate::engine) fn unwant(&self) {
        match &self.0 {
            Joint::Plain(edge) => edge.unwant(),
            Joint::Boxed(edge) => edge.unwant(),
        }
    }

    pub(in crate::engine) fn hub(&self) -> &Arc<Hub> {
        match &self.0 {
            Joint::Plain(edge) => edge.hub(),
            Joint::Boxed(edge) => edge.hub(),
        }
    }
}

impl<T: Send + 'static> Edge<T> {
    /// Takes up to `most` items as soon as there is one; `last_first` for ends that pop them. `take` is
    /// called under the lock.
    fn poll_take(
        &self,
        context: &Context<'_>,
        most: usize,
        last_first: bool,
        mut take: impl FnMut(Envelope<T>),
    ) -> Poll<Taken> {
        let edge = self;
        let mut waker: Option<Waker> = None;
        loop {
            let mut state = edge.state.lock();
            while state.ring.ready() > 0 {
                let mut only_gaps = true;
                let take = |envelope: Envelope<T>| {
                    only_gaps = false;
                    take(envelope);
                };
                if last_first {
                    state.ring.take_backwards(most, take);
                } else {
                    state.ring.take(most, take);
                }
                let upstream = state.took(edge);
                if only_gaps && upstream.is_none() {
                    continue;
                }
                drop(state);
                if let Some(upstream) = upstream {
                    upstream.resume();
                }
                if !only_gaps {
                    return Poll::Ready(Taken::Items);
                }
                state = edge.state.lock();
            }
            if state.end == Some(state.ring.head()) {
                return Poll::Ready(Taken::End);
            }
            if state
                .reader
                .waker
                .as_ref()
                .is_some_and(|old| old.will_wake(context.waker()))
            {
                return Poll::Pending;
            }
            // the waker may be the user's: cloned and dropped outside of the lock
            if let Some(waker) = waker.take() {
                let old = state.reader.waker.replace(waker);
                drop(state);
                drop(old);
                return Poll::Pending;
            }
            drop(state);
            waker = Some(context.waker().clone());
        }
    }
}

impl<T> State<T> {
    pub(super) fn serve_reader(&mut self) -> Action<T> {
        self.reader.take().map_or(Action::Nothing, Action::Read)
    }
}
