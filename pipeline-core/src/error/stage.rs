use std::{fmt, sync::Arc};

use thiserror::Error;

use super::{BoxError, Origin, causes::write_with_causes};

/// The failure of one item in one stage.
///
/// It is what an error channel ([`Job::errors`](crate::Job::errors)) receives, and what
/// [`Cause::Item`](super::Cause::Item) holds. [`source`](std::error::Error::source) is the user's
/// error; after a panic it is a [`Panicked`](super::Panicked), after a timeout a
/// [`TimedOut`](super::TimedOut). The item itself is not inside: it was given to the stage, and need
/// be neither `Clone` nor `Debug`. [`dead_letters`](crate::Pipeline::dead_letters) hands it back.
///
/// `{}` says which item failed where, `{:#}` says also why: it goes on with the user's error and what that was caused by.
///
/// ```
/// use pipeline_core::{error::ErrorKind, prelude::*};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), BoxError> {
/// let (errors, mut failures) = tokio::sync::mpsc::channel(16);
/// let report = Pipeline::from_iter(["1", "two", "3"])
///     .try_map(|text| text.parse::<u32>()).name("parse")
///     .collect()
///     .errors(errors)
///     .run().await?;
/// assert_eq!(report.value, [1, 3]);
///
/// let failure = failures.recv().await.expect("one of three failed");
/// assert_eq!((failure.stage(), failure.origin().first()), ("parse", 1));
/// assert_eq!(failure.kind(), ErrorKind::Failed);
/// assert!(failure.downcast_ref::<std::num::ParseIntError>().is_some());
/// assert_eq!(failure.to_string(), "stage `parse` failed on item 1 after 1 attempt(s)");
/// assert_eq!(
///     format!("{failure:#}"),
///     "stage `parse` failed on item 1 after 1 attempt(s): invalid digit found in string"
/// );
/// # Ok(()) }
/// ```
#[derive(Debug, Error)]
pub struct StageError {
    stage: Arc<str>,
    origin: Origin,
    attempts: u32,
    kind: ErrorKind,
    source: BoxError,
}

impl fmt::Display for StageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if f.alternate() {
            return write_with_causes(self, f);
        }
        let StageError {
            stage,
            origin,
            attempts,
            kind,
            ..
        } = self;
        write!(
            f,
            "stage `{stage}` {kind} {origin} after {attempts} attempt(s)"
        )
    }
}

impl StageError {
    pub(crate) fn new(
        stage: Arc<str>,
        origin: Origin,
        attempts: u32,
        kind: ErrorKind,
        source: BoxError,
    ) -> Self {
        StageError {
            stage,
            origin,
            attempts,
            kind,
            source,
        }
    }

    /// The name of the stage. `decode+filter` means that the item failed in a `filter` that runs
    /// inside the workers of `decode`; `source` that a stream of results gave an `Err`.
    #[must_use]
    pub fn stage(&self) -> &str {
        &self.stage
    }

    /// Which items of the source it came from.
    #[must_use]
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// How often the body ran for this item: more than once with [`retry`](crate::Pipeline::retry).
    /// At least 1, also for an item whose `Clone` panicked before its body could run.
    #[must_use]
    pub fn attempts(&self) -> u32 {
        self.attempts
    }

    /// What kind of failure it was.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The user's error, if it is an `E`.
    ///
    /// An error of `anyhow` is not itself a standard error: it becomes one by `?` or `into()`, and
    /// then `E` is the type that was put into it only if it was not given a context.
    #[must_use]
    pub fn downcast_ref<E: std::error::Error + 'static>(&self) -> Option<&E> {
        self.source.downcast_ref()
    }

    /// The user's error itself.
    #[must_use]
    pub fn into_inner(self) -> BoxError {
        self.source
    }
}

/// How an item failed. `#[non_exhaustive]`: later versions may tell more apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Error)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The body returned an `Err`.
    #[error("failed on")]
    Failed,
    /// It took longer than it was allowed to: its last attempt, or all of them with their pauses.
    #[error("ran out of time on")]
    TimedOut,
    /// The body panicked: when called, when polled, or when its future was dropped.
    #[error("panicked on")]
    Panicked,
}
