//! Looks after workers that do not come back.
//!
//! Whether a further worker is worth starting is decided when something happens at an edge. While a
//! body computes or blocks for long, nothing happens, and items behind it would wait although there
//! are permits and idle threads. So whoever refuses a start calls the sentry, which looks again
//! every millisecond until nothing waits. It has a thread of the runtime's blocking pool meanwhile
//! and not a timer: a runtime may have none, or all of its threads may be held by those very bodies.

use std::sync::{Arc, Weak};

use super::{
    hub::Hub,
    limits::{SENTRY, SENTRY_PATIENCE},
};
use crate::rt;

pub(super) fn launch(hub: &Arc<Hub>) {
    // weakly, so that a run that is over is not kept for the rest of a nap
    let watched = Arc::downgrade(hub);
    hub.runtime().spawn_blocking(move || watch(&watched));
}

fn watch(watched: &Weak<Hub>) {
    let mut quiet = 0;
    for _ in 0..SENTRY_PATIENCE {
        rt::nap(SENTRY);
        let Some(hub) = watched.upgrade() else { return };
        if hub.stopped() {
            return;
        }
        quiet = if items_wait(&hub) { 0 } else { quiet + 1 };
    }
    let Some(hub) = watched.upgrade() else { return };
    if quiet == SENTRY_PATIENCE {
        hub.dismiss_sentry();
        // A start refused before the dismissal relied on this sentry. The edge's lock orders the two:
        // either the items are seen here, or the dismissal was seen there.
        if !items_wait(&hub) || !hub.recall_sentry() {
            return;
        }
    }
    // Not for ever on the same thread: the pool may have few, and be asked for a worker that is what
    // the items wait for.
    launch(&hub);
}

/// Looks at every edge.
fn items_wait(hub: &Hub) -> bool {
    // no short cut: each look may start a worker
    hub.links()
        .into_iter()
        .filter(|link| Arc::clone(link).look())
        .count()
        > 0
}
