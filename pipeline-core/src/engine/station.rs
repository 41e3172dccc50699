//! A stage in a run: what it is made of, and how its workers are started and its end handed on.

use std::sync::{Arc, Weak};

use super::{
    edge::{Consumer, CrewPlan, Edge},
    failures::{Failure, Told},
    feed::Preparation,
    hub::{Hub, Task},
    joint::{Joint, boxing, is_large, unboxing},
    keys::Keys,
    lease::Lease,
    pool::Pool,
    recovery::Recovery,
    seat::Role,
    shield,
    watch::Watch,
    worker,
};
use crate::{
    error::{BoxError, Cause, DeadLetter, Origin, StageError},
    rt,
};

pub(crate) use super::pool::Maker;

/// What one worker does. The engine's view of a stage.
pub(crate) trait Work: Send + 'static {
    /// What it is given: the item, or the box that it travels in.
    type In: Send + 'static;
    /// The item, as the user knows it.
    type Item: Send + 'static;
    type Out: Send + 'static;
    type Error: Into<BoxError> + Send + 'static;
    fn copy(input: &Self::In, copy: fn(&Self::Item) -> Self::Item) -> Self::In;
    fn unpack(input: Self::In) -> Self::Item;
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

impl StationPlan {
    /// What it asks for where there are so many cores. With `one_by_one` no worker takes more than an item
    /// at a time.
    fn crew(&self, cores: usize, one_by_one: bool) -> CrewPlan {
        CrewPlan {
            name: Arc::clone(&self.name),
            parallelism: self.parallelism,
            // a body that blocks needs no core; one that does not is soon recognised by its short runs
            running: if self.blocking {
                self.parallelism
            } else {
                cores
            },
            share: if one_by_one {
                1
            } else {
                (self.window / (4 * cores)).max(1)
            },
            backlog: (self.window / 4).max(1),
            // an idle thread of the blocking pool would be held for nothing
            lingers: !self.blocking,
            own_threads: self.blocking,
        }
    }
}

pub(super) struct Station<W: Work, P: Fuse<W::Out>> {
    pub(super) hub: Arc<Hub>,
    pub(super) plan: StationPlan,
    pub(super) fuse: P,
    pub(super) output: Arc<Edge<P::Out>>,
    pub(super) states: Pool<W>,
    pub(super) recovery: Recovery<W::Item>,
    /// Whether there is anything in `recovery`.
    pub(super) recovers: bool,
    /// Decides about items in bodies that cannot be interrupted.
    pub(super) watch: Option<Watch<W::In>>,
    pub(super) input: Weak<Edge<W::In>>,
}

/// What a stage is made of, before it has its place between two edges.
pub(crate) struct StationParts<W: Work, P> {
    pub(crate) plan: StationPlan,
    pub(crate) maker: Maker<W>,
    pub(crate) recovery: Recovery<W::Item>,
    /// Of a keyed stage: one item of a key at a time, in order.
    pub(crate) keys: Option<Box<dyn Keys<W::In>>>,
    pub(crate) fuse: P,
}

/// Puts a stage behind `input`, and gives its output. Nothing runs yet.
pub(crate) fn launch_station<W: Work, P: Fuse<W::Out>>(
    hub: &Arc<Hub>,
    parts: StationParts<W, P>,
    input: &Joint<W::In>,
    preparations: &mut Vec<Preparation>,
) -> Joint<P::Out> {
    let output = Joint::new(hub, parts.plan.window);
    match input {
        Joint::Plain(input) => {
            if const { !is_large::<W::In>() } {
                into_joint(hub, parts, input, &output, preparations);
            }
        }
        Joint::Boxed(input) => {
            if const { is_large::<W::In>() } {
                into_joint(hub, unboxing(parts), input, &output, preparations);
            }
        }
    }
    output
}

fn into_joint<W: Work, P: Fuse<W::Out>>(
    hub: &Arc<Hub>,
    parts: StationParts<W, P>,
    input: &Arc<Edge<W::In>>,
    output: &Joint<P::Out>,
    preparations: &mut Vec<Preparation>,
) {
    match output {
        Joint::Plain(output) => {
            if const { !is_large::<P::Out>() } {
                place(hub, parts, input, output, preparations);
            }
        }
        Joint::Boxed(output) => {
            if const { is_large::<P::Out>() } {
                place(hub, boxing(parts), input, output, preparations);
            }
        }
    }
}

fn place<W: Work, P: Fuse<W::Out>>(
    hub: &Arc<Hub>,
    parts: StationParts<W, P>,
    input: &Arc<Edge<W::In>>,
    output: &Arc<Edge<P::Out>>,
    preparations: &mut Vec<Preparation>,
) {
    let StationParts {
        plan,
        maker,
        recovery,
        keys,
        fuse,
    } = parts;
    let upstream: Weak<Edge<W::In>> = Arc::downgrade(input);
    output.filled_by(upstream);
    let watch = (plan.blocking && recovery.is_timed()).then(Watch::default);
    // an item behind one that does not come back would wait for it, time limit or not
    let crew = plan.crew(hub.runtime().threads(), watch.is_some());
    let prepares = plan.prepares;
    let states = Pool::new(maker, plan.parallelism);
    let station = Arc::new(Station {
        hub: Arc::clone(hub),
        plan,
        fuse,
        output: Arc::clone(output),
        states,
        recovers: recovery.is_set(),
        recovery,
        watch,
        input: Arc::downgrade(input),
    });
    if prepares {
        let station = Arc::clone(&station);
        preparations.push(Box::pin(async move { worker::prepare(&station).await }));
    }
    input.read_by(crew, keys, station);
}

impl<W: Work, P: Fuse<W::Out>> Station<W, P> {
    /// Tells that an item has failed for good.
    pub(super) fn tell(
        &self,
        failure: Failure,
        origin: Origin,
        attempts: u32,
        copy: Option<W::In>,
    ) -> Told<W::Item> {
        let Failure {
            kind,
            error,
            in_fused_step,
        } = failure;
        let name = if in_fused_step {
            &self.plan.fused_name
        } else {
            &self.plan.name
        };
        let error = StageError::new(Arc::clone(name), origin, attempts, kind, error);
        match (copy, &self.recovery.dead_letters) {
            (Some(copy), Some(letters)) => {
                let letter = DeadLetter::new(W::unpack(copy), error);
                self.hub.post(letter, letters)
            }
            (copy, _) => {
                shield::discard(copy);
                self.hub.tell(error)
            }
        }
    }

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
        if let Some(watch) = &self.watch {
            watch.end();
        }
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

#[cfg(all(test, not(any(shuttle, loom))))]
mod tests {
    use super::*;

    fn plan(window: usize, blocking: bool) -> StationPlan {
        StationPlan {
            name: "stage".into(),
            fused_name: "stage".into(),
            parallelism: 16,
            ordered: true,
            window,
            blocking,
            prepares: false,
        }
    }

    #[test]
    fn each_core_gets_a_share_of_the_window() {
        let crew = plan(1024, false).crew(8, false);
        assert_eq!((crew.running, crew.share, crew.backlog), (8, 32, 256));
        assert!(crew.lingers && !crew.own_threads);
        let crew = plan(2, false).crew(8, false);
        assert_eq!((crew.share, crew.backlog), (1, 1));
        assert_eq!(plan(1024, false).crew(8, true).share, 1);
    }

    #[test]
    fn bodies_that_block_run_on_as_many_threads_as_there_are_permits() {
        let crew = plan(1024, true).crew(8, false);
        assert_eq!((crew.running, crew.parallelism), (16, 16));
        assert!(!crew.lingers && crew.own_threads);
    }
}
