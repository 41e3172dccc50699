//! The primitives as tokio and the standard library have them.

use std::{
    hash::{BuildHasher, Hasher, RandomState},
    pin::{Pin, pin},
    sync::{Arc, MutexGuard, PoisonError},
    task::{Context, Poll, Wake, Waker},
    thread::{self, Thread},
    time::{Duration, Instant},
};

use tokio::{
    runtime::{Handle, RuntimeFlavor},
    time::Sleep,
};

pub(crate) mod atomic {
    #[cfg_attr(loom, expect(unused_imports, reason = "replaced"))]
    pub(crate) use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
}

/// A mutex without poison: no code of the user's ever runs under it, so there is nothing that a
/// panic could leave half done.
#[derive(Debug, Default)]
pub(crate) struct Mutex<T>(std::sync::Mutex<T>);

impl<T> Mutex<T> {
    pub(crate) fn new(value: T) -> Self {
        Mutex(std::sync::Mutex::new(value))
    }

    #[inline]
    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn get_mut(&mut self) -> &mut T {
        self.0.get_mut().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The runtime that a run was started on. Everything is spawned through it, whoever calls.
#[derive(Debug, Clone)]
pub(crate) struct Runtime(Handle);

impl Runtime {
    pub(crate) fn try_current() -> Option<Self> {
        Handle::try_current().ok().map(Runtime)
    }

    /// The task owns its end: nobody joins it, what it holds tells others by being dropped.
    ///
    /// Boxed, so that tokio's own part of a task is compiled once, here, and not for every step of every
    /// pipeline: that was a quarter of the code that was generated for a program with many of them.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let task: Pin<Box<dyn Future<Output = ()> + Send>> = Box::pin(task);
        drop(self.0.spawn(task));
    }

    pub(crate) fn spawn_blocking(&self, work: impl FnOnce() + Send + 'static) {
        let work: Box<dyn FnOnce() + Send> = Box::new(work);
        drop(self.0.spawn_blocking(work));
    }

    /// How many threads run tasks.
    pub(crate) fn threads(&self) -> usize {
        self.0.metrics().num_workers().max(1)
    }

    /// Whether a task can go on while another one is in the middle of a poll.
    pub(crate) fn is_multi_thread(&self) -> bool {
        self.0.runtime_flavor() != RuntimeFlavor::CurrentThread
    }
}

/// Nanoseconds since the clock was made. For measuring, so it runs even when tokio's clock is
/// paused.
#[derive(Debug)]
pub(crate) struct Clock(Instant);

impl Clock {
    pub(crate) fn new() -> Self {
        Clock(Instant::now())
    }

    #[inline]
    pub(crate) fn now(&self) -> u64 {
        u64::try_from(self.0.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

/// Lets every other task that is ready go first, and lets another thread take this one over.
///
/// Not `tokio::task::yield_now`: a task that yields that way is put aside until the thread has
/// looked at its drivers, and no other thread can take it meanwhile (two stages of parallelism 1
/// ran on one core, 2.06 times slower). A task that wakes itself goes to the back of the thread's
/// queue, where it can be stolen. The task in the thread's LIFO slot (the one woken last) cannot:
/// that is why whoever wakes another task gives way soon afterwards.
pub(crate) async fn give_way() {
    let mut gave = false;
    std::future::poll_fn(|context| {
        if gave {
            return Poll::Ready(());
        }
        gave = true;
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Whether tokio's cooperative budget allows this task to go on in this poll.
#[inline]
pub(crate) fn has_budget() -> bool {
    tokio::task::coop::has_budget_remaining()
}

/// Waits for the time to pass by tokio's clock. Panics when polled on a runtime without timers.
pub(crate) async fn sleep(time: Duration) {
    tokio::time::sleep(time).await;
}

/// A point in time by tokio's clock, which is the one that limits of time are counted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Moment(tokio::time::Instant);

impl Moment {
    #[inline]
    pub(crate) fn now() -> Self {
        Moment(tokio::time::Instant::now())
    }

    /// The time since then; none if it is still to come.
    pub(crate) fn since(self, earlier: Self) -> Duration {
        self.0.saturating_duration_since(earlier.0)
    }

    /// None if it is too far away to be told, which is to say never.
    pub(crate) fn after(self, time: Duration) -> Option<Self> {
        self.0.checked_add(time).map(Moment)
    }

    pub(crate) fn at(instant: tokio::time::Instant) -> Self {
        Moment(instant)
    }

    pub(crate) fn instant(self) -> tokio::time::Instant {
        self.0
    }

    /// As far away as a timer can be set, if it is farther: 30 years, as tokio has it for its own. A timer
    /// that fires too early is set again.
    fn in_reach(self) -> tokio::time::Instant {
        const REACH: Duration = Duration::from_secs(30 * 365 * 24 * 60 * 60);
        let reach = Moment::now().after(REACH);
        reach.map_or(self.0, |reach| reach.0.min(self.0))
    }
}

/// One timer for one deadline after another.
///
/// To register a deadline takes a lock that all threads share, so it is not done for each one: a
/// timer that is armed for an earlier one is left alone, and armed anew when it fires too early.
/// Of 1,000 items that are done in time it is armed for a few.
#[derive(Debug, Default)]
pub(crate) struct Timer(Option<Pin<Box<Sleep>>>);

impl Timer {
    /// Ready once `deadline` is over. Only for the task that has polled it before, and on a runtime
    /// with timers.
    pub(crate) fn poll_until(&mut self, deadline: Moment, context: &mut Context<'_>) -> Poll<()> {
        let Some(timer) = &mut self.0 else {
            let timer = Box::pin(tokio::time::sleep_until(deadline.in_reach()));
            return self.0.insert(timer).as_mut().poll(context);
        };
        if timer.is_elapsed() {
            if Moment::now() >= deadline {
                return Poll::Ready(());
            }
        } else if timer.deadline() <= deadline.0 {
            return Poll::Pending;
        }
        timer.as_mut().reset(deadline.in_reach());
        timer.as_mut().poll(context)
    }

    /// Whether `deadline`, which has been waited for, is over.
    pub(crate) fn has_passed(&self, deadline: Moment) -> bool {
        let fired = self.0.as_ref().is_some_and(|timer| timer.is_elapsed());
        fired && Moment::now() > deadline
    }
}

/// Another number each time, for jitter.
pub(crate) fn seed() -> u64 {
    RandomState::new().build_hasher().finish()
}

/// Stops this thread for a while; for threads that may block.
pub(crate) fn nap(time: Duration) {
    thread::sleep(time);
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Runs a future on this thread, which sleeps whenever the future waits.
///
/// Not `Handle::block_on`, which panics once the runtime is shutting down.
pub(crate) fn block_on(future: impl Future<Output = ()>) {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    while future.as_mut().poll(&mut context).is_pending() {
        thread::park();
    }
}

/// Whether this runtime has timers. There is no way to ask: a timer of a runtime without any panics.
pub(crate) fn has_timers() -> bool {
    std::panic::catch_unwind(|| {
        let mut timer = pin!(tokio::time::sleep(Duration::ZERO));
        let _ = timer.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    })
    .is_ok()
}
