//! Keys of a keyed stage: which lane each has.
//!
//! Keys are compared here and nowhere else, in the task that stands before the stage, because to hash
//! a key and to compare two is code of the user's, which runs under no lock (I7). The stage itself
//! knows lanes only, which are numbers.

use std::{
    hash::{BuildHasher, Hash},
    task::{Context, Poll},
};

use hashbrown::{DefaultHashBuilder, HashTable};

use super::{
    envelope::Envelope,
    filler::Filler,
    inlet::Inlet,
    joint::Joint,
    ledger::Ledger,
    limits::LOT,
    operator::{Bench, Operator, Step},
    shield,
    station::{StationParts, Work},
};

/// An item with the lane of its key.
#[derive(Debug)]
pub(crate) struct Laned<T> {
    lane: u32,
    item: T,
}

/// The keys of what is inside a stage, of whatever type.
pub(crate) trait Keys<T>: Send {
    /// The lane of an item that goes in. Code of the user's; when it panics nothing has changed.
    fn enter(&mut self, item: &T) -> u32;
    /// One of this lane has left. The key is forgotten with the last one.
    fn leave(&mut self, lane: u32);
}

/// The keys that `key` gives.
pub(crate) fn keys<T, K, F>(key: F) -> Box<dyn Keys<T>>
where
    F: Fn(&T) -> K + Send + 'static,
    K: Hash + Eq + Send + 'static,
{
    Box::new(Table {
        key,
        hasher: DefaultHashBuilder::default(),
        numbers: HashTable::new(),
        lanes: Vec::new(),
        free: Vec::new(),
    })
}

struct Table<K, F> {
    key: F,
    hasher: DefaultHashBuilder,
    /// The lanes that have a key, by its hash.
    numbers: HashTable<u32>,
    lanes: Vec<Lane<K>>,
    free: Vec<u32>,
}

struct Lane<K> {
    key: Option<K>,
    hash: u64,
    /// Items that have gone in and not left.
    inside: u64,
}

impl<T, K, F> Keys<T> for Table<K, F>
where
    F: Fn(&T) -> K + Send,
    K: Hash + Eq + Send,
{
    fn enter(&mut self, item: &T) -> u32 {
        let Table {
            key,
            hasher,
            numbers,
            lanes,
            free,
        } = self;
        let key = key(item);
        let hash = hasher.hash_one(&key);
        let is_it = |number: &u32| lanes[*number as usize].key.as_ref() == Some(&key);
        if let Some(number) = numbers.find(hash, is_it) {
            let number = *number;
            lanes[number as usize].inside += 1;
            // a destructor of the user's has no say in what has been decided
            shield::discard(key);
            return number;
        }
        let lane = Lane {
            key: Some(key),
            hash,
            inside: 1,
        };
        let number = match free.pop() {
            Some(number) => {
                lanes[number as usize] = lane;
                number
            }
            None => {
                // as many as there are items inside, at most
                let number = u32::try_from(lanes.len()).unwrap_or(u32::MAX);
                lanes.push(lane);
                number
            }
        };
        numbers.insert_unique(hash, number, |number| lanes[*number as usize].hash);
        number
    }

    fn leave(&mut self, number: u32) {
        let lane = &mut self.lanes[number as usize];
        lane.inside -= 1;
        if lane.inside > 0 {
            return;
        }
        let (key, hash) = (lane.key.take(), lane.hash);
        if let Ok(entry) = self.numbers.find_entry(hash, |other| *other == number) {
            entry.remove();
        }
        self.free.push(number);
        shield::discard(key);
    }
}

/// Stands before a keyed stage and gives each item the lane of its key.
pub(crate) struct ByKey<T: Send + 'static> {
    inlet: Inlet<T>,
    out: Filler<Laned<T>>,
    keys: Box<dyn Keys<T>>,
    /// The edge behind, where the stage says what has left.
    edge: Joint<Laned<T>>,
    left: Vec<u32>,
    until_look: usize,
}

impl<T: Send + 'static> ByKey<T> {
    pub(crate) fn new(
        inlet: Inlet<T>,
        out: Filler<Laned<T>>,
        keys: Box<dyn Keys<T>>,
        edge: Joint<Laned<T>>,
    ) -> Self {
        ByKey {
            inlet,
            out,
            keys,
            edge,
            left: Vec::new(),
            until_look: 0,
        }
    }

    /// Forgets the keys of which nothing is inside any more.
    fn forget(&mut self) {
        match &self.edge {
            Joint::Plain(edge) => edge.take_left(&mut self.left),
            Joint::Boxed(edge) => edge.take_left(&mut self.left),
        }
        for lane in self.left.drain(..) {
            self.keys.leave(lane);
        }
    }
}

impl<T: Send + 'static> Operator for ByKey<T> {
    fn poll_work(&mut self, context: &mut Context<'_>, bench: &mut Bench) -> Poll<Step> {
        loop {
            if self.out.is_unwanted() {
                return Poll::Ready(Step::End);
            }
            if self.out.poll_room().is_pending() {
                return Poll::Pending;
            }
            if self.until_look == 0 {
                self.until_look = LOT;
                self.forget();
            }
            self.until_look -= 1;
            match self.inlet.poll_next(context) {
                Poll::Ready(Some(Envelope { item, ticket })) => {
                    let due = bench.took();
                    let entered = bench.shielded(ticket, || self.keys.enter(&item));
                    match entered {
                        Some((lane, ticket)) => {
                            self.out.push(Envelope::new(Laned { lane, item }, ticket));
                            bench.gave();
                        }
                        None => shield::discard(item),
                    }
                    if due {
                        return Poll::Ready(Step::Pause);
                    }
                }
                Poll::Ready(None) => return Poll::Ready(Step::End),
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    fn flush(&mut self) {
        self.out.flush();
    }

    fn end(&mut self) {
        self.out.end();
    }

    fn waits_inside(&self) -> bool {
        true
    }

    fn cancel(&mut self, _: &Ledger) {}
}

/// A stage whose items carry lanes.
pub(crate) struct Keyed<W>(W);

impl<W: Work> Work for Keyed<W> {
    type In = Laned<W::In>;
    type Item = W::Item;
    type Out = W::Out;
    type Error = W::Error;

    fn copy(input: &Laned<W::In>, copy: fn(&W::Item) -> W::Item) -> Laned<W::In> {
        Laned {
            lane: input.lane,
            item: W::copy(&input.item, copy),
        }
    }

    fn unpack(input: Laned<W::In>) -> W::Item {
        W::unpack(input.item)
    }

    #[inline]
    fn lane(input: &Laned<W::In>) -> u32 {
        input.lane
    }

    #[inline]
    fn process(
        &mut self,
        item: Laned<W::In>,
    ) -> impl Future<Output = Result<W::Out, W::Error>> + Send {
        self.0.process(item.item)
    }

    fn close(self) -> impl Future<Output = Result<(), W::Error>> + Send {
        self.0.close()
    }
}

pub(crate) fn keyed<W: Work, P>(parts: StationParts<W, P>) -> StationParts<Keyed<W>, P> {
    parts.around(Keyed)
}

#[cfg(all(test, not(any(shuttle, loom))))]
mod tests {
    use super::*;

    #[test]
    fn keys_have_a_lane_as_long_as_something_of_theirs_is_inside() {
        let mut keys = keys(|word: &&str| word.len());
        let (short, long) = (keys.enter(&"a"), keys.enter(&"abc"));
        assert_ne!(short, long);
        assert_eq!(keys.enter(&"b"), short);
        keys.leave(short);
        assert_eq!(keys.enter(&"c"), short);
        keys.leave(short);
        keys.leave(short);
        // forgotten: its lane goes to whoever comes next
        assert_eq!(keys.enter(&"four"), short);
        assert_eq!(keys.enter(&"def"), long);
    }
}
