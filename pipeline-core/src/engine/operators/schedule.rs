//! Items that wait for their time and can be found by a key meanwhile.
//!
//! They lie in a timetable that the operator shares with handles. Whoever takes an entry out of it, under
//! its lock, decides what becomes of the item: the operator when it is due, a handle that cancels it
//! (I11). Keys are the user's, so they are hashed before the lock is taken, and compared while it is
//! not held: what has the same hash is looked up, compared, and then taken if it is still there.

use std::{
    borrow::Borrow,
    collections::HashMap,
    hash::{BuildHasher, Hash, RandomState},
    mem,
    sync::Arc,
    task::{Context, Poll, ready},
};

use super::agenda::Agenda;
use crate::{
    engine::{
        envelope::Envelope,
        filler::Filler,
        hub::Hub,
        inlet::Inlet,
        ledger::{Fate, Ledger},
        limits::LOT,
        operator::{Bench, Operator, Step},
        seat::Seat,
        shield,
    },
    rt::{
        Moment, Mutex, Timer,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
};

/// What an operator and its handles share.
pub(crate) struct Timetable<K, T> {
    hasher: RandomState,
    claimed: AtomicBool,
    state: Mutex<State<K, T>>,
}

struct State<K, T> {
    agenda: Agenda<Entry<K, T>>,
    /// The first entry with a hash; the others with the same one are linked to it.
    hashes: HashMap<u64, usize>,
    capacity: usize,
    paused: bool,
    /// The operator, while its run goes on.
    operator: Option<Address>,
    /// What was inside when a run ended.
    undelivered: Vec<(Moment, T)>,
}

struct Entry<K, T> {
    envelope: Envelope<T>,
    /// Shared with those who compare it. Tells the entry from all others as well.
    key: Arc<K>,
    hash: u64,
    before: Option<usize>,
    after: Option<usize>,
}

#[derive(Clone)]
struct Address {
    hub: Arc<Hub>,
    seat: Arc<Seat>,
}

/// An entry that may be the one that is looked for.
struct Candidate<K> {
    slot: usize,
    key: Arc<K>,
}

impl<K, T> Default for Timetable<K, T> {
    fn default() -> Self {
        let state = State {
            agenda: Agenda::default(),
            hashes: HashMap::new(),
            capacity: 0,
            paused: false,
            operator: None,
            undelivered: Vec::new(),
        };
        Timetable {
            hasher: RandomState::new(),
            claimed: AtomicBool::new(false),
            state: Mutex::new(state),
        }
    }
}

impl<K: Hash + Eq, T> Timetable<K, T> {
    /// Those with this key that were inside a moment ago.
    fn find<Q>(&self, key: &Q) -> Vec<Candidate<K>>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let hash = self.hasher.hash_one(key);
        let mut candidates = self.state.lock().with_hash(hash);
        candidates.retain(|candidate| (*candidate.key).borrow() == key);
        candidates
    }

    /// Takes out what has this key. True if something had.
    pub(crate) fn cancel<Q>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let candidates = self.find(key);
        let mut gone = Vec::new();
        let operator = {
            let mut state = self.state.lock();
            let operator = state.operator.clone();
            for candidate in &candidates {
                if state.holds(candidate)
                    && let Some((entry, operator)) =
                        state.remove(candidate.slot).zip(operator.as_ref())
                {
                    let Envelope { item, ticket } = entry.envelope;
                    // under the lock, so that the run is not over before it is counted
                    operator.hub.ledger().settle(ticket, Fate::Cancelled);
                    gone.push((item, entry.key));
                }
            }
            operator
        };
        let found = !gone.is_empty();
        if let Some(operator) = operator.filter(|_| found) {
            operator.seat.wake();
        }
        gone.into_iter().for_each(shield::discard);
        candidates.into_iter().for_each(shield::discard);
        found
    }

    /// Gives what has this key another deadline. True if something had.
    pub(crate) fn put_off<Q>(&self, key: &Q, due: Moment) -> bool
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let candidates = self.find(key);
        let (found, operator) = {
            let mut state = self.state.lock();
            let inside = candidates.iter().filter(|candidate| state.holds(candidate));
            let mut slots: Vec<_> = inside.map(|candidate| candidate.slot).collect();
            // those of one key keep their order
            slots.sort_by_key(|slot| state.agenda.arrival(*slot));
            for slot in &slots {
                state.agenda.put_off(*slot, due);
            }
            (!slots.is_empty(), state.operator.clone())
        };
        if let Some(operator) = operator.filter(|_| found) {
            operator.seat.wake();
        }
        candidates.into_iter().for_each(shield::discard);
        found
    }
}

impl<K, T> Timetable<K, T> {
    /// For one step.
    pub(crate) fn claim(self: &Arc<Self>) -> Claim<K, T> {
        Claim {
            table: Arc::clone(self),
            only: !self.claimed.swap(true, SeqCst),
        }
    }

    fn change(&self, change: impl FnOnce(&mut State<K, T>)) {
        let operator = {
            let mut state = self.state.lock();
            change(&mut state);
            state.operator.clone()
        };
        if let Some(operator) = operator {
            operator.seat.wake();
        }
    }

    pub(crate) fn pause(&self, paused: bool) {
        self.change(|state| state.paused = paused);
    }

    pub(crate) fn is_paused(&self) -> bool {
        self.state.lock().paused
    }

    pub(crate) fn flush(&self) {
        self.change(|state| state.agenda.flush());
    }

    pub(crate) fn len(&self) -> usize {
        self.state.lock().agenda.len()
    }

    pub(crate) fn is_full(&self) -> bool {
        let state = self.state.lock();
        state.operator.is_some() && state.agenda.len() >= state.capacity
    }

    pub(crate) fn take_undelivered(&self) -> Vec<(Moment, T)> {
        mem::take(&mut self.state.lock().undelivered)
    }
}

impl<K, T> Drop for Timetable<K, T> {
    fn drop(&mut self) {
        let undelivered = mem::take(&mut self.state.get_mut().undelivered);
        undelivered.into_iter().for_each(shield::discard);
    }
}

impl<K, T> State<K, T> {
    fn with_hash(&self, hash: u64) -> Vec<Candidate<K>> {
        let mut candidates = Vec::new();
        let mut next = self.hashes.get(&hash).copied();
        while let Some((slot, entry)) = next.and_then(|slot| Some((slot, self.agenda.get(slot)?))) {
            let key = Arc::clone(&entry.key);
            candidates.push(Candidate { slot, key });
            next = entry.after;
        }
        candidates
    }

    /// Whether it is still inside: its place may be another's by now.
    fn holds(&self, candidate: &Candidate<K>) -> bool {
        let entry = self.agenda.get(candidate.slot);
        entry.is_some_and(|entry| Arc::ptr_eq(&entry.key, &candidate.key))
    }

    fn insert(&mut self, due: Moment, mut entry: Entry<K, T>) {
        let hash = entry.hash;
        let after = self.hashes.get(&hash).copied();
        entry.after = after;
        let slot = self.agenda.add(due, entry);
        self.hashes.insert(hash, slot);
        if let Some(after) = after.and_then(|after| self.agenda.get_mut(after)) {
            after.before = Some(slot);
        }
    }

    fn remove(&mut self, slot: usize) -> Option<Entry<K, T>> {
        let entry = self.agenda.take(slot)?;
        self.unlink(&entry);
        Some(entry)
    }

    fn take_due(&mut self, now: Moment) -> Option<Entry<K, T>> {
        let entry = self.agenda.take_due(now)?;
        self.unlink(&entry);
        Some(entry)
    }

    fn unlink(&mut self, entry: &Entry<K, T>) {
        if let Some(after) = entry.after.and_then(|after| self.agenda.get_mut(after)) {
            after.before = entry.before;
        }
        match (entry.before, entry.after) {
            (Some(before), after) => {
                if let Some(before) = self.agenda.get_mut(before) {
                    before.after = after;
                }
            }
            (None, Some(after)) => {
                self.hashes.insert(entry.hash, after);
            }
            (None, None) => {
                self.hashes.remove(&entry.hash);
            }
        }
        if self.agenda.len() == 0 {
            self.hashes.shrink_to(LOT);
        }
    }
}

/// The right to put items into a timetable, if it is the only one.
pub(crate) struct Claim<K, T> {
    table: Arc<Timetable<K, T>>,
    only: bool,
}

impl<K, T> Claim<K, T> {
    /// Whether no other step had it already. One that did is not started.
    pub(crate) fn is_only(&self) -> bool {
        self.only
    }
}

impl<K, T> Drop for Claim<K, T> {
    fn drop(&mut self) {
        if self.only {
            self.table.claimed.store(false, SeqCst);
        }
    }
}

/// Keeps up to `capacity` items in a timetable, each until it is due.
pub(crate) struct Scheduled<K, T: Send + 'static, F> {
    inlet: Inlet<T>,
    out: Filler<T>,
    claim: Claim<K, T>,
    function: F,
    capacity: usize,
    /// Nothing more comes.
    ended: bool,
    /// On their way into the timetable, and out of it.
    coming: Vec<(Moment, Entry<K, T>)>,
    leaving: Vec<Entry<K, T>>,
    timer: Timer,
    /// It waits for items alone: what is inside may be taken out by its owner, which makes room.
    inside: bool,
}

/// What was seen of the timetable under its lock.
struct Look {
    len: usize,
    /// Something is due, for which there was no room.
    blocked: bool,
    /// When the next item is due; none if it is not to be waited for.
    due: Option<Moment>,
}

impl<K, T, F> Scheduled<K, T, F>
where
    K: Hash + Eq + Send + Sync + 'static,
    T: Send + 'static,
    F: Fn(&T) -> (K, Moment),
{
    pub(crate) fn new(
        inlet: Inlet<T>,
        out: Filler<T>,
        claim: Claim<K, T>,
        capacity: usize,
        function: F,
    ) -> Self {
        {
            let mut state = claim.table.state.lock();
            state.capacity = capacity;
            state.operator = Some(Address {
                hub: Arc::clone(inlet.hub()),
                seat: Arc::clone(out.seat()),
            });
        }
        Scheduled {
            inlet,
            out,
            claim,
            function,
            capacity,
            ended: false,
            coming: Vec::new(),
            leaving: Vec::new(),
            timer: Timer::default(),
            inside: false,
        }
    }

    /// Takes up to `most` items. True if it is time to come back.
    fn take(&mut self, most: usize, context: &Context<'_>, bench: &mut Bench) -> bool {
        for _ in 0..most.min(LOT) {
            match self.inlet.poll_next(context) {
                Poll::Ready(Some(Envelope { item, ticket })) => {
                    let long = bench.took();
                    let hasher = &self.claim.table.hasher;
                    let keyed = || {
                        let (key, due) = (self.function)(&item);
                        (hasher.hash_one(&key), key, due)
                    };
                    match bench.shielded(ticket, keyed) {
                        Some(((hash, key, due), ticket)) => {
                            let entry = Entry {
                                envelope: Envelope::new(item, ticket),
                                key: Arc::new(key),
                                hash,
                                before: None,
                                after: None,
                            };
                            self.coming.push((due, entry));
                        }
                        None => shield::discard(item),
                    }
                    if long {
                        return true;
                    }
                }
                Poll::Ready(None) => {
                    self.ended = true;
                    break;
                }
                Poll::Pending => break,
            }
        }
        false
    }

    /// Enters what has come, and takes up to `room` items that are due.
    fn turn(&mut self, room: usize) -> Look {
        let mut state = self.claim.table.state.lock();
        for (due, entry) in self.coming.drain(..) {
            state.insert(due, entry);
        }
        let mut look = Look {
            len: state.agenda.len(),
            blocked: false,
            due: None,
        };
        if state.paused {
            return look;
        }
        let now = Moment::now();
        for _ in 0..room.min(LOT) {
            let Some(entry) = state.take_due(now) else {
                break;
            };
            self.leaving.push(entry);
        }
        look.len = state.agenda.len();
        look.blocked = state.agenda.has_due(now);
        look.due = state.agenda.next_due();
        look
    }

    /// Hands on what has been taken out.
    fn give(&mut self, bench: &mut Bench) -> bool {
        let mut long = false;
        for Entry { envelope, key, .. } in self.leaving.drain(..) {
            self.out.push(envelope);
            bench.gave();
            long |= bench.is_due();
            shield::discard(key);
        }
        long
    }
}

impl<K, T, F> Operator for Scheduled<K, T, F>
where
    K: Hash + Eq + Send + Sync + 'static,
    T: Send + 'static,
    F: Fn(&T) -> (K, Moment) + Send + 'static,
{
    fn poll_work(&mut self, context: &mut Context<'_>, bench: &mut Bench) -> Poll<Step> {
        let mut look = self.turn(0);
        loop {
            if self.out.is_unwanted() {
                return Poll::Ready(Step::End);
            }
            // others only take items out, so there is room for at least so many
            let space = self.capacity.saturating_sub(look.len);
            let long = self.take(space, context, bench);
            let taken = self.coming.len();
            let room = self.out.poll_room();
            look = self.turn(match room {
                Poll::Ready(room) => room,
                Poll::Pending => 0,
            });
            let given = self.leaving.len();
            if self.give(bench) || long {
                return Poll::Ready(Step::Pause);
            }
            if self.ended && look.len == 0 {
                return Poll::Ready(Step::End);
            }
            if taken + given > 0 {
                continue;
            }
            self.inside = look.len == 0;
            if look.blocked && room.is_pending() {
                return Poll::Pending;
            }
            let Some(due) = look.due else {
                return Poll::Pending;
            };
            if due > Moment::now() {
                ready!(self.timer.poll_until(due, context));
            }
        }
    }

    fn waits_inside(&self) -> bool {
        self.inside
    }

    fn flush(&mut self) -> bool {
        self.out.flush()
    }

    fn end(&mut self) {
        self.out.end();
    }

    /// What is inside is handed back.
    fn cancel(&mut self, ledger: &Ledger) {
        let (mut agenda, hashes, operator) = {
            let mut state = self.claim.table.state.lock();
            (
                mem::take(&mut state.agenda),
                mem::take(&mut state.hashes),
                state.operator.take(),
            )
        };
        drop((hashes, operator));
        let leaving = self.leaving.drain(..).map(|entry| entry.envelope);
        leaving.for_each(|envelope| ledger.cancel(envelope));
        for (due, entry) in self.coming.drain(..) {
            agenda.add(due, entry);
        }
        let mut undelivered = Vec::with_capacity(agenda.len());
        for (due, Entry { envelope, key, .. }) in agenda.take_sorted() {
            let Envelope { item, ticket } = envelope;
            ledger.settle(ticket, Fate::Cancelled);
            shield::discard(key);
            undelivered.push((due, item));
        }
        self.claim
            .table
            .state
            .lock()
            .undelivered
            .extend(undelivered);
    }
}
