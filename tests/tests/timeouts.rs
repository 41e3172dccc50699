//! Limits of time: an item that takes too long fails, in time, and concerns nobody else.

use std::error::Error;
use std::future::{pending, ready};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::thread;
use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt};
use pipeline_core::config::StageConfig;
use pipeline_core::error::{BuildError, Cause, ErrorKind, Limit, Overflow, StageError, TimedOut};
use pipeline_core::prelude::*;
use pipeline_core::report::Outcome;
use tests::prelude::*;
use tests::ticket::Kind;
use tokio::runtime::Builder;
use tokio::sync::mpsc;
use tokio::task::yield_now;
use tokio::time::{advance, sleep};

const HOUR: Duration = ms(3_600_000);

/// The error says that a limit of this kind and length was over.
#[track_caller]
fn expect_timed_out(error: &StageError, limit: Limit, time: Duration) {
    assert_eq!(error.kind(), ErrorKind::TimedOut, "{}", chain(error));
    let timed_out = error.downcast_ref::<TimedOut>().expect("its source");
    assert_eq!((timed_out.limit(), timed_out.time()), (limit, time));
}

/// A stage that hangs for ever on the items that `hangs` is true for.
fn hanging(
    flow: &Flow,
    limit: usize,
    hangs: impl Fn(u64) -> bool + Send + Sync + 'static,
) -> Body<impl Fn(Item) -> BoxFuture<'static, Result<Item, Fault>> + 'static> {
    flow.body(limit, move |item| {
        let hangs = hangs(item.index);
        async move {
            if hangs {
                pending::<()>().await;
            }
            Ok(item)
        }
        .boxed()
    })
}

/// Scenario 33: a slow consumer costs no item its time, however long finished ones wait for it.
#[test]
fn time_that_an_item_waits_for_the_consumer_does_not_count() {
    scenario("33").in_both_orders().run(async |world| {
        let flow = world.flow();
        let body = flow.body(5, |item| async move {
            let naps = if item.index.is_multiple_of(2) { 2 } else { 6 };
            for _ in 0..naps {
                sleep(ms(10)).await;
            }
            Ok(item)
        });
        let job = Pipeline::from_iter(flow.items(0..10))
            .stage(body)
            .parallelism(5)
            .in_order(world.order())
            .timeout(ms(100))
            .sink(flow.sink(|_| async {
                sleep(ms(1_000)).await;
                Ok(())
            }));
        let watch = Stopwatch::start();
        let report = flow.run(job).await.unwrap();
        flow.expect(0..10);
        assert!(watch.elapsed() >= ms(10_000));
        assert_eq!(
            (report.stages[0].timeouts, report.stages[0].overruns),
            (0, 0)
        );
    });
}

/// Scenario 61: an item that hangs fails when its time is over, and that is when the run ends.
#[test]
fn an_item_that_hangs_fails_in_time() {
    scenario("61").in_both_orders().run(async |world| {
        let flow = world.flow();
        let (errors, failures) = mpsc::channel(16);
        let job = Pipeline::from_iter(flow.items(0..10))
            .stage(hanging(&flow, 4, |index| index == 3))
            .name("ask")
            .parallelism(4)
            .in_order(world.order())
            .timeout(ms(100))
            .for_each(flow.receive())
            .errors(errors);
        let watch = Stopwatch::start();
        let report = flow.run_failing(job, [3]).await.unwrap();
        watch.expect(ms(100));
        flow.expect((0..3).chain(4..10));
        let stage = &report.stages[0];
        assert_eq!((stage.failed, stage.timeouts, stage.overruns), (1, 1, 0));

        let error = only_error(failures).await;
        expect_timed_out(&error, Limit::Stay, ms(100));
        assert_eq!(
            (error.stage(), error.origin().first(), error.attempts()),
            ("ask", 3, 1)
        );
        assert_eq!(
            error.source().unwrap().to_string(),
            "the timeout of 100ms was over"
        );
        assert!(
            error
                .downcast_ref::<TimedOut>()
                .unwrap()
                .last_failure()
                .is_none()
        );
    });
}

/// What waits behind an item that hangs comes out at the moment when that one fails, and not before if it is ordered.
#[test]
fn an_ordered_stage_goes_on_past_an_item_that_timed_out() {
    scenario("order behind a timeout")
        .in_both_orders()
        .run(async |world| {
            let flow = world.flow();
            let (errors, _failures) = mpsc::channel(16);
            flow.failed(3);
            let job = Pipeline::from_iter(flow.items(0..10))
                .stage(hanging(&flow, 2, |index| index == 3))
                .parallelism(2)
                .in_order(world.order())
                .timeout(ms(100))
                .into_stream()
                .errors(errors);
            let watch = Stopwatch::start();
            let mut items = flow.start(job).unwrap();
            while let Some(item) = items.next().await {
                let waits = world.ordered() && item.unwrap() > 3;
                watch.expect(ms(if waits { 100 } else { 0 }));
            }
            watch.expect(ms(100));
            flow.expect((0..3).chain(4..10));
        });
}

/// Without an error channel the first item that takes too long ends the run.
#[test]
fn an_item_that_takes_too_long_ends_the_run_by_default() {
    scenario("fail fast")
        .on(ALL)
        .in_both_orders()
        .run(async |world| {
            let flow = world.flow();
            flow.failed(2);
            let job = Pipeline::from_iter(flow.items(0..100))
                .stage(hanging(&flow, 1, |index| index == 2))
                .in_order(world.order())
                .timeout(ms(20))
                .for_each(flow.receive());
            let failure = failure(flow.run(job).await);
            expect_timed_out(&failure, Limit::Stay, ms(20));
            assert_eq!(failure.origin().first(), 2);
            flow.expect(0..flow.out().len() as u64);
        });
}

/// Scenario 62: a body that is ready at the very moment when its time is over has its result.
#[test]
fn a_body_that_is_ready_just_in_time_has_its_result() {
    scenario("62").in_both_orders().run(async |world| {
        let flow = world.flow();
        let job = Pipeline::from_iter(flow.items(0..1_000))
            .stage(flow.sleeps(100, |_| ms(100)))
            .parallelism(100)
            .in_order(world.order())
            .timeout(ms(100))
            .for_each(flow.receive());
        let report = flow.run(job).await.unwrap();
        flow.expect(0..1_000);
        assert_eq!(report.stages[0].timeouts, 0);
    });
}

/// Scenario 64: the time of an item begins with its body, not in the queue before it.
#[test]
fn time_in_the_queue_does_not_count() {
    scenario("64").in_both_orders().run(async |world| {
        let flow = world.flow();
        let job = Pipeline::from_iter(flow.items(0..5))
            .stage(flow.sleeps(1, |_| ms(80)))
            .in_order(world.order())
            .timeout(ms(100))
            .for_each(flow.receive());
        let watch = Stopwatch::start();
        let report = flow.run(job).await.unwrap();
        flow.expect(0..5);
        assert!(watch.elapsed() >= ms(400));
        assert_eq!(report.stages[0].timeouts, 0);
    });
}

/// The time of an item begins with its body, also where the clock is not looked at before the body waits.
#[test]
fn time_before_the_first_wait_counts() {
    scenario("computes, then waits")
        .in_both_orders()
        .run(async |world| {
            let flow = world.flow();
            let body = flow.body(1, |_| async {
                // the first poll takes 60 ms, and then waits
                advance(ms(60)).await;
                pending().await
            });
            let job = Pipeline::from_iter(flow.items(0..1))
                .stage(body)
                .in_order(world.order())
                .timeout(ms(100))
                .for_each(flow.receive());
            let watch = Stopwatch::start();
            flow.run(job).await.unwrap_err();
            assert!(
                (ms(100)..ms(110)).contains(&watch.elapsed()),
                "{:?}",
                watch.elapsed()
            );
        });
}

/// Scenario 68: a body that never waits cannot be interrupted. It has its result, late, and that is counted.
#[test]
fn a_body_that_does_not_wait_has_its_result_late() {
    scenario("68")
        .on(THREADS)
        .in_both_orders()
        .run(async |world| {
            let flow = world.flow();
            let body = flow.body(1, |item| {
                // real time, because that is what a body that computes takes
                thread::sleep(ms(60));
                ready(Ok(item))
            });
            let job = Pipeline::from_iter(flow.items(0..3))
                .stage(body)
                .in_order(world.order())
                .timeout(ms(50))
                .for_each(flow.receive());
            let report = flow.run(job).await.unwrap();
            flow.expect(0..3);
            assert_eq!(report.stages[0].timeouts, 0);
            // the clock is read for runs of items, not for each
            let overruns = report.stages[0].overruns;
            assert!((1..=3).contains(&overruns), "{overruns}");
        });
}

/// A body that computes for less than its limit has not overrun it, whichever of the two limits is the shorter one.
#[test]
fn a_body_that_is_done_in_time_is_not_counted_as_late() {
    scenario("in time").on(THREADS).run(async |world| {
        for (stay, attempt) in [
            (HOUR, Duration::MAX),
            (Duration::MAX, HOUR),
            (HOUR, 2 * HOUR),
        ] {
            let flow = world.flow();
            let body = flow.body(1, |item| {
                thread::sleep(ms(2));
                ready(Ok(item))
            });
            let job = Pipeline::from_iter(flow.items(0..5))
                .stage(body)
                .timeout(stay)
                .attempt_timeout(attempt)
                .for_each(flow.receive());
            let report = flow.run(job).await.unwrap();
            flow.expect(0..5);
            assert_eq!(report.stages[0].overruns, 0);
        }
    });
}

/// Scenario 23: a blocking body whose time is over goes on and keeps its permit, but its item has failed, in time.
#[test]
fn a_blocking_body_that_takes_too_long_fails_in_time_and_keeps_its_permit() {
    scenario("23")
        .on(THREADS)
        .in_both_orders()
        .run(async |world| {
            let flow = world.flow();
            let (errors, mut failures) = mpsc::channel(16);
            (0..10).for_each(|index| flow.failed(index));
            let gauge = flow.gauge(2);
            let doors: Vec<_> = (0..10).map(|_| Door::new()).collect();
            let (threads, shut) = (gauge.clone(), doors.clone());
            let job = Pipeline::from_iter(flow.items(0..10))
                .blocking(move |item| {
                    let _inside = threads.enter(item.index);
                    shut[item.index as usize].pass();
                    item.output()
                })
                .parallelism(2)
                .in_order(world.order())
                .timeout(ms(50))
                .for_each(flow.receive())
                .errors(errors);
            let mut run = flow.start(job).unwrap();
            for failed in 0..10 {
                let error = failures.recv().await.expect("all ten take too long");
                expect_timed_out(&error, Limit::Stay, ms(50));
                if failed == 1 {
                    // both have failed, both are still there, so no other one has begun
                    assert_eq!(world.settled(|| gauge.count()).await, 2);
                    assert_eq!(gauge.now(), 2);
                }
                if failed > 0 {
                    doors[error.origin().first() as usize].open();
                    doors[0].open();
                    doors[1].open();
                }
            }
            let report = run.wait().await.unwrap();
            // what came late was dropped
            flow.expect([]);
            assert_eq!(gauge.count(), 10);
            assert_eq!(
                (report.stages[0].timeouts, report.stages[0].overruns),
                (10, 0)
            );
        });
}

/// Waits until bodies are where the test wants them, without letting the paused clock jump.
async fn until(there: impl Fn() -> bool) {
    while !there() {
        yield_now().await;
    }
}

/// Items behind a blocking body that does not come back do not wait for it, also in order, and also after many cheap ones.
#[test]
fn others_pass_a_blocking_body_that_does_not_come_back() {
    scenario("past a blocking body")
        .in_both_orders()
        .run(async |world| {
            for stuck in [0, 500] {
                let flow = world.flow();
                let (errors, mut failures) = mpsc::channel(16);
                flow.failed(stuck);
                let (gauge, door) = (flow.gauge(2), Door::new());
                let (threads, shut) = (gauge.clone(), door.clone());
                let job = Pipeline::from_iter(flow.items(0..1_000))
                    .blocking(move |item| {
                        let _inside = threads.enter(item.index);
                        if item.index == stuck {
                            shut.pass();
                        }
                        item.output()
                    })
                    .parallelism(2)
                    .in_order(world.order())
                    .timeout(ms(50))
                    .into_stream()
                    .errors(errors);
                let mut items = flow.start(job).unwrap();
                // not only begun: the time of one that is coming back would be over, too
                until(|| flow.metrics().stages[0].given == 999).await;
                assert!(failures.try_recv().is_err());
                advance(ms(50)).await;
                for _ in 1..1_000 {
                    items.next().await.unwrap().unwrap();
                }
                flow.expect((0..1_000).filter(|index| *index != stuck));
                let error = failures.recv().await.unwrap();
                expect_timed_out(&error, Limit::Stay, ms(50));
                assert_eq!(error.origin().first(), stuck);
                assert_eq!(gauge.now(), 1);
                door.open();
                assert!(items.next().await.is_none());
                assert_eq!(flow.metrics().stages[0].timeouts, 1);
            }
        });
}

/// A blocking body that fails or panics after its item has timed out says so to nobody.
#[test]
fn what_a_blocking_body_does_after_its_time_is_dropped() {
    scenario("late failures")
        .in_both_orders()
        .run(async |world| {
            for late in ["value", "error", "panic"] {
                let flow = world.flow();
                let (errors, mut failures) = mpsc::channel(16);
                flow.failed(0);
                let (gauge, door) = (flow.gauge(1), Door::new());
                let (threads, shut) = (gauge.clone(), door.clone());
                let job = Pipeline::from_iter(flow.items(0..3))
                    .try_blocking(move |item| {
                        let _inside = threads.enter(item.index);
                        if item.index == 0 {
                            shut.pass();
                            assert_ne!(late, "panic", "too late");
                            if late == "error" {
                                return Err(item.fault("too late"));
                            }
                        }
                        Ok(item.output())
                    })
                    .in_order(world.order())
                    .timeout(ms(50))
                    .for_each(flow.receive())
                    .errors(errors);
                let mut run = flow.start(job).unwrap();
                until(|| gauge.count() == 1).await;
                advance(ms(50)).await;
                let error = failures.recv().await.unwrap();
                expect_timed_out(&error, Limit::Stay, ms(50));
                door.open();
                let report = run.wait().await.unwrap();
                flow.expect([1, 2]);
                assert!(failures.recv().await.is_none());
                let stage = &report.stages[0];
                assert_eq!((stage.failed, stage.timeouts, stage.panics), (1, 1, 0));
            }
        });
}

/// A run that is cancelled waits for a blocking body that has timed out, as for any other.
#[test]
fn a_cancelled_run_waits_for_a_blocking_body_that_timed_out() {
    scenario("cancel behind a blocking timeout")
        .on(THREADS)
        .run(async |world| {
            let flow = world.flow();
            let (errors, mut failures) = mpsc::channel(16);
            flow.failed(0);
            let (gauge, door) = (flow.gauge(1), Door::new());
            let (threads, shut) = (gauge.clone(), door.clone());
            let job = Pipeline::from_iter(flow.items(0..10))
                .blocking(move |item| {
                    let _inside = threads.enter(item.index);
                    shut.pass();
                    item
                })
                .timeout(ms(50))
                .for_each(flow.receive())
                .errors(errors);
            let mut run = flow.start(job).unwrap();
            assert_eq!(failures.recv().await.unwrap().origin().first(), 0);
            run.control().cancel();
            let opened = async {
                // if `wait` does not wait, it returns in this time, and the fixture sees that a body is alive
                world.settled(|| gauge.now()).await;
                door.open();
            };
            let (ended, ()) = tokio::join!(run.wait(), opened);
            let error = ended.unwrap_err();
            assert!(matches!(error.cause, Cause::Cancelled));
            assert_eq!((error.report.items.failed, gauge.count()), (1, 1));
        });
}

/// The value of a worker whose body was cut short is dropped without `close`, and the next item gets a new one.
#[test]
fn a_state_whose_body_took_too_long_is_dropped() {
    scenario("state after a timeout")
        .on(ALL)
        .in_both_orders()
        .run(async |world| {
            let flow = world.flow();
            let (errors, failures) = mpsc::channel(16);
            let body = hanging(&flow, 1, |index| index == 2);
            let values = Log::new();
            let made = values.clone();
            let job = Pipeline::from_iter(flow.items(0..6))
                .stage_with(move || {
                    made.value();
                    ready(Ok::<_, BoxError>(body.clone()))
                })
                .in_order(world.order())
                .timeout(ms(20))
                .for_each(flow.receive())
                .errors(errors);
            flow.run_failing(job, [2]).await.unwrap();
            flow.expect([0, 1, 3, 4, 5]);
            assert_eq!(only_error(failures).await.kind(), ErrorKind::TimedOut);
            // two were made, and the number of the next one is asked for here
            assert_eq!(values.value(), 3);
            // the fixture would say if the first had been closed
            assert_eq!(flow.closes_of(Kind::State), 1);
        });
}

/// A future that never ends, and panics when it is dropped.
struct Grenade(#[expect(dead_code, reason = "it is there to be dropped")] Item);

impl Future for Grenade {
    type Output = Result<Item, Fault>;

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Pending
    }
}

impl Drop for Grenade {
    fn drop(&mut self) {
        panic!("in the destructor of a future");
    }
}

/// A future that panics when it is dropped because its time is over has timed out; the next item goes on.
#[test]
fn a_future_that_panics_when_its_time_is_over_is_contained() {
    scenario("panic in a timeout")
        .on(ALL)
        .in_both_orders()
        .run(async |world| {
            let flow = world.flow();
            let (errors, failures) = mpsc::channel(16);
            let job = Pipeline::from_iter(flow.items(0..6))
                .and_then(|item| {
                    let body: Pin<Box<dyn Future<Output = _> + Send>> = if item.index % 3 == 1 {
                        Box::pin(Grenade(item))
                    } else {
                        Box::pin(ready(Ok(item)))
                    };
                    body
                })
                .parallelism(2)
                .in_order(world.order())
                .timeout(ms(20))
                .for_each(flow.receive())
                .errors(errors);
            let report = flow.run_failing(job, [1, 4]).await.unwrap();
            flow.expect([0, 2, 3, 5]);
            let errors = all_errors(failures).await;
            assert_eq!(origins(&errors), [1, 4]);
            errors
                .iter()
                .for_each(|error| expect_timed_out(error, Limit::Stay, ms(20)));
            assert_eq!((report.stages[0].timeouts, report.stages[0].panics), (2, 0));
        });
}

/// No permit is lost by bodies that were cut short: as many as before can be at work afterwards.
#[test]
fn no_permit_is_lost_by_timeouts() {
    scenario("permits after timeouts")
        .in_both_orders()
        .run(async |world| {
            let flow = world.flow();
            let (errors, failures) = mpsc::channel(16);
            let meeting = std::sync::Arc::new(tokio::sync::Barrier::new(4));
            let body = flow.body_with(4, meeting, |item, meeting| async move {
                if item.index < 12 {
                    pending::<()>().await;
                }
                meeting.wait().await;
                Ok(item)
            });
            let job = Pipeline::from_iter(flow.items(0..16))
                .stage(body)
                .parallelism(4)
                .window(4)
                .in_order(world.order())
                .timeout(ms(20))
                .for_each(flow.receive())
                .errors(errors);
            flow.run_failing(job, 0..12).await.unwrap();
            flow.expect(12..16);
            assert!(origins(&all_errors(failures).await).into_iter().eq(0..12));
        });
}

/// `Duration::MAX` is no limit, a thousand years are as good as none, and neither is waited for.
#[test]
fn a_limit_may_be_as_long_as_one_likes() {
    const YEAR: Duration = Duration::from_secs(365 * 24 * 3_600);
    scenario("long limits").in_both_orders().run(async |world| {
        for limit in [Duration::MAX, Duration::MAX - ms(1), YEAR * 1_000, YEAR * 3] {
            let flow = world.flow();
            let job = Pipeline::from_iter(flow.items(0..4))
                .stage(flow.sleeps(2, |_| YEAR))
                .parallelism(2)
                .in_order(world.order())
                .timeout(limit)
                .attempt_timeout(limit)
                .for_each(flow.receive());
            let is_none = !job.plan().to_string().contains("timeout");
            assert_eq!(is_none, limit == Duration::MAX, "{}", job.plan());
            let report = flow.run(job).await.unwrap();
            flow.expect(0..4);
            assert_eq!(report.stages[0].timeouts, 0);
        }
    });
}

/// A limit of a nanosecond is one: a body that is ready at once has its result, one that sleeps has failed a grain later.
#[test]
fn a_limit_may_be_as_short_as_one_likes() {
    scenario("short limits")
        .in_both_orders()
        .run(async |world| {
            let flow = world.flow();
            let (errors, failures) = mpsc::channel(16);
            let body = flow.body(2, |item| async move {
                if item.index % 2 == 1 {
                    sleep(HOUR).await;
                }
                Ok(item)
            });
            let job = Pipeline::from_iter(flow.items(0..4))
                .stage(body)
                .parallelism(2)
                .in_order(world.order())
                .timeout(Duration::from_nanos(1))
                .for_each(flow.receive())
                .errors(errors);
            let watch = Stopwatch::start();
            flow.run_failing(job, [1, 3]).await.unwrap();
            watch.expect_within(ms(2));
            flow.expect([0, 2]);
            assert_eq!(origins(&all_errors(failures).await), [1, 3]);
        });
}

/// Scenario 191: a limit of zero is refused when the job is started, by its name, also where there would be nothing to do.
#[test]
fn a_limit_of_zero_is_refused() {
    scenario("191").on(ALL).run(async |world| {
        for items in [0, 100] {
            for setting in ["timeout", "attempt_timeout"] {
                let flow = world.flow();
                let stage = Pipeline::from_iter(flow.items(0..items))
                    .stage(flow.pass(1))
                    .name("ask");
                let stage = match setting {
                    "timeout" => stage.timeout(Duration::ZERO),
                    _ => stage.attempt_timeout(Duration::ZERO),
                };
                let error = flow.start(stage.for_each(flow.receive())).unwrap_err();
                let text = error.to_string();
                assert!(matches!(error, BuildError::ZeroTime(stage, which) if &*stage == "ask" && which == setting));
                let begin = format!("`ask`: {setting} must be longer than zero");
                assert!(text.starts_with(&begin), "{text}");
                assert_eq!(flow.pulled(), 0);
            }
        }
    });
}

/// Scenario 194: a limit or a retry needs timers, and that is said at the start, by the names of the option and the stage.
#[test]
fn limits_and_retries_need_timers() {
    scenario("194").run(async |world| {
        for threads in [1, 2] {
            let flow = world.flow();
            let elsewhere = thread::spawn(move || {
                let runtime = match threads {
                    1 => Builder::new_current_thread().build(),
                    _ => Builder::new_multi_thread().worker_threads(threads).build(),
                };
                runtime.unwrap().block_on(async {
                    let stage = || {
                        Pipeline::from_iter(flow.parcels(0..3))
                            .stage(flow.tries(1, |parcel, _| ready(Ok(parcel))))
                            .name("ask")
                    };
                    let retry = Retry::fixed(Duration::ZERO);
                    let timed = [
                        ("timeout", stage().timeout(ms(1))),
                        ("attempt_timeout", stage().attempt_timeout(ms(1))),
                        ("retry", stage().retry(retry)),
                    ];
                    for (option, stage) in timed {
                        let job = stage.for_each(flow.receive());
                        let error = flow.start(job).unwrap_err();
                        assert!(matches!(error, BuildError::NoTimer(_)), "{error:?}");
                        let begin =
                            format!("`{option}` of `ask` needs a runtime with its time driver");
                        assert!(error.to_string().starts_with(&begin), "{error}");
                    }
                    assert_eq!(flow.pulled(), 0);
                    // no limit needs none, and neither do dead letters
                    let (letters, mut dead) = mpsc::channel(4);
                    let job = stage()
                        .timeout(Duration::MAX)
                        .dead_letters(letters)
                        .for_each(flow.receive());
                    flow.run(job).await.unwrap();
                    flow.expect(0..3);
                    assert!(dead.recv().await.is_none());
                });
            });
            elsewhere.join().unwrap();
        }
    });
}

/// A stage that brings limits of its own, and hangs on item 1.
#[derive(Clone)]
struct Impatient;

impl Stage<u64, u64> for Impatient {
    type Error = BoxError;

    async fn process(&mut self, n: u64) -> Result<u64, BoxError> {
        if n == 1 {
            sleep(ms(1_000)).await;
        }
        Ok(n)
    }

    fn defaults() -> StageConfig<u64> {
        StageConfig::default()
            .timeout(ms(100))
            .attempt_timeout(ms(50))
    }
}

/// The limits that a stage brings count, unless the builder sets others; `Duration::MAX` takes one away.
#[test]
fn limits_of_a_stage_are_defaults() {
    scenario("limits as defaults").run(async |world| {
        let stage = || Pipeline::from_iter(0..3u64).stage(Impatient);
        let cases = [
            (stage(), Some((Limit::Attempt, 50))),
            (stage().timeout(ms(30)), Some((Limit::Stay, 30))),
            (stage().attempt_timeout(ms(70)), Some((Limit::Attempt, 70))),
            (
                stage().attempt_timeout(Duration::MAX),
                Some((Limit::Stay, 100)),
            ),
            (stage().timeout(Duration::MAX), Some((Limit::Attempt, 50))),
            (
                stage()
                    .timeout(Duration::MAX)
                    .attempt_timeout(Duration::MAX),
                None,
            ),
        ];
        for (stage, limit) in cases {
            let flow = world.flow();
            let (errors, failures) = mpsc::channel(16);
            let job = stage.collect().errors(errors);
            let fails = limit.map(|_| 1);
            let report = flow.run_failing(job, fails).await.unwrap();
            let errors = all_errors(failures).await;
            match limit {
                Some((limit, time)) => {
                    assert_eq!(report.value, [0, 2]);
                    expect_timed_out(&errors[0], limit, ms(time));
                }
                None => assert_eq!((report.value, errors.len()), (vec![0, 1, 2], 0)),
            }
        }
        // a boxed stage brings them as well, and what it brings is checked like what is set
        let flow = world.flow();
        let job = Pipeline::from_iter(0..3u64)
            .stage(Impatient.boxed())
            .collect()
            .on_error(OnError::Continue);
        let report = flow.run_failing(job, [1]).await.unwrap();
        assert_eq!((report.value, report.stages[0].timeouts), (vec![0, 2], 1));
    });
}

/// A `map` with a limit is a stage of its own, and has it.
#[test]
fn a_map_may_have_a_limit() {
    scenario("map with a limit").on(THREADS).run(async |world| {
        let flow = world.flow();
        let job = Pipeline::from_iter(flow.items(0..3))
            .map(|item| {
                thread::sleep(ms(20));
                item
            })
            .timeout(ms(10))
            .for_each(flow.receive());
        let report = flow.run(job).await.unwrap();
        flow.expect(0..3);
        assert!(report.stages[0].overruns > 0);
        assert_eq!(report.stages[0].timeouts, 0);
    });
}

/// A fused filter runs behind the body, and its time does not matter to the item.
#[test]
fn what_is_fused_to_a_stage_with_a_limit_works() {
    scenario("fused")
        .on(ALL)
        .in_both_orders()
        .run(async |world| {
            let flow = world.flow();
            let (errors, failures) = mpsc::channel(16);
            let job = Pipeline::from_iter(flow.items(0..20))
                .stage(hanging(&flow, 4, |index| index == 6 || index == 7))
                .name("ask")
                .parallelism(4)
                .in_order(world.order())
                // long enough for the others on any machine: they are ready at once
                .timeout(ms(50))
                .filter(flow.keep(|index| index % 2 == 0))
                .for_each(flow.receive())
                .errors(errors);
            let report = flow.run_failing(job, [6, 7]).await.unwrap();
            flow.expect((0..20).filter(|index| index % 2 == 0 && *index != 6));
            assert_eq!((report.items.failed, report.items.filtered), (2, 9));
            let errors = all_errors(failures).await;
            assert!(errors.iter().all(|error| error.stage() == "ask"));
            assert_eq!(origins(&errors), [6, 7]);
        });
}

/// If errors must not be lost, a full channel holds up those that time out, too; each is told once there is room.
#[test]
fn errors_of_items_that_timed_out_wait_for_room() {
    scenario("timeouts into a full channel")
        .in_both_orders()
        .run(async |world| {
            let flow = world.flow();
            let (errors, mut failures) = mpsc::channel(1);
            (0..10).for_each(|index| flow.failed(index));
            let body = hanging(&flow, 2, |_| true);
            let gauge = body.gauge();
            let job = Pipeline::from_iter(flow.items(0..10))
                .stage(body)
                .parallelism(2)
                .in_order(world.order())
                .timeout(ms(100))
                .for_each(flow.receive())
                .errors(errors)
                .error_overflow(Overflow::Wait);
            let mut run = flow.start(job).unwrap();
            sleep(HOUR).await;
            // one is in the channel, and the worker of each of the next two waits with its own
            assert_eq!(gauge.count(), 3);
            let mut told = Vec::new();
            while let Some(error) = failures.recv().await {
                expect_timed_out(&error, Limit::Stay, ms(100));
                told.push(error);
            }
            run.wait().await.unwrap();
            assert!(origins(&told).into_iter().eq(0..10));
        });
}

/// The same on blocking threads: the errors wait, the run does not end before they are told.
#[test]
fn errors_of_blocking_bodies_that_timed_out_wait_for_room() {
    scenario("blocking timeouts into a full channel")
        .in_both_orders()
        .run(async |world| {
            for cancelled in [false, true] {
                let flow = world.flow();
                let (errors, mut failures) = mpsc::channel(1);
                (0..3).for_each(|index| flow.failed(index));
                let (gauge, door) = (flow.gauge(3), Door::new());
                let (threads, shut) = (gauge.clone(), door.clone());
                let job = Pipeline::from_iter(flow.items(0..3))
                    .blocking(move |item| {
                        let _inside = threads.enter(item.index);
                        shut.pass();
                        item.output()
                    })
                    .parallelism(3)
                    .in_order(world.order())
                    .timeout(ms(50))
                    .for_each(flow.receive())
                    .errors(errors)
                    .error_overflow(Overflow::Wait);
                let mut run = flow.start(job).unwrap();
                until(|| gauge.count() == 3).await;
                advance(ms(60)).await;
                until(|| failures.len() == 1).await;
                door.open();
                until(|| gauge.now() == 0).await;
                if cancelled {
                    sleep(HOUR).await;
                    run.control().cancel();
                    let error = run.wait().await.unwrap_err();
                    assert!(matches!(error.cause, Cause::Cancelled));
                    assert_eq!(error.report.items.delivered, 0);
                    continue;
                }
                sleep(HOUR).await;
                assert_eq!(flow.metrics().outcome, None);
                let mut told = Vec::new();
                while let Some(error) = failures.recv().await {
                    told.push(error);
                }
                run.wait().await.unwrap();
                assert!(origins(&told).into_iter().eq(0..3));
                flow.expect([]);
            }
        });
}

/// A cancel, or a drop, at the moment when time is over: items end one way or the other, and only once.
#[test]
fn a_cancel_may_come_when_time_is_over() {
    scenario("cancel about a timeout")
        .in_both_orders()
        .run(async |world| {
            for (at, dropped) in [99, 100, 101]
                .into_iter()
                .flat_map(|at| [(at, false), (at, true)])
            {
                let flow = world.flow();
                let (errors, mut failures) = mpsc::channel(64);
                let body = hanging(&flow, 4, |_| true);
                let gauge = body.gauge();
                let job = Pipeline::from_iter(flow.items(0..40))
                    .stage(body)
                    .parallelism(4)
                    .in_order(world.order())
                    .timeout(ms(100))
                    .for_each(flow.receive())
                    .errors(errors);
                let mut run = flow.start(job).unwrap();
                sleep(ms(at)).await;
                if dropped {
                    drop(run);
                } else {
                    run.control().cancel();
                    let error = run.wait().await.unwrap_err();
                    assert!(matches!(error.cause, Cause::Cancelled));
                    let items = error.report.items;
                    assert_eq!((items.taken, items.failed + items.cancelled), (40, 40));
                }
                sleep(HOUR).await;
                let mut told = 0;
                while failures.recv().await.is_some() {
                    told += 1;
                }
                match at {
                    99 => assert_eq!(told, 0),
                    _ => assert!(told == 0 || told == 4, "{told}"),
                }
                assert!(gauge.count() <= 8);
            }
        });
}

/// A drain waits for items that hang no longer than their time.
#[test]
fn a_drain_waits_for_items_until_their_time_is_over() {
    scenario("drain about a timeout")
        .in_both_orders()
        .run(async |world| {
            let flow = world.flow();
            let (errors, failures) = mpsc::channel(64);
            let job = Pipeline::from_iter(flow.items(0..u64::MAX))
                .buffer(1)
                .stage(hanging(&flow, 4, |index| index >= 8))
                .parallelism(4)
                .window(8)
                .in_order(world.order())
                .timeout(ms(100))
                .for_each(flow.receive())
                .errors(errors);
            let mut run = flow.start(job).unwrap();
            sleep(ms(50)).await;
            let pulled = flow.pulled();
            assert_eq!(pulled, 13);
            (8..pulled).for_each(|index| flow.failed(index));
            let watch = Stopwatch::start();
            run.control().drain(HOUR);
            let report = run.wait().await.unwrap();
            // four at 100 ms, and the one that was read ahead 100 ms later
            watch.expect(ms(150));
            assert_eq!(report.outcome, Some(Outcome::Drained));
            flow.expect(0..8);
            assert_eq!(origins(&all_errors(failures).await).len(), 5);
        });
}

/// In a chain each stage has limits of its own, and its name in the error.
#[test]
fn each_stage_has_its_own_limit() {
    scenario("limits in a chain")
        .in_both_orders()
        .run(async |world| {
            let flow = world.flow();
            let (errors, failures) = mpsc::channel(16);
            let job = Pipeline::from_iter(flow.items(0..10))
                .stage(hanging(&flow, 2, |index| index == 2))
                .name("first")
                .parallelism(2)
                .in_order(world.order())
                .timeout(ms(100))
                .stage(hanging(&flow, 2, |index| index == 5))
                .name("second")
                .parallelism(2)
                .in_order(world.order())
                .attempt_timeout(ms(300))
                .for_each(flow.receive())
                .errors(errors);
            let report = flow.run_failing(job, [2, 5]).await.unwrap();
            flow.expect([0, 1, 3, 4, 6, 7, 8, 9]);
            let mut errors = all_errors(failures).await;
            errors.sort_by_key(|error| error.origin().first());
            assert_eq!((errors[0].stage(), errors[1].stage()), ("first", "second"));
            expect_timed_out(&errors[0], Limit::Stay, ms(100));
            expect_timed_out(&errors[1], Limit::Attempt, ms(300));
            let timeouts: Vec<_> = report.stages.iter().map(|stage| stage.timeouts).collect();
            assert_eq!(timeouts, [1, 1]);
            let table = report.to_string();
            assert!(
                table.contains("timeouts") && table.contains("retries"),
                "{table}"
            );
        });
}

/// A run does not wait for limits that nobody needs any more.
#[test]
fn a_limit_of_blocking_bodies_that_is_not_reached_holds_nobody_up() {
    scenario("blocking, in time")
        .on(THREADS)
        .in_both_orders()
        .run(async |world| {
            let flow = world.flow();
            let job = Pipeline::from_iter(flow.items(0..5))
                .blocking(Item::output)
                .parallelism(2)
                .in_order(world.order())
                .timeout(24 * HOUR)
                .for_each(flow.receive());
            let report = flow.run(job).await.unwrap();
            assert_eq!((report.items.delivered, report.stages[0].timeouts), (5, 0));
        });
}

/// A body that waits, and is ready when it is looked at next, has its result however late that is, and is counted.
#[test]
fn a_body_that_is_ready_late_has_its_result_and_is_an_overrun() {
    scenario("ready late").in_both_orders().run(async |world| {
        let flow = world.flow();
        let job = Pipeline::from_iter(flow.items(0..1))
            .stage(flow.sleeps(1, |_| ms(20)))
            .in_order(world.order())
            .timeout(ms(10))
            .for_each(flow.receive());
        let mut run = flow.start(job).unwrap();
        world.settled(|| flow.pulled()).await;
        // the thread was busy with something else all the while
        advance(ms(60)).await;
        let report = run.wait().await.unwrap();
        assert_eq!((report.items.delivered, report.stages[0].overruns), (1, 1));
    });
}
