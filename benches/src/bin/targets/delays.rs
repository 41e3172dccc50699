//! A million messages, each to leave at its own time: how late they come, and what that costs.
//!
//! Each sample is a process of its own, so that its peak of memory is its own, too.

mod sample;

use std::time::Duration;

pub(super) use self::sample::run as run_alone;
use self::sample::{Case, Contender, Figures, MESSAGES};
use benches::measure::Effort;
use benches::measure::alone::{self, Ended};
use benches::measure::race::{Lane, Race, Rounds};
use benches::table::{Goal, Line, Value, short};
use benches::tally::Wrong;

/// A sample that takes longer hangs.
const LIMIT: Duration = Duration::from_secs(120);

/// The seven questions, ours and two peers' answers.
pub(super) fn measure(effort: &Effort) -> Result<Vec<Line>, Wrong> {
    let rounds = effort.long_rounds.div_ceil(3);
    let mut lines = Vec::new();
    let all = [Contender::Ours, Contender::DelayQueue, Contender::Tasks];

    let spread = Case::Spread.race(&all, rounds)?;
    lines.extend([
        spread.line("late p50, ms", |f| f.p50, Goal::AtMost(1.5)),
        spread.line("late p99, ms", |f| f.p99, Goal::AtMost(5.0)),
        spread.line("late max, ms", |f| f.max, Goal::None),
        spread.line("lost or doubled", |f| f.lost + f.doubled, Goal::AtMost(0.0)),
        spread.line("out of order", |f| f.inversions, Goal::AtMost(0.0)),
        spread.line("most memory, MB", |f| f.memory, Goal::AtMost(110.0)),
        spread.line("CPU, s", |f| f.cpu, Goal::None),
    ]);
    let now = Case::Now.race(&all, rounds)?;
    lines.extend([
        now.line("in all, s", |f| f.total, Goal::AtMost(3.05)),
        now.line("lost or doubled", |f| f.lost + f.doubled, Goal::AtMost(0.0)),
    ]);
    let storm = Case::Storm.race(&all, rounds)?;
    lines.extend([
        storm.line("late p99, ms", |f| f.p99, Goal::None),
        storm.line("lost or doubled", |f| f.lost + f.doubled, Goal::AtMost(0.0)),
        storm.line("out of order", |f| f.inversions, Goal::AtMost(0.0)),
    ]);
    let equal = Case::Equal.race(&all, rounds)?;
    lines.extend([
        equal.line("until all came, ms", |f| f.max, Goal::None),
        equal.line("out of order", |f| f.inversions, Goal::AtMost(0.0)),
    ]);
    let fixed = Case::Fixed.race(&all, rounds)?;
    let each = |f: &Figures| f.cpu * 1e6 / MESSAGES as f64;
    lines.push(fixed.line("CPU an item, us", each, Goal::AtMost(1.0)));
    let idle = Case::Idle.race(&all, 1)?;
    // of 1/100 of a core on is what a clock that ticks would use
    lines.push(idle.line("cores", |f| f.cpu, Goal::AtMost(0.005)));
    Ok(lines)
}

/// The figures of a case.
struct Raced {
    case: Case,
    rounds: Rounds<Figures>,
    lanes: Vec<Lane>,
}

impl Case {
    fn race(self, contenders: &[Contender], rounds: usize) -> Result<Raced, Wrong> {
        let mut race = Race::new();
        let lanes = contenders
            .iter()
            .map(|contender| {
                let contender = *contender;
                race.enter(contender.name(), move || in_a_process(self, contender))
            })
            .collect();
        Ok(Raced {
            case: self,
            rounds: race.run(rounds)?,
            lanes,
        })
    }
}

impl Raced {
    /// Ours comes first.
    fn line(&self, what: &str, figure: impl Fn(&Figures) -> f64, goal: Goal) -> Line {
        let medians = self.lanes.iter().map(|lane| {
            let median = self.rounds.median(|round| figure(&round[*lane]));
            (lane.name(), short(median))
        });
        let mut medians = medians.collect::<Vec<_>>().into_iter();
        let (_, ours) = medians.next().unwrap_or_default();
        let peers: Vec<_> = medians
            .map(|(name, value)| format!("{name} {value}"))
            .collect();
        Line {
            name: format!("{}: {what}", self.case.name()),
            ours,
            peer: peers.join(", "),
            value: Value::Alone(self.rounds.spread(|round| figure(&round[self.lanes[0]]))),
            goal,
            calmness: self.rounds.calmness(),
        }
    }
}

fn in_a_process(case: Case, contender: Contender) -> Result<Figures, Wrong> {
    let wrong = |what: &str| Wrong(format!("{} of {}: {what}", case.name(), contender.name()));
    let sample = format!("{case:?}/{contender:?}");
    match alone::run(&sample, LIMIT)? {
        Ended::Well(text) => Figures::parse(&text).ok_or_else(|| wrong(&text)),
        Ended::Badly(text) => Err(wrong(&text)),
        Ended::Hung => Err(wrong("it did not end")),
    }
}
