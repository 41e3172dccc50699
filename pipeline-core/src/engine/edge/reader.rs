//! The consumer's side of an edge that ends in the hands of one reader: a sink, or a stream.

use std::task::{Context, Poll, Waker};

use super::{Action, Edge, State};
use crate::engine::{envelope::Envelope, joint::Joint, weights::Weights};

/// The reader's waker while it waits.
#[derive(Debug, Default)]
pub(super) struct Waiting(Option<Waker>);

impl Waiting {
    pub(super) fn take(&mut self) -> Option<Waker> {
        self.0.take()
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
    pub(crate) fn new(edge: Joint<T>) -> Self {
        Reader(edge)
    }

    /// Takes up to `most` items as soon as there is one; `last_first` for ends that pop them.
    pub(in crate::engine) fn poll_take(
        &self,
        context: &Context<'_>,
        most: usize,
        last_first: bool,
        items: &mut Vec<T>,
        weights: &mut Weights,
    ) -> Poll<Taken> {
        match &self.0 {
            Joint::Plain(edge) => edge.poll_take(context, most, last_first, items, weights),
            Joint::Boxed(edge) => {
                let mut boxes = Vec::new();
                let taken = edge.poll_take(context, most, last_first, &mut boxes, weights);
                items.extend(boxes.into_iter().map(|item| *item));
                taken
            }
        }
    }
}

impl<T: Send + 'static> Edge<T> {
    /// Takes up to `most` items as soon as there is one; `last_first` for ends that pop them.
    fn poll_take(
        &self,
        context: &Context<'_>,
        most: usize,
        last_first: bool,
        items: &mut Vec<T>,
        weights: &mut Weights,
    ) -> Poll<Taken> {
        let edge = self;
        let mut waker: Option<Waker> = None;
        loop {
            let mut state = edge.state.lock();
            while state.ring.ready() > 0 {
                let before = items.len();
                let mut take = |envelope: Envelope<T>| {
                    weights.push(&envelope.origin);
                    items.push(envelope.item);
                };
                if last_first {
                    state.ring.take_backwards(most, &mut take);
                } else {
                    state.ring.take(most, &mut take);
                }
                let upstream = state.took(edge);
                let only_gaps = items.len() == before;
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
                .0
                .as_ref()
                .is_some_and(|old| old.will_wake(context.waker()))
            {
                return Poll::Pending;
            }
            // the waker may be the user's: cloned and dropped outside of the lock
            if let Some(waker) = waker.take() {
                let old = state.reader.0.replace(waker);
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
