//! Events, a JSON object a line, booked in a database: parsed on all cores, looked up side by side,
//! written in order and in batches, and each of them once, whatever happens.
//!
//! Shows stages that compute, stages that block and own a connection each, batches, an order by line
//! or by key (`keyed`), another attempt when the database is locked (`retry`), and a position that is
//! stored with the data: after `kill -9` the same command goes on where it stopped.
//!
//! ```text
//! cargo run --release -p examples --bin orders -- --generate 1000000
//! cargo run --release -p examples --bin orders -- events.ndjson --rejects rejected.ndjson
//! ```
//!
//! `--help` lists the options. The pipeline itself is in `booking`; each step has a file of its own:
//! `input` (source), `parse`, `enrich`, `write` (stages). The rules are in `book`, the databases in
//! `store`.

mod book;
mod enrich;
mod generate;
mod input;
mod options;
mod parse;
mod position;
mod progress;
mod rejects;
mod store;
mod write;

use std::{
    env,
    io::{self, BufWriter, Write},
    process,
    process::ExitCode,
    sync::Arc,
    time::{Duration, SystemTime},
};

use examples::{chain, signals};
use pipeline_core::{error::Cause, prelude::*, report::Outcome};
use tokio::runtime::Builder;

use crate::{
    book::Entry,
    enrich::{Enrich, EnrichEach},
    input::{Generated, Input, Lines},
    options::{By, Command, From, Options},
    parse::{Parse, Parsed, Rules},
    position::Position,
    progress::{Progress, say},
    store::{Claim, StoreError},
    write::{Setup, Write as WriteBatch},
};

/// How long a batch that is not full waits for more lines.
const AGE: Duration = Duration::from_millis(100);
/// How long the lines already taken may go on after the first signal.
const DRAIN: Duration = Duration::from_secs(30);
/// Before the second attempt at a database that is locked, full or away; then twice as long.
const PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

const FAILED: u8 = 1;
const USAGE: u8 = 2;
const REJECTED: u8 = 3;
const INTERRUPTED: u8 = 130;

fn main() -> ExitCode {
    let options = match options::parse(env::args_os().skip(1)) {
        Ok(Command::Book(options)) => options,
        Ok(Command::Help) => {
            let _ = io::stdout().write_all(options::HELP.as_bytes());
            return ExitCode::SUCCESS;
        }
        Ok(Command::Print(seed, count)) => return print(seed, count).into(),
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
    let status = runtime.block_on(orders(options)).unwrap_or_else(|error| {
        say(&chain(&*error));
        FAILED
    });
    runtime.shutdown_background(); // a thread that reads a terminal is not waited for
    status.into()
}

// ANCHOR: pipeline
/// The pipeline: parse, look up, write.
///
/// Without an error channel the first failure ends the run, and nothing behind it is written. That is
/// wanted here: a failure is a database that stays away, and no line may be passed over. A line that
/// is wrong is no failure, but a result that is written down like the others.
fn booking(input: Input, setup: Setup, options: &Options) -> Job<u64> {
    let patient = Retry::exponential(PAUSE)
        .max_delay(LONGEST_PAUSE)
        .max_retries(options.retries)
        .jitter();
    let rules = Rules {
        ignore_unknown: options.ignore_unknown,
        max_line: options.max_line,
    };
    let database = Arc::new(setup.database.clone());

    let parsed = Pipeline::from_source(input)
        .stage(Parse::new(rules))
        .parallelism(options.jobs);

    let ready: Pipeline<Vec<Entry>> = match options.by {
        By::Line => parsed
            .batch(options.batch, AGE)
            .stage(Enrich::new(database))
            .parallelism(options.readers)
            .retry(patient)
            .retry_if(may_pass)
            .into(),
        By::Customer => parsed
            .stage(EnrichEach::new(database))
            .parallelism(options.readers)
            .keyed(Parsed::customer)
            .retry(patient)
            .retry_if(may_pass)
            .batch(options.batch, AGE),
    };

    ready
        .map(Arc::new) // for another attempt
        .stage(WriteBatch::new(setup))
        .retry(patient)
        .retry_if(may_pass)
        .count()
}
// ANCHOR_END: pipeline

fn may_pass(error: &StoreError) -> bool {
    if error.transient {
        say(&error.to_string());
    }
    error.transient
}

/// One run; gives the exit status.
async fn orders(options: Options) -> Result<u8, BoxError> {
    let progress = Progress::new(options.progress);
    let owner = owner();
    let claim = claim(&options, owner.clone()).await?;
    let done: Position = claim.position.parse()?;
    let before = done.len();
    let input = input(&options, &done).await?;
    let setup = Setup {
        database: options.database.clone(),
        claim,
        owner,
        done,
        by: options.by,
        rejects: options.rejects.clone(),
        progress: progress.clone(),
    };

    let stop = signals::listen(|| {
        say("interrupted: writing the lines already taken; again to stop at once");
    })?;
    let ended = booking(input, setup, &options)
        .drain_on(&stop.drain, DRAIN)
        .cancel_on(&stop.cancel)
        .run()
        .await;

    let (report, failed) = match ended {
        Ok(report) => (report.map(drop), false),
        Err(error) => {
            let failed = !matches!(error.cause, Cause::Cancelled | Cause::DeadlinePassed(_));
            if failed {
                say(&chain(&error.cause));
            }
            (*error.report, failed)
        }
    };
    let totals = progress.totals();
    let seconds = report.elapsed.as_secs_f64();
    let mut summary = format!(
        "{} lines in {seconds:.2} s, {:.0} a second: {} orders, {} cancellations, {} rejected\n",
        totals.lines,
        totals.lines as f64 / seconds.max(f64::EPSILON),
        totals.orders,
        totals.cancellations,
        totals.rejected,
    );
    if before > 0 {
        summary += &format!("resumed behind {before} lines that were done\n");
    }
    let _ = io::stdout().write_all(summary.as_bytes()); // what was done is done, read or not
    if options.report {
        say(report.to_string().trim_end());
    }
    Ok(match report.outcome {
        _ if failed => {
            say(&format!(
                "stopped: {} lines are done, the same command goes on",
                before + totals.lines
            ));
            FAILED
        }
        Some(Outcome::Finished) if totals.rejected > 0 => REJECTED,
        Some(Outcome::Finished) => 0,
        _ => {
            say(&format!(
                "interrupted: {} lines are done, the same command goes on",
                before + totals.lines
            ));
            INTERRUPTED
        }
    })
}

/// Makes the tables if need be, and takes over the input. Calls of a database block.
async fn claim(options: &Options, owner: String) -> Result<Claim, BoxError> {
    let mut database = store::connect(&options.database).await?;
    let name = options.name.clone();
    let claimed = tokio::task::spawn_blocking(move || database.claim(&name, &owner));
    Ok(claimed.await??)
}

/// Where the lines come from that are not done.
async fn input(options: &Options, done: &Position) -> Result<Input, BoxError> {
    let (limit, done) = (options.max_line, done.clone());
    Ok(match &options.input {
        From::Generator { seed, count } => {
            Input::Generated(Generated::new(*seed, *count, limit, done))
        }
        From::Stdin => Input::Read(Lines::new(tokio::io::stdin(), limit, done)),
        From::File(path) => {
            let opened = Lines::of_file(path, limit, done).await;
            Input::Read(opened.map_err(|error| format!("{}: {error}", path.display()))?)
        }
    })
}

/// A name that no other run has.
fn owner() -> String {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    format!("{}-{}", process::id(), since.unwrap_or_default().as_nanos())
}

/// Prints made-up lines; gives the exit status.
fn print(seed: u64, count: u64) -> u8 {
    let mut stdout = BufWriter::new(io::stdout().lock());
    let printed = (0..count).try_for_each(|index| {
        stdout.write_all(&generate::line(seed, index))?;
        stdout.write_all(b"\n")
    });
    match printed.and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            say(&error.to_string());
            FAILED
        }
        _ => 0,
    }
}
