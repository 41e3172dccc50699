//! A thousand sleeps of 0 to 99 ms: how near an ordered run comes to the best schedule.

use std::time::Duration;

use super::line::cost;
use benches::measure::Effort;
use benches::measure::race::Race;
use benches::one_stage::OneStage;
use benches::options::Options;
use benches::ours::Ours;
use benches::peers::idioms::{Buffered, SemaphoreSpawnMpsc};
use benches::schedule::fifo;
use benches::table::{Goal, Line};
use benches::tally::Wrong;
use benches::work::Delays;

const ITEMS: u64 = 1000;
const PARALLELISM: usize = 100;

/// Tokio's timers end with the millisecond after the one that was asked for.
const GRAIN: Duration = Duration::from_millis(1);

/// Against the schedule, with and without the grain of tokio's timers.
pub(super) fn measure(effort: &Effort) -> Result<Vec<Line>, Wrong> {
    let delays = Delays::uniform(ITEMS as usize);
    let exact = fifo(delays.as_slice(), PARALLELISM);
    let coarse: Vec<Duration> = delays
        .as_slice()
        .iter()
        .map(|delay| *delay + GRAIN)
        .collect();
    let coarse = fifo(&coarse, PARALLELISM);
    let work = OneStage {
        options: Options::parallelism(PARALLELISM),
        function: move |index| delays.nap(index),
    };

    let mut race = Race::new();
    let ours = race.enter_fixed("ours", ITEMS, work.by::<Ours>());
    let schedule = race.enter_known("FIFO schedule", exact);
    let grained = race.enter_known("FIFO, timers of 1 ms", coarse);
    let semaphore = race.enter_fixed(
        "semaphore + spawn + mpsc",
        ITEMS,
        work.by::<SemaphoreSpawnMpsc>(),
    );
    let buffered = race.enter_fixed("futures buffered", ITEMS, work.by::<Buffered>());
    let rounds = race.run(effort.long_rounds)?;

    let name = "1,000 sleeps of 0..=99 ms, P 100";
    Ok(vec![
        cost(name, &rounds, ours, schedule, Goal::AtMost(1.02)),
        cost(name, &rounds, ours, grained, Goal::None),
        cost(name, &rounds, ours, semaphore, Goal::None),
        cost(name, &rounds, ours, buffered, Goal::None),
    ])
}
