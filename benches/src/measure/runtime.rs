//! A runtime for each sample, so that none inherits tasks, timers or threads of the one before.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Runtime};

use crate::tally::{Tally, Wrong};

/// Worker threads of every runtime.
pub const WORKERS: usize = 2;

/// A run that takes longer hangs.
const HUNG: Duration = Duration::from_secs(60);

/// How long the threads of a finished sample may take to end.
const SHUTDOWN: Duration = Duration::from_millis(200);

/// A multi-threaded runtime with all drivers, its threads called `name`.
pub fn build(name: &str) -> Runtime {
    let mut builder = Builder::new_multi_thread();
    builder
        .worker_threads(WORKERS)
        .thread_name(name)
        .enable_all()
        .build()
        .expect("the system gives threads")
}

/// Runs `future` as a spawned task of a runtime of its own: the way user code runs.
pub fn run<F>(future: F) -> Result<F::Output, Wrong>
where
    F: Future<Output: Send> + Send + 'static,
{
    let runtime = build("bench");
    let (sender, receiver) = mpsc::sync_channel(1);
    runtime.spawn(async move {
        // fails only when nobody waits any more
        let _ = sender.send(future.await);
    });
    let output = receiver.recv_timeout(HUNG).map_err(|error| match error {
        RecvTimeoutError::Timeout => Wrong(format!("nothing came out for {HUNG:?}")),
        RecvTimeoutError::Disconnected => Wrong("it panicked".to_owned()),
    });
    runtime.shutdown_timeout(SHUTDOWN);
    output
}

/// Runs `future` and gives the time it took with what came out.
pub fn timed<F>(future: F) -> Result<(Duration, F::Output), Wrong>
where
    F: Future<Output: Send> + Send + 'static,
{
    run(async move {
        let start = Instant::now();
        let output = future.await;
        (start.elapsed(), output)
    })
}

/// The time that `future` takes for the items `0..items`; the clock is stopped before they are checked.
pub fn checked<F>(items: u64, ordered: bool, future: F) -> Result<Duration, Wrong>
where
    F: Future<Output = Result<Tally, Wrong>> + Send + 'static,
{
    let (elapsed, tally) = timed(future)?;
    tally?.check(items, ordered)?;
    Ok(elapsed)
}

/// The same for work on the calling thread.
pub fn checked_here(items: u64, work: impl FnOnce() -> Tally) -> Result<Duration, Wrong> {
    let start = Instant::now();
    let tally = work();
    let elapsed = start.elapsed();
    tally.check(items, true)?;
    Ok(elapsed)
}
