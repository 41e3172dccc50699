//! Items that are to be worked on one at a time and in order within their lane, and side by side across
//! lanes: what a keyed stage's crew has beside the ring.
//!
//! A lane is the number of a key; who has which is known to the [`Keyring`]. A lane is
//! *taken* while a worker has items of it, delivered or not; what is claimed of it meanwhile waits in
//! the lane's own queue, inside the window. When the worker has delivered them the lane is free again, and
//! runnable if items wait in it.

use std::{collections::VecDeque, mem};

use crate::{
    engine::{envelope::Envelope, keys::Keys, shield, ticket::Ticket},
    error::BoxError,
};

/// No lane, or none yet.
const NONE: u32 = u32::MAX;

pub(super) struct Lanes<T> {
    /// None while a worker has it.
    keyring: Option<Keyring<T>>,
    lanes: Vec<Lane<T>>,
    /// Free lanes with items, the one that has waited longest first.
    runnable: VecDeque<u32>,
    /// Items in them.
    runnable_items: usize,
    /// The number of the claim that is being made.
    claim: u64,
    /// The lane of each item that has been delivered since keys were last looked up.
    left: Vec<u32>,
}

/// What a worker takes along to look up keys, which is the user's code, without the lock.
pub(super) struct Keyring<T> {
    keys: Box<dyn Keys<T>>,
    /// Lanes of items that have left.
    left: Vec<u32>,
    /// The items that it looks up, in order; each with its lane.
    lot: Vec<(u32, Envelope<T>)>,
}

/// Items on a worker's desk.
#[derive(Debug)]
pub(super) struct Run<T> {
    /// The next one last.
    pub(super) items: Vec<Envelope<T>>,
    /// Their lanes, in a keyed stage.
    pub(super) lanes: Vec<u32>,
}

struct Lane<T> {
    /// By which claim.
    taken: Option<u64>,
    queue: VecDeque<Envelope<T>>,
}

impl<T> Lanes<T> {
    pub(super) fn new(keys: Box<dyn Keys<T>>) -> Self {
        Lanes {
            keyring: Some(Keyring {
                keys,
                left: Vec::new(),
                lot: Vec::new(),
            }),
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

    /// Whether a worker looks up keys, so that nobody else can.
    pub(super) fn is_out(&self) -> bool {
        self.keyring.is_none()
    }

    pub(super) fn take_keyring(&mut self) -> Option<Keyring<T>> {
        let mut keyring = self.keyring.take()?;
        mem::swap(&mut self.left, &mut keyring.left);
        Some(keyring)
    }

    /// Takes free lanes with items, up to `most` items in all, the first one first.
    pub(super) fn take(&mut self, most: usize, run: &mut Run<T>) {
        while run.items.len() < most
            && let Some(number) = self.runnable.pop_front()
        {
            let Lane { taken, queue } = &mut self.lanes[number as usize];
            *taken = Some(self.claim);
            self.runnable_items -= queue.len();
            for envelope in queue.drain(..queue.len().min(most - run.items.len())) {
                run.push(number, envelope);
            }
        }
    }

    /// New items, whose keys have been looked up. Those whose lanes are free, or the worker's own with nobody
    /// waiting, go into the run, up to `most`; the others into their queues.
    pub(super) fn admit(&mut self, mut keyring: Keyring<T>, most: usize, run: &mut Run<T>) {
        // others have claimed since the keyring was taken
        self.begin();
        let claim = self.claim;
        for (number, envelope) in keyring.lot.drain(..) {
            let lane = self.lane(number);
            let mine = lane.taken.is_none_or(|by| by == claim);
            if lane.queue.is_empty() && mine && run.items.len() < most {
                lane.taken = Some(claim);
                run.push(number, envelope);
                continue;
            }
            let (is_free, is_first) = (lane.taken.is_none(), lane.queue.is_empty());
            lane.queue.push_back(envelope);
            if is_free {
                self.runnable_items += 1;
                if is_first {
                    self.runnable.push_back(number);
                }
            }
        }
        self.keyring = Some(keyring);
    }

    /// Items that were not begun go back to the front of their queues. Gives their lanes, which are still taken.
    pub(super) fn put_back(&mut self, run: &mut Run<T>) -> Vec<u32> {
        let lanes = mem::take(&mut run.lanes);
        for (number, envelope) in lanes.iter().zip(run.items.drain(..)) {
            self.lane(*number).queue.push_front(envelope);
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

    /// Everything that waits, for dropping it outside of the lock.
    pub(super) fn clear(&mut self) -> Vec<Envelope<T>> {
        self.runnable.clear();
        self.runnable_items = 0;
        let lanes = self.lanes.iter_mut();
        lanes.flat_map(|lane| mem::take(&mut lane.queue)).collect()
    }

    /// The keys, for dropping them there as well: nothing is looked up any more.
    pub(super) fn retire(&mut self) -> Option<Keyring<T>> {
        self.keyring.take()
    }
}

impl<T> Keyring<T> {
    /// Takes an item to look up its key.
    pub(super) fn add(&mut self, envelope: Envelope<T>) {
        self.lot.push((NONE, envelope));
    }

    pub(super) fn len(&self) -> usize {
        self.lot.len()
    }

    /// Forgets the keys of which nothing is inside any more, and finds the lanes of the items. Those whose key
    /// panics are given up. False if the run was `stopped` meanwhile, and nothing is to become of the items.
    /// To be called without the lock.
    pub(super) fn look_up(
        &mut self,
        stopped: impl Fn() -> bool,
        refused: &mut VecDeque<(Ticket, BoxError)>,
    ) -> bool {
        let Keyring { keys, left, lot } = self;
        left.drain(..).for_each(|lane| keys.leave(lane));
        let mut errors = Vec::new();
        for (lane, envelope) in lot.iter_mut() {
            if stopped() {
                shield::discard(errors);
                return false;
            }
            match shield::call(|| keys.enter(&envelope.item)) {
                Ok(found) => *lane = found,
                Err(payload) => errors.push(shield::panic_error(payload)),
            }
        }
        if !errors.is_empty() {
            let given_up: Vec<_> = lot.extract_if(.., |(lane, _)| *lane == NONE).collect();
            for ((_, Envelope { item, ticket }), error) in given_up.into_iter().zip(errors) {
                shield::discard(item);
                refused.push_back((ticket, error));
            }
        }
        true
    }

    /// The items, if nobody wants them any more.
    pub(super) fn give_up(&mut self) -> Vec<Envelope<T>> {
        let lot = mem::take(&mut self.lot).into_iter();
        lot.map(|(_, envelope)| envelope).collect()
    }
}

impl<T> Default for Run<T> {
    fn default() -> Self {
        Run {
            items: Vec::new(),
            lanes: Vec::new(),
        }
    }
}

impl<T> Run<T> {
    fn push(&mut self, lane: u32, envelope: Envelope<T>) {
        self.items.push(envelope);
        self.lanes.push(lane);
    }

    /// The first one last, as it is worked on.
    pub(super) fn reverse(&mut self) {
        self.items.reverse();
        self.lanes.reverse();
    }
}

#[cfg(all(test, not(any(shuttle, loom))))]
mod tests {
    use super::*;
    use crate::engine::keys::keys;

    /// Items have the key `n % 10`, and thus lanes in the order in which these come.
    fn lanes() -> Lanes<u32> {
        Lanes::new(keys(|item: &u32| {
            assert_ne!(*item, 99, "a panic of the test");
            item % 10
        }))
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

    /// A worker claims these, and takes up to `most` of them.
    fn claim(lanes: &mut Lanes<u32>, items: &[u32], most: usize) -> (Run<u32>, usize) {
        let (mut run, mut refused) = (Run::default(), VecDeque::new());
        lanes.begin();
        let mut keyring = lanes.take_keyring().expect("nobody else has it");
        assert!(lanes.is_out());
        items.iter().for_each(|n| keyring.add(item(*n)));
        assert!(keyring.look_up(|| false, &mut refused));
        lanes.admit(keyring, most, &mut run);
        (run, refused.len())
    }

    fn items(run: &Run<u32>) -> Vec<u32> {
        assert_eq!(run.items.len(), run.lanes.len());
        run.items.iter().map(|envelope| envelope.item).collect()
    }

    #[test]
    fn what_comes_for_a_taken_lane_waits_in_order() {
        let mut lanes = lanes();
        let (mut first, _) = claim(&mut lanes, &[1, 11, 2], 8);
        assert_eq!(
            (items(&first), &*first.lanes),
            (vec![1, 11, 2], &[0, 0, 1][..])
        );
        let (second, _) = claim(&mut lanes, &[21, 3, 31], 8);
        assert_eq!((items(&second), lanes.runnable()), (vec![3], 0));
        lanes.free(0);
        assert_eq!(lanes.runnable(), 2);
        let mut second = Run::default();
        lanes.take(1, &mut second);
        assert_eq!((items(&second), lanes.runnable()), (vec![21], 0));
        lanes.free(0);
        lanes.take(8, &mut first);
        assert_eq!(items(&first)[3..], [31]);
        assert!(lanes.clear().is_empty());
    }

    #[test]
    fn a_run_is_no_longer_than_it_may_be_from_several_lanes() {
        let mut lanes = lanes();
        drop(claim(&mut lanes, &[1, 2], 8));
        drop(claim(&mut lanes, &[11, 21, 31, 12, 22, 32], 8));
        lanes.free(0);
        lanes.free(1);
        let mut run = Run::default();
        lanes.take(5, &mut run);
        assert_eq!(items(&run), [11, 21, 31, 12, 22]);
        // the rest of the second lane waits for what was taken from it
        assert_eq!(lanes.runnable(), 0);
    }

    #[test]
    fn what_is_given_back_goes_before_what_waits() {
        let mut lanes = lanes();
        let (mut first, _) = claim(&mut lanes, &[1, 11], 8);
        let (none, _) = claim(&mut lanes, &[21], 8);
        assert_eq!(items(&none), []);
        first.reverse();
        let freed = lanes.put_back(&mut first);
        assert_eq!((freed, lanes.runnable()), (vec![0, 0], 0));
        lanes.free(0);
        lanes.free(0);
        assert_eq!(lanes.runnable(), 3);
        lanes.take(8, &mut first);
        assert_eq!(items(&first), [1, 11, 21]);
    }

    #[test]
    fn what_does_not_fit_in_a_run_can_be_taken_by_others() {
        let mut lanes = lanes();
        let (first, _) = claim(&mut lanes, &[1, 2, 12, 11, 3], 1);
        assert_eq!((items(&first), lanes.runnable()), (vec![1], 3));
        let mut second = Run::default();
        lanes.take(8, &mut second);
        assert_eq!(items(&second), [2, 12, 3]);
        lanes.free(0);
        lanes.take(8, &mut second);
        assert_eq!(items(&second)[3..], [11]);
    }

    #[test]
    fn what_others_claim_while_keys_are_looked_up_is_theirs() {
        let mut lanes = lanes();
        let (first, _) = claim(&mut lanes, &[1, 2], 1);
        assert_eq!(items(&first), [1]);
        let mut keyring = lanes.take_keyring().expect("nobody else has it");
        [12, 3].into_iter().for_each(|n| keyring.add(item(n)));
        keyring.look_up(|| false, &mut VecDeque::new());
        let (mut second, mut third) = (Run::default(), Run::default());
        lanes.begin();
        lanes.take(8, &mut second);
        assert_eq!(items(&second), [2]);
        lanes.admit(keyring, 8, &mut third);
        assert_eq!(items(&third), [3]);
    }

    #[test]
    fn an_item_whose_key_panics_is_given_up_alone() {
        let mut lanes = lanes();
        let (run, refused) = claim(&mut lanes, &[1, 99, 2], 8);
        assert_eq!((items(&run), refused), (vec![1, 2], 1));
    }
}
