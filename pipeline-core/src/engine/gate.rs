//! Lets a worker whose item waits step aside without taking a lock, and never strands an item by it.

use crate::rt::atomic::{AtomicUsize, Ordering::SeqCst};

/// Two counters written on different sides, each side looking at the other's after it has written
/// its own. Both are sequentially consistent: of a worker that steps aside and a completion that
/// makes items available, at least one sees the other (I5).
#[derive(Debug, Default)]
pub(super) struct Gate {
    /// Workers whose item waits: they hold a permit, but no core.
    parked: AtomicUsize,
    /// Mirror of the items that could be claimed.
    available: AtomicUsize,
}

impl Gate {
    /// Steps aside. True if items wait that somebody else might have to be started for.
    #[inline]
    pub(super) fn park(&self) -> bool {
        self.parked.fetch_add(1, SeqCst);
        self.available.load(SeqCst) > 0
    }

    #[inline]
    pub(super) fn unpark(&self) {
        self.parked.fetch_sub(1, SeqCst);
    }

    /// Publishes what can be claimed, under the lock; then [`parked`](Self::parked) may be asked.
    #[inline]
    pub(super) fn publish(&self, available: usize) {
        self.available.store(available, SeqCst);
    }

    #[inline]
    pub(super) fn parked(&self) -> usize {
        self.parked.load(SeqCst)
    }
}

#[cfg(all(test, not(any(shuttle, loom))))]
mod tests {
    use super::*;

    #[test]
    fn both_sides_see_each_other() {
        let gate = Gate::default();
        assert!(!gate.park(), "nothing waits");
        gate.publish(1);
        assert!(gate.park());
        assert_eq!(gate.parked(), 2);
        gate.unpark();
        assert_eq!(gate.parked(), 1);
    }
}
