//! The targets: a file a group of lines that share their measurements.

mod allocations;
mod compute;
mod delays;
mod idle;
mod json;
mod latency;
mod line;
mod macros;
mod noop;
mod operators;
mod pending;
mod recovery;
mod sleeps;
mod slow_items;
mod steps;

use std::process::ExitCode;
use std::time::Instant;

use lexopt::{Arg, Parser, ValueExt};

use crate::measure::{Effort, runtime};
use crate::table::{self, Line, Verdict};
use crate::tally::Wrong;

const USAGE: &str = "\
Measures every target of the library and prints one table.

usage: cargo run --release -p benches --bin targets -- [OPTIONS]

  --quick       about one minute instead of six
  --only TEXT   only groups with TEXT in their names; may be given several times
  --list        the names of the groups
  --help        this text

The status is 0 also when a target is missed; it is 1 when a result is wrong: items lost, doubled,
out of order, or a run that failed or hung.
The program `compare` measures published crates of the same kind.";

/// Lines that share their measurements.
struct Group {
    name: &'static str,
    measure: fn(&Effort) -> Result<Vec<Line>, Wrong>,
}

const GROUPS: &[Group] = &[
    Group {
        name: "no-op",
        measure: noop::measure,
    },
    Group {
        name: "allocations",
        measure: allocations::measure,
    },
    Group {
        name: "compute 1 us",
        measure: |effort| compute::measure(effort, 1, 1.80),
    },
    Group {
        name: "compute 5 us",
        measure: |effort| compute::measure(effort, 5, 1.90),
    },
    Group {
        name: "compute 50 us",
        measure: |effort| compute::measure(effort, 50, 1.95),
    },
    Group {
        name: "json",
        measure: json::measure,
    },
    Group {
        name: "pending",
        measure: pending::measure,
    },
    Group {
        name: "recovery",
        measure: recovery::measure,
    },
    Group {
        name: "operators",
        measure: operators::measure,
    },
    Group {
        name: "macros",
        measure: macros::measure,
    },
    Group {
        name: "sleeps",
        measure: sleeps::measure,
    },
    Group {
        name: "slow items",
        measure: slow_items::measure,
    },
    Group {
        name: "delays",
        measure: delays::measure,
    },
    Group {
        name: "steps",
        measure: steps::measure,
    },
    Group {
        name: "latency",
        measure: latency::measure,
    },
    Group {
        name: "idle",
        measure: idle::measure,
    },
];

/// What the command line asks for.
enum Request {
    Help,
    List,
    /// One sample of `delays`, in this process.
    Alone(String),
    Measure {
        effort: Effort,
        only: Vec<String>,
    },
}

/// The program: reads the command line, measures, prints.
pub fn main() -> ExitCode {
    match request(Parser::from_env()) {
        Ok(Request::Help) => {
            println!("{USAGE}");
            ExitCode::SUCCESS
        }
        Ok(Request::List) => {
            GROUPS.iter().for_each(|group| println!("{}", group.name));
            ExitCode::SUCCESS
        }
        Ok(Request::Alone(sample)) => match delays::run_alone(&sample) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("{error}");
                ExitCode::FAILURE
            }
        },
        Ok(Request::Measure { effort, only }) => measure(&effort, &only),
        Err(error) => {
            eprintln!("{error}\n\n{USAGE}");
            ExitCode::from(2)
        }
    }
}

fn request(mut words: Parser) -> Result<Request, lexopt::Error> {
    let mut effort = Effort::FULL;
    let mut only = Vec::new();
    while let Some(word) = words.next()? {
        match word {
            Arg::Long("quick") => effort = Effort::QUICK,
            Arg::Long("only") => only.push(words.value()?.string()?),
            Arg::Long(delays::ALONE) => return Ok(Request::Alone(words.value()?.string()?)),
            Arg::Long("list") => return Ok(Request::List),
            Arg::Long("help") | Arg::Short('h') => return Ok(Request::Help),
            other => return Err(other.unexpected()),
        }
    }
    let known = |text: &String| {
        GROUPS
            .iter()
            .any(|group| group.name.contains(text.as_str()))
    };
    match only.iter().find(|text| !known(text)) {
        Some(text) => Err(format!("no group has `{text}` in its name").into()),
        None => Ok(Request::Measure { effort, only }),
    }
}

fn measure(effort: &Effort, only: &[String]) -> ExitCode {
    let start = Instant::now();
    let wanted = |group: &&Group| {
        only.is_empty() || only.iter().any(|text| group.name.contains(text.as_str()))
    };
    let mut verdicts = Vec::new();
    let mut wrong = false;
    println!("{}", table::head());
    for group in GROUPS.iter().filter(wanted) {
        match (group.measure)(effort) {
            Ok(lines) => {
                lines.iter().for_each(|line| println!("{line}"));
                verdicts.extend(lines.iter().map(Line::verdict));
            }
            Err(error) => {
                wrong = true;
                println!("| {:<44} | WRONG: {error}", group.name);
            }
        }
    }
    let count = |verdict| verdicts.iter().filter(|each| **each == verdict).count();
    println!(
        "\n{} ok, {} missed; {} worker threads, {} processors, {:.0} s{}",
        count(Verdict::Ok),
        count(Verdict::Missed),
        runtime::WORKERS,
        std::thread::available_parallelism().map_or(0, usize::from),
        start.elapsed().as_secs_f64(),
        if cfg!(debug_assertions) {
            "; DEBUG BUILD: the figures mean nothing"
        } else {
            ""
        },
    );
    ExitCode::from(u8::from(wrong))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &[&str]) -> Result<Request, String> {
        let parser = Parser::from_iter(["targets"].iter().chain(words));
        request(parser).map_err(|error| error.to_string())
    }

    #[test]
    fn groups_can_be_picked() {
        let Ok(Request::Measure { only, .. }) =
            parse(&["--quick", "--only", "no-op", "--only=sleeps"])
        else {
            panic!("it is a valid request");
        };
        assert_eq!(only, ["no-op", "sleeps"]);
    }

    #[test]
    fn a_group_that_does_not_exist_is_refused() {
        assert_eq!(
            parse(&["--only", "nop"]).err().as_deref(),
            Some("no group has `nop` in its name")
        );
    }
}
