//! Reasons to stop that come from outside: tokens and signals.

#[cfg(loom)]
use std::task::Context;
use std::{
    future::{pending, poll_fn},
    io,
    sync::Arc,
    task::Poll,
    time::Duration,
};

use tokio_util::sync::CancellationToken;

use crate::{
    engine::{Attendant, Hub, call, panic_error},
    error::{BuildError, Cause},
};

/// What a job was told to look out for.
#[derive(Debug, Default)]
pub(super) struct Shutdown {
    cancel_on: Vec<CancellationToken>,
    drain_on: Vec<(CancellationToken, Duration)>,
    signals: Option<(Signals, Duration)>,
}

/// What a job listens to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Signals {
    CtrlC,
    /// SIGTERM too, where there is such a thing.
    All,
}

impl Signals {
    /// The option of a job.
    pub(super) fn option(self) -> &'static str {
        match self {
            Signals::CtrlC => "drain_on_ctrl_c",
            Signals::All => "drain_on_signals",
        }
    }
}

impl Shutdown {
    pub(super) fn cancel_on(&mut self, token: CancellationToken) {
        self.cancel_on.push(token);
    }

    pub(super) fn drain_on(&mut self, token: CancellationToken, deadline: Duration) {
        self.drain_on.push((token, deadline));
    }

    pub(super) fn drain_on_signals(&mut self, signals: Signals, deadline: Duration) {
        self.signals = Some((signals, deadline));
    }

    /// The option by which signals are taken over, if they are.
    pub(super) fn takes_signals(&self) -> Option<&'static str> {
        self.signals.map(|(signals, _)| signals.option())
    }

    /// Those of two jobs that become one.
    pub(super) fn and(mut self, other: Shutdown) -> Shutdown {
        self.cancel_on.extend(other.cancel_on);
        self.drain_on.extend(other.drain_on);
        self.signals = self.signals.or(other.signals);
        self
    }

    /// Whether there is a deadline to be kept.
    pub(super) fn needs_timer(&self) -> Option<&'static str> {
        let on_token = (!self.drain_on.is_empty()).then_some("drain_on");
        on_token.or(self.takes_signals())
    }

    /// What is to be awaited during the run. A token that has been cancelled counts at once, so that
    /// nothing of the user's runs.
    pub(super) fn attend(self, hub: &Arc<Hub>) -> Result<Vec<Attendant>, BuildError> {
        let mut attendants: Vec<Attendant> = Vec::new();
        if let Some((signals, deadline)) = self.signals {
            // registered here and not in the task: from the return of `start` on they are not the default
            let mut signals = Listener::new(signals)?;
            let hub = Arc::clone(hub);
            attendants.push(Box::pin(async move {
                signals.next().await;
                hub.drain(deadline);
                signals.next().await;
                hub.stop(Cause::Cancelled);
            }));
        }
        for token in self.cancel_on {
            let hub = Arc::clone(hub);
            if token.is_cancelled() {
                hub.stop(Cause::Cancelled);
                continue;
            }
            attendants.push(Box::pin(async move {
                token.cancelled().await;
                hub.stop(Cause::Cancelled);
            }));
        }
        for (token, deadline) in self.drain_on {
            let hub = Arc::clone(hub);
            if token.is_cancelled() {
                hub.drain(deadline);
                continue;
            }
            attendants.push(Box::pin(async move {
                token.cancelled().await;
                hub.drain(deadline);
            }));
        }
        Ok(attendants)
    }
}

#[cfg(all(unix, not(loom)))]
type Signal = tokio::signal::unix::Signal;
#[cfg(all(windows, not(loom)))]
type Signal = tokio::signal::windows::CtrlC;

/// Tokio leaves its signals out under loom, and no model needs them.
#[cfg(loom)]
struct Signal;

#[cfg(loom)]
impl Signal {
    fn poll_recv(&mut self, _: &mut Context<'_>) -> Poll<Option<()>> {
        Poll::Pending
    }
}

struct Listener {
    ctrl_c: Signal,
    terminate: Option<Signal>,
}

impl Listener {
    /// On a runtime without its I/O driver tokio panics.
    fn new(signals: Signals) -> Result<Self, BuildError> {
        let listening = call(|| {
            let terminate = (signals == Signals::All).then(terminate).transpose()?;
            Ok(Listener {
                ctrl_c: ctrl_c()?,
                terminate: terminate.flatten(),
            })
        });
        let listening =
            listening.unwrap_or_else(|payload| Err(io::Error::other(panic_error(payload))));
        listening.map_err(BuildError::NoSignals)
    }

    /// The next signal; never if there will be none any more.
    async fn next(&mut self) {
        let Listener { ctrl_c, terminate } = self;
        let signal = poll_fn(
            |context| match (ctrl_c.poll_recv(context), &mut *terminate) {
                (Poll::Pending, Some(terminate)) => terminate.poll_recv(context),
                (received, _) => received,
            },
        );
        if signal.await.is_none() {
            pending().await
        }
    }
}

#[cfg(all(unix, not(loom)))]
fn ctrl_c() -> io::Result<Signal> {
    tokio::signal::unix::signal(tokio::signal::unix::SignalKind::interrupt())
}

#[cfg(all(unix, not(loom)))]
fn terminate() -> io::Result<Option<Signal>> {
    tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()).map(Some)
}

#[cfg(all(windows, not(loom)))]
fn ctrl_c() -> io::Result<Signal> {
    tokio::signal::windows::ctrl_c()
}

#[cfg(all(windows, not(loom)))]
fn terminate() -> io::Result<Option<Signal>> {
    Ok(None)
}

#[cfg(loom)]
fn ctrl_c() -> io::Result<Signal> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(loom)]
fn terminate() -> io::Result<Option<Signal>> {
    Ok(None)
}
