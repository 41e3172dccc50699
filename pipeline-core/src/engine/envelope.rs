//! An item with what the library carries beside it.

use super::ticket::Ticket;

/// What flows through edges. One struct with one constructor, so that a field is added in one place.
#[derive(Debug)]
pub(super) struct Envelope<T> {
    pub(super) item: T,
    pub(super) ticket: Ticket,
}

impl<T> Envelope<T> {
    pub(super) fn new(item: T, ticket: Ticket) -> Self {
        Envelope { item, ticket }
    }
}

/// A place in a ring.
#[derive(Debug)]
pub(super) enum Slot<T> {
    /// Still in work.
    Empty,
    /// A sequence number without a value: failed, filtered or cancelled.
    Gap,
    /// Finished, and waiting for its turn.
    Done(Envelope<T>),
}

impl<T> Slot<T> {
    #[inline]
    pub(super) fn done(self) -> Option<Envelope<T>> {
        match self {
            Slot::Done(envelope) => Some(envelope),
            Slot::Gap | Slot::Empty => None,
        }
    }
}
