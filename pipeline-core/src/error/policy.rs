/// When failed items end the run.
///
/// Without [`Job::on_error`](crate::Job::on_error) it is `Continue` if the job has an error
/// channel, else `FailFast`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnError {
    /// The first failure ends the run, and is what [`Job::run`](crate::Job::run) returns. Items
    /// that are inside are cancelled, also those before the failed one.
    FailFast,
    /// Failures never end the run. Each goes to the error channel; without one it is counted in the
    /// report ([`StageReport::errors_not_delivered`](crate::report::StageReport)) and logged.
    Continue,
    /// The n-th failure ends the run and is what [`Job::run`](crate::Job::run) returns; those before
    /// it go to the error channel. At least 1, which is `FailFast`.
    StopAfter(u64),
}

/// What a full channel for errors, or for dead letters, does.
///
/// A dropped receiver is neither: it never makes anybody wait, and what it does not get is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Overflow {
    /// The error, with the item if it is a dead letter, is counted in the report and dropped, so that
    /// good items never wait for a slow reader of errors. The default.
    #[default]
    Count,
    /// The stage waits for room, and with it, by backpressure, the pipeline. No error is lost while
    /// there is a receiver.
    Wait,
}
