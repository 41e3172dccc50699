//! Many items to one vector.

use std::time::Duration;

use super::after;
use crate::{
    engine::Batch,
    pipeline::{Pipeline, Tail, draft::WINDOW, graph::Operator},
    plan::Mistake,
};

/// Many items to one.
impl<T: Send + 'static, L: Tail<Item = T>> Pipeline<T, L> {
    /// Vectors of up to `max` items, in their order: for inserts, uploads, anything that is cheaper by the
    /// hundred.
    ///
    /// A batch leaves when it has `max` items, `age` after its first item came, when nothing more comes,
    /// and on a drain. It is never empty. With `Duration::ZERO` it leaves as soon as no other item is
    /// there at the moment; with `Duration::MAX` time plays no part, and no timers are needed.
    ///
    /// **Holds** up to `max` items beside what it has just taken. While the next step is full it takes
    /// nothing, and a batch whose time has come goes as soon as there is room, with what was
    /// gathered until then. **A cancel** drops what was gathered, and counts it as cancelled.
    /// **A failure** of a batch in a later step is one error whose
    /// [origin](crate::StageError::origin) names all of its items, and fails them all.
    ///
    /// `max` is at least 1, else the start is refused ([`BuildError::Zero`](crate::BuildError::Zero)).
    ///
    /// ```
    /// use std::time::Duration;
    /// use pipeline_core::prelude::*;
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), BoxError> {
    /// let report = Pipeline::from_iter(0..10).batch(4, Duration::from_millis(20)).collect().run().await?;
    /// assert_eq!(report.value, [vec![0, 1, 2, 3], vec![4, 5, 6, 7], vec![8, 9]]);
    /// # Ok(()) }
    /// ```
    pub fn batch(self, max: usize, age: Duration) -> Pipeline<Vec<T>> {
        let traits = Operator {
            options: format!("up to {max} items, {}", age_text(age)),
            holds: max,
            buffer: buffer_for(max),
            gathers: max,
            timed: Batch::<T>::is_timed(age).then_some("age"),
            mistake: (max == 0).then_some(Mistake::Zero("max")),
            ..Operator::default()
        };
        after(self, "batch", traits, move |inlet, out| {
            Batch::new(inlet, out, max, age)
        })
    }
}

/// How many batches wait for the next step: about as many items as elsewhere, and one at least that is
/// worked on while the next one waits.
fn buffer_for(max: usize) -> usize {
    (WINDOW / max.max(1)).clamp(2, 128)
}

fn age_text(age: Duration) -> String {
    match age {
        Duration::MAX => "of any age".to_owned(),
        Duration::ZERO => "what is there".to_owned(),
        age => format!("at most {age:?} old"),
    }
}
