//! The place of a task in its run: how it is woken, and how others see that it goes on.

use std::{
    sync::{Arc, OnceLock},
    task::Waker,
};

use super::stall::{Census, Watched};
use crate::rt::{
    Padded,
    atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
};

/// What a task is there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Source,
    Operator,
    Worker,
    End,
    Supervisor,
}

#[derive(Debug)]
pub(crate) struct Seat {
    role: Role,
    /// Set at the first poll; tasks of a runtime keep their waker for life.
    waker: OnceLock<Waker>,
    /// Odd while the task is working, and another number each time it comes by. Written by the
    /// task, read by the sentry.
    beat: Padded<AtomicU64>,
    /// Edges that the task fills, and from which somebody takes.
    wanted: AtomicUsize,
    /// In a run that could stall.
    watched: Option<Watched>,
}

impl Seat {
    pub(super) fn new(role: Role, census: Option<&Arc<Census>>) -> Self {
        Seat {
            role,
            waker: OnceLock::new(),
            beat: Padded::default(),
            wanted: AtomicUsize::new(0),
            watched: census.cloned().map(Watched::new),
        }
    }

    pub(super) fn role(&self) -> Role {
        self.role
    }

    pub(super) fn sit(&self, waker: &Waker) {
        self.waker.get_or_init(|| waker.clone());
    }

    /// Before its first poll a task needs no waking: that poll is on its way.
    pub(super) fn wake(&self) {
        self.rouse();
        if let Some(waker) = self.waker.get() {
            waker.wake_by_ref();
        }
    }

    /// The task fills an edge.
    pub(super) fn fills(&self) {
        self.wanted.fetch_add(1, Relaxed);
    }

    /// Nobody takes anything more from an edge that the task fills.
    pub(super) fn unwanted(&self) {
        self.wanted.fetch_sub(1, Relaxed);
        self.wake();
    }

    /// Whether nobody takes anything more from any edge that the task fills.
    #[inline]
    pub(super) fn is_unwanted(&self) -> bool {
        self.wanted.load(Relaxed) == 0
    }

    /// The task goes on, and is about to run code of the user's.
    #[inline]
    pub(super) fn work(&self) {
        self.begin();
        self.beat
            .store((self.beat.load(Relaxed) | 1).wrapping_add(2), Relaxed);
    }

    /// The task waits.
    #[inline]
    pub(super) fn rest(&self) {
        self.beat.store(self.beat.load(Relaxed) & !1, Relaxed);
    }

    /// A worker without work: it waits for nobody but its neighbours.
    pub(super) fn linger(&self) {
        self.rest();
        self.rest_inside();
    }

    /// To be called in each poll that may come to [rest inside](Self::rest_inside), before it looks for
    /// anything to do.
    #[inline]
    pub(super) fn begin(&self) {
        if let Some(watched) = &self.watched {
            watched.begin();
        }
    }

    /// The task waits for its neighbours and for nobody outside of the run: no code of the user's, no
    /// time. Only for a task all of whose neighbours wake it through this seat, or
    /// [rouse](Self::rouse) it first.
    #[inline]
    pub(super) fn rest_inside(&self) {
        if let Some(watched) = &self.watched {
            watched.rest();
        }
    }

    /// Whether it matters that it is roused.
    pub(super) fn is_watched(&self) -> bool {
        self.watched.is_some()
    }

    /// The task is about to be woken, if not through this seat.
    #[inline]
    pub(super) fn rouse(&self) {
        if let Some(watched) = &self.watched {
            watched.rouse();
        }
    }

    /// The task is gone.
    pub(super) fn leave(&self) {
        if let Some(watched) = &self.watched {
            watched.leave();
        }
    }

    /// Which rest inside this is, if it is one.
    pub(super) fn resting_inside(&self) -> Option<u64> {
        self.watched.as_ref().and_then(Watched::resting)
    }

    /// For the sentry: the same odd number twice means that one poll has lasted all the while.
    pub(super) fn beat(&self) -> u64 {
        self.beat.load(Relaxed)
    }
}
