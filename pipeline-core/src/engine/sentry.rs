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

#[cfg(all(test, not(any(shuttle, loom))))]
mod tests {
    use std::sync::{
        atomic::{AtomicU32, Ordering::Relaxed},
        mpsc,
    };

    use super::*;
    use crate::{engine::hub::Link, error::Cause};

    /// Whether items wait there, at the first look and the ones after it.
    struct Place<F> {
        waits: F,
        looks: AtomicU32,
    }

    impl<F: Fn(u32) -> bool + Send + Sync> Link for Place<F> {
        fn look(self: Arc<Self>) -> bool {
            (self.waits)(self.looks.fetch_add(1, Relaxed))
        }
    }

    /// What came of it: the looks at the place, whether one who waits behind running workers has to call another
    /// sentry then, and whether there is one.
    type Watch = (u32, bool, bool);

    /// Keeps watch once over a place.
    fn keep_watch(waits: impl Fn(u32) -> bool + Send + Sync + 'static, stops: bool) -> Watch {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .max_blocking_threads(1)
            .build()
            .unwrap();
        // the only thread for sentries is taken, so that those who are launched stay in the queue
        let (done, taken) = mpsc::channel::<()>();
        runtime.spawn_blocking(move || taken.recv());
        let place = Arc::new(Place {
            waits,
            looks: AtomicU32::new(0),
        });
        let hub = Hub::on(runtime.handle());
        hub.add(Arc::clone(&place) as Arc<dyn Link>);
        assert!(hub.needs_sentry(true));
        // it has been called, and is this one
        hub.recall_sentry();
        assert!(!hub.needs_sentry(true));
        if stops {
            hub.stop(Cause::Cancelled);
        }
        watch(&Arc::downgrade(&hub));
        let needs_another = hub.needs_sentry(true);
        let looks = place.looks.load(Relaxed);
        drop(done);
        // behind a sentry that was launched
        let behind = runtime.spawn_blocking(|| {});
        runtime.block_on(behind).unwrap();
        let is_followed = place.looks.load(Relaxed) > looks;
        drop(hub);
        (looks, needs_another, is_followed)
    }

    #[test]
    fn it_goes_home_when_nothing_has_waited_for_a_while() {
        // once more after the dismissal
        assert_eq!(
            keep_watch(|_| false, false),
            (SENTRY_PATIENCE + 1, true, false)
        );
    }

    #[test]
    fn it_stays_while_items_wait() {
        assert_eq!(keep_watch(|_| true, false), (SENTRY_PATIENCE, false, true));
        let waits_once = |look| look == SENTRY_PATIENCE / 2;
        assert_eq!(
            keep_watch(waits_once, false),
            (SENTRY_PATIENCE, false, true)
        );
    }

    #[test]
    fn it_comes_back_for_a_start_that_was_refused_just_before_it_went() {
        let waits_last = |look| look == SENTRY_PATIENCE;
        assert_eq!(
            keep_watch(waits_last, false),
            (SENTRY_PATIENCE + 1, false, true)
        );
    }

    #[test]
    fn it_looks_at_nothing_when_the_run_has_been_stopped() {
        assert_eq!(keep_watch(|_| true, true), (0, false, false));
    }
}
