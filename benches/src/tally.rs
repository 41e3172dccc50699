//! What every run ends in: a collector that checks that nothing was lost, doubled or put out of order.

use thiserror::Error;

/// A result that must not be used: a contender lost items, broke the order, failed or hung.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct Wrong(pub String);

/// An item that knows its place in the input.
pub trait Indexed: Send + 'static {
    /// Counted from 0.
    fn index(&self) -> u64;
}

impl Indexed for u64 {
    fn index(&self) -> u64 {
        *self
    }
}

/// Where the items of a run end.
pub trait Collector<T>: Send + 'static {
    /// Takes the next one.
    fn take(&mut self, item: T);
}

/// Count, sum and order of the items that came out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    count: u64,
    sum: u64,
    misplaced: u64,
}

impl<T: Indexed> Collector<T> for Tally {
    #[inline]
    fn take(&mut self, item: T) {
        let index = item.index();
        self.misplaced += u64::from(index != self.count);
        self.sum = self.sum.wrapping_add(index);
        self.count += 1;
    }
}

impl Tally {
    /// Whether these were the items `0..items`, each once, and in that order if `ordered`.
    pub fn check(&self, items: u64, ordered: bool) -> Result<(), Wrong> {
        let sum = (0..items).fold(0, u64::wrapping_add);
        if self.count != items {
            Err(Wrong(format!("{} items came out of {items}", self.count)))
        } else if self.sum != sum {
            Err(Wrong(format!(
                "the indices add up to {} instead of {sum}",
                self.sum
            )))
        } else if ordered && self.misplaced > 0 {
            Err(Wrong(format!(
                "{} of {items} items were out of order",
                self.misplaced
            )))
        } else {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(items: impl IntoIterator<Item = u64>) -> Tally {
        let mut tally = Tally::default();
        items.into_iter().for_each(|item| tally.take(item));
        tally
    }

    #[test]
    fn all_items_in_order_are_right() {
        assert_eq!(tally(0..10).check(10, true), Ok(()));
    }

    #[test]
    fn a_lost_item_is_wrong() {
        assert!(tally(0..9).check(10, false).is_err());
    }

    #[test]
    fn an_item_in_place_of_another_is_wrong() {
        assert!(tally([0, 1, 1, 3]).check(4, false).is_err());
    }

    #[test]
    fn swapped_items_are_wrong_only_if_order_counts() {
        assert_eq!(tally([1, 0, 2]).check(3, false), Ok(()));
        assert!(tally([1, 0, 2]).check(3, true).is_err());
    }
}
