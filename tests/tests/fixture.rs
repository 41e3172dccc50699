//! The fixture itself: each standing check fails when it should.

use std::future::{pending, ready};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
use std::thread;

use pipeline_core::prelude::*;
use tests::prelude::*;

fn passing(flow: &Flow) -> Job {
    Pipeline::from_iter(flow.items(0..10))
        .stage(flow.pass(1))
        .for_each(flow.receive())
}

/// K1: a test that saw more items than the report has.
#[test]
#[should_panic(expected = "K1: delivered: the test saw 11, the report says 10")]
fn an_item_too_many_is_seen() {
    scenario("K1").run(async |world| {
        let flow = world.flow();
        flow.hand(flow.item(10));
        flow.run(passing(&flow)).await.unwrap();
    });
}

/// K1: an item with two fates.
#[test]
#[should_panic(expected = "K1: 1 items have more than one fate")]
fn an_item_that_comes_twice_is_seen() {
    scenario("K1").run(async |world| {
        let flow = world.flow();
        flow.hand(flow.item(3));
        flow.hand(flow.item(3));
    });
}

/// K2: an item that is never dropped.
#[test]
#[should_panic(expected = "K2: never dropped: 1 of 1 of class Item")]
fn a_leaked_item_is_seen() {
    scenario("K2").run(async |world| std::mem::forget(world.flow().item(0)));
}

/// K3: a task that goes on.
#[test]
#[should_panic(expected = "K3: 1 tasks alive, 0 before")]
fn a_leaked_task_is_seen() {
    scenario("K3").run(async |_world| {
        tokio::spawn(pending::<()>());
    });
}

/// K4: more bodies at once than allowed.
#[test]
#[should_panic(expected = "K4: 2 bodies at once where 1 are allowed")]
fn a_body_too_many_is_seen() {
    scenario("K4").run(async |world| {
        let gauge = world.flow().gauge(1);
        let _inside = (gauge.enter(0), gauge.enter(1));
    });
}

/// K4: more items pulled than the plan says.
#[test]
#[should_panic(expected = "K4: ")]
fn a_pull_too_many_is_seen() {
    scenario("K4").run(async |world| {
        let flow = world.flow();
        let job = passing(&flow);
        let bound = job.plan().max_inside as u64;
        let mut run = flow.start(job).unwrap();
        flow.items(100..101 + bound).for_each(drop);
        // the counts are wrong now, too
        run.wait().await.unwrap();
    });
}

/// Nothing has settled while a worker of the runtime computes, though nothing is to be seen of it.
#[test]
fn a_worker_that_computes_is_waited_for() {
    scenario("settled").on(THREADS).run(async |world| {
        let (looks, done) = (
            Arc::new(AtomicU32::new(0)),
            Arc::new(AtomicBool::new(false)),
        );
        let busy = {
            let (looks, done) = (Arc::clone(&looks), Arc::clone(&done));
            tokio::spawn(async move {
                // more looks than would do if all were asleep
                while looks.load(SeqCst) < 25 {
                    thread::yield_now();
                }
                done.store(true, SeqCst);
            })
        };
        let look = || {
            looks.fetch_add(1, SeqCst);
            done.load(SeqCst)
        };
        assert!(world.settled(look).await);
        busy.await.unwrap();
    });
}

/// K5: a story that does not end.
#[test]
#[should_panic(expected = "K5: scenario `stuck` on Threads(1), Ordered did not end within 100ms")]
fn a_hang_is_seen() {
    let stuck = scenario("stuck").on(&[Machine::Threads(1)]);
    stuck.within(ms(100)).run(async |_world| pending().await);
}

/// K6: a body after the end.
#[test]
#[should_panic(expected = "K6: body was called after the end")]
fn a_call_after_the_end_is_seen() {
    scenario("K6").run(async |world| {
        let flow = world.flow();
        let late = flow.pass(1);
        flow.run(passing(&flow)).await.unwrap();
        let mut late = late;
        late.process(flow.item(10)).await.unwrap();
    });
}

/// A run whose end is not waited for.
#[test]
#[should_panic(expected = "the test did not wait for the end of its run")]
fn a_forgotten_run_is_seen() {
    scenario("forgotten").run(async |world| {
        let flow = world.flow();
        let job = Pipeline::from_iter(0..3).then(ready).count();
        std::mem::forget(flow.start(job).unwrap());
        tokio::task::yield_now().await;
    });
}

/// A source that is dropped instead of closed, and a state that is closed instead of dropped.
#[test]
#[should_panic(expected = "a Source was dropped and not closed")]
fn a_missing_close_is_seen() {
    scenario("close").run(async |world| {
        let flow = world.flow();
        let source = flow.source(|_| ready(Ok(false)));
        flow.run(passing(&flow)).await.unwrap();
        drop(source);
    });
}
