//! The life of a worker: claim a run, work on it, deliver it, give way, again.
//!
//! The user's future is polled in the worker's own frame: no box, no task, no allocation an item.

use std::{future::poll_fn, pin::pin, sync::Arc, task::Poll};

use tokio::sync::mpsc::Sender;

use super::{
    edge::Claim,
    failures::Told,
    guarded::{close, poll_inside, unless_stopped},
    hub::{Hub, Task},
    lease::Lease,
    limits::{CLOCK_EVERY, DEBT_NS, LONG_RUN_NS, RUN_NS, TURN_NS},
    pool::Acquired,
    shield::{self, Payload},
    station::{Fuse, Station, Work},
};
use crate::{
    error::{Cause, ErrorKind, StageError},
    rt,
};

pub(super) async fn work<W: Work, P: Fuse<W::Out>>(mut lease: Lease<W, P>) {
    lease.take_seat().await;
    let hub = Arc::clone(&lease.station.hub);
    let mut turn = Turn::default();
    let mut state = None;
    loop {
        if state.is_none() {
            state = acquire(&mut lease).await;
            if state.is_none() {
                break;
            }
        }
        let Claim::Run { item_ns } = poll_fn(|_| lease.claim()).await else {
            break;
        };
        turn.before_run(&mut lease, item_ns).await;
        process_run(&hub, &mut lease, &mut state, &mut turn).await;
        lease.deliver();
        turn.after_run(&mut lease).await;
    }
    leave(lease, state).await;
}

/// What came of polling the user's future.
enum Polled<R> {
    Done(R),
    Panicked(Payload),
    /// The run was stopped: it has been dropped.
    Stopped,
}

async fn process_run<W: Work, P: Fuse<W::Out>>(
    hub: &Hub,
    lease: &mut Lease<W, P>,
    state: &mut Option<W>,
    turn: &mut Turn,
) {
    let length = lease.desk.left();
    // the clock is read for runs, not for single items of a stage that waits anyway
    let timed = length > 1 || !turn.waited;
    let begun = if timed { hub.now() } else { 0 };
    turn.waited = false;
    turn.begun = begun;
    let mut next_look = 1;
    while let Some(work) = state.as_mut().filter(|_| !hub.stopped()) {
        let Some(item) = lease.begin() else { break };
        let mut parked_at = None;
        let polled = match shield::call(|| work.process(item)) {
            Err(payload) => Polled::Panicked(payload),
            Ok(future) => {
                let mut future = pin!(Some(future));
                let polled = poll_fn(|context| {
                    if hub.stopped() {
                        return Poll::Ready(Polled::Stopped);
                    }
                    match shield::call(|| poll_inside(future.as_mut(), context)) {
                        Ok(Poll::Ready(result)) => Poll::Ready(Polled::Done(result)),
                        Ok(Poll::Pending) => {
                            if parked_at.is_none() {
                                parked_at = Some(hub.now());
                                lease.park();
                            }
                            Poll::Pending
                        }
                        Err(payload) => Poll::Ready(Polled::Panicked(payload)),
                    }
                })
                .await;
                // here and not at the end of the scope, because destructors may panic
                match shield::call(|| future.set(None)) {
                    Ok(()) => polled,
                    Err(payload) => {
                        discard_result(polled);
                        Polled::Panicked(payload)
                    }
                }
            }
        };
        if let Some(parked_at) = parked_at {
            // the rest of the run has been given back, so this was its last item
            let now = hub.now();
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
        let told = match polled {
            Polled::Done(Ok(result)) => match shield::call(|| lease.station.fuse.apply(result)) {
                Ok(Some(item)) => {
                    lease.done(item);
                    None
                }
                Ok(None) => {
                    lease.filtered();
                    None
                }
                Err(payload) => {
                    lease.failed(ErrorKind::Panicked, true, shield::panic_error(payload))
                }
            },
            Polled::Done(Err(error)) => match shield::call(|| error.into()) {
                Ok(error) => lease.failed(ErrorKind::Failed, false, error),
                Err(payload) => {
                    lease.failed(ErrorKind::Panicked, false, shield::panic_error(payload))
                }
            },
            Polled::Panicked(payload) => {
                // what the body was doing to it is half done
                discard_state(lease, state);
                lease.failed(ErrorKind::Panicked, false, shield::panic_error(payload))
            }
            Polled::Stopped => {
                discard_state(lease, state);
                lease.cancelled();
                break;
            }
        };
        if let Some(Told::Wait(error, channel)) = told {
            lease.park();
            wait_for_room(lease, hub, error, &channel).await;
            turn.waited = true;
        }
        let left = lease.desk.left();
        if left == 0 {
            break;
        }
        if length - left == next_look {
            next_look = if next_look < CLOCK_EVERY {
                next_look * 4
            } else {
                next_look + CLOCK_EVERY
            };
            let taken = hub.now().saturating_sub(begun);
            lease.desk.beat();
            if taken > LONG_RUN_NS {
                lease.give_back(Some(taken / (length - left) as u64));
                break;
            }
        }
        if !rt::has_budget() {
            // the user's futures would be told to wait, and look as if they did
            lease.deliver();
            rt::give_way().await;
        }
    }
    let left = lease.desk.left();
    if left > 0 {
        lease.give_back(None);
    }
    if timed && !lease.desk.timing.pended {
        let now = hub.now();
        lease.desk.timing.ready = length - left;
        lease.desk.timing.ready_ns = now.saturating_sub(begun).max(1);
        turn.ended = now;
    }
}

#[cold]
fn discard_result<R>(polled: Polled<R>) {
    match polled {
        Polled::Done(result) => shield::discard(result),
        Polled::Panicked(payload) => drop(shield::panic_error(payload)),
        Polled::Stopped => {}
    }
}

#[cold]
fn discard_state<W: Work, P: Fuse<W::Out>>(lease: &Lease<W, P>, state: &mut Option<W>) {
    if let Some(state) = state.take() {
        shield::discard(state);
        if !cfg!(planted = "permit") {
            lease.station.states.lost();
        }
    }
}

/// The error channel is full, and the policy is to wait.
#[cold]
async fn wait_for_room<W: Work, P: Fuse<W::Out>>(
    lease: &mut Lease<W, P>,
    hub: &Hub,
    error: StageError,
    channel: &Sender<StageError>,
) {
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
            hub.lose(&error);
            lease.desk.tally.undelivered += 1;
        }
    }
    lease.unpark();
}

/// When a worker gives way to the other tasks of its thread.
#[derive(Default)]
struct Turn {
    /// The last item had to wait, so others have had their turn.
    waited: bool,
    begun: u64,
    ended: u64,
    /// Since when others wait for this thread.
    owes_since: Option<u64>,
}

impl Turn {
    /// Whoever has just been woken may sit where only this thread can run it. Before work that may
    /// take long (or is not known yet) it is let go first.
    async fn before_run<W: Work, P: Fuse<W::Out>>(
        &mut self,
        lease: &mut Lease<W, P>,
        item_ns: u64,
    ) {
        let shared_thread =
            !lease.station.plan.blocking && lease.station.hub.runtime().is_multi_thread();
        if lease.desk.woke && item_ns >= RUN_NS && !self.waited && shared_thread {
            lease.desk.woke = false;
            self.owes_since = None;
            rt::give_way().await;
        }
    }

    async fn after_run<W: Work, P: Fuse<W::Out>>(&mut self, lease: &mut Lease<W, P>) {
        let woke = std::mem::take(&mut lease.desk.woke);
        if self.waited || lease.station.plan.blocking {
            return;
        }
        let owes_since = *self
            .owes_since
            .get_or_insert(if woke { self.begun } else { self.ended });
        if self.ended.saturating_sub(owes_since) > if woke { DEBT_NS } else { TURN_NS } {
            self.owes_since = None;
            rt::give_way().await;
        }
    }
}

// -------------------------------------------------------------------- states

/// A state for this worker: a spare one, or a new one. None if there is none to be had; the run has
/// been stopped then.
async fn acquire<W: Work, P: Fuse<W::Out>>(lease: &mut Lease<W, P>) -> Option<W> {
    let station = Arc::clone(&lease.station);
    let mut acquiring = pin!(make(&station));
    let state = poll_fn(|context| {
        let poll = acquiring.as_mut().poll(context);
        if poll.is_pending() {
            // others may be started meanwhile
            lease.park();
        }
        poll
    })
    .await;
    lease.unpark();
    state
}

async fn make<W: Work, P: Fuse<W::Out>>(station: &Station<W, P>) -> Option<W> {
    let hub = &station.hub;
    let acquired = poll_fn(|context| {
        if hub.stopped() {
            Poll::Ready(None)
        } else {
            station.states.poll_acquire(context).map(Some)
        }
    });
    let made = match acquired.await? {
        Acquired::Spare(state) => return Some(state),
        Acquired::Failed(error) => Some(Err(error)),
        Acquired::Making(making) => unless_stopped(hub, || making).await,
    };
    match made {
        Some(Ok(state)) => return Some(state),
        Some(Err(error)) => station.fail(error),
        None => {}
    }
    station.states.lost();
    None
}

/// Makes the first state before the source is asked for anything. False if the run has been stopped.
pub(super) async fn prepare<W: Work, P: Fuse<W::Out>>(station: &Station<W, P>) -> bool {
    match make(station).await {
        Some(state) => {
            // refused only when the run is over, and then nobody has worked with it
            station
                .states
                .put_back(state)
                .into_iter()
                .for_each(shield::discard);
            true
        }
        None => false,
    }
}

/// The state goes to the next worker. After the end of the stage, or of the run, it is closed.
async fn leave<W: Work, P: Fuse<W::Out>>(lease: Lease<W, P>, state: Option<W>) {
    let station = Arc::clone(&lease.station);
    let Some(task) = lease.leave() else { return };
    match state.and_then(|state| station.states.put_back(state)) {
        Some(state) => close_state(state, task, &station.plan.name).await,
        None => task.finish(),
    }
}

/// Closes the state of a worker, which has no item in work.
pub(super) async fn close_state<W: Work>(state: W, mut task: Task, name: &Arc<str>) {
    let closed = close(&mut task, || async move {
        state.close().await.map_err(Into::into)
    })
    .await;
    if let Err(error) = closed {
        task.hub().stop(Cause::Stage(Arc::clone(name), error));
    }
    task.finish();
}
