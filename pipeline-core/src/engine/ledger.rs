//! What became of the items of the source.

use super::envelope::{Envelope, Slot};
use super::shield::discard;
use crate::{
    report::Counts,
    rt::{
        Padded,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

/// How a source item ended. Of several things that were made of it, the weightiest counts, and that is
/// the last one here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Filtered,
    Cancelled,
    Delivered,
    Failed,
}

impl Fate {
    pub(super) fn from_weight(weight: usize) -> Self {
        match weight {
            0 => Fate::Filtered,
            1 => Fate::Cancelled,
            2 => Fate::Delivered,
            _ => Fate::Failed,
        }
    }
}

/// Each source item is entered once when it is taken and settled once when it ends (I9). Whoever
/// holds an item counts for himself and settles many at a time.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    taken: Padded<AtomicU64>,
    delivered: Padded<AtomicU64>,
    failed: AtomicU64,
    filtered: AtomicU64,
    cancelled: AtomicU64,
}

impl Ledger {
    pub(super) fn enter(&self, items: u64) {
        self.taken.fetch_add(items, Relaxed);
    }

    /// So many have ended.
    pub(super) fn add(&self, fate: Fate, items: u64) {
        if items == 0 {
            return;
        }
        let count = match fate {
            Fate::Delivered => &*self.delivered,
            Fate::Failed => &self.failed,
            Fate::Filtered => &self.filtered,
            Fate::Cancelled => &self.cancelled,
        };
        count.fetch_add(items, Relaxed);
    }

    /// Drops what nobody will work on any more, outside of every lock.
    pub(super) fn cancel<T>(&self, Envelope { item, ticket }: Envelope<T>) {
        self.settle(ticket, Fate::Cancelled);
        discard(item);
    }

    pub(super) fn cancel_slots<T>(&self, slots: impl IntoIterator<Item = Slot<T>>) {
        let envelopes = slots.into_iter().filter_map(Slot::done);
        envelopes.for_each(|envelope| self.cancel(envelope));
    }

    pub(super) fn counts(&self) -> Counts {
        // `taken` last: a look at a run in the middle of it never shows more ended than taken
        let (delivered, failed) = (self.delivered.load(Relaxed), self.failed.load(Relaxed));
        let (filtered, cancelled) = (self.filtered.load(Relaxed), self.cancelled.load(Relaxed));
        Counts {
            taken: self.taken.load(Relaxed),
            delivered,
            failed,
            filtered,
            cancelled,
        }
    }
}
