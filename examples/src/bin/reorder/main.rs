//! A thousand jobs of 0 to 99 ms on 100 workers, with the results in order, and a picture of the schedule.
//!
//! Shows what an ordered stage does with a result whose turn has not come: it waits, while its worker
//! goes on with the next job. How many may wait is the window, a number apart from that of the workers.
//!
//! ```text
//! cargo run --release -p examples --bin reorder -- --svg reorder.svg
//! cargo run --release -p examples --bin reorder -- --window 100 --svg too-small.svg
//! ```
//!
//! `--help` lists the options. The pipeline itself is in `reordering`; the stage is in `jobs`, what can
//! be expected in `schedule`, what is printed in `summary`, and the picture in `picture`.

mod jobs;
mod options;
mod picture;
mod schedule;
mod summary;

use std::{
    env, fs,
    io::{self, Write},
    process::ExitCode,
    time::Duration,
};

use examples::{chain, signals};
use pipeline_core::{BuildError, RunError, error::Cause, prelude::*, report::Outcome};
use tokio::{runtime::Builder, time::Instant};

use crate::{
    jobs::{Done, Work, durations},
    options::{Command, Options},
    schedule::Slot,
    summary::Summary,
};

/// How long the jobs already taken may go on after the first Ctrl-C.
const DRAIN: Duration = Duration::from_secs(10);

const FAILED: u8 = 1;
const USAGE: u8 = 2;
const INTERRUPTED: u8 = 130;

fn main() -> ExitCode {
    let options = match options::parse(env::args_os().skip(1)) {
        Ok(Command::Run(options)) => options,
        Ok(Command::Help) => {
            print(options::HELP);
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            say(&format!("{error} (--help lists the options)"));
            return USAGE.into();
        }
    };
    let runtime = match Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            say(&error.to_string());
            return FAILED.into();
        }
    };
    runtime.block_on(reorder(&options)).into()
}

/// All runs; gives the exit status.
async fn reorder(options: &Options) -> u8 {
    let finishing = || say("interrupted: finishing the jobs already taken; again to stop at once");
    let stop = match signals::listen(finishing) {
        Ok(stop) => stop,
        Err(error) => {
            say(&format!("cannot listen to signals: {error}"));
            return FAILED;
        }
    };
    let jobs = durations(options.jobs, options.max, options.seed);
    let mut times = Vec::with_capacity(options.runs);
    let mut done = Vec::new();
    for run in 0..options.runs {
        let job = reordering(options, &jobs)
            .drain_on(&stop.drain, DRAIN)
            .cancel_on(&stop.cancel);
        let mut running = match job.start() {
            Ok(running) => running,
            Err(error) => return refused(&error),
        };
        if run == 0 {
            print(&format!("{} (seed {})\n", options.title(), options.seed));
        }
        let report = match running.wait().await {
            Ok(report) => report,
            Err(error) => return stopped(&error, options),
        };
        if options.report && run + 1 == options.runs {
            say(report.to_string().trim_end());
        }
        times.push(report.elapsed);
        done = report.value;
        if report.outcome != Some(Outcome::Finished) {
            return interrupted(done.len() as u64, options);
        }
        if let Some(place) = misplaced(&done).filter(|_| !options.unordered) {
            say(&format!(
                "the result at place {place} is that of another job"
            ));
            return FAILED;
        }
    }

    let summary = Summary::new(options, &jobs, &mut times, &done);
    print(&summary.to_string());
    match &options.svg {
        Some(file) => match fs::write(file, picture::draw(&summary, &done)) {
            Ok(()) => 0,
            Err(error) => {
                say(&format!("{}: {error}", file.display()));
                FAILED
            }
        },
        None => 0,
    }
}

// ANCHOR: pipeline
/// The pipeline: each job to a free worker, the results in the order of the jobs.
fn reordering(options: &Options, jobs: &[Duration]) -> Job<Vec<Done>> {
    let start = Instant::now();
    let jobs: Vec<_> = jobs.iter().copied().enumerate().collect();
    let work = Pipeline::from_iter(jobs)
        .buffer(options.workers) // read ahead: what Ctrl-C still has worked on
        .stage(Work::new(start))
        .parallelism(options.workers)
        .window(options.window);
    let work = if options.unordered {
        work.unordered()
    } else {
        work.ordered()
    };
    work.fold(Vec::new(), move |mut all, done: Done| {
        let left = start.elapsed(); // its turn has come
        let slot = Slot { left, ..done.slot };
        all.push(Done { slot, ..done });
        all
    })
}
// ANCHOR_END: pipeline

/// The first place at which there is the result of another job.
fn misplaced(done: &[Done]) -> Option<usize> {
    done.iter()
        .enumerate()
        .position(|(place, done)| done.job != place)
}

/// The options of the pipeline do not fit together.
fn refused(error: &BuildError) -> u8 {
    say(&chain(error));
    USAGE
}

/// It was cancelled, or the time of a drain was over.
fn stopped(error: &RunError, options: &Options) -> u8 {
    match &error.cause {
        Cause::Cancelled | Cause::DeadlinePassed(_) => {
            interrupted(error.report.items.delivered, options)
        }
        _ => {
            say(&chain(error));
            FAILED
        }
    }
}

fn interrupted(done: u64, options: &Options) -> u8 {
    say(&format!(
        "interrupted: {done} of {} jobs done",
        options.jobs
    ));
    INTERRUPTED
}

/// On stdout. There is nobody to tell when that fails.
fn print(text: &str) {
    let _ = io::stdout().write_all(text.as_bytes());
}

fn say(line: &str) {
    let _ = writeln!(io::stderr(), "reorder: {line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options<const N: usize>(arguments: [&str; N]) -> Options {
        match options::parse(arguments.map(Into::into)) {
            Ok(Command::Run(options)) => options,
            other => panic!("{other:?}"),
        }
    }

    /// A run on the paused clock, where the pipeline itself takes no time.
    async fn run<const N: usize>(arguments: [&str; N]) -> (Options, Vec<Duration>, Vec<Done>) {
        let options = options(arguments);
        let jobs = durations(options.jobs, options.max, options.seed);
        let mut done = reordering(&options, &jobs).run().await.unwrap().value;
        if options.unordered {
            done.sort_by_key(|done| done.job);
        }
        assert_eq!(misplaced(&done), None);
        assert_eq!(done.len(), options.jobs);
        assert!(done.iter().all(|done| done.lane < options.workers));
        (options, jobs, done)
    }

    fn slots(done: &[Done]) -> Vec<Slot> {
        done.iter().map(|done| done.slot).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn a_run_is_the_fifo_schedule() {
        for seed in ["1", "2", "3"] {
            for workers in ["1", "7", "100"] {
                let (options, jobs, done) = run(["--seed", seed, "--workers", workers]).await;
                assert!(slots(&done) == schedule::fifo(&jobs, options.workers, options.window));
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_small_window_costs_what_is_computed() {
        for window in ["100", "128", "200"] {
            let (options, jobs, done) = run(["--window", window]).await;
            assert!(slots(&done) == schedule::fifo(&jobs, 100, options.window));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn without_order_nothing_waits() {
        let (_, jobs, done) = run(["--unordered"]).await;
        assert!(done.iter().all(|done| done.slot.left == done.slot.end));
        let expected = schedule::fifo(&jobs, 100, None);
        assert!(
            slots(&done).iter().zip(expected).all(|(slot, expected)| {
                (slot.begin, slot.end) == (expected.begin, expected.end)
            })
        );
    }

    /// A worker works on one job at a time.
    #[tokio::test(start_paused = true)]
    async fn jobs_of_a_lane_follow_each_other() {
        let (options, _, mut done) = run(["--workers", "10", "--jobs", "300"]).await;
        done.sort_by_key(|done| (done.lane, done.slot.begin, done.slot.end));
        for pair in done.windows(2).filter(|pair| pair[0].lane == pair[1].lane) {
            assert!(pair[0].slot.end <= pair[1].slot.begin, "{pair:?}");
        }
        assert_eq!(done.last().unwrap().lane, options.workers - 1);
    }
}
