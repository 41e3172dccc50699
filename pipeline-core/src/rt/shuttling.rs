//! The primitives as shuttle schedules them: every lock, atomic and spawn is a point where another
//! task may go first, and the seed decides.

use std::{
    sync::atomic::{AtomicU64 as Plain, Ordering::Relaxed},
    task::{Context, Poll},
    time::Duration,
};

pub(crate) use shuttle::future::block_on;
use shuttle::rand::{Rng, thread_rng};

pub(crate) mod atomic {
    pub(crate) use shuttle::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
}

#[derive(Debug, Default)]
pub(crate) struct Mutex<T>(shuttle::sync::Mutex<T>);

impl<T> Mutex<T> {
    pub(crate) fn new(value: T) -> Self {
        Mutex(shuttle::sync::Mutex::new(value))
    }

    pub(crate) fn lock(&self) -> shuttle::sync::MutexGuard<'_, T> {
        self.0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    pub(crate) fn get_mut(&mut self) -> &mut T {
        self.0
            .get_mut()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// Shuttle's own executor; there is always one. It stands for a runtime of two threads.
#[derive(Debug, Clone)]
pub(crate) struct Runtime;

impl Runtime {
    #[expect(clippy::unnecessary_wraps, reason = "the real one may have none")]
    pub(crate) fn try_current() -> Option<Self> {
        Some(Runtime)
    }

    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        drop(shuttle::future::spawn(task));
    }

    pub(crate) fn spawn_blocking(&self, work: impl FnOnce() + Send + 'static) {
        drop(shuttle::thread::spawn(work));
    }

    pub(crate) fn threads(&self) -> usize {
        2
    }

    pub(crate) fn is_multi_thread(&self) -> bool {
        true
    }
}

/// A clock that goes on by uneven steps each time it is read, so that schedules replay exactly and
/// runs of many lengths are seen.
#[derive(Debug)]
pub(crate) struct Clock(Plain);

impl Clock {
    pub(crate) fn new() -> Self {
        Clock(Plain::new(0))
    }

    pub(crate) fn now(&self) -> u64 {
        let now = self.0.load(Relaxed);
        self.0.store(now + 700 + (now % 13) * 900, Relaxed);
        now
    }
}

pub(crate) async fn give_way() {
    shuttle::future::yield_now().await;
}

pub(crate) fn has_budget() -> bool {
    true
}

/// Time has no order here: a sleep ends after a few turns of the scheduler, or after some more if it is one of
/// seconds, as those who close something are given.
pub(crate) async fn sleep(time: Duration) {
    let turns = if time < Duration::from_secs(1) { 3 } else { 50 };
    for _ in 0..turns {
        shuttle::future::yield_now().await;
    }
}

/// There is only one: what comes first is decided by lot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Moment;

impl Moment {
    pub(crate) fn now() -> Self {
        Moment
    }

    pub(crate) fn since(self, _: Self) -> Duration {
        Duration::ZERO
    }

    #[expect(clippy::unnecessary_wraps, reason = "the real one may be too far away")]
    pub(crate) fn after(self, _: Duration) -> Option<Self> {
        Some(self)
    }

    pub(crate) fn at(_: tokio::time::Instant) -> Self {
        Moment
    }

    pub(crate) fn instant(self) -> tokio::time::Instant {
        tokio::time::Instant::now()
    }
}

/// Fires after a few polls, by lot, so that it is seen to come before and after anything else.
#[derive(Debug, Default)]
pub(crate) struct Timer(Option<u8>);

impl Timer {
    pub(crate) fn poll_until(&mut self, _: Moment, context: &mut Context<'_>) -> Poll<()> {
        let polls = self.0.get_or_insert_with(|| thread_rng().gen_range(0..6));
        if *polls == 0 {
            self.0 = None;
            return Poll::Ready(());
        }
        *polls -= 1;
        context.waker().wake_by_ref();
        Poll::Pending
    }

    pub(crate) fn has_passed(&self, _: Moment) -> bool {
        false
    }
}

pub(crate) fn seed() -> u64 {
    0
}

pub(crate) fn nap(_: Duration) {
    shuttle::thread::yield_now();
}

pub(crate) fn has_timers() -> bool {
    true
}
