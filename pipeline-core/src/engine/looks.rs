//! When the clock is read in a row of items: soon, as they may take long, and then seldom.

use super::limits::CLOCK_EVERY;

/// After the first item, the fourth and the sixteenth, and then after each [`CLOCK_EVERY`].
#[derive(Debug, Clone, Copy)]
pub(super) struct Looks {
    next: usize,
}

impl Looks {
    pub(super) fn new() -> Self {
        Looks { next: 1 }
    }

    /// Whether it is time for a look when so many items are done.
    #[inline]
    pub(super) fn is_due(&mut self, done: usize) -> bool {
        if done < self.next {
            return false;
        }
        self.next = if done < CLOCK_EVERY {
            4 * done
        } else {
            done + CLOCK_EVERY
        };
        true
    }
}

#[cfg(all(test, not(any(shuttle, loom))))]
mod tests {
    use super::*;

    fn looks(items: impl Iterator<Item = usize>) -> Vec<usize> {
        let mut looks = Looks::new();
        items.filter(|done| looks.is_due(*done)).collect()
    }

    #[test]
    fn the_first_looks_come_soon() {
        assert_eq!(looks(0..70), [1, 4, 16, 32, 48, 64]);
    }

    #[test]
    fn items_may_be_counted_by_the_lot() {
        assert_eq!(looks([3, 5, 12, 40, 50, 56].into_iter()), [3, 12, 50]);
    }
}
