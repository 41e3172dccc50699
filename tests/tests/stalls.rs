//! Runs that cannot go on, because branches that come together again wait for each other: the outcome says so, at once.
//! And runs that only look like it.

use std::future::{pending, ready};

use futures_util::stream;
use pipeline_core::Schedule;
use pipeline_core::error::{Cause, Overflow};
use pipeline_core::prelude::*;
use pipeline_core::report::Outcome;
use pipeline_core::run::Job;
use tests::prelude::*;
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};
use tokio_stream::StreamExt;

const HOUR: std::time::Duration = ms(3_600_000);
const EVER: std::time::Duration = std::time::Duration::MAX;

/// It stalls at once, and the names are these. How soon that is on threads is a matter of the machine.
async fn expect_stall<R: Send + 'static>(flow: &Flow, job: Job<R>, full: &str, empty: &str) {
    flow.cuts_short();
    let watch = Stopwatch::start();
    let error = flow.run(job).await.map(|_| ()).unwrap_err();
    if Handle::current().runtime_flavor() == RuntimeFlavor::CurrentThread {
        watch.expect_within(ms(1_000));
    }
    assert_eq!(error.report.outcome, Some(Outcome::Stalled));
    match &error.cause {
        Cause::Stalled(a, b) => assert_eq!((&**a, &**b), (full, empty)),
        other => panic!("{other:?}"),
    }
    assert!(chain(&error).contains(full), "{}", chain(&error));
}

/// Scenario 146: a diamond whose one way gathers what the other gives one by one. With 64 items there is room for them.
#[test]
fn a_diamond_with_room_for_all_completes() {
    scenario("146, 64 items").on(ALL).run(async |world| {
        let flow = world.flow();
        flow.cuts_short();
        let [single, batched] = Pipeline::from_iter(0..64u64).buffer(4).broadcast();
        let single = single.then(ready).window(4);
        let batched = batched.then(ready).window(4).batch(8, EVER);
        let report = flow.run(single.zip(batched).collect()).await.unwrap();
        let firsts: Vec<_> = report
            .value
            .iter()
            .map(|(n, batch)| (*n, batch[0]))
            .collect();
        assert_eq!(firsts, (0..8).map(|n| (n, 8 * n)).collect::<Vec<_>>());
        assert_eq!(report.outcome, Some(Outcome::Finished));
    });
}

/// Scenario 146: with more of them there is not, and that is told at once.
#[test]
fn a_diamond_without_room_is_stalled() {
    scenario("146").on(ALL).run(async |world| {
        let flow = world.flow();
        let [single, batched] = Pipeline::from_iter(flow.parcels(0..u64::MAX))
            .buffer(4)
            .broadcast();
        let single = single.then(ready).name("single").window(4);
        let batched = batched.then(ready).window(4).batch(8, EVER);
        let job = single.zip(batched).count();
        expect_stall(&flow, job, "single", "batch").await;
    });
}

/// Both branches lead to the join directly.
#[test]
fn a_split_that_is_put_back_in_order_may_stall() {
    scenario("split and merge_ordered")
        .on(ALL)
        .run(async |world| {
            let flow = world.flow();
            let (few, many) =
                Pipeline::from_iter(flow.items(0..100_000)).split(|item| item.index > 99_000);
            let job = few
                .merge_ordered(many, |item| item.index)
                .for_each(flow.receive());
            expect_stall(&flow, job, "split[1]", "split[0]").await;
            assert!(flow.out().is_empty());
        });
}

/// With a stage, an operator and a fused step in each way, and an owner who reads a stream.
#[test]
fn a_stall_is_told_to_who_reads_the_stream() {
    scenario("stream").on(ALL).run(async |world| {
        let flow = world.flow();
        flow.cuts_short();
        let [all, some] = Pipeline::from_iter(0..1_000_000u64).broadcast();
        let all = all.then(ready).parallelism(4).name("all");
        let some = some.then(ready).parallelism(4).filter(|n| n % 1_000 == 0);
        let mut run = all.zip(some).into_stream().start().unwrap();
        let mut pairs = 0;
        let error = loop {
            match run.next().await.unwrap() {
                Ok(_) => pairs += 1,
                Err(error) => break error,
            }
        };
        assert!(pairs < 1_000, "{pairs}");
        assert!(matches!(error.cause, Cause::Stalled(full, _) if &*full == "all"));
    });
}

/// What waits in front of the join are batches with an age: they have been closed, and wait for nothing but room.
#[test]
fn a_way_full_of_batches_is_full() {
    scenario("batches").on(ALL).run(async |world| {
        let flow = world.flow();
        let [pairs, all] = Pipeline::from_iter(flow.parcels(0..1_000_000)).broadcast();
        let job = pairs.batch(2, HOUR).zip(all.batch(1_000_000, EVER)).count();
        expect_stall(&flow, job, "batch", "batch-3").await;
    });
}

/// Operators, each of which may be idle in the way that is waited for, or full in the other one.
fn operators() -> Vec<fn(Pipeline<u64>) -> Pipeline<u64>> {
    vec![
        |way| way.merge(Pipeline::from_iter(0..0)),
        |way| way.merge_ordered(Pipeline::from_iter(0..0), |n| *n),
        |way| {
            let (even, odd) = way.split(|n| n % 2 == 0);
            even.merge(odd)
        },
        |way| way.flat_map(|n| [n]),
        |way| way.flat_map_stream(|n| stream::iter([n])),
        |way| way.batch(1, EVER).flatten(),
        |way| way.batch_by(|n| n % 3, 1, EVER).flatten(),
        |way| way.throttle(Rate::per_second(1_000_000)),
        |way| way.delay(ms(1), 4),
        |way| way.delay_until(|_| Instant::now(), 4),
    ]
}

/// Whatever stands in either of the two ways, they do not wait for each other in silence.
#[test]
fn a_stall_is_told_whatever_stands_in_the_way() {
    scenario("all operators").on(ALL).run(async |world| {
        for operator in operators() {
            for in_the_full_way in [false, true] {
                let flow = world.flow();
                let [mut full, mut empty] = Pipeline::from_iter(0..u64::MAX).broadcast();
                if in_the_full_way {
                    full = operator(full);
                } else {
                    empty = operator(empty);
                }
                let full = full.then(ready).name("full");
                let empty = empty.then(ready).name("empty").filter(|_| false);
                expect_stall(&flow, full.zip(empty).count(), "full", "empty").await;
            }
        }
    });
}

/// A stall inside of a larger graph: everything ends, and the source is closed.
#[test]
fn a_stall_ends_the_whole_run() {
    scenario("larger").on(ALL).run(async |world| {
        let flow = world.flow();
        let source = flow.source(|_| ready(Ok(true)));
        let source = Pipeline::from_source(source)
            .stage(flow.pass(2))
            .parallelism(2);
        let [left, right, other] = source.route(|item| match item.index % 1_000 {
            0 => 2,
            n => usize::from(n < 600),
        });
        let left = left.stage(flow.pass(3)).parallelism(3).unordered();
        let joined = left
            .merge_ordered(right, |item| item.index)
            .for_each(flow.receive());
        let job = joined.join(other.for_each(flow.receive()));
        flow.cuts_short();
        let cause = cause(flow.run(job).await);
        assert!(matches!(cause, Cause::Stalled(..)));
    });
}

/// A drain does not wait for its deadline.
#[test]
fn a_drain_that_cannot_come_to_an_end_is_a_stall() {
    scenario("drain").run(async |world| {
        let flow = world.flow();
        flow.cuts_short();
        let (sender, source) = Pipeline::channel(1_000);
        let gate = Gate::new();
        let source = source.stage(flow.body_with(1, gate.clone(), |item, gate| async move {
            gate.pass().await;
            Ok(item)
        }));
        let (few, many) = source.split(|item| item.index == 999);
        let job = few.merge_ordered(many, |item| item.index).count();
        let mut run = flow.start(job).unwrap();
        for index in 0..1_000 {
            sender.send(flow.item(index)).await.unwrap();
        }
        run.control().drain(HOUR);
        gate.open();
        let watch = Stopwatch::start();
        assert!(matches!(cause(run.wait().await), Cause::Stalled(..)));
        watch.expect_within(ms(1_000));
    });
}

/// A diamond of `single` and a batch without end, whose single way is what `with` makes of it: it is full soon.
fn nearly<L: pipeline_core::pipeline::Tail<Item = u64>>(
    source: Pipeline<u64, L>,
    with: impl FnOnce(Pipeline<u64>) -> Pipeline<u64>,
) -> Job<u64> {
    let [single, batched] = source.broadcast();
    with(single).zip(batched.batch(1_000_000, EVER)).count()
}

/// The run goes on, for as long as one likes, and is cancelled then.
async fn expect_no_stall<R: Send + 'static>(world: &World, flow: &Flow, job: Job<R>) {
    flow.cuts_short();
    let mut run = flow.start(job).unwrap();
    if world.machine() == Machine::Paused {
        sleep(HOUR).await;
    } else {
        sleep(ms(50)).await;
    }
    assert_eq!(flow.metrics().outcome, None);
    run.control().cancel();
    assert!(matches!(cause(run.wait().await), Cause::Cancelled));
}

/// What waits for somebody outside may go on one day, so it is no stall: a source, a body, a timer, a stream, an adaptor, a
/// full channel of errors, a paused run, a sink, an owner who does not read.
#[test]
fn whoever_waits_for_something_outside_has_not_stalled() {
    scenario("outside").on(ALL).run(async |world| {
        let source = |items: u64| Pipeline::from_iter(0..items);
        // it would stall if it were not for what waits
        let flow = world.flow();
        expect_stall(
            &flow,
            nearly(source(100_000), |single| single),
            "broadcast[0]",
            "batch",
        )
        .await;

        let flow = world.flow();
        let some = stream::iter(0..50).chain(stream::pending());
        expect_no_stall(
            &world,
            &flow,
            nearly(Pipeline::from_stream(some), |single| single),
        )
        .await;

        let flow = world.flow();
        let held = |single: Pipeline<u64>| {
            single
                .then(|n| async move {
                    if n == 50 {
                        pending::<()>().await;
                    }
                    n
                })
                .parallelism(2)
                .into()
        };
        expect_no_stall(&world, &flow, nearly(source(100_000), held)).await;

        // one way is full, and the other one is late
        let operators: [fn(Pipeline<u64>) -> Pipeline<u64>; 6] = [
            |late| late.delay(2 * HOUR, 100),
            |late| late.delay_until(|_| Instant::now() + 2 * HOUR, 100),
            |late| late.delay_by(&Schedule::new(), |n| (*n, Instant::now() + 2 * HOUR), 100),
            |late| late.throttle(Rate::new(1, 2 * HOUR)),
            |late| late.flat_map_stream(|_| stream::pending()),
            |late| late.through(|items| items.filter(|_| false)),
        ];
        for operator in operators {
            let flow = world.flow();
            flow.renumbers();
            let [full, late] = source(100_000).broadcast();
            let full = full.then(ready).window(4);
            let pairs = full.zip(operator(late)).count();
            expect_no_stall(&world, &flow, pairs).await;
        }

        let flow = world.flow();
        let (sender, full) = mpsc::channel(1);
        let fails = |single: Pipeline<u64>| {
            single
                .try_map(|n| if n < 50 { Err(format!("{n}")) } else { Ok(n) })
                .into()
        };
        let job = nearly(source(100_000), fails)
            .errors(sender)
            .error_overflow(Overflow::Wait);
        expect_no_stall(&world, &flow, job).await;
        drop(full);

        let flow = world.flow();
        let job = nearly(source(100_000), |single| single);
        let job = job.join(Pipeline::from_stream(stream::pending::<u64>()).count());
        expect_no_stall(&world, &flow, job).await;

        let flow = world.flow();
        let job = nearly(source(100_000), |single| single);
        let other = source(10).try_for_each(|_| pending::<Result<(), BoxError>>());
        expect_no_stall(&world, &flow, job.join(other)).await;

        let flow = world.flow();
        let [single, batched] = source(u64::MAX).broadcast();
        let pairs = single.zip(batched.batch(2, EVER));
        expect_no_stall(&world, &flow, pairs.into_stream()).await;
    });
}

/// A batch with an age leaves by itself: the run has not stalled before that has happened, and made no room.
#[test]
fn a_timer_is_waited_for() {
    scenario("timer").run(async |world| {
        let flow = world.flow();
        flow.cuts_short();
        let [single, batched] = Pipeline::from_iter(0..2_000u64).broadcast();
        let job = single.zip(batched.batch(1_000, ms(100))).count();
        let start = Instant::now();
        let error = flow.run(job).await.unwrap_err();
        // one age, or as many as it takes until there is no room at all
        let waited = start.elapsed();
        assert!((ms(100)..=ms(1_000)).contains(&waited), "{waited:?}");
        assert!(matches!(error.cause, Cause::Stalled(..)));
        assert!(
            error.report.items.delivered > 100,
            "{}",
            error.report.items.delivered
        );
    });
}

/// A body on a blocking thread is waited for.
#[test]
fn a_blocking_body_is_waited_for() {
    scenario("blocking").on(THREADS).run(async |world| {
        let flow = world.flow();
        flow.cuts_short();
        let door = Door::new();
        let passes = door.clone();
        let held = move |single: Pipeline<u64>| {
            single
                .blocking(move |n| {
                    if n == 50 {
                        passes.pass();
                    }
                    n
                })
                .parallelism(2)
                .into()
        };
        let mut run = flow
            .start(nearly(Pipeline::from_iter(0..100_000), held))
            .unwrap();
        sleep(ms(50)).await;
        assert_eq!(flow.metrics().outcome, None);
        door.open();
        assert!(matches!(cause(run.wait().await), Cause::Stalled(..)));
    });
}

/// A paused run waits for its owner; resumed, it stalls.
#[test]
fn a_paused_run_has_not_stalled() {
    scenario("paused").on(ALL).run(async |world| {
        let flow = world.flow();
        flow.cuts_short();
        let (started, gate) = (Gate::new(), Gate::new());
        let gates = (started.clone(), gate.clone());
        let held = move |single: Pipeline<u64>| {
            single
                .then(move |n| {
                    let (started, gate) = gates.clone();
                    async move {
                        started.open();
                        gate.pass().await;
                        n
                    }
                })
                .into()
        };
        let mut run = flow
            .start(nearly(Pipeline::from_iter(0..u64::MAX), held))
            .unwrap();
        started.pass().await;
        run.control().pause();
        gate.open();
        world.settled(|| flow.metrics().items.taken).await;
        assert_eq!(flow.metrics().outcome, None);
        run.control().resume();
        assert!(matches!(cause(run.wait().await), Cause::Stalled(..)));
    });
}

/// Diamonds that go on, with little room and many waits, for many items and on many threads: never a false alarm.
#[test]
fn a_run_that_goes_on_is_never_taken_for_stalled() {
    scenario("no false alarm").on(ALL).run(async |world| {
        for round in 0..10 {
            let flow = world.flow();
            let random = Random::new(round);
            let waits = |by: u64| {
                let random = random.clone();
                move |n: u64| {
                    let mut random = Random::new(random.clone().number() ^ n ^ by);
                    async move {
                        for _ in 0..random.below(4).saturating_sub(1) {
                            tokio::task::yield_now().await;
                        }
                        n
                    }
                }
            };
            let [a, b] = Pipeline::from_iter(0..1_000u64).buffer(1).broadcast();
            let a = a.then(waits(1)).parallelism(2).window(2);
            let (b, c) = b
                .then(waits(2))
                .parallelism(3)
                .window(3)
                .split(|n| n % 2 == 0);
            let b = b.then(waits(3)).window(1);
            let c = c.then(waits(4)).window(1);
            let job = a
                .zip(b.merge_ordered(c, |n| *n))
                .map(|(a, b)| (a, b))
                .window(1)
                .collect();
            let report = flow.run(job).await.unwrap();
            assert!(
                report
                    .value
                    .iter()
                    .zip(0..1_000)
                    .all(|(pair, n)| *pair == (n, n))
            );
            assert_eq!(report.value.len(), 1_000);
        }
    });
}

/// Without a way that leads round there is nothing to watch, and two sources that are paired never stall.
#[test]
fn pairs_of_two_sources_never_stall() {
    scenario("two sources").on(ALL).run(async |world| {
        let flow = world.flow();
        let (sender, slow) = Pipeline::channel(1);
        let fast = Pipeline::from_iter(0..u64::MAX);
        flow.cuts_short();
        let mut run = flow.start(fast.zip(slow).count()).unwrap();
        world.settled(|| flow.metrics().items.taken).await;
        assert_eq!(flow.metrics().outcome, None);
        sender.send(1).await.unwrap();
        drop(sender);
        assert_eq!(run.wait().await.unwrap().value, 1);
    });
}
