//! Misuse: what is wrong is refused where it is said, with a message that names it.

use std::future::ready;
use std::sync::{Arc, OnceLock};
use std::thread;

use pipeline_core::config::StageConfig;
use pipeline_core::error::{BuildError, Cause, RunError, StageError};
use pipeline_core::plan::Plan;
use pipeline_core::prelude::*;
use pipeline_core::report::{Outcome, Report};
use pipeline_core::run::{Control, Items, Running};
use pipeline_core::{BoxSink, BoxSource, BoxStage};
use tests::prelude::*;
use tests::tally::{Class, Tally};
use tokio::runtime::Builder;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// A job that must be refused: the error and its text.
#[track_caller]
fn refused<R: Send + 'static>(flow: &Flow, job: Job<R>) -> (BuildError, String) {
    let error = flow.start(job).expect_err("it must be refused");
    let text = error.to_string();
    // what `unwrap` says, and a `main` that returns it
    assert!(format!("{error:?}").starts_with(&text), "{error:?}");
    (error, text)
}

/// Scenario 190: parallelism 0 is refused when the job is started, also where there would be nothing to do.
#[test]
fn parallelism_0_is_refused() {
    scenario("190").on(ALL).run(async |world| {
        for items in [0, 100] {
            let flow = world.flow();
            let body = flow.pass(0);
            let gauge = body.gauge();
            let job = Pipeline::from_iter(flow.items(0..items))
                .stage(body)
                .name("check")
                .parallelism(0)
                .for_each(flow.receive());
            let (error, text) = refused(&flow, job);
            assert!(matches!(error, BuildError::Zero(stage, "parallelism") if &*stage == "check"));
            assert!(
                text.contains("check") && text.contains("parallelism"),
                "{text}"
            );
            assert_eq!((flow.pulled(), gauge.count()), (0, 0));
        }
    });
}

/// Scenario 190: `run` says the same, as a `RunError` without anything done.
#[test]
fn run_refuses_as_start_does() {
    scenario("190, run").run(async |_world| {
        let job = Pipeline::from_iter(0..3).then(ready).parallelism(0).count();
        let error = job.run().await.unwrap_err();
        assert!(matches!(error.cause, Cause::Build(BuildError::Zero(..))));
        assert_eq!(error.report.items.taken, 0);
        assert!(
            format!("{error:?}").ends_with(": parallelism must be at least 1"),
            "{error:?}"
        );
    });
}

/// A stage that brings a wrong option itself.
#[derive(Clone)]
struct Wrong;

impl Stage<u64, u64> for Wrong {
    type Error = BoxError;

    async fn process(&mut self, item: u64) -> Result<u64, BoxError> {
        Ok(item)
    }

    fn defaults() -> StageConfig<u64> {
        StageConfig::default()
            .name("wrong")
            .parallelism(8)
            .window(4)
    }
}

/// Scenario 191: options that cannot be meant are refused, each by its name.
#[test]
fn options_that_cannot_be_meant_are_refused() {
    scenario("191").on(ALL).run(async |world| {
        let source = || Pipeline::from_iter(0..3);
        let stage = || source().then(ready).name("check");
        let (_sender, channel) = Pipeline::<u64>::channel(0);
        let wrong = [
            (stage().parallelism(4).window(3).count(), "window 3"),
            (stage().parallelism(4).window(0).count(), "window"),
            (stage().window(0).count(), "window"),
            (
                source().map(|n| n).name("check").parallelism(0).count(),
                "parallelism",
            ),
            (
                source().blocking(|n| n).name("check").window(0).count(),
                "window",
            ),
            (source().buffer(0).then(ready).count(), "buffer"),
            (channel.then(ready).count(), "capacity"),
            (source().stage(Wrong).count(), "window 4"),
            (source().stage(Wrong.boxed()).count(), "window 4"),
            (stage().count().on_error(OnError::StopAfter(0)), "StopAfter"),
        ];
        for (job, setting) in wrong {
            let (error, text) = refused(&world.flow(), job);
            assert!(text.contains(setting), "{text} does not name {setting}");
            if let BuildError::WindowTooSmall(stage, window, parallelism) = error {
                assert!(window < parallelism);
                assert!(text.contains(&*stage), "{text}");
            }
        }
        // what the stage brings is only a default
        let job = source().stage(Wrong).window(8).count();
        assert_eq!(world.flow().run(job).await.unwrap().value, 3);
    });
}

/// Scenario 193: a pipeline may be described outside a runtime; to start it there is an error at the call.
#[test]
fn a_start_outside_a_runtime_is_an_error() {
    scenario("193").run(async |world| {
        let flow = world.flow();
        // a thread that knows of no runtime
        let outside = thread::spawn(move || {
            let job = Pipeline::from_iter(flow.items(0..3))
                .stage(flow.pass(1))
                .for_each(flow.receive());
            let (error, text) = refused(&flow, job);
            assert!(matches!(error, BuildError::NoRuntime));
            assert!(text.contains("runtime"), "{text}");
            Pipeline::from_iter(0..3).then(ready).count()
        });
        let job = outside.join().unwrap();
        assert_eq!(job.run().await.unwrap().value, 3);
    });
}

/// Scenario 194: a runtime without timers is enough for a pipeline without times.
#[test]
fn a_runtime_without_timers_is_enough() {
    scenario("194").in_both_orders().run(async |world| {
        for threads in [1, 2] {
            let flow = world.flow();
            let order = world.order();
            let elsewhere = thread::spawn(move || {
                let runtime = match threads {
                    1 => Builder::new_current_thread().build(),
                    _ => Builder::new_multi_thread().worker_threads(threads).build(),
                };
                runtime.unwrap().block_on(async {
                    let body = flow.body(4, |item| async move {
                        tokio::task::yield_now().await;
                        Ok(item)
                    });
                    let job = Pipeline::from_iter(flow.items(0..1_000))
                        .stage(body)
                        .parallelism(4)
                        .window(16)
                        .in_order(order)
                        .for_each(flow.receive());
                    flow.run(job).await.unwrap();
                    flow.expect(0..1_000);
                });
            });
            elsewhere.join().unwrap();
        }
    });
}

/// Scenario 194: a deadline that was asked for in advance needs timers, and that is said at the start, by the option's name.
#[test]
fn a_deadline_needs_timers() {
    scenario("194, deadline").run(async |world| {
        let flow = world.flow();
        let elsewhere = thread::spawn(move || {
            let runtime = Builder::new_current_thread().build().unwrap();
            runtime.block_on(async {
                let token = CancellationToken::new();
                let job = Pipeline::from_iter(flow.items(0..3)).for_each(flow.receive());
                let (error, text) = refused(&flow, job.drain_on(&token, ms(1_000)));
                assert!(matches!(error, BuildError::NoTimer(_)), "{error:?}");
                assert!(text.contains("drain_on"), "{text}");
                let job = Pipeline::from_iter(flow.items(0..3)).for_each(flow.receive());
                let (error, text) = refused(&flow, job.drain_on_ctrl_c(ms(1_000)));
                assert!(matches!(
                    error,
                    BuildError::NoTimer(_) | BuildError::NoSignals(_)
                ));
                assert!(!text.is_empty());
            });
        });
        elsewhere.join().unwrap();
    });
}

/// Scenario 197: what is built and not started does nothing, and is gone when it is dropped.
#[test]
fn what_is_not_started_does_nothing() {
    scenario("197").on(ALL).run(async |world| {
        let flow = world.flow();
        let source = flow.source(|_| ready(Ok(true)));
        let body = flow.pass(4);
        let gauge = body.gauge();
        let pipeline = Pipeline::from_source(source).stage(body).parallelism(4);
        let job = pipeline.sink(flow.sink(|_| ready(Ok(()))));
        let tasks = || {
            tokio::runtime::Handle::current()
                .metrics()
                .num_alive_tasks()
        };
        let before = tasks();
        assert_eq!(world.settled(tasks).await, before);
        assert_eq!((flow.pulled(), gauge.count()), (0, 0));
        assert!(world.tally().alive(Class::State) > 0);
        drop(job);
        assert_eq!(world.tally().alive(Class::State), 0);

        // the same for a pipeline without an end, and for the sender of its channel
        let flow = world.flow();
        let (sender, source) = Pipeline::channel(4);
        sender.send(flow.item(0)).await.unwrap();
        drop(source.stage(flow.pass(4)));
        assert!(sender.is_closed());
    });
}

/// What a body that feeds its own pipeline does for item 0.
#[derive(Clone, Copy)]
enum Feeds {
    /// Until there is no more room.
    UntilFull,
    /// It waits for room.
    Waiting,
}

/// Scenario 199: a body that feeds its own pipeline is told when that is full, or waits, until the run is ended.
#[test]
fn a_body_that_feeds_its_own_pipeline_does_not_deadlock_silently() {
    scenario("199").on(ALL).in_both_orders().run(async |world| {
        for (feeds, ends) in [
            (Feeds::UntilFull, "drain"),
            (Feeds::Waiting, "drain"),
            (Feeds::Waiting, "cancel"),
        ] {
            let flow = world.flow();
            let (sender, source) = Pipeline::channel(2);
            // weak: else the body would keep its own source open
            let (feed, full) = (sender.downgrade(), Arc::new(OnceLock::new()));
            let context = (feed, full.clone(), flow.clone());
            let body = flow.body_with(1, context, move |item: Item, context| async move {
                let (feed, full, flow) = context;
                if item.index > 0 {
                    return Ok(item);
                }
                let feed: mpsc::Sender<Item> = feed.upgrade().expect("the test holds one");
                for index in 1.. {
                    match feeds {
                        Feeds::UntilFull => {
                            if feed.try_send(flow.item(index)).is_err() {
                                full.set(index).expect("once");
                                break;
                            }
                            // the source takes what it has room for
                            tokio::task::yield_now().await;
                            tokio::task::yield_now().await;
                        }
                        Feeds::Waiting => {
                            if feed.send(flow.item(index)).await.is_err() {
                                break;
                            }
                        }
                    }
                }
                Ok(item)
            });
            let job = source
                .buffer(2)
                .stage(body)
                .window(1)
                .in_order(world.order())
                .for_each(flow.receive());
            let bound = job.plan().max_inside as u64;
            let mut run = flow.start(job).unwrap();
            sender.send(flow.item(0)).await.unwrap();
            world
                .settled(|| (full.get().copied(), flow.out().len()))
                .await;
            match ends {
                "drain" => run.control().drain(ms(60_000)),
                _ => run.control().cancel(),
            }
            match run.wait().await {
                Ok(report) => assert_eq!((report.outcome, ends), (Some(Outcome::Drained), "drain")),
                Err(error) => assert_eq!(
                    (error.report.outcome, ends),
                    (Some(Outcome::Cancelled), "cancel")
                ),
            }
            if matches!(feeds, Feeds::UntilFull) {
                assert!(full.get().is_some_and(|full| *full <= bound + 1));
            }
        }
    });
}

/// `Send`, `Sync` and `Unpin` of the public types, for items that are only `Send`.
macro_rules! table {
    ($($kind:ty: $($auto:ident)+;)+) => {
        $($({
            fn holds<T: $auto>() {}
            holds::<$kind>();
        })+)+
    };
}

/// Scenario 200: what is handed round can be handed round.
#[test]
fn public_types_can_be_sent_and_shared() {
    table! {
        Pipeline<Item>: Send;
        Job: Send;
        Job<Vec<Item>>: Send;
        Running: Send Sync Unpin;
        Running<Vec<Item>>: Send Sync Unpin;
        Running<Items<Item>>: Send Sync Unpin;
        Control: Send Sync Unpin Clone;
        Report: Send Sync Unpin Clone;
        Report<Vec<Item>>: Send;
        Plan: Send Sync Unpin Clone;
        Outcome: Send Sync Unpin Copy;
        RunError: Send Sync Unpin;
        BuildError: Send Sync Unpin;
        StageError: Send Sync Unpin;
        Cause: Send Sync Unpin;
        BoxError: Send Sync Unpin;
        BoxStage<Item, Item>: Send Clone;
        BoxSource<Item>: Send;
        BoxSink<Item>: Send;
        StageConfig<u64>: Send Sync Unpin Clone;
        OnError: Send Sync Unpin Copy;
    }
    let flow = Flow::new(
        &Tally::default(),
        pipeline_core::config::Order::Ordered,
        true,
    );
    fn is_send<T: Send>(_: &T) {}
    let job = || {
        Pipeline::from_iter(flow.items(0..0))
            .stage(flow.pass(1))
            .collect()
    };
    is_send(&job().run());
    is_send(&job().into_future());
    let sends = async {
        let mut run = job().start()?;
        run.wait().await
    };
    is_send(&sends);
}
