//! A stage in a run: what it is made of, and how its workers are started and its end handed on.

use std::sync::{Arc, Weak};

use super::{
    edge::{Consumer, CrewPlan, Edge},
    feed::Preparation,
    hub::{Hub, Task},
    joint::{Boxing, Joint, is_large, unboxing},
    lease::Lease,
    pool::Pool,
    seat::Role,
    shield, worker,
};
use crate::{
    error::{BoxError, Cause},
    rt,
};

pub(crate) use super::pool::Maker;

/// What one worker does. The engine's view of a stage.
pub(crate) trait Work: Send + 'static {
    type In: Send + 'static;
    type Out: Send + 'static;
    type Error: Into<BoxError> + Send;
    fn process(
        &mut self,
        item: Self::In,
    ) -> impl Future<Output = Result<Self::Out, Self::Error>> + Send;
    fn close(self) -> impl Future<Output = Result<(), Self::Error>> + Send;
}

/// Cheap steps that run in the workers of the stage before them. `None`: the item is left out.
pub trait Fuse<T>: Send + Sync + 'static {
    /// What comes out of the last one.
    type Out: Send + 'static;
    /// Runs them all.
    fn apply(&self, item: T) -> Option<Self::Out>;
}

/// No fused steps.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Identity;

impl<T: Send + 'static> Fuse<T> for Identity {
    type Out = T;
    #[inline]
    fn apply(&self, item: T) -> Option<T> {
        Some(item)
    }
}

/// The checked options of a stage.
#[derive(Debug, Clone)]
pub(crate) struct StationPlan {
    pub(crate) name: Arc<str>,
    /// The name that a panic of a fused step is reported under.
    pub(crate) fused_name: Arc<str>,
    pub(crate) parallelism: usize,
    pub(crate) ordered: bool,
    pub(crate) window: usize,
    /// Workers run on blocking threads.
    pub(crate) blocking: bool,
    /// The first state is made before the source is asked for anything.
    pub(crate) prepares: bool,
}

pub(super) struct Station<W: Work, P: Fuse<W::Out>> {
    pub(super) hub: Arc<Hub>,
    pub(super) plan: StationPlan,
    pub(super) fuse: P,
    pub(super) output: Arc<Edge<P::Out>>,
    pub(super) states: Pool<W>,
}

/// Puts a stage behind `input`, and gives its output. Nothing runs yet.
pub(crate) fn launch_station<W: Work, P: Fuse<W::Out>>(
    hub: &Arc<Hub>,
    plan: StationPlan,
    input: &Joint<W::In>,
    maker: Maker<W>,
    fuse: P,
    preparations: &mut Vec<Preparation>,
) -> Joint<P::Out> {
    let output = Joint::new(hub, plan.window);
    match input {
        Joint::Plain(input) => {
            if const { !is_large::<W::In>() } {
                into_joint(hub, plan, input, maker, fuse, &output, preparations);
            }
        }
        Joint::Boxed(input) => {
            if const { is_large::<W::In>() } {
                into_joint(
                    hub,
                    plan,
                    input,
                    unboxing(maker),
                    fuse,
                    &output,
                    preparations,
                );
            }
        }
    }
    output
}

fn into_joint<W: Work, P: Fuse<W::Out>>(
    hub: &Arc<Hub>,
    plan: StationPlan,
    input: &Arc<Edge<W::In>>,
    maker: Maker<W>,
    fuse: P,
    output: &Joint<P::Out>,
    preparations: &mut Vec<Preparation>,
) {
    match output {
        Joint::Plain(output) => {
            if const { !is_large::<P::Out>() } {
                place(hub, plan, input, maker, fuse, output, preparations);
            }
        }
        Joint::Boxed(output) => {
            if const { is_large::<P::Out>() } {
                place(hub, plan, input, maker, Boxing(fuse), output, preparations);
            }
        }
    }
}

fn place<W: Work, P: Fuse<W::Out>>(
    hub: &Arc<Hub>,
    plan: StationPlan,
    input: &Arc<Edge<W::In>>,
    maker: Maker<W>,
    fuse: P,
    output: &Arc<Edge<P::Out>>,
    preparations: &mut Vec<Preparation>,
) {
    let upstream: Weak<Edge<W::In>> = Arc::downgrade(input);
    output.filled_by(upstream);
    let cores = hub.runtime().threads();
    let crew = CrewPlan {
        name: Arc::clone(&plan.name),
        parallelism: plan.parallelism,
        // a body that blocks needs no core; one that does not is soon recognised by its short runs
        running: if plan.blocking {
            plan.parallelism
        } else {
            cores
        },
        share: (plan.window / (4 * cores)).max(1),
        backlog: (plan.window / 4).max(1),
        // an idle thread of the blocking pool would be held for nothing
        lingers: !plan.blocking,
    };
    let prepares = plan.prepares;
    let states = Pool::new(maker, plan.parallelism);
    let station = Arc::new(Station {
        hub: Arc::clone(hub),
        plan,
        fuse,
        output: Arc::clone(output),
        states,
    });
    if prepares {
        let station = Arc::clone(&station);
        preparations.push(Box::pin(async move { worker::prepare(&station).await }));
    }
    input.read_by(crew, station);
}

impl<W: Work, P: Fuse<W::Out>> Station<W, P> {
    /// The stage cannot go on: its state could not be made, or not be closed.
    pub(super) fn fail(&self, error: BoxError) {
        self.hub
            .stop(Cause::Stage(Arc::clone(&self.plan.name), error));
    }

    /// States that no worker has are closed side by side, each in a task.
    fn close_states(&self) {
        for state in self.states.close() {
            let task = self.hub.task(Role::Worker);
            let name = Arc::clone(&self.plan.name);
            self.hub
                .runtime()
                .spawn(async move { worker::close_state(state, task, &name).await });
        }
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        if self.plan.blocking {
            self.hub
                .runtime()
                .spawn_blocking(move || rt::block_on(task));
        } else {
            self.hub.runtime().spawn(task);
        }
    }
}

impl<W: Work, P: Fuse<W::Out>> Consumer<W::In> for Station<W, P> {
    fn start(self: Arc<Self>, input: Arc<Edge<W::In>>) {
        let task: Task = self.hub.task(Role::Worker);
        // the lease is built here and not in the task: a task may be dropped before its first poll
        let lease = Lease::new(task, Arc::clone(&self), input);
        self.spawn(worker::work(lease));
    }

    fn finish(&self, results: u64) {
        // first the end, so that what comes next does not wait for `close`
        self.output.set_end(results);
        self.close_states();
    }

    fn wind_down(&self) {
        self.close_states();
    }
}

/// Drops what may not be dropped where it stands.
impl<W: Work, P: Fuse<W::Out>> Drop for Station<W, P> {
    fn drop(&mut self) {
        self.states.close().into_iter().for_each(shield::discard);
    }
}
