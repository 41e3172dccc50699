//! Prints the table of targets: `cargo run --release -p benches --bin targets -- [--quick] [--only TEXT]`.
//!
//! A file is a group of lines that share their measurements.

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

use benches::alloc::Counting;
use benches::command::{Program, Wanted};
use benches::measure::{Effort, runtime};
use benches::table::{self, Line, Verdict};
use benches::tally::Wrong;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

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

/// The program: reads the command line, measures, prints.
fn main() -> ExitCode {
    let program = Program {
        usage: USAGE,
        groups: GROUPS.iter().map(|group| group.name).collect(),
        full: Effort::FULL,
        quick: Effort::QUICK,
        writes: false,
        measure,
        alone: delays::run_alone,
    };
    program.main()
}

fn measure(wanted: &Wanted) -> ExitCode {
    let start = Instant::now();
    let mut verdicts = Vec::new();
    let mut wrong = false;
    println!("{}", table::head());
    for group in GROUPS.iter().filter(|group| wanted.wants(group.name)) {
        match (group.measure)(&wanted.effort) {
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
