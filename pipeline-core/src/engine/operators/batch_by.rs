//! Many items of one key to one vector.

use std::{
    collections::{BTreeMap, HashMap},
    hash::{BuildHasher, Hash, RandomState},
    task::{Context, Poll, ready},
    time::Duration,
};

use super::batch::due_from_now;
use crate::{
    engine::{
        envelope::Envelope,
        filler::Filler,
        inlet::Inlet,
        ledger::{Fate, Ledger},
        operator::{Bench, Operator, Step},
        shield,
        ticket::{Joined, Ticket},
    },
    rt::{Moment, Timer},
};

/// Gathers up to `max` items of each key, for no longer than `age` after the first of them.
pub(crate) struct BatchBy<T: Send + 'static, K, F> {
    inlet: Inlet<T>,
    out: Filler<Vec<T>>,
    max: usize,
    /// Items in all batches together, at most.
    bound: usize,
    age: Duration,
    key: F,
    open: Shelf<T, K>,
    /// Leaves as soon as there is room.
    closed: Option<Gathered<T, K>>,
    /// Batches that were due at this moment leave.
    looked: Option<Moment>,
    timer: Timer,
}

/// The open batches by number, the oldest first. Keys are hashed and compared when an item comes, and
/// at no other time: so a key whose `Hash` or `Eq` panics concerns that item alone.
struct Shelf<T, K> {
    batches: BTreeMap<u64, Gathered<T, K>>,
    /// Those whose keys have a hash; nearly always one.
    numbers: HashMap<u64, Vec<u64>>,
    hasher: RandomState,
    next: u64,
    items: usize,
}

/// A batch.
struct Gathered<T, K> {
    key: K,
    hash: u64,
    items: Vec<T>,
    joined: Joined,
    due: Option<Moment>,
}

/// Where an item belongs.
enum Place<K> {
    Open(u64),
    New(K, u64),
}

impl<T, K: Hash + Eq> Shelf<T, K> {
    fn new() -> Self {
        Shelf {
            batches: BTreeMap::new(),
            numbers: HashMap::new(),
            hasher: RandomState::new(),
            next: 0,
            items: 0,
        }
    }

    /// Runs code of the key's, and changes nothing.
    fn find(&self, key: K) -> Place<K> {
        let hash = self.hasher.hash_one(&key);
        let mut candidates = self.numbers.get(&hash).into_iter().flatten();
        let same = |number: &&u64| {
            let batch = self.batches.get(number);
            batch.is_some_and(|batch| batch.key == key)
        };
        match candidates.find(same) {
            Some(number) => Place::Open(*number),
            None => Place::New(key, hash),
        }
    }

    /// Puts an item in its place. Gives the batch if it has `max` items then.
    fn put(
        &mut self,
        place: Place<K>,
        item: T,
        ticket: Ticket,
        max: usize,
        age: Duration,
    ) -> Option<Gathered<T, K>> {
        self.items += 1;
        let (number, length) = match place {
            Place::Open(number) => {
                let batch = self.batches.get_mut(&number)?;
                batch.items.push(item);
                batch.joined.add(ticket);
                (number, batch.items.len())
            }
            Place::New(key, hash) => {
                let number = self.next;
                self.next += 1;
                self.numbers.entry(hash).or_default().push(number);
                let batch = Gathered {
                    key,
                    hash,
                    items: vec![item],
                    joined: Joined::from(ticket),
                    due: due_from_now(age),
                };
                self.batches.insert(number, batch);
                (number, 1)
            }
        };
        if length < max {
            return None;
        }
        self.take(number)
    }

    fn take(&mut self, number: u64) -> Option<Gathered<T, K>> {
        let batch = self.batches.remove(&number)?;
        self.items -= batch.items.len();
        if let Some(numbers) = self.numbers.get_mut(&batch.hash) {
            numbers.retain(|other| *other != number);
            if numbers.is_empty() {
                self.numbers.remove(&batch.hash);
            }
        }
        Some(batch)
    }

    fn take_oldest(&mut self) -> Option<Gathered<T, K>> {
        let number = *self.batches.keys().next()?;
        self.take(number)
    }

    /// When the oldest one has to leave. All have the same age, so none has to sooner.
    fn due(&self) -> Option<Moment> {
        self.batches.values().next()?.due
    }
}

impl<T: Send + 'static, K: Hash + Eq, F> BatchBy<T, K, F> {
    pub(crate) fn new(
        inlet: Inlet<T>,
        out: Filler<Vec<T>>,
        max: usize,
        bound: usize,
        age: Duration,
        key: F,
    ) -> Self {
        BatchBy {
            inlet,
            out,
            max,
            bound,
            age,
            key,
            open: Shelf::new(),
            closed: None,
            looked: None,
            timer: Timer::default(),
        }
    }

    /// Takes a batch that has to leave because of its age, as far as is known, or of the bound.
    fn close_one(&mut self) -> Option<Gathered<T, K>> {
        let too_many = self.open.items >= self.bound;
        let too_old = match (self.open.due(), self.looked) {
            (Some(due), Some(looked)) => due <= looked,
            _ => false,
        };
        if too_many || too_old {
            return self.open.take_oldest();
        }
        self.looked = None;
        None
    }

    /// There must be room.
    fn give(&mut self, batch: Gathered<T, K>, bench: &mut Bench) {
        let Gathered {
            key, items, joined, ..
        } = batch;
        shield::discard(key);
        self.out.push(Envelope::new(items, joined.into_ticket()));
        bench.gave();
    }
}

impl<T, K, F> Operator for BatchBy<T, K, F>
where
    T: Send + 'static,
    K: Hash + Eq + Send + 'static,
    F: FnMut(&T) -> K + Send + 'static,
{
    fn poll_work(&mut self, context: &mut Context<'_>, bench: &mut Bench) -> Poll<Step> {
        if self.out.is_unwanted() {
            return Poll::Ready(Step::End);
        }
        loop {
            if self.closed.is_some() {
                ready!(self.out.poll_room());
            }
            if let Some(batch) = self.closed.take() {
                self.give(batch, bench);
            }
            self.closed = self.close_one();
            if self.closed.is_some() {
                continue;
            }
            match self.inlet.poll_next(context) {
                Poll::Ready(Some(Envelope { item, ticket })) => {
                    let due = bench.took();
                    let find = || self.open.find((self.key)(&item));
                    match bench.shielded(ticket, find) {
                        Some((place, ticket)) => {
                            self.closed = self.open.put(place, item, ticket, self.max, self.age);
                        }
                        None => shield::discard(item),
                    }
                    if due {
                        self.looked = self.open.due().map(|_| Moment::now());
                        return Poll::Ready(Step::Pause);
                    }
                }
                Poll::Ready(None) => {
                    self.closed = self.open.take_oldest();
                    if self.closed.is_none() {
                        return Poll::Ready(Step::End);
                    }
                }
                Poll::Pending if self.age == Duration::ZERO => {
                    self.closed = self.open.take_oldest();
                    if self.closed.is_none() {
                        return Poll::Pending;
                    }
                }
                Poll::Pending => match self.open.due() {
                    Some(due) => {
                        ready!(self.timer.poll_until(due, context));
                        self.closed = self.open.take_oldest();
                    }
                    None => return Poll::Pending,
                },
            }
        }
    }

    fn waits_inside(&self) -> bool {
        // one that is closed waits for room, and for no time
        self.closed.is_some() || self.open.due().is_none()
    }

    fn flush(&mut self) -> bool {
        self.out.flush()
    }

    fn end(&mut self) {
        self.out.end();
    }

    fn cancel(&mut self, ledger: &Ledger) {
        let mut batch = self.closed.take().or_else(|| self.open.take_oldest());
        while let Some(Gathered {
            key, items, joined, ..
        }) = batch
        {
            ledger.settle(joined.into_ticket(), Fate::Cancelled);
            shield::discard(key);
            items.into_iter().for_each(shield::discard);
            batch = self.open.take_oldest();
        }
    }
}

#[cfg(all(test, not(any(shuttle, loom))))]
mod tests {
    use super::*;

    #[test]
    fn a_key_without_a_batch_leaves_nothing_behind() {
        let mut shelf: Shelf<u64, u64> = Shelf::new();
        for index in 0..1_000 {
            let ticket = Ticket::Single { source: 0, index };
            let place = shelf.find(index % 300);
            shelf.put(place, index, ticket, 3, Duration::MAX);
        }
        // 300 keys, of which 100 have had four items and 200 three
        assert_eq!((shelf.items, shelf.batches.len()), (100, 100));
        while let Some(batch) = shelf.take_oldest() {
            assert_eq!(batch.items, [batch.key + 900]);
        }
        assert_eq!((shelf.items, shelf.numbers.len()), (0, 0));
    }
}
