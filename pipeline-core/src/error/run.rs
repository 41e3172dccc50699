use std::{fmt, sync::Arc, time::Duration};

use thiserror::Error;

use super::{BoxError, BuildError, StageError, causes::write_with_causes};
use crate::report::Report;

/// Why a run did not finish, with the report of what it did.
///
/// `{}` says only that. `{:#}` and `{:?}`, and so a `main` that returns it, say it with the cause and the user's own
/// error below it, in one line; `{:#?}` shows all fields.
///
/// ```
/// use pipeline_core::prelude::*;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let numbers = Pipeline::from_iter(["1", "two"]).try_map(str::parse::<u32>).name("parse");
/// let error = numbers.collect().run().await.unwrap_err();
/// assert_eq!(error.to_string(), "the run did not finish");
/// assert_eq!(
///     format!("{error:#}"),
///     "the run did not finish: an item failed: stage `parse` failed on item 1 after 1 attempt(s): \
///      invalid digit found in string"
/// );
/// # }
/// ```
#[derive(Error)]
#[non_exhaustive]
pub struct RunError {
    /// What ended it. The first cause wins.
    #[source]
    pub cause: Cause,
    /// What was done until then. Boxed, so that a `Result` with it stays small.
    pub report: Box<Report>,
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if f.alternate() {
            return write_with_causes(self, f);
        }
        f.write_str("the run did not finish")
    }
}

impl fmt::Debug for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !f.alternate() {
            return write_with_causes(self, f);
        }
        f.debug_struct("RunError")
            .field("cause", &self.cause)
            .field("report", &self.report)
            .finish()
    }
}

impl From<BuildError> for RunError {
    fn from(error: BuildError) -> Self {
        RunError {
            cause: Cause::Build(error),
            report: Box::default(),
        }
    }
}

/// What ended a run before its time. The first one wins; what happens after it is not kept.
///
/// To ask for a drain is not a cause: a failure after it is still the outcome.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Cause {
    /// The pipeline cannot be started as it is described. Nothing ran.
    #[error("it could not be started")]
    Build(#[source] BuildError),
    /// An item failed, and the policy was to stop ([`OnError`](super::OnError)).
    #[error("an item failed")]
    Item(#[source] StageError),
    /// A worker's stage could not be made or cloned, or could not be closed.
    #[error("stage `{0}` could not be made or closed")]
    Stage(Arc<str>, #[source] BoxError),
    /// The source failed, panicked, or could not be closed.
    #[error("the source failed")]
    Source(#[source] BoxError),
    /// The sink, or the closure that ends the pipeline, failed, panicked, or could not be closed.
    #[error("the sink failed")]
    Sink(#[source] BoxError),
    /// Somebody asked for it: [`Control::cancel`](crate::run::Control::cancel), a token, a second
    /// Ctrl-C, or the owner was dropped.
    #[error("it was cancelled")]
    Cancelled,
    /// A drain took longer than it was allowed to. What was still inside counts as cancelled.
    #[error("it was not drained within {0:?}")]
    DeadlinePassed(Duration),
    /// Two ways through the pipeline lead to the same step, and wait for each other there. What the first of
    /// these gives has filled up, because that step waits for an item of the second; and the second gets
    /// none, because the step that both ways come from waits for the first to have room. Nothing else
    /// goes on: all tasks of the run wait for each other, and for nothing outside.
    ///
    /// It is told at once. A step with branches is named with the branch, counted from 0: `split[1]`. Ways out: let
    /// both ways give as many items, give a batch an age, or merge without order.
    #[error(
        "`{0}` is full and `{1}` gives nothing: a step waits for both, and they wait for each other"
    )]
    Stalled(Arc<str>, Arc<str>),
    /// The tokio runtime of the run was shut down in the middle of it.
    #[error("its runtime was shut down")]
    RuntimeGone,
}
