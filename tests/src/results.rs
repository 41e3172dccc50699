//! Reading what a run has told.

use pipeline_core::error::{Cause, RunError, StageError};
use pipeline_core::report::Report;
use tokio::sync::mpsc;

/// All errors, up to the end of the run.
pub async fn all_errors(mut failures: mpsc::Receiver<StageError>) -> Vec<StageError> {
    let mut errors = Vec::new();
    while let Some(error) = failures.recv().await {
        errors.push(error);
    }
    errors
}

/// The items that the errors are about, from the lowest to the highest.
pub fn origins(errors: &[StageError]) -> Vec<u64> {
    let mut origins: Vec<_> = errors.iter().map(|error| error.origin().first()).collect();
    origins.sort_unstable();
    origins
}

/// The only error.
///
/// # Panics
///
/// If there are more, or none.
pub async fn only_error(failures: mpsc::Receiver<StageError>) -> StageError {
    let mut errors = all_errors(failures).await;
    assert_eq!(errors.len(), 1, "{errors:?}");
    errors.remove(0)
}

/// Errors that nobody received, in all stages.
pub fn not_delivered<R>(report: &Report<R>) -> u64 {
    let stages = report.stages.iter();
    stages.map(|stage| stage.errors_not_delivered).sum()
}

/// The failure that ended the run.
///
/// # Panics
///
/// If it ended otherwise.
#[track_caller]
pub fn failure<R>(result: Result<R, RunError>) -> StageError {
    match cause(result) {
        Cause::Item(failure) => failure,
        other => panic!("the run did not fail by an item: {other:?}"),
    }
}

/// What ended the run.
///
/// # Panics
///
/// If it finished.
#[track_caller]
pub fn cause<R>(result: Result<R, RunError>) -> Cause {
    match result {
        Ok(_) => panic!("the run finished"),
        Err(error) => error.cause,
    }
}

/// The text of an error, with those below it.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut below = error.source();
    while let Some(error) = below {
        text = format!("{text}: {error}");
        below = error.source();
    }
    text
}
