//! What an item costs when nothing is done with it: all that is left is the library.

use pipeline_core::prelude::*;

use super::line::cost;
use benches::measure::Effort;
use benches::measure::race::Race;
use benches::measure::runtime::checked;
use benches::one_stage::OneStage;
use benches::options::Options;
use benches::ours::{self, Ours};
use benches::peers::idioms::{Buffered, SemaphoreSpawnMpsc, SpawnBuffered};
use benches::table::{Goal, Line};
use benches::tally::{Tally, Wrong};
use benches::work::noop;

/// The whole way from source to end, no work in it.
pub(super) fn measure(effort: &Effort) -> Result<Vec<Line>, Wrong> {
    let options = Options::parallelism(16).window(1024);
    let work = OneStage {
        options,
        function: noop,
    };
    let any_order = OneStage {
        options: options.unordered(),
        ..work
    };

    let mut race = Race::new();
    let ordered = race.enter_sized("ours, ordered", effort, work.by::<Ours>())?;
    let unordered = race.enter_sized("ours, unordered", effort, any_order.by::<Ours>())?;
    let untouched = race.enter_sized("ours, no options", effort, |items| {
        checked(items, true, async move {
            ours::collect(Pipeline::from_iter(0..items).then(noop), Tally::default()).await
        })
    })?;
    let buffered = race.enter_sized("futures buffered", effort, work.by::<Buffered>())?;
    let spawned = race.enter_sized("spawn + buffered", effort, work.by::<SpawnBuffered>())?;
    let semaphore = race.enter_sized(
        "semaphore + spawn + mpsc",
        effort,
        work.by::<SemaphoreSpawnMpsc>(),
    )?;
    let rounds = race.run(effort.rounds)?;

    let name = "no-op, P 16, window 1024";
    Ok(vec![
        cost(name, &rounds, ordered, buffered, Goal::AtMost(0.40)),
        cost(name, &rounds, ordered, spawned, Goal::AtMost(0.05)),
        cost(name, &rounds, ordered, semaphore, Goal::AtMost(0.04)),
        // "not slower", as far as this can tell
        cost(
            "the same unordered",
            &rounds,
            unordered,
            ordered,
            Goal::AtMost(1.05),
        ),
        cost(
            "no-op, no options set",
            &rounds,
            untouched,
            buffered,
            Goal::None,
        ),
    ])
}
