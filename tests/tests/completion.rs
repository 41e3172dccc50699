//! The end of a run that simply ends: it is seen, at once, by everybody, and gives the value of its end.

use std::future::ready;
use std::thread;
use std::time::{Duration, Instant};

use futures_util::{FutureExt, SinkExt, StreamExt, sink};
use pipeline_core::error::BoxError;
use pipeline_core::prelude::*;
use pipeline_core::report::{Outcome, StageReport};
use tests::prelude::*;
use tokio::sync::mpsc;
use tokio_util::sync::PollSender;

type Step = fn(Pipeline<u64>, usize) -> Pipeline<u64>;

/// Every kind of step, with a parallelism where it takes one.
fn steps() -> Vec<Step> {
    vec![
        |source, _| source,
        |source, _| source.buffer(3),
        |source, n| {
            source
                .stage(stage_fn(|n| ready(Ok::<_, BoxError>(n))))
                .parallelism(n)
                .into()
        },
        |source, n| {
            let stage = stage_fn(|n| ready(Ok::<_, BoxError>(n))).boxed();
            source.stage(stage).parallelism(n).into()
        },
        |source, n| {
            let made = || ready(Ok::<_, BoxError>(stage_fn(|n| ready(Ok::<_, BoxError>(n)))));
            source.stage_with(made).parallelism(n).into()
        },
        |source, _| source.map(|n| n).into(),
        |source, n| source.map(|n| n).parallelism(n).into(),
        |source, n| source.try_map(Ok::<_, BoxError>).parallelism(n).into(),
        |source, n| source.then(ready).parallelism(n).unordered().into(),
        |source, n| {
            source
                .and_then(|n| ready(Ok::<_, BoxError>(n)))
                .parallelism(n)
                .window(n)
                .into()
        },
        |source, n| source.blocking(|n| n).parallelism(n).into(),
        |source, n| {
            source
                .try_blocking(Ok::<_, BoxError>)
                .parallelism(n)
                .unordered()
                .into()
        },
        |source, n| {
            source
                .then(ready)
                .parallelism(n)
                .timeout(ms(60_000))
                .attempt_timeout(ms(60_000))
                .retry(Retry::fixed(ms(1)))
                .dead_letters(mpsc::channel(1).0)
                .into()
        },
        |source, n| {
            source
                .blocking(|n| n)
                .parallelism(n)
                .timeout(ms(60_000))
                .into()
        },
        |source, _| source.map(|n| n).retry(Retry::fixed(ms(1))).into(),
        |source, _| source.filter(|_| true).into(),
        |source, _| source.filter_map(Some).into(),
        |source, _| source.inspect(|_| {}).into(),
        |source, n| {
            source
                .then(ready)
                .parallelism(n)
                .filter(|_| true)
                .map(|n| n)
                .inspect(|_| {})
                .into()
        },
    ]
}

/// Scenario 101: a source without items ends at once, through every kind of stage.
#[test]
fn an_empty_source_ends_at_once() {
    scenario("101").on(ALL).run(async |world| {
        for (number, step) in steps().into_iter().enumerate() {
            for parallelism in [1, 64] {
                let flow = world.flow();
                let watch = Stopwatch::start();
                let job = step(Pipeline::from_iter(0..0), parallelism).collect();
                let report = flow.run(job).await.unwrap();
                assert_eq!(report.value, [], "step {number}");
                assert_eq!(report.items.taken, 0);
                if world.machine() == Machine::Paused {
                    watch.expect(ms(0));
                }
            }
        }
    });
}

/// Scenario 154: fifty stages are a long way, and no more: all items come out, in order, on stacks of the usual size.
#[test]
fn a_pipeline_may_be_long() {
    scenario("154").on(ALL).run(async |world| {
        let flow = world.flow();
        let mut pipeline: Pipeline<Item> = Pipeline::from_iter(flow.items(0..1_000)).buffer(8);
        for _ in 0..50 {
            let stage = pipeline.stage(flow.pass(2)).parallelism(2).window(8);
            pipeline = stage.into();
        }
        let job = pipeline.for_each(flow.receive());
        // the bound grows by the same with each stage
        let plan = job.plan();
        assert_eq!(plan.steps.len(), 52);
        let end = plan.max_inside - 8 - 50 * 8;
        assert!(end <= 256, "{plan}");
        flow.run(job).await.unwrap();
        flow.expect(0..1_000);
    });
}

/// Each kind of stage gives on what it gets.
#[test]
fn every_kind_of_stage_hands_on_its_items() {
    scenario("kinds of stages").on(ALL).run(async |world| {
        for (number, step) in steps().into_iter().enumerate() {
            for parallelism in [1, 2, 64] {
                let flow = world.flow();
                let job = step(Pipeline::from_iter(0..100), parallelism).collect();
                let mut value = flow.run(job).await.unwrap().value;
                value.sort_unstable();
                assert!(value.into_iter().eq(0..100), "step {number}");
            }
        }
    });
}

/// Scenario 102: after the last item the end is there without anything more having to happen.
#[test]
fn the_end_is_seen_right_after_the_last_item() {
    scenario("102").on(ALL).in_both_orders().run(async |world| {
        for parallelism in [1, 2] {
            let flow = world.flow();
            let job = Pipeline::from_iter(flow.items(0..1))
                .stage(flow.pass(parallelism))
                .parallelism(parallelism)
                .in_order(world.order())
                .into_stream();
            let mut items = flow.start(job).unwrap();
            let watch = Stopwatch::start();
            assert_eq!(items.next().await.unwrap().unwrap(), 0);
            assert!(items.next().await.is_none());
            if world.machine() == Machine::Paused {
                watch.expect(ms(0));
            }
            assert_eq!(flow.metrics().outcome, Some(Outcome::Finished));
        }
    });
}

/// Scenario 104: a stream that has ended stays ended, however often it is asked.
#[test]
fn an_ended_stream_stays_ended() {
    scenario("104").on(ALL).in_both_orders().run(async |world| {
        for fails in [u64::MAX, 50] {
            let flow = world.flow();
            let job = Pipeline::from_iter(flow.items(0..100))
                .stage(flow.breaks(4, move |index| index == fails))
                .parallelism(4)
                .in_order(world.order())
                .into_stream();
            let mut items = flow.start(job).unwrap();
            let mut error = None;
            while let Some(item) = items.next().await {
                assert!(error.is_none(), "something came after the error");
                error = item.err();
            }
            assert_eq!(error.is_some(), fails == 50);
            for _ in 0..10 {
                assert!(matches!(items.next().now_or_never(), Some(None)));
            }
        }
    });
}

/// Who waits for the end of a stream drops what it has not given yet, as it comes; that counts as cancelled.
#[test]
fn the_rest_of_a_stream_is_dropped_as_it_comes() {
    scenario("rest of a stream")
        .on(ALL)
        .in_both_orders()
        .run(async |world| {
            for given in [0, 3] {
                let flow = world.flow();
                let job = Pipeline::from_iter(flow.items(0..1_000))
                    .stage(flow.pass(2))
                    .parallelism(2)
                    .window(4)
                    .in_order(world.order())
                    .into_stream();
                // the fixture expects no run that finishes to cancel items
                let mut items = job.start().unwrap();
                flow.started(items.control());
                for _ in 0..given {
                    items.next().await.unwrap().unwrap();
                }
                let report = items.wait().await.unwrap();
                flow.over();
                assert_eq!(report.outcome, Some(Outcome::Finished));
                let counts = (report.items.delivered, report.items.cancelled);
                assert_eq!(counts, (given, 1_000 - given));
            }
        });
}

/// Each end gives the value that it is for.
#[test]
fn every_end_gives_its_value() {
    scenario("ends").on(ALL).run(async |world| {
        let source = || Pipeline::from_iter(0..100u64).then(ready).parallelism(4);
        let flow = || world.flow();
        let sum = (0..100).sum::<u64>();

        let collected = flow().run(source().collect()).await.unwrap();
        assert!(collected.value.into_iter().eq(0..100));
        let counted = flow().run(source().count()).await.unwrap();
        assert_eq!(counted.value, 100);
        let folded = flow()
            .run(source().fold(0, |sum, n| sum + n))
            .await
            .unwrap();
        assert_eq!(folded.value, sum);

        let (give, mut take) = mpsc::unbounded_channel();
        let each = give.clone();
        let job = source().for_each(move |n| each.send(n).expect("the receiver is there"));
        flow().run(job).await.unwrap();
        let job = source().try_for_each(move |n| ready(give.send(n)));
        flow().run(job).await.unwrap();
        let mut got = Vec::new();
        while let Some(n) = take.recv().await {
            got.push(n);
        }
        assert!(got.into_iter().eq((0..100).chain(0..100)));
    });
}

/// A sink of `futures` gets everything, and is closed.
#[test]
fn forward_feeds_and_closes_a_futures_sink() {
    scenario("forward").on(ALL).run(async |world| {
        let (give, mut take) = mpsc::channel(3);
        let flow = world.flow();
        let job = Pipeline::from_iter(0..100u64).forward(PollSender::new(give));
        let mut run = flow.start(job).unwrap();
        let mut got = Vec::new();
        while let Some(n) = take.recv().await {
            got.push(n);
        }
        assert!(got.into_iter().eq(0..100));
        assert_eq!(run.wait().await.unwrap().items.delivered, 100);

        let flow = world.flow();
        let job = Pipeline::from_iter(0..100u64)
            .forward(sink::drain().sink_map_err(|_| "a drain does not fail"));
        assert_eq!(flow.run(job).await.unwrap().items.delivered, 100);
    });
}

/// The report counts items where the source is concerned, and in each stage.
#[test]
fn the_report_counts_in_each_stage() {
    scenario("report")
        .on(ALL)
        .in_both_orders()
        .run(async |world| {
            let (errors, failures) = mpsc::channel(1_000);
            let flow = world.flow();
            let job = Pipeline::from_iter(flow.items(0..100))
                .stage(flow.breaks(4, |index| index % 10 == 0))
                .name("first")
                .parallelism(4)
                .in_order(world.order())
                .filter(flow.keep(|index| index % 10 != 1))
                .stage(flow.pass(1))
                .name("second")
                .in_order(world.order())
                .for_each(flow.receive())
                .errors(errors);
            let report = flow.run(job).await.unwrap();
            let items = report.items;
            let counts = (
                items.taken,
                items.delivered,
                items.failed,
                items.filtered,
                items.cancelled,
            );
            assert_eq!(counts, (100, 80, 10, 10, 0));
            let stage = |name: &str| {
                let mut stages = report.stages.iter();
                let stage = stages.find(|stage| stage.name.starts_with(name));
                stage.unwrap_or_else(|| panic!("no `{name}` in {:?}", report.stages))
            };
            let (first, second) = (stage("first"), stage("second"));
            assert_eq!((first.taken, first.given, first.panics), (100, 80, 0));
            assert_eq!((second.taken, second.given, second.panics), (80, 80, 0));
            // the filter runs in the workers of the first
            assert_eq!((first.filtered, second.filtered), (10, 0));
            assert_eq!(all_errors(failures).await.len(), 10);
            assert!(report.to_string().contains("first"), "{report}");
            // and stays the same after the end
            assert_eq!(flow.metrics(), report);
        });
}

/// A while by the clock of reports, which is a real one; on the paused clock nothing runs meanwhile.
const WHILE: Duration = ms(20);

/// The report of the first stage, when all has run that can run, and a while after that.
async fn before_and_after_a_while(world: &World, flow: &Flow) -> (StageReport, StageReport) {
    world.settled(|| ()).await;
    let before = flow.metrics().stages.remove(0);
    thread::sleep(WHILE);
    (before, flow.metrics().stages.remove(0))
}

/// The steps of the report are in the order of the pipeline, operators among the stages.
#[test]
fn the_report_is_in_the_order_of_the_steps() {
    scenario("order of the report").run(async |_world| {
        let (even, odd) = Pipeline::from_iter(0..10u64)
            .then(ready)
            .name("first")
            .delay(ms(1), 4)
            .then(ready)
            .name("second")
            .split(|n| n.is_multiple_of(2));
        let job = even
            .merge(odd)
            .through(|numbers| numbers)
            .then(ready)
            .name("third")
            .batch(4, ms(1))
            .count();
        let steps: Vec<_> = job
            .plan()
            .steps
            .iter()
            .map(|step| step.name.to_string())
            .collect();
        let report = job.run().await.unwrap();
        let stages: Vec<_> = report
            .stages
            .iter()
            .map(|stage| stage.name.to_string())
            .collect();
        assert_eq!(stages[..], steps[1..steps.len() - 1]);
        assert_eq!(stages.len(), 8);
    });
}

/// The report says how long bodies took, and how long every worker was idle for want of items: not while one is at work.
#[test]
fn the_report_tells_busy_and_starved_times() {
    scenario("busy and starved")
        .in_both_orders()
        .run(async |world| {
            let (flow, gates) = (world.flow(), Gates::new());
            let (sender, source) = Pipeline::channel(4);
            let job = source
                .stage(flow.gated(2, &gates))
                .parallelism(2)
                .in_order(world.order())
                .for_each(flow.receive());
            let start = Instant::now();
            let mut run = flow.start(job).unwrap();
            let (before, after) = before_and_after_a_while(&world, &flow).await;
            assert!(after.starved >= before.starved + WHILE);
            assert_eq!((after.busy, after.p99), (Duration::ZERO, Duration::ZERO));

            for index in 0..2 {
                sender.send(flow.item(index)).await.unwrap();
            }
            let (before, after) = before_and_after_a_while(&world, &flow).await;
            assert!(before.starved >= WHILE);
            assert_eq!(after.starved, before.starved);

            // one worker is idle, the other one is not
            gates.open(1);
            let (before, after) = before_and_after_a_while(&world, &flow).await;
            assert_eq!((before.given, after.starved), (1, before.starved));
            let first = before.busy;
            assert!(first >= WHILE && before.p50 >= first && before.p99 >= first);

            gates.open(0);
            let (before, after) = before_and_after_a_while(&world, &flow).await;
            assert!(before.busy >= first + 2 * WHILE, "{before:?}");
            assert!(before.p50 <= before.p99 && before.p99 >= before.busy - first);
            assert!(after.starved >= before.starved + WHILE);
            assert_eq!((after.busy, after.blocked), (before.busy, Duration::ZERO));

            drop(sender);
            let report = run.wait().await.unwrap();
            let (stage, elapsed) = (&report.stages[0], start.elapsed());
            assert!(stage.busy + stage.starved <= 2 * elapsed);
            flow.expect(0..2);
        });
}

/// The report says how long there was work, but no room for results; that is neither busy nor starved.
#[test]
fn the_report_tells_blocked_times() {
    scenario("blocked").in_both_orders().run(async |world| {
        let (flow, gates) = (world.flow(), Gates::new());
        let shut = gates.clone();
        let sink = flow.sink(move |index| {
            let shut = shut.clone();
            async move {
                if index == 0 || index == 9 {
                    shut.pass(index).await;
                }
                Ok(())
            }
        });
        let job = Pipeline::from_iter(flow.items(0..10))
            .stage(flow.pass(1))
            .window(2)
            .in_order(world.order())
            .sink(sink);
        let start = Instant::now();
        let mut run = flow.start(job).unwrap();
        let (before, after) = before_and_after_a_while(&world, &flow).await;
        assert!(after.blocked >= before.blocked + WHILE);
        assert_eq!((after.starved, after.busy), (before.starved, before.busy));

        // the last one is not the stage's business any more
        gates.open(0);
        let (before, after) = before_and_after_a_while(&world, &flow).await;
        assert_eq!((before.given, after.blocked), (10, before.blocked));
        assert_eq!(after.starved, before.starved);

        gates.open(9);
        let report = run.wait().await.unwrap();
        assert!(report.stages[0].blocked <= start.elapsed());
        flow.expect(0..10);
    });
}

/// `job.await` is `job.run().await`.
#[test]
fn a_job_can_be_awaited() {
    scenario("await").on(ALL).run(async |_world| {
        let report = Pipeline::from_iter(0..3).count().await.unwrap();
        assert_eq!(report.value, 3);
        assert_eq!(report.outcome, Some(Outcome::Finished));
    });
}
