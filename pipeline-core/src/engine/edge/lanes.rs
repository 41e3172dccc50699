//! Items that are to be worked on one at a time and in order within their lane, and side by side across
//! lanes: what a keyed stage's crew has beside the ring.
//!
//! A lane is the number of a key; who has which is known to whoever puts the items in. A lane is
//! *taken* while a worker has items of it, delivered or not; what is claimed of it meanwhile waits in
//! the lane's own queue, inside the window. When the worker has delivered them the lane is free again, and
//! runnable if items wait in it.

use std::{collections::VecDeque, mem};

use crate::engine::envelope::Envelope;

#[derive(Debug)]
pub(super) struct Lanes<T> {
    of: LaneOf<T>,
    lanes: Vec<Lane<T>>,
    /// Free lanes with items, the one that has waited longest first.
    runnable: VecDeque<u32>,
    /// Items in them.
    runnable_items: usize,
    /// The number of the claim that is being made.
    claim: u64,
    /// The lane of each item that has been delivered, for whoever counts what is inside.
    left: Vec<u32>,
}

/// Tells the lane of an item.
pub(in crate::engine) type LaneOf<T> = fn(&T) -> u32;

#[derive(Debug)]
struct Lane<T> {
    /// By which claim.
    taken: Option<u64>,
    queue: VecDeque<Envelope<T>>,
}

impl<T> Lanes<T> {
    pub(super) fn new(of: LaneOf<T>) -> Self {
        Lanes {
            of,
            lanes: Vec::new(),
            runnable: VecDeque::new(),
            runnable_items: 0,
            claim: 0,
            left: Vec::new(),
        }
    }

    /// Items that a worker could have at once.
    pub(super) fn runnable(&self) -> usize {
        self.runnable_items
    }

    fn lane(&mut self, lane: u32) -> &mut Lane<T> {
        let lane = lane as usize;
        while self.lanes.len() <= lane {
            self.lanes.push(Lane {
                taken: None,
                queue: VecDeque::new(),
            });
        }
        &mut self.lanes[lane]
    }

    /// A worker claims anew.
    pub(super) fn begin(&mut self) {
        self.claim += 1;
    }

    /// Takes free lanes with items, up to `most` items in all, the first one first.
    pub(super) fn take(&mut self, most: usize, run: &mut Vec<Envelope<T>>) {
        while run.len() < most
            && let Some(lane) = self.runnable.pop_front()
        {
            let Lane { taken, queue } = &mut self.lanes[lane as usize];
            *taken = Some(self.claim);
            self.runnable_items -= queue.len();
            let count = queue.len().min(most - run.len());
            run.extend(queue.drain(..count));
        }
    }

    /// A new item: into the run if its lane is free, or is the worker's own and has nobody waiting; else
    /// into its queue.
    pub(super) fn admit(&mut self, envelope: Envelope<T>, run: &mut Vec<Envelope<T>>) {
        let (number, claim) = ((self.of)(&envelope.item), self.claim);
        let lane = self.lane(number);
        let mine = lane.taken.is_none_or(|by| by == claim);
        if lane.queue.is_empty() && mine {
            lane.taken = Some(claim);
            run.push(envelope);
            return;
        }
        lane.queue.push_back(envelope);
        let taken = lane.taken.is_some();
        // a free lane with items is runnable already
        self.runnable_items += usize::from(!taken);
    }

    /// Items that were not begun, the next one last, go back to the front of their queues. Their lanes are
    /// still taken.
    pub(super) fn put_back(&mut self, run: &mut Vec<Envelope<T>>) -> Vec<u32> {
        let mut lanes = Vec::with_capacity(run.len());
        for envelope in run.drain(..) {
            let number = (self.of)(&envelope.item);
            lanes.push(number);
            self.lane(number).queue.push_front(envelope);
        }
        lanes
    }

    /// The worker has nothing of this lane any more.
    pub(super) fn free(&mut self, number: u32) {
        let lane = self.lane(number);
        if lane.taken.take().is_none() {
            return;
        }
        let waiting = lane.queue.len();
        if waiting > 0 {
            self.runnable.push_back(number);
            self.runnable_items += waiting;
        } else if lane.queue.capacity() > 64 {
            // a key that was busy once is no reason to keep the room
            lane.queue = VecDeque::new();
        }
    }

    /// An item of this lane has left the stage.
    pub(super) fn leave(&mut self, number: u32) {
        self.left.push(number);
    }

    /// The lanes of the items that have left since this was last asked, into `into`, which is empty.
    pub(super) fn take_left(&mut self, into: &mut Vec<u32>) {
        mem::swap(&mut self.left, into);
    }

    /// Everything that waits, for dropping it outside of the lock.
    pub(super) fn clear(&mut self) -> Vec<Envelope<T>> {
        self.runnable.clear();
        self.runnable_items = 0;
        let lanes = self.lanes.iter_mut();
        lanes.flat_map(|lane| mem::take(&mut lane.queue)).collect()
    }
}

#[cfg(all(test, not(any(shuttle, loom))))]
mod tests {
    use super::*;
    use crate::engine::ticket::Ticket;

    /// Items of lane `n % 10`.
    fn lanes() -> Lanes<u32> {
        Lanes::new(|item| item % 10)
    }

    fn item(item: u32) -> Envelope<u32> {
        Envelope::new(
            item,
            Ticket::Single {
                source: 0,
                index: item.into(),
            },
        )
    }

    fn items(run: &[Envelope<u32>]) -> Vec<u32> {
        run.iter().map(|envelope| envelope.item).collect()
    }

    #[test]
    fn what_comes_for_a_taken_lane_waits_in_order() {
        let (mut lanes, mut first, mut second) = (lanes(), Vec::new(), Vec::new());
        for n in [1, 11, 2] {
            lanes.admit(item(n), &mut first);
        }
        assert_eq!(items(&first), [1, 11, 2]);
        lanes.begin();
        for n in [21, 3, 31] {
            lanes.admit(item(n), &mut second);
        }
        assert_eq!((items(&second), lanes.runnable()), (vec![3], 0));
        lanes.free(1);
        assert_eq!(lanes.runnable(), 2);
        second.clear();
        lanes.take(1, &mut second);
        assert_eq!((items(&second), lanes.runnable()), (vec![21], 0));
        lanes.free(1);
        lanes.take(8, &mut first);
        assert_eq!(items(&first[3..]), [31]);
        assert!(lanes.clear().is_empty());
    }

    #[test]
    fn what_is_given_back_goes_before_what_waits() {
        let (mut lanes, mut run, mut other) = (lanes(), Vec::new(), Vec::new());
        [1, 11]
            .into_iter()
            .for_each(|n| lanes.admit(item(n), &mut run));
        lanes.begin();
        lanes.admit(item(21), &mut other);
        run.reverse();
        let freed = lanes.put_back(&mut run);
        assert_eq!((freed, lanes.runnable()), (vec![1, 1], 0));
        lanes.free(1);
        lanes.free(1);
        assert_eq!(lanes.runnable(), 3);
        lanes.take(8, &mut run);
        assert_eq!(items(&run), [1, 11, 21]);
    }
}
