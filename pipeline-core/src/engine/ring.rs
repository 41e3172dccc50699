//! The reorder ring: results come in any order and leave by sequence number.
//!
//! A plain data structure, without locks, so that it can be tested by itself.

use std::collections::VecDeque;

use super::envelope::{Envelope, Slot};

/// Slot `i` is sequence `head + i`. The first `ready` slots are filled (I1).
#[derive(Debug)]
pub(super) struct Ring<T> {
    slots: VecDeque<Slot<T>>,
    head: u64,
    ready: usize,
}

impl<T> Ring<T> {
    pub(super) fn new() -> Self {
        Ring {
            slots: VecDeque::new(),
            head: 0,
            ready: 0,
        }
    }

    /// The sequence that is handed on next.
    #[inline]
    pub(super) fn head(&self) -> u64 {
        self.head
    }

    /// How many slots can be handed on now, gaps included.
    #[inline]
    pub(super) fn ready(&self) -> usize {
        self.ready
    }

    /// Slots in use, ready or not.
    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    /// Puts consecutive results at their places, from sequence `first` on. Each place is filled
    /// once (I2).
    #[inline]
    pub(super) fn place(&mut self, first: u64, results: &mut VecDeque<Slot<T>>) {
        let at = usize::try_from(first - self.head).unwrap_or(usize::MAX);
        if at == self.slots.len() {
            // in order, as nearly always
            let was_all_ready = self.ready == self.slots.len();
            self.slots.append(results);
            if was_all_ready {
                self.ready = self.slots.len();
            }
            return;
        }
        while self.slots.len() < at + results.len() {
            self.slots.push_back(Slot::Empty);
        }
        for (slot, result) in self.slots.range_mut(at..).zip(results.drain(..)) {
            debug_assert!(
                matches!(slot, Slot::Empty),
                "I2: a sequence was completed twice"
            );
            *slot = result;
        }
        while self.ready < self.slots.len() && !matches!(self.slots[self.ready], Slot::Empty) {
            self.ready += 1;
        }
    }

    /// Appends results in whatever order they come.
    #[inline]
    pub(super) fn append(&mut self, results: &mut VecDeque<Slot<T>>) {
        self.slots.append(results);
        self.ready = self.slots.len();
    }

    /// Takes up to `most` ready slots and gives their items to `take`; gaps are passed over.
    #[inline]
    pub(super) fn take(&mut self, most: usize, take: impl FnMut(Envelope<T>)) {
        let count = self.forget(most);
        self.slots
            .drain(..count)
            .filter_map(Slot::done)
            .for_each(take);
    }

    /// The same from the last to the first, for a vector whose items are then popped.
    #[inline]
    pub(super) fn take_backwards(&mut self, most: usize, take: impl FnMut(Envelope<T>)) {
        let count = self.forget(most);
        self.slots
            .drain(..count)
            .rev()
            .filter_map(Slot::done)
            .for_each(take);
    }

    /// Counts slots as taken that are about to be.
    fn forget(&mut self, most: usize) -> usize {
        let count = most.min(self.ready);
        self.head += count as u64;
        self.ready -= count;
        count
    }

    /// Everything that is still inside, for dropping it outside of the lock.
    pub(super) fn clear(&mut self) -> VecDeque<Slot<T>> {
        self.head += self.slots.len() as u64;
        self.ready = 0;
        std::mem::take(&mut self.slots)
    }
}

#[cfg(all(test, not(any(shuttle, loom))))]
mod tests {
    use super::*;
    use crate::engine::ticket::Ticket;

    fn done(n: u64) -> Slot<u64> {
        Slot::Done(Envelope::new(
            n,
            Ticket::Single {
                source: 0,
                index: n,
            },
        ))
    }

    fn taken(ring: &mut Ring<u64>, most: usize) -> Vec<u64> {
        let mut items = Vec::new();
        ring.take(most, |envelope| items.push(envelope.item));
        items
    }

    #[test]
    fn results_leave_in_order_and_gaps_are_passed_over() {
        let mut ring = Ring::new();
        ring.place(3, &mut VecDeque::from([done(3), done(4)]));
        assert_eq!((ring.ready(), ring.len()), (0, 5));
        ring.place(0, &mut VecDeque::from([done(0)]));
        assert_eq!(taken(&mut ring, 10), [0]);
        ring.place(1, &mut VecDeque::from([Slot::Gap, done(2)]));
        assert_eq!(ring.ready(), 4);
        assert_eq!(taken(&mut ring, 3), [2, 3]);
        assert_eq!(taken(&mut ring, 3), [4]);
        assert_eq!((ring.head(), ring.len()), (5, 0));
    }

    #[test]
    fn results_after_an_unfinished_one_wait_for_it() {
        let mut ring = Ring::new();
        ring.place(1, &mut VecDeque::from([done(1)]));
        ring.place(2, &mut VecDeque::from([done(2)]));
        assert_eq!(ring.ready(), 0);
        ring.place(0, &mut VecDeque::from([done(0)]));
        assert_eq!(taken(&mut ring, 10), [0, 1, 2]);
    }

    #[test]
    fn appended_results_leave_as_they_came() {
        let mut ring = Ring::new();
        ring.append(&mut VecDeque::from([done(5), Slot::Gap]));
        ring.append(&mut VecDeque::from([done(1)]));
        assert_eq!(taken(&mut ring, 10), [5, 1]);
        assert_eq!(ring.head(), 3);
    }
}
