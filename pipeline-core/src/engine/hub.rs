//! The run as a whole: its flags, its tasks, its one outcome.
//!
//! Everything that is there once a run is here; what is there once a stage is in its edge and its
//! station. Others hold it by `Arc`; it holds the edges until the last task has gone (I8).

use std::{
    fmt,
    future::poll_fn,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use tokio::time::Instant;

use super::{
    failures::Failures,
    ledger::Ledger,
    seat::{Role, Seat},
    sentry, shield,
    stall::Census,
};
use crate::{
    error::Cause,
    plan::Step,
    report::{Outcome, Report, StageReport},
    rt::{
        self, Clock, Mutex, Padded, Runtime,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
};

/// An edge and its station, seen from the run.
pub(crate) trait Link: Send + Sync {
    /// The run has been stopped: wake whoever waits here, and close what is to be closed.
    fn wind_down(&self) {}
    /// The supervisor is gone with the runtime: lets go of what is held by nobody who is dropped with it.
    fn let_go(&self) {}
    /// Starts a worker where one is missing because another does not come back. True while items
    /// wait for a worker that may not be started yet.
    fn look(self: Arc<Self>) -> bool {
        false
    }
    /// What the step behind this place has done, if there is one that counts.
    fn report(&self, _now: u64) -> Option<StageReport> {
        None
    }
    /// Drops everything that is left, outside of every lock.
    fn clear(&self, _ledger: &Ledger) {}
    /// In a run that has stalled: the input that is full, and the one that is waited for.
    fn stalled(&self) -> Option<(Arc<str>, Arc<str>)> {
        None
    }
}

pub(crate) struct Hub {
    runtime: Runtime,
    clock: Clock,
    started: Instant,
    span: tracing::Span,
    /// Of what is random.
    seed: u64,
    /// Read before each poll of the user's; written once.
    stopped: Padded<AtomicBool>,
    draining: AtomicBool,
    /// Sources are not asked for anything for the moment.
    paused: AtomicBool,
    /// Sources wait until the first states of the stages have been made.
    preparing: AtomicBool,
    /// The owner is gone: what is open is dropped, not closed.
    abandoned: AtomicBool,
    /// Closing has taken too long.
    overtime: AtomicBool,
    sentry: AtomicBool,
    ledger: Ledger,
    failures: Failures,
    roster: Mutex<Roster>,
    links: Mutex<Vec<Arc<dyn Link>>>,
    end: Mutex<End>,
    /// If the run could stall.
    census: Option<Arc<Census>>,
}

/// Who is there, and what was decided.
#[derive(Default)]
struct Roster {
    seats: Vec<Option<Arc<Seat>>>,
    free: Vec<usize>,
    tasks: usize,
    /// Tasks that are closing a source, a sink or a stage.
    closing: usize,
    cause: Option<Cause>,
    drain: Option<Deadline>,
    /// A source was stopped by the drain before it had come to its own end.
    cut: bool,
    ended: bool,
}

impl Roster {
    /// The first cause wins; a later one comes back.
    fn blame(&mut self, cause: Cause) -> Option<Cause> {
        if self.cause.is_some() {
            return Some(cause);
        }
        self.cause = Some(cause);
        None
    }
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Deadline {
    pub(super) at: Option<Instant>,
    pub(super) limit: Duration,
}

#[derive(Default)]
struct End {
    ended: Option<Ended>,
    /// The outcome is never given twice.
    given: bool,
    waiter: Option<Waker>,
    outcome: Option<Outcome>,
    elapsed: Duration,
    stages: Vec<StageReport>,
}

/// The outcome of a run.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) cause: Option<Cause>,
    pub(crate) report: Report,
}

#[cfg(all(test, not(any(shuttle, loom))))]
impl Hub {
    /// Of a run without anything in it.
    pub(super) fn on(runtime: &tokio::runtime::Handle) -> Arc<Self> {
        let _here = runtime.enter();
        let runtime = Runtime::try_current().expect("it has been entered");
        Hub::new(
            runtime,
            Failures::new(None, crate::error::Overflow::Count, None),
            false,
        )
    }
}

impl Hub {
    /// `may_stall`: its steps branch and come together again.
    pub(crate) fn new(runtime: Runtime, failures: Failures, may_stall: bool) -> Arc<Self> {
        Arc::new(Hub {
            runtime,
            clock: Clock::new(),
            started: Instant::now(),
            span: tracing::info_span!("pipeline"),
            seed: rt::seed(),
            stopped: Padded::default(),
            draining: AtomicBool::new(false),
            paused: AtomicBool::new(false),
            preparing: AtomicBool::new(true),
            abandoned: AtomicBool::new(false),
            overtime: AtomicBool::new(false),
            sentry: AtomicBool::new(false),
            ledger: Ledger::default(),
            failures,
            roster: Mutex::default(),
            links: Mutex::default(),
            end: Mutex::default(),
            census: may_stall.then(Arc::default),
        })
    }

    pub(crate) fn log_start(&self, steps: &[Step]) {
        let names: Vec<&str> = steps.iter().map(|step| &*step.name).collect();
        tracing::info!(parent: &self.span, steps = ?names, "started");
    }

    pub(super) fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    #[inline]
    pub(super) fn now(&self) -> u64 {
        self.clock.now()
    }

    pub(super) fn seed(&self) -> u64 {
        self.seed
    }

    pub(super) fn span(&self) -> &tracing::Span {
        &self.span
    }

    pub(super) fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    pub(super) fn failures(&self) -> &Failures {
        &self.failures
    }

    pub(crate) fn add(&self, link: Arc<dyn Link>) {
        self.links.lock().push(link);
    }

    pub(super) fn links(&self) -> Vec<Arc<dyn Link>> {
        self.links.lock().clone()
    }

    // ---------------------------------------------------------------- stopping

    /// No code of the user's is begun or polled again once this is true (I10).
    #[inline]
    pub(crate) fn stopped(&self) -> bool {
        self.stopped.load(SeqCst)
    }

    /// Ends the run, unless it has ended or is ending for another reason.
    pub(crate) fn stop(&self, cause: Cause) {
        // a cause that comes too late holds an error of the user's
        shield::discard(self.try_stop(cause));
    }

    /// The same; the cause comes back if it was not the first.
    pub(super) fn try_stop(&self, cause: Cause) -> Option<Cause> {
        let (late, seats) = {
            let mut roster = self.roster.lock();
            if roster.ended || self.stopped() {
                return Some(cause);
            }
            let late = roster.blame(cause);
            self.stopped.store(true, SeqCst);
            (late, roster.seats.clone())
        };
        seats.iter().flatten().for_each(|seat| seat.wake());
        late
    }

    /// The run cannot finish any more, but what is inside goes on: the source has failed, or something
    /// could not be closed.
    pub(super) fn doom(&self, cause: Cause) {
        let late = {
            let mut roster = self.roster.lock();
            if roster.ended {
                Some(cause)
            } else {
                roster.blame(cause)
            }
        };
        shield::discard(late);
    }

    /// The owner is gone.
    pub(crate) fn abandon(&self) {
        self.abandoned.store(true, SeqCst);
        self.stop(Cause::Cancelled);
        // a run that had been stopped before may be closing something
        self.wake_all();
        let mut end = self.end.lock();
        if let Some(ended) = end.ended.take() {
            drop(end);
            self.complain(ended.cause.as_ref());
        }
    }

    pub(super) fn abandoned(&self) -> bool {
        self.abandoned.load(SeqCst)
    }

    pub(super) fn draining(&self) -> bool {
        self.draining.load(SeqCst)
    }

    /// Sources are asked for nothing more, until [`resume`](Self::resume).
    pub(crate) fn pause(&self) {
        if !self.paused.swap(true, SeqCst) {
            tracing::info!(parent: &self.span, "paused");
            self.wake_sources();
        }
    }

    pub(crate) fn resume(&self) {
        if self.paused.swap(false, SeqCst) {
            tracing::info!(parent: &self.span, "resumed");
            self.wake_sources();
        }
    }

    pub(crate) fn is_paused(&self) -> bool {
        self.paused.load(SeqCst)
    }

    /// The first states are there.
    pub(super) fn prepared(&self) {
        self.preparing.store(false, SeqCst);
        self.wake_sources();
    }

    /// Whether sources have to wait, though there may be room.
    pub(super) fn holds_sources(&self) -> bool {
        self.is_paused() || self.preparing.load(SeqCst)
    }

    fn wake_sources(&self) {
        self.wake_each(Role::Source);
    }

    /// Some workers have to give up what they are at.
    pub(super) fn wake_workers(&self) {
        self.wake_each(Role::Worker);
    }

    fn wake_each(&self, role: Role) {
        let seats = self.roster.lock().seats.clone();
        let concerned = seats.iter().flatten();
        let concerned = concerned.filter(|seat| seat.role() == role);
        concerned.for_each(|seat| seat.wake());
    }

    /// Stops the source; what was taken goes on until `limit` is over. Of two calls the sooner
    /// deadline counts.
    pub(crate) fn drain(&self, limit: Duration) {
        let at = Instant::now().checked_add(limit);
        let seats = {
            let mut roster = self.roster.lock();
            if roster.ended {
                return;
            }
            let later = roster.drain.is_some_and(|old| match (old.at, at) {
                (Some(old), Some(new)) => old <= new,
                (Some(_), None) | (None, None) => true,
                (None, Some(_)) => false,
            });
            if later {
                return;
            }
            roster.drain = Some(Deadline { at, limit });
            self.draining.store(true, SeqCst);
            roster.seats.clone()
        };
        tracing::info!(parent: &self.span, ?limit, "draining");
        let concerned = seats
            .iter()
            .flatten()
            .filter(|seat| matches!(seat.role(), Role::Source | Role::Supervisor));
        concerned.for_each(|seat| seat.wake());
    }

    pub(super) fn deadline(&self) -> Option<Deadline> {
        self.roster.lock().drain
    }

    /// A source was stopped by the drain.
    pub(super) fn cut(&self) {
        self.roster.lock().cut = true;
    }

    // ---------------------------------------------------------------- closing

    /// What closes may go on: its owner is there, and it has not taken too long.
    pub(super) fn may_close(&self) -> bool {
        !self.abandoned() && !self.overtime.load(SeqCst)
    }

    /// Closing has taken too long: those who are still at it give up.
    pub(super) fn end_closing(&self) {
        self.overtime.store(true, SeqCst);
        self.wake_all();
    }

    fn wake_all(&self) {
        let seats = self.roster.lock().seats.clone();
        seats.iter().flatten().for_each(|seat| seat.wake());
    }

    // ---------------------------------------------------------------- tasks

    /// A place for a task of this run. It is made by whoever spawns, not in the task, so that a task
    /// that is dropped before its first poll is missed as well.
    pub(crate) fn task(self: &Arc<Self>, role: Role) -> Task {
        let seat = match (role, &self.census) {
            (Role::Supervisor, Some(census)) => {
                let seat = Arc::new(Seat::new(role, None));
                census.reports_to(&seat);
                seat
            }
            (_, census) => Arc::new(Seat::new(role, census.as_ref())),
        };
        let mut roster = self.roster.lock();
        roster.tasks += 1;
        let key = roster.free.pop().unwrap_or(roster.seats.len());
        if key == roster.seats.len() {
            roster.seats.push(None);
        }
        roster.seats[key] = Some(Arc::clone(&seat));
        drop(roster);
        Task {
            hub: Arc::clone(self),
            seat,
            key,
            closing: false,
            finished: false,
        }
    }

    /// Tasks beside the supervisor, and how many of them are closing something.
    pub(super) fn others(&self) -> (usize, usize) {
        let roster = self.roster.lock();
        (roster.tasks.saturating_sub(1), roster.closing)
    }

    /// Whether the sentry is to be called for items that wait behind running workers. Where there is
    /// one thread for all, there is nobody it could start.
    #[inline]
    pub(super) fn needs_sentry(&self, own_threads: bool) -> bool {
        !self.sentry.load(SeqCst) && (own_threads || self.runtime.is_multi_thread())
    }

    /// Asks the sentry to look at workers that do not come back; not under a lock.
    pub(super) fn call_sentry(self: &Arc<Self>) {
        if !self.sentry.swap(true, SeqCst) {
            sentry::launch(self);
        }
    }

    /// The sentry goes home, or comes back because it has been called meanwhile.
    pub(super) fn dismiss_sentry(&self) {
        self.sentry.store(false, SeqCst);
    }

    /// True if nobody else has called another one.
    pub(super) fn recall_sentry(&self) -> bool {
        !self.sentry.swap(true, SeqCst)
    }

    // ---------------------------------------------------------------- stalls

    /// The two neighbours that wait for each other, if the run cannot go on. Asked by the supervisor.
    pub(super) fn find_stall(&self) -> Option<(Arc<str>, Arc<str>)> {
        if !self.census.as_ref()?.is_quiet() || !self.all_rest() {
            return None;
        }
        let stalled = self.links().iter().find_map(|link| link.stalled());
        assert!(
            !cfg!(shuttle) || stalled.is_some(),
            "I12: a run that goes on, and all of its tasks wait"
        );
        stalled
    }

    /// Whether there was a moment at which each task waited for nobody but others of them (I12).
    fn all_rest(&self) -> bool {
        let roster = self.roster.lock();
        let seats = roster.seats.iter().flatten();
        let seats = seats.filter(|seat| seat.role() != Role::Supervisor);
        let look = || {
            let rests = seats.clone().map(|seat| seat.resting_inside());
            rests.collect::<Option<Vec<_>>>()
        };
        // who rests the same rest both times has rested in between as well
        let first = look();
        first.as_ref().is_some_and(|rests| !rests.is_empty()) && first == look()
    }

    // ---------------------------------------------------------------- the end

    /// Takes the run apart and makes its outcome known. The last thing that happens in a run.
    pub(super) fn conclude(&self) {
        let links = std::mem::take(&mut *self.links.lock());
        let now = self.now();
        links.iter().for_each(|link| link.clear(&self.ledger));
        let stages: Vec<_> = links.iter().filter_map(|link| link.report(now)).collect();
        drop(links);
        let (cause, cut) = {
            let mut roster = self.roster.lock();
            roster.ended = true;
            (roster.cause.take(), roster.cut)
        };
        let outcome = match &cause {
            None if cut => Outcome::Drained,
            None => Outcome::Finished,
            Some(Cause::Cancelled) => Outcome::Cancelled,
            Some(Cause::DeadlinePassed(_)) => Outcome::DeadlinePassed,
            Some(Cause::Stalled(..)) => Outcome::Stalled,
            Some(_) => Outcome::Failed,
        };
        let elapsed = self.started.elapsed();
        let items = self.ledger.counts();
        tracing::info!(
            parent: &self.span, %outcome, taken = items.taken, delivered = items.delivered, failed = items.failed,
            filtered = items.filtered, cancelled = items.cancelled, "ended"
        );
        if self.abandoned() {
            self.complain(cause.as_ref());
        }
        let report = Report {
            value: (),
            outcome: Some(outcome),
            elapsed,
            items,
            stages: stages.clone(),
        };
        self.failures.close();
        let waiter = {
            let mut end = self.end.lock();
            *end = End {
                outcome: Some(outcome),
                elapsed,
                stages,
                waiter: end.waiter.take(),
                ..End::default()
            };
            if !self.abandoned() {
                end.ended = Some(Ended { cause, report });
            }
            end.waiter.take()
        };
        if let Some(waiter) = waiter {
            waiter.wake();
        }
    }

    /// A failure whose owner did not take the outcome is not passed over in silence.
    fn complain(&self, cause: Option<&Cause>) {
        if let Some(cause) = cause.filter(|cause| !matches!(cause, Cause::Cancelled)) {
            // to print an error is code of the user's
            let printed = shield::call(|| {
                let source = std::error::Error::source(cause).map(tracing::field::display);
                tracing::warn!(parent: &self.span, %cause, source, "a run failed, and nobody took its outcome");
            });
            shield::discard(printed);
        }
    }

    /// The outcome, once; `Ready(None)` if it has been given before.
    pub(crate) fn poll_end(&self, context: &Context<'_>) -> Poll<Option<Ended>> {
        // cloned before the lock: it may be a waker of the user's
        let waker = context.waker().clone();
        let mut end = self.end.lock();
        if let Some(ended) = end.ended.take() {
            end.given = true;
            return Poll::Ready(Some(ended));
        }
        if end.given {
            return Poll::Ready(None);
        }
        let old = end.waiter.replace(waker);
        drop(end);
        drop(old);
        Poll::Pending
    }

    /// The report as of now.
    pub(crate) fn report(&self) -> Report {
        {
            let end = self.end.lock();
            if end.outcome.is_some() {
                let (outcome, elapsed, stages) = (end.outcome, end.elapsed, end.stages.clone());
                return Report {
                    value: (),
                    outcome,
                    elapsed,
                    items: self.ledger.counts(),
                    stages,
                };
            }
        }
        let now = self.now();
        let stages = self
            .links()
            .iter()
            .filter_map(|link| link.report(now))
            .collect();
        Report {
            value: (),
            outcome: None,
            elapsed: self.started.elapsed(),
            items: self.ledger.counts(),
            stages,
        }
    }
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hub")
            .field("stopped", &self.stopped())
            .field("items", &self.ledger.counts())
            .finish_non_exhaustive()
    }
}

/// A task of a run, held by the task. Dropped by anybody but the task itself it stops the run: then
/// the runtime is going away, or the engine has a bug, and to wait would be to wait for ever.
pub(crate) struct Task {
    hub: Arc<Hub>,
    seat: Arc<Seat>,
    key: usize,
    closing: bool,
    finished: bool,
}

impl Task {
    pub(crate) fn hub(&self) -> &Arc<Hub> {
        &self.hub
    }

    pub(crate) fn seat(&self) -> &Arc<Seat> {
        &self.seat
    }

    /// To be called in the first poll, before anything is waited for. The lock orders it against
    /// [`Hub::stop`]: either that one finds the waker, or the task finds the flag (I10).
    pub(super) fn sit(&self, context: &Context<'_>) {
        let _ordered = self.hub.roster.lock();
        self.seat.sit(context.waker());
    }

    /// To be awaited first: makes it possible to wake this task.
    pub(super) async fn take_seat(&self) {
        poll_fn(|context| {
            self.sit(context);
            Poll::Ready(())
        })
        .await;
    }

    /// What this task closes takes its time, and there is nothing else that it does.
    pub(super) fn start_closing(&mut self) {
        if !std::mem::replace(&mut self.closing, true) {
            self.hub.roster.lock().closing += 1;
            self.hub.wake_supervisor();
        }
    }

    /// The task ends as it should.
    pub(crate) fn finish(mut self) {
        self.finished = true;
    }
}

impl Hub {
    fn wake_supervisor(&self) {
        let supervisor = {
            let roster = self.roster.lock();
            roster
                .seats
                .iter()
                .flatten()
                .find(|seat| seat.role() == Role::Supervisor)
                .cloned()
        };
        if let Some(supervisor) = supervisor {
            supervisor.wake();
        }
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        if !self.finished {
            self.hub.stop(Cause::RuntimeGone);
            if self.seat.role() == Role::Supervisor {
                // a stream's owner may wait for an item, and nobody else would wake it
                self.hub.links().iter().for_each(|link| link.let_go());
            }
        }
        let (left, only_closing) = {
            let mut roster = self.hub.roster.lock();
            roster.seats[self.key] = None;
            roster.free.push(self.key);
            roster.closing -= usize::from(self.closing);
            roster.tasks -= 1;
            (roster.tasks, roster.tasks == roster.closing + 1)
        };
        // first from the roster: who is counted is to be seen there
        self.seat.leave();
        if left == 0 {
            // a supervisor that ends as it should has concluded the run itself
            if self.seat.role() != Role::Supervisor || !self.finished {
                self.hub.conclude();
            }
        } else if only_closing {
            self.hub.wake_supervisor();
        }
    }
}

impl fmt::Debug for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Task")
            .field("role", &self.seat.role())
            .finish_non_exhaustive()
    }
}
