//! Published crates of the same kind, over four kinds of work.

use std::time::Duration;

use super::line::cost;
use super::one_stage::OneStage;
use crate::measure::Effort;
use crate::measure::race::{Lane, Race};
use crate::options::Options;
use crate::table::{Goal, Line};
use crate::tally::{Indexed, Wrong};
use crate::work::{Delays, noop, pending_once, spin};

const SLEEPS: u64 = 1000;

/// Ordered, everything else as each crate has it.
pub(super) fn measure(effort: &Effort) -> Result<Vec<Line>, Wrong> {
    let delays = Delays::uniform(SLEEPS as usize);
    let compute = |index| async move { spin(index, 5) };
    let mut lines = sized("no-op, P 16", effort, stage(16, noop))?;
    lines.extend(sized("5 us of CPU, P 16", effort, stage(16, compute))?);
    lines.extend(sized(
        "yield_now once, P 64",
        effort,
        stage(64, pending_once),
    )?);
    lines.extend(fixed(
        "1,000 sleeps of 0..=99 ms, P 100",
        effort,
        stage(100, move |index| delays.nap(index)),
    )?);
    Ok(lines)
}

/// Everyone, each with its samples; we are the first.
type Contenders = [(&'static str, Box<dyn Fn(u64) -> Result<Duration, Wrong>>); 5];

fn stage<F, Fut, T>(parallelism: usize, function: F) -> Contenders
where
    F: Fn(u64) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = T> + Send + 'static,
    T: Indexed,
{
    let work = OneStage {
        options: Options::parallelism(parallelism),
        function,
    };
    [
        ("ours", Box::new(work.ours())),
        ("futures-buffered", Box::new(work.futures_buffered())),
        ("tokio-par-util", Box::new(work.tokio_par_util())),
        ("par-stream", Box::new(work.par_stream())),
        ("pumps", Box::new(work.pumps())),
    ]
}

fn sized(name: &str, effort: &Effort, contenders: Contenders) -> Result<Vec<Line>, Wrong> {
    let mut race = Race::new();
    let mut lanes = Vec::new();
    for (who, run) in contenders {
        lanes.push(race.enter_sized(who, effort, run)?);
    }
    lines(name, race, effort.rounds, &lanes)
}

fn fixed(name: &str, effort: &Effort, contenders: Contenders) -> Result<Vec<Line>, Wrong> {
    let mut race = Race::new();
    let lanes = contenders.map(|(who, run)| race.enter_fixed(who, SLEEPS, run));
    lines(name, race, effort.long_rounds, &lanes)
}

fn lines(name: &str, race: Race<f64>, rounds: usize, lanes: &[Lane]) -> Result<Vec<Line>, Wrong> {
    let rounds = race.run(rounds)?;
    let peers = lanes.iter().skip(1);
    Ok(peers
        .map(|peer| cost(name, &rounds, lanes[0], *peer, Goal::None))
        .collect())
}
