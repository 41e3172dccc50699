//! Whole runs of pipelines drawn by lot, against a reference that is simple enough to be right.
//!
//! A case says what each item does in each step, so what becomes of an item is known before the run:
//! [`Case::fate`]. When a run has come to its end, all of it has to be so; when it was stopped, what it
//! did until then. The fixture adds its standing checks.
//!
//! Cases are the same every time. `PROPTEST_CASES=100000` takes more of them, `PROPTEST_RNG_SEED=7` other
//! ones; a failure is shrunk, and printed as the smallest case that fails.

use std::env;
use std::panic::resume_unwind;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use pipeline_core::config::Order;
use pipeline_core::error::{Cause, ErrorKind, Overflow, RunError, StageError};
use pipeline_core::pipeline::IntoPipeline;
use pipeline_core::prelude::*;
use pipeline_core::report::{Counts, Outcome, Report};
use pipeline_core::run::{Control, Items, Job};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use tests::prelude::*;
use tokio::spawn;
use tokio::sync::{Notify, mpsc};
use tokio::task::{JoinHandle, yield_now};
use tokio::time::sleep;

proptest! {
    #![proptest_config(config(1000))]

    #[test]
    fn a_run_does_what_the_reference_says(case in any_case()) {
        scenario("model").run(move |world| case.clone().play(world));
    }
}

proptest! {
    #![proptest_config(config(100))]

    #[test]
    fn so_it_does_on_threads(case in any_case()) {
        scenario("model, threads").on(&[Machine::Threads(2)]).run(move |world| case.clone().play(world));
    }
}

/// The cases of a test, unless the environment says otherwise.
fn config(cases: u32) -> ProptestConfig {
    let mut config = ProptestConfig::default();
    if env::var_os("PROPTEST_CASES").is_none() {
        config.cases = cases;
    }
    if env::var_os("PROPTEST_RNG_SEED").is_none() {
        config.rng_seed = RngSeed::Fixed(0);
    }
    config.failure_persistence = None;
    // a run that hangs takes its time to do so
    config.max_shrink_time = 20_000;
    config
}

// -------------------------------------------------------------------- what a case says

#[derive(Debug, Clone)]
struct Case {
    items: u64,
    source: From,
    buffer: usize,
    steps: Vec<Step>,
    end: End,
    errors: Option<Errors>,
    on_error: Option<OnError>,
    strike: Option<Strike>,
}

#[derive(Debug, Clone, Copy)]
enum From {
    Iterator,
    Source(Wait),
    Channel(usize, Wait),
}

#[derive(Debug, Clone, Copy)]
enum End {
    Closure,
    Sink(Wait),
    Stream(Wait),
}

#[derive(Debug, Clone)]
struct Step {
    kind: Kind,
    parallelism: usize,
    ordered: bool,
    /// The window is so much larger than the parallelism.
    spare: usize,
    /// What items do, one after another and from the beginning again.
    acts: Vec<Act>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Stage,
    Factory,
    Blocking,
    /// Leaves out the items that would fail.
    Filter,
}

#[derive(Debug, Clone, Copy)]
struct Act {
    wait: Wait,
    ending: Ending,
}

#[derive(Debug, Clone, Copy)]
enum Wait {
    Not,
    Turns(u8),
    Ms(u64),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    Passes,
    Fails,
    PanicsWhenCalled,
    PanicsWhenPolled,
}

#[derive(Debug, Clone, Copy)]
struct Errors {
    capacity: usize,
    overflow: Overflow,
}

/// What somebody does to the run at an event of it.
#[derive(Debug, Clone, Copy)]
struct Strike {
    at: u64,
    how: How,
    /// In the middle of the event, and not just after it.
    inside: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    Cancel,
    Drain,
    Drop,
}

// -------------------------------------------------------------------- cases by lot

fn any_case() -> impl Strategy<Value = Case> {
    let what = (
        0..40u64,
        any_source(),
        1..9usize,
        vec(any_step(), 0..4),
        any_end(),
    );
    let policy = (
        prop::option::of(any_errors()),
        prop::option::of(any_policy()),
        prop::option::weighted(0.4, any_strike()),
    );
    (what, policy).prop_map(|(what, policy)| {
        let (items, source, buffer, steps, end) = what;
        let (errors, on_error, strike) = policy;
        Case {
            items,
            source,
            buffer,
            steps,
            end,
            errors,
            on_error,
            strike,
        }
    })
}

fn any_source() -> impl Strategy<Value = From> {
    prop_oneof![
        Just(From::Iterator),
        any_wait().prop_map(From::Source),
        (1..5usize, any_wait()).prop_map(|(capacity, wait)| From::Channel(capacity, wait)),
    ]
}

fn any_end() -> impl Strategy<Value = End> {
    prop_oneof![
        Just(End::Closure),
        any_wait().prop_map(End::Sink),
        any_wait().prop_map(End::Stream),
    ]
}

fn any_step() -> impl Strategy<Value = Step> {
    let kind = prop_oneof![
        4 => Just(Kind::Stage),
        1 => Just(Kind::Factory),
        1 => Just(Kind::Blocking),
        1 => Just(Kind::Filter),
    ];
    let acts = vec(any_act(), 1..8);
    (kind, 1..5usize, any::<bool>(), 0..5usize, acts).prop_map(
        |(kind, parallelism, ordered, spare, acts)| Step {
            kind,
            parallelism,
            ordered,
            spare,
            acts,
        },
    )
}

fn any_act() -> impl Strategy<Value = Act> {
    let ending = prop_oneof![
        12 => Just(Ending::Passes),
        1 => Just(Ending::Fails),
        1 => Just(Ending::PanicsWhenCalled),
        1 => Just(Ending::PanicsWhenPolled),
    ];
    (any_wait(), ending).prop_map(|(wait, ending)| Act { wait, ending })
}

fn any_wait() -> impl Strategy<Value = Wait> {
    prop_oneof![
        Just(Wait::Not),
        (1..4u8).prop_map(Wait::Turns),
        (1..9u64).prop_map(Wait::Ms),
    ]
}

fn any_errors() -> impl Strategy<Value = Errors> {
    let overflow = prop_oneof![Just(Overflow::Count), Just(Overflow::Wait)];
    (1..5usize, overflow).prop_map(|(capacity, overflow)| Errors { capacity, overflow })
}

fn any_policy() -> impl Strategy<Value = OnError> {
    prop_oneof![
        3 => Just(OnError::Continue),
        1 => Just(OnError::FailFast),
        1 => (1..5u64).prop_map(OnError::StopAfter),
    ]
}

fn any_strike() -> impl Strategy<Value = Strike> {
    let how = prop_oneof![Just(How::Cancel), Just(How::Drain), Just(How::Drop)];
    (0..80u64, how, any::<bool>()).prop_map(|(at, how, inside)| Strike { at, how, inside })
}

// -------------------------------------------------------------------- the reference

/// What becomes of an item, if nobody stops the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Arrives,
    LeftOut { step: usize },
    Fails { step: usize, kind: ErrorKind },
}

impl Case {
    fn fate(&self, index: u64) -> Fate {
        for (step, Step { kind, acts, .. }) in self.steps.iter().enumerate() {
            match (kind, acts[index as usize % acts.len()].ending) {
                (_, Ending::Passes) => {}
                (Kind::Filter, _) => return Fate::LeftOut { step },
                (_, Ending::Fails) => {
                    let kind = ErrorKind::Failed;
                    return Fate::Fails { step, kind };
                }
                (_, Ending::PanicsWhenCalled | Ending::PanicsWhenPolled) => {
                    let kind = ErrorKind::Panicked;
                    return Fate::Fails { step, kind };
                }
            }
        }
        Fate::Arrives
    }

    /// Of the first items, those whose fate is such.
    fn of(&self, items: u64, such: impl Fn(Fate) -> bool) -> Vec<u64> {
        (0..items).filter(|&index| such(self.fate(index))).collect()
    }

    fn failing(&self, items: u64) -> Vec<u64> {
        self.of(items, |fate| matches!(fate, Fate::Fails { .. }))
    }

    fn is_ordered(&self) -> bool {
        let mut stages = self.steps.iter().filter(|step| step.kind != Kind::Filter);
        stages.all(|step| step.ordered)
    }

    /// How many failures end the run.
    fn last_failure(&self) -> Option<u64> {
        let default = if self.errors.is_some() {
            OnError::Continue
        } else {
            OnError::FailFast
        };
        match self.on_error.unwrap_or(default) {
            OnError::FailFast => Some(1),
            OnError::StopAfter(failures) => Some(failures),
            _ => None,
        }
    }

    /// There are enough failures among the first items to end the run.
    fn is_doomed(&self, items: u64) -> bool {
        let failing = self.failing(items).len() as u64;
        self.last_failure().is_some_and(|last| failing >= last)
    }

    /// Every item that was taken had its turn.
    fn check_complete(&self, flow: &Flow, report: &Report<()>, told: &[StageError]) {
        let Counts { taken, .. } = report.items;
        match report.outcome {
            Some(Outcome::Finished) => assert_eq!(taken, self.items),
            Some(Outcome::Drained) => assert_eq!(self.strike.map(|s| s.how), Some(How::Drain)),
            other => panic!("{other:?}"),
        }
        assert!(!self.is_doomed(taken));
        assert_eq!(
            sorted(flow.out()),
            self.of(taken, |fate| fate == Fate::Arrives)
        );
        assert_eq!(sorted(flow.failures()), self.failing(taken));
        let Counts {
            delivered,
            failed,
            filtered,
            cancelled,
            ..
        } = report.items;
        let left_out = self.of(taken, |fate| matches!(fate, Fate::LeftOut { .. }));
        assert_eq!(delivered as usize, flow.out().len());
        assert_eq!(failed as usize, self.failing(taken).len());
        assert_eq!((filtered as usize, cancelled), (left_out.len(), 0));
        // every failure was told, or counted as not
        assert_eq!(told.len() as u64 + not_delivered(report), failed);
        match self.errors {
            None => assert_eq!(told.len(), 0),
            Some(Errors { capacity, overflow }) => {
                let at_least = if overflow == Overflow::Wait {
                    failed
                } else {
                    failed.min(capacity as u64)
                };
                assert!(told.len() as u64 >= at_least, "{told:?}");
            }
        }
        self.check_stages(taken, report);
    }

    /// What the report says of each stage that was given a name.
    fn check_stages(&self, taken: u64, report: &Report<()>) {
        let mut inside: Vec<u64> = (0..taken).collect();
        for (step, Step { kind, .. }) in self.steps.iter().enumerate() {
            let came = inside.len() as u64;
            let ends_here = |fate| match fate {
                Fate::Arrives => false,
                Fate::LeftOut { step: at } | Fate::Fails { step: at, .. } => at == step,
            };
            inside.retain(|&index| !ends_here(self.fate(index)));
            if *kind == Kind::Filter {
                continue;
            }
            let mut stages = report.stages.iter();
            let stage = stages
                .find(|stage| stage.name == name(step))
                .expect("a stage");
            assert_eq!(
                (stage.taken, stage.given + stage.filtered),
                (came, inside.len() as u64)
            );
            assert_eq!(stage.failed, came - inside.len() as u64);
        }
    }

    /// The run was stopped: what it did until then is right.
    fn check_stopped(&self, flow: &Flow, cause: &Cause) {
        let struck = self.strike.map(|strike| strike.how);
        match cause {
            Cause::Item(error) => {
                assert!(self.is_doomed(self.items));
                self.check_error(error);
                let failed = flow.failures().len() as u64;
                assert!(self.last_failure().is_some_and(|last| failed >= last));
            }
            Cause::Cancelled => assert!(matches!(struck, Some(How::Cancel | How::Drop))),
            other => panic!("{other:?}"),
        }
        self.check_partial(flow);
    }

    fn check_partial(&self, flow: &Flow) {
        for index in flow.out() {
            assert_eq!(self.fate(index), Fate::Arrives);
        }
        for index in flow.failures() {
            assert!(matches!(self.fate(index), Fate::Fails { .. }));
        }
    }

    fn check_error(&self, error: &StageError) {
        let fate = self.fate(error.origin().first());
        let Fate::Fails { step, kind } = fate else {
            panic!("{error} where the item {fate:?}");
        };
        assert_eq!((error.stage(), error.kind()), (&*name(step), kind));
    }
}

fn sorted(mut list: Vec<u64>) -> Vec<u64> {
    list.sort_unstable();
    list
}

fn name(step: usize) -> String {
    format!("step {step}")
}

// -------------------------------------------------------------------- the run

/// Counts what happens in a run, and strikes when it is time.
#[derive(Debug, Clone)]
struct Events(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    strike: Option<Strike>,
    count: AtomicU64,
    due: Notify,
    control: OnceLock<Control>,
}

impl Events {
    fn new(strike: Option<Strike>) -> Self {
        Events(Arc::new(Inner {
            strike,
            count: AtomicU64::new(0),
            due: Notify::new(),
            control: OnceLock::new(),
        }))
    }

    /// Strikes from inside go to this run.
    fn watch(&self, control: Control) -> Control {
        self.0.control.set(control.clone()).expect("one run a case");
        control
    }

    /// Waits until somebody outside is to strike.
    async fn due(&self) -> How {
        self.0.due.notified().await;
        self.0.strike.expect("there is one").how
    }

    fn happen(&self) {
        let count = self.0.count.fetch_add(1, Ordering::SeqCst);
        let Some(strike) = self.0.strike.filter(|strike| strike.at == count) else {
            return;
        };
        match self.0.control.get() {
            Some(control) if strike.inside && strike.how != How::Drop => act(strike.how, control),
            _ => self.0.due.notify_one(),
        }
    }
}

fn act(how: How, control: &Control) {
    match how {
        How::Cancel => control.cancel(),
        // far beyond the end of any case
        How::Drain => control.drain(Duration::from_secs(3600)),
        How::Drop => {}
    }
}

async fn pass(wait: Wait) {
    match wait {
        Wait::Not => {}
        Wait::Turns(turns) => {
            for _ in 0..turns {
                yield_now().await;
            }
        }
        Wait::Ms(n) => sleep(ms(n)).await,
    }
}

/// A panic that passes the hook by, so that nothing is printed.
fn panic_quietly() -> ! {
    resume_unwind(Box::new("part of the case"))
}

impl Step {
    fn append(
        &self,
        pipeline: Pipeline<Item>,
        step: usize,
        flow: &Flow,
        events: &Events,
    ) -> Pipeline<Item> {
        let acts = self.acts.clone();
        let of = move |index: u64| acts[index as usize % acts.len()];
        let order = if self.ordered {
            Order::Ordered
        } else {
            Order::Unordered
        };
        let window = self.parallelism + self.spare;
        let limit = self.parallelism;
        match self.kind {
            Kind::Stage => pipeline
                .stage(body(flow, limit, events, of))
                .name(name(step))
                .parallelism(limit)
                .window(window)
                .in_order(order)
                .into_pipeline(),
            Kind::Factory => {
                let wait = of(0).wait;
                let original = body(flow, limit, events, of);
                pipeline
                    .stage_with(move || {
                        let made = original.clone();
                        async move {
                            pass(wait).await;
                            Ok::<_, BoxError>(made)
                        }
                    })
                    .name(name(step))
                    .parallelism(limit)
                    .window(window)
                    .in_order(order)
                    .into_pipeline()
            }
            Kind::Blocking => pipeline
                .try_blocking(blocking_body(flow, limit, events, of))
                .name(name(step))
                .parallelism(limit)
                .window(window)
                .in_order(order)
                .into_pipeline(),
            Kind::Filter => pipeline
                .filter(flow.keep(move |index| of(index).ending == Ending::Passes))
                .into_pipeline(),
        }
    }
}

fn body(
    flow: &Flow,
    limit: usize,
    events: &Events,
    of: impl Fn(u64) -> Act + Send + Sync + 'static,
) -> impl Stage<Item, Item> + Clone {
    flow.body_with(limit, events.clone(), move |item, events| {
        events.happen();
        let Act { wait, ending } = of(item.index);
        if ending == Ending::PanicsWhenCalled {
            panic_quietly();
        }
        async move {
            pass(wait).await;
            events.happen();
            match ending {
                Ending::Fails => Err(item.fault("broken")),
                Ending::PanicsWhenPolled => panic_quietly(),
                _ => Ok(item),
            }
        }
    })
}

fn blocking_body(
    flow: &Flow,
    limit: usize,
    events: &Events,
    of: impl Fn(u64) -> Act + Send + Sync + 'static,
) -> impl Fn(Item) -> Result<Item, Fault> + Send + Sync + 'static {
    let (flow, gauge, events) = (flow.clone(), flow.gauge(limit), events.clone());
    move |item| {
        flow.called("blocking body");
        let _inside = gauge.enter(item.index);
        events.happen();
        let ending = of(item.index).ending;
        if ending == Ending::Passes {
            return Ok(item);
        }
        flow.failed(item.index);
        if ending != Ending::Fails {
            panic_quietly();
        }
        Err(item.fault("broken"))
    }
}

impl Case {
    async fn play(self, world: World) {
        let (flow, events) = (world.flow(), Events::new(self.strike));
        let (mut pipeline, sending) = self.begin(&flow, &events);
        for (step, plan) in self.steps.iter().enumerate() {
            pipeline = plan.append(pipeline, step, &flow, &events);
        }
        match self.end {
            End::Closure => {
                let (mut receive, events_) = (flow.receive(), events.clone());
                let job = pipeline.for_each(move |item| {
                    events_.happen();
                    receive(item);
                });
                self.run(job, &flow, &events).await;
            }
            End::Sink(wait) => {
                let events_ = events.clone();
                let sink = flow.sink(move |_| {
                    events_.happen();
                    async move {
                        pass(wait).await;
                        Ok(())
                    }
                });
                self.run(pipeline.sink(sink), &flow, &events).await;
            }
            End::Stream(wait) => {
                self.read(pipeline.into_stream(), wait, &flow, &events)
                    .await
            }
        }
        if let Some(sending) = sending {
            sending.await.expect("no panic");
        }
        if self.is_ordered() {
            assert!(flow.out().is_sorted(), "{:?}", flow.out());
        }
    }

    /// The source, and who sends if it is a channel.
    fn begin(&self, flow: &Flow, events: &Events) -> (Pipeline<Item>, Option<JoinHandle<()>>) {
        let (items, events_) = (self.items, events.clone());
        match self.source {
            From::Iterator => {
                let items = flow.items(0..items).inspect(move |_| events_.happen());
                (Pipeline::from_iter(items).buffer(self.buffer), None)
            }
            From::Source(wait) => {
                let source = flow.source(move |index| {
                    events_.happen();
                    async move {
                        pass(wait).await;
                        Ok(index < items)
                    }
                });
                (Pipeline::from_source(source).buffer(self.buffer), None)
            }
            From::Channel(capacity, wait) => {
                let (sender, pipeline) = Pipeline::channel(capacity);
                let flow = flow.clone();
                let sending = spawn(async move {
                    for index in 0..items {
                        pass(wait).await;
                        let Ok(permit) = sender.reserve().await else {
                            break;
                        };
                        permit.send(flow.item(index));
                        events_.happen();
                    }
                });
                (pipeline.buffer(self.buffer), Some(sending))
            }
        }
    }

    /// With the options of the case, and whoever is told of failures.
    fn prepare<R: Send + 'static>(&self, mut job: Job<R>) -> (Job<R>, Told) {
        if let Some(policy) = self.on_error {
            job = job.on_error(policy);
        }
        let Some(Errors { capacity, overflow }) = self.errors else {
            return (job, Told::Nobody);
        };
        let (sender, errors) = mpsc::channel(capacity);
        let job = job.errors(sender).error_overflow(overflow);
        let told = if overflow == Overflow::Wait {
            Told::Meanwhile(spawn(all_errors(errors)))
        } else {
            Told::Afterwards(errors)
        };
        (job, told)
    }

    async fn run(&self, job: Job, flow: &Flow, events: &Events) {
        let (job, told) = self.prepare(job);
        let mut live = flow.start(job).expect("a pipeline that can be started");
        let control = events.watch(live.control());
        let result = self.strike_into(live.wait(), &control, events).await;
        drop(live);
        self.check(result, flow, &told.all().await);
    }

    async fn read(&self, job: Job<Items<Item>>, wait: Wait, flow: &Flow, events: &Events) {
        let (job, told) = self.prepare(job);
        let mut live = flow.start(job).expect("a pipeline that can be started");
        let control = events.watch(live.control());
        let reading = async {
            loop {
                match live.next().await {
                    Some(Ok(_)) => events.happen(),
                    Some(Err(error)) => return Err(error),
                    None => return Ok(control.metrics()),
                }
                pass(wait).await;
            }
        };
        let result = self.strike_into(reading, &control, events).await;
        drop(live);
        self.check(result, flow, &told.all().await);
    }

    /// Waits for the end of the run, and strikes when it is time. None if its owner is to be dropped.
    async fn strike_into<T>(
        &self,
        end: impl Future<Output = T>,
        control: &Control,
        events: &Events,
    ) -> Option<T> {
        let mut end = pin!(end);
        let how = tokio::select! {
            result = &mut end => return Some(result),
            how = events.due() => how,
        };
        act(how, control);
        if how == How::Drop {
            return None;
        }
        Some(end.await)
    }

    fn check(
        &self,
        result: Option<Result<Report<()>, RunError>>,
        flow: &Flow,
        told: &[StageError],
    ) {
        told.iter().for_each(|error| self.check_error(error));
        match result {
            Some(Ok(report)) => self.check_complete(flow, &report, told),
            Some(Err(error)) => self.check_stopped(flow, &error.cause),
            None => self.check_partial(flow),
        }
    }
}

/// Where failures are told.
enum Told {
    Nobody,
    /// By an attentive reader, so that waiting for it ends.
    Meanwhile(JoinHandle<Vec<StageError>>),
    /// When all is over.
    Afterwards(mpsc::Receiver<StageError>),
}

impl Told {
    async fn all(self) -> Vec<StageError> {
        match self {
            Told::Nobody => Vec::new(),
            Told::Meanwhile(reading) => reading.await.expect("no panic"),
            Told::Afterwards(errors) => all_errors(errors).await,
        }
    }
}
