//! Awaits a future of the user's the way the engine has to: under a shield at every step, and not
//! for a moment longer than the run goes on.

use std::{
    future::poll_fn,
    pin::{Pin, pin},
    task::{Context, Poll},
};

use super::{
    hub::Task,
    shield::{self, Payload},
};
use crate::error::BoxError;

/// What came of it.
pub(super) enum Guarded<R> {
    Done(R),
    Panicked(Payload),
    /// Given up before it was done.
    GivenUp,
}

/// Calls `make` and polls what it gives, as long as `goes_on`.
pub(super) async fn guard<F: Future>(
    goes_on: impl FnMut() -> bool,
    make: impl FnOnce() -> F,
) -> Guarded<F::Output> {
    guard_and_tell(goes_on, make, || {}).await
}

/// The same; tells each time when it has to wait.
async fn guard_and_tell<F: Future>(
    mut goes_on: impl FnMut() -> bool,
    make: impl FnOnce() -> F,
    mut waits: impl FnMut(),
) -> Guarded<F::Output> {
    if !goes_on() {
        shield::discard(make);
        return Guarded::GivenUp;
    }
    let future = match shield::call(make) {
        Ok(future) => future,
        Err(payload) => return Guarded::Panicked(payload),
    };
    let mut future = pin!(Some(future));
    let result = poll_fn(|context| {
        if !goes_on() {
            return Poll::Ready(Guarded::GivenUp);
        }
        match shield::call(|| poll_inside(future.as_mut(), context)) {
            Ok(Poll::Ready(output)) => Poll::Ready(Guarded::Done(output)),
            Ok(Poll::Pending) => {
                waits();
                Poll::Pending
            }
            Err(payload) => Poll::Ready(Guarded::Panicked(payload)),
        }
    })
    .await;
    // here and not at the end of the scope, because destructors may panic
    match shield::call(|| future.set(None)) {
        Ok(()) => result,
        Err(payload) => {
            shield::discard(result);
            Guarded::Panicked(payload)
        }
    }
}

/// Polls a future that can be dropped in place by setting it to `None`.
#[inline]
pub(super) fn poll_inside<F: Future>(
    mut future: Pin<&mut Option<F>>,
    context: &mut Context<'_>,
) -> Poll<F::Output> {
    match future.as_mut().as_pin_mut() {
        Some(future) => future.poll(context),
        None => Poll::Pending,
    }
}

impl<R> Guarded<Result<R, BoxError>> {
    /// None if it was given up.
    pub(super) fn into_result(self) -> Option<Result<R, BoxError>> {
        match self {
            Guarded::Done(result) => Some(result),
            Guarded::Panicked(payload) => Some(Err(shield::panic_error(payload))),
            Guarded::GivenUp => None,
        }
    }
}

/// Closes a source, a sink or the state of a worker: once, also after a stop, but not for ever. When
/// the owner of the run is gone it is dropped instead.
pub(super) async fn close<R, F>(
    task: &mut Task,
    close: impl FnOnce() -> F,
) -> Result<Option<R>, BoxError>
where
    F: Future<Output = Result<R, BoxError>>,
{
    let hub = task.hub().clone();
    // a task that has just been spawned to close something has not been polled before
    task.take_seat().await;
    // only then: most have nothing to wait for, and the limit takes a timer
    let waits = || task.start_closing();
    match guard_and_tell(|| hub.may_close(), close, waits)
        .await
        .into_result()
    {
        Some(closed) => closed.map(Some),
        None if hub.abandoned() => Ok(None),
        None => Err("it took too long to close".into()),
    }
}
