//! Order: what leaves an ordered stage leaves in the order of the input, and nothing waits longer than that asks for.

use std::future::ready;

use pipeline_core::prelude::*;
use tests::prelude::*;
use tests::time::fifo_makespan;
use tokio::sync::mpsc;
use tokio::task::yield_now;
use tokio::time::sleep;

/// Scenario 1: with random durations the results are in order, and take no longer than a queue in front of 16 servers.
#[test]
fn ordered_results_take_as_long_as_the_fifo_schedule() {
    scenario("1").in_both_orders().run(async |world| {
        let flow = world.flow();
        let durations = Random::new(1).list(1_000, 100);
        let limit = fifo_makespan(16, &durations).mul_f64(1.02);
        let body = flow.sleeps(16, move |index| ms(durations[index as usize]));
        let job = Pipeline::from_iter(flow.items(0..1_000))
            .stage(body)
            .parallelism(16)
            .in_order(world.order())
            .for_each(flow.receive());
        let watch = Stopwatch::start();
        flow.run(job).await.unwrap();
        watch.expect_within(limit);
        flow.expect(0..1_000);
    });
}

/// Scenario 3: an item that fails late holds up those behind it only until then, and is missing from the output.
#[test]
fn a_late_failure_leaves_a_gap_and_no_stall() {
    scenario("3").on(ALL).in_both_orders().run(async |world| {
        let (flow, gates) = (world.flow(), Gates::new());
        let (errors, mut failures) = mpsc::channel(16);
        let body = flow.body_with(5, gates.clone(), |item, gates| async move {
            gates.pass(item.index).await;
            if item.index == 2 {
                return Err(item.fault("c is broken"));
            }
            Ok(item)
        });
        let job = Pipeline::from_iter(flow.items(0..6))
            .stage(body)
            .parallelism(5)
            .in_order(world.order())
            .for_each(flow.receive())
            .errors(errors);
        let mut run = flow.start(job).unwrap();
        for index in [0, 1, 3, 4, 5] {
            gates.open(index);
        }
        let before = world.settled(|| flow.out().len()).await;
        assert_eq!(before, if world.ordered() { 2 } else { 5 });
        gates.open(2);
        run.wait().await.unwrap();
        flow.expect([0, 1, 3, 4, 5]);
        let error = failures.recv().await.unwrap();
        assert_eq!(error.origin().first(), 2);
        assert!(failures.recv().await.is_none());
    });
}

/// Scenario 6: items that a filter leaves out do not hold up the others, nor the end, if none is left.
#[test]
fn filtered_items_leave_no_stall() {
    scenario("6").on(ALL).in_both_orders().run(async |world| {
        let flow = world.flow();
        let job = Pipeline::from_iter(flow.items(0..103))
            .stage(flow.pass(3))
            .parallelism(3)
            .in_order(world.order())
            .filter(flow.keep(|index| index == 0 || index >= 100))
            .for_each(flow.receive());
        flow.run(job).await.unwrap();
        flow.expect([0, 100, 101, 102]);

        let none = world.flow();
        let job = Pipeline::from_iter(none.items(0..201))
            .stage(none.pass(3))
            .parallelism(3)
            .in_order(world.order())
            .filter(none.keep(|_| false))
            .for_each(none.receive());
        let report = none.run(job).await.unwrap();
        none.expect([]);
        assert_eq!(report.items.filtered, 201);
    });
}

/// Scenario 8: ordered output is sorted, unordered output is not once there is more than one worker.
#[test]
fn order_is_what_was_asked_for() {
    scenario("8").run(async |world| {
        for parallelism in [1, 3, 5] {
            for ordered in [true, false] {
                let flow = world.flow();
                let random = Random::new(8).list(100, 1_000);
                let body = flow.sleeps(parallelism, move |index| {
                    let slow = if index % 7 == 0 { 10_000 } else { 0 };
                    ms(1_000 + random[index as usize] + slow)
                });
                let stage = Pipeline::from_iter(flow.items(0..100))
                    .stage(body)
                    .parallelism(parallelism);
                let stage = if ordered {
                    stage.ordered()
                } else {
                    stage.unordered()
                };
                flow.run(stage.for_each(flow.receive())).await.unwrap();
                let out = flow.out();
                assert_eq!(out.len(), 100);
                assert_eq!(out.is_sorted(), ordered || parallelism == 1);
            }
        }
    });
}

/// Scenario 9: an unordered stage hands on each result as it is there, and holds none back.
#[test]
fn unordered_results_leave_at_once() {
    scenario("9").on(ALL).run(async |world| {
        let (flow, gates) = (world.flow(), Gates::new());
        let job = Pipeline::from_iter(flow.items(0..10))
            .stage(flow.gated(10, &gates))
            .parallelism(10)
            .unordered()
            .into_stream();
        let mut items = flow.start(job).unwrap();
        for index in (0..10).rev() {
            gates.open(index);
            assert_eq!(items.next().await.unwrap().unwrap(), index);
        }
        assert!(items.next().await.is_none());
    });
}

/// Scenario 11: bodies that never wait come out in order too, with any number of workers.
#[test]
fn bodies_that_never_wait_keep_the_order() {
    scenario("11").on(ALL).in_both_orders().run(async |world| {
        for parallelism in [1, 2, 64] {
            let flow = world.flow();
            let job = Pipeline::from_iter(flow.items(0..1_000))
                .stage(flow.pass(parallelism))
                .parallelism(parallelism)
                .in_order(world.order())
                .for_each(flow.receive());
            flow.run(job).await.unwrap();
            flow.expect(0..1_000);
        }
    });
}

/// How many items scenario 13 has on each machine: as many as it takes where threads meet as they usually do.
fn many(machine: Machine) -> u64 {
    match machine {
        Machine::Threads(2) => 1_000_000,
        _ => 100_000,
    }
}

/// Scenario 13: a million items pass a window that is no power of two, in order.
#[test]
fn a_million_items_pass_a_small_odd_window_in_order() {
    scenario("13").on(THREADS).run(async |world| {
        let (flow, count) = (world.flow(), many(world.machine()));
        let job = Pipeline::from_iter(0..count)
            .then(ready)
            .parallelism(3)
            .window(5)
            .collect();
        let report = flow.run(job).await.unwrap();
        assert!(report.value.into_iter().eq(0..count));
    });
}

/// Scenario 13: the same when the bodies give way at random.
#[test]
fn items_that_give_way_at_random_pass_a_small_odd_window_in_order() {
    scenario("13, giving way").on(THREADS).run(async |world| {
        let (flow, count) = (world.flow(), many(world.machine()) / 4);
        let job = Pipeline::from_iter(0..count)
            .then(|n| async move {
                for _ in 0..Random::new(n).below(4) {
                    yield_now().await;
                }
                n
            })
            .parallelism(3)
            .window(5)
            .collect();
        let report = flow.run(job).await.unwrap();
        assert!(report.value.into_iter().eq(0..count));
    });
}

/// Scenario 15: a finished item reaches the consumer though the only worker is busy with the next one.
#[test]
fn a_finished_item_needs_no_free_worker_to_be_seen() {
    scenario("15").in_both_orders().run(async |world| {
        let flow = world.flow();
        let job = Pipeline::from_iter(flow.items(0..2))
            .stage(flow.sleeps(1, |index| ms(10_000 * index)))
            .in_order(world.order())
            .into_stream();
        let mut items = flow.start(job).unwrap();
        let watch = Stopwatch::start();
        assert_eq!(items.next().await.unwrap().unwrap(), 0);
        watch.expect(ms(0));
        assert_eq!(items.next().await.unwrap().unwrap(), 1);
        watch.expect(ms(10_000));
        assert!(items.next().await.is_none());
    });
}

/// Several stages keep the order between them, and an unordered one loses it only for itself: nothing is lost.
#[test]
fn stages_in_a_row_keep_the_order() {
    scenario("three stages in a row")
        .on(ALL)
        .run(async |world| {
            let flow = world.flow();
            let late = |index: u64| ms(Random::new(index).below(3));
            let job = Pipeline::from_iter(flow.items(0..300))
                .stage(flow.sleeps(4, late))
                .parallelism(4)
                .stage(flow.pass(2))
                .parallelism(2)
                .window(2)
                .stage(flow.sleeps(8, late))
                .parallelism(8)
                .for_each(flow.receive());
            flow.run(job).await.unwrap();
            flow.expect(0..300);
        });
}

/// A source that gives its items late does not change the order either.
#[test]
fn a_slow_source_keeps_the_order() {
    scenario("slow source").in_both_orders().run(async |world| {
        let flow = world.flow();
        let source = flow.source(|index| async move {
            sleep(ms(1)).await;
            Ok(index < 100)
        });
        let durations = Random::new(2).list(100, 20);
        let job = Pipeline::from_source(source)
            .stage(flow.sleeps(8, move |index| ms(durations[index as usize])))
            .parallelism(8)
            .in_order(world.order())
            .for_each(flow.receive());
        flow.run(job).await.unwrap();
        flow.expect(0..100);
    });
}
