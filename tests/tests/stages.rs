//! What a stage brings with it: its options, and the begin and the end of its values.

use std::num::NonZero;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use pipeline_core::config::StageConfig;
use pipeline_core::error::Cause;
use pipeline_core::prelude::*;
use tests::prelude::*;

/// A stage that brings everything there is, and fails on each odd item once.
#[derive(Clone)]
struct Choosy {
    failed: Arc<Mutex<Vec<u64>>>,
}

impl Stage<u64, u64> for Choosy {
    type Error = BoxError;

    async fn process(&mut self, n: u64) -> Result<u64, BoxError> {
        let mut failed = self.failed.lock().unwrap();
        if n % 2 == 1 && !failed.contains(&n) {
            failed.push(n);
            return Err(format!("{n} is odd").into());
        }
        Ok(n)
    }

    fn defaults() -> StageConfig<u64> {
        StageConfig::default()
            .name("choosy")
            .parallelism(3)
            .unordered()
            .window(7)
            .timeout(ms(2_000))
            .attempt_timeout(ms(1_000))
            .retry(Retry::fixed(ms(5)).max_retries(2))
            .blocking()
    }
}

fn choosy() -> Choosy {
    Choosy {
        failed: Arc::default(),
    }
}

/// The line of the plan for the only stage.
fn line(job: &Job<u64>) -> String {
    let plan = job.plan().to_string();
    plan.lines().nth(1).expect("the stage").to_owned()
}

/// All that a stage brings is in the plan, boxed or not, and the builder overrides each.
#[test]
fn options_of_a_stage_are_defaults() {
    scenario("options as defaults").run(async |_world| {
        let all = "choosy      unordered, parallelism 3, window 7, on blocking threads, timeout 2s, \
                   attempt_timeout 1s, 2 retries after 5ms";
        let stage = || Pipeline::from_iter(0..4u64).stage(choosy());
        assert_eq!(line(&stage().count()), all);
        let boxed = Pipeline::from_iter(0..4u64).stage(choosy().boxed());
        assert_eq!(line(&boxed.count()), all);
        let made = Pipeline::from_iter(0..4u64).stage_with(async || Ok::<_, BoxError>(choosy()));
        assert_eq!(line(&made.count()), all);
        let others = stage()
            .name("other")
            .parallelism(4)
            .ordered()
            .window(8)
            .timeout(ms(3_000))
            .attempt_timeout(ms(4_000))
            .retry(Retry::exponential(ms(6)));
        assert_eq!(
            line(&others.count()),
            "other       ordered, parallelism 4, window 8, on blocking threads, timeout 3s, \
             attempt_timeout 4s, 3 retries after 6ms doubling"
        );
    });
}

/// A stage that is to be tried again is, also boxed; a builder that wants no retry has none.
#[test]
fn retries_of_a_stage_are_made() {
    scenario("retries as defaults")
        .on(THREADS)
        .run(async |world| {
            for boxed in [false, true] {
                let flow = world.flow();
                let source = Pipeline::from_iter(0..6u64);
                let stage: Pipeline<u64> = match boxed {
                    true => source.stage(choosy().boxed()).into(),
                    false => source.stage(choosy()).into(),
                };
                let report = flow.run(stage.count()).await.unwrap();
                assert_eq!((report.value, report.stages[0].retries), (6, 3));
            }
            let flow = world.flow();
            let none = Retry::fixed(ms(5)).max_retries(0);
            let job = Pipeline::from_iter(0..6u64).stage(choosy()).retry(none);
            let job = job.count().on_error(OnError::Continue);
            let report = flow.run_failing(job, [1, 3, 5]).await.unwrap();
            assert_eq!((report.value, report.stages[0].retries), (3, 0));
        });
}

/// Says on which thread it runs.
#[derive(Clone)]
struct Where;

impl Stage<u64, thread::ThreadId> for Where {
    type Error = BoxError;

    async fn process(&mut self, _: u64) -> Result<thread::ThreadId, BoxError> {
        Ok(thread::current().id())
    }

    fn defaults() -> StageConfig<u64> {
        StageConfig::default().blocking()
    }
}

/// Any stage may be on blocking threads: not on the one that runs the tasks.
#[test]
fn a_blocking_stage_has_threads_of_its_own() {
    scenario("blocking as default").run(async |world| {
        let flow = world.flow();
        let tasks = tokio::spawn(async { thread::current().id() })
            .await
            .unwrap();
        let job = Pipeline::from_iter(0..3).stage(Where).collect();
        let threads = flow.run(job).await.unwrap().value;
        assert_eq!(threads.len(), 3);
        assert!(threads.iter().all(|thread| *thread != tasks));
    });
}

/// On a blocking thread, and waits there all the same.
#[derive(Clone)]
struct Waiting(Gates);

impl Stage<u64, u64> for Waiting {
    type Error = BoxError;

    async fn process(&mut self, n: u64) -> Result<u64, BoxError> {
        self.0.pass(n).await;
        Ok(n)
    }

    fn defaults() -> StageConfig<u64> {
        StageConfig::new().blocking().parallelism(2)
    }
}

/// A body that waits on a blocking thread is one that waits: it goes on when it is woken, has its limit of time, and is
/// dropped where it waits by a cancel.
#[test]
fn a_body_on_a_blocking_thread_may_wait() {
    scenario("waiting while blocking")
        .on(THREADS)
        .run(async |world| {
            let (flow, gates) = (world.flow(), Gates::new());
            let stage = Pipeline::from_iter(0..2u64).stage(Waiting(gates.clone()));
            let mut run = flow.start(stage.collect()).unwrap();
            gates.open(1);
            gates.open(0);
            assert_eq!(run.wait().await.unwrap().value, [0, 1]);

            let (flow, gates) = (world.flow(), Gates::new());
            gates.open(1);
            let stage = Pipeline::from_iter(0..2u64).stage(Waiting(gates));
            let job = stage.timeout(ms(20)).collect().on_error(OnError::Continue);
            let report = flow.run_failing(job, [0]).await.unwrap();
            assert_eq!((report.value, report.stages[0].timeouts), (vec![1], 1));

            let flow = world.flow();
            let stage = Pipeline::from_iter(0..2u64).stage(Waiting(Gates::new()));
            let mut run = flow.start(stage.timeout(ms(60_000)).count()).unwrap();
            run.control().cancel();
            assert!(matches!(cause(run.wait().await), Cause::Cancelled));
        });
}

/// `cores` is what the system has for this program.
#[test]
fn cores_are_those_of_the_system() {
    let config = StageConfig::<u64>::default().cores();
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    assert_eq!(config.parallelism, Some(cores));
}

/// Is opened, and says what it sees. Opening the value number `fails` fails.
struct Opened {
    events: Arc<Mutex<Vec<String>>>,
    made: Arc<AtomicU64>,
    fails: u64,
    own: Option<u64>,
}

impl Opened {
    fn new(fails: u64) -> Self {
        Opened {
            events: Arc::default(),
            made: Arc::default(),
            fails,
            own: None,
        }
    }

    fn tell(&self, event: String) {
        self.events.lock().unwrap().push(event);
    }
}

impl Clone for Opened {
    fn clone(&self) -> Self {
        Opened {
            events: Arc::clone(&self.events),
            made: Arc::clone(&self.made),
            own: None,
            ..*self
        }
    }
}

impl Stage<u64, u64> for Opened {
    type Error = BoxError;

    async fn open(&mut self) -> Result<(), BoxError> {
        let own = self.made.fetch_add(1, Ordering::SeqCst);
        // it may wait
        tokio::task::yield_now().await;
        if own == self.fails {
            return Err("no connection".into());
        }
        self.own = Some(own);
        self.tell(format!("open {own}"));
        Ok(())
    }

    async fn process(&mut self, n: u64) -> Result<u64, BoxError> {
        let own = self.own.ok_or("not opened")?;
        self.tell(format!("item {n} by {own}"));
        assert_ne!(n, 1, "the value is lost");
        Ok(n)
    }

    async fn close(self) -> Result<(), BoxError> {
        self.tell(format!("close {:?}", self.own));
        Ok(())
    }

    fn defaults() -> StageConfig<u64> {
        StageConfig::default().prepared()
    }
}

/// A value is opened once, before its first item, and so is the one that takes the place of a lost one; the first
/// is opened before the source is asked for anything. The same if it is boxed or made by a factory.
#[test]
fn a_value_is_opened_before_its_first_item() {
    scenario("open").run(async |world| {
        for way in ["stage", "boxed", "stage_with"] {
            let flow = world.flow();
            let stage = Opened::new(u64::MAX);
            let events = Arc::clone(&stage.events);
            let asked = Arc::clone(&events);
            let source = Pipeline::from_iter((0..3u64).inspect(move |n| {
                asked.lock().unwrap().push(format!("ask {n}"));
            }))
            .buffer(1);
            let stage: Pipeline<u64> = match way {
                "stage" => source.stage(stage).window(1).into(),
                "boxed" => source.stage(stage.boxed()).window(1).into(),
                _ => source
                    .stage_with(move || {
                        let stage = stage.clone();
                        async move { Ok::<_, BoxError>(stage) }
                    })
                    .window(1)
                    .into(),
            };
            let job = stage.collect().on_error(OnError::Continue);
            let report = flow.run_failing(job, [1]).await.unwrap();
            assert_eq!(report.value, [0, 2], "{way}");
            let events = events.lock().unwrap().clone();
            let of_values: Vec<_> = events
                .iter()
                .filter(|event| !event.starts_with("ask"))
                .collect();
            assert_eq!(events[0], "open 0", "{way}: {events:?}");
            assert_eq!(
                of_values,
                [
                    "open 0",
                    "item 0 by 0",
                    "item 1 by 0",
                    "open 1",
                    "item 2 by 1",
                    "close Some(1)"
                ],
                "{way}"
            );
        }
    });
}

/// A value that cannot be opened ends the run, without `close`, and nothing is taken from the source if it is the first.
#[test]
fn a_value_that_cannot_be_opened_ends_the_run() {
    scenario("open fails").on(ALL).run(async |world| {
        for fails in [0, 1] {
            let flow = world.flow();
            let stage = Opened::new(fails);
            let events = Arc::clone(&stage.events);
            let job = Pipeline::from_iter(0..3u64)
                .stage(stage)
                .name("connect")
                .collect()
                .on_error(OnError::Continue);
            let error = flow
                .run_failing(job, (fails > 0).then_some(1))
                .await
                .unwrap_err();
            assert!(matches!(&error.cause, Cause::Stage(name, _) if &**name == "connect"));
            assert!(
                chain(&error).ends_with(": no connection"),
                "{}",
                chain(&error)
            );
            let taken = error.report.items.taken;
            assert_eq!(taken == 0, fails == 0, "{taken} taken");
            assert!(
                !events
                    .lock()
                    .unwrap()
                    .iter()
                    .any(|event| event.starts_with("close"))
            );
        }
    });
}

/// Without `prepared` a stage whose source is empty opens nothing.
#[test]
fn what_is_not_needed_is_not_opened() {
    #[derive(Clone)]
    struct Lazy(Opened);

    impl Stage<u64, u64> for Lazy {
        type Error = BoxError;

        async fn open(&mut self) -> Result<(), BoxError> {
            self.0.open().await
        }

        async fn process(&mut self, n: u64) -> Result<u64, BoxError> {
            self.0.process(n).await
        }
    }

    scenario("open when needed").run(async |world| {
        for items in [0, 1] {
            let flow = world.flow();
            let stage = Opened::new(u64::MAX);
            let made = Arc::clone(&stage.made);
            let job = Pipeline::from_iter(0..items).stage(Lazy(stage)).count();
            assert_eq!(flow.run(job).await.unwrap().value, items);
            assert_eq!(made.load(Ordering::SeqCst), items);
        }
    });
}
