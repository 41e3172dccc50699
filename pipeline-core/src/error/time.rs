use std::{error::Error, time::Duration};

use thiserror::Error;

use super::BoxError;

/// An item, or an attempt at it, that took longer than it was allowed to. It is the
/// [`source`](std::error::Error::source) of a [`StageError`](super::StageError) of the kind
/// [`TimedOut`](super::ErrorKind::TimedOut).
#[derive(Debug, Error)]
#[error("the {limit} of {time:?} was over")]
pub struct TimedOut {
    limit: Limit,
    time: Duration,
    #[source]
    last: Option<BoxError>,
}

impl TimedOut {
    pub(crate) fn new(limit: Limit, time: Duration, last: Option<BoxError>) -> Self {
        TimedOut { limit, time, last }
    }

    /// Which of the two limits it was.
    #[must_use]
    pub fn limit(&self) -> Limit {
        self.limit
    }

    /// How long the limit is.
    #[must_use]
    pub fn time(&self) -> Duration {
        self.time
    }

    /// What the attempt before had failed with, if there was one. Also the
    /// [`source`](std::error::Error::source).
    #[must_use]
    pub fn last_failure(&self) -> Option<&(dyn Error + Send + Sync + 'static)> {
        self.last.as_deref()
    }
}

/// A limit of time of a stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Error)]
#[non_exhaustive]
pub enum Limit {
    /// Of the whole stay: [`Pipeline::timeout`](crate::Pipeline::timeout).
    #[error("timeout")]
    Stay,
    /// Of one attempt: [`Pipeline::attempt_timeout`](crate::Pipeline::attempt_timeout).
    #[error("attempt_timeout")]
    Attempt,
}
