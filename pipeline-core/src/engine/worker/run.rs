//! Work on the items of a run.
//!
//! The user's future is polled in the worker's own frame: no box, no task, no allocation an item.
//! Items that are ready at once are worked on in one poll of the worker, in a plain loop.

use std::{
    future::poll_fn,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
};

use tokio::sync::mpsc::Sender;

use super::Turn;
use crate::{
    engine::{
        failures::Told,
        guarded::poll_inside,
        lease::Lease,
        limits::{CLOCK_EVERY, LONG_RUN_NS},
        shield::{self, Payload},
        station::{Fuse, Work},
    },
    error::{ErrorKind, StageError},
    rt,
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
enum Break {
    /// The run is over.
    Done,
    /// The run was stopped.
    Stopped,
    /// It takes too long: the rest goes back, of items that take so many ns.
    TooLong(u64),
    /// The task's budget is spent: polled now, the user's futures would look as if they waited.
    NoBudget,
    /// The error channel is full, and the policy is to wait.
    FullChannel(StageError, Sender<StageError>),
    /// The body, or a fused step, panicked.
    Panicked(Payload),
}

/// Where in the run the worker is.
struct Progress {
    length: usize,
    /// Items worked on when the clock is read next.
    next_look: usize,
    begun: u64,
    /// When the current item had to wait.
    parked_at: Option<u64>,
    /// The panic, if there is one, is a fused step's.
    in_fused_step: bool,
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
    let mut progress = Progress {
        length,
        next_look: 1,
        begun,
        parked_at: None,
        in_fused_step: false,
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
        if let Some(parked_at) = progress.parked_at.take() {
            // the rest of the run has been given back, so this was its last item
            let now = lease.now();
            let timing = &mut lease.desk.timing;
            timing.pended = true;
            if timed {
                timing.ready = length.saturating_sub(1);
                timing.ready_ns = parked_at.saturating_sub(begun);
            }
            timing.pended_ns = Some(now.saturating_sub(parked_at));
            turn.waited = true;
            turn.owes_since = None;
            turn.begun = now;
        }
        match left {
            Break::Done => break,
            Break::Stopped => {
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
            Break::FullChannel(error, channel) => {
                lease.park();
                wait_for_room(lease, error, &channel).await;
                turn.waited = true;
            }
            Break::Panicked(payload) => {
                let in_fused_step = std::mem::take(&mut progress.in_fused_step);
                if !in_fused_step && state.is_none() && !cfg!(planted = "permit") {
                    lease.station.states.lost();
                }
                let error = shield::panic_error(payload);
                let told = lease.failed(ErrorKind::Panicked, in_fused_step, error);
                if let Some(Told::Wait(error, channel)) = told {
                    lease.park();
                    wait_for_room(lease, error, &channel).await;
                    turn.waited = true;
                }
                if state.is_none() {
                    break;
                }
            }
        }
    }
    let left = lease.desk.left();
    if left > 0 {
        lease.give_back(None);
    }
    if timed && !lease.desk.timing.pended {
        let now = lease.now();
        lease.desk.timing.ready = length - left;
        lease.desk.timing.ready_ns = now.saturating_sub(begun).max(1);
        turn.ended = now;
    }
}

/// Works on one item after another, until one has to wait. Everything in it that may panic is the
/// user's: the body, its error's conversion, and the fused steps.
fn advance<W, P, F>(
    lease: &mut Lease<W, P>,
    state: &mut Option<Box<W>>,
    mut item_in_work: Pin<&mut Option<F>>,
    step: impl Fn(Box<W>, W::In) -> F,
    progress: &mut Progress,
    context: &mut Context<'_>,
) -> Poll<Break>
where
    W: Work,
    P: Fuse<W::Out>,
    F: Future<Output = (Box<W>, Result<W::Out, W::Error>)>,
{
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
            if done >= progress.next_look {
                progress.next_look = if done < CLOCK_EVERY {
                    done * 4
                } else {
                    done + CLOCK_EVERY
                };
                lease.desk.beat();
                let taken = lease.now().saturating_sub(progress.begun);
                if taken > LONG_RUN_NS {
                    return Poll::Ready(Break::TooLong(taken / done as u64));
                }
            }
            if !rt::has_budget() {
                return Poll::Ready(Break::NoBudget);
            }
            let (Some(work), Some(item)) = (state.take(), lease.begin()) else {
                return Poll::Ready(Break::Done);
            };
            item_in_work.set(Some(step(work, item)));
        }
        let Poll::Ready((work, result)) = poll_inside(item_in_work.as_mut(), context) else {
            if progress.parked_at.is_none() {
                progress.parked_at = Some(lease.now());
                lease.park();
            }
            return Poll::Pending;
        };
        *state = Some(work);
        item_in_work.set(None);
        match result {
            Ok(result) => {
                progress.in_fused_step = true;
                let item = lease.station.fuse.apply(result);
                progress.in_fused_step = false;
                match item {
                    Some(item) => lease.done(item),
                    None => lease.filtered(),
                }
            }
            Err(error) => {
                if let Some(Told::Wait(error, channel)) =
                    lease.failed(ErrorKind::Failed, false, error.into())
                {
                    return Poll::Ready(Break::FullChannel(error, channel));
                }
            }
        }
        if progress.parked_at.is_some() {
            return Poll::Ready(Break::Done);
        }
    }
}

/// The error channel is full, and the policy is to wait.
#[cold]
async fn wait_for_room<W: Work, P: Fuse<W::Out>>(
    lease: &mut Lease<W, P>,
    error: StageError,
    channel: &Sender<StageError>,
) {
    let hub = Arc::clone(&lease.station.hub);
    let mut room = pin!(channel.reserve());
    let permit = poll_fn(|context| {
        if hub.stopped() {
            Poll::Ready(None)
        } else {
            room.as_mut().poll(context).map(Result::ok)
        }
    });
    match permit.await {
        Some(permit) => permit.send(error),
        None => {
            lease.lose(&error);
            shield::discard(error);
        }
    }
    lease.unpark();
}
