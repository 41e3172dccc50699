//! How many source items each of some items stands for.

use crate::error::Origin;

/// One for each item, and nearly always 1: only then are they kept at all.
#[derive(Debug, Default)]
pub(crate) struct Weights {
    count: usize,
    /// Empty while all are 1.
    each: Vec<u32>,
}

impl Weights {
    #[inline]
    pub(super) fn push(&mut self, origin: &Origin) {
        let weight = origin.count();
        if weight != 1 || !self.each.is_empty() {
            self.each.resize(self.count, 1);
            self.each.push(weight);
        }
        self.count += 1;
    }

    /// Of how many items.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// Takes those of up to `items` items from the back, and adds them up.
    pub(super) fn take_last(&mut self, items: usize) -> u64 {
        let left = self.count.saturating_sub(items);
        self.take(left, self.each.len().min(left)..self.each.len())
    }

    /// The same from the front.
    pub(super) fn take_first(&mut self, items: usize) -> u64 {
        let left = self.count.saturating_sub(items);
        let taken = self.count - left;
        self.take(left, 0..self.each.len().min(taken))
    }

    fn take(&mut self, left: usize, each: std::ops::Range<usize>) -> u64 {
        let taken = (self.count - left) as u64;
        self.count = left;
        if self.each.is_empty() {
            taken
        } else {
            self.each.drain(each).map(u64::from).sum()
        }
    }
}

#[cfg(all(test, not(any(shuttle, loom))))]
mod tests {
    use super::*;
    use crate::error::Origin;

    #[test]
    fn single_items_are_only_counted() {
        let mut weights = Weights::default();
        (0..5).for_each(|index| weights.push(&Origin::single(0, index)));
        assert_eq!(
            (
                weights.take_first(2),
                weights.take_last(1),
                weights.take_last(usize::MAX)
            ),
            (2, 1, 2)
        );
        assert_eq!(weights.take_first(1), 0);
    }
}
