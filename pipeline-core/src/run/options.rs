//! The options of a whole run.

use tokio::sync::mpsc;

use super::shutdown::Shutdown;
use crate::error::{BuildError, OnError, Overflow, StageError};

#[derive(Debug, Default)]
pub(super) struct Options {
    pub(super) errors: Option<mpsc::Sender<StageError>>,
    pub(super) overflow: Option<Overflow>,
    pub(super) on_error: Option<OnError>,
    pub(super) shutdown: Shutdown,
    /// Set on two jobs that were joined, so nobody knows which one is meant.
    pub(super) twice: Option<&'static str>,
}

impl Options {
    /// Those of two jobs that become one.
    pub(super) fn and(self, other: Options) -> Options {
        let mut twice = self.twice.or(other.twice);
        let mut both = |name, is_twice| {
            if is_twice {
                twice.get_or_insert(name);
            }
        };
        both("errors", self.errors.is_some() && other.errors.is_some());
        both(
            "error_overflow",
            self.overflow.is_some() && other.overflow.is_some(),
        );
        both(
            "on_error",
            self.on_error.is_some() && other.on_error.is_some(),
        );
        let signals = |options: &Options| options.shutdown.takes_signals();
        if let (Some(option), Some(_)) = (signals(&self), signals(&other)) {
            both(option, true);
        }
        Options {
            errors: self.errors.or(other.errors),
            overflow: self.overflow.or(other.overflow),
            on_error: self.on_error.or(other.on_error),
            shutdown: self.shutdown.and(other.shutdown),
            twice,
        }
    }

    /// Refuses what cannot work.
    pub(super) fn check(&self) -> Result<(), BuildError> {
        if let Some(option) = self.twice {
            return Err(BuildError::SetTwice(option));
        }
        if self.on_error == Some(OnError::StopAfter(0)) {
            return Err(BuildError::Zero(
                "on_error".into(),
                "the number of `StopAfter`",
            ));
        }
        Ok(())
    }
}
