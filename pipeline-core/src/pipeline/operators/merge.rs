//! Several pipelines to one.

use super::behind_several;
use crate::{
    engine::{Joint, Merge, MergeOrdered},
    pipeline::{
        Assembly, IntoPipeline, Pipeline, Tail,
        graph::{Operator, Port},
    },
};

/// Several pipelines to one.
impl<T: Send + 'static, L: Tail<Item = T>> Pipeline<T, L> {
    /// The items of both, as they come. See [`merge_all`](Pipeline::merge_all), of which this is the one for
    /// two.
    ///
    /// ```
    /// use pipeline_core::prelude::*;
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), BoxError> {
    /// let (small, large) = Pipeline::from_iter(0..10).split(|n| *n < 3);
    /// let slow = large.then(async |n| n * 100).parallelism(4);
    /// let mut all = small.merge(slow).collect().run().await?.value;
    /// all.sort();
    /// assert_eq!(all, [0, 1, 2, 300, 400, 500, 600, 700, 800, 900]);
    /// # Ok(()) }
    /// ```
    pub fn merge(self, other: impl IntoPipeline<Item = T>) -> Pipeline<T> {
        merged("merge", [self.into_pipeline(), other.into_pipeline()])
    }

    /// The items of both, each of which is sorted by `key`, in the order of their keys. See
    /// [`merge_all_ordered`](Pipeline::merge_all_ordered), of which this is the one for two.
    ///
    /// ```
    /// use pipeline_core::prelude::*;
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), BoxError> {
    /// let squares = Pipeline::from_iter(1..5).map(|n| n * n);
    /// let tens = Pipeline::from_iter([5, 10, 15]);
    /// let all = squares.merge_ordered(tens, |n| *n).collect().run().await?.value;
    /// assert_eq!(all, [1, 4, 5, 9, 10, 15, 16]);
    /// # Ok(()) }
    /// ```
    pub fn merge_ordered<K, F>(self, other: impl IntoPipeline<Item = T>, key: F) -> Pipeline<T>
    where
        K: Ord + Send + 'static,
        F: Fn(&T) -> K + Send + Sync + 'static,
    {
        let both = [self.into_pipeline(), other.into_pipeline()];
        merged_in_order("merge_ordered", both, key)
    }
}

/// Any number of pipelines to one.
impl<T: Send + 'static> Pipeline<T> {
    /// The items of all of them, as they come.
    ///
    /// **Order**: that of each pipeline is kept; between them there is none. It is fair: pipelines that
    /// have items take turns of up to 64, and one that always has some never keeps another one from its turn.
    /// **The end** comes when all of them have ended; of no pipelines, at once. **A drain** stops all
    /// sources. If one of the sources fails the run has failed, and ends when what was taken from all is
    /// through. **Holds** up to 64 items of each pipeline.
    ///
    /// The pipelines may be branches of one ([`split`](Pipeline::split), [`route`](Pipeline::route),
    /// [`broadcast`](Pipeline::broadcast)), or have sources of their own.
    ///
    /// ```
    /// use pipeline_core::prelude::*;
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), BoxError> {
    /// let sources = (0..5).map(|n| Pipeline::from_iter([n, n + 10]));
    /// let report = Pipeline::merge_all(sources).count().run().await?;
    /// assert_eq!(report.value, 10);
    /// # Ok(()) }
    /// ```
    pub fn merge_all<P: IntoPipeline<Item = T>>(pipelines: impl IntoIterator<Item = P>) -> Self {
        let pipelines = pipelines.into_iter().map(IntoPipeline::into_pipeline);
        merged("merge_all", pipelines)
    }

    /// The items of all of them, each of which is sorted by `key`, in the order of their keys: to put
    /// back in order what carries a sequence number or a time.
    ///
    /// **Order**: the lowest key first; of equal ones that of the pipeline that stands first. If a
    /// pipeline is not sorted the result is not either, and nothing is lost. **It waits** for the next item of
    /// every pipeline that has not ended, as any of them may have the lowest key: one that is slow
    /// holds up all. **The end** comes when all have ended. **Holds** up to 64 items of each pipeline.
    ///
    /// If `key` panics, or the comparison of keys, the item fails, under the name of this step.
    ///
    /// Branches of one pipeline can stall here: while nothing comes by one branch, the others fill up,
    /// until the step that they come from cannot go on. Then the run ends, and its cause is
    /// [`Stalled`](crate::error::Cause::Stalled).
    ///
    /// ```
    /// use pipeline_core::prelude::*;
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), BoxError> {
    /// let logs = [vec![(1, "a"), (4, "b")], vec![(2, "c")], vec![(3, "d"), (5, "e")]];
    /// let logs = logs.into_iter().map(Pipeline::from_iter);
    /// let report = Pipeline::merge_all_ordered(logs, |(time, _)| *time).collect().run().await?;
    /// assert_eq!(report.value, [(1, "a"), (2, "c"), (3, "d"), (4, "b"), (5, "e")]);
    /// # Ok(()) }
    /// ```
    pub fn merge_all_ordered<P, K, F>(pipelines: impl IntoIterator<Item = P>, key: F) -> Self
    where
        P: IntoPipeline<Item = T>,
        K: Ord + Send + 'static,
        F: Fn(&T) -> K + Send + Sync + 'static,
    {
        let pipelines = pipelines.into_iter().map(IntoPipeline::into_pipeline);
        merged_in_order("merge_all_ordered", pipelines, key)
    }
}

fn merged<T: Send + 'static>(
    method: &'static str,
    pipelines: impl IntoIterator<Item = Pipeline<T>>,
) -> Pipeline<T> {
    let (inputs, open) = open_all(pipelines);
    behind_several(
        method,
        traits(inputs.len()),
        inputs,
        open,
        |edges, mut entrance, out| {
            let inlets = edges.into_iter().map(|edge| entrance.inlet(edge));
            Merge::new(inlets.collect(), out)
        },
    )
}

fn merged_in_order<T, K, F>(
    method: &'static str,
    pipelines: impl IntoIterator<Item = Pipeline<T>>,
    key: F,
) -> Pipeline<T>
where
    T: Send + 'static,
    K: Ord + Send + 'static,
    F: Fn(&T) -> K + Send + Sync + 'static,
{
    let (inputs, open) = open_all(pipelines);
    behind_several(
        method,
        traits(inputs.len()),
        inputs,
        open,
        |edges, mut entrance, out| {
            let inlets = edges.into_iter().map(|edge| entrance.inlet(edge));
            let inlets = inlets.collect();
            MergeOrdered::new(inlets, out, entrance.join(), key)
        },
    )
}

fn traits(inputs: usize) -> Operator {
    Operator {
        inputs,
        ..Operator::default()
    }
}

/// What they end with, and what makes everything up to there.
fn open_all<T: Send + 'static>(
    pipelines: impl IntoIterator<Item = Pipeline<T>>,
) -> (
    Vec<Port>,
    impl FnOnce(&mut Assembly) -> Vec<Joint<T>> + Send + 'static,
) {
    let split = pipelines.into_iter().map(|pipeline| pipeline.tail.split());
    let (ports, opens): (Vec<_>, Vec<_>) = split.unzip();
    let open = |assembly: &mut Assembly| opens.into_iter().map(|open| open(assembly)).collect();
    (ports, open)
}
