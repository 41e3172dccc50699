//! Limits of time for bodies that cannot be interrupted.
//!
//! A body on a blocking thread cannot be dropped half-way. When its time is over its item is decided
//! all the same: it has failed, its sequence is a gap, and others go on. The worker and its permit stay
//! taken until the body comes back; what it then brings is dropped.
//!
//! So two may decide about an item, its worker and the keeper, a task that is there only while such
//! items are in work. Whoever takes the item's entry out of the table does, and the lock of the
//! table lets only one of them.

use std::{future::poll_fn, sync::Arc, task::Poll};

use super::{
    envelope::Slot,
    failures::{Failure, Told, Unsent},
    hub::Task,
    ledger::Fate,
    seat::{Role, Seat},
    station::{Fuse, Station, Work},
    tally::Tally,
    ticket::Ticket,
};
use crate::{
    error::{BoxError, ErrorKind, Limit, TimedOut},
    rt::{Moment, Mutex, Timer},
};

/// The items of a stage that are in such bodies. `T` is what the stage is given.
pub(super) struct Watch<T>(Mutex<Table<T>>);

struct Table<T> {
    entries: Vec<Option<Entry<T>>>,
    free: Vec<usize>,
    /// There is a keeper, or one is being spawned.
    keeper: Option<Arc<Seat>>,
    /// What the keeper waits for.
    armed: Option<Moment>,
}

/// An item that whoever holds this decides about.
pub(super) struct Entry<T> {
    /// Its place in the output.
    pub(super) sequence: u64,
    pub(super) ticket: Ticket,
    pub(super) attempts: u32,
    pub(super) due: (Moment, Limit),
    /// For another attempt, or for the dead letters.
    pub(super) copy: Option<T>,
    /// What the attempt before failed with.
    pub(super) last: Option<BoxError>,
}

impl<T> Default for Watch<T> {
    fn default() -> Self {
        Watch(Mutex::new(Table {
            entries: Vec::new(),
            free: Vec::new(),
            keeper: None,
            armed: None,
        }))
    }
}

impl<T> Watch<T> {
    /// The worker has a result, or the run is over: it decides, if it is given the entry.
    pub(super) fn take(&self, key: usize) -> Option<Entry<T>> {
        let mut table = self.0.lock();
        table.free.push(key);
        table.entries[key].take()
    }

    /// The stage has come to its end.
    pub(super) fn end(&self) {
        let keeper = self.0.lock().keeper.clone();
        if let Some(keeper) = keeper {
            keeper.wake();
        }
    }

    /// When the next item is due. If there is none, the keeper goes.
    fn next_due(&self) -> Option<Moment> {
        let mut table = self.0.lock();
        table.armed = table
            .entries
            .iter()
            .flatten()
            .map(|entry| entry.due.0)
            .min();
        if table.armed.is_none() {
            table.keeper = None;
        }
        table.armed
    }

    /// The items whose time was over at `moment`.
    fn expired(&self, moment: Moment) -> Vec<Entry<T>> {
        let mut table = self.0.lock();
        let due = table
            .entries
            .iter_mut()
            .filter(|entry| entry.as_ref().is_some_and(|entry| entry.due.0 <= moment));
        due.filter_map(Option::take).collect()
    }
}

impl<W: Work, P: Fuse<W::Out>> Station<W, P> {
    /// An item begins, and is done in time or not at all. Gives the key under which its worker takes
    /// it back.
    pub(super) fn watch_over(self: &Arc<Self>, watch: &Watch<W::In>, entry: Entry<W::In>) -> usize {
        let due = entry.due.0;
        let mut table = watch.0.lock();
        let key = table.free.pop().unwrap_or(table.entries.len());
        if key == table.entries.len() {
            table.entries.push(None);
        }
        table.entries[key] = Some(entry);
        let hurry = table.armed.is_some_and(|armed| due < armed);
        if let Some(keeper) = &table.keeper {
            let keeper = hurry.then(|| Arc::clone(keeper));
            drop(table);
            if let Some(keeper) = keeper {
                keeper.wake();
            }
            return key;
        }
        let task = self.hub.task(Role::Worker);
        table.keeper = Some(Arc::clone(task.seat()));
        drop(table);
        self.hub.runtime().spawn(keep(task, Arc::clone(self)));
        key
    }

    /// Nobody else decides about this item any more. What comes back is to be sent, with waiting.
    fn time_is_over(self: &Arc<Self>, entry: Entry<W::In>) -> Option<Late<W, P>> {
        let Entry {
            sequence,
            ticket,
            attempts,
            due: (_, limit),
            copy,
            last,
        } = entry;
        let mut counted = Counted {
            station: Arc::clone(self),
            tally: Tally {
                failed: 1,
                timeouts: 1,
                undelivered: 1,
                ..Tally::default()
            },
        };
        let origin = ticket.origin();
        let ledger = self.hub.ledger();
        ledger.settle_or_count(ticket, Fate::Failed, &mut counted.tally.failed_items);
        let mut gap = [Slot::Gap].into();
        self.output.complete(self.plan.ordered, sequence, &mut gap);
        let source = TimedOut::new(limit, self.recovery.time_of(limit), last);
        let failure = Failure::new(ErrorKind::TimedOut, source.into());
        match self.tell(failure, origin, attempts, copy) {
            Told::Yes => counted.tally.undelivered = 0,
            Told::No => {}
            Told::Wait(unsent) => return Some(Late { unsent, counted }),
        }
        None
    }
}

/// A failure that waits for room in its channel.
struct Late<W: Work, P: Fuse<W::Out>> {
    unsent: Unsent<W::Item>,
    counted: Counted<W, P>,
}

/// What was decided about an item: counted when it is dropped, also when that is because the runtime
/// goes (I9).
struct Counted<W: Work, P: Fuse<W::Out>> {
    station: Arc<Station<W, P>>,
    tally: Tally,
}

impl<W: Work, P: Fuse<W::Out>> Drop for Counted<W, P> {
    fn drop(&mut self) {
        if let Some(input) = self.station.input.upgrade() {
            input.count(&mut self.tally);
        }
    }
}

/// The keeper: as long as there are items to look after.
async fn keep<W: Work, P: Fuse<W::Out>>(task: Task, station: Arc<Station<W, P>>) {
    task.take_seat().await;
    let hub = Arc::clone(task.hub());
    let mut timer = Timer::default();
    while let Some(watch) = &station.watch {
        let expired = poll_fn(|context| {
            loop {
                if hub.stopped() {
                    return Poll::Ready(None);
                }
                let Some(due) = watch.next_due() else {
                    return Poll::Ready(None);
                };
                if timer.poll_until(due, context).is_pending() {
                    return Poll::Pending;
                }
                let expired = watch.expired(due);
                if !expired.is_empty() {
                    return Poll::Ready(Some(expired));
                }
            }
        });
        let Some(expired) = expired.await else { break };
        let over = |entry| station.time_is_over(entry);
        let late: Vec<_> = expired.into_iter().filter_map(over).collect();
        for mut late in late {
            if late.unsent.send_later(&hub).await {
                late.counted.tally.undelivered = 0;
            }
        }
    }
    task.finish();
}
