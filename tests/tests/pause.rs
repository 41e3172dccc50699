//! Pause and resume: sources are asked for nothing, what is inside goes on.

use std::future::pending;
use std::sync::Arc;

use pipeline_core::error::Cause;
use pipeline_core::prelude::*;
use pipeline_core::report::Outcome;
use tests::prelude::*;
use tokio::time::sleep;
use tokio_stream::wrappers::ReceiverStream;

const HOUR: std::time::Duration = ms(3_600_000);

/// Nothing is taken while the run is paused, and what had been taken comes out. Resumed, it goes on where it was.
#[test]
fn a_paused_run_takes_nothing() {
    scenario("pause")
        .on(ALL)
        .in_both_orders()
        .run(async |world| {
            let flow = world.flow();
            let half = u64::MAX / 2;
            let sources = [0, half].map(|from| Pipeline::from_iter(flow.items(from..from + half)));
            let job = Pipeline::merge_all(sources)
                .stage(flow.pass(4))
                .parallelism(4)
                .in_order(world.order())
                .for_each(flow.receive());
            let mut run = flow.start(job).unwrap();
            let control = run.control();
            let delivered = || flow.metrics().items.delivered;
            world.until(|| delivered() > 1_000).await;
            control.pause();
            control.pause();
            assert!(control.is_paused());
            let (pulled, out) = world.settled(|| (flow.pulled(), delivered())).await;
            assert_eq!(out, pulled);
            if world.machine() == Machine::Paused {
                sleep(HOUR).await;
            }
            assert_eq!(flow.pulled(), pulled);
            control.resume();
            assert!(!control.is_paused());
            world.until(|| delivered() > pulled + 1_000).await;
            control.drain(HOUR);
            let report = run.wait().await.unwrap();
            assert_eq!(report.items.delivered, flow.pulled());
        });
}

/// A run may be paused before it has taken anything.
#[test]
fn a_run_is_paused_from_its_start() {
    scenario("from the start").run(async |world| {
        let flow = world.flow();
        let job = Pipeline::from_iter(flow.items(0..10)).for_each(flow.receive());
        let mut run = flow.start(job).unwrap();
        run.control().pause();
        assert_eq!(world.settled(|| flow.pulled()).await, 0);
        run.control().resume();
        run.wait().await.unwrap();
        flow.expect(0..10);
    });
}

/// Who sends into a paused run waits when its channel is full; nothing that was sent is lost, and its order is kept.
#[test]
fn nothing_that_was_sent_is_lost() {
    scenario("channel").on(ALL).run(async |world| {
        let flow = world.flow();
        let (sender, sent) = Pipeline::channel(4);
        let mut run = flow
            .start(sent.stage(flow.pass(2)).for_each(flow.receive()))
            .unwrap();
        let control = run.control();
        for round in 0..4u64 {
            control.pause();
            world.settled(|| flow.metrics().items).await;
            let mut accepted = 0;
            while sender.try_send(flow.item(round * 100 + accepted)).is_ok() {
                accepted += 1;
            }
            assert!(accepted >= 4, "{accepted}");
            let out = flow.out().len();
            world.settled(|| flow.metrics().items).await;
            assert_eq!(flow.out().len(), out);
            control.resume();
            world
                .until(|| flow.out().len() == out + accepted as usize)
                .await;
        }
        drop(sender);
        run.wait().await.unwrap();
        assert!(flow.out().is_sorted());
    });
}

/// A stream and a source that is awaited lose nothing either when they are paused while they wait.
#[test]
fn nothing_is_lost_of_a_source_that_waits() {
    scenario("stream and source").run(async |world| {
        let flow = world.flow();
        let (sender, sent) = tokio::sync::mpsc::channel(4);
        let slow = flow.source(|index| async move {
            sleep(ms(10)).await;
            Ok(index < 50)
        });
        let job = Pipeline::from_stream(ReceiverStream::new(sent))
            .merge(Pipeline::from_source(slow))
            .for_each(flow.receive());
        let mut run = flow.start(job).unwrap();
        let control = run.control();
        for index in 0..50 {
            sender.send(flow.pull(1_000 + index)).await.unwrap();
            sleep(ms(7)).await;
            control.pause();
            sleep(ms(7)).await;
            control.resume();
            // longer than the source takes for an item
            sleep(ms(11)).await;
        }
        drop(sender);
        run.wait().await.unwrap();
        let mut out = flow.out();
        out.sort_unstable();
        assert_eq!(out, (0..50).chain(1_000..1_050).collect::<Vec<_>>());
    });
}

/// A source that is being waited for is let go of at once, not when it has something, and asked anew afterwards.
#[test]
fn a_source_that_waits_is_let_go() {
    scenario("let go").on(ALL).run(async |world| {
        let (flow, asked) = (world.flow(), Arc::new(()));
        let held = Arc::clone(&asked);
        let source = flow.source(move |_| {
            let inside = Arc::clone(&held);
            async move {
                let _inside = inside;
                pending().await
            }
        });
        let job = Pipeline::from_source(source).for_each(flow.receive());
        let mut run = flow.start(job).unwrap();
        let control = run.control();
        // one here, one in the source, and one in its future
        let holders = || Arc::strong_count(&asked);
        for _ in 0..3 {
            world.until(|| holders() == 3).await;
            control.pause();
            world.until(|| holders() == 2).await;
            control.resume();
        }
        control.drain(HOUR);
        run.wait().await.unwrap();
    });
}

/// A drain of a paused run ends it, with what it has accepted; a cancel ends it, too, and so does a drop.
#[test]
fn a_paused_run_is_stopped() {
    for end in 0..3 {
        scenario("stopped").on(ALL).run(async move |world| {
            let flow = world.flow();
            let (sender, sent) = Pipeline::channel(100);
            let endless = Pipeline::from_iter(flow.items(0..u64::MAX / 2));
            let job = endless
                .merge(sent)
                .stage(flow.pass(2))
                .for_each(flow.receive());
            let mut run = flow.start(job).unwrap();
            let control = run.control();
            world.until(|| flow.out().len() > 500).await;
            control.pause();
            world.settled(|| flow.metrics().items).await;
            for index in 0..40 {
                let index = u64::MAX / 2 + index;
                // only a drain takes them
                let item = if end == 0 {
                    flow.pull(index)
                } else {
                    flow.item(index)
                };
                sender.send(item).await.unwrap();
            }
            match end {
                0 => {
                    control.drain(HOUR);
                    let report = run.wait().await.unwrap();
                    assert_eq!(report.outcome, Some(Outcome::Drained));
                    let sent = flow
                        .out()
                        .into_iter()
                        .filter(|index| *index >= u64::MAX / 2);
                    assert_eq!(sent.count(), 40);
                }
                1 => {
                    control.cancel();
                    assert!(matches!(cause(run.wait().await), Cause::Cancelled));
                    control.resume();
                }
                _ => {
                    drop(run);
                }
            }
        });
    }
}

/// Pauses at random moments change nothing of what comes out, nor of its order.
#[test]
fn pauses_change_nothing() {
    scenario("random").on(ALL).run(async |world| {
        let flow = world.flow();
        let job = Pipeline::from_iter(flow.items(0..30_000))
            .buffer(7)
            .stage(flow.pass(3))
            .parallelism(3)
            .window(16)
            .for_each(flow.receive());
        let mut run = flow.start(job).unwrap();
        let control = run.control();
        let toggles = tokio::spawn(async move {
            for _ in 0..500 {
                control.pause();
                tokio::task::yield_now().await;
                control.resume();
                tokio::task::yield_now().await;
            }
        });
        run.wait().await.unwrap();
        toggles.await.unwrap();
        flow.expect(0..30_000);
    });
}
