//! Backpressure: how much is taken from a source when the consumer does not keep up, and what it costs to wait.

use std::future::ready;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;

use futures_util::stream;
use pipeline_core::error::{Cause, Overflow};
use pipeline_core::plan::StepKind;
use pipeline_core::prelude::*;
use pipeline_core::report::Outcome;
use tests::prelude::*;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};

/// Scenario 26: when nobody takes the results, the source is asked for as much as the plan says, and then for nothing more.
#[test]
fn an_endless_source_is_stopped_by_a_consumer_that_does_not_come() {
    scenario("26").in_both_orders().run(async |world| {
        let flow = world.flow();
        let stage = || flow.pass(4);
        let job = Pipeline::from_iter(flow.items(0..u64::MAX))
            .stage(stage())
            .parallelism(4)
            .in_order(world.order())
            .stage(stage())
            .parallelism(4)
            .in_order(world.order())
            .stage(stage())
            .parallelism(4)
            .in_order(world.order())
            .into_stream();
        flow.hears_end();
        let bound = job.plan().max_inside as u64;
        let mut items = flow.start(job).unwrap();
        sleep(ms(1_000)).await;
        let pulled = flow.pulled();
        // a producer that was stopped waits until a part of its room is free, so it is seldom all
        assert!((bound / 2..=bound).contains(&pulled), "{pulled} of {bound}");
        sleep(ms(3_600_000)).await;
        assert_eq!(flow.pulled(), pulled);
        // it goes on as soon as somebody comes
        let mut seen = Vec::new();
        for _ in 0..2 * bound {
            seen.push(items.next().await.unwrap().unwrap());
        }
        seen.sort_unstable();
        assert!(seen.into_iter().eq(0..2 * bound));
    });
}

/// How many items scenario 27 has.
const BEHIND_THE_SLOW_ONE: u64 = 200_000;

/// Scenario 27: behind one slow item no more is taken than the plan says, and all comes out in order afterwards.
#[test]
fn a_slow_item_does_not_make_the_pipeline_swell() {
    scenario("27").run(async |world| {
        let flow = world.flow();
        let pulled = Arc::new(AtomicU64::new(0));
        let counter = pulled.clone();
        let source = (0..BEHIND_THE_SLOW_ONE).inspect(move |_| {
            counter.fetch_add(1, Ordering::SeqCst);
        });
        let job = Pipeline::from_iter(source)
            .then(|n| async move {
                if n == 0 {
                    sleep(ms(10_000)).await;
                }
                n
            })
            .parallelism(8)
            .window(64)
            .fold(0, |expected, n| {
                assert_eq!(n, expected, "out of order");
                expected + 1
            });
        let bound = job.plan().max_inside as u64;
        let mut run = flow.start(job).unwrap();
        sleep(ms(9_900)).await;
        assert!(pulled.load(Ordering::SeqCst) <= bound);
        assert_eq!(run.wait().await.unwrap().value, BEHIND_THE_SLOW_ONE);
    });
}

/// Scenario 30: of many senders, exactly as many get rid of their item as the plan says; when the channel is closed, the others get theirs back.
#[test]
fn a_channel_takes_exactly_what_fits() {
    scenario("30").on(ALL).in_both_orders().run(async |world| {
        for capacity in [1, 3] {
            let (flow, gate) = (world.flow(), Gate::new());
            let (sender, source) = Pipeline::channel(capacity);
            let (end, shut) = (flow.clone(), gate.clone());
            flow.hears_end();
            let job = source
                .stage(flow.pass(1))
                .window(1)
                .in_order(world.order())
                .try_for_each(move |item| {
                    let (end, shut) = (end.clone(), shut.clone());
                    async move {
                        shut.pass().await;
                        end.hand(item);
                        Ok::<_, Fault>(())
                    }
                });
            let bound = job.plan().max_inside;
            assert_eq!(bound, 2 * capacity + 2);
            let mut run = flow.start(job).unwrap();

            let sent = Arc::new(AtomicU64::new(0));
            let sends = capacity as u64 + 10;
            let tasks: Vec<_> = (0..sends)
                .map(|index| {
                    let (item, sender, sent) = (flow.item(index), sender.clone(), sent.clone());
                    tokio::spawn(async move {
                        sender.send(item).await.map_err(|error| error.0.index)?;
                        sent.fetch_add(1, Ordering::SeqCst);
                        Ok::<_, u64>(index)
                    })
                })
                .collect();
            let complete = world.settled(|| sent.load(Ordering::SeqCst)).await;
            assert_eq!(complete, bound as u64);

            run.control().drain(ms(3_600_000));
            let (mut taken, mut back) = (Vec::new(), Vec::new());
            for task in tasks {
                match task.await.unwrap() {
                    Ok(index) => taken.push(index),
                    Err(index) => back.push(index),
                }
            }
            assert_eq!(taken.len(), bound);
            assert_eq!(back.len(), sends as usize - bound);
            gate.open();
            let report = run.wait().await.unwrap();
            assert_eq!(report.outcome, Some(Outcome::Drained));
            let mut out = flow.out();
            out.sort_unstable();
            assert_eq!(out, taken);
        }
    });
}

/// Scenario 32: finished items wait for the consumer, and not for a timer: all are there at the moment when it comes.
#[test]
fn a_late_consumer_finds_all_at_once() {
    scenario("32").in_both_orders().run(async |world| {
        let flow = world.flow();
        let job = Pipeline::from_iter(flow.items(0..1_000))
            .stage(flow.pass(1))
            .in_order(world.order())
            .into_stream();
        let mut items = flow.start(job).unwrap();
        let watch = Stopwatch::start();
        sleep(ms(50)).await;
        while let Some(item) = items.next().await {
            item.unwrap();
        }
        watch.expect(ms(50));
        flow.expect(0..1_000);
    });
}

/// Scenario 32: the same in real time, in the best of a few rounds.
#[test]
fn a_late_consumer_is_served_in_real_time() {
    scenario("32, real time").on(THREADS).run(async |world| {
        let mut best = ms(60_000);
        for _ in 0..5 {
            let flow = world.flow();
            let job = Pipeline::from_iter(flow.items(0..1_000))
                .stage(flow.pass(1))
                .into_stream();
            let mut items = flow.start(job).unwrap();
            sleep(ms(50)).await;
            let start = Instant::now();
            while let Some(item) = items.next().await {
                item.unwrap();
            }
            best = best.min(start.elapsed());
            flow.expect(0..1_000);
            if best < ms(50) {
                return;
            }
        }
        panic!("the best of 5 rounds took {best:?}");
    });
}

/// Scenario 35: if nobody reads the errors, the run goes on and counts those that did not fit.
#[test]
fn errors_that_nobody_reads_are_counted() {
    scenario("35").on(ALL).in_both_orders().run(async |world| {
        let flow = world.flow();
        let (errors, mut failures) = mpsc::channel(16);
        let job = Pipeline::from_iter(flow.items(0..10_000))
            .stage(flow.breaks(4, |_| true))
            .parallelism(4)
            .in_order(world.order())
            .for_each(flow.receive())
            .errors(errors);
        let report = flow.run(job).await.unwrap();
        assert_eq!(report.items.failed, 10_000);
        assert_eq!(not_delivered(&report), 9_984);
        let mut read = 0;
        while failures.recv().await.is_some() {
            read += 1;
        }
        assert_eq!(read, 16);
    });
}

/// Scenario 35: if errors must not be lost, those that nobody reads stop the run, until it is cancelled.
#[test]
fn errors_that_must_not_be_lost_stop_the_run() {
    scenario("35, waiting").in_both_orders().run(async |world| {
        let flow = world.flow();
        let (errors, failures) = mpsc::channel(16);
        let job = Pipeline::from_iter(flow.items(0..10_000))
            .buffer(32)
            .stage(flow.breaks(4, |_| true))
            .parallelism(4)
            .window(8)
            .in_order(world.order())
            .for_each(flow.receive())
            .errors(errors)
            .error_overflow(Overflow::Wait);
        let bound = job.plan().max_inside as u64;
        let mut run = flow.start(job).unwrap();
        sleep(ms(1_000)).await;
        let pulled = flow.pulled();
        sleep(ms(3_600_000)).await;
        assert_eq!(flow.pulled(), pulled);
        assert!(pulled <= bound + 16, "{pulled} pulled, {bound} inside");
        let watch = Stopwatch::start();
        run.control().cancel();
        let error = run.wait().await.unwrap_err();
        assert!(matches!(error.cause, Cause::Cancelled));
        watch.expect_within(ms(10));
        drop(failures);
    });
}

/// Scenario 35: with a slow reader no error is lost if it must not be.
#[test]
fn a_slow_reader_of_errors_gets_them_all() {
    scenario("35, slow reader")
        .on(ALL)
        .in_both_orders()
        .run(async |world| {
            let flow = world.flow();
            let (errors, mut failures) = mpsc::channel(1);
            let job = Pipeline::from_iter(flow.items(0..1_000))
                .stage(flow.breaks(4, |index| index % 2 == 0))
                .parallelism(4)
                .in_order(world.order())
                .for_each(flow.receive())
                .errors(errors)
                .error_overflow(Overflow::Wait);
            let mut run = flow.start(job).unwrap();
            let reader = async {
                let mut read = Vec::new();
                while let Some(error) = failures.recv().await {
                    tokio::task::yield_now().await;
                    read.push(error.origin().first());
                }
                read
            };
            let (report, mut read) = tokio::join!(run.wait(), reader);
            assert_eq!(not_delivered(&report.unwrap()), 0);
            read.sort_unstable();
            assert!(read.into_iter().eq((0..1_000).step_by(2)));
            flow.expect((1..1_000).step_by(2));
        });
}

/// Scenario 36: if the reader of errors is gone, the run goes on, and says how many failed.
#[test]
fn a_dropped_reader_of_errors_stops_nobody() {
    scenario("36").on(ALL).in_both_orders().run(async |world| {
        for overflow in [Overflow::Count, Overflow::Wait] {
            let flow = world.flow();
            let (errors, failures) = mpsc::channel(16);
            drop(failures);
            let job = Pipeline::from_iter(flow.items(0..1_000))
                .stage(flow.breaks(2, |_| true))
                .parallelism(2)
                .in_order(world.order())
                .for_each(flow.receive())
                .errors(errors)
                .error_overflow(overflow);
            let report = flow.run(job).await.unwrap();
            assert_eq!(report.items.failed, 1_000);
            assert_eq!(not_delivered(&report), 1_000);
        }
    });
}

/// Scenario 39: a pipeline whose source has nothing does nothing.
#[test]
fn an_idle_pipeline_costs_nothing() {
    let idle = [Machine::Paused, Machine::Threads(2)];
    scenario("39").on(&idle).run(async |world| {
        let flow = world.flow();
        let polls = Arc::new(AtomicU64::new(0));
        let counter = polls.clone();
        let source = stream::poll_fn(move |_| {
            counter.fetch_add(1, Ordering::SeqCst);
            Poll::Pending
        });
        let job = Pipeline::from_stream(source)
            .then(|item: u64| ready(item))
            .parallelism(64)
            .then(ready)
            .parallelism(64)
            .unordered()
            .then(ready)
            .parallelism(64)
            .then(ready)
            .parallelism(64)
            .then(ready)
            .parallelism(64)
            .count();
        let mut run = flow.start(job).unwrap();
        let metrics = Handle::current().metrics();
        let busy = || (0..metrics.num_workers()).map(|n| metrics.worker_total_busy_duration(n));
        let parks = || (0..metrics.num_workers()).map(|n| metrics.worker_park_count(n));
        world.settled(|| polls.load(Ordering::SeqCst)).await;
        let before = (busy().sum::<std::time::Duration>(), parks().sum::<u64>());
        sleep(match world.machine() {
            Machine::Paused => ms(3_600_000),
            Machine::Threads(_) => ms(3_000),
        })
        .await;
        let busy = busy().sum::<std::time::Duration>() - before.0;
        let parks = parks().sum::<u64>() - before.1;
        assert!(polls.load(Ordering::SeqCst) <= 2);
        assert!(busy < ms(10), "busy for {busy:?}");
        // the timer of this test, and threads that look round once
        assert!(parks <= 8, "{parks} wake-ups");
        run.control().cancel();
        assert!(run.wait().await.is_err());
    });
}

/// What is read ahead of a stage that does not move is the buffer, and not one item more.
#[test]
fn the_buffer_is_exact() {
    scenario("exact buffer").on(ALL).run(async |world| {
        for buffer in [1, 2, 16, 1_500] {
            let (flow, gates) = (world.flow(), Gates::new());
            let job = Pipeline::from_iter(flow.items(0..u64::MAX))
                .buffer(buffer)
                .stage(flow.gated(1, &gates))
                .window(1)
                .for_each(flow.receive());
            let mut run = flow.start(job).unwrap();
            // the buffer, and the item in the body, for which the source may not have been asked for another
            let (buffer, pulled) = (buffer as u64, world.settled(|| flow.pulled()).await);
            assert!((buffer..=buffer + 1).contains(&pulled), "{pulled}");
            run.control().cancel();
            run.wait().await.unwrap_err();
        }
    });
}

/// The most items inside are a sum that the plan gives and prints.
#[test]
fn the_plan_says_how_many_items_can_be_inside() {
    let inside = |buffer: Option<usize>, windows: [usize; 2]| {
        let source = Pipeline::from_iter(0..3);
        let source = match buffer {
            Some(buffer) => source.buffer(buffer),
            None => source,
        };
        let job = source
            .then(ready)
            .window(windows[0])
            .then(ready)
            .window(windows[1])
            .count();
        let plan = job.plan();
        assert!(plan.to_string().contains(&plan.max_inside.to_string()));
        plan.max_inside
    };
    // the buffer, the windows, and what the end takes at once
    assert_eq!(inside(None, [5, 7]), 1_024 + 5 + 7 + 7);
    assert_eq!(inside(Some(10), [5, 300]), 10 + 5 + 300 + 256);
    assert_eq!(inside(Some(1), [1, 1]), 4);

    let (_sender, source) = Pipeline::<u64>::channel(50);
    assert_eq!(
        source.then(ready).window(9).count().plan().max_inside,
        50 + 50 + 9 + 9
    );
    let (_sender, source) = Pipeline::<u64>::channel(5_000);
    let job = source.buffer(2).then(ready).parallelism(300).count();
    assert_eq!(job.plan().max_inside, 5_000 + 2 + 1_200 + 256);
}

/// A window that nobody has set holds about as many items in batches as it holds items: it does not grow to a thousand
/// batches. What is taken apart again counts as before, and so does what nobody has gathered.
#[test]
fn the_window_behind_a_batch_is_counted_in_its_items() {
    fn window<R: Send + 'static>(job: &Job<R>) -> usize {
        let steps = job.plan().steps.into_iter().rev();
        let windows = steps.filter_map(|step| match step.kind {
            StepKind::Stage { window, .. } => Some(window),
            _ => None,
        });
        windows.max_by_key(|_| 0).expect("a stage")
    }
    let source = || Pipeline::from_iter(0..9_u64);
    assert_eq!(window(&source().then(ready).count()), 1_024);
    let batches = |n| source().batch(n, ms(1));
    assert_eq!(window(&batches(100).then(ready).count()), 10);
    assert_eq!(window(&batches(100).then(ready).parallelism(8).count()), 32);
    assert_eq!(window(&batches(5_000).then(ready).count()), 4);
    assert_eq!(
        window(&batches(10).batch(10, ms(1)).then(ready).count()),
        10
    );
    let two_stages = batches(100).then(ready).then(ready);
    assert_eq!(window(&two_stages.count()), 10);
    assert_eq!(window(&batches(100).flatten().then(ready).count()), 1_024);
    assert_eq!(window(&batches(100).then(ready).window(50).count()), 50);
}
