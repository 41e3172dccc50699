use std::{fmt, future::IntoFuture, pin::Pin, sync::Arc, time::Duration};

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{Prepared, Running, options::Options, shutdown::Signals};
use crate::{
    engine::{Failures, Hub, Role, launch_supervisor},
    error::{BuildError, OnError, Overflow, RunError, StageError},
    pipeline::{Assembly, Graph, Node},
    plan::Plan,
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
    ends: Vec<Arc<Node>>,
    build: Build<R>,
    options: Options,
}

type Build<R> = Box<dyn FnOnce(&mut Assembly) -> Prepared<R> + Send>;

impl<R: Send + 'static> Job<R> {
    pub(crate) fn new(
        end: Arc<Node>,
        build: impl FnOnce(&mut Assembly) -> Prepared<R> + Send + 'static,
    ) -> Self {
        Job::from_parts(vec![end], build, Options::default())
    }

    fn from_parts(
        ends: Vec<Arc<Node>>,
        build: impl FnOnce(&mut Assembly) -> Prepared<R> + Send + 'static,
        options: Options,
    ) -> Self {
        Job {
            ends,
            build: Box::new(build),
            options,
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
    ///     println!("{failure:#}"); // where, and why
    /// }
    /// # Ok(()) }
    /// ```
    pub fn errors(mut self, to: mpsc::Sender<StageError>) -> Self {
        self.options.errors = Some(to);
        self
    }

    /// When failures end the run. Default: never if there is an error channel, else at the first.
    ///
    /// Failures that go to the [`dead_letters`](crate::Pipeline::dead_letters) of their stage do not
    /// count, nor do attempts that are tried again.
    pub fn on_error(mut self, policy: OnError) -> Self {
        self.options.on_error = Some(policy);
        self
    }

    /// What a full error channel does, and a full channel of
    /// [`dead_letters`](crate::Pipeline::dead_letters). Default: errors are counted, and the run goes on.
    pub fn error_overflow(mut self, overflow: Overflow) -> Self {
        self.options.overflow = Some(overflow);
        self
    }

    // ---------------------------------------------------------------- shutdown

    /// Cancels the run when `token` is cancelled; never the other way round. May be called for
    /// several tokens.
    pub fn cancel_on(mut self, token: &CancellationToken) -> Self {
        self.options.shutdown.cancel_on(token.clone());
        self
    }

    /// Drains the run when `token` is cancelled, and cancels what is left `deadline` later: see
    /// [`Control::drain`](super::Control::drain). Needs the runtime's timers.
    pub fn drain_on(mut self, token: &CancellationToken, deadline: Duration) -> Self {
        self.options.shutdown.drain_on(token.clone(), deadline);
        self
    }

    /// The first Ctrl-C drains, and cancels what is left `deadline` later; the second cancels.
    ///
    /// **It takes over the signal for the whole process and for good**, as tokio's signals do: after
    /// the run Ctrl-C does nothing unless somebody else listens. Needs the runtime's timers and its
    /// I/O driver.
    pub fn drain_on_ctrl_c(mut self, deadline: Duration) -> Self {
        let shutdown = &mut self.options.shutdown;
        shutdown.drain_on_signals(Signals::CtrlC, deadline);
        self
    }

    /// The same for Ctrl-C and, on Unix, SIGTERM, by which service managers and containers ask a program to end:
    /// the first of them drains, the second cancels. Replaces [`drain_on_ctrl_c`](Self::drain_on_ctrl_c).
    pub fn drain_on_signals(mut self, deadline: Duration) -> Self {
        let shutdown = &mut self.options.shutdown;
        shutdown.drain_on_signals(Signals::All, deadline);
        self
    }

    // ---------------------------------------------------------------- several ends

    /// One run of both: for the branches of a pipeline, or for pipelines that start, stop and fail
    /// together. Its value is the pair of their values.
    ///
    /// Options of the run are those of either job; one that both have set is refused at the start
    /// ([`BuildError::SetTwice`]). The run is over when both ends are. The items of a
    /// [stream](crate::Pipeline::into_stream) cannot be read in a joined job, and are discarded.
    ///
    /// ```
    /// use pipeline_core::prelude::*;
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), BoxError> {
    /// let sum = Pipeline::from_iter(1..=4).fold(0, |sum, n| sum + n);
    /// let words = Pipeline::from_iter(["a", "b"]).collect();
    /// assert_eq!(sum.join(words).run().await?.value, (10, vec!["a", "b"]));
    /// # Ok(()) }
    /// ```
    pub fn join<S: Send + 'static>(self, other: Job<S>) -> Job<(R, S)> {
        let (first, first_options) = self.split();
        let (second, second_options) = other.split();
        let ends = first.0.into_iter().chain(second.0).collect();
        let (first, second) = (first.1, second.1);
        Job::from_parts(
            ends,
            move |assembly| first(assembly).and(second(assembly)),
            first_options.and(second_options),
        )
    }

    /// One run of all of these, as by [`join`](Job::join); the values are in the order of the jobs.
    ///
    /// ```
    /// use pipeline_core::prelude::*;
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), BoxError> {
    /// let (even, odd) = Pipeline::from_iter(0..10).split(|n| n % 2 == 0);
    /// let counts = Job::join_all([even.count(), odd.count()]).run().await?.value;
    /// assert_eq!(counts, [5, 5]);
    /// # Ok(()) }
    /// ```
    pub fn join_all(jobs: impl IntoIterator<Item = Self>) -> Job<Vec<R>> {
        let mut all = Options::default();
        let (mut ends, mut builds) = (Vec::new(), Vec::new());
        for job in jobs {
            let ((nodes, build), options) = job.split();
            ends.extend(nodes);
            builds.push(build);
            all = all.and(options);
        }
        let build = move |assembly: &mut Assembly| {
            let prepared = builds.into_iter().map(|build| build(assembly));
            Prepared::each(prepared.collect())
        };
        Job::from_parts(ends, build, all)
    }

    fn split(self) -> ((Vec<Arc<Node>>, Build<R>), Options) {
        ((self.ends, self.build), self.options)
    }

    // ---------------------------------------------------------------- running

    /// The steps with the options that they will have, and the most items that can be inside.
    #[must_use]
    pub fn plan(&self) -> Plan {
        Graph::new(&self.ends).plan()
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
            ends,
            build,
            options,
        } = self;
        let graph = Graph::new(&ends);
        graph.check()?;
        options.check()?;
        let Options {
            errors,
            overflow,
            on_error,
            shutdown,
            ..
        } = options;
        let runtime = rt::Runtime::try_current().ok_or(BuildError::NoRuntime)?;
        let of_a_stage = graph.steps().iter().find_map(|step| {
            let option = step.timed_option()?;
            Some(format!("{option}` of `{}", step.name))
        });
        let timed = of_a_stage.or(shutdown.needs_timer().map(String::from));
        if let Some(option) = timed.filter(|_| !rt::has_timers()) {
            return Err(BuildError::NoTimer(option.into()));
        }
        let hub = Hub::new(
            runtime,
            Failures::new(errors, overflow.unwrap_or_default(), on_error),
            graph.has_loops(),
        );
        let attendants = shutdown.attend(&hub)?;
        // it is there from the first to the last moment, so that the run is not over in between
        let supervisor = hub.task(Role::Supervisor);
        hub.log_start(graph.steps());
        let mut assembly = Assembly::new(Arc::clone(&hub), graph);
        let prepared = build(&mut assembly);
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
            .field("plan", &Graph::new(&self.ends).plan())
            .finish_non_exhaustive()
    }
}
