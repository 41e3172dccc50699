use std::{fmt, future::IntoFuture, pin::Pin, sync::Arc, time::Duration};

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{Prepared, Running, shutdown::Shutdown};
use crate::{
    engine::{Failures, Hub, Role, launch_supervisor},
    error::{BuildError, OnError, Overflow, RunError, StageError},
    pipeline::Assembly,
    plan::{Plan, Step},
    report::Report,
    rt,
};

/// A pipeline with its end: a description of a run, to be [`run`](Job::run) or
/// [`start`](Job::start)ed. `R` is what the end makes of the items.
///
/// Nothing runs before that, and dropping a job drops what is in it. `job.await` runs it. The
/// options here are of the whole run.
#[must_use = "a job does nothing until `run` or `start`"]
pub struct Job<R = ()> {
    steps: Vec<Step>,
    build: Build<R>,
    errors: Option<mpsc::Sender<StageError>>,
    overflow: Overflow,
    on_error: Option<OnError>,
    shutdown: Shutdown,
}

type Build<R> = Box<dyn FnOnce(&mut Assembly) -> Prepared<R> + Send>;

impl<R: Send + 'static> Job<R> {
    pub(crate) fn new(
        steps: Vec<Step>,
        build: impl FnOnce(&mut Assembly) -> Prepared<R> + Send + 'static,
    ) -> Self {
        let shutdown = Shutdown::default();
        Job {
            steps,
            build: Box::new(build),
            errors: None,
            overflow: Overflow::default(),
            on_error: None,
            shutdown,
        }
    }

    // ---------------------------------------------------------------- failures

    /// Sends failures there, and unless [`on_error`](Self::on_error) says otherwise the run goes on.
    ///
    /// The channel is the caller's, and bounded: see [`Overflow`] for a full one. Its receiver ends
    /// when the run does, unless there are other senders.
    ///
    /// ```
    /// use pipeline_core::prelude::*;
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), BoxError> {
    /// let (errors, mut failures) = tokio::sync::mpsc::channel(1024);
    /// let job = Pipeline::from_iter(0..10u32)
    ///     .try_map(|n| if n % 4 == 0 { Err(format!("{n} is a multiple of 4")) } else { Ok(n) })
    ///     .count()
    ///     .errors(errors);
    /// assert_eq!(job.run().await?.value, 7);
    /// while let Some(failure) = failures.recv().await {
    ///     println!("{failure}");
    /// }
    /// # Ok(()) }
    /// ```
    pub fn errors(mut self, to: mpsc::Sender<StageError>) -> Self {
        self.errors = Some(to);
        self
    }

    /// When failures end the run. Default: never if there is an error channel, else at the first.
    ///
    /// Failures that go to the [`dead_letters`](crate::Pipeline::dead_letters) of their stage do not
    /// count, nor do attempts that are tried again.
    pub fn on_error(mut self, policy: OnError) -> Self {
        self.on_error = Some(policy);
        self
    }

    /// What a full error channel does, and a full channel of
    /// [`dead_letters`](crate::Pipeline::dead_letters). Default: errors are counted, and the run goes on.
    pub fn error_overflow(mut self, overflow: Overflow) -> Self {
        self.overflow = overflow;
        self
    }

    // ---------------------------------------------------------------- shutdown

    /// Cancels the run when `token` is cancelled; never the other way round. May be called for
    /// several tokens.
    pub fn cancel_on(mut self, token: &CancellationToken) -> Self {
        self.shutdown.cancel_on(token.clone());
        self
    }

    /// Drains the run when `token` is cancelled, and cancels what is left `deadline` later: see
    /// [`Control::drain`](super::Control::drain). Needs the runtime's timers.
    pub fn drain_on(mut self, token: &CancellationToken, deadline: Duration) -> Self {
        self.shutdown.drain_on(token.clone(), deadline);
        self
    }

    /// The first Ctrl-C drains, and cancels what is left `deadline` later; the second cancels.
    ///
    /// **It takes over the signal for the whole process and for good**, as tokio's signals do: after
    /// the run Ctrl-C does nothing unless somebody else listens. Needs the runtime's timers and its
    /// I/O driver.
    pub fn drain_on_ctrl_c(mut self, deadline: Duration) -> Self {
        self.shutdown.drain_on_ctrl_c(deadline);
        self
    }

    // ---------------------------------------------------------------- running

    /// The steps with the options that they will have, and the most items that can be inside.
    #[must_use]
    pub fn plan(&self) -> Plan {
        Plan::new(self.steps.clone())
    }

    /// Starts the run on the tokio runtime of the caller, of either flavour, and gives its owner.
    ///
    /// It does not wait: work begins as the runtime gets to it. The runtime that was current here
    /// runs everything, whoever holds the owner.
    ///
    /// # Errors
    ///
    /// A [`BuildError`] names the stage and the setting that cannot work, or says that there is no
    /// runtime. Nothing of the user's has run then.
    pub fn start(self) -> Result<Running<R>, BuildError> {
        let Job {
            steps,
            build,
            errors,
            overflow,
            on_error,
            shutdown,
        } = self;
        steps.iter().try_for_each(Step::check)?;
        if on_error == Some(OnError::StopAfter(0)) {
            return Err(BuildError::Zero(
                "on_error".into(),
                "the number of `StopAfter`",
            ));
        }
        let runtime = rt::Runtime::try_current().ok_or(BuildError::NoRuntime)?;
        let of_a_stage = steps.iter().find_map(|step| {
            let option = step.timed_option()?;
            Some(format!("{option}` of `{}", step.name))
        });
        let timed = of_a_stage.or(shutdown.needs_timer().map(String::from));
        if let Some(option) = timed.filter(|_| !rt::has_timers()) {
            return Err(BuildError::NoTimer(option.into()));
        }
        let hub = Hub::new(runtime, Failures::new(errors, overflow, on_error));
        let attendants = shutdown.attend(&hub)?;
        // it is there from the first to the last moment, so that the run is not over in between
        let supervisor = hub.task(Role::Supervisor);
        let mut assembly = Assembly::new(Arc::clone(&hub));
        let prepared = build(&mut assembly);
        hub.log_start(&steps);
        assembly.start();
        launch_supervisor(supervisor, attendants);
        Ok(Running::new(hub, prepared))
    }

    /// Starts the run and waits for its end: `start()?.wait()`.
    ///
    /// # Errors
    ///
    /// A [`RunError`] with its [`Cause`](crate::error::Cause), and the report of what was done.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future cancels the run.
    pub async fn run(self) -> Result<Report<R>, RunError> {
        self.start()?.wait().await
    }
}

impl<R: Send + 'static> IntoFuture for Job<R> {
    type Output = Result<Report<R>, RunError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

impl<R> fmt::Debug for Job<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Job")
            .field("steps", &self.steps)
            .finish_non_exhaustive()
    }
}
