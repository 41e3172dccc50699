use std::fmt;

/// Which items of the source something came from: prints as `item 7` or `items 40..=43`.
///
/// Items are counted from 0 in the order in which the source gave them. An item made of one source
/// item has that item's origin; a filtered or failed item leaves no hole in the origins of others.
/// Not `Copy`: it may carry more one day.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Origin {
    first: u64,
    count: u32,
    source: u32,
}

impl Origin {
    pub(crate) fn single(source: u32, index: u64) -> Self {
        Origin {
            first: index,
            count: 1,
            source,
        }
    }

    /// The number of the source among the sources of the run, from 0. A pipeline without a merge
    /// has one.
    #[must_use]
    pub fn source(&self) -> u32 {
        self.source
    }

    /// The index of the first source item, from 0.
    #[must_use]
    pub fn first(&self) -> u64 {
        self.first
    }

    /// How many source items, at least 1.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.count
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.count {
            0 | 1 => write!(f, "item {}", self.first),
            count => write!(
                f,
                "items {}..={}",
                self.first,
                self.first.saturating_add(u64::from(count) - 1)
            ),
        }
    }
}

#[cfg(all(test, not(any(shuttle, loom))))]
mod tests {
    use super::Origin;

    #[test]
    fn one_item_and_several_print_differently() {
        assert_eq!(Origin::single(0, 7).to_string(), "item 7");
        assert_eq!(
            Origin {
                first: 40,
                count: 4,
                source: 0
            }
            .to_string(),
            "items 40..=43"
        );
    }
}
