//! Ctrl-C and SIGTERM.

use std::io;

use tokio::signal;
use tokio_util::sync::CancellationToken;

use crate::say;

/// What signals ask for.
#[derive(Debug, Clone, Default)]
pub(crate) struct Signals {
    /// Cancelled by the first one.
    pub(crate) drain: CancellationToken,
    /// Cancelled by the second one.
    pub(crate) cancel: CancellationToken,
}

impl Signals {
    /// From now on, for the whole process.
    ///
    /// # Errors
    ///
    /// The system refuses to tell of signals.
    pub(crate) fn listen() -> io::Result<Self> {
        let signals = Signals::default();
        let told = signals.clone();
        let mut next = Next::new()?;
        tokio::spawn(async move {
            next.signal().await;
            told.drain.cancel();
            say("draining; again to stop at once");
            next.signal().await;
            told.cancel.cancel();
        });
        Ok(signals)
    }
}

/// Both are listened to from the start, so that none is missed between two waits.
#[cfg(unix)]
struct Next {
    interrupt: signal::unix::Signal,
    terminate: signal::unix::Signal,
}

#[cfg(unix)]
impl Next {
    fn new() -> io::Result<Self> {
        use signal::unix::{SignalKind, signal};
        Ok(Next {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn signal(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

#[cfg(not(unix))]
struct Next;

#[cfg(not(unix))]
impl Next {
    fn new() -> io::Result<Self> {
        Ok(Next)
    }

    async fn signal(&mut self) {
        if signal::ctrl_c().await.is_err() {
            std::future::pending().await // no signals here
        }
    }
}
