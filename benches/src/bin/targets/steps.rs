//! What a further stage costs, and a further fused step.

use std::hint::black_box;
use std::time::Duration;

use pipeline_core::prelude::*;

use benches::measure::Effort;
use benches::measure::race::{Race, Round};
use benches::measure::runtime::checked;
use benches::ours;
use benches::peers::idioms::mpsc_hop;
use benches::table::{Goal, Line, Value, time};
use benches::tally::{Tally, Wrong};
use benches::work::noop;

/// Of the channel: as many items as fit in our default window.
const CAPACITY: usize = 1024;

/// Steps that are added to one.
const MORE: f64 = 4.0;

/// The difference between five and one, against a hop through a channel of tokio.
pub(super) fn measure(effort: &Effort) -> Result<Vec<Line>, Wrong> {
    let mut race = Race::new();
    let one = race.enter_sized("one stage", effort, |items| {
        ours(items, move || Pipeline::from_iter(0..items).then(noop))
    })?;
    let stages = race.enter_sized("five stages", effort, |items| {
        let first = move || Pipeline::from_iter(0..items).then(noop);
        ours(items, move || {
            first().then(noop).then(noop).then(noop).then(noop)
        })
    })?;
    let fused = race.enter_sized("one stage, four fused steps", effort, |items| {
        let first = move || Pipeline::from_iter(0..items).then(noop);
        ours(items, move || {
            first()
                .map(black_box)
                .map(black_box)
                .map(black_box)
                .map(black_box)
        })
    })?;
    let hop = race.enter_sized("tokio mpsc hop", effort, |items| {
        checked(items, true, async move {
            Ok(mpsc_hop(items, CAPACITY, Tally::default()).await)
        })
    })?;
    let rounds = race.run(effort.rounds)?;

    let more = |round: &Round<f64>, many| (round[many] - round[one]) / MORE;
    let line = |name: &str, many, value, goal| Line {
        name: name.to_owned(),
        ours: time(rounds.median(|round| more(round, many))),
        peer: format!("{} {}", hop.name(), time(rounds.median(|round| round[hop]))),
        value,
        goal,
        calmness: rounds.calmness(),
    };
    let alone = |many| Value::Alone(rounds.spread(|round| more(round, many)));
    let ratio = |many| Value::Ratio(rounds.spread(|round| more(round, many) / round[hop]));
    Ok(vec![
        line(
            "one more stage, no options set (ns)",
            stages,
            alone(stages),
            Goal::AtMost(8.0),
        ),
        line(
            "one more stage, no options set",
            stages,
            ratio(stages),
            Goal::AtMost(0.12),
        ),
        line(
            "one more fused step (ns)",
            fused,
            alone(fused),
            Goal::AtMost(2.0),
        ),
        line(
            "one more fused step",
            fused,
            ratio(fused),
            Goal::AtMost(0.03),
        ),
    ])
}

fn ours<P>(items: u64, build: impl FnOnce() -> P + Send + 'static) -> Result<Duration, Wrong>
where
    P: IntoPipeline<Item = u64> + Send + 'static,
{
    checked(items, true, async move {
        ours::collect(build(), Tally::default()).await
    })
}
