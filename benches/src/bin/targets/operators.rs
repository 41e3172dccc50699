//! What operators cost: keys, batches, expansions, branches.

use std::time::Duration;

use pipeline_core::prelude::*;

use super::line::cost;
use benches::measure::Effort;
use benches::measure::race::{Lane, Race, Rounds};
use benches::measure::runtime::checked;
use benches::ours;
use benches::table::{Goal, Line, Value, time};
use benches::tally::{Collector, Tally, Wrong};
use benches::work::noop;

/// Each against the same pipeline without it.
pub(super) fn measure(effort: &Effort) -> Result<Vec<Line>, Wrong> {
    let mut lines = keyed(effort)?;
    lines.extend(batches(effort)?);
    lines.extend(branches(effort)?);
    Ok(lines)
}

fn keyed(effort: &Effort) -> Result<Vec<Line>, Wrong> {
    let stage = |items| Pipeline::from_iter(0..items).then(noop).parallelism(16);
    let mut race = Race::new();
    let plain = race.enter_sized("ordered", effort, move |items| {
        run(items, true, move || stage(items))
    })?;
    let distinct = race.enter_sized("keyed, each its own", effort, move |items| {
        run(items, false, move || stage(items).keyed(|item| *item))
    })?;
    let hundred = race.enter_sized("keyed, 100 keys", effort, move |items| {
        run(items, false, move || stage(items).keyed(|item| *item % 100))
    })?;
    let skewed = race.enter_sized("keyed, 999 of 1000 of one", effort, move |items| {
        let key = |item: &u64| {
            if item.is_multiple_of(1000) { *item } else { 1 }
        };
        run(items, false, move || stage(items).keyed(key))
    })?;
    let rounds = race.run(effort.rounds)?;
    let line = |name, lane, goal| cost(name, &rounds, lane, plain, goal);
    Ok(vec![
        line("keyed, all keys distinct", distinct, Goal::AtMost(3.0)),
        line("keyed, 100 keys", hundred, Goal::None),
        line("keyed, 999 of 1000 of one key", skewed, Goal::None),
    ])
}

/// All that is in a batch.
#[derive(Default)]
struct Unpacked(Tally);

impl Collector<Vec<u64>> for Unpacked {
    fn take(&mut self, batch: Vec<u64>) {
        batch.into_iter().for_each(|item| self.0.take(item));
    }
}

fn batches(effort: &Effort) -> Result<Vec<Line>, Wrong> {
    let stage = |items| Pipeline::from_iter(0..items).then(noop);
    let mut race = Race::new();
    let plain = race.enter_sized("without", effort, move |items| {
        run(items, true, move || stage(items))
    })?;
    let batch = race.enter_sized("batch(100)", effort, move |items| {
        checked(items, true, async move {
            let batches = stage(items).batch(100, Duration::from_secs(1));
            let job = batches.fold(Unpacked::default(), |mut unpacked, batch| {
                unpacked.take(batch);
                unpacked
            });
            let report = job.run().await;
            Ok(report
                .map_err(|error| Wrong(ours::describe(&error)))?
                .value
                .0)
        })
    })?;
    let there_and_back = race.enter_sized("batch(100), flatten", effort, move |items| {
        run(items, true, move || {
            stage(items).batch(100, Duration::from_secs(1)).flatten()
        })
    })?;
    let rounds = race.run(effort.rounds)?;
    Ok(vec![
        more("batch(100), more an item (ns)", &rounds, batch, plain, 5.0),
        Line {
            goal: Goal::None,
            ..more(
                "batch(100) and flatten, more an item (ns)",
                &rounds,
                there_and_back,
                plain,
                0.0,
            )
        },
    ])
}

fn branches(effort: &Effort) -> Result<Vec<Line>, Wrong> {
    let stage = |items| Pipeline::from_iter(0..items).then(noop);
    let mut race = Race::new();
    let plain = race.enter_sized("one stage", effort, move |items| {
        run(items, true, move || stage(items))
    })?;
    let stages = race.enter_sized("five stages", effort, move |items| {
        run(items, true, move || {
            stage(items).then(noop).then(noop).then(noop).then(noop)
        })
    })?;
    let split = race.enter_sized("split, merge", effort, move |items| {
        run(items, false, move || {
            let (even, odd) = stage(items).split(|item| item.is_multiple_of(2));
            even.merge(odd)
        })
    })?;
    let rounds = race.run(effort.rounds)?;
    // an edge, and the no-op stage behind it
    let edge =
        move |round: &benches::measure::race::Round<f64>| (round[stages] - round[plain]) / 4.0;
    Ok(vec![Line {
        name: "split and merge, in edges".to_owned(),
        ours: time(rounds.median(|round| round[split] - round[plain])),
        peer: format!("one more stage {}", time(rounds.median(edge))),
        value: Value::Ratio(rounds.spread(|round| (round[split] - round[plain]) / edge(round))),
        goal: Goal::AtMost(2.5),
        calmness: rounds.calmness(),
    }])
}

fn more(name: &str, rounds: &Rounds<f64>, lane: Lane, plain: Lane, most: f64) -> Line {
    Line {
        name: name.to_owned(),
        ours: time(rounds.median(|round| round[lane] - round[plain])),
        peer: format!("without {}", time(rounds.median(|round| round[plain]))),
        value: Value::Alone(rounds.spread(|round| round[lane] - round[plain])),
        goal: Goal::AtMost(most),
        calmness: rounds.calmness(),
    }
}

fn run<P>(
    items: u64,
    ordered: bool,
    build: impl FnOnce() -> P + Send + 'static,
) -> Result<Duration, Wrong>
where
    P: IntoPipeline<Item = u64> + Send + 'static,
{
    checked(items, ordered, async move {
        ours::collect(build(), Tally::default()).await
    })
}
