//! Work that is pending once and woken at once: what suspending an item costs.

use super::line::cost;
use benches::measure::Effort;
use benches::measure::race::Race;
use benches::one_stage::OneStage;
use benches::options::Options;
use benches::ours::Ours;
use benches::peers::idioms::{Buffered, SemaphoreSpawnMpsc};
use benches::table::{Goal, Line};
use benches::tally::Wrong;
use benches::work::pending_once;

/// `yield_now` in each item.
pub(super) fn measure(effort: &Effort) -> Result<Vec<Line>, Wrong> {
    let work = OneStage {
        options: Options::parallelism(64),
        function: pending_once,
    };

    let mut race = Race::new();
    let ours = race.enter_sized("ours", effort, work.by::<Ours>())?;
    let semaphore = race.enter_sized(
        "semaphore + spawn + mpsc",
        effort,
        work.by::<SemaphoreSpawnMpsc>(),
    )?;
    let buffered = race.enter_sized("futures buffered", effort, work.by::<Buffered>())?;
    let rounds = race.run(effort.rounds)?;

    let name = "yield_now once, P 64";
    Ok(vec![
        cost(name, &rounds, ours, semaphore, Goal::AtMost(0.55)),
        cost(name, &rounds, ours, buffered, Goal::None),
    ])
}
