//! At most so many items in so much time.

use super::after;
use crate::{
    config::Rate,
    engine::{LATE, Throttle},
    pipeline::{Pipeline, Tail, graph::Operator},
    plan::Mistake,
};

/// Pace.
impl<T: Send + 'static, L: Tail<Item = T>> Pipeline<T, L> {
    /// At most so many items in so much time: for what others limit, such as calls of a service.
    ///
    /// Items are evenly spread: the first one goes at once, and each other one not sooner than
    /// `per / items` after the one before. Time in which nothing came, or the next step was full, is
    /// not made up for, but for a [`burst`](Rate::burst) if one is allowed. The order is kept. It is exact over
    /// any time: nothing is rounded that adds up. Timers have a grain of a millisecond, so of a rate above
    /// 1000 a second several items go together, as many as were due.
    ///
    /// **Holds** nothing beside what it has just taken; items that have gone and wait for the next step
    /// are as few as the rate allows: one for a rate without a burst. So a step that stood still
    /// finds up to that many items at once, and a burst. **A drain** keeps the pace, until its deadline.
    /// **A cancel** drops what waits. Nothing runs while no item waits.
    ///
    /// A rate of 0 items, in no time, or with a burst of 0 is refused at the start
    /// ([`BuildError::Zero`](crate::BuildError::Zero),
    /// [`BuildError::ZeroPeriod`](crate::BuildError::ZeroPeriod)). It needs the runtime's timers.
    ///
    /// ```
    /// use std::time::{Duration, Instant};
    /// use pipeline_core::prelude::*;
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), BoxError> {
    /// let start = Instant::now();
    /// Pipeline::from_iter(0..5).throttle(Rate::per_second(100)).count().run().await?;
    /// assert!(start.elapsed() >= Duration::from_millis(40));
    /// # Ok(()) }
    /// ```
    pub fn throttle(self, rate: Rate) -> Pipeline<T> {
        let mistake = if rate.has_no_period() {
            Some(Mistake::ZeroPeriod)
        } else {
            rate.zero().map(Mistake::Zero)
        };
        let traits = Operator {
            options: rate.to_string(),
            buffer: rate.at_once(LATE).clamp(1, 128),
            timed: Some("rate"),
            mistake,
            ..Operator::default()
        };
        after(self, "throttle", traits, move |inlet, out| {
            Throttle::new(inlet, out, rate)
        })
    }
}
