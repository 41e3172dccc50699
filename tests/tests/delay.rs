//! `delay` and `delay_until`: each item leaves at its own time, once, and the sooner ones first.

use std::future::pending;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use pipeline_core::error::{BuildError, Cause, ErrorKind};
use pipeline_core::prelude::*;
use pipeline_core::report::Outcome;
use tests::prelude::*;
use tokio::runtime::{Builder, Handle};
use tokio::sync::mpsc;
use tokio::task::yield_now;
use tokio::time::{Instant, sleep};

const HOUR: Duration = ms(3_600_000);

/// When each item was received, since the start.
#[derive(Clone)]
struct Arrivals {
    start: Instant,
    seen: Arc<Mutex<Vec<(u64, Duration)>>>,
}

impl Arrivals {
    fn new() -> Self {
        Arrivals {
            start: Instant::now(),
            seen: Arc::default(),
        }
    }

    /// An end that notes the time.
    fn receive(&self, flow: &Flow) -> impl FnMut(Item) + Send + 'static {
        let (this, mut receive) = (self.clone(), flow.receive());
        move |item| {
            let seen = (item.index, this.start.elapsed());
            this.seen.lock().unwrap().push(seen);
            receive(item);
        }
    }

    fn seen(&self) -> Vec<(u64, Duration)> {
        self.seen.lock().unwrap().clone()
    }

    /// All came when they were due, none early.
    #[track_caller]
    fn expect(&self, due: impl Fn(u64) -> Duration) {
        for (index, at) in self.seen() {
            let due = due(index);
            assert!(
                (due..=due + ms(2)).contains(&at),
                "item {index} was due at {due:?} and came at {at:?}"
            );
        }
    }
}

/// The items `0..due.len()` in the order in which they are due; of the same time, in their own.
fn sorted<D: Ord>(due: &[D]) -> Vec<u64> {
    let mut order: Vec<usize> = (0..due.len()).collect();
    order.sort_by_key(|index| &due[*index]);
    order.into_iter().map(|index| index as u64).collect()
}

/// What the step in question holds, as its line of the report tells.
fn held(flow: &Flow, step: &str) -> u64 {
    let stages = flow.metrics().stages;
    let stage = stages.iter().find(|stage| stage.name == step);
    stage.map_or(0, |stage| stage.taken - stage.given - stage.failed)
}

/// Scenario 109: a delay counts from when an item came, and delays do not add up.
#[test]
fn delays_do_not_add_up() {
    scenario("109").run(async |world| {
        let flow = world.flow();
        let watch = Stopwatch::start();
        let job = Pipeline::from_iter(flow.items(0..10))
            .delay(ms(1_000), 16)
            .for_each(flow.receive());
        flow.run(job).await.unwrap();
        watch.expect(ms(1_000));
        flow.expect(0..10);

        // and if they come one after another
        let (flow, arrivals) = (world.flow(), Arrivals::new());
        let source = flow.source(|index| async move {
            sleep(ms(100)).await;
            Ok(index < 10)
        });
        let job = Pipeline::from_source(source)
            .delay(ms(1_000), 16)
            .for_each(arrivals.receive(&flow));
        flow.run(job).await.unwrap();
        flow.expect(0..10);
        for (index, at) in arrivals.seen() {
            let due = ms(100 * (index + 1) + 1_000);
            // two timers one after the other
            assert!((due..=due + ms(14)).contains(&at), "{index} at {at:?}");
        }
    });
}

/// Scenario 109: with less room than items, the others wait in front, and their delay begins when they are let in.
#[test]
fn a_full_delay_lets_in_as_many_as_leave() {
    scenario("109, full").run(async |world| {
        let (flow, arrivals) = (world.flow(), Arrivals::new());
        let job = Pipeline::from_iter(flow.items(0..10))
            .delay(ms(1_000), 4)
            .for_each(arrivals.receive(&flow));
        flow.run(job).await.unwrap();
        flow.expect(0..10);
        for (index, at) in arrivals.seen() {
            let due = ms(1_000 * (index / 4 + 1));
            assert!((due..=due + ms(6)).contains(&at), "{index} at {at:?}");
        }
    });
}

/// Scenario 113: equal deadlines leave in the order of arrival.
#[test]
fn equal_deadlines_keep_the_order_of_arrival() {
    scenario("113").on(ALL).run(async |world| {
        let (flow, start) = (world.flow(), Instant::now());
        let due = move |index: u64| start + if index < 10 { ms(50) } else { ms(100) };
        let job = Pipeline::from_iter(flow.items(0..10_010))
            .delay_until(move |item: &Item| due(item.index), 20_000)
            .for_each(flow.receive());
        flow.run(job).await.unwrap();
        flow.expect(0..10_010);
        assert!(start.elapsed() >= ms(100));
    });
}

/// Equal deadlines among others: removing one from between others must not disturb them.
#[test]
fn equal_deadlines_among_others_keep_their_order() {
    scenario("mixed ties").run(async |world| {
        let (flow, arrivals) = (world.flow(), Arrivals::new());
        let due = [50, 100, 1_500, 100, 100, 1_600];
        let start = arrivals.start;
        let job = Pipeline::from_iter(flow.items(0..6))
            .delay_until(move |item: &Item| start + ms(due[item.index as usize]), 6)
            .for_each(arrivals.receive(&flow));
        flow.run(job).await.unwrap();
        flow.expect([0, 1, 3, 4, 2, 5]);
        arrivals.expect(|index| ms(due[index as usize]));
    });
}

/// Scenario 116: what is sooner than all that is inside waits in front of a step that is full. Nothing is lost, nothing
/// spins, and the report shows that it is full.
#[test]
fn a_sooner_item_waits_in_front_of_a_full_step() {
    scenario("116").run(async |world| {
        let (flow, arrivals) = (world.flow(), Arrivals::new());
        let start = arrivals.start;
        let due = move |index: u64| if index < 3 { HOUR } else { ms(0) };
        let job = Pipeline::from_iter(flow.items(0..4))
            .delay_until(move |item: &Item| start + due(item.index), 3)
            .for_each(arrivals.receive(&flow));
        let mut run = flow.start(job).unwrap();
        // a task that spins would keep the paused clock where it is
        sleep(ms(10_000)).await;
        assert_eq!(held(&flow, "delay_until"), 3);
        assert!(flow.out().is_empty());
        run.wait().await.unwrap();
        // it is let in when the first one leaves
        flow.expect([0, 1, 2, 3]);
        arrivals.expect(|_| HOUR);
    });
}

/// Scenario 116: and a cancel finds a full step as any other.
#[test]
fn a_full_step_can_be_cancelled() {
    scenario("116, cancel").on(ALL).run(async |world| {
        let (flow, start) = (world.flow(), Instant::now());
        let job = Pipeline::from_iter(flow.items(0..4))
            .delay_until(move |_: &Item| start + HOUR, 3)
            .for_each(flow.receive());
        let mut run = flow.start(job).unwrap();
        while held(&flow, "delay_until") < 3 {
            yield_now().await;
        }
        run.control().cancel();
        let error = run.wait().await.unwrap_err();
        assert!(matches!(error.cause, Cause::Cancelled));
        assert_eq!(error.report.items.cancelled, 4);
    });
}

/// Scenario 118: none early, none later than the grain of the timer, none out of order.
#[test]
fn random_deadlines_are_kept() {
    scenario("118").run(async |world| {
        let (flow, arrivals) = (world.flow(), Arrivals::new());
        let due = Arc::new(Random::new(118).list(10_000, 60_000));
        let (start, dues) = (arrivals.start, due.clone());
        let job = Pipeline::from_iter(flow.items(0..10_000))
            .delay_until(
                move |item: &Item| start + ms(dues[item.index as usize]),
                10_000,
            )
            .for_each(arrivals.receive(&flow));
        flow.run(job).await.unwrap();
        flow.expect(sorted(&due));
        arrivals.expect(|index| ms(due[index as usize]));
    });
}

/// Scenario 121: where the function panics, its item fails, and no other one.
#[test]
fn a_panic_of_the_function_fails_its_item() {
    scenario("121").on(ALL).run(async |world| {
        let (flow, start) = (world.flow(), Instant::now());
        let (errors, failures) = mpsc::channel(4);
        let due = move |item: &Item| {
            assert!(item.index != 2, "no time for 2");
            start + ms(10)
        };
        let job = Pipeline::from_iter(flow.items(1..4))
            .delay_until(due, 16)
            .for_each(flow.receive())
            .errors(errors);
        flow.run_failing(job, [2]).await.unwrap();
        flow.expect([1, 3]);
        let error = only_error(failures).await;
        assert_eq!(error.kind(), ErrorKind::Panicked);
        assert_eq!((error.stage(), error.origin().first()), ("delay_until", 1));
    });
}

/// Sooner messages come in while others are waited for and leave: each comes out once, whatever the timer does meanwhile.
#[test]
fn a_storm_of_sooner_items_loses_and_doubles_none() {
    scenario("storm").on(ALL).run(async |world| {
        let (flow, start) = (world.flow(), Instant::now());
        let count = 30_000;
        let mut random = Random::new(1);
        let early = random.list(count, 300_000);
        let job = Pipeline::from_iter(flow.items(0..count as u64))
            .delay_until(
                move |item: &Item| start + Duration::from_micros(early[item.index as usize]),
                100_000,
            )
            .for_each(flow.receive());
        flow.run(job).await.unwrap();
        let mut out = flow.out();
        out.sort_unstable();
        assert_eq!(out, (0..count as u64).collect::<Vec<_>>());

        // each one sooner than all before it, one timer after the other
        let (flow, start) = (world.flow(), Instant::now());
        let source = flow.source(|index| async move {
            yield_now().await;
            Ok(index < 2_000)
        });
        let job = Pipeline::from_source(source)
            .delay_until(
                move |item: &Item| start + ms(200) - Duration::from_micros(item.index * 100),
                4_000,
            )
            .for_each(flow.receive());
        flow.run(job).await.unwrap();
        assert_eq!(flow.out().len(), 2_000);
    });
}

/// A message that was due in the past, after one that has left: nothing comes twice.
#[test]
fn what_has_left_does_not_leave_again() {
    scenario("A, then B an hour ago").run(async |world| {
        let (flow, arrivals) = (world.flow(), Arrivals::new());
        let (sender, source) = Pipeline::channel(4);
        let start = Instant::now() + 2 * HOUR;
        sleep(2 * HOUR).await;
        let due = move |item: &Item| match item.index {
            0 => start + ms(20),
            _ => start - HOUR,
        };
        let job = source
            .delay_until(due, 16)
            .for_each(arrivals.receive(&flow));
        let mut run = flow.start(job).unwrap();
        sender.send(flow.item(0)).await.unwrap();
        sleep(ms(30)).await;
        assert_eq!(flow.out(), [0]);
        sender.send(flow.item(1)).await.unwrap();
        sleep(ms(10_000)).await;
        assert_eq!(flow.out(), [0, 1]);
        drop(sender);
        run.wait().await.unwrap();
        flow.expect([0, 1]);
    });
}

/// A sooner item makes the step wait for that one instead, and the one after it is not forgotten.
#[test]
fn a_sooner_item_goes_first() {
    scenario("preemption").run(async |world| {
        let (flow, arrivals) = (world.flow(), Arrivals::new());
        let due = [1_000, 500, 100, 300];
        let start = arrivals.start;
        let source = flow.source(|index| async move {
            sleep(ms(10)).await;
            Ok(index < 4)
        });
        let job = Pipeline::from_source(source)
            .delay_until(move |item: &Item| start + ms(due[item.index as usize]), 16)
            .for_each(arrivals.receive(&flow));
        flow.run(job).await.unwrap();
        flow.expect([2, 3, 1, 0]);
        arrivals.expect(|index| ms(due[index as usize]));
    });
}

/// What is due already leaves at once, the sooner ones first, and no timer is asked.
#[test]
fn what_is_due_leaves_at_once() {
    scenario("past").on(ALL).run(async |world| {
        let (flow, start) = (world.flow(), Instant::now());
        let job = Pipeline::from_iter(flow.items(0..20_000))
            .delay_until(move |_: &Item| start, 64)
            .delay(ms(0), 64)
            .for_each(flow.receive());
        flow.run(job).await.unwrap();
        flow.expect(0..20_000);
    });
}

/// The farthest instant that there is.
fn farthest() -> Instant {
    let mut farthest = Instant::now();
    let mut step = Duration::MAX;
    while step > Duration::ZERO {
        farthest = farthest.checked_add(step).unwrap_or(farthest);
        step /= 2;
    }
    farthest
}

/// Years ahead, or never: no overflow, no panic, no wake-up, and a cancel gets it out.
#[test]
fn no_deadline_is_too_far_away() {
    scenario("far").on(ALL).run(async |world| {
        let year = Duration::from_secs(365 * 24 * 60 * 60);
        for far in [3 * year, 1_000 * year, Duration::MAX] {
            let (flow, start) = (world.flow(), Instant::now());
            let due = start.checked_add(far).unwrap_or_else(farthest);
            let job = Pipeline::from_iter(flow.items(0..10))
                .delay_until(
                    move |item: &Item| if item.index < 5 { due } else { start },
                    16,
                )
                .delay(ms(1), 16)
                .for_each(flow.receive());
            let mut run = flow.start(job).unwrap();
            while flow.out().len() < 5 {
                sleep(ms(1)).await;
            }
            run.control().cancel();
            assert!(matches!(cause(run.wait().await), Cause::Cancelled));
            flow.expect(5..10);

            let flow = world.flow();
            let job = Pipeline::from_iter(flow.items(0..10))
                .delay(far, 16)
                .for_each(flow.receive());
            let mut run = flow.start(job).unwrap();
            while held(&flow, "delay") < 10 {
                yield_now().await;
            }
            run.control().cancel();
            assert!(matches!(cause(run.wait().await), Cause::Cancelled));
        }
    });
}

/// A drain waits for what is due within its deadline; the rest is cancelled, and said to be.
#[test]
fn a_drain_waits_for_what_is_due_in_time() {
    scenario("drain").run(async |world| {
        let (flow, start) = (world.flow(), Instant::now());
        let source = flow.source(|index| async move {
            if index == 100 {
                pending::<()>().await;
            }
            Ok(true)
        });
        let job = Pipeline::from_source(source)
            .delay_until(move |item: &Item| start + ms(100 * item.index), 200)
            .for_each(flow.receive());
        let mut run = flow.start(job).unwrap();
        sleep(ms(50)).await;
        run.control().drain(ms(5_000));
        let error = run.wait().await.unwrap_err();
        assert!(matches!(error.cause, Cause::DeadlinePassed(_)));
        flow.expect(0..=50);
        assert_eq!(error.report.items.cancelled, 49);
        // long after all of them were due, and nothing comes any more
        sleep(HOUR).await;
        flow.expect(0..=50);

        let (flow, watch) = (world.flow(), Stopwatch::start());
        let (sender, source) = Pipeline::channel(4);
        let job = source.delay(ms(1_000), 16).for_each(flow.receive());
        let mut run = flow.start(job).unwrap();
        sender.send(flow.item(0)).await.unwrap();
        sleep(ms(1)).await;
        run.control().drain(HOUR);
        sleep(ms(1)).await;
        let back = sender.send(flow.item(1)).await.unwrap_err();
        assert_eq!(back.0.index, 1);
        let report = run.wait().await.unwrap();
        assert_eq!(report.outcome, Some(Outcome::Drained));
        watch.expect(ms(1_000));
        flow.expect([0]);
    });
}

/// A drain right after an item was sent: between taking it and waiting for it there is no moment at which it is lost.
#[test]
fn an_item_sent_just_before_a_drain_is_delivered() {
    let machines = [Machine::Paused, Machine::Threads(2)];
    scenario("send one and drain")
        .on(&machines)
        .run(async |world| {
            for round in 0..5_000_u64 {
                let delivered = Arc::new(Mutex::new(Vec::new()));
                let (sender, source) = Pipeline::channel(1);
                let job = source.delay_until(|due: &Instant| *due, 4).for_each({
                    let delivered = delivered.clone();
                    move |due| delivered.lock().unwrap().push(due)
                });
                let mut run = job.start().unwrap();
                let due = Instant::now() - ms(1) + ms(round % 2);
                sender.send(due).await.unwrap();
                for _ in 0..round % 5 {
                    yield_now().await;
                }
                run.control().drain(HOUR);
                let report = run.wait().await.unwrap();
                assert_eq!(report.items.delivered, 1, "round {round}");
                assert_eq!(*delivered.lock().unwrap(), [due]);
            }
            drop(world);
        });
}

/// A run that waits is cancelled at every moment, its owner dropped, its runtime shut down: nothing is lost or left.
#[test]
fn a_delay_may_be_stopped_at_any_moment() {
    scenario("any moment").on(ALL).run(async |world| {
        for moment in 0..60_u64 {
            let (flow, start) = (world.flow(), Instant::now());
            let source = flow.source(|index| async move {
                if index % 3 == 0 {
                    yield_now().await;
                }
                Ok(index < 40)
            });
            let job = Pipeline::from_source(source)
                .buffer(2)
                .delay_until(move |item: &Item| start + ms(item.index % 4), 8)
                .delay(ms(1), 8)
                .for_each(flow.receive());
            let mut run = flow.start(job).unwrap();
            for _ in 0..moment {
                yield_now().await;
            }
            if moment % 10 == 9 {
                sleep(ms(moment / 10)).await;
            }
            if moment % 3 == 0 {
                drop(run);
                continue;
            }
            run.control().cancel();
            match run.wait().await {
                Ok(report) => assert_eq!(report.items.delivered, 40),
                Err(error) => assert!(matches!(error.cause, Cause::Cancelled)),
            }
        }
    });
}

/// A consumer that is slow holds the step up, and the step its source; what is inside stays within the plan.
#[test]
fn a_slow_consumer_holds_up_a_delay() {
    scenario("slow").run(async |world| {
        let flow = world.flow();
        let job = Pipeline::from_iter(flow.items(0..u64::MAX))
            .buffer(4)
            .delay(ms(1), 16)
            .sink(flow.sink(|_| async {
                sleep(ms(50)).await;
                Ok(())
            }));
        let mut run = flow.start(job).unwrap();
        sleep(ms(20_000)).await;
        let out = flow.out().len() as u64;
        // both buffers and what is between them are full: else the bound says nothing
        assert!(flow.pulled() - out > 128 + 16, "{out} of {}", flow.pulled());
        assert_eq!(held(&flow, "delay"), 16);
        run.control().drain(HOUR);
        run.wait().await.unwrap();
        flow.expect(0..flow.pulled());
    });
}

/// While the next step is full, sooner items still overtake those that are due and could not leave yet.
#[test]
fn items_that_are_due_stay_inside_while_the_next_step_is_full() {
    scenario("due and full").run(async |world| {
        let (flow, gate) = (world.flow(), Gate::new());
        let (sender, source) = Pipeline::channel(1_000);
        let start = Instant::now();
        let due = move |item: &Item| start + ms(10_000 - item.index);
        let opened = gate.clone();
        let job = source.delay_until(due, 1_000).sink(flow.sink(move |_| {
            let gate = opened.clone();
            async move {
                gate.pass().await;
                Ok(())
            }
        }));
        let mut run = flow.start(job).unwrap();
        for index in 0..600 {
            sender.send(flow.item(index)).await.unwrap();
        }
        sleep(ms(20_000)).await;
        let inside = held(&flow, "delay_until");
        assert!(inside > 0);
        sender.send(flow.item(600)).await.unwrap();
        drop(sender);
        sleep(ms(10)).await;
        assert_eq!(held(&flow, "delay_until"), inside + 1);
        gate.open();
        run.wait().await.unwrap();
        let out = flow.out();
        // those that left before it came, then it, then the others
        let place = out.iter().position(|index| *index == 600).unwrap() as u64;
        assert_eq!(place, 600 - inside);
        let rest: Vec<u64> = out.into_iter().filter(|index| *index != 600).collect();
        assert_eq!(rest, (0..600).rev().collect::<Vec<_>>());
    });
}

/// Large items travel through it as others do.
#[test]
fn large_items_can_be_delayed() {
    scenario("large").on(ALL).run(async |world| {
        let (flow, start) = (world.flow(), Instant::now());
        let items = flow.items(0..500).map(|item| (item, [7_u8; 3_000]));
        let mut receive = flow.receive();
        let job = Pipeline::from_iter(items)
            .delay_until(
                move |(item, _)| start + ms(20) - Duration::from_micros(item.index),
                600,
            )
            .delay(ms(1), 100)
            .for_each(move |(item, large)| {
                assert_eq!(large, [7_u8; 3_000]);
                receive(item);
            });
        flow.run(job).await.unwrap();
        let mut out = flow.out();
        out.sort_unstable();
        assert_eq!(out, (0..500).collect::<Vec<_>>());
    });
}

/// Many items, as fast as they go.
#[test]
fn many_items_pass() {
    scenario("many").on(ALL).run(async |world| {
        let flow = world.flow();
        let start = Instant::now();
        let job = Pipeline::from_iter(0..100_000_u64)
            .delay(ms(1), 100_000)
            .delay_until(move |n| start + ms(n % 7), 100_000)
            .fold(0, |sum, n| sum + n);
        let report = flow.run(job).await.unwrap();
        assert_eq!(report.value, (0..100_000).sum::<u64>());
        assert_eq!(report.items.delivered, 100_000);
    });
}

/// A step that waits for its items is not run meanwhile.
#[test]
fn waiting_costs_no_wake_ups() {
    scenario("idle")
        .on(&[Machine::Threads(1)])
        .run(async |world| {
            let (flow, start) = (world.flow(), Instant::now());
            let (sender, source) = Pipeline::channel(16);
            let job = source
                .delay_until(move |_: &Item| start + HOUR, 16)
                .delay(HOUR, 16)
                .for_each(flow.receive());
            let mut run = flow.start(job).unwrap();
            for index in 0..10 {
                sender.send(flow.item(index)).await.unwrap();
            }
            world.settled(|| held(&flow, "delay_until")).await;
            let wakes = || Handle::current().metrics().worker_park_unpark_count(0);
            let before = wakes();
            sleep(ms(500)).await;
            let after = wakes();
            assert!(after - before < 30, "{} times", after - before);
            run.control().cancel();
            assert!(matches!(cause(run.wait().await), Cause::Cancelled));
        });
}

/// What makes no sense is refused at the start.
#[test]
fn what_makes_no_sense_is_refused() {
    scenario("refused").run(async |_world| {
        let start = Instant::now();
        let job = Pipeline::from_iter(0..3).delay(ms(1), 0).count();
        assert!(matches!(
            job.start(),
            Err(BuildError::Zero(step, "capacity")) if &*step == "delay"
        ));
        let job = Pipeline::from_iter(0..3)
            .delay_until(move |_| start, 0)
            .count();
        assert!(matches!(
            job.start(),
            Err(BuildError::Zero(step, "capacity")) if &*step == "delay_until"
        ));
    });
    let runtime = Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let job = Pipeline::from_iter(0..3).delay(ms(1), 16).count();
        assert!(matches!(job.start(), Err(BuildError::NoTimer(_))));
        // nothing to wait for
        let job = Pipeline::from_iter(0..3).delay(ms(0), 16).count();
        assert_eq!(job.run().await.unwrap().value, 3);
    });
}

/// The plan shows what is kept, and the bound holds it.
#[test]
fn the_plan_shows_what_is_kept() {
    let job = Pipeline::from_iter(0..3)
        .buffer(4)
        .delay(ms(1_500), 100)
        .count();
    assert_eq!(
        job.plan().to_string(),
        "\
from_iter   buffer 4
delay       1.5s, capacity 100, buffer 128
count       takes up to 128 at once
at most 424 items inside = buffer 4 + 164 in delay + buffer 128 + 128 at the end
"
    );
}
