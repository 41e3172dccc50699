//! Fairness: a pipeline leaves room for others, and one body that hogs its thread leaves room for the rest.

use std::future::ready;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use pipeline_core::prelude::*;
use tests::prelude::*;
use tokio::runtime::Builder;
use tokio::task::{block_in_place, yield_now};

/// 16 items through 4 workers.
async fn inner(outer: u64) -> Result<u64, pipeline_core::error::RunError> {
    let report = Pipeline::from_iter(0..16)
        .then(|n| async move {
            yield_now().await;
            n
        })
        .parallelism(4)
        .fold(0, move |sum, _| sum + outer)
        .run()
        .await?;
    Ok(report.value)
}

/// Scenario 187: a body may run a pipeline of its own, also where there is one thread for all.
#[test]
fn pipelines_may_be_nested() {
    scenario("187").on(ALL).in_both_orders().run(async |world| {
        let flow = world.flow();
        let job = Pipeline::from_iter(0..16)
            .and_then(inner)
            .parallelism(4)
            .in_order(world.order())
            .collect();
        let mut value = flow.run(job).await.unwrap().value;
        value.sort_unstable();
        assert!(value.into_iter().eq((0..16).map(|n| 16 * n)));
    });
}

/// A pipeline that always has work gives way to other tasks, also where there is one thread for all.
#[test]
fn a_busy_pipeline_gives_way() {
    scenario("giving way")
        .on(ALL)
        .in_both_orders()
        .run(async |world| {
            let flow = world.flow();
            let job = Pipeline::from_iter(0..u64::MAX)
                .then(ready)
                .parallelism(4)
                .in_order(world.order())
                .filter(|n| n % 2 == 0)
                .for_each(drop);
            let mut run = flow.start(job).unwrap();
            let sibling = tokio::spawn(async {
                for _ in 0..200 {
                    yield_now().await;
                }
            });
            sibling.await.unwrap();
            run.control().cancel();
            run.wait().await.unwrap_err();
        });
}

/// A source that always has something gives way to other tasks before its buffer is full.
#[test]
fn a_busy_source_gives_way() {
    const ROOM: u64 = 1 << 20;
    scenario("a busy source").run(async |world| {
        let flow = world.flow();
        let (begun, enough) = (
            Arc::new(AtomicBool::new(false)),
            Arc::new(AtomicBool::new(false)),
        );
        let (begins, ends) = (Arc::clone(&begun), Arc::clone(&enough));
        let numbers = (0..ROOM).take_while(move |_| {
            begins.store(true, Relaxed);
            !ends.load(Relaxed)
        });
        let job = Pipeline::from_iter(numbers)
            .buffer(ROOM as usize)
            .for_each(drop);
        let mut run = flow.start(job).unwrap();
        let sibling = tokio::spawn(async move {
            while !begun.load(Relaxed) {
                yield_now().await;
            }
            enough.store(true, Relaxed);
        });
        sibling.await.unwrap();
        assert!(run.wait().await.unwrap().items.delivered < ROOM);
    });
}

/// A body that computes for long delays the rest of its run and no more: later items get to other workers. They
/// are not so cheap that they are taken many at a time: there nobody gives way to whom he has just woken.
#[test]
fn a_body_that_computes_does_not_hold_up_the_others() {
    const COMPUTES: Duration = Duration::from_micros(20);
    let two = [Machine::Threads(2), Machine::Threads(8)];
    scenario("computing body")
        .on(&two)
        .in_both_orders()
        .run(async |world| {
            for slow in [0, 500] {
                let (flow, door) = (world.flow(), Door::new());
                let body = flow.body_with(2, door, move |item, door| {
                    if item.index == slow {
                        door.pass();
                    }
                    // so far behind that it cannot be in the same run
                    if item.index == slow + 300 {
                        door.open();
                    }
                    let start = Instant::now();
                    while start.elapsed() < COMPUTES {}
                    ready(Ok(item))
                });
                let job = Pipeline::from_iter(flow.items(0..1_000))
                    .stage(body)
                    .parallelism(2)
                    .in_order(world.order())
                    .for_each(flow.receive());
                flow.run(job).await.unwrap();
                flow.expect(0..1_000);
            }
        });
}

/// Bodies that block in place get their parallelism, however few threads the runtime has.
#[test]
fn bodies_that_block_in_place_run_at_once() {
    scenario("block_in_place")
        .on(THREADS)
        .in_both_orders()
        .run(async |world| {
            let flow = world.flow();
            let gauge = flow.gauge(8);
            let meeting = gauge.clone();
            let body = flow.body_with(8, meeting, |item, meeting| {
                let _inside = meeting.enter(item.index);
                block_in_place(|| meeting.wait_for(8));
                ready(Ok(item))
            });
            let job = Pipeline::from_iter(flow.items(0..2_000))
                .stage(body)
                .parallelism(8)
                .in_order(world.order())
                .for_each(flow.receive());
            flow.run(job).await.unwrap();
            flow.expect(0..2_000);
        });
}

/// Two pipelines on one thread both get on.
#[test]
fn two_pipelines_share_a_thread() {
    scenario("two pipelines")
        .on(&[Machine::Paused, Machine::Threads(1)])
        .run(async |world| {
            let flow = world.flow();
            let endless = Pipeline::from_iter(0..u64::MAX).then(ready).for_each(drop);
            let mut endless = world.flow().start(endless).unwrap();
            let job = Pipeline::from_iter(flow.items(0..2_000))
                .stage(flow.pass(4))
                .parallelism(4)
                .for_each(flow.receive());
            flow.run(job).await.unwrap();
            flow.expect(0..2_000);
            endless.control().cancel();
            endless.wait().await.unwrap_err();
        });
}

/// A runtime with a single blocking thread is enough for a stage that blocks, whatever else the library uses that thread for.
#[test]
fn one_blocking_thread_is_enough() {
    scenario("one blocking thread")
        .in_both_orders()
        .run(async |world| {
            let (flow, order) = (world.flow(), world.order());
            let elsewhere = thread::spawn(move || {
                let runtime = Builder::new_multi_thread()
                    .worker_threads(2)
                    .max_blocking_threads(1)
                    .enable_all()
                    .build()
                    .unwrap();
                // computes for so long that the library looks after its workers before the first item gets on
                let body = flow.body(4, |item| {
                    let start = Instant::now();
                    while start.elapsed() < ms(2) {}
                    ready(Ok(item))
                });
                let job = Pipeline::from_iter(flow.items(0..300))
                    .stage(body)
                    .parallelism(4)
                    .in_order(order)
                    .blocking(|item: Item| item)
                    .parallelism(64)
                    .in_order(order)
                    .for_each(flow.receive());
                runtime.block_on(flow.run(job)).unwrap();
                flow.expect(0..300);
            });
            elsewhere.join().unwrap();
        });
}
