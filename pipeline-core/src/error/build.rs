use std::{fmt, io, sync::Arc};

use thiserror::Error;

use super::causes::write_with_causes;

/// A pipeline that cannot be started as it is described.
///
/// It is found by [`Job::start`](crate::Job::start) before anything of the user's runs, so also
/// for a source that would have given no items. `#[non_exhaustive]`: later versions check more.
///
/// `{}` and `{:?}` are both the sentence that names the step and the setting, so that it is what an `unwrap` says, or
/// a `main` that returns it.
#[derive(Error)]
#[non_exhaustive]
pub enum BuildError {
    /// A setting of a stage, or of the job, is 0 and has no meaning then.
    #[error("`{0}`: {1} must be at least 1")]
    Zero(Arc<str>, &'static str),
    /// The window of a stage has no room for all the items that may be in work.
    #[error(
        "`{0}`: window {1} is smaller than parallelism {2}, so not all of its items could be in work: \
         leave the window out, or make it {2} or more"
    )]
    WindowTooSmall(Arc<str>, usize, usize),
    /// A limit of time is zero, so that every item that has to wait would fail.
    #[error(
        "`{0}`: {1} must be longer than zero; leave it out, or set it to `Duration::MAX`, for no limit"
    )]
    ZeroTime(Arc<str>, &'static str),
    /// A rate of so many items in no time, which limits nothing.
    #[error(
        "`{0}`: the period of the rate must be longer than zero; leave the step out for no limit"
    )]
    ZeroPeriod(Arc<str>),
    /// An option was set that says how another one works, without that other one.
    #[error("`{0}`: {1} does nothing without {2}: set that too, or leave both out")]
    Without(Arc<str>, &'static str, &'static str),
    /// [`buffer`](crate::Pipeline::buffer) was called behind another step than a source.
    #[error(
        "`buffer` is for sources; `{0}` is another step: what a stage holds is bounded by its `window`, what an \
         operator holds is shown by `Job::plan`"
    )]
    MisplacedBuffer(Arc<str>),
    /// A branch of a step leads nowhere: its pipeline was dropped, or ends in another job.
    #[error(
        "branch {1} of `{0}` leads nowhere: give it an end, and put the jobs of all branches together by \
         `Job::join`"
    )]
    Unconnected(Arc<str>, usize),
    /// What a step was given for itself alone is used by another one.
    #[error("`{0}`: its {1} is in use: by another step, or by a run that is not over")]
    InUse(Arc<str>, &'static str),
    /// An option of the whole run was set on two jobs that were joined.
    #[error("`{0}` was set on two jobs that were joined: set it once, on the joined job")]
    SetTwice(&'static str),
    /// [`Job::start`](crate::Job::start) was called where there is no tokio runtime.
    #[error("no tokio runtime here: call `start` from async code or within `Runtime::enter`")]
    NoRuntime,
    /// Something that the pipeline needs is timed, and the runtime was built without timers.
    #[error(
        "`{0}` needs a runtime with its time driver enabled: call `enable_time` or `enable_all` on the runtime's builder"
    )]
    NoTimer(Arc<str>),
    /// [`Job::drain_on_ctrl_c`](crate::Job::drain_on_ctrl_c) or
    /// [`Job::drain_on_signals`](crate::Job::drain_on_signals) could not listen: the
    /// runtime was built without its I/O driver (`enable_io` or `enable_all`), or the system refused.
    #[error("cannot listen for signals (the runtime's builder needs `enable_io` or `enable_all`)")]
    NoSignals(#[source] io::Error),
}

impl fmt::Debug for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_with_causes(self, f)
    }
}
