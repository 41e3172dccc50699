use std::{sync::Arc, time::Duration};

use crate::{engine::Hub, error::Cause, report::Report};

/// A handle to a run for others than its owner. Cheap to clone; dropping it does nothing.
///
/// Its methods only ask, and return at once; [`Running::wait`](crate::Running::wait) tells when it
/// is done. They may be called from anywhere, also from a body of the run itself, as often as one
/// likes and in any order. After the end of the run they do nothing.
#[derive(Debug, Clone)]
pub struct Control(Arc<Hub>);

impl Control {
    pub(super) fn new(hub: Arc<Hub>) -> Self {
        Control(hub)
    }

    /// Stops now. No body is begun or polled again after this has returned, but one that another
    /// thread is in the middle of polling ends that poll. What is inside counts as cancelled.
    pub fn cancel(&self) {
        self.0.stop(Cause::Cancelled);
    }

    /// Stops the source and finishes what was taken; cancels what is left when `deadline` is over,
    /// counted from now.
    ///
    /// The outcome is then [`Outcome::Drained`](crate::report::Outcome::Drained), or
    /// [`Cause::DeadlinePassed`], or whatever failed meanwhile. Of two calls the sooner deadline
    /// counts. `Duration::MAX` waits for as long as it takes; zero cancels at once, and says so by
    /// `DeadlinePassed`. On a runtime without timers the deadline cannot be kept; an event says so.
    pub fn drain(&self, deadline: Duration) {
        self.0.drain(deadline);
    }

    /// Asks the sources for nothing more, until [`resume`](Self::resume); what is inside goes on to the end.
    ///
    /// A source that is being waited for may not be asked again; its future is dropped, as in a drain. A channel still takes
    /// as many items as it has room for. A run that is paused can be cancelled and drained. Pausing twice is
    /// pausing once.
    pub fn pause(&self) {
        self.0.pause();
    }

    /// Goes on after [`pause`](Self::pause).
    pub fn resume(&self) {
        self.0.resume();
    }

    /// Whether it was paused and not resumed.
    #[must_use]
    pub fn is_paused(&self) -> bool {
        self.0.is_paused()
    }

    /// The report as of now; its `outcome` is `None` while the run goes on.
    ///
    /// Cheap enough for every second (a lock for each stage), not for every item. Workers add up
    /// their counts once a run of items, so the numbers are a moment old; those of an item that waits, or
    /// is tried again, are added when it is done.
    #[must_use]
    pub fn metrics(&self) -> Report {
        self.0.report()
    }
}
