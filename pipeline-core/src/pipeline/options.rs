//! The options of a stage.

use super::{Pipeline, StageTail};
use crate::config::Order;

/// Options of the stage just before. The last call of a name counts; the values are checked when
/// the job is started ([`BuildError`](crate::BuildError)).
impl<T, L> Pipeline<T, L> {
    /// Shown in errors, reports and events. Default: the type of the stage, or for a closure the
    /// method and its place, as in `and_then-2`.
    pub fn name(mut self, name: impl Into<String>) -> Self
    where
        L: StageTail,
    {
        self.tail.draft().name = Some(name.into());
        self
    }

    /// Items in work at once, at least 1. Default 1.
    ///
    /// It is an upper bound: workers are started while there is work for them, for one item in all
    /// there is one. An item whose body waits holds its permit; one that has finished and waits for
    /// its turn does not.
    pub fn parallelism(mut self, n: usize) -> Self
    where
        L: StageTail,
    {
        self.tail.draft().set.parallelism = Some(n);
        self
    }

    /// Results leave in the order of the input. The default. Failed and filtered items leave no hole.
    pub fn ordered(mut self) -> Self
    where
        L: StageTail,
    {
        self.tail.draft().set.order = Some(Order::Ordered);
        self
    }

    /// Results leave as they are ready. Bodies still begin in the order of the input.
    pub fn unordered(mut self) -> Self
    where
        L: StageTail,
    {
        self.tail.draft().set.order = Some(Order::Unordered);
        self
    }

    /// Items inside the stage: in work, or finished and not taken by the next step. At least
    /// `parallelism`; default `max(4 * parallelism, 1024)`. Exact: not one more is begun.
    ///
    /// An ordered stage needs room for what finishes behind a slow item, about
    /// `parallelism * slow / usual` items (64 workers, usually 1 ms, at times 100 ms: 6400), or it
    /// idles. Every item inside is memory: for large ones set less.
    pub fn window(mut self, items: usize) -> Self
    where
        L: StageTail,
    {
        self.tail.draft().set.window = Some(items);
        self
    }
}
