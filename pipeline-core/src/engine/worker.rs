//! The life of a worker: claim a run, work on it, deliver it, give way, again.

mod attempts;
mod run;
mod states;

use std::{future::poll_fn, pin::pin};

pub(super) use self::states::{close_state, prepare};
use self::{
    run::{process, refuse, step},
    states::{acquire, leave},
};
use super::{
    edge::Claim,
    lease::Lease,
    limits::{DEBT_NS, RUN_NS, TURN_NS},
    station::{Fuse, Work},
};
use crate::rt;

pub(super) async fn work<W: Work, P: Fuse<W::Out>>(mut lease: Lease<W, P>) {
    lease.take_seat().await;
    let mut turn = Turn::default();
    let mut state = None;
    let mut item_in_work = pin!(None);
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
        refuse(&mut lease, &mut turn).await;
        turn.before_run(&mut lease, item_ns).await;
        process(
            &mut lease,
            &mut state,
            item_in_work.as_mut(),
            step,
            &mut turn,
        )
        .await;
        lease.deliver();
        turn.after_run(&mut lease).await;
    }
    leave(lease, state).await;
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
