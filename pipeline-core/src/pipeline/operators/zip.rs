//! Two pipelines to one of pairs.

use super::behind_several;
use crate::{
    engine::Zip,
    pipeline::{Assembly, IntoPipeline, Pipeline, Tail, graph::Operator, tail::close},
};

/// Two pipelines to one.
impl<T: Send + 'static, L: Tail<Item = T>> Pipeline<T, L> {
    /// Pairs: the first items of both, then the second ones, and so on.
    ///
    /// **Order** is kept. **The end** comes with that of the shorter one. The other one's source is then
    /// asked for nothing more, what was taken from it and has no partner counts as cancelled, and the run
    /// goes on to its end. **Holds** up to 64 items of each pipeline. An item that was left out or has failed
    /// leaves no hole: those after it move up, and their partners are other ones than without it.
    /// **A failure** of a pair in a later step is one error whose
    /// [origin](crate::StageError::origin) has the items of both, and fails them both.
    ///
    /// Branches of one pipeline can stall here: if one of them gives fewer items than the other, or gathers
    /// many before it gives one, the other one fills up, until the step that both come from cannot go
    /// on. Then the run ends, and its cause is [`Stalled`](crate::error::Cause::Stalled).
    ///
    /// ```
    /// use pipeline_core::prelude::*;
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), BoxError> {
    /// let names = Pipeline::from_iter(["a", "b", "c"]);
    /// let numbers = Pipeline::from_iter(0..);
    /// let report = names.zip(numbers).collect().run().await?;
    /// assert_eq!(report.value, [("a", 0), ("b", 1), ("c", 2)]);
    /// # Ok(()) }
    /// ```
    pub fn zip<P: IntoPipeline>(self, other: P) -> Pipeline<(T, P::Item)> {
        let traits = Operator {
            inputs: 2,
            joins: true,
            ..Operator::default()
        };
        let (first, open_first) = close(self.tail).split();
        let (second, open_second) = other.into_pipeline().tail.split();
        let open = |assembly: &mut Assembly| (open_first(assembly), open_second(assembly));
        let inputs = vec![first, second];
        behind_several(
            "zip",
            traits,
            inputs,
            open,
            |(first, second), mut entrance, out| {
                let (first, second) = (entrance.inlet(first), entrance.inlet(second));
                Zip::new(first, second, out, entrance.join())
            },
        )
    }
}
