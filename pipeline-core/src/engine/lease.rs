//! What a worker holds, and the promise that it is given back however the worker ends.

use std::{collections::VecDeque, mem, sync::Arc, task::Poll};

use super::{
    edge::{Claim, Desk, Edge},
    envelope::{Envelope, Slot},
    failures::{Failure, Told, Unsent},
    hub::Task,
    ledger::Fate,
    shield,
    station::{Fuse, Station, Work},
    ticket::Ticket,
    watch::Entry,
};
use crate::{
    error::{BoxError, Cause, ErrorKind, Limit},
    rt::{Moment, Timer},
};

/// A permit, a run, and the results of it that are not delivered yet. Dropped in the middle of work
/// (its runtime is going away) it stops the run, fills its sequences and starts nobody (I2, I8).
pub(super) struct Lease<W: Work, P: Fuse<W::Out>> {
    task: Option<Task>,
    pub(super) station: Arc<Station<W, P>>,
    input: Arc<Edge<W::In>>,
    pub(super) desk: Desk<W::In>,
    results: VecDeque<Slot<P::Out>>,
    /// The item in work. None if there is none, or if the keeper may decide about it as well.
    current: Option<Ticket>,
    /// The entry of the item in work, in the table where the keeper may take it.
    watched: Option<usize>,
    /// The same once more, for another attempt or for the dead letters.
    pub(super) copy: Option<W::In>,
    /// What the attempt before has failed with.
    pub(super) last: Option<BoxError>,
    /// A failure waits for room in its channel: nobody receives it if this ends.
    pub(super) untold: bool,
    /// For the limits of time and the pauses of the item in work.
    pub(super) timer: Timer,
}

impl<W: Work, P: Fuse<W::Out>> Lease<W, P> {
    pub(super) fn new(task: Task, station: Arc<Station<W, P>>, input: Arc<Edge<W::In>>) -> Self {
        let desk = Desk::new(Arc::clone(task.seat()));
        Lease {
            task: Some(task),
            station,
            input,
            desk,
            results: VecDeque::new(),
            current: None,
            watched: None,
            copy: None,
            last: None,
            untold: false,
            timer: Timer::default(),
        }
    }

    pub(super) async fn take_seat(&mut self) {
        if let Some(task) = &mut self.task {
            task.take_seat().await;
        }
    }

    #[inline]
    pub(super) fn now(&self) -> u64 {
        self.station.hub.now()
    }

    #[inline]
    pub(super) fn stopped(&self) -> bool {
        self.station.hub.stopped() || self.station.output.is_unwanted()
    }

    /// Whether there is an item in work.
    #[inline]
    pub(super) fn has_begun(&self) -> bool {
        self.current.is_some() || self.watched.is_some()
    }

    pub(super) fn claim(&mut self) -> Poll<Claim> {
        self.input.claim(&mut self.desk, &self.station.output)
    }

    /// Begins the next item of the run.
    #[inline]
    pub(super) fn begin(&mut self) -> Option<W::In> {
        let Envelope { item, ticket } = self.desk.next()?;
        self.current = Some(ticket);
        self.desk.tally.taken += 1;
        Some(item)
    }

    /// Gives up the next item whose key could not be had. What comes back is to be sent, with waiting, by the
    /// caller.
    pub(super) fn refuse(&mut self) -> Option<Option<Unsent<W::Item>>> {
        let (ticket, error) = self.desk.next_refused()?;
        self.current = Some(ticket);
        self.desk.tally.taken += 1;
        Some(self.failed(Failure::new(ErrorKind::Panicked, error), 1))
    }

    /// Another number for each item, and other ones in each run.
    pub(super) fn seed(&self) -> u64 {
        let index = self.current.as_ref().map_or(0, Ticket::index);
        self.station.hub.seed() ^ index
    }

    /// Copies the item in work, if that will be needed. Code of the user's.
    #[inline]
    pub(super) fn keep(&mut self, item: &W::In) {
        if let Some(copy) = self.station.recovery.copy {
            self.copy = Some(W::copy(item, copy));
        }
    }

    /// The body that is about to begin cannot be interrupted, but decided about.
    pub(super) fn watch(&mut self, due: (Moment, Limit), attempts: u32) {
        if let Some(watch) = &self.station.watch
            && let Some(ticket) = self.current.take()
        {
            let entry = Entry {
                // it has been counted as begun
                sequence: self.desk.sequence() - 1,
                ticket,
                attempts,
                due,
                copy: self.copy.take(),
                last: self.last.take(),
            };
            self.watched = Some(self.station.watch_over(watch, entry));
        }
    }

    #[inline]
    pub(super) fn is_watched(&self) -> bool {
        self.watched.is_some()
    }

    /// False if it has been decided meanwhile that the item in work has failed.
    pub(super) fn still_decides(&mut self) -> bool {
        let Some(key) = self.watched.take() else {
            return true;
        };
        let watch = self.station.watch.as_ref();
        match watch.and_then(|watch| watch.take(key)) {
            Some(Entry {
                ticket, copy, last, ..
            }) => {
                self.current = Some(ticket);
                (self.copy, self.last) = (copy, last);
                true
            }
            None if cfg!(planted = "timeout") => {
                self.current = Some(Ticket::Single {
                    source: 0,
                    index: 0,
                });
                true
            }
            None => false,
        }
    }

    /// The current item has a result.
    #[inline]
    pub(super) fn done(&mut self, item: P::Out) {
        if let Some(ticket) = self.current.take() {
            self.desk.tally.given += 1;
            self.results
                .push_back(Slot::Done(Envelope::new(item, ticket)));
        }
    }

    /// The current item was left out by a fused step.
    pub(super) fn filtered(&mut self) {
        if let Some(ticket) = self.current.take() {
            let tally = &mut self.desk.tally;
            tally.filtered += 1;
            let ledger = self.station.hub.ledger();
            ledger.settle_or_count(ticket, Fate::Filtered, &mut tally.filtered_items);
            self.results.push_back(Slot::Gap);
        }
    }

    /// The current item has failed for good. What comes back is to be sent, with waiting, by the
    /// caller.
    pub(super) fn failed(&mut self, failure: Failure, attempts: u32) -> Option<Unsent<W::Item>> {
        let ticket = self.current.take()?;
        let origin = ticket.origin();
        let tally = &mut self.desk.tally;
        tally.failed += 1;
        tally.panics += u64::from(failure.kind == ErrorKind::Panicked);
        tally.timeouts += u64::from(failure.kind == ErrorKind::TimedOut);
        let ledger = self.station.hub.ledger();
        ledger.settle_or_count(ticket, Fate::Failed, &mut tally.failed_items);
        if cfg!(planted = "gap") && origin.first() % 5 == 4 {
            // the sequence is never completed
            self.deliver();
        } else {
            self.results.push_back(Slot::Gap);
        }
        let copy = self.copy.take();
        shield::discard(self.last.take());
        match self.station.tell(failure, origin, attempts, copy) {
            Told::Yes => None,
            Told::No => {
                self.lost_error();
                None
            }
            Told::Wait(unsent) => Some(unsent),
        }
    }

    /// Nobody receives an error of this worker's.
    pub(super) fn lost_error(&mut self) {
        self.desk.tally.undelivered += 1;
    }

    /// The current item was dropped because the run was stopped.
    pub(super) fn cancelled(&mut self) {
        self.still_decides();
        shield::discard((self.copy.take(), self.last.take()));
        if let Some(ticket) = self.current.take() {
            let ledger = self.station.hub.ledger();
            ledger.settle(ticket, Fate::Cancelled);
            self.results.push_back(Slot::Gap);
        }
    }

    /// Hands on what is finished.
    #[inline]
    pub(super) fn deliver(&mut self) {
        let begun = self.desk.sequence();
        // results lie at the end of what has been begun, the item in work after them
        let first = begun - self.results.len() as u64 - u64::from(self.has_begun());
        self.desk.woke |=
            self.station
                .output
                .complete(self.station.plan.ordered, first, &mut self.results);
    }

    /// The current item waits.
    pub(super) fn park(&mut self) {
        self.deliver();
        let in_work = self.has_begun();
        self.input.park(&mut self.desk, in_work);
    }

    pub(super) fn unpark(&mut self) {
        self.input.unpark(&mut self.desk);
    }

    /// The rest of the run is for others.
    pub(super) fn give_back(&mut self, item_ns: Option<u64>) {
        self.deliver();
        let in_work = self.has_begun();
        self.input.give_back(&mut self.desk, in_work, item_ns);
    }

    /// The worker ends as it should.
    pub(super) fn leave(mut self) -> Option<Task> {
        self.clear();
        self.task.take()
    }

    fn clear(&mut self) {
        if mem::take(&mut self.untold) {
            self.lost_error();
        }
        self.cancelled();
        self.deliver();
        let ledger = self.station.hub.ledger();
        for envelope in self.desk.clear() {
            ledger.cancel(envelope);
        }
        while let Some((ticket, error)) = self.desk.next_refused() {
            ledger.settle(ticket, Fate::Cancelled);
            shield::discard(error);
        }
        self.input.retire(&mut self.desk);
    }
}

impl<W: Work, P: Fuse<W::Out>> Drop for Lease<W, P> {
    fn drop(&mut self) {
        if let Some(task) = self.task.take() {
            // first, so that nobody is started by what follows
            task.hub().stop(Cause::RuntimeGone);
            self.clear();
            mem::drop(task);
        }
    }
}
