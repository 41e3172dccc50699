//! Drain: stop the source, finish what was taken, within a deadline.

use std::future::pending;

use futures_util::stream;
use pipeline_core::error::Cause;
use pipeline_core::prelude::*;
use pipeline_core::report::Outcome;
use tests::prelude::*;
use tests::ticket::Kind;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

const HOUR: std::time::Duration = ms(3_600_000);

/// Scenario 91: all that was taken comes out, nothing is taken any more, and the run says that it was drained.
#[test]
fn a_drain_finishes_what_was_taken() {
    scenario("91").in_both_orders().run(async |world| {
        let flow = world.flow();
        let source = flow.source(|_| async {
            sleep(ms(1)).await;
            Ok(true)
        });
        let job = Pipeline::from_source(source)
            .stage(flow.sleeps(16, |_| ms(10)))
            .parallelism(16)
            .in_order(world.order())
            .for_each(flow.receive());
        let mut run = flow.start(job).unwrap();
        sleep(ms(1_000)).await;
        run.control().drain(HOUR);
        let pulled = flow.pulled();
        assert!((990..=1_000).contains(&pulled), "{pulled}");
        let watch = Stopwatch::start();
        let report = run.wait().await.unwrap();
        // the last item was taken at 999 or 1,000 ms
        watch.expect_within(ms(10));
        assert_eq!(report.outcome, Some(Outcome::Drained));
        assert_eq!(flow.pulled(), pulled);
        flow.expect(0..pulled);
        assert_eq!(flow.closes_of(Kind::Source), 1);
    });
}

/// Scenario 91: who sends after a drain was asked for gets the item back.
#[test]
fn a_drain_refuses_what_is_sent_later() {
    scenario("91, channel")
        .on(ALL)
        .in_both_orders()
        .run(async |world| {
            let (flow, gates) = (world.flow(), Gates::new());
            let (sender, source) = Pipeline::channel(100);
            let job = source
                .stage(flow.gated(2, &gates))
                .parallelism(2)
                .in_order(world.order())
                .for_each(flow.receive());
            let mut run = flow.start(job).unwrap();
            for index in 0..20 {
                sender.send(flow.item(index)).await.unwrap();
            }
            run.control().drain(HOUR);
            world.until(|| sender.is_closed()).await;
            let back = sender.send(flow.item(20)).await.unwrap_err();
            assert_eq!(back.0.index, 20);
            let back = sender.try_send(flow.item(21)).unwrap_err();
            assert_eq!(back.into_inner().index, 21);
            (0..20).for_each(|index| gates.open(index));
            let report = run.wait().await.unwrap();
            assert_eq!(report.outcome, Some(Outcome::Drained));
            assert_eq!(report.items.taken, 20);
            flow.expect(0..20);
        });
}

/// Scenario 94: a place in the channel that was reserved before the drain is still good; what is offered afterwards is refused.
#[test]
fn an_item_that_was_admitted_before_the_drain_is_processed() {
    scenario("94").on(ALL).run(async |world| {
        let flow = world.flow();
        let (sender, source) = Pipeline::channel(4);
        let job = source.stage(flow.pass(2)).for_each(flow.receive());
        let mut run = flow.start(job).unwrap();
        sender.send(flow.item(0)).await.unwrap();
        let place = sender.reserve().await.unwrap();
        run.control().drain(HOUR);
        world.until(|| sender.is_closed()).await;
        assert!(sender.try_reserve().is_err());
        place.send(flow.item(1));
        let report = run.wait().await.unwrap();
        assert_eq!(report.outcome, Some(Outcome::Drained));
        flow.expect([0, 1]);
    });
}

/// Scenario 94: a source that is asked at the moment of the drain may answer, and that item is processed.
#[test]
fn an_item_in_the_hand_of_the_source_is_processed() {
    scenario("94, source").on(ALL).run(async |world| {
        let flow = world.flow();
        let (asked, answer) = (Gate::new(), Gate::new());
        let gates = (asked.clone(), answer.clone());
        let source = flow.source(move |index| {
            let (asked, answer) = gates.clone();
            async move {
                if index == 1 {
                    asked.open();
                    answer.pass().await;
                }
                Ok(true)
            }
        });
        let job = Pipeline::from_source(source)
            .buffer(1)
            .stage(flow.pass(1))
            .for_each(flow.receive());
        let mut run = flow.start(job).unwrap();
        asked.pass().await;
        run.control().drain(HOUR);
        answer.open();
        let report = run.wait().await.unwrap();
        assert_eq!(report.outcome, Some(Outcome::Drained));
        // item 1 was given or was not, and that is all: it is not lost on the way
        flow.expect(0..flow.pulled());
        assert!((1..=2).contains(&flow.pulled()), "{}", flow.pulled());
    });
}

/// Scenario 97: a drain may be asked for any number of times, from anywhere, and after the end.
#[test]
fn a_drain_may_be_asked_for_many_times() {
    scenario("97").on(ALL).in_both_orders().run(async |world| {
        let (flow, gates) = (world.flow(), Gates::new());
        let job = Pipeline::from_iter(flow.items(0..u64::MAX))
            .buffer(4)
            .stage(flow.gated(4, &gates))
            .parallelism(4)
            .window(16)
            .in_order(world.order())
            .for_each(flow.receive());
        let mut run = flow.start(job).unwrap();
        let control = run.control();
        let pulled = world.settled(|| flow.pulled()).await;
        control.drain(HOUR);
        control.drain(HOUR);
        let drains: Vec<_> = (0..3)
            .map(|_| {
                let control = control.clone();
                tokio::spawn(async move { control.drain(HOUR) })
            })
            .collect();
        for drain in drains {
            drain.await.unwrap();
        }
        (0..pulled).for_each(|index| gates.open(index));
        let report = run.wait().await.unwrap();
        assert_eq!(report.outcome, Some(Outcome::Drained));
        assert_eq!(flow.pulled(), pulled);
        flow.expect(0..pulled);
        control.drain(ms(0));
        assert_eq!(control.metrics().outcome, Some(Outcome::Drained));
    });
}

/// A drain that takes too long ends at its deadline, and the report says what was not finished.
#[test]
fn a_drain_ends_at_its_deadline() {
    scenario("deadline").in_both_orders().run(async |world| {
        let flow = world.flow();
        let body = flow.sleeps(4, |index| ms(if index == 5 { 3_600_000 } else { 10 }));
        let job = Pipeline::from_iter(flow.items(0..u64::MAX))
            .buffer(1)
            .stage(body)
            .parallelism(4)
            .window(8)
            .in_order(world.order())
            .for_each(flow.receive());
        let mut run = flow.start(job).unwrap();
        sleep(ms(100)).await;
        let watch = Stopwatch::start();
        run.control().drain(ms(1_000));
        let error = run.wait().await.unwrap_err();
        watch.expect(ms(1_000));
        assert!(matches!(error.cause, Cause::DeadlinePassed(after) if after == ms(1_000)));
        assert_eq!(error.report.outcome, Some(Outcome::DeadlinePassed));
        let items = error.report.items;
        assert_eq!(items.taken - items.delivered, items.cancelled);
        // in order, what was finished behind the hanging item cannot leave; else all but that one has
        if world.ordered() {
            flow.expect(0..5);
        } else {
            assert_eq!(items.cancelled, 1);
        }
    });
}

/// A token can ask for a drain.
#[test]
fn a_token_can_drain() {
    scenario("drain token")
        .on(ALL)
        .in_both_orders()
        .run(async |world| {
            let (flow, token) = (world.flow(), CancellationToken::new());
            let job = Pipeline::from_iter(flow.items(0..u64::MAX))
                .stage(flow.pass(4))
                .parallelism(4)
                .in_order(world.order())
                .for_each(flow.receive())
                .drain_on(&token, HOUR);
            let mut run = flow.start(job).unwrap();
            tokio::task::yield_now().await;
            token.cancel();
            let report = run.wait().await.unwrap();
            assert_eq!(report.outcome, Some(Outcome::Drained));
            flow.expect(0..flow.pulled());
        });
}

/// A drain does not wait for a source that has nothing.
#[test]
fn a_drain_does_not_wait_for_the_source() {
    scenario("idle sources").on(ALL).run(async |world| {
        let flow = world.flow();
        let job = Pipeline::from_stream(stream::pending::<Item>())
            .stage(flow.pass(4))
            .for_each(flow.receive());
        drained(&world, &flow, job).await;

        let flow = world.flow();
        let source = flow.source(|_| pending());
        let job = Pipeline::from_source(source)
            .stage(flow.pass(4))
            .for_each(flow.receive());
        drained(&world, &flow, job).await;
        assert_eq!(flow.closes_of(Kind::Source), 1);

        let flow = world.flow();
        let (_sender, source) = Pipeline::<Item>::channel(4);
        let job = source.stage(flow.pass(4)).for_each(flow.receive());
        drained(&world, &flow, job).await;
    });
}

async fn drained(world: &World, flow: &Flow, job: Job) {
    let mut run = flow.start(job).unwrap();
    world.settled(|| flow.pulled()).await;
    run.control().drain(HOUR);
    let report = run.wait().await.unwrap();
    assert_eq!(report.outcome, Some(Outcome::Drained));
}

/// A drain while the source is held back by a slow consumer: the source is stopped, the consumer gets what was taken.
#[test]
fn a_drain_works_while_the_source_is_blocked() {
    scenario("blocked source")
        .on(ALL)
        .in_both_orders()
        .run(async |world| {
            let flow = world.flow();
            let job = Pipeline::from_iter(flow.items(0..u64::MAX))
                .buffer(4)
                .stage(flow.pass(2))
                .parallelism(2)
                .window(4)
                .in_order(world.order())
                .into_stream();
            let mut items = flow.start(job).unwrap();
            let pulled = world.settled(|| flow.pulled()).await;
            items.control().drain(HOUR);
            while let Some(item) = items.next().await {
                item.unwrap();
            }
            assert_eq!(flow.pulled(), pulled);
            flow.expect(0..pulled);
            assert_eq!(flow.metrics().outcome, Some(Outcome::Drained));
        });
}

/// Asking for a drain is not an outcome: an item that fails afterwards is.
#[test]
fn a_failure_after_a_drain_is_not_hidden() {
    scenario("failure in a drain")
        .on(ALL)
        .in_both_orders()
        .run(async |world| {
            let (flow, gates) = (world.flow(), Gates::new());
            let body = flow.body_with(4, gates.clone(), |item, gates| async move {
                gates.pass(item.index).await;
                if item.index == 2 {
                    return Err(item.fault("too late"));
                }
                Ok(item)
            });
            let job = Pipeline::from_iter(flow.items(0..4))
                .stage(body)
                .parallelism(4)
                .in_order(world.order())
                .for_each(flow.receive());
            let mut run = flow.start(job).unwrap();
            world.settled(|| flow.pulled()).await;
            run.control().drain(HOUR);
            world.settled(|| flow.pulled()).await;
            gates.open(2);
            assert_eq!(failure(run.wait().await).origin().first(), 2);
        });
}

/// A cancel after a drain stops what the drain would have finished.
#[test]
fn a_cancel_cuts_a_drain_short() {
    scenario("cancel in a drain")
        .on(ALL)
        .in_both_orders()
        .run(async |world| {
            let (flow, gates) = (world.flow(), Gates::new());
            let job = Pipeline::from_iter(flow.items(0..10))
                .stage(flow.gated(4, &gates))
                .parallelism(4)
                .in_order(world.order())
                .for_each(flow.receive());
            let mut run = flow.start(job).unwrap();
            world.settled(|| flow.pulled()).await;
            run.control().drain(HOUR);
            world.settled(|| flow.pulled()).await;
            run.control().cancel();
            assert!(matches!(cause(run.wait().await), Cause::Cancelled));
        });
}

/// A run whose source ends by itself before the drain bites has finished; one whose source was stopped has drained.
#[test]
fn a_drain_of_nothing_ends_well() {
    scenario("nothing to drain").on(ALL).run(async |world| {
        let flow = world.flow();
        let job = Pipeline::from_iter(flow.items(0..0))
            .stage(flow.pass(4))
            .for_each(flow.receive());
        let mut run = flow.start(job).unwrap();
        run.control().drain(HOUR);
        let report = run.wait().await.unwrap();
        assert!(matches!(
            report.outcome,
            Some(Outcome::Drained | Outcome::Finished)
        ));
        assert_eq!(report.items.taken, 0);
    });
}

/// A drain at every moment of a run loses nothing of what was taken.
#[test]
fn a_run_may_be_drained_at_any_moment() {
    scenario("any moment").in_both_orders().run(async |world| {
        for moment in 0..150 {
            let flow = world.flow();
            let source = flow.source(|index| async move {
                tokio::task::yield_now().await;
                Ok(index < 20)
            });
            let body = flow.body(3, |item| async move {
                for _ in 0..item.index % 3 {
                    tokio::task::yield_now().await;
                }
                Ok(item)
            });
            let job = Pipeline::from_source(source)
                .buffer(2)
                .stage(body)
                .parallelism(3)
                .window(4)
                .in_order(world.order())
                .stage(flow.pass(2))
                .parallelism(2)
                .window(2)
                .in_order(world.order())
                .sink(flow.sink(|_| async {
                    tokio::task::yield_now().await;
                    Ok(())
                }));
            let mut run = flow.start(job).unwrap();
            for _ in 0..moment {
                tokio::task::yield_now().await;
            }
            run.control().drain(HOUR);
            run.wait().await.unwrap();
            flow.expect(0..flow.pulled());
        }
    });
}

/// A drain for as long as it takes has no deadline, not even one in thirty years, which is tokio's longest sleep.
#[test]
fn a_drain_without_a_deadline_waits_for_as_long_as_it_takes() {
    scenario("without a deadline").run(async |world| {
        let (flow, gates) = (world.flow(), Gates::new());
        let job = Pipeline::from_iter(flow.items(0..1))
            .stage(flow.gated(1, &gates))
            .for_each(flow.receive());
        let mut run = flow.start(job).unwrap();
        world.settled(|| flow.pulled()).await;
        run.control().drain(std::time::Duration::MAX);
        // nothing else is there to jump to
        let years = tokio::time::timeout(40 * 365 * 24 * HOUR, run.wait()).await;
        assert!(years.is_err(), "it gave up: {years:?}");
        gates.open(0);
        let report = run.wait().await.unwrap();
        assert_eq!(report.items.delivered, 1);
    });
}
