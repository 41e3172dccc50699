//! One item to many.

use futures_core::Stream;

use super::after;
use crate::{
    engine::{Expand, Iterated, Parts, Streamed},
    pipeline::{Pipeline, Tail, graph::Operator},
};

/// One item to many.
///
/// What is made of an item is asked for one by one, as the next steps have room, and never collected: an
/// item may stand for millions. One item after another is expanded, and the order is kept: for several
/// at once, expand in a [stage](Pipeline::then) that gives vectors, or before a merge.
///
/// All parts of an item have its origin, and the item is settled when the last of them has ended: failed if
/// any failed, else delivered if any was delivered, else filtered. An item without parts counts as filtered.
///
/// **Holds** the item that is being expanded, and 128 parts wait for the next step. **A panic** of the
/// function, or of what it gave, fails the item, under the name of this step; parts that have been given
/// go on, and the next item is expanded. **A drain** finishes what was taken, so an expansion that never ends
/// is ended by the deadline. **A cancel** drops the rest of an expansion.
impl<T: Send + 'static, L: Tail<Item = T>> Pipeline<T, L> {
    /// The items of each item: of vectors, options, anything that iterates.
    ///
    /// It runs on the runtime's threads, between other tasks: `next` should not block.
    ///
    /// ```
    /// use pipeline_core::prelude::*;
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), BoxError> {
    /// let report = Pipeline::from_iter([vec![1, 2], vec![], vec![3]]).flatten().collect().run().await?;
    /// assert_eq!(report.value, [1, 2, 3]);
    /// assert_eq!(report.items.filtered, 1);
    /// # Ok(()) }
    /// ```
    pub fn flatten(self) -> Pipeline<T::Item>
    where
        T: IntoIterator<Item: Send + 'static, IntoIter: Send + 'static>,
    {
        expanded::<_, _, _, Iterated<_>>(self, "flatten", T::into_iter)
    }

    /// What `function` makes of each item, one by one.
    ///
    /// It runs on the runtime's threads, between other tasks: neither it nor `next` should block.
    ///
    /// ```
    /// use pipeline_core::prelude::*;
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), BoxError> {
    /// let report = Pipeline::from_iter([1, 2, 3]).flat_map(|n| 0..n).collect().run().await?;
    /// assert_eq!(report.value, [0, 0, 1, 0, 1, 2]);
    /// # Ok(()) }
    /// ```
    pub fn flat_map<F, I>(self, function: F) -> Pipeline<I::Item>
    where
        F: Fn(T) -> I + Send + Sync + 'static,
        I: IntoIterator<Item: Send + 'static, IntoIter: Send + 'static>,
    {
        let expand = move |item| function(item).into_iter();
        expanded::<_, _, _, Iterated<_>>(self, "flat_map", expand)
    }

    /// The items of each item, which is a stream. It is polled while there is room, and the next one not
    /// before it has ended.
    ///
    /// ```
    /// use pipeline_core::prelude::*;
    /// use tokio_stream::iter;
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), BoxError> {
    /// let pages = [iter([1, 2]), iter([3, 4])];
    /// let report = Pipeline::from_iter(pages).flatten_stream().collect().run().await?;
    /// assert_eq!(report.value, [1, 2, 3, 4]);
    /// # Ok(()) }
    /// ```
    pub fn flatten_stream(self) -> Pipeline<T::Item>
    where
        T: Stream<Item: Send + 'static>,
    {
        expanded::<_, _, _, Streamed<_>>(self, "flatten_stream", |item| item)
    }

    /// The items of the stream that `function` makes of each item: of the pages of a query, the lines of
    /// a file.
    ///
    /// ```
    /// use pipeline_core::prelude::*;
    /// use tokio_stream::iter;
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), BoxError> {
    /// let report = Pipeline::from_iter([1, 2, 3]).flat_map_stream(|n| iter(0..n)).count().run().await?;
    /// assert_eq!(report.value, 6);
    /// # Ok(()) }
    /// ```
    pub fn flat_map_stream<F, S>(self, function: F) -> Pipeline<S::Item>
    where
        F: Fn(T) -> S + Send + Sync + 'static,
        S: Stream<Item: Send + 'static> + Send + 'static,
    {
        expanded::<_, _, _, Streamed<_>>(self, "flat_map_stream", function)
    }
}

fn expanded<T, L, F, P>(
    upstream: Pipeline<T, L>,
    method: &'static str,
    expand: F,
) -> Pipeline<P::Part>
where
    T: Send + 'static,
    L: Tail<Item = T>,
    F: FnMut(T) -> P::Whole + Send + 'static,
    P: Parts + Default,
{
    let traits = Operator {
        scatters: true,
        ..Operator::default()
    };
    after(upstream, method, traits, move |inlet, out| {
        Expand::<T, F, P>::new(inlet, out, expand)
    })
}
