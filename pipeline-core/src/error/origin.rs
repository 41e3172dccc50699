use std::fmt;

/// Which items of the source something came from: prints as `item 7`, as `items 40..=43`, or as
/// `3 of items 40..=49`.
///
/// Items are counted from 0 in the order in which the source gave them. An item made of one source
/// item has that item's origin, and so has each of several that are made of it; what is made of
/// several items has all of them. A filtered or failed item leaves no hole in the origins of others.
/// Not `Copy`: it may carry more one day.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Origin {
    first: u64,
    last: u64,
    count: u32,
    source: u32,
    /// There are items of other sources among them.
    mixed: bool,
}

impl Origin {
    pub(crate) fn single(source: u32, index: u64) -> Self {
        Origin {
            first: index,
            last: index,
            count: 1,
            source,
            mixed: false,
        }
    }

    /// Makes it one of both. Of different sources, the first one's items are named and the others
    /// counted.
    #[inline]
    pub(crate) fn join(&mut self, other: &Origin) {
        self.count = self.count.saturating_add(other.count);
        self.mixed |= other.mixed || self.source != other.source;
        if self.source == other.source {
            self.first = self.first.min(other.first);
            self.last = self.last.max(other.last);
        }
    }

    /// The number of the source among the sources of the run, from 0, in the order of
    /// [`Plan::steps`](crate::plan::Plan::steps). A pipeline without a merge has one. A
    /// [`through`](crate::Pipeline::through) counts as one, too: it numbers its items anew.
    #[must_use]
    pub fn source(&self) -> u32 {
        self.source
    }

    /// The index of the first source item, from 0.
    #[must_use]
    pub fn first(&self) -> u64 {
        self.first
    }

    /// The index of the last source item. Not all between the two need be among them: see
    /// [`count`](Self::count).
    #[must_use]
    pub fn last(&self) -> u64 {
        self.last
    }

    /// How many source items, at least 1.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.count
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Origin {
            first, last, count, ..
        } = *self;
        let between = last.saturating_sub(first).saturating_add(1);
        if first == last {
            write!(f, "item {first}")?;
        } else if self.mixed || between == u64::from(count) {
            write!(f, "items {first}..={last}")?;
        } else {
            write!(f, "{count} of items {first}..={last}")?;
        }
        if self.source > 0 {
            write!(f, " of source {}", self.source)?;
        }
        if self.mixed {
            f.write_str(" and others")?;
        }
        Ok(())
    }
}

#[cfg(all(test, not(any(shuttle, loom))))]
mod tests {
    use super::Origin;

    #[test]
    fn items_are_named_as_exactly_as_is_known() {
        let item = Origin::single;
        let print = |origin: Origin| origin.to_string();
        let both = |mut one: Origin, other: Origin| {
            one.join(&other);
            one.to_string()
        };
        assert_eq!(print(item(0, 7)), "item 7");
        assert_eq!(print(item(2, 7)), "item 7 of source 2");
        assert_eq!(both(item(0, 41), item(0, 40)), "items 40..=41");
        assert_eq!(both(item(0, 40), item(0, 43)), "2 of items 40..=43");
        assert_eq!(both(item(0, 40), item(1, 43)), "item 40 and others");
    }
}
