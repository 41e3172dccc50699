//! How a worker comes by its state, and where it leaves it.

use std::{future::poll_fn, pin::pin, sync::Arc, task::Poll};

use crate::{
    engine::{
        guarded::{close, guard},
        hub::Task,
        lease::Lease,
        pool::Acquired,
        shield,
        station::{Fuse, Station, Work},
    },
    error::Cause,
    rt,
};

/// A state for this worker: a spare one, or a new one. None if there is none to be had; the run has
/// been stopped then, or nobody wants what the stage gives.
pub(super) async fn acquire<W: Work, P: Fuse<W::Out>>(lease: &mut Lease<W, P>) -> Option<Box<W>> {
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

async fn make<W: Work, P: Fuse<W::Out>>(station: &Station<W, P>) -> Option<Box<W>> {
    let needed = || !station.hub.stopped() && !station.output.is_unwanted();
    let acquired = poll_fn(|context| {
        if !needed() {
            Poll::Ready(None)
        } else {
            station.states.poll_acquire(context).map(Some)
        }
    });
    let made = match acquired.await? {
        Acquired::Spare(state) => return Some(state),
        Acquired::Failed(error) => Some(Err(error)),
        Acquired::Making(making, woke) => {
            if woke {
                // Who waited for the maker may sit where only this thread can run it, and the state, or its
                // first item, may take long.
                rt::give_way().await;
            }
            guard(needed, || making).await.into_result()
        }
    };
    match made {
        Some(Ok(state)) => return Some(Box::new(state)),
        Some(Err(error)) => station.fail(error),
        None => {}
    }
    station.states.lost();
    None
}

/// Makes the first state before the source is asked for anything. False if the run has been stopped.
pub(in crate::engine) async fn prepare<W: Work, P: Fuse<W::Out>>(station: &Station<W, P>) -> bool {
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
        // a stage that nobody needs does not keep the others from their work
        None => !station.hub.stopped(),
    }
}

/// The state goes to the next worker. After the end of the stage, or of the run, it is closed.
pub(super) async fn leave<W: Work, P: Fuse<W::Out>>(lease: Lease<W, P>, state: Option<Box<W>>) {
    let station = Arc::clone(&lease.station);
    let Some(task) = lease.leave() else { return };
    match state.and_then(|state| station.states.put_back(state)) {
        Some(state) => close_state(state, task, &station.plan.name).await,
        None => task.finish(),
    }
}

/// Closes the state of a worker, which has no item in work.
pub(in crate::engine) async fn close_state<W: Work>(
    state: Box<W>,
    mut task: Task,
    name: &Arc<str>,
) {
    let closed = close(&mut task, || async move {
        state.close().await.map_err(Into::into)
    })
    .await;
    if let Err(error) = closed {
        task.hub().doom(Cause::Stage(Arc::clone(name), error));
    }
    task.finish();
}
