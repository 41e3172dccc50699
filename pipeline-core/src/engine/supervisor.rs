//! The one task a run that does no work: it watches over the others, and decides when all is over.

use std::{future::poll_fn, pin::Pin, task::Poll};

use super::{hub::Task, limits::CLOSE, shield};
use crate::{error::Cause, rt};

/// Something that waits for a reason to drain or to cancel: a token, Ctrl-C.
pub(crate) type Attendant = Pin<Box<dyn Future<Output = ()> + Send>>;

/// To be called last: the run can end from here on.
pub(crate) fn launch_supervisor(task: Task, attendants: Vec<Attendant>) {
    let runtime = task.hub().runtime().clone();
    runtime.spawn(supervise(task, attendants));
}

async fn supervise(task: Task, mut attendants: Vec<Attendant>) {
    let hub = task.hub();
    let mut wound_down = false;
    let mut deadline: Option<(std::time::Duration, Attendant)> = None;
    let mut closing: Option<Attendant> = None;
    poll_fn(|context| {
        task.sit(context);
        attendants.retain_mut(|attendant| is_pending(attendant, context));
        if let Some(drain) = hub.deadline()
            && deadline
                .as_ref()
                .is_none_or(|(limit, _)| *limit != drain.limit)
        {
            let timer: Attendant = match drain.at {
                Some(_) => Box::pin(rt::sleep(drain.limit)),
                // too far away to be told: never
                None => Box::pin(std::future::pending()),
            };
            deadline = Some((drain.limit, timer));
        }
        if let Some((limit, timer)) = &mut deadline
            && !hub.stopped()
            && !is_pending(timer, context)
        {
            hub.stop(Cause::DeadlinePassed(*limit));
        }
        if !hub.stopped()
            && let Some((full, empty)) = hub.find_stall()
        {
            hub.stop(Cause::Stalled(full, empty));
        }
        let others = loop {
            if hub.stopped() && !wound_down {
                wound_down = true;
                hub.links().iter().for_each(|link| link.wind_down());
            }
            let others = hub.others();
            // The last task may have stopped the run and left since that was asked, and what is left in its place
            // is still to be closed. Asked again it is seen: it was set before that task left the roster.
            if others.0 > 0 || wound_down || !hub.stopped() {
                break others;
            }
        };
        match others {
            (0, _) => return Poll::Ready(()),
            (tasks, at_it) if tasks == at_it => {
                let timer = closing.get_or_insert_with(|| Box::pin(rt::sleep(CLOSE)));
                if !is_pending(timer, context) {
                    hub.end_closing();
                    closing = Some(Box::pin(std::future::pending()));
                }
            }
            _ => closing = None,
        }
        Poll::Pending
    })
    .await;
    hub.conclude();
    task.finish();
}

/// On a runtime without timers a timer panics; it then never fires.
fn is_pending(future: &mut Attendant, context: &mut std::task::Context<'_>) -> bool {
    match shield::call(|| future.as_mut().poll(context)) {
        Ok(poll) => poll.is_pending(),
        Err(payload) => {
            tracing::warn!(error = %shield::panic_error(payload), "a pipeline cannot keep a deadline");
            *future = Box::pin(std::future::pending());
            true
        }
    }
}
