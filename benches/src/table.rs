//! The table: a line a target, printed as it becomes known.

use std::fmt;

use crate::measure::race::Calmness;
use crate::measure::spread::Spread;

/// What a reading must be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Goal {
    /// Smaller is better.
    AtMost(f64),
    /// Larger is better.
    AtLeast(f64),
    /// Only for comparison.
    None,
}

impl Goal {
    /// Whether it is reached; `None` if there is nothing to reach.
    pub fn reached(self, value: f64) -> Option<bool> {
        match self {
            Goal::AtMost(bound) => Some(value <= bound),
            Goal::AtLeast(bound) => Some(value >= bound),
            Goal::None => None,
        }
    }
}

impl fmt::Display for Goal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Goal::AtMost(bound) => write!(f, "<= {bound}"),
            Goal::AtLeast(bound) => write!(f, ">= {bound}"),
            Goal::None => f.write_str("-"),
        }
    }
}

/// What a goal is about.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value {
    /// Ours against the peer's.
    Ratio(Spread),
    /// Ours alone, in the unit of the line.
    Alone(Spread),
    /// Nothing: this platform does not tell.
    Unknown,
}

/// One line.
#[derive(Debug, Clone)]
pub struct Line {
    /// What was done.
    pub name: String,
    /// Our reading, with its unit.
    pub ours: String,
    /// Whose reading it is compared with, and that reading.
    pub peer: String,
    /// What is judged.
    pub value: Value,
    /// By what.
    pub goal: Goal,
    /// What it stands on.
    pub calmness: Calmness,
}

/// The word in the last column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The target is reached.
    Ok,
    /// It is not.
    Missed,
    /// There is no target.
    Info,
    /// There is one, and nothing to compare with it.
    Unknown,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Verdict::Ok => "ok",
            Verdict::Missed => "MISSED",
            Verdict::Info => "-",
            Verdict::Unknown => "n/a",
        })
    }
}

impl Line {
    /// Judges it.
    pub fn verdict(&self) -> Verdict {
        let (Value::Ratio(spread) | Value::Alone(spread)) = self.value else {
            return Verdict::Unknown;
        };
        match self.goal.reached(spread.median) {
            Some(true) => Verdict::Ok,
            Some(false) => Verdict::Missed,
            None => Verdict::Info,
        }
    }
}

/// The first two lines of the table.
pub fn head() -> String {
    let titles = row([
        "target",
        "ours",
        "peer",
        "ratio",
        "quartiles",
        "goal",
        "disturbed",
        "result",
    ]);
    let rule: String = titles
        .chars()
        .map(|letter| if letter == '|' { '|' } else { '-' })
        .collect();
    format!("{titles}\n{rule}")
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (ratio, spread) = match self.value {
            Value::Ratio(spread) => (short(spread.median), quartiles(spread)),
            Value::Alone(spread) => ("-".to_owned(), quartiles(spread)),
            Value::Unknown => ("n/a".to_owned(), "n/a".to_owned()),
        };
        let goal = self.goal.to_string();
        let (calmness, verdict) = (self.calmness.to_string(), self.verdict().to_string());
        f.write_str(&row([
            &self.name, &self.ours, &self.peer, &ratio, &spread, &goal, &calmness, &verdict,
        ]))
    }
}

fn row([name, ours, peer, ratio, spread, goal, calmness, verdict]: [&str; 8]) -> String {
    format!(
        "| {name:<44} | {ours:>12} | {peer:<34} | {ratio:>7} | {spread:>18} | {goal:>8} | {calmness:>9} | {verdict:<6} |"
    )
}

/// Where the middle half lies.
pub fn quartiles(spread: Spread) -> String {
    format!("{} .. {}", short(spread.low), short(spread.high))
}

/// Three digits that count.
pub fn short(value: f64) -> String {
    let digits = match value.abs() {
        size if size >= 100.0 => 0,
        size if size >= 10.0 => 1,
        size if size >= 0.9995 => 2,
        size if size >= 0.01 => 3,
        0.0 => 0,
        _ => 5,
    };
    format!("{value:.digits$}")
}

/// Nanoseconds in the unit that suits them.
pub fn time(nanos: f64) -> String {
    let (size, unit) = unit(nanos);
    format!("{} {unit}", short(nanos / size))
}

/// The quartiles of a time, in the unit that suits its median.
pub fn times(spread: Spread) -> String {
    let (size, unit) = unit(spread.median);
    format!("{} {unit}", quartiles(spread.per(size)))
}

fn unit(nanos: f64) -> (f64, &'static str) {
    match nanos.abs() {
        size if size >= 1e6 => (1e6, "ms"),
        size if size >= 1e3 => (1e3, "us"),
        _ => (1.0, "ns"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(value: f64, goal: Goal) -> Line {
        Line {
            name: "work".to_owned(),
            ours: "15.0 ns".to_owned(),
            peer: "buffered 60.0 ns".to_owned(),
            value: Value::Ratio(Spread {
                low: value - 0.05,
                median: value,
                high: value + 0.05,
            }),
            goal,
            calmness: Calmness {
                rounds: 7,
                disturbed: 1,
            },
        }
    }

    #[test]
    fn a_line_is_judged_by_its_median() {
        assert_eq!(line(0.40, Goal::AtMost(0.40)).verdict(), Verdict::Ok);
        assert_eq!(line(0.41, Goal::AtMost(0.40)).verdict(), Verdict::Missed);
        assert_eq!(line(1.80, Goal::AtLeast(1.80)).verdict(), Verdict::Ok);
        assert_eq!(line(1.79, Goal::AtLeast(1.80)).verdict(), Verdict::Missed);
        assert_eq!(line(9.99, Goal::None).verdict(), Verdict::Info);
    }

    #[test]
    fn what_is_not_known_is_neither_reached_nor_missed() {
        let unknown = Line {
            value: Value::Unknown,
            ..line(0.0, Goal::AtMost(0.0))
        };
        assert_eq!(unknown.verdict(), Verdict::Unknown);
    }

    #[test]
    fn lines_are_as_wide_as_the_head() {
        let width = |text: &str| text.chars().count();
        let line = line(0.25, Goal::AtMost(0.4)).to_string();
        assert!(
            head().lines().all(|head| width(head) == width(&line)),
            "{line}"
        );
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        assert_eq!(
            cells[1..9],
            [
                "work",
                "15.0 ns",
                "buffered 60.0 ns",
                "0.250",
                "0.200 .. 0.300",
                "<= 0.4",
                "1/7",
                "ok"
            ]
        );
    }

    #[test]
    fn times_have_the_unit_that_suits_the_median() {
        let spread = Spread {
            low: 900.0,
            median: 1_250.0,
            high: 20_000.0,
        };
        assert_eq!(time(spread.median), "1.25 us");
        assert_eq!(times(spread), "0.900 .. 20.0 us");
        assert_eq!([time(35.14), time(2e9)], ["35.1 ns", "2000 ms"]);
    }

    #[test]
    fn three_digits_count() {
        let shown = [0.0, 0.00004, 0.0123, 0.456, 1.234, 12.34, 123.4].map(short);
        assert_eq!(
            shown,
            ["0", "0.00004", "0.012", "0.456", "1.23", "12.3", "123"]
        );
    }
}
