//! Looks after workers that do not come back.
//!
//! Whether a further worker is worth starting is decided when something happens at an edge. While a
//! body computes or blocks for long, nothing happens, and items behind it would wait although there
//! are permits and idle threads. So whoever refuses a start calls the sentry, which looks again
//! every millisecond until nothing waits. It has a thread of the runtime's blocking pool meanwhile
//! and not a timer: a runtime may have none, or all of its threads may be held by those very bodies.

use std::sync::Arc;

use super::{
    hub::Hub,
    limits::{SENTRY, SENTRY_PATIENCE},
};
use crate::rt;

pub(super) fn launch(hub: Arc<Hub>) {
    let runtime = hub.runtime().clone();
    runtime.spawn_blocking(move || watch(&hub));
}

fn watch(hub: &Hub) {
    let links = hub.links();
    let mut quiet = 0;
    while !hub.stopped() && !hub.has_ended() {
        rt::nap(SENTRY);
        // every edge, so no short cut
        let waiting = links.iter().filter(|link| Arc::clone(link).look()).count();
        quiet = if waiting > 0 { 0 } else { quiet + 1 };
        if quiet >= SENTRY_PATIENCE {
            hub.dismiss_sentry();
            // A start refused before the dismissal relied on this sentry. The edge's lock orders the
            // two: either the items are seen here, or the dismissal was seen there.
            let waiting = links.iter().filter(|link| Arc::clone(link).look()).count();
            if waiting == 0 || !hub.recall_sentry() {
                return;
            }
            quiet = 0;
        }
    }
}
