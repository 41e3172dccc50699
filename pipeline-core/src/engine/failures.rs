//! Where failed items are told, and when they end the run.

use std::sync::Arc;

use tokio::sync::mpsc::{self, error::TrySendError};

use super::{
    hub::Hub,
    limits::{WARN_EVERY_NS, WARN_FIRST},
    shield,
};
use crate::{
    error::{Cause, OnError, Overflow, StageError},
    rt::{
        Mutex,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

/// The policy of a run, fixed before anything can fail.
#[derive(Debug)]
pub(crate) struct Failures {
    /// None from the end of the run on, so that its receiver ends too, whoever still has a handle.
    channel: Mutex<Option<mpsc::Sender<StageError>>>,
    overflow: Overflow,
    /// The failure that ends the run, counted from 1.
    last: Option<u64>,
    seen: AtomicU64,
    lost: AtomicU64,
    warn_after: AtomicU64,
}

/// What became of a failure.
pub(super) enum Told {
    /// The error channel has it, or it ended the run.
    Yes,
    /// Nobody will receive it.
    No,
    /// The channel is full, and the run's policy is to wait for room.
    Wait(StageError, mpsc::Sender<StageError>),
}

impl Failures {
    pub(crate) fn new(
        channel: Option<mpsc::Sender<StageError>>,
        overflow: Overflow,
        policy: Option<OnError>,
    ) -> Self {
        let policy = policy.unwrap_or(if channel.is_some() {
            OnError::Continue
        } else {
            OnError::FailFast
        });
        let last = match policy {
            OnError::FailFast => Some(1),
            OnError::Continue => None,
            OnError::StopAfter(failures) => Some(failures),
        };
        let (seen, lost, warn_after) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
        Failures {
            channel: Mutex::new(channel),
            overflow,
            last,
            seen,
            lost,
            warn_after,
        }
    }
}

impl Failures {
    /// Nothing is told any more.
    pub(super) fn close(&self) {
        let channel = self.channel.lock().take();
        drop(channel);
    }
}

impl Hub {
    /// Tells a failure to whom it concerns. Called outside of every lock, once for each failure.
    pub(super) fn tell(self: &Arc<Self>, error: StageError) -> Told {
        let failures = self.failures();
        let seen = failures.seen.fetch_add(1, Relaxed) + 1;
        if failures.last.is_some_and(|last| seen >= last) {
            // the first one to come here is the cause; one that comes later is still not dropped
            return match self.try_stop(Cause::Item(error)) {
                None => Told::Yes,
                Some(Cause::Item(error)) => self.offer(error, Overflow::Count),
                Some(_) => Told::No,
            };
        }
        self.offer(error, failures.overflow)
    }

    fn offer(&self, error: StageError, overflow: Overflow) -> Told {
        // cloned: to send wakes the receiver, and that is not for under a lock
        let channel = self.failures().channel.lock().clone();
        let Some(channel) = channel else {
            self.lose(&error);
            return Told::No;
        };
        match channel.try_send(error) {
            Ok(()) => Told::Yes,
            Err(TrySendError::Full(error)) if overflow == Overflow::Wait => {
                Told::Wait(error, channel)
            }
            Err(TrySendError::Full(error) | TrySendError::Closed(error)) => {
                self.lose(&error);
                Told::No
            }
        }
    }

    /// Nobody will receive it: the log is told, but not a million times.
    pub(super) fn lose(&self, error: &StageError) {
        let failures = self.failures();
        let lost = failures.lost.fetch_add(1, Relaxed) + 1;
        let now = self.now();
        let quiet_until = failures.warn_after.load(Relaxed);
        let may_warn = lost <= WARN_FIRST
            || (now >= quiet_until
                && failures
                    .warn_after
                    .compare_exchange(quiet_until, now + WARN_EVERY_NS, Relaxed, Relaxed)
                    .is_ok());
        if may_warn {
            // to print an error is code of the user's
            let printed = shield::call(|| {
                let cause = std::error::Error::source(error).map(tracing::field::display);
                tracing::warn!(parent: self.span(), %error, cause, lost, "an item failed, and nobody receives its error");
            });
            shield::discard(printed);
        }
    }
}
