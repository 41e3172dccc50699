//! Work on the items of a run.
//!
//! The user's future is polled in the worker's own frame: no box, no task, no allocation an item.
//! Items that are ready at once are worked on in one poll of the worker, in a plain loop. What happens
//! between two attempts at an item is in `attempts`.

use std::{
    future::poll_fn,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
};

use super::{
    Turn,
    attempts::{Attempts, Next, again, watch},
};
use crate::{
    engine::{
        failures::{Failure, Unsent},
        guarded::poll_inside,
        lease::Lease,
        limits::LONG_RUN_NS,
        looks::Looks,
        shield::{self, Payload},
        station::{Fuse, Work},
    },
    error::{ErrorKind, Limit},
    rt::{self, Moment},
};

/// One item: the worker's state goes in and comes out again, unless the body panics or is dropped
/// half-way. Then it is gone with the future, as it should be.
pub(super) async fn step<W: Work>(
    mut state: Box<W>,
    item: W::In,
) -> (Box<W>, Result<W::Out, W::Error>) {
    // Not `.await`: when the destructor of the awaited future panics, its result is lost without
    // being dropped. As a variable of its own it is dropped like any other.
    let result;
    {
        let mut future = pin!(state.process(item));
        result = poll_fn(|context| future.as_mut().poll(context)).await;
    }
    (state, result)
}

/// Why the loop over ready items was left.
enum Break<T> {
    /// The run is over.
    Done,
    /// The run was stopped.
    Stopped,
    /// It takes too long: the rest goes back, of items that take so many ns.
    TooLong(u64),
    /// The task's budget is spent: polled now, the user's futures would look as if they waited.
    NoBudget,
    /// An item has failed, its channel is full, and the policy is to wait.
    FullChannel(Unsent<T>),
    /// The body failed, and may be tried again.
    Failed(Failure),
    /// The body, or a fused step, panicked.
    Panicked(Payload),
    /// The body waits, and its time is over.
    OutOfTime(Limit),
}

/// Where in the run the worker is.
pub(super) struct Progress<T> {
    length: usize,
    /// Whether the clock is read for it.
    timed: bool,
    looks: Looks,
    begun: u64,
    /// The same by the clock that limits are counted by, if the stage has any.
    began: Option<Moment>,
    /// When the clock was read last.
    looked: u64,
    /// When the current item had to wait.
    pub(super) parked_at: Option<u64>,
    /// The panic, if there is one, is a fused step's.
    in_fused_step: bool,
    pub(super) attempts: Attempts,
    /// The input of the attempt that is next.
    pub(super) again: Option<T>,
}

impl<T> Progress<T> {
    /// The current item had to wait. The rest of the run was given back, so it is the last one.
    fn waited<W: Work, P: Fuse<W::Out>>(
        &self,
        lease: &mut Lease<W, P>,
        parked_at: u64,
        turn: &mut Turn,
    ) {
        let now = lease.now();
        let timing = &mut lease.desk.timing;
        timing.pended = true;
        if self.timed {
            timing.ready = self.length.saturating_sub(1);
            timing.ready_ns = parked_at.saturating_sub(self.begun);
        }
        timing.pended_ns = Some(now.saturating_sub(parked_at));
        turn.waited = true;
        turn.owes_since = None;
        turn.begun = now;
    }

    /// The clock has been read. Counts a body whose time was over before it came back: where it does
    /// not wait it cannot be interrupted.
    fn look<W: Work, P: Fuse<W::Out>>(&mut self, lease: &mut Lease<W, P>, now: u64) {
        let taken = now.saturating_sub(std::mem::replace(&mut self.looked, now));
        if let Some(began) = self.began
            && let Some(limit) = lease.station.recovery.shortest()
            && u128::from(taken) > limit.as_nanos()
            // the clock of limits may stand still
            && began.after(limit).is_some_and(|due| Moment::now() > due)
        {
            lease.desk.tally.overruns += 1;
        }
    }
}

pub(super) async fn process<W, P, F>(
    lease: &mut Lease<W, P>,
    state: &mut Option<Box<W>>,
    mut item_in_work: Pin<&mut Option<F>>,
    step: impl Fn(Box<W>, W::In) -> F,
    turn: &mut Turn,
) where
    W: Work,
    P: Fuse<W::Out>,
    F: Future<Output = (Box<W>, Result<W::Out, W::Error>)>,
{
    let length = lease.desk.left();
    // the clock is read for runs, not for single items of a stage that waits anyway
    let timed = length > 1 || !turn.waited;
    let begun = if timed { lease.now() } else { 0 };
    turn.waited = false;
    turn.begun = begun;
    let limited = lease.station.recovery.is_timed();
    let mut progress = Progress {
        length,
        timed,
        looks: Looks::new(),
        begun,
        began: limited.then(Moment::now),
        looked: begun,
        parked_at: None,
        in_fused_step: false,
        attempts: Attempts::default(),
        again: None,
    };
    loop {
        let left = poll_fn(|context| {
            let run = || {
                advance(
                    lease,
                    state,
                    item_in_work.as_mut(),
                    &step,
                    &mut progress,
                    context,
                )
            };
            shield::call(run).unwrap_or_else(|payload| Poll::Ready(Break::Panicked(payload)))
        })
        .await;
        if !matches!(left, Break::Done)
            && let Err(payload) = shield::call(|| item_in_work.set(None))
        {
            shield::panic_error(payload);
        }
        let (mut left, mut failed) = sort_out(lease, state, &mut progress, left);
        if let Some((failure, true)) = failed {
            failed = match again(lease, state, &mut progress, failure).await {
                Next::Attempt => continue,
                Next::GivenUp(failure) => Some((failure, false)),
                Next::Stopped => {
                    left = Break::Stopped;
                    None
                }
            };
        }
        if let Some(parked_at) = progress.parked_at.take() {
            progress.waited(lease, parked_at, turn);
        }
        if let Some((failure, _)) = failed
            && let Some(unsent) = lease.failed(failure, progress.attempts.count.max(1))
        {
            left = Break::FullChannel(unsent);
        }
        match left {
            Break::Stopped => {
                shield::discard(progress.again.take());
                lease.cancelled();
                break;
            }
            Break::TooLong(item_ns) => {
                lease.give_back(Some(item_ns));
                break;
            }
            Break::NoBudget => {
                lease.deliver();
                rt::give_way().await;
            }
            Break::FullChannel(unsent) => tell_later(lease, unsent, turn).await,
            Break::Done | Break::Failed(_) | Break::Panicked(_) | Break::OutOfTime(_) => {}
        }
        if lease.desk.left() == 0 || state.is_none() {
            break;
        }
    }
    let left = lease.desk.left();
    if left > 0 {
        lease.give_back(None);
    }
    if progress.timed && !lease.desk.timing.pended {
        let now = lease.now();
        lease.desk.timing.ready = progress.length - left;
        lease.desk.timing.ready_ns = now.saturating_sub(progress.begun).max(1);
        turn.ended = now;
        progress.look(lease, now);
    }
}

/// Why the row was left: what is to be done about the rest of it, and what has failed, with whether it may be
/// tried again.
fn sort_out<W: Work, P: Fuse<W::Out>>(
    lease: &mut Lease<W, P>,
    state: &Option<Box<W>>,
    progress: &mut Progress<W::In>,
    left: Break<W::Item>,
) -> (Break<W::Item>, Option<(Failure, bool)>) {
    let in_fused_step = std::mem::take(&mut progress.in_fused_step);
    let body_was_lost = match left {
        Break::Panicked(_) => !in_fused_step && state.is_none(),
        Break::OutOfTime(_) => true,
        _ => false,
    };
    if body_was_lost && !cfg!(planted = "permit") {
        lease.station.states.lost();
    }
    let failed = match left {
        Break::Panicked(payload) => {
            let failure = Failure {
                kind: ErrorKind::Panicked,
                error: shield::panic_error(payload),
                in_fused_step,
            };
            let retried = !in_fused_step && lease.station.recovery.retries_panics();
            (failure, retried)
        }
        Break::OutOfTime(limit) => {
            let failure = Attempts::out_of_time(lease, limit);
            (failure, limit == Limit::Attempt)
        }
        Break::Failed(failure) => (failure, true),
        left => return (left, None),
    };
    if lease.still_decides() {
        return (Break::Done, Some(failed));
    }
    progress.began = None;
    (Break::Done, None)
}

/// Items that were given up before the run begins, as their keys could not be had.
pub(super) async fn refuse<W: Work, P: Fuse<W::Out>>(lease: &mut Lease<W, P>, turn: &mut Turn) {
    while !lease.stopped()
        && let Some(unsent) = lease.refuse()
    {
        if let Some(unsent) = unsent {
            tell_later(lease, unsent, turn).await;
        }
    }
}

/// Waits for room in the channel of a failure, as it holds no core meanwhile.
async fn tell_later<W: Work, P: Fuse<W::Out>>(
    lease: &mut Lease<W, P>,
    unsent: Unsent<W::Item>,
    turn: &mut Turn,
) {
    lease.park();
    let hub = Arc::clone(&lease.station.hub);
    lease.untold = true;
    let told = unsent.send_later(&hub).await;
    lease.untold = false;
    if !told {
        lease.lost_error();
    }
    lease.unpark();
    turn.waited = true;
}

/// Works on one item after another, until one has to wait. Everything in it that may panic is the
/// user's: the body, its error's conversion, and the fused steps.
fn advance<W, P, F>(
    lease: &mut Lease<W, P>,
    state: &mut Option<Box<W>>,
    mut item_in_work: Pin<&mut Option<F>>,
    step: impl Fn(Box<W>, W::In) -> F,
    progress: &mut Progress<W::In>,
    context: &mut Context<'_>,
) -> Poll<Break<W::Item>>
where
    W: Work,
    P: Fuse<W::Out>,
    F: Future<Output = (Box<W>, Result<W::Out, W::Error>)>,
{
    let recovers = lease.station.recovers;
    loop {
        if lease.stopped() {
            return Poll::Ready(Break::Stopped);
        }
        if !lease.has_begun() {
            let left = lease.desk.left();
            if left == 0 {
                return Poll::Ready(Break::Done);
            }
            let done = progress.length - left;
            if progress.looks.is_due(done) {
                lease.desk.beat();
                let now = lease.now();
                progress.look(lease, now);
                let taken = now.saturating_sub(progress.begun);
                if taken > LONG_RUN_NS {
                    return Poll::Ready(Break::TooLong(taken / done as u64));
                }
            }
            if !rt::has_budget() {
                return Poll::Ready(Break::NoBudget);
            }
            let Some(item) = lease.begin() else {
                return Poll::Ready(Break::Done);
            };
            if recovers {
                prepare(lease, progress, &item, done);
            }
            let Some(work) = state.take() else {
                return Poll::Ready(Break::Done);
            };
            item_in_work.set(Some(step(work, item)));
        } else if recovers
            && progress.again.is_some()
            && !begin_again(lease, state, item_in_work.as_mut(), &step, progress)
        {
            continue;
        }
        let Poll::Ready((work, result)) = poll_inside(item_in_work.as_mut(), context) else {
            progress.parked_at.get_or_insert_with(|| lease.now());
            lease.park();
            if recovers
                && let Some((due, limit)) = progress.attempts.due(&lease.station.recovery)
                && lease.timer.poll_until(due, context).is_ready()
            {
                return Poll::Ready(Break::OutOfTime(limit));
            }
            return Poll::Pending;
        };
        *state = Some(work);
        item_in_work.set(None);
        if recovers && lease.is_watched() && !lease.still_decides() {
            // it has failed by its time, and is no overrun
            progress.began = None;
            drop(result);
            return Poll::Ready(Break::Done);
        }
        match result {
            Ok(result) => {
                progress.in_fused_step = true;
                let item = lease.station.fuse.apply(result);
                progress.in_fused_step = false;
                if recovers {
                    progress.attempts.end(lease);
                }
                match item {
                    Some(item) => lease.done(item),
                    None => lease.filtered(),
                }
            }
            Err(error) => {
                let again = recovers && lease.station.recovery.is_transient(&error);
                let failure = Failure::new(ErrorKind::Failed, error.into());
                if again {
                    return Poll::Ready(Break::Failed(failure));
                }
                if let Some(unsent) = lease.failed(failure, progress.attempts.count.max(1)) {
                    return Poll::Ready(Break::FullChannel(unsent));
                }
            }
        }
        if progress.parked_at.is_some() {
            return Poll::Ready(Break::Done);
        }
    }
}

/// What a stage with limits of time, retries or dead letters does before it begins an item. Kept out of
/// the loop for the sake of all other stages.
#[inline(never)]
fn prepare<W: Work, P: Fuse<W::Out>>(
    lease: &mut Lease<W, P>,
    progress: &mut Progress<W::In>,
    item: &W::In,
    done: usize,
) {
    // a run begins when its first item does
    let begun = progress.began.filter(|_| done == 0);
    progress.attempts.start(begun);
    lease.keep(item);
    watch(lease, &mut progress.attempts);
}

/// Begins the attempt that has been prepared. False if there is none after all.
#[cold]
fn begin_again<W, P, F>(
    lease: &mut Lease<W, P>,
    state: &mut Option<Box<W>>,
    mut item_in_work: Pin<&mut Option<F>>,
    step: impl Fn(Box<W>, W::In) -> F,
    progress: &mut Progress<W::In>,
) -> bool
where
    W: Work,
    P: Fuse<W::Out>,
{
    let (Some(item), Some(work)) = (progress.again.take(), state.take()) else {
        return false;
    };
    if cfg!(planted = "retry") && progress.attempts.count == 2 {
        // the item is forgotten
        *state = Some(work);
        lease.filtered();
        return false;
    }
    progress.attempts.next();
    lease.desk.tally.retries += 1;
    watch(lease, &mut progress.attempts);
    item_in_work.set(Some(step(work, item)));
    true
}
