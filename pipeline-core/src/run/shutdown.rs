//! Reasons to stop that come from outside: tokens and Ctrl-C.

use std::{io, sync::Arc, time::Duration};

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
    ctrl_c: Option<Duration>,
}

impl Shutdown {
    pub(super) fn cancel_on(&mut self, token: CancellationToken) {
        self.cancel_on.push(token);
    }

    pub(super) fn drain_on(&mut self, token: CancellationToken, deadline: Duration) {
        self.drain_on.push((token, deadline));
    }

    pub(super) fn drain_on_ctrl_c(&mut self, deadline: Duration) {
        self.ctrl_c = Some(deadline);
    }

    pub(super) fn takes_ctrl_c(&self) -> bool {
        self.ctrl_c.is_some()
    }

    /// Those of two jobs that become one.
    pub(super) fn and(mut self, other: Shutdown) -> Shutdown {
        self.cancel_on.extend(other.cancel_on);
        self.drain_on.extend(other.drain_on);
        self.ctrl_c = self.ctrl_c.or(other.ctrl_c);
        self
    }

    /// Whether there is a deadline to be kept.
    pub(super) fn needs_timer(&self) -> Option<&'static str> {
        let on_token = (!self.drain_on.is_empty()).then_some("drain_on");
        on_token.or(self.ctrl_c.map(|_| "drain_on_ctrl_c"))
    }

    /// What is to be awaited during the run. A token that has been cancelled counts at once, so that
    /// nothing of the user's runs.
    pub(super) fn attend(self, hub: &Arc<Hub>) -> Result<Vec<Attendant>, BuildError> {
        let mut attendants: Vec<Attendant> = Vec::new();
        if let Some(deadline) = self.ctrl_c {
            // registered here and not in the task: from the return of `start` on it is not the default
            let mut ctrl_c = listen()?;
            let hub = Arc::clone(hub);
            attendants.push(Box::pin(async move {
                if ctrl_c.recv().await.is_some() {
                    hub.drain(deadline);
                }
                if ctrl_c.recv().await.is_some() {
                    hub.stop(Cause::Cancelled);
                }
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
type CtrlC = tokio::signal::unix::Signal;
#[cfg(all(windows, not(loom)))]
type CtrlC = tokio::signal::windows::CtrlC;

/// Tokio leaves its signals out under loom, and no model needs them.
#[cfg(loom)]
struct CtrlC;

#[cfg(loom)]
impl CtrlC {
    async fn recv(&mut self) -> Option<()> {
        None
    }
}

/// On a runtime without its I/O driver tokio panics.
fn listen() -> Result<CtrlC, BuildError> {
    let listening = call(|| {
        #[cfg(all(unix, not(loom)))]
        return tokio::signal::unix::signal(tokio::signal::unix::SignalKind::interrupt());
        #[cfg(all(windows, not(loom)))]
        return tokio::signal::windows::ctrl_c();
        #[cfg(loom)]
        return Err(io::ErrorKind::Unsupported.into());
    });
    let listening = listening.unwrap_or_else(|payload| Err(io::Error::other(panic_error(payload))));
    listening.map_err(BuildError::NoSignals)
}
