//! What limits of time and retries cost items that need neither.

use std::time::Duration;

use pipeline_core::prelude::*;

use super::line::cost;
use benches::measure::Effort;
use benches::measure::race::{Lane, Race};
use benches::measure::runtime::checked;
use benches::ours;
use benches::table::{Goal, Line, Value, time};
use benches::tally::{Tally, Wrong};
use benches::work::{noop, pending_once};

const LIMIT: Duration = Duration::from_secs(10);

/// The same stage with and without, and with tokio's `timeout` around its body.
pub(super) fn measure(effort: &Effort) -> Result<Vec<Line>, Wrong> {
    let mut lines = ready(effort)?;
    lines.extend(pending(effort)?);
    Ok(lines)
}

/// Items that are ready at once.
fn ready(effort: &Effort) -> Result<Vec<Line>, Wrong> {
    let stage = |items| Pipeline::from_iter(0..items).then(noop).parallelism(16);
    let mut race = Race::new();
    let plain = race.enter_sized("without", effort, move |items| {
        run(items, move || stage(items))
    })?;
    let timeout = race.enter_sized("timeout", effort, move |items| {
        run(items, move || stage(items).timeout(LIMIT))
    })?;
    let retry = race.enter_sized("retry", effort, move |items| {
        run(items, move || stage(items).retry(Retry::fixed(LIMIT)))
    })?;
    let around = race.enter_sized("tokio's timeout in the body", effort, |items| {
        run(items, move || {
            Pipeline::from_iter(0..items)
                .and_then(|item| tokio::time::timeout(LIMIT, noop(item)))
                .parallelism(16)
        })
    })?;
    let rounds = race.run(effort.rounds)?;

    let more = |name: &str, lane: Lane, goal| Line {
        name: name.to_owned(),
        ours: time(rounds.median(|round| round[lane] - round[plain])),
        peer: format!("without {}", time(rounds.median(|round| round[plain]))),
        value: Value::Alone(rounds.spread(|round| round[lane] - round[plain])),
        goal,
        calmness: rounds.calmness(),
    };
    Ok(vec![
        more("timeout, not used, more (ns)", timeout, Goal::AtMost(3.0)),
        cost("timeout, not used", &rounds, timeout, plain, Goal::None),
        cost("timeout, not used", &rounds, timeout, around, Goal::None),
        more("retry, not used, more (ns)", retry, Goal::AtMost(3.0)),
        cost("retry, not used", &rounds, retry, plain, Goal::None),
    ])
}

/// Items that wait once.
fn pending(effort: &Effort) -> Result<Vec<Line>, Wrong> {
    let stage = |items| {
        Pipeline::from_iter(0..items)
            .then(pending_once)
            .parallelism(64)
    };
    let mut race = Race::new();
    let plain = race.enter_sized("without", effort, move |items| {
        run(items, move || stage(items))
    })?;
    let timeout = race.enter_sized("timeout", effort, move |items| {
        run(items, move || stage(items).timeout(LIMIT))
    })?;
    let rounds = race.run(effort.rounds)?;
    let name = "timeout, yield_now once, P 64";
    Ok(vec![cost(name, &rounds, timeout, plain, Goal::AtMost(1.1))])
}

fn run<P>(items: u64, build: impl FnOnce() -> P + Send + 'static) -> Result<Duration, Wrong>
where
    P: IntoPipeline<Item = u64> + Send + 'static,
{
    checked(items, true, async move {
        ours::collect(build(), Tally::default()).await
    })
}
