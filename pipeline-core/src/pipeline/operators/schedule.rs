//! The handle to the items of a `delay_by`.

use std::{borrow::Borrow, fmt, hash::Hash, sync::Arc};

use tokio::time::Instant;

use crate::{
    engine::{Claim, Timetable},
    rt::Moment,
};

/// What waits in a [`delay_by`](crate::Pipeline::delay_by): items of type `T`, to be found by their keys.
///
/// Made before the pipeline, and used while it runs, from anywhere. Clones are the same schedule. Its
/// methods do not wait. Each item that is inside is decided about once, whatever comes together: either
/// a call takes it, or it leaves for the next step.
///
/// An item is inside from when the step has let it in until it is handed to the next step. Items in
/// front of a step that is full are not: they cannot be found, and are not handed back.
///
/// `Hash` and `Eq` of a key are called by these methods and by the step, never under a lock. A schedule
/// keeps what was [undelivered](Self::take_undelivered) until that is taken or the last clone is dropped.
pub struct Schedule<K, T>(Arc<Timetable<K, T>>);

impl<K: Hash + Eq, T> Schedule<K, T> {
    /// Takes out the items with this key, and drops them; the run counts them as cancelled. True if there
    /// was one. False means that they have left for the next step, or never were inside, or that the
    /// run is over.
    pub fn cancel<Q>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.0.cancel(key)
    }

    /// The items with this key leave at `due` instead, as if they had just come; what was
    /// [flushed](Self::flush) and has not left yet waits again. True if there was one.
    pub fn reschedule<Q>(&self, key: &Q, due: Instant) -> bool
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.0.put_off(key, Moment::at(due))
    }
}

impl<K, T> Schedule<K, T> {
    /// With nothing inside, for one step.
    #[must_use]
    pub fn new() -> Self {
        Schedule(Arc::default())
    }

    /// Nothing leaves until [`resume`](Self::resume). Items still come in, up to the capacity of the step.
    /// Pausing twice is pausing once; a schedule can be paused before its run is started. A run that
    /// is paused here does not end by itself.
    pub fn pause(&self) {
        self.0.pause(true);
    }

    /// Goes on after [`pause`](Self::pause): what has become due meanwhile leaves at once, in order.
    pub fn resume(&self) {
        self.0.pause(false);
    }

    /// Whether it was paused and not resumed.
    #[must_use]
    pub fn is_paused(&self) -> bool {
        self.0.is_paused()
    }

    /// All that is inside leaves as fast as the next step takes it, the soonest first; when it is paused,
    /// on [`resume`](Self::resume). What comes in later waits for its time as ever.
    pub fn flush(&self) {
        self.0.flush();
    }

    /// How many items are inside.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nothing is inside.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether as many items are inside as there is capacity for, so that others have to wait in front of
    /// the step.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.0.is_full()
    }

    /// What was inside when a run was stopped, with the times at which it was due, the soonest first.
    ///
    /// It is there when [`wait`](crate::Running::wait) has returned after a cancel, a deadline or a
    /// failure. The report counts it as cancelled. What was inside when the last of several runs was
    /// stopped comes behind that of those before.
    #[must_use]
    pub fn take_undelivered(&self) -> Vec<(Instant, T)> {
        let undelivered = self.0.take_undelivered().into_iter();
        undelivered
            .map(|(due, item)| (due.instant(), item))
            .collect()
    }

    pub(super) fn claim(&self) -> Claim<K, T> {
        self.0.claim()
    }
}

impl<K, T> Clone for Schedule<K, T> {
    fn clone(&self) -> Self {
        Schedule(Arc::clone(&self.0))
    }
}

impl<K, T> Default for Schedule<K, T> {
    fn default() -> Self {
        Schedule::new()
    }
}

impl<K, T> fmt::Debug for Schedule<K, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Schedule")
            .field("len", &self.len())
            .field("is_paused", &self.is_paused())
            .finish_non_exhaustive()
    }
}
