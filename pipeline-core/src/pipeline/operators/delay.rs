//! Items that leave later than they come.

use std::{hash::Hash, time::Duration};

use tokio::time::Instant;

use super::{Schedule, after};
use crate::{
    engine::{self, Scheduled},
    pipeline::{Pipeline, Tail, graph::Operator},
    plan::Mistake,
    rt::Moment,
};

/// Later.
impl<T: Send + 'static, L: Tail<Item = T>> Pipeline<T, L> {
    /// Each item leaves `delay` after it came to this step, in the order in which they came. Delays do
    /// not add up: items that came together leave together.
    ///
    /// **Holds** up to `capacity` items. When it is full, further ones wait in front of it, and their
    /// delay begins when they are let in: to keep up with `n` items a second, `capacity` has to be
    /// `n` times the delay in seconds. It holds what its line of the [report](crate::report::StageReport)
    /// has as `taken`, less what it has as `given`. While the next step is full, items that are due stay
    /// inside. **At the end** of the input, and in **a drain**, it waits for all that is inside, a drain
    /// up to its deadline. **A cancel** drops what is inside, and counts it as cancelled.
    ///
    /// Times are tokio's, which rounds up to the next millisecond; never down. One timer serves all items.
    /// With `Duration::MAX` they never leave. `capacity` is at least 1, else the start is refused
    /// ([`BuildError::Zero`](crate::BuildError::Zero)).
    ///
    /// ```
    /// use std::time::{Duration, Instant};
    /// use pipeline_core::prelude::*;
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), BoxError> {
    /// let start = Instant::now();
    /// let later = Pipeline::from_iter(0..100).delay(Duration::from_millis(20), 100).count();
    /// assert_eq!(later.run().await?.value, 100);
    /// assert!(start.elapsed() >= Duration::from_millis(20));
    /// # Ok(()) }
    /// ```
    pub fn delay(self, delay: Duration, capacity: usize) -> Pipeline<T> {
        let timed = delay != Duration::ZERO && delay != Duration::MAX;
        let time = match delay {
            Duration::MAX => "for ever".to_owned(),
            delay => format!("{delay:?}"),
        };
        let traits = Operator {
            timed: timed.then_some("delay"),
            ..keeps(&time, capacity)
        };
        after(self, "delay", traits, move |inlet, out| {
            engine::delay(inlet, out, capacity, delay)
        })
    }

    /// Each item leaves when it is due, as `due` says. Sooner ones go first, whenever they came; those of
    /// the same time leave in the order in which they came. What is due already leaves at once.
    ///
    /// **Holds** up to `capacity` items. When it is full, further ones wait in front of it until one has
    /// left, also those that would be due sooner: a `capacity` that is large enough is part of being in
    /// time. Everything else is as with [`delay`](Self::delay). If `due` panics, its item fails, under the
    /// name of this step. It is called once for each item, when that is let in.
    ///
    /// A time may be years away; then the item is inside for years. What is to be cancelled, or to leave
    /// before its time, is for [`delay_by`](Self::delay_by).
    ///
    /// ```
    /// use pipeline_core::prelude::*;
    /// use tokio::time::{Duration, Instant};
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), BoxError> {
    /// let start = Instant::now();
    /// let sorted = Pipeline::from_iter([30, 10, 20, 10])
    ///     .delay_until(move |ms| start + Duration::from_millis(*ms), 1000)
    ///     .collect();
    /// assert_eq!(sorted.run().await?.value, [10, 10, 20, 30]);
    /// # Ok(()) }
    /// ```
    pub fn delay_until<F>(self, due: F, capacity: usize) -> Pipeline<T>
    where
        F: Fn(&T) -> Instant + Send + Sync + 'static,
    {
        let traits = Operator {
            timed: Some("due"),
            ..keeps("until due", capacity)
        };
        after(self, "delay_until", traits, move |inlet, out| {
            let due = move |item: &T| Moment::at(due(item));
            engine::delay_until(inlet, out, capacity, due)
        })
    }

    /// As [`delay_until`](Self::delay_until), and what is inside can be found by its key: `function` gives
    /// an item's key and when it is due.
    ///
    /// By the [`Schedule`] items are cancelled, get another time, or leave at once; the whole is paused
    /// and resumed; and what was inside when the run was stopped is taken back. Several items may have the
    /// same key. A schedule is for one step at a time, else the start is refused
    /// ([`BuildError::InUse`](crate::BuildError::InUse)); when a run is over, it may be used for the next one.
    ///
    /// An item costs an allocation, for its key. A panic of the key's `Hash` is one of `function`.
    ///
    /// ```
    /// use pipeline_core::{Schedule, prelude::*};
    /// use tokio::time::{Duration, Instant};
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), BoxError> {
    /// let schedule = Schedule::new();
    /// let (sender, reminders) = Pipeline::channel(8);
    /// let tomorrow = Instant::now() + Duration::from_secs(24 * 60 * 60);
    /// let mut running = reminders
    ///     .delay_by(&schedule, move |name: &String| (name.clone(), tomorrow), 1000)
    ///     .collect()
    ///     .start()?;
    /// for name in ["call Ann", "buy milk", "read"] {
    ///     sender.send(name.to_owned()).await?;
    /// }
    /// drop(sender);
    /// while schedule.len() < 3 {
    ///     tokio::task::yield_now().await;
    /// }
    /// assert!(schedule.cancel("buy milk"));
    /// assert!(schedule.reschedule("read", Instant::now()));
    /// schedule.flush();
    /// let report = running.wait().await?;
    /// assert_eq!(report.value, ["read", "call Ann"]);
    /// assert_eq!(report.items.cancelled, 1);
    /// # Ok(()) }
    /// ```
    pub fn delay_by<K, F>(
        self,
        schedule: &Schedule<K, T>,
        function: F,
        capacity: usize,
    ) -> Pipeline<T>
    where
        K: Hash + Eq + Send + Sync + 'static,
        F: Fn(&T) -> (K, Instant) + Send + Sync + 'static,
    {
        let kept = keeps("until due, by key", capacity);
        let claim = schedule.claim();
        let in_use = (!claim.is_only()).then_some(Mistake::InUse("schedule"));
        let traits = Operator {
            timed: Some("due"),
            mistake: kept.mistake.or(in_use),
            ..kept
        };
        after(self, "delay_by", traits, move |inlet, out| {
            let function = move |item: &T| {
                let (key, due) = function(item);
                (key, Moment::at(due))
            };
            Scheduled::new(inlet, out, claim, capacity, function)
        })
    }
}

fn keeps(what: &str, capacity: usize) -> Operator {
    Operator {
        options: format!("{what}, capacity {capacity}"),
        holds: capacity,
        mistake: (capacity == 0).then_some(Mistake::Zero("capacity")),
        ..Operator::default()
    }
}
