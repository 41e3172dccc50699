//! The right to settle source items, which travels with what was made of them.
//!
//! An item made of one source item has a ticket for that one. Where one item becomes several, these
//! share a ticket, and the source item is settled when the last of them has ended. Where several
//! become one, their tickets are joined, and it settles them all. So a ticket is neither cloned nor
//! dropped, but handed on or settled (I9).

use std::{mem, sync::Arc};

use super::ledger::{Fate, Ledger};
use crate::{
    error::Origin,
    rt::atomic::{AtomicUsize, Ordering::AcqRel},
};

/// Two words, as nearly every item has a source item of its own.
#[derive(Debug)]
#[must_use = "a source item that is never settled is never over"]
pub(super) enum Ticket {
    Single { source: u32, index: u64 },
    Wide(Arc<Wide>),
}

/// For several source items, or for one that several items were made of.
#[derive(Debug)]
pub(super) struct Wide {
    origin: Origin,
    behind: Behind,
    /// The weightiest one of the parts that have ended.
    fate: AtomicUsize,
}

/// What is settled in the end.
#[derive(Debug, Default)]
struct Behind {
    /// Source items for which nobody else stands.
    items: u64,
    /// Others have parts in these.
    tickets: Vec<Ticket>,
}

impl Ticket {
    pub(super) fn origin(&self) -> Origin {
        match self {
            Ticket::Single { source, index } => Origin::single(*source, *index),
            Ticket::Wide(wide) => wide.origin.clone(),
        }
    }

    /// A number that is another one for each item; for what is random.
    pub(super) fn index(&self) -> u64 {
        match self {
            Ticket::Single { index, .. } => *index,
            Ticket::Wide(wide) => wide.origin.first(),
        }
    }

    /// This one, if it does not stand for one source item alone; the one that is left stands for nothing.
    pub(super) fn take_wide(&mut self) -> Option<Self> {
        const NOTHING: Ticket = Ticket::Single {
            source: 0,
            index: 0,
        };
        matches!(self, Ticket::Wide(_)).then(|| mem::replace(self, NOTHING))
    }

    /// Two parts of it: it is settled when both have ended.
    pub(super) fn share(self) -> (Self, Self) {
        let wide = match self {
            Ticket::Single { .. } => Arc::new(Wide::new(self.origin(), Behind::one())),
            Ticket::Wide(wide) => wide,
        };
        (Ticket::Wide(Arc::clone(&wide)), Ticket::Wide(wide))
    }

    /// One for both.
    pub(super) fn and(self, other: Ticket) -> Self {
        let mut joined = Joined::from(self);
        joined.add(other);
        joined.into_ticket()
    }
}

/// Tickets that are being joined into one; there is at least one.
#[derive(Debug)]
pub(super) struct Joined {
    origin: Origin,
    behind: Behind,
}

impl From<Ticket> for Joined {
    fn from(ticket: Ticket) -> Self {
        let origin = ticket.origin();
        let mut behind = Behind::default();
        behind.add(ticket);
        Joined { origin, behind }
    }
}

impl Joined {
    #[inline]
    pub(super) fn add(&mut self, ticket: Ticket) {
        if let (Some(Ticket::Wide(last)), Ticket::Wide(next)) =
            (self.behind.tickets.last(), &ticket)
            && Arc::ptr_eq(last, next)
        {
            // another part of the same: the one that is there stands for both, so this is not the last one
            return;
        }
        self.origin.join(&ticket.origin());
        self.behind.add(ticket);
    }

    pub(super) fn into_ticket(self) -> Ticket {
        let Joined { origin, mut behind } = self;
        match (behind.items, behind.tickets.pop()) {
            (0, Some(ticket)) if behind.tickets.is_empty() => return ticket,
            (_, last) => behind.tickets.extend(last),
        }
        Ticket::Wide(Arc::new(Wide::new(origin, behind)))
    }
}

impl Behind {
    fn one() -> Self {
        Behind {
            items: 1,
            tickets: Vec::new(),
        }
    }

    fn add(&mut self, ticket: Ticket) {
        match ticket {
            Ticket::Single { .. } => self.items += 1,
            wide @ Ticket::Wide(_) => self.tickets.push(wide),
        }
    }
}

impl Wide {
    fn new(origin: Origin, behind: Behind) -> Self {
        Wide {
            origin,
            behind,
            fate: AtomicUsize::new(0),
        }
    }
}

impl Ledger {
    /// What carried this ticket has ended.
    pub(super) fn settle(&self, ticket: Ticket, fate: Fate) {
        let mut singles = 0;
        self.settle_or_count(ticket, fate, &mut singles);
        self.add(fate, singles);
    }

    /// The same; what stands for one item is only counted, and added later with others.
    #[inline]
    pub(super) fn settle_or_count(&self, ticket: Ticket, fate: Fate, singles: &mut u64) {
        match ticket {
            Ticket::Single { .. } => *singles += 1,
            Ticket::Wide(wide) => self.settle_wide(wide, fate),
        }
    }

    fn settle_wide(&self, wide: Arc<Wide>, fate: Fate) {
        // before it is let go: whoever is the last has to see it
        wide.fate.fetch_max(fate as usize, AcqRel);
        let Some(Wide { behind, fate, .. }) = Arc::into_inner(wide) else {
            return;
        };
        let fate = Fate::from_weight(fate.into_inner());
        let Behind { items, tickets } = behind;
        self.add(fate, items);
        let tickets = tickets.into_iter();
        tickets.for_each(|ticket| self.settle(ticket, fate));
    }
}

#[cfg(all(test, not(any(shuttle, loom))))]
mod tests {
    use super::*;
    use crate::report::Counts;

    fn single(index: u64) -> Ticket {
        Ticket::Single { source: 0, index }
    }

    fn counts(delivered: u64, failed: u64, filtered: u64, cancelled: u64) -> Counts {
        Counts {
            taken: 0,
            delivered,
            failed,
            filtered,
            cancelled,
        }
    }

    #[test]
    fn parts_of_an_item_settle_it_once_with_the_weightiest_fate() {
        let ledger = Ledger::default();
        let (first, rest) = single(7).share();
        let (second, third) = rest.share();
        ledger.settle(first, Fate::Failed);
        ledger.settle(second, Fate::Delivered);
        assert_eq!(ledger.counts(), counts(0, 0, 0, 0));
        ledger.settle(third, Fate::Filtered);
        assert_eq!(ledger.counts(), counts(0, 1, 0, 0));

        let (kept, left_out) = single(8).share();
        ledger.settle(kept, Fate::Delivered);
        ledger.settle(left_out, Fate::Cancelled);
        assert_eq!(ledger.counts(), counts(1, 1, 0, 0));
    }

    #[test]
    fn joined_items_share_a_fate_and_those_shared_with_others_wait_for_them() {
        let ledger = Ledger::default();
        let (elsewhere, here) = single(3).share();
        let joined = single(1).and(here).and(single(2));
        assert_eq!(joined.origin().to_string(), "items 1..=3");
        ledger.settle(joined, Fate::Delivered);
        assert_eq!(ledger.counts(), counts(2, 0, 0, 0));
        ledger.settle(elsewhere, Fate::Failed);
        assert_eq!(ledger.counts(), counts(2, 1, 0, 0));
    }

    #[test]
    fn parts_that_are_joined_again_are_one() {
        let ledger = Ledger::default();
        let (first, rest) = single(5).share();
        let (second, third) = rest.share();
        let joined = first.and(second);
        assert_eq!((joined.origin().count(), joined.origin().first()), (1, 5));
        ledger.settle(third, Fate::Filtered);
        assert_eq!(ledger.counts(), counts(0, 0, 0, 0));
        ledger.settle(joined, Fate::Delivered);
        assert_eq!(ledger.counts(), counts(1, 0, 0, 0));
    }
}
