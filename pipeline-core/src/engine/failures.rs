//! Where failed items are told, and when they end the run.

use std::{future::poll_fn, pin::pin, task::Poll};

use tokio::sync::mpsc::{self, error::TrySendError};

use super::{
    hub::Hub,
    limits::{WARN_EVERY_NS, WARN_FIRST},
    shield,
};
use crate::{
    error::{BoxError, Cause, DeadLetter, ErrorKind, OnError, Overflow, StageError},
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

/// How an item, or an attempt at it, failed.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) kind: ErrorKind,
    pub(super) error: BoxError,
    /// In a step that is fused to the stage, and not in the stage itself.
    pub(super) in_fused_step: bool,
}

impl Failure {
    pub(super) fn new(kind: ErrorKind, error: BoxError) -> Self {
        Failure {
            kind,
            error,
            in_fused_step: false,
        }
    }
}

/// What became of a failure.
pub(super) enum Told<T> {
    /// A channel has it, or it ended the run.
    Yes,
    /// Nobody will receive it.
    No,
    /// Its channel is full, and the run's policy is to wait for room.
    Wait(Unsent<T>),
}

/// A failure that waits for room in its channel.
pub(super) enum Unsent<T> {
    Error(StageError, mpsc::Sender<StageError>),
    Letter(DeadLetter<T>, mpsc::Sender<DeadLetter<T>>),
}

impl<T> Unsent<T> {
    /// Waits for room, as long as the run goes on. False if nobody will receive it.
    pub(super) async fn send_later(self, hub: &Hub) -> bool {
        match self {
            Unsent::Error(error, channel) => hub.send_later(error, &channel).await,
            Unsent::Letter(letter, channel) => hub.send_later(letter, &channel).await,
        }
    }
}

/// What a channel of the user's receives.
trait Message {
    fn error(&self) -> &StageError;
}

impl Message for StageError {
    fn error(&self) -> &StageError {
        self
    }
}

impl<T> Message for DeadLetter<T> {
    fn error(&self) -> &StageError {
        &self.error
    }
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
    pub(super) fn tell<T>(&self, error: StageError) -> Told<T> {
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

    fn offer<T>(&self, error: StageError, overflow: Overflow) -> Told<T> {
        // cloned: to send wakes the receiver, and that is not for under a lock
        let channel = self.failures().channel.lock().clone();
        let Some(channel) = channel else {
            self.lose(&error);
            return Told::No;
        };
        match self.send(error, &channel, overflow) {
            Ok(told) => told,
            Err(error) => Told::Wait(Unsent::Error(error, channel)),
        }
    }

    /// Tells a failure to the dead letters of its stage, and to nobody else.
    pub(super) fn post<T>(
        &self,
        letter: DeadLetter<T>,
        to: &mpsc::Sender<DeadLetter<T>>,
    ) -> Told<T> {
        match self.send(letter, to, self.failures().overflow) {
            Ok(told) => told,
            Err(letter) => Told::Wait(Unsent::Letter(letter, to.clone())),
        }
    }

    /// An `Err` is to be sent later.
    fn send<M: Message, T>(
        &self,
        message: M,
        channel: &mpsc::Sender<M>,
        overflow: Overflow,
    ) -> Result<Told<T>, M> {
        match channel.try_send(message) {
            Ok(()) => Ok(Told::Yes),
            Err(TrySendError::Full(message)) if overflow == Overflow::Wait => Err(message),
            Err(TrySendError::Full(message) | TrySendError::Closed(message)) => {
                self.lose(message.error());
                shield::discard(message);
                Ok(Told::No)
            }
        }
    }

    async fn send_later<M: Message>(&self, message: M, channel: &mpsc::Sender<M>) -> bool {
        let mut room = pin!(channel.reserve());
        let permit = poll_fn(|context| {
            if self.stopped() {
                Poll::Ready(None)
            } else {
                room.as_mut().poll(context).map(Result::ok)
            }
        });
        if let Some(permit) = permit.await {
            permit.send(message);
            return true;
        }
        self.lose(message.error());
        shield::discard(message);
        false
    }

    /// Nobody will receive it: the log is told, but not a million times.
    fn lose(&self, error: &StageError) {
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
