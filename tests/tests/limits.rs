//! Limits: how many bodies run at once, and how many workers there are.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use pipeline_core::error::Cause;
use pipeline_core::prelude::*;
use tests::prelude::*;
use tokio::runtime::Handle;
use tokio::sync::Barrier;
use tokio::time::sleep;

/// Scenario 17: with enough items there are exactly as many bodies at once as were allowed.
#[test]
fn parallelism_is_reached_and_never_passed() {
    scenario("17")
        .on(THREADS)
        .in_both_orders()
        .run(async |world| {
            let count = match world.machine() {
                Machine::Threads(2) => 10_000,
                _ => 1_000,
            };
            let flow = world.flow();
            let body = flow.sleeps(8, |_| Duration::from_micros(50));
            let gauge = body.gauge();
            let job = Pipeline::from_iter(flow.items(0..count))
                .stage(body)
                .parallelism(8)
                .in_order(world.order())
                .for_each(flow.receive());
            flow.run(job).await.unwrap();
            flow.expect(0..count);
            assert_eq!(gauge.max(), 8);
        });
}

/// Scenario 18: as many bodies as are allowed can meet, and one more cannot.
#[test]
fn parallelism_is_how_many_bodies_can_meet() {
    scenario("18").in_both_orders().run(async |world| {
        let meeting = |flow: &Flow, size| {
            let barrier = Arc::new(Barrier::new(size));
            let body = flow.body_with(20, barrier, |item, barrier| async move {
                barrier.wait().await;
                Ok(item)
            });
            Pipeline::from_iter(flow.items(0..100))
                .stage(body)
                .parallelism(20)
                .in_order(world.order())
                .for_each(flow.receive())
        };
        let met = world.flow();
        met.run(meeting(&met, 20)).await.unwrap();
        met.expect(0..100);

        let missed = world.flow();
        let mut run = missed.start(meeting(&missed, 21)).unwrap();
        let watch = Stopwatch::start();
        sleep(ms(10_000)).await;
        missed.expect([]);
        run.control().cancel();
        assert!(matches!(
            run.wait().await.unwrap_err().cause,
            Cause::Cancelled
        ));
        watch.expect(ms(10_000));
    });
}

/// Scenario 20: a permit is free when its body has finished, not when its result is handed on; the window is what waits for that.
#[test]
fn a_permit_is_free_as_soon_as_its_body_has_finished() {
    scenario("20").run(async |world| {
        for (window, third_starts) in [(4, ms(0)), (2, ms(60_000))] {
            let flow = world.flow();
            let started = Gate::new();
            let body = flow.body_with(2, started.clone(), |item, started| async move {
                match item.index {
                    0 => sleep(ms(60_000)).await,
                    2 => started.open(),
                    _ => {}
                }
                Ok(item)
            });
            let job = Pipeline::from_iter(flow.items(0..4))
                .stage(body)
                .parallelism(2)
                .window(window)
                .ordered()
                .for_each(flow.receive());
            let watch = Stopwatch::start();
            let mut run = flow.start(job).unwrap();
            started.pass().await;
            watch.expect(third_starts);
            run.wait().await.unwrap();
            flow.expect(0..4);
        }
    });
}

/// Scenario 21: each stage has a limit of its own, and reaches it.
#[test]
fn stages_have_limits_of_their_own() {
    scenario("21").in_both_orders().run(async |world| {
        let flow = world.flow();
        let (wide, narrow) = (flow.sleeps(5, |_| ms(10)), flow.sleeps(3, |_| ms(10)));
        let gauges = (wide.gauge(), narrow.gauge());
        let job = Pipeline::from_iter(flow.items(0..200))
            .stage(wide)
            .parallelism(5)
            .in_order(world.order())
            .stage(narrow)
            .parallelism(3)
            .in_order(world.order())
            .for_each(flow.receive());
        flow.run(job).await.unwrap();
        flow.expect(0..200);
        assert_eq!((gauges.0.max(), gauges.1.max()), (5, 3));
    });
}

/// Scenario 23: no more blocking bodies than allowed are on threads, and that many are.
#[test]
fn blocking_bodies_count_against_the_limit() {
    scenario("23")
        .on(THREADS)
        .in_both_orders()
        .run(async |world| {
            let flow = world.flow();
            let gauge = flow.gauge(2);
            let threads = gauge.clone();
            let job = Pipeline::from_iter(flow.items(0..1_000))
                .blocking(move |item| {
                    let _inside = threads.enter(item.index);
                    // more items than one worker takes at a time, so another worker gets some
                    if item.index == 0 {
                        threads.wait_for(2);
                    }
                    item
                })
                .parallelism(2)
                .in_order(world.order())
                .for_each(flow.receive());
            flow.run(job).await.unwrap();
            flow.expect(0..1_000);
            assert_eq!(gauge.max(), 2);
        });
}

/// As many blocking bodies as are allowed can meet, also where the runtime itself has one thread.
#[test]
fn parallelism_is_how_many_blocking_bodies_can_meet() {
    scenario("blocking bodies meet")
        .on(ALL)
        .in_both_orders()
        .run(async |world| {
            let flow = world.flow();
            let gauge = flow.gauge(8);
            let threads = gauge.clone();
            let job = Pipeline::from_iter(flow.items(0..8))
                .blocking(move |item| {
                    let _inside = threads.enter(item.index);
                    threads.wait_for(8);
                    item
                })
                .parallelism(8)
                .in_order(world.order())
                .for_each(flow.receive());
            flow.run(job).await.unwrap();
            flow.expect(0..8);
        });
}

/// Scenario 23: a blocking body cannot be cancelled, so the run ends when those on threads have come back.
#[test]
fn a_cancelled_run_waits_for_its_blocking_bodies() {
    scenario("23, cancelled").on(THREADS).run(async |world| {
        let flow = world.flow();
        let (gauge, door) = (flow.gauge(2), Door::new());
        let (threads, shut) = (gauge.clone(), door.clone());
        let job = Pipeline::from_iter(flow.items(0..1_000))
            .blocking(move |item| {
                let _inside = threads.enter(item.index);
                shut.pass();
                item
            })
            .parallelism(2)
            .for_each(flow.receive());
        let mut run = flow.start(job).unwrap();
        assert_eq!(world.settled(|| gauge.now()).await, 2);
        run.control().cancel();
        let opened = async {
            // if `wait` does not wait, it returns in this time, and the fixture sees that bodies are alive
            world.settled(|| gauge.now()).await;
            door.open();
        };
        let (ended, ()) = tokio::join!(run.wait(), opened);
        assert!(matches!(ended.unwrap_err().cause, Cause::Cancelled));
        assert_eq!(gauge.count(), 2);
    });
}

/// Scenario 24: work is begun in the order of the input, whatever the order of the results.
#[test]
fn work_is_begun_in_the_order_of_the_input() {
    scenario("24").in_both_orders().run(async |world| {
        let flow = world.flow();
        let durations = Random::new(24).list(1_000, 50);
        let body = flow.sleeps(8, move |index| ms(durations[index as usize]));
        let gauge = body.gauge();
        let job = Pipeline::from_iter(flow.items(0..1_000))
            .stage(body)
            .parallelism(8)
            .in_order(world.order())
            .for_each(flow.receive());
        flow.run(job).await.unwrap();
        assert!(gauge.entered().into_iter().eq(0..1_000));
        flow.expect(0..1_000);
    });
}

/// Counts what it has worked on, and adds that up when it is closed.
struct Counter {
    seen: u64,
    busy: Arc<AtomicUsize>,
    sum: Arc<AtomicUsize>,
}

impl Stage<u64, u64> for Counter {
    type Error = BoxError;

    async fn process(&mut self, n: u64) -> Result<u64, BoxError> {
        // one of these a value, so two bodies on one value would be seen
        assert_eq!(self.busy.fetch_add(1, Ordering::SeqCst), 0);
        tokio::task::yield_now().await;
        self.busy.fetch_sub(1, Ordering::SeqCst);
        self.seen += 1;
        Ok(n)
    }

    async fn close(self) -> Result<(), BoxError> {
        self.sum.fetch_add(self.seen as usize, Ordering::SeqCst);
        Ok(())
    }
}

/// Scenario 156: a value belongs to one worker at a time, there are no more values than workers, and none is forgotten.
#[test]
fn a_value_belongs_to_one_worker_at_a_time() {
    scenario("156").on(ALL).in_both_orders().run(async |world| {
        let flow = world.flow();
        let (made, sum) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (counter, total) = (made.clone(), sum.clone());
        let job = Pipeline::from_iter(0..10_000u64)
            .stage_with(move || {
                counter.fetch_add(1, Ordering::SeqCst);
                let (busy, sum) = (Arc::default(), total.clone());
                std::future::ready(Ok::<_, BoxError>(Counter { seen: 0, busy, sum }))
            })
            .parallelism(8)
            .in_order(world.order())
            .count();
        assert_eq!(flow.run(job).await.unwrap().value, 10_000);
        assert!((1..=8).contains(&made.load(Ordering::SeqCst)));
        assert_eq!(sum.load(Ordering::SeqCst), 10_000);
    });
}

/// However many may run, one item is one worker: workers are made when there is work for them.
#[test]
fn one_item_needs_one_worker() {
    scenario("one worker").on(ALL).run(async |world| {
        let flow = world.flow();
        let (gates, made) = (Gates::new(), Arc::new(AtomicUsize::new(0)));
        let (body, counter) = (flow.gated(1_000, &gates), made.clone());
        let job = Pipeline::from_iter(flow.items(0..1))
            .stage_with(move || {
                counter.fetch_add(1, Ordering::SeqCst);
                let body = body.clone();
                async move { Ok::<_, BoxError>(body) }
            })
            .parallelism(1_000)
            .for_each(flow.receive());
        let before = Handle::current().metrics().num_alive_tasks();
        let mut run = flow.start(job).unwrap();
        let tasks = world
            .settled(|| Handle::current().metrics().num_alive_tasks())
            .await;
        // the worker, and what the run itself needs: not one for each that may run
        assert!(tasks - before < 10, "{} tasks for one item", tasks - before);
        gates.open(0);
        run.wait().await.unwrap();
        flow.expect([0]);
        assert_eq!(made.load(Ordering::SeqCst), 1);
    });
}

/// With parallelism above the number of items, all of them run at once.
#[test]
fn all_items_run_at_once_if_they_may() {
    scenario("all at once")
        .on(ALL)
        .in_both_orders()
        .run(async |world| {
            let flow = world.flow();
            let barrier = Arc::new(Barrier::new(300));
            let body = flow.body_with(1_000, barrier, |item, barrier| async move {
                barrier.wait().await;
                Ok(item)
            });
            let job = Pipeline::from_iter(flow.items(0..300))
                .stage(body)
                .parallelism(1_000)
                .in_order(world.order())
                .for_each(flow.receive());
            flow.run(job).await.unwrap();
            flow.expect(0..300);
        });
}

/// A window of 1 is one item at a time.
#[test]
fn the_smallest_window_works() {
    scenario("window 1")
        .on(ALL)
        .in_both_orders()
        .run(async |world| {
            let flow = world.flow();
            let job = Pipeline::from_iter(flow.items(0..500))
                .buffer(1)
                .stage(flow.pass(1))
                .window(1)
                .in_order(world.order())
                .for_each(flow.receive());
            flow.run(job).await.unwrap();
            flow.expect(0..500);
        });
}

/// The window is exact: behind an item that does not end, so many are begun and not one more.
#[test]
fn the_window_is_exact() {
    scenario("exact window").on(ALL).run(async |world| {
        for (parallelism, window) in [(2, 2), (2, 3), (2, 17), (8, 300)] {
            let (flow, gates) = (world.flow(), Gates::new());
            for index in 1..2_000 {
                gates.open(index);
            }
            let body = flow.gated(parallelism, &gates);
            let gauge = body.gauge();
            let job = Pipeline::from_iter(flow.items(0..2_000))
                .stage(body)
                .parallelism(parallelism)
                .window(window)
                .ordered()
                .for_each(flow.receive());
            let mut run = flow.start(job).unwrap();
            assert_eq!(world.settled(|| gauge.count()).await, window);
            gates.open(0);
            run.wait().await.unwrap();
            flow.expect(0..2_000);
        }
    });
}

/// The window moves with each item that leaves it, also when none follows that one out: one more is begun.
#[test]
fn the_window_moves_by_a_single_item() {
    scenario("window of one more").on(ALL).run(async |world| {
        for window in [17, 300] {
            let (flow, gates) = (world.flow(), Gates::new());
            for index in 2..2_000 {
                gates.open(index);
            }
            let body = flow.gated(8, &gates);
            let gauge = body.gauge();
            let job = Pipeline::from_iter(flow.items(0..2_000))
                .stage(body)
                .parallelism(8)
                .window(window)
                .ordered()
                .for_each(flow.receive());
            let mut run = flow.start(job).unwrap();
            world.until(|| gauge.count() == window).await;
            assert_eq!(world.settled(|| gauge.count()).await, window);
            gates.open(0);
            world.until(|| gauge.count() > window).await;
            assert_eq!(world.settled(|| gauge.count()).await, window + 1);
            gates.open(1);
            run.wait().await.unwrap();
            flow.expect(0..2_000);
        }
    });
}
