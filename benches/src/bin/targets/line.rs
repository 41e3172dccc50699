//! Lines made from the rounds of a race.

use benches::measure::race::{Lane, Rounds};
use benches::measure::spread::Spread;
use benches::table::{Goal, Line, Value, time};

/// Our time per time of the peer's: smaller is better.
pub(super) fn cost(
    name: impl Into<String>,
    rounds: &Rounds<f64>,
    ours: Lane,
    peer: Lane,
    goal: Goal,
) -> Line {
    let ratio = rounds.spread(|round| round[ours] / round[peer]);
    compare(name.into(), rounds, ours, peer, ratio, goal)
}

/// Our speed per speed of the peer's: larger is better.
pub(super) fn speed(
    name: impl Into<String>,
    rounds: &Rounds<f64>,
    ours: Lane,
    peer: Lane,
    goal: Goal,
) -> Line {
    let ratio = rounds.spread(|round| round[peer] / round[ours]);
    compare(name.into(), rounds, ours, peer, ratio, goal)
}

fn compare(
    name: String,
    rounds: &Rounds<f64>,
    ours: Lane,
    peer: Lane,
    ratio: Spread,
    goal: Goal,
) -> Line {
    let shown = |lane| time(rounds.median(|round| round[lane]));
    Line {
        name,
        ours: shown(ours),
        peer: format!("{} {}", peer.name(), shown(peer)),
        value: Value::Ratio(ratio),
        goal,
        calmness: rounds.calmness(),
    }
}
