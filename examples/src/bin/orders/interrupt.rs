//! Ctrl-C and SIGTERM: the first one drains, the second one cancels.

use std::time::Duration;

use tokio::signal;
use tokio_util::sync::CancellationToken;

use crate::progress::say;

/// How long the lines already taken may go on.
pub(crate) const DRAIN: Duration = Duration::from_secs(30);

/// What a run is told. Clones are the same.
#[derive(Debug, Clone, Default)]
pub(crate) struct Interrupt {
    pub(crate) first: CancellationToken,
    pub(crate) second: CancellationToken,
}

/// Listens until the program ends.
pub(crate) async fn listen(interrupt: Interrupt) {
    let Ok(mut signals) = Signals::new() else {
        return; // no signals here
    };
    signals.next().await;
    say("interrupted: writing the lines already taken; again to stop at once");
    interrupt.first.cancel();
    signals.next().await;
    interrupt.second.cancel();
}

#[cfg(unix)]
struct Signals {
    interrupt: signal::unix::Signal,
    terminate: signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn new() -> std::io::Result<Self> {
        use signal::unix::{SignalKind, signal};
        Ok(Signals {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Signals)
    }

    async fn next(&mut self) {
        if signal::ctrl_c().await.is_err() {
            std::future::pending().await
        }
    }
}
