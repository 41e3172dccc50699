//! What a stage by `#[stage]` costs over the same one written by hand.

use std::time::Duration;

use pipeline_core::prelude::*;

use super::line::cost;
use benches::measure::Effort;
use benches::measure::race::Race;
use benches::measure::runtime::checked;
use benches::ours;
use benches::table::{Goal, Line};
use benches::tally::{Tally, Wrong};

/// Counts what it has seen.
#[stage(parallelism = 16)]
async fn count(#[state] seen: &mut u64, item: u64) -> Result<u64, BoxError> {
    *seen += 1;
    Ok(item)
}

/// The same, by hand.
#[derive(Debug, Clone)]
struct ByHand {
    seen: u64,
}

impl Stage<u64, u64> for ByHand {
    type Error = BoxError;

    async fn process(&mut self, item: u64) -> Result<u64, BoxError> {
        self.seen += 1;
        Ok(item)
    }

    fn defaults() -> StageConfig<u64> {
        StageConfig::new().parallelism(16)
    }
}

/// Both of them, with the same work.
pub(super) fn measure(effort: &Effort) -> Result<Vec<Line>, Wrong> {
    let mut race = Race::new();
    let by_macro = race.enter_sized("by #[stage]", effort, |items| {
        run(items, move || {
            Pipeline::from_iter(0..items).stage(Count::new(0))
        })
    })?;
    let by_hand = race.enter_sized("by hand", effort, |items| {
        run(items, move || {
            Pipeline::from_iter(0..items).stage(ByHand { seen: 0 })
        })
    })?;
    let rounds = race.run(effort.rounds)?;
    // "costs nothing", as far as this can tell
    let goal = Goal::AtMost(1.05);
    Ok(vec![cost(
        "a stage by #[stage]",
        &rounds,
        by_macro,
        by_hand,
        goal,
    )])
}

fn run<P>(items: u64, build: impl FnOnce() -> P + Send + 'static) -> Result<Duration, Wrong>
where
    P: IntoPipeline<Item = u64> + Send + 'static,
{
    checked(items, true, async move {
        ours::collect(build(), Tally::default()).await
    })
}
