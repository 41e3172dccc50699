//! Runs pipelines to every kind of end, and prints nothing: whatever is on its stdout or stderr, the library has put there.
//!
//! The test `the_library_prints_nothing` starts it. It ends with status 0 if each run ended as it should, and if the
//! panic hook of the program was left in its place: it was called once for each panic.

use std::panic::set_hook;
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};

use pipeline_core::error::{BoxError, Cause, RunError};
use pipeline_core::prelude::*;
use pipeline_core::report::{Outcome, Report};
use pipeline_core::run::Running;
use tests::run::Machine;
use tests::time::ms;
use tokio::sync::mpsc;

static PANICS: AtomicUsize = AtomicUsize::new(0);

fn main() -> ExitCode {
    set_hook(Box::new(|_panic| {
        PANICS.fetch_add(1, Ordering::SeqCst);
    }));
    let machines = [Machine::Paused, Machine::Threads(2)];
    for machine in machines {
        if let Err(wrong) = machine.runtime().block_on(all()) {
            eprintln!("{wrong}");
            return ExitCode::FAILURE;
        }
    }
    let panics = PANICS.load(Ordering::SeqCst);
    if panics != 3 * machines.len() {
        eprintln!("the panic hook was called {panics} times");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

fn numbers() -> Pipeline<u64> {
    Pipeline::from_iter(0..1_000)
        .and_then(|n| async move {
            tokio::task::yield_now().await;
            Ok::<_, BoxError>(n)
        })
        .parallelism(4)
        .into()
}

type Wrong = Box<dyn std::error::Error + Send + Sync>;

fn ends<R>(result: &Result<Report<R>, RunError>, expected: Outcome) -> Result<(), Wrong> {
    let outcome = match result {
        Ok(report) => report.outcome,
        Err(error) => error.report.outcome,
    };
    if outcome == Some(expected) {
        return Ok(());
    }
    Err(format!("{outcome:?} where {expected:?} was due").into())
}

/// A run in the middle.
async fn started(job: Job) -> Result<Running, Wrong> {
    let run = job.start()?;
    while run.control().metrics().items.taken == 0 {
        tokio::task::yield_now().await;
    }
    Ok(run)
}

async fn failures() -> Result<(), Wrong> {
    let odd = |n| if n % 2 == 1 { Err("odd") } else { Ok(n) };
    let (errors, failures) = mpsc::channel(4);
    let job = numbers().try_map(odd).count().errors(errors);
    ends(&job.run().await, Outcome::Finished)?;
    drop(failures);
    let job = numbers().try_map(odd).count().on_error(OnError::Continue);
    ends(&job.run().await, Outcome::Finished)?;
    ends(&numbers().try_map(odd).count().run().await, Outcome::Failed)
}

/// Of a body, the end, the source.
async fn panics() -> Result<(), Wrong> {
    let small = |n: u64| assert!(n != 500, "not this one");
    let job = numbers().map(small).count();
    ends(&job.run().await, Outcome::Failed)?;
    ends(&numbers().for_each(small).run().await, Outcome::Failed)?;
    let job = Pipeline::from_iter((0..1_000).map(small)).count();
    ends(&job.run().await, Outcome::Failed)
}

async fn stopped_from_outside() -> Result<(), Wrong> {
    let forever = || {
        Pipeline::from_iter(0u64..)
            .then(|n| async move {
                tokio::task::yield_now().await;
                n
            })
            .parallelism(4)
            .for_each(drop)
    };
    let mut run = started(forever()).await?;
    run.control().cancel();
    ends(&run.wait().await, Outcome::Cancelled)?;
    let mut run = started(forever()).await?;
    run.control().drain(ms(60_000));
    ends(&run.wait().await, Outcome::Drained)?;
    let hangs = Pipeline::from_iter(0u64..)
        .then(|_| std::future::pending::<()>())
        .for_each(drop);
    let mut run = started(hangs).await?;
    run.control().drain(ms(1));
    ends(&run.wait().await, Outcome::DeadlinePassed)?;
    // nobody takes the outcome, and the runtime goes while one runs
    drop(started(forever()).await?);
    std::mem::forget(started(forever()).await?);
    Ok(())
}

async fn all() -> Result<(), Wrong> {
    ends(&numbers().count().run().await, Outcome::Finished)?;
    failures().await?;
    panics().await?;
    // a job that cannot be started, and one that never is
    match numbers().map(|n| n).parallelism(0).count().run().await {
        Err(RunError {
            cause: Cause::Build(_),
            ..
        }) => {}
        _ => return Err("it was started".into()),
    }
    drop(numbers().count());
    stopped_from_outside().await
}
