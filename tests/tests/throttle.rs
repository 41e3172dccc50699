//! Throttle: items go at their time, not sooner, and not much later.

use std::future::pending;
use std::time::Duration;

use pipeline_core::error::{BuildError, Cause};
use pipeline_core::prelude::*;
use pipeline_core::report::Outcome;
use tests::prelude::*;
use tokio::runtime::{Builder, Handle};
use tokio::sync::mpsc;
use tokio::time::{Instant, advance, sleep, sleep_until};

const HOUR: Duration = ms(3_600_000);

/// When items came, from the start.
type Times = mpsc::UnboundedReceiver<(u64, Duration)>;

/// An end that notes the time.
fn noted(flow: &Flow) -> (impl FnMut(Item) + Send + 'static, Times) {
    let (sender, times) = mpsc::unbounded_channel();
    let (watch, mut receive) = (Stopwatch::start(), flow.receive());
    let end = move |item: Item| {
        let noted = (item.index, watch.elapsed());
        receive(item);
        sender.send(noted).expect("kept by the test");
    };
    (end, times)
}

/// The next item came at this time, in milliseconds.
#[track_caller]
fn expect(times: &mut Times, index: u64, at: u64) {
    let (came, time) = times.try_recv().expect("an item");
    assert_eq!(came, index);
    assert!(
        (ms(at)..=ms(at + 2)).contains(&time),
        "item {index}: expected at {at} ms, came at {time:?}"
    );
}

/// Scenario 123: one each 100 ms.
#[test]
fn items_are_evenly_spread() {
    scenario("123").run(async |world| {
        for rate in [
            Rate::new(1, ms(100)),
            Rate::per_second(10),
            Rate::new(36_000, HOUR),
        ] {
            let flow = world.flow();
            let (end, mut times) = noted(&flow);
            let job = Pipeline::from_iter(flow.items(0..10))
                .throttle(rate)
                .for_each(end);
            flow.run(job).await.unwrap();
            for index in 0..10 {
                expect(&mut times, index, index * 100);
            }
        }
    });
}

/// A rate that does not divide does not drift: 3 a second for an hour are 10,800 in an hour.
#[test]
fn a_rate_does_not_drift() {
    scenario("throttle, drift").run(async |world| {
        let flow = world.flow();
        let (end, mut times) = noted(&flow);
        let job = Pipeline::from_iter(flow.items(0..10_801))
            .throttle(Rate::per_second(3))
            .for_each(end);
        let watch = Stopwatch::start();
        flow.run(job).await.unwrap();
        watch.expect(HOUR);
        for index in 0..10_801 {
            expect(&mut times, index, index * 1_000 / 3);
        }
    });
}

/// Timers have a grain; what is due within it goes together, and the rate holds.
#[test]
fn a_high_rate_is_kept() {
    scenario("throttle, fast").run(async |world| {
        for (rate, items) in [
            (Rate::per_second(20_000), 20_000),
            (Rate::per_second(1_000_000), 50_000),
            (Rate::new(7, Duration::from_micros(3)).burst(10), 50_000),
        ] {
            let flow = world.flow();
            let (end, mut times) = noted(&flow);
            let job = Pipeline::from_iter(flow.items(0..items))
                .throttle(rate)
                .for_each(end);
            flow.run(job).await.unwrap();
            flow.expect(0..items);
            let mut last = Duration::ZERO;
            while let Ok((index, time)) = times.try_recv() {
                last = time;
                let even = match items {
                    20_000 => index * 50_000,
                    _ if rate == Rate::per_second(1_000_000) => index * 1_000,
                    _ => index.saturating_sub(9) * 3_000 / 7,
                };
                let even = Duration::from_nanos(even);
                assert!(
                    time >= even,
                    "item {index} came at {time:?}, before {even:?}"
                );
            }
            let least = match items {
                20_000 => ms(999),
                _ if rate == Rate::per_second(1_000_000) => ms(49),
                _ => ms(21),
            };
            assert!(last <= least + ms(5), "{last:?} for {rate}");
        }
    });
}

/// After idle time a burst goes at once, and no more than that, however long it was.
#[test]
fn idle_time_earns_a_burst_and_no_more() {
    scenario("throttle, burst").run(async |world| {
        let flow = world.flow();
        let (end, mut times) = noted(&flow);
        let (sender, source) = Pipeline::channel(64);
        let job = source
            .throttle(Rate::new(1, ms(100)).burst(3))
            .for_each(end);
        let mut run = flow.start(job).unwrap();
        let start = Instant::now();
        let mut next = 0;
        for (at, items) in [(0, 5), (3_600_000, 5), (3_600_350, 3)] {
            sleep_until(start + ms(at)).await;
            for _ in 0..items {
                sender.send(flow.item(next)).await.unwrap();
                next += 1;
            }
        }
        drop(sender);
        run.wait().await.unwrap();
        let late = 3_600_000;
        let due = [0, 0, 0, 100, 200];
        let due = due.into_iter().chain(due.map(|at| late + at));
        let due = due.chain([late + 350, late + 400, late + 500]);
        for (index, at) in (0..).zip(due) {
            expect(&mut times, index, at);
        }
    });
}

/// Without a burst idle time earns nothing, not even a part of a period.
#[test]
fn without_a_burst_idle_time_earns_nothing() {
    scenario("throttle, no burst").run(async |world| {
        let flow = world.flow();
        let (end, mut times) = noted(&flow);
        let (sender, source) = Pipeline::channel(64);
        let job = source.throttle(Rate::per_second(10)).for_each(end);
        let mut run = flow.start(job).unwrap();
        let start = Instant::now();
        // the second one comes 3 ms after its time, so the third one has to wait from there
        for (index, at) in [(0, 0), (1, 103), (2, 104), (3, 900), (4, 901)] {
            sleep_until(start + ms(at)).await;
            sender.send(flow.item(index)).await.unwrap();
        }
        drop(sender);
        run.wait().await.unwrap();
        for (index, at) in [(0, 0), (1, 103), (2, 203), (3, 900), (4, 1_000)] {
            expect(&mut times, index, at);
        }
    });
}

/// Time that the next step takes earns the same as idle time, and a few that have gone wait behind the step.
#[test]
fn a_slow_next_step_earns_no_more_than_a_burst() {
    scenario("throttle, slow end").run(async |world| {
        for burst in [1, 4] {
            let flow = world.flow();
            let (mut end, mut times) = noted(&flow);
            let mut first = true;
            let job = Pipeline::from_iter(flow.items(0..100))
                .throttle(Rate::new(1, ms(100)).burst(burst))
                .try_for_each(move |item| {
                    end(item);
                    let pause = if std::mem::take(&mut first) {
                        HOUR
                    } else {
                        ms(0)
                    };
                    async move {
                        sleep(pause).await;
                        Ok::<_, BoxError>(())
                    }
                });
            let bound = job.plan().max_inside as u64;
            let mut run = flow.start(job).unwrap();
            sleep(HOUR / 2).await;
            assert!(flow.pulled() <= bound);
            run.wait().await.unwrap();
            let mut at_once = 0;
            let mut behind = 0;
            while let Ok((index, time)) = times.try_recv() {
                assert_eq!(index, at_once + behind);
                if time <= HOUR + ms(50) {
                    at_once += 1;
                } else {
                    behind += 1;
                }
            }
            // the one in the hands of the end, those that had gone, and a burst
            let burst = u64::from(burst);
            assert!(
                (1 + burst..=1 + burst + burst + burst).contains(&at_once),
                "{at_once}"
            );
            assert_eq!(at_once + behind, 100);
        }
    });
}

/// A drain keeps the pace, up to its deadline.
#[test]
fn a_drain_keeps_the_pace() {
    scenario("throttle, drain").run(async |world| {
        for (deadline, all) in [(HOUR, true), (ms(250), false)] {
            let flow = world.flow();
            let (end, mut times) = noted(&flow);
            let (sender, source) = Pipeline::channel(16);
            let job = source.throttle(Rate::per_second(10)).for_each(end);
            let mut run = flow.start(job).unwrap();
            for index in 0..10 {
                sender.send(flow.item(index)).await.unwrap();
            }
            run.control().drain(deadline);
            let ended = run.wait().await;
            if all {
                assert_eq!(ended.unwrap().outcome, Some(Outcome::Drained));
            } else {
                assert!(matches!(cause(ended), Cause::DeadlinePassed(_)));
            }
            let came = if all { 10 } else { 3 };
            for index in 0..came {
                expect(&mut times, index, index * 100);
            }
            flow.expect(0..came);
        }
    });
}

/// What waits for its time when a run is stopped is cancelled, at once.
#[test]
fn a_cancel_drops_what_waits() {
    scenario("throttle, cancel").on(ALL).run(async |world| {
        for how in ["cancel", "drop"] {
            let flow = world.flow();
            let (end, _times) = noted(&flow);
            let job = Pipeline::from_iter(flow.items(0..u64::MAX))
                .throttle(Rate::new(1, HOUR))
                .for_each(end);
            let mut run = flow.start(job).unwrap();
            let control = run.control();
            world.until(|| !flow.out().is_empty()).await;
            world.settled(|| flow.pulled()).await;
            flow.expect(0..1);
            if how == "cancel" {
                control.cancel();
                assert!(matches!(cause(run.wait().await), Cause::Cancelled));
            } else {
                drop(run);
            }
            world.until(|| control.metrics().outcome.is_some()).await;
            let items = control.metrics().items;
            assert_eq!((items.delivered, items.taken - 1), (1, items.cancelled));
        }
    });
}

/// The slowest and the fastest rates that can be told.
#[test]
fn extremes_do_not_overflow() {
    scenario("throttle, extremes").run(async |world| {
        for per in [Duration::MAX, Duration::MAX / 2, ms(1) * u32::MAX] {
            let flow = world.flow();
            let (end, _times) = noted(&flow);
            let job = Pipeline::from_iter(flow.items(0..9))
                .throttle(Rate::new(1, per).burst(2))
                .for_each(end);
            let mut run = flow.start(job).unwrap();
            sleep(HOUR).await;
            flow.expect(0..2);
            run.control().cancel();
            assert!(matches!(cause(run.wait().await), Cause::Cancelled));
        }
        let watch = Stopwatch::start();
        for rate in [
            Rate::new(u32::MAX, Duration::from_nanos(1)),
            Rate::new(1, Duration::MAX).burst(u32::MAX),
            Rate::per_second(u32::MAX).burst(u32::MAX),
        ] {
            let flow = world.flow();
            let job = Pipeline::from_iter(flow.items(0..10_000))
                .throttle(rate)
                .for_each(flow.receive());
            flow.run(job).await.unwrap();
            flow.expect(0..10_000);
        }
        watch.expect_within(ms(0));
    });
}

/// While nothing waits nothing runs: no timer, no poll.
#[test]
fn an_idle_throttle_costs_nothing() {
    scenario("throttle, idle").run(async |world| {
        let flow = world.flow();
        let (sender, source) = Pipeline::channel(16);
        let job = source
            .throttle(Rate::per_second(1_000))
            .for_each(flow.receive());
        let mut run = flow.start(job).unwrap();
        for index in 0..3 {
            sender.send(flow.item(index)).await.unwrap();
        }
        sleep(HOUR).await;
        flow.expect(0..3);
        // the thread sleeps once, until this test goes on; a ticking task would wake it at each tick
        let parks = || Handle::current().metrics().worker_park_count(0);
        let before = parks();
        sleep(HOUR).await;
        let woken = parks() - before;
        assert!(woken <= 8, "woken {woken} times in an idle hour");
        drop(sender);
        run.wait().await.unwrap();
    });
}

/// A thread that stood still is no reason to rush: what it missed is not made up for.
#[test]
fn a_long_stop_is_not_made_up_for() {
    scenario("throttle, stop").run(async |world| {
        let flow = world.flow();
        let (end, mut times) = noted(&flow);
        let job = Pipeline::from_iter(flow.items(0..6))
            .throttle(Rate::per_second(10))
            .for_each(end);
        let mut run = flow.start(job).unwrap();
        sleep(ms(150)).await;
        // all timers are late by nearly a second
        advance(ms(950)).await;
        run.wait().await.unwrap();
        for (index, at) in [
            (0, 0),
            (1, 100),
            (2, 1_100),
            (3, 1_195),
            (4, 1_295),
            (5, 1_395),
        ] {
            expect(&mut times, index, at);
        }
    });
}

/// In real time and on threads items are not sooner than they may be.
#[test]
fn items_keep_their_distance_on_threads() {
    scenario("throttle, threads")
        .on(THREADS)
        .run(async |world| {
            let flow = world.flow();
            let (end, mut times) = noted(&flow);
            let job = Pipeline::from_iter(flow.items(0..200))
                .throttle(Rate::per_second(1_000).burst(5))
                .for_each(end);
            flow.run(job).await.unwrap();
            flow.expect(0..200);
            while let Ok((index, time)) = times.try_recv() {
                let even = ms(index.saturating_sub(4));
                assert!(time >= even, "item {index} came at {time:?}");
            }
        });
}

/// Scenario 191: a rate of nothing is refused, by the name of what is wrong.
#[test]
fn a_rate_of_nothing_is_refused() {
    scenario("191, throttle").run(async |_| {
        let start = |rate| Pipeline::from_iter(0..9).throttle(rate).count().start();
        for (rate, setting) in [
            (Rate::per_second(0), "rate"),
            (Rate::per_second(1).burst(0), "burst"),
        ] {
            let error = start(rate).expect_err("it must be refused");
            let text = error.to_string();
            assert!(
                text.contains("throttle") && text.contains(setting),
                "{text}"
            );
            assert!(matches!(error, BuildError::Zero(..)));
        }
        let error = start(Rate::new(1, Duration::ZERO)).expect_err("it must be refused");
        let text = error.to_string();
        assert!(
            text.contains("throttle") && text.contains("period"),
            "{text}"
        );
        assert!(matches!(error, BuildError::ZeroPeriod(_)));
    });
}

/// Without timers it is refused, too.
#[test]
fn a_throttle_needs_timers() {
    let runtime = Builder::new_current_thread().build().unwrap();
    let job = Pipeline::from_iter(0..9)
        .throttle(Rate::per_second(1))
        .count();
    let error = runtime.block_on(async { job.start().expect_err("it must be refused") });
    assert!(matches!(error, BuildError::NoTimer(_)));
    assert!(error.to_string().contains("throttle"), "{error}");
}

/// A thousand at a time, in large items.
#[test]
fn large_items_are_throttled() {
    scenario("throttle, large").on(ALL).run(async |world| {
        let flow = world.flow();
        let mut receive = flow.receive();
        let items = flow.items(0..1_000).map(|item| (item, [7_u8; 2_048]));
        let job = Pipeline::from_iter(items)
            .throttle(Rate::per_second(1_000_000))
            .for_each(move |(item, load)| {
                assert!(load.iter().all(|byte| *byte == 7));
                receive(item);
            });
        flow.run(job).await.unwrap();
        flow.expect(0..1_000);
    });
}

/// A body that hangs behind it holds up what it holds up, and the run can be stopped.
#[test]
fn a_hung_body_stops_the_pace() {
    scenario("throttle, hung").on(ALL).run(async |world| {
        let flow = world.flow();
        let body = flow.body(2, |item: Item| async move {
            pending::<()>().await;
            Ok(item)
        });
        let job = Pipeline::from_iter(flow.items(0..u64::MAX))
            .throttle(Rate::per_second(1_000_000))
            .stage(body)
            .parallelism(2)
            .window(4)
            .for_each(flow.receive());
        let mut run = flow.start(job).unwrap();
        let bound = 1024 + 64 + 128 + 4;
        assert!(world.settled(|| flow.pulled()).await <= bound);
        run.control().cancel();
        assert!(matches!(cause(run.wait().await), Cause::Cancelled));
    });
}
