//! The place of a task in its run: how it is woken, and how others see that it goes on.

use std::{sync::OnceLock, task::Waker};

use crate::rt::{
    Padded,
    atomic::{AtomicU64, Ordering::Relaxed},
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
}

impl Seat {
    pub(super) fn new(role: Role) -> Self {
        Seat {
            role,
            waker: OnceLock::new(),
            beat: Padded::default(),
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
        if let Some(waker) = self.waker.get() {
            waker.wake_by_ref();
        }
    }

    /// The task goes on, and is about to run code of the user's.
    #[inline]
    pub(super) fn work(&self) {
        self.beat
            .store((self.beat.load(Relaxed) | 1).wrapping_add(2), Relaxed);
    }

    /// The task waits.
    #[inline]
    pub(super) fn rest(&self) {
        self.beat.store(self.beat.load(Relaxed) & !1, Relaxed);
    }

    /// For the sentry: the same odd number twice means that one poll has lasted all the while.
    pub(super) fn beat(&self) -> u64 {
        self.beat.load(Relaxed)
    }
}
