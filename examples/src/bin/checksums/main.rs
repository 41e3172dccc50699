//! SHA-256 of every file under some paths, on all cores, in walk order: `sha256sum` as a pipeline.
//!
//! Shows a source made of an iterator, a stage of blocking code by `#[stage]` that runs in parallel
//! and still gives its results in order, a sink of one's own, an error channel that loses nothing,
//! and a run that Ctrl-C drains.
//!
//! ```text
//! cargo run --release -p examples --bin checksums -- ~/photos > photos.sha256
//! sha256sum --check photos.sha256
//! ```
//!
//! `--help` lists the options. The pipeline itself is in `hashing`; each step has a file of its
//! own: `walk` (source), `hash` (stage), `output` (sink). How it is run and stopped is in `checksums`
//! and `interrupt`.

mod failure;
mod hash;
mod interrupt;
mod options;
mod output;
mod progress;
mod walk;

use std::{
    cell::{Cell, OnceCell},
    env,
    error::Error,
    io::{self, ErrorKind, Write},
    path::Path,
    process::ExitCode,
};

use examples::chain;
use pipeline_core::{
    StageError,
    error::{Cause, Overflow, RunError},
    prelude::*,
    run::Control,
};
use tokio::{runtime::Builder, sync::mpsc};

use crate::{
    failure::Failure,
    hash::Hash,
    options::{Command, Options},
    output::Lines,
    progress::Progress,
};

/// Files found ahead of those being read. Small, as Ctrl-C still has them read.
const AHEAD: usize = 256;
/// Files inside the stage: read now, or waiting for their turn. Large, so that one big file does not
/// idle the other cores: they go on with up to so many small ones behind it. Costs memory for
/// a path and a digest each.
const WINDOW: usize = 4096;

const FAILED: u8 = 1;
const USAGE: u8 = 2;
const INTERRUPTED: u8 = 130;

fn main() -> ExitCode {
    let progress = Progress::new();
    let options = match options::parse(env::args_os().skip(1)) {
        Ok(Command::Hash(options)) => options,
        Ok(Command::Help) => {
            let _ = io::stdout().write_all(options::HELP.as_bytes());
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            progress.say(&format!("{error} (--help lists the options)"));
            return USAGE.into();
        }
    };
    let missing = missing(&options);
    if !missing.is_empty() {
        missing
            .iter()
            .for_each(|failure| progress.say(&failure.to_string()));
        return USAGE.into();
    }

    // Two threads: the walk and the writing of lines both block a little, and should not wait for
    // each other. The hashing has blocking threads of its own.
    let runtime = match Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            progress.say(&error.to_string());
            return FAILED.into();
        }
    };
    let status = runtime.block_on(checksums(options, &progress));
    runtime.shutdown_background(); // a thread that hangs in a read is not waited for
    status.into()
}

/// The paths that are not there. Those that are there and cannot be read fail later, one by one.
fn missing(options: &Options) -> Vec<Failure> {
    let check = |path: &Path| match path.symlink_metadata() {
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            Some(Failure::new(path.into(), error))
        }
        _ => None,
    };
    options
        .paths
        .iter()
        .filter_map(|path| check(path))
        .collect()
}

/// One run; gives the exit status.
async fn checksums(options: Options, progress: &Progress) -> u8 {
    let full_report = options.report;
    let (errors, failures) = mpsc::channel(64);
    let naming = tokio::spawn(name_failures(failures, progress.clone()));
    let job = hashing(options, progress)
        .errors(errors)
        .error_overflow(Overflow::Wait) // each failure is named, if need be at the pace of stderr
        .drain_on_ctrl_c(interrupt::DRAIN);

    let interrupted = Cell::new(false);
    let control = OnceCell::new();
    let ended = tokio::select! {
        biased; // listens for Ctrl-C before the run starts
        () = interrupt::twice(&interrupted, progress) => None,
        ended = async {
            let mut running = job.start()?;
            let _ = control.set(running.control());
            running.wait().await
        } => Some(ended),
    };
    let (report, mut status) = match ended {
        Some(ended) => {
            let _ = naming.await; // all failures are in the channel: lets the last ones be named
            match ended {
                Ok(report) => (report, 0),
                Err(error) => {
                    let status = outcome(&error, progress);
                    (*error.report, status)
                }
            }
        }
        // It hangs, and is left behind.
        None => (control.get().map(Control::metrics).unwrap_or_default(), 0),
    };

    progress.end();
    let items = report.items;
    if items.failed > 0 {
        status = FAILED;
    }
    if interrupted.get() {
        let ended = items.delivered + items.failed;
        let unfinished = items.taken.saturating_sub(ended);
        progress.say(&format!(
            "interrupted: {}, {} failed, {unfinished} taken but not finished",
            progress.summary(),
            items.failed
        ));
        status = INTERRUPTED;
    }
    if full_report {
        progress.say(report.to_string().trim_end());
    }
    status
}

/// The pipeline: walk, hash, print.
///
/// The walk is an iterator, so it runs on the thread of the run's source and blocks that for the
/// time of a directory read; it is at most `AHEAD` files in front.
fn hashing(options: Options, progress: &Progress) -> Job {
    let hash = Hash::new(vec![0; hash::CHUNK], progress.clone());
    let hashed = Pipeline::from_iter(walk::files(options.paths))
        .buffer(AHEAD)
        .stage(hash)
        .parallelism(options.jobs)
        .window(WINDOW.max(options.jobs.saturating_mul(4)));
    let hashed = if options.unordered {
        hashed.unordered()
    } else {
        hashed.ordered()
    };
    hashed.sink(Lines::new(progress.clone()))
}

/// Says on stderr which files failed, until the run is over.
async fn name_failures(mut failures: mpsc::Receiver<StageError>, progress: Progress) {
    while let Some(error) = failures.recv().await {
        match error.downcast_ref::<Failure>() {
            Some(failure) => progress.say(&failure.to_string()),
            None => progress.say(&chain(&error)), // a panic, say
        }
    }
}

/// Why the run did not finish: says it where that is news, and gives the status.
fn outcome(error: &RunError, progress: &Progress) -> u8 {
    match &error.cause {
        Cause::Sink(cause) if is_broken_pipe(&**cause) => 0, // the reader has seen enough
        Cause::Cancelled | Cause::DeadlinePassed(_) => INTERRUPTED,
        _ => {
            progress.say(&chain(error));
            FAILED
        }
    }
}

fn is_broken_pipe(error: &(dyn Error + Send + Sync + 'static)) -> bool {
    error
        .downcast_ref::<io::Error>()
        .is_some_and(|error| error.kind() == ErrorKind::BrokenPipe)
}
