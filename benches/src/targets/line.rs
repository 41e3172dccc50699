//! Lines made from the rounds of a race.

use crate::measure::race::{Lane, Rounds};
use crate::measure::spread::Spread;
use crate::table::{Goal, Line, Value, short};

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

/// Nanoseconds in the unit that suits them.
pub(super) fn time(nanos: f64) -> String {
    match nanos.abs() {
        size if size >= 1e6 => format!("{} ms", short(nanos / 1e6)),
        size if size >= 1e3 => format!("{} us", short(nanos / 1e3)),
        _ => format!("{} ns", short(nanos)),
    }
}
