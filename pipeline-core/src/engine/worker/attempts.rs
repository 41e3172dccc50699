//! The attempts at one item: by when it has to be done, and whether and when it is tried again.

use std::{future::poll_fn, sync::Arc, task::Poll};

use super::{run::Progress, states::acquire};
use crate::{
    config::Pauses,
    engine::{
        failures::Failure,
        lease::Lease,
        recovery::Recovery,
        shield,
        station::{Fuse, Work},
    },
    error::{ErrorKind, Limit, TimedOut},
    rt::{self, Moment},
};

/// Of the item in work.
#[derive(Debug)]
pub(super) struct Attempts {
    /// Something below was set for the item.
    used: bool,
    /// How often the body was called.
    pub(super) count: u32,
    /// When the current one began, if that is known.
    begun: Option<Moment>,
    /// By when the item has to be done, known from its first wait on.
    stay: Option<Moment>,
    /// By when the attempt has to be done, known from its first wait on.
    due: Option<Option<(Moment, Limit)>>,
    /// What is left of the pauses, from the first failure on.
    pauses: Option<Pauses>,
}

impl Default for Attempts {
    fn default() -> Self {
        Attempts {
            used: false,
            count: 1,
            begun: None,
            stay: None,
            due: None,
            pauses: None,
        }
    }
}

impl Attempts {
    /// The first attempt at an item.
    #[inline]
    pub(super) fn start(&mut self, begun: Option<Moment>) {
        // most items leave nothing behind
        if self.used {
            *self = Attempts::default();
        }
        self.begun = begun;
    }

    /// Another one.
    pub(super) fn next(&mut self) {
        self.count += 1;
        self.begun = Some(Moment::now());
        self.due = None;
    }

    /// By when the current attempt has to be done. The clock is not read before that matters: most
    /// items never wait.
    pub(super) fn due<T>(&mut self, recovery: &Recovery<T>) -> Option<(Moment, Limit)> {
        if let Some(due) = self.due {
            return due;
        }
        self.used = true;
        let begun = self.begun.unwrap_or_else(Moment::now);
        if self.count <= 1 {
            self.stay = recovery.stay_from(begun);
        }
        let attempt = recovery.attempt_from(begun).map(|at| (at, Limit::Attempt));
        let stay = self.stay.map(|at| (at, Limit::Stay));
        let due = match (stay, attempt) {
            (Some(stay), Some(attempt)) if attempt.0 < stay.0 => Some(attempt),
            (stay, attempt) => stay.or(attempt),
        };
        self.due = Some(due);
        due
    }

    /// The same for an attempt that cannot be interrupted, which is now or never: only a limit after
    /// which the item has failed for good counts.
    pub(super) fn final_due<T>(&mut self, recovery: &Recovery<T>) -> Option<(Moment, Limit)> {
        let due = self.due(recovery);
        let retries = recovery.retry.map_or(0, |retry| retry.retries());
        match due {
            Some((_, Limit::Attempt)) if self.count <= retries => {
                self.stay.map(|at| (at, Limit::Stay))
            }
            due => due,
        }
    }

    /// The item has a result. Drops what was kept for another attempt: code of the user's.
    #[inline]
    pub(super) fn end<W: Work, P: Fuse<W::Out>>(&self, lease: &mut Lease<W, P>) {
        if lease.copy.is_some() {
            lease.copy = None;
        }
        if self.used {
            self.end_of_a_wait(lease);
        }
    }

    /// The result may have come late, if the body was ready when it was looked at next.
    #[cold]
    fn end_of_a_wait<W: Work, P: Fuse<W::Out>>(&self, lease: &mut Lease<W, P>) {
        if let Some(Some((due, _))) = self.due
            && lease.timer.has_passed(due)
        {
            lease.desk.tally.overruns += 1;
        }
        lease.last = None;
    }

    /// The attempt was not done in time.
    pub(super) fn out_of_time<W: Work, P: Fuse<W::Out>>(
        lease: &mut Lease<W, P>,
        limit: Limit,
    ) -> Failure {
        let time = lease.station.recovery.time_of(limit);
        let error = TimedOut::new(limit, time, lease.last.take());
        Failure::new(ErrorKind::TimedOut, error.into())
    }
}

/// What comes after an attempt that has failed, and deserves another one.
pub(super) enum Next {
    /// That one: its input lies ready.
    Attempt,
    /// Nothing: the item has failed for good.
    GivenUp(Failure),
    /// The run was stopped.
    Stopped,
}

/// Prepares another attempt, after a pause, if there is one left. It is not begun here, because the run
/// may have been stopped meanwhile, and then the state has not been at work and is to be closed.
///
/// The permit is held meanwhile, which slows a stage down when what it depends on is in trouble. The
/// rest of the run goes to others.
pub(super) async fn again<W, P>(
    lease: &mut Lease<W, P>,
    state: &mut Option<Box<W>>,
    progress: &mut Progress<W::In>,
    failure: Failure,
) -> Next
where
    W: Work,
    P: Fuse<W::Out>,
{
    let station = Arc::clone(&lease.station);
    let (recovery, attempts) = (&station.recovery, &mut progress.attempts);
    attempts.used = true;
    let (Some(retry), Some(copy)) = (recovery.retry, recovery.copy) else {
        return Next::GivenUp(failure);
    };
    let seed = lease.seed();
    let pauses = attempts.pauses.get_or_insert_with(|| retry.pauses(seed));
    let Some(pause) = pauses.next().filter(|_| lease.copy.is_some()) else {
        return Next::GivenUp(failure);
    };
    // from here on the item counts as one that had to wait
    progress.parked_at.get_or_insert_with(|| lease.now());
    lease.park();
    attempts.due(recovery);
    shield::discard(lease.last.replace(failure.error));
    if pause.is_zero() {
        // a body that fails at once must not keep its thread from everybody else
        rt::give_way().await;
        // the item is not even copied after a stop (I10)
        if station.hub.stopped() {
            return Next::Stopped;
        }
        if attempts.stay.is_some_and(|stay| Moment::now() > stay) {
            return Next::GivenUp(Attempts::out_of_time(lease, Limit::Stay));
        }
    } else {
        let until = Moment::now().after(pause);
        let wait = poll_fn(|context| {
            if lease.stopped() {
                return Poll::Ready(Some(Next::Stopped));
            }
            let over = attempts
                .stay
                .filter(|stay| until.is_none_or(|until| *stay < until));
            let Some(first) = over.or(until) else {
                return Poll::Pending;
            };
            lease
                .timer
                .poll_until(first, context)
                .map(|()| over.map(|_| Next::GivenUp(Attempts::out_of_time(lease, Limit::Stay))))
        });
        if let Some(next) = wait.await {
            return next;
        }
    }
    if state.is_none() {
        *state = acquire(lease).await;
    }
    if state.is_none() {
        return Next::Stopped;
    }
    let is_last = progress.attempts.count >= retry.retries() && recovery.dead_letters.is_none();
    progress.again = match &lease.copy {
        Some(kept) if !is_last => match shield::call(|| W::copy(kept, copy)) {
            Ok(item) => Some(item),
            Err(payload) => {
                let error = shield::panic_error(payload);
                return Next::GivenUp(Failure::new(ErrorKind::Panicked, error));
            }
        },
        _ => lease.copy.take(),
    };
    Next::Attempt
}

/// Where a body cannot be interrupted, somebody else looks after its limit of time.
#[inline]
pub(super) fn watch<W: Work, P: Fuse<W::Out>>(lease: &mut Lease<W, P>, attempts: &mut Attempts) {
    if lease.station.watch.is_some()
        && let Some(due) = attempts.final_due(&lease.station.recovery)
    {
        lease.watch(due, attempts.count);
    }
}
