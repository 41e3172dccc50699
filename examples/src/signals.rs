//! Ctrl-C and SIGTERM: the first of them drains a run, another one cancels it.
//!
//! `Job::drain_on_signals` does the same in one line. This is for programs that say something when they are asked to
//! stop, or that have more to stop than a run.

use std::{future::pending, io};

use tokio_util::sync::CancellationToken;

/// What has been asked for. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Stop {
    /// For `Job::drain_on`: cancelled by the first signal.
    pub drain: CancellationToken,
    /// For `Job::cancel_on`: cancelled by the second.
    pub cancel: CancellationToken,
}

/// Listens from the return of this on; `said` is called at the first signal. Takes the signals over for the whole
/// process and for good.
///
/// # Errors
///
/// If the system has no signals to listen to.
pub fn listen(said: impl FnOnce() + Send + 'static) -> io::Result<Stop> {
    let mut signals = Signals::new()?;
    let stop = Stop::default();
    let asked = stop.clone();
    tokio::spawn(async move {
        signals.next().await;
        said();
        stop.drain.cancel();
        signals.next().await;
        stop.cancel.cancel();
    });
    Ok(asked)
}

#[cfg(unix)]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn new() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Signals {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) {
        let received = tokio::select! {
            received = self.interrupt.recv() => received,
            received = self.terminate.recv() => received,
        };
        if received.is_none() {
            pending().await // no signal will come any more
        }
    }
}

#[cfg(windows)]
struct Signals(tokio::signal::windows::CtrlC);

#[cfg(windows)]
impl Signals {
    fn new() -> io::Result<Self> {
        tokio::signal::windows::ctrl_c().map(Signals)
    }

    async fn next(&mut self) {
        if self.0.recv().await.is_none() {
            pending().await // no signal will come any more
        }
    }
}
