//! Many items to one vector.

use std::{hash::Hash, time::Duration};

use super::after;
use crate::{
    engine::{Batch, BatchBy, is_timed},
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
            mistake: (max == 0).then_some(Mistake::Zero("max")),
            ..gathering(max, age)
        };
        after(self, "batch", traits, move |inlet, out| {
            Batch::new(inlet, out, max, age, |_: &T| 1)
        })
    }

    /// Like [`batch`](Self::batch), with vectors whose items weigh up to `max_weight` together: bytes,
    /// rows, cost.
    ///
    /// An item that would make a batch too heavy sends it on, and is the first one of the next. An item
    /// that is heavier than `max_weight` by itself goes alone. A weight of 0 counts as 1, so that a batch
    /// is bounded: it has at most `max_weight` items.
    ///
    /// **Holds** up to `max_weight` items, if they are that light: the bound of
    /// [`Job::plan`](crate::Job::plan) has to assume it. **If `weight` panics** its item fails, under the
    /// name of this step, and the batch goes on without it.
    ///
    /// `max_weight` is at least 1, else the start is refused
    /// ([`BuildError::Zero`](crate::BuildError::Zero)).
    ///
    /// ```
    /// use std::time::Duration;
    /// use pipeline_core::prelude::*;
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), BoxError> {
    /// let report = Pipeline::from_iter([40, 50, 20, 300, 10])
    ///     .batch_weighted(100, Duration::from_millis(20), |n| *n)
    ///     .collect()
    ///     .run()
    ///     .await?;
    /// assert_eq!(report.value, [vec![40, 50], vec![20], vec![300], vec![10]]);
    /// # Ok(()) }
    /// ```
    pub fn batch_weighted<F>(self, max_weight: usize, age: Duration, weight: F) -> Pipeline<Vec<T>>
    where
        F: Fn(&T) -> usize + Send + Sync + 'static,
    {
        let traits = Operator {
            options: format!("up to a weight of {max_weight}, {}", age_text(age)),
            // one that did not fit waits for the batch to go
            holds: max_weight.saturating_add(1),
            mistake: (max_weight == 0).then_some(Mistake::Zero("max_weight")),
            ..gathering(max_weight, age)
        };
        after(self, "batch_weighted", traits, move |inlet, out| {
            Batch::new(inlet, out, max_weight, age, weight)
        })
    }

    /// Like [`batch`](Self::batch), with vectors of items of the same key: for writes by table, customer
    /// or partition.
    ///
    /// Each key has one open batch, which leaves when it has `max` items, `age` after its first item came,
    /// when nothing more comes, and on a drain. The items of a key keep their order; batches leave as they
    /// are complete, those that are complete at once (as at the end) in the order of their first items.
    ///
    /// **Holds** up to `max(4 * max, 1024)` items in all batches together. When there are as many, the
    /// oldest batch leaves as it is, so many rare keys never stop the flow. A key is remembered while it
    /// has an open batch, and costs nothing afterwards. **A cancel** drops what was gathered.
    /// **If `key` panics**, or `Hash` or `Eq` of a key, the item fails, under the name of this step, and
    /// no other.
    ///
    /// `max` is at least 1, else the start is refused ([`BuildError::Zero`](crate::BuildError::Zero)).
    ///
    /// ```
    /// use std::time::Duration;
    /// use pipeline_core::prelude::*;
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), BoxError> {
    /// let report = Pipeline::from_iter(0..9)
    ///     .batch_by(|n| n % 2, 3, Duration::from_secs(1))
    ///     .collect()
    ///     .run()
    ///     .await?;
    /// assert_eq!(report.value, [vec![0, 2, 4], vec![1, 3, 5], vec![6, 8], vec![7]]);
    /// # Ok(()) }
    /// ```
    pub fn batch_by<K, F>(self, key: F, max: usize, age: Duration) -> Pipeline<Vec<T>>
    where
        K: Hash + Eq + Send + 'static,
        F: Fn(&T) -> K + Send + Sync + 'static,
    {
        let bound = max.saturating_mul(4).max(WINDOW);
        let traits = Operator {
            options: format!("up to {max} items of a key, {}", age_text(age)),
            holds: bound,
            mistake: (max == 0).then_some(Mistake::Zero("max")),
            ..gathering(max, age)
        };
        after(self, "batch_by", traits, move |inlet, out| {
            BatchBy::new(inlet, out, max, bound, age, key)
        })
    }
}

/// What all of them have in common.
fn gathering(max: usize, age: Duration) -> Operator {
    Operator {
        buffer: buffer_for(max),
        gathers: max,
        timed: is_timed(age).then_some("age"),
        ..Operator::default()
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
