//! One piece of work, given to every contender alike: the items `0..n` through one stage, or through four.

use std::time::Duration;

use crate::measure::runtime::checked;
use crate::options::Options;
use crate::peers::Peer;
use crate::tally::{Indexed, Tally, Wrong};

/// The function of the stage, and how it is run.
#[derive(Debug, Clone, Copy)]
pub struct OneStage<F> {
    /// How.
    pub options: Options,
    /// What.
    pub function: F,
}

impl<F, Fut, T> OneStage<F>
where
    F: Fn(u64) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = T> + Send + 'static,
    T: Indexed,
{
    /// The samples of a contender. Its pipeline is built within the time.
    pub fn by<P: Peer>(&self) -> impl Fn(u64) -> Result<Duration, Wrong> + 'static {
        let OneStage { options, function } = self.clone();
        move |items| {
            let run = P::run(0..items, options, function.clone(), Tally::default());
            checked(items, options.ordered, run)
        }
    }
}

impl<F, Fut> OneStage<F>
where
    F: Fn(u64) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = u64> + Send + 'static,
{
    /// The same with four such stages, one after another.
    pub fn four_by<P: Peer>(&self) -> impl Fn(u64) -> Result<Duration, Wrong> + 'static {
        let OneStage { options, function } = self.clone();
        move |items| {
            let run = P::run_four(0..items, options, function.clone(), Tally::default());
            checked(items, options.ordered, run)
        }
    }
}
