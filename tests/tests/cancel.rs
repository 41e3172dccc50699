//! Cancel: stop now. What is asked for twice, too late, or from inside changes nothing.

use std::future::{pending, ready};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use futures_util::stream;
use pipeline_core::error::Cause;
use pipeline_core::prelude::*;
use pipeline_core::report::Outcome;
use pipeline_core::run::Control;
use tests::prelude::*;
use tokio::task::yield_now;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// Scenario 78: a run whose token is cancelled before the start does nothing, and says so.
#[test]
fn a_run_that_is_cancelled_before_its_start_does_nothing() {
    scenario("78").on(ALL).run(async |world| {
        let flow = world.flow();
        let token = CancellationToken::new();
        token.cancel();
        let body = flow.pass(4);
        let gauge = body.gauge();
        let job = Pipeline::from_iter(flow.items(0..1_000))
            .stage(body)
            .parallelism(4)
            .for_each(flow.receive())
            .cancel_on(&token);
        let mut run = flow.start(job).unwrap();
        let control = run.control();
        control.cancel();
        control.drain(ms(1));
        assert!(matches!(cause(run.wait().await), Cause::Cancelled));
        control.cancel();
        control.drain(ms(1));
        assert_eq!(control.metrics().outcome, Some(Outcome::Cancelled));
        assert_eq!(gauge.count(), 0);
    });
}

/// Scenario 78: who sends into such a run gets the item back.
#[test]
fn a_channel_of_a_cancelled_run_gives_items_back() {
    scenario("78, channel").on(ALL).run(async |world| {
        let flow = world.flow();
        let token = CancellationToken::new();
        token.cancel();
        let (sender, source) = Pipeline::channel(4);
        let body = flow.pass(4);
        let gauge = body.gauge();
        let job = source
            .stage(body)
            .for_each(flow.receive())
            .cancel_on(&token);
        let mut run = flow.start(job).unwrap();
        assert!(matches!(cause(run.wait().await), Cause::Cancelled));
        for index in 0..10 {
            let back = sender.send(flow.item(index)).await.unwrap_err();
            assert_eq!(back.0.index, index);
        }
        assert_eq!(gauge.count(), 0);
    });
}

/// Scenario 79: a cancel ends bodies in the middle: at once, all of them, for good.
#[test]
fn a_cancel_drops_what_is_running() {
    scenario("79").in_both_orders().run(async |world| {
        let flow = world.flow();
        let body = flow.sleeps(8, |_| ms(1_000));
        let gauge = body.gauge();
        let job = Pipeline::from_iter(flow.items(0..u64::MAX))
            .stage(body)
            .parallelism(8)
            .in_order(world.order())
            .for_each(flow.receive());
        let watch = Stopwatch::start();
        let mut run = flow.start(job).unwrap();
        sleep(ms(5_500)).await;
        assert_eq!(gauge.now(), 8);
        run.control().cancel();
        let error = run.wait().await.unwrap_err();
        watch.expect_within(ms(5_510));
        assert!(matches!(error.cause, Cause::Cancelled));
        flow.expect(0..40);
        assert_eq!(gauge.now(), 0);
        assert_eq!(error.report.items.taken - 40, error.report.items.cancelled);
        sleep(ms(10_000)).await;
        assert_eq!(gauge.count(), 48);
    });
}

/// Scenario 80: in whatever order cancel, drain and drop are called, the run ends as cancelled.
#[test]
fn calls_in_any_order_give_the_first_outcome() {
    let orders = ["ccdx", "cdcx", "dccx", "cxcd", "xccd", "dxcc"];
    scenario("80").on(ALL).run(async move |world| {
        for calls in orders {
            let flow = world.flow();
            let body = flow.body(4, |item| async move {
                pending::<()>().await;
                Ok(item)
            });
            let job = Pipeline::from_iter(flow.items(0..100))
                .stage(body)
                .parallelism(4)
                .for_each(flow.receive());
            let mut run = Some(flow.start(job).unwrap());
            let control = run.as_ref().unwrap().control();
            world.settled(|| flow.pulled()).await;
            for call in calls.chars() {
                match call {
                    'c' => control.cancel(),
                    'd' => control.drain(ms(60_000)),
                    _ => run = None,
                }
            }
            assert!(run.is_none());
            world.until(|| control.metrics().outcome.is_some()).await;
            let end = control.metrics().outcome;
            assert_eq!(end, Some(Outcome::Cancelled), "{calls}");
        }
    });
}

/// Scenario 81: a cancel after the end changes nothing.
#[test]
fn a_cancel_after_the_end_changes_nothing() {
    scenario("81").on(ALL).in_both_orders().run(async |world| {
        let flow = world.flow();
        let token = CancellationToken::new();
        let job = Pipeline::from_iter(flow.items(0..100))
            .stage(flow.pass(4))
            .parallelism(4)
            .in_order(world.order())
            .for_each(flow.receive())
            .cancel_on(&token);
        let mut run = flow.start(job).unwrap();
        let control = run.control();
        while control.metrics().outcome.is_none() {
            sleep(ms(1)).await;
        }
        control.cancel();
        token.cancel();
        let report = run.wait().await.unwrap();
        assert_eq!(report.outcome, Some(Outcome::Finished));
        assert_eq!(control.metrics().outcome, Some(Outcome::Finished));
        flow.expect(0..100);
    });
}

/// Scenario 86: a body that cancels its own run ends the poll that it is in, and is not polled again.
#[test]
fn a_body_may_cancel_its_own_run() {
    scenario("86").on(ALL).in_both_orders().run(async |world| {
        let flow = world.flow();
        let (control, went_on) = (
            Arc::new(OnceLock::<Control>::new()),
            Arc::new(AtomicBool::new(false)),
        );
        let ready = Gate::new();
        let shared = (control.clone(), went_on.clone(), ready.clone());
        let body = flow.body_with(4, shared, |item, shared| async move {
            let (control, went_on, ready) = shared;
            ready.pass().await;
            if item.index == 7 {
                control.get().expect("set before the gate").cancel();
                yield_now().await;
                went_on.store(true, Ordering::SeqCst);
            }
            Ok(item)
        });
        let job = Pipeline::from_iter(flow.items(0..u64::MAX))
            .stage(body)
            .parallelism(4)
            .in_order(world.order())
            .for_each(flow.receive());
        let mut run = flow.start(job).unwrap();
        control.set(run.control()).expect("set once");
        ready.open();
        assert!(matches!(cause(run.wait().await), Cause::Cancelled));
        assert!(!went_on.load(Ordering::SeqCst));
    });
}

/// Scenario 87: to drop the owner is to cancel: nothing is detached, nothing is left.
#[test]
fn dropping_the_owner_cancels() {
    scenario("87").on(ALL).in_both_orders().run(async |world| {
        let flow = world.flow();
        let body = flow.body(8, |item| async move {
            pending::<()>().await;
            Ok(item)
        });
        let gauge = body.gauge();
        let job = Pipeline::from_iter(flow.items(0..u64::MAX))
            .stage(body)
            .parallelism(8)
            .in_order(world.order())
            .for_each(flow.receive());
        let run = flow.start(job).unwrap();
        let control = run.control();
        assert_eq!(world.settled(|| gauge.now()).await, 8);
        drop(run);
        drop(control);
        assert_eq!(world.settled(|| gauge.now()).await, 0);
    });
}

/// Scenario 87: to drop the future of `run` is to cancel, too.
#[test]
fn dropping_the_future_of_a_run_cancels() {
    scenario("87, future").on(ALL).run(async |world| {
        let flow = world.flow();
        let body = flow.body(8, |item| async move {
            pending::<()>().await;
            Ok(item)
        });
        let gauge = body.gauge();
        let job = Pipeline::from_iter(flow.items(0..100))
            .stage(body)
            .parallelism(8)
            .for_each(flow.receive());
        let run = job.run();
        tokio::select! {
            _ = run => panic!("it cannot end"),
            8 = world.settled(|| gauge.now()) => {}
        }
        assert_eq!(world.settled(|| gauge.now()).await, 0);
    });
}

/// `wait` is cancel safe: it may lose a race any number of times.
#[test]
fn a_wait_that_is_dropped_loses_nothing() {
    scenario("wait is cancel safe")
        .in_both_orders()
        .run(async |world| {
            let flow = world.flow();
            let job = Pipeline::from_iter(flow.items(0..100))
                .stage(flow.sleeps(1, |_| ms(1)))
                .in_order(world.order())
                .for_each(flow.receive());
            let mut run = flow.start(job).unwrap();
            let mut lost = 0;
            let report = loop {
                tokio::select! {
                    result = run.wait() => break result.unwrap(),
                    () = sleep(ms(7)) => lost += 1,
                }
            };
            assert_eq!(report.items.delivered, 100);
            assert!(lost > 10);
            flow.expect(0..100);
        });
}

/// A token given by the user is only listened to: the run neither cancels it nor needs it to be kept.
#[test]
fn a_token_is_listened_to_and_left_alone() {
    scenario("tokens").on(ALL).run(async |world| {
        let (flow, token) = (world.flow(), CancellationToken::new());
        let job = Pipeline::from_iter(flow.items(0..100))
            .stage(flow.breaks(4, |index| index == 50))
            .for_each(flow.receive())
            .cancel_on(&token);
        failure(flow.run(job).await);
        assert!(!token.is_cancelled());

        let flow = world.flow();
        let job = Pipeline::from_iter(flow.items(0..u64::MAX))
            .stage(flow.pass(4))
            .for_each(flow.receive())
            .cancel_on(&token.child_token());
        let mut run = flow.start(job).unwrap();
        yield_now().await;
        token.cancel();
        assert!(matches!(cause(run.wait().await), Cause::Cancelled));
    });
}

/// A cancel ends a run whatever it is waiting for.
#[test]
fn a_cancel_ends_every_wait() {
    scenario("every wait").on(ALL).run(async |world| {
        // for a source that is a stream
        let flow = world.flow();
        let job = Pipeline::from_stream(stream::pending::<Item>())
            .stage(flow.pass(4))
            .for_each(flow.receive());
        cancelled(&world, &flow, job).await;

        // for a source of the user's
        let flow = world.flow();
        let source = flow.source(|_| pending());
        let job = Pipeline::from_source(source).for_each(flow.receive());
        cancelled(&world, &flow, job).await;

        // for a channel
        let flow = world.flow();
        let (_sender, source) = Pipeline::<Item>::channel(4);
        let job = source.stage(flow.pass(4)).for_each(flow.receive());
        cancelled(&world, &flow, job).await;

        // for a stage to be made
        let flow = world.flow();
        let body = Arc::new(std::sync::Mutex::new(flow.pass(1)));
        let job = Pipeline::from_iter(flow.items(0..100))
            .stage_with(move || {
                let body = body.clone();
                async move {
                    pending::<()>().await;
                    let body = body.lock().expect("no panic").clone();
                    Ok::<_, BoxError>(body)
                }
            })
            .for_each(flow.receive());
        cancelled(&world, &flow, job).await;

        // for the sink
        let flow = world.flow();
        let job = Pipeline::from_iter(flow.items(0..100))
            .stage(flow.pass(4))
            .sink(flow.sink(|_| pending()));
        cancelled(&world, &flow, job).await;

        // for the closure that ends it
        let flow = world.flow();
        let job = Pipeline::from_iter(flow.items(0..100))
            .stage(flow.pass(4))
            .try_for_each(|item| async move {
                pending::<()>().await;
                drop(item);
                Ok::<_, BoxError>(())
            });
        cancelled(&world, &flow, job).await;

        // for a consumer who does not come
        let flow = world.flow();
        let job = Pipeline::from_iter(flow.items(0..u64::MAX))
            .stage(flow.pass(4))
            .into_stream();
        let mut run = flow.start(job).unwrap();
        world.settled(|| flow.pulled()).await;
        run.control().cancel();
        assert!(matches!(cause(run.wait().await), Cause::Cancelled));
    });
}

async fn cancelled(world: &World, flow: &Flow, job: Job) {
    let mut run = flow.start(job).unwrap();
    world.settled(|| flow.pulled()).await;
    run.control().cancel();
    assert!(matches!(cause(run.wait().await), Cause::Cancelled));
}

/// After the end of the source, with results that nobody has taken, a cancel still works.
#[test]
fn a_cancel_works_when_only_results_are_left() {
    scenario("unread results")
        .on(ALL)
        .in_both_orders()
        .run(async |world| {
            let flow = world.flow();
            let job = Pipeline::from_iter(flow.items(0..10))
                .stage(flow.pass(4))
                .parallelism(4)
                .in_order(world.order())
                .into_stream();
            let mut items = flow.start(job).unwrap();
            items.next().await.unwrap().unwrap();
            world.settled(|| flow.metrics().stages).await;
            items.control().cancel();
            // what is there already may still come; then the end is told, once
            let error = loop {
                match items.next().await {
                    Some(Ok(_)) => {}
                    Some(Err(error)) => break error,
                    None => panic!("the stream of a cancelled run looks like a finished one"),
                }
            };
            assert!(matches!(error.cause, Cause::Cancelled));
            assert!(items.next().await.is_none());
        });
}

/// A cancel at every moment of a run, one after the other, loses nothing and hangs nowhere.
#[test]
fn a_run_may_be_cancelled_at_any_moment() {
    scenario("any moment").in_both_orders().run(async |world| {
        for moment in 0..150 {
            let flow = world.flow();
            let source = flow.source(|index| async move {
                yield_now().await;
                Ok(index < 20)
            });
            let body = flow.body(3, |item| async move {
                for _ in 0..item.index % 3 {
                    yield_now().await;
                }
                Ok(item)
            });
            let job = Pipeline::from_source(source)
                .buffer(2)
                .stage(body)
                .parallelism(3)
                .window(4)
                .in_order(world.order())
                .filter(flow.keep(|index| index != 11))
                .stage(flow.pass(2))
                .parallelism(2)
                .window(2)
                .in_order(world.order())
                .sink(flow.sink(|_| async {
                    yield_now().await;
                    Ok(())
                }));
            let mut run = flow.start(job).unwrap();
            for _ in 0..moment {
                yield_now().await;
            }
            run.control().cancel();
            match run.wait().await {
                Ok(report) => assert_eq!(report.items.delivered, 19),
                Err(error) => assert!(matches!(error.cause, Cause::Cancelled)),
            }
        }
    });
}

/// The same on threads, where the moment is whenever it happens to be.
#[test]
fn a_run_may_be_cancelled_at_any_moment_on_threads() {
    scenario("any moment, threads")
        .on(THREADS)
        .in_both_orders()
        .run(async |world| {
            for round in 0..200 {
                let flow = world.flow();
                let job = Pipeline::from_iter(flow.items(0..u64::MAX))
                    .stage(flow.pass(3))
                    .parallelism(3)
                    .in_order(world.order())
                    .then(ready)
                    .for_each(flow.receive());
                let mut run = flow.start(job).unwrap();
                for _ in 0..round % 20 {
                    yield_now().await;
                }
                run.control().cancel();
                assert!(matches!(cause(run.wait().await), Cause::Cancelled));
            }
        });
}
