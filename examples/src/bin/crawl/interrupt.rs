//! Ctrl-C and SIGTERM: the first of them drains the run, another one cancels it.

use std::{future::pending, io};

use tokio_util::sync::CancellationToken;

/// What has been asked for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stop {
    pub(crate) drain: CancellationToken,
    pub(crate) cancel: CancellationToken,
}

/// Listens from the return of this on; `said` is called at the first signal.
///
/// # Errors
///
/// If the system has no signals to listen to.
pub(crate) fn listen(said: impl FnOnce() + Send + 'static) -> io::Result<Stop> {
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
