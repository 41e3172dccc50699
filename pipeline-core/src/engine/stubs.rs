//! The tickets of items whose envelopes have been opened for an end.

use std::collections::VecDeque;

use super::{
    ledger::{Fate, Ledger},
    ticket::Ticket,
};

/// One for each item. Nearly always each stands for one source item, and then they are only counted.
#[derive(Debug, Default)]
pub(crate) struct Stubs {
    count: usize,
    /// Empty while all stand for one; else `None` for each that does.
    each: VecDeque<Option<Ticket>>,
}

impl Stubs {
    #[inline]
    pub(super) fn push(&mut self, ticket: Ticket) {
        match ticket {
            Ticket::Single { .. } if self.each.is_empty() => {}
            ticket => self.keep(ticket),
        }
        self.count += 1;
    }

    #[cold]
    fn keep(&mut self, ticket: Ticket) {
        self.each.resize_with(self.count, || None);
        let wide = matches!(ticket, Ticket::Wide(_));
        self.each.push_back(wide.then_some(ticket));
    }

    /// Of how many items.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// Settles those of up to `items` items from the back.
    pub(super) fn settle_last(&mut self, items: usize, fate: Fate, ledger: &Ledger) {
        self.settle(items, fate, ledger, VecDeque::pop_back);
    }

    /// The same from the front.
    pub(super) fn settle_first(&mut self, items: usize, fate: Fate, ledger: &Ledger) {
        self.settle(items, fate, ledger, VecDeque::pop_front);
    }

    /// Puts that of the last item there.
    pub(super) fn move_last(&mut self, to: &mut Stubs) {
        if self.count > 0 {
            self.count -= 1;
            to.push(self.each.pop_back().flatten().unwrap_or(Ticket::Single {
                source: 0,
                index: 0,
            }));
        }
    }

    fn settle(
        &mut self,
        items: usize,
        fate: Fate,
        ledger: &Ledger,
        pop: impl Fn(&mut VecDeque<Option<Ticket>>) -> Option<Option<Ticket>>,
    ) {
        let items = items.min(self.count);
        self.count -= items;
        let mut singles = items as u64;
        if !self.each.is_empty() {
            for _ in 0..items {
                if let Some(Some(ticket)) = pop(&mut self.each) {
                    singles -= 1;
                    ledger.settle(ticket, fate);
                }
            }
        }
        ledger.add(fate, singles);
    }
}

#[cfg(all(test, not(any(shuttle, loom))))]
mod tests {
    use super::*;

    fn single(index: u64) -> Ticket {
        Ticket::Single { source: 0, index }
    }

    #[test]
    fn single_items_are_only_counted() {
        let (ledger, mut stubs) = (Ledger::default(), Stubs::default());
        (0..5).for_each(|index| stubs.push(single(index)));
        assert!(stubs.each.is_empty());
        stubs.settle_first(2, Fate::Delivered, &ledger);
        stubs.settle_last(1, Fate::Failed, &ledger);
        stubs.settle_last(usize::MAX, Fate::Cancelled, &ledger);
        stubs.settle_last(1, Fate::Cancelled, &ledger);
        let counts = ledger.counts();
        assert_eq!(
            (counts.delivered, counts.failed, counts.cancelled),
            (2, 1, 2)
        );
    }

    #[test]
    fn wide_ones_are_found_between_single_ones() {
        let (ledger, mut stubs) = (Ledger::default(), Stubs::default());
        stubs.push(single(0));
        stubs.push(single(1).and(single(2)).and(single(3)));
        stubs.push(single(4));
        stubs.settle_last(1, Fate::Failed, &ledger);
        stubs.settle_first(1, Fate::Filtered, &ledger);
        stubs.settle_first(1, Fate::Delivered, &ledger);
        let counts = ledger.counts();
        assert_eq!(
            (counts.delivered, counts.failed, counts.filtered),
            (3, 1, 1)
        );
    }
}
