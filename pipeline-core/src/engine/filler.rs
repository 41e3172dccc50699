//! Fills an edge with items in their order, many at a time: for sources and operators, which give one
//! item after another.

use std::{
    collections::VecDeque,
    mem,
    sync::{Arc, Weak},
    task::Poll,
};

use super::{
    edge::{Edge, Producer},
    envelope::{Envelope, Slot},
    joint::{Joint, is_large},
    seat::Seat,
};

/// The right to fill an edge. There is one. Dropped before [`end`](Self::end), what was not handed on
/// is cancelled.
pub(crate) struct Filler<T: Send + 'static> {
    slots: Slots<T>,
    /// Sequences in the edge.
    pushed: u64,
    /// Slots that were free when that was last asked, those used since among them.
    room: usize,
    /// Somebody was woken since this was last asked.
    woke: bool,
    /// Keeps the link to it from the edge, which is weak.
    asker: Arc<Asker>,
}

/// Given by the owner and not in the edge yet. There is room for them.
enum Slots<T> {
    Plain(Arc<Edge<T>>, VecDeque<Slot<T>>),
    Boxed(Arc<Edge<Box<T>>>, VecDeque<Slot<Box<T>>>),
}

/// The owner's task, to be told that there is room.
struct Asker(Arc<Seat>);

impl Producer for Asker {
    fn resume(self: Arc<Self>) {
        self.0.wake();
    }

    fn unwanted(self: Arc<Self>) {
        self.0.unwanted();
    }
}

impl<T: Send + 'static> Filler<T> {
    /// For a task, which is woken when there is room again.
    pub(crate) fn new(into: Joint<T>, seat: &Arc<Seat>) -> Self {
        seat.fills();
        let asker = Arc::new(Asker(Arc::clone(seat)));
        let upstream: Weak<Asker> = Arc::downgrade(&asker);
        let slots = match into {
            Joint::Plain(edge) => {
                edge.filled_by(upstream);
                Slots::Plain(edge, VecDeque::new())
            }
            Joint::Boxed(edge) => {
                edge.filled_by(upstream);
                Slots::Boxed(edge, VecDeque::new())
            }
        };
        Filler {
            slots,
            pushed: 0,
            room: 0,
            woke: false,
            asker,
        }
    }

    /// Of the task that fills it.
    pub(super) fn seat(&self) -> &Arc<Seat> {
        &self.asker.0
    }

    fn len(&self) -> usize {
        match &self.slots {
            Slots::Plain(_, slots) => slots.len(),
            Slots::Boxed(_, slots) => slots.len(),
        }
    }

    /// Nobody will ever take what is put there.
    pub(super) fn is_unwanted(&self) -> bool {
        match &self.slots {
            Slots::Plain(edge, _) => edge.is_unwanted(),
            Slots::Boxed(edge, _) => edge.is_unwanted(),
        }
    }

    /// How many more items may be [pushed](Self::push); at least one when ready. While it is pending
    /// everything has been handed on, and the task is woken when there is room.
    #[inline]
    pub(super) fn poll_room(&mut self) -> Poll<usize> {
        let used = self.len();
        if used < self.room {
            return Poll::Ready(self.room - used);
        }
        self.find_room()
    }

    fn find_room(&mut self) -> Poll<usize> {
        self.hand_on();
        let (pushed, unwanted) = (self.pushed, self.is_unwanted());
        let found = match &self.slots {
            Slots::Plain(edge, _) => edge.find_room(pushed),
            Slots::Boxed(edge, _) => edge.find_room(pushed),
        };
        if unwanted {
            // what is pushed is cancelled, and takes no room
            self.room = usize::MAX;
            return Poll::Ready(self.room);
        }
        found.map(|room| {
            self.room = room;
            room
        })
    }

    /// Puts an item behind the others; there must be room.
    #[inline]
    pub(super) fn push(&mut self, envelope: Envelope<T>) {
        match &mut self.slots {
            Slots::Plain(_, slots) => {
                if const { !is_large::<T>() } {
                    slots.push_back(Slot::Done(envelope));
                }
            }
            Slots::Boxed(_, slots) => {
                if const { is_large::<T>() } {
                    let Envelope { item, ticket } = envelope;
                    slots.push_back(Slot::Done(Envelope::new(Box::new(item), ticket)));
                }
            }
        }
    }

    /// Hands on what there is. True if somebody was woken since this was last asked.
    pub(super) fn flush(&mut self) -> bool {
        self.hand_on();
        mem::take(&mut self.woke)
    }

    fn hand_on(&mut self) {
        let count = self.len();
        if count == 0 {
            return;
        }
        let first = self.pushed;
        self.pushed += count as u64;
        self.room -= count;
        self.woke |= match &mut self.slots {
            Slots::Plain(edge, slots) => edge.complete(true, first, slots),
            Slots::Boxed(edge, slots) => edge.complete(true, first, slots),
        };
    }

    /// Nothing comes after this.
    pub(super) fn end(&mut self) {
        self.hand_on();
        match &self.slots {
            Slots::Plain(edge, _) => edge.set_end(self.pushed),
            Slots::Boxed(edge, _) => edge.set_end(self.pushed),
        }
    }
}

/// Hands on what there is in all of them. True if somebody was woken since this was last asked.
pub(super) fn flush_all<T: Send + 'static>(fillers: &mut [Filler<T>]) -> bool {
    let woke = fillers.iter_mut().map(Filler::flush);
    woke.fold(false, |any, woke| any | woke)
}

impl<T: Send + 'static> Drop for Filler<T> {
    fn drop(&mut self) {
        match &mut self.slots {
            Slots::Plain(edge, slots) => edge.hub().ledger().cancel_slots(slots.drain(..)),
            Slots::Boxed(edge, slots) => edge.hub().ledger().cancel_slots(slots.drain(..)),
        }
    }
}
