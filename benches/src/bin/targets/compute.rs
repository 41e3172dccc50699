//! Work that computes: how much of the processors is left to it.

use rayon::ThreadPoolBuilder;

use super::line::speed;
use benches::measure::Effort;
use benches::measure::race::Race;
use benches::measure::runtime::{WORKERS, checked_here};
use benches::one_stage::OneStage;
use benches::options::Options;
use benches::ours::Ours;
use benches::peers::idioms::SpawnBuffered;
use benches::peers::threads;
use benches::table::{Goal, Line};
use benches::tally::{Tally, Wrong};
use benches::work::spin;

/// So many microseconds an item, against one thread and against rayon.
pub(super) fn measure(effort: &Effort, micros: u64, speed_up: f64) -> Result<Vec<Line>, Wrong> {
    let work = OneStage {
        options: Options::parallelism(16),
        function: move |index| async move { spin(index, micros) },
    };
    let pool = ThreadPoolBuilder::new()
        .num_threads(WORKERS)
        .build()
        .map_err(|error| Wrong(error.to_string()))?;

    let mut race = Race::new();
    let ours = race.enter_sized("ours", effort, work.by::<Ours>())?;
    let sequential = race.enter_sized("sequential loop", effort, move |items| {
        checked_here(items, || {
            threads::sequential(items, |index| spin(index, micros), Tally::default())
        })
    })?;
    let rayon = race.enter_sized("rayon", effort, move |items| {
        checked_here(items, || {
            threads::rayon(&pool, items, |index| spin(index, micros), Tally::default())
        })
    })?;
    let spawned = race.enter_sized("spawn + buffered", effort, work.by::<SpawnBuffered>())?;
    let rounds = race.run(effort.rounds)?;

    let name = format!("{micros} us of CPU, P 16: speed");
    Ok(vec![
        speed(&name, &rounds, ours, sequential, Goal::AtLeast(speed_up)),
        speed(&name, &rounds, ours, rayon, Goal::AtLeast(0.93)),
        speed(&name, &rounds, ours, spawned, Goal::None),
    ])
}
