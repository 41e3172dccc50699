//! What is to leave, each entry at its own time: a heap by (deadline, arrival).
//!
//! The heap orders small nodes, and entries lie still in slots. An entry that is taken away, or gets
//! another deadline, leaves its node behind, which is then stale and dropped when it comes up: so
//! both cost next to nothing. Stale nodes are never more than the others.

use std::{collections::VecDeque, mem};

use super::heap::Heap;
use crate::{engine::envelope::Envelope, rt::Moment};

/// Room for so many entries is kept when nothing is left inside.
const KEPT: usize = 1024;

/// Items that wait for their time.
pub(super) trait Queue<T>: Default + Send + 'static {
    /// What is said of when an item leaves.
    type Due;

    fn len(&self) -> usize;

    fn put(&mut self, due: Self::Due, envelope: Envelope<T>);

    /// When the next item leaves; none if there is nothing, or if it never does.
    fn next_due(&mut self) -> Option<Moment>;

    /// The next item if it is due.
    fn take_due(&mut self, now: Moment) -> Option<Envelope<T>>;

    /// All that is left, in any order.
    fn take_all(&mut self) -> impl Iterator<Item = Envelope<T>>;
}

/// For items that leave in the order in which they came; never, for want of a time.
impl<T: Send + 'static> Queue<T> for VecDeque<(Option<Moment>, Envelope<T>)> {
    type Due = Option<Moment>;

    fn len(&self) -> usize {
        self.len()
    }

    fn put(&mut self, due: Option<Moment>, envelope: Envelope<T>) {
        self.push_back((due, envelope));
    }

    fn next_due(&mut self) -> Option<Moment> {
        self.front()?.0
    }

    fn take_due(&mut self, now: Moment) -> Option<Envelope<T>> {
        self.next_due().filter(|due| *due <= now)?;
        let (_, envelope) = self.pop_front()?;
        if self.is_empty() && self.capacity() > KEPT {
            self.shrink_to(KEPT);
        }
        Some(envelope)
    }

    fn take_all(&mut self) -> impl Iterator<Item = Envelope<T>> {
        self.drain(..).map(|(_, envelope)| envelope)
    }
}

impl<T: Send + 'static> Queue<T> for Agenda<Envelope<T>> {
    type Due = Moment;

    fn len(&self) -> usize {
        self.len()
    }

    fn put(&mut self, due: Moment, envelope: Envelope<T>) {
        self.add(due, envelope);
    }

    fn next_due(&mut self) -> Option<Moment> {
        self.next_due()
    }

    fn take_due(&mut self, now: Moment) -> Option<Envelope<T>> {
        self.take_due(now)
    }

    fn take_all(&mut self) -> impl Iterator<Item = Envelope<T>> {
        let slots = mem::take(self).slots;
        slots.into_iter().filter_map(|slot| match slot {
            Slot::Used { entry, .. } => Some(entry),
            Slot::Free { .. } => None,
        })
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct Agenda<E> {
    slots: Vec<Slot<E>>,
    /// The first free slot, if there is one.
    free: Option<usize>,
    len: usize,
    /// Entries and new deadlines so far.
    arrivals: u64,
    waiting: Heap<Node>,
    /// Those that are to leave whatever their deadlines.
    flushed: Heap<Node>,
}

/// Compared field by field, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Node {
    due: Moment,
    arrival: u64,
    slot: usize,
}

#[derive(Debug)]
enum Slot<E> {
    /// With the next one that is free.
    Free { next: Option<usize> },
    /// A node with another arrival is stale.
    Used { arrival: u64, entry: E },
}

impl<E> Default for Agenda<E> {
    fn default() -> Self {
        Agenda {
            slots: Vec::new(),
            free: None,
            len: 0,
            arrivals: 0,
            waiting: Heap::default(),
            flushed: Heap::default(),
        }
    }
}

impl<E> Agenda<E> {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Gives the place of the entry, which is its own until it is taken.
    pub(super) fn add(&mut self, due: Moment, entry: E) -> usize {
        let arrival = self.arrivals;
        self.arrivals += 1;
        self.len += 1;
        let used = Slot::Used { arrival, entry };
        let slot = match self.free {
            Some(slot) => {
                if let Slot::Free { next } = mem::replace(&mut self.slots[slot], used) {
                    self.free = next;
                }
                slot
            }
            None => {
                self.slots.push(used);
                self.slots.len() - 1
            }
        };
        self.waiting.push(Node { due, arrival, slot });
        slot
    }

    pub(super) fn get(&self, slot: usize) -> Option<&E> {
        match self.slots.get(slot) {
            Some(Slot::Used { entry, .. }) => Some(entry),
            Some(Slot::Free { .. }) | None => None,
        }
    }

    pub(super) fn get_mut(&mut self, slot: usize) -> Option<&mut E> {
        match self.slots.get_mut(slot) {
            Some(Slot::Used { entry, .. }) => Some(entry),
            Some(Slot::Free { .. }) | None => None,
        }
    }

    /// Orders places by when their entries came.
    pub(super) fn arrival(&self, slot: usize) -> Option<u64> {
        match self.slots.get(slot) {
            Some(Slot::Used { arrival, .. }) => Some(*arrival),
            Some(Slot::Free { .. }) | None => None,
        }
    }

    /// When the next entry leaves. What was flushed is not asked for.
    pub(super) fn next_due(&mut self) -> Option<Moment> {
        let node = next(&mut self.waiting, &self.slots)?;
        Some(node.due)
    }

    /// The next entry, if it is due or was flushed: of those the one with the soonest deadline.
    pub(super) fn take_due(&mut self, now: Moment) -> Option<E> {
        let waiting = next(&mut self.waiting, &self.slots).filter(|node| node.due <= now);
        let flushed = next(&mut self.flushed, &self.slots);
        let node = match (waiting, flushed) {
            (Some(waiting), Some(flushed)) => waiting.min(flushed),
            (waiting, flushed) => waiting.or(flushed)?,
        };
        if Some(node) == flushed {
            self.flushed.pop();
        } else {
            self.waiting.pop();
        }
        self.release(node.slot)
    }

    /// Whether there is an entry that is due or was flushed.
    pub(super) fn has_due(&mut self, now: Moment) -> bool {
        self.next_due().is_some_and(|due| due <= now)
            || next(&mut self.flushed, &self.slots).is_some()
    }

    /// The entry in that place, whenever it is due.
    pub(super) fn take(&mut self, slot: usize) -> Option<E> {
        let entry = self.release(slot);
        self.sweep();
        entry
    }

    /// Gives the entry in that place another deadline, as if it came now.
    pub(super) fn put_off(&mut self, slot: usize, due: Moment) {
        if let Some(Slot::Used { arrival, .. }) = self.slots.get_mut(slot) {
            *arrival = self.arrivals;
            let arrival = *arrival;
            self.arrivals += 1;
            self.waiting.push(Node { due, arrival, slot });
            self.sweep();
        }
    }

    /// All that is inside is to leave.
    pub(super) fn flush(&mut self) {
        self.flushed.append(&mut self.waiting);
    }

    /// All that is left, the soonest first.
    pub(super) fn take_sorted(&mut self) -> Vec<(Moment, E)> {
        let Agenda {
            mut slots,
            mut waiting,
            mut flushed,
            len,
            ..
        } = mem::take(self);
        waiting.append(&mut flushed);
        let mut sorted = Vec::with_capacity(len);
        for node in waiting.into_sorted() {
            if is_fresh(&node, &slots)
                && let Some(slot) = slots.get_mut(node.slot)
                && let Slot::Used { entry, .. } = mem::replace(slot, Slot::Free { next: None })
            {
                sorted.push((node.due, entry));
            }
        }
        sorted
    }

    fn release(&mut self, slot: usize) -> Option<E> {
        self.get(slot)?;
        let free = Slot::Free { next: self.free };
        let Slot::Used { entry, .. } = mem::replace(&mut self.slots[slot], free) else {
            return None;
        };
        self.free = Some(slot);
        self.len -= 1;
        if self.len == 0 {
            self.clear();
        }
        Some(entry)
    }

    /// Nothing is inside: what is left are free slots and stale nodes.
    fn clear(&mut self) {
        self.slots.clear();
        self.slots.shrink_to(KEPT);
        self.free = None;
        self.waiting.clear(KEPT);
        self.flushed.clear(KEPT);
    }

    /// Drops stale nodes, if there are more of them than of the others.
    fn sweep(&mut self) {
        if self.waiting.len() + self.flushed.len() > 2 * self.len + KEPT / 16 {
            for heap in [&mut self.waiting, &mut self.flushed] {
                heap.retain(|node| is_fresh(node, &self.slots));
            }
        }
    }
}

/// The first node of a heap that is not stale.
fn next<E>(heap: &mut Heap<Node>, slots: &[Slot<E>]) -> Option<Node> {
    while let Some(node) = heap.first() {
        if is_fresh(&node, slots) {
            return Some(node);
        }
        heap.pop();
    }
    None
}

fn is_fresh<E>(node: &Node, slots: &[Slot<E>]) -> bool {
    let slot = slots.get(node.slot);
    matches!(slot, Some(Slot::Used { arrival, .. }) if *arrival == node.arrival)
}

#[cfg(all(test, not(any(shuttle, loom))))]
mod tests {
    use super::*;
    use crate::engine::ticket::Ticket;

    #[test]
    fn deadlines_that_were_put_off_leave_next_to_nothing_behind() {
        let (now, mut agenda) = (Moment::now(), Agenda::default());
        let slots: Vec<usize> = (0..3).map(|entry| agenda.add(now, entry)).collect();
        for _ in 0..10_000 {
            slots.iter().for_each(|slot| agenda.put_off(*slot, now));
        }
        let nodes = agenda.waiting.len() + agenda.flushed.len();
        assert!(nodes <= 2 * agenda.len() + KEPT / 16 + 1, "{nodes}");
        assert_eq!(agenda.take_sorted().len(), 3);
    }

    #[test]
    fn what_was_flushed_is_swept_as_well() {
        let (now, mut agenda) = (Moment::now(), Agenda::default());
        let slots: Vec<usize> = (0..2_000).map(|entry| agenda.add(now, entry)).collect();
        agenda.flush();
        for slot in &slots[1..] {
            agenda.take(*slot);
        }
        assert!(agenda.flushed.len() <= 2 + KEPT / 16 + 1);
        assert_eq!(agenda.take_due(now), Some(0));
    }

    #[test]
    fn there_is_something_to_do_for_what_is_due_and_for_what_was_flushed() {
        let (now, mut agenda) = (Moment::now(), Agenda::default());
        let later = now.after(std::time::Duration::from_secs(1)).unwrap();
        assert!(!agenda.has_due(now));
        agenda.add(later, "late");
        assert!(!agenda.has_due(now));
        assert!(agenda.has_due(later));
        agenda.flush();
        assert!(agenda.has_due(now));
    }

    #[test]
    fn a_queue_that_was_long_gives_its_room_back() {
        let now = Moment::now();
        let mut queue = VecDeque::new();
        for index in 0..10 * KEPT as u64 {
            let ticket = Ticket::Single { source: 0, index };
            queue.put(Some(now), Envelope::new(index, ticket));
        }
        while queue.take_due(now).is_some() {}
        assert!(queue.capacity() <= 2 * KEPT, "{}", queue.capacity());
    }
}
