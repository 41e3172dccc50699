//! What a stage does about an item that fails or takes too long: its limits of time, whether it is
//! tried again, and where it goes when it has failed for good.

use std::{any::Any, fmt, time::Duration};

use tokio::sync::mpsc;

use crate::{
    config::Retry,
    error::{DeadLetter, Limit},
    rt::Moment,
};

/// Of a stage whose items are `T`, whatever they travel in.
pub(crate) struct Recovery<T> {
    /// For the whole stay of an item.
    pub(crate) timeout: Option<Duration>,
    /// For each attempt.
    pub(crate) attempt_timeout: Option<Duration>,
    pub(crate) retry: Option<Retry>,
    /// Which errors deserve another attempt; all, if there is none.
    pub(crate) transient: Option<Transient>,
    /// How an item is copied, for another attempt or for the dead letters.
    pub(crate) copy: Option<fn(&T) -> T>,
    pub(crate) dead_letters: Option<mpsc::Sender<DeadLetter<T>>>,
}

/// Asked with the error as the stage gave it. Its type is known where it was set, and to the stage.
pub(crate) type Transient = Box<dyn Fn(&dyn Any) -> bool + Send + Sync>;

impl<T> fmt::Debug for Recovery<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recovery")
            .field("timeout", &self.timeout)
            .field("attempt_timeout", &self.attempt_timeout)
            .field("retry", &self.retry)
            .finish_non_exhaustive()
    }
}

impl<T> Default for Recovery<T> {
    fn default() -> Self {
        Recovery {
            timeout: None,
            attempt_timeout: None,
            retry: None,
            transient: None,
            copy: None,
            dead_letters: None,
        }
    }
}

impl<T> Recovery<T> {
    /// Whether there is anything here; most stages have nothing, and pay nothing.
    pub(crate) fn is_set(&self) -> bool {
        self.is_timed()
            || self.retry.is_some()
            || self.transient.is_some()
            || self.dead_letters.is_some()
    }

    pub(super) fn is_timed(&self) -> bool {
        self.timeout.is_some() || self.attempt_timeout.is_some()
    }

    /// Whether an error deserves another attempt, if there is one left. Code of the user's.
    pub(super) fn is_transient(&self, error: &dyn Any) -> bool {
        self.retry.is_some()
            && self
                .transient
                .as_ref()
                .is_none_or(|transient| transient(error))
    }

    pub(super) fn retries_panics(&self) -> bool {
        self.retry.is_some_and(|retry| retry.retries_panics())
    }

    /// The shortest limit of time.
    pub(super) fn shortest(&self) -> Option<Duration> {
        match (self.timeout, self.attempt_timeout) {
            (Some(stay), Some(attempt)) => Some(stay.min(attempt)),
            (stay, attempt) => stay.or(attempt),
        }
    }

    /// The length of a limit, for the error that tells that it is over.
    pub(super) fn time_of(&self, limit: Limit) -> Duration {
        let time = match limit {
            Limit::Stay => self.timeout,
            Limit::Attempt => self.attempt_timeout,
        };
        time.unwrap_or_default()
    }

    pub(super) fn stay_from(&self, begun: Moment) -> Option<Moment> {
        begun.after(self.timeout?)
    }

    pub(super) fn attempt_from(&self, begun: Moment) -> Option<Moment> {
        begun.after(self.attempt_timeout?)
    }
}
