//! Retries: an item that fails is tried again, in its place, with its permit, and only its last failure is told.

use std::error::Error;
use std::future::{pending, ready};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use pipeline_core::error::{BuildError, Cause, ErrorKind, Limit, Panicked, TimedOut};
use pipeline_core::prelude::*;
use pipeline_core::report::Outcome;
use tests::prelude::*;
use tests::ticket::Kind;
use tokio::sync::mpsc;
use tokio::task::yield_now;
use tokio::time::{advance, sleep};

const HOUR: Duration = ms(3_600_000);

/// Tries again at once, so many times.
const fn at_once(retries: u32) -> Retry {
    Retry::fixed(Duration::ZERO).max_retries(retries)
}

/// Scenario 69: an item that succeeds at its third attempt has its place in the order, and nobody is told of the others.
#[test]
fn an_item_that_succeeds_in_the_end_has_its_place() {
    scenario("69").on(ALL).in_both_orders().run(async |world| {
        let flow = world.flow();
        let (errors, failures) = mpsc::channel(16);
        let body = flow.tries(2, |parcel, attempt| async move {
            yield_now().await;
            if parcel.index == 2 && attempt < 3 {
                return Err(parcel.fault("not yet"));
            }
            Ok(parcel)
        });
        let log = body.log();
        let job = Pipeline::from_iter(flow.parcels(0..5))
            .stage(body)
            .parallelism(2)
            .in_order(world.order())
            .retry(Retry::fixed(ms(5)))
            .for_each(flow.receive())
            .errors(errors);
        let report = flow.run(job).await.unwrap();
        flow.expect(0..5);
        assert_eq!((log.count(2), log.total()), (3, 7));
        let stage = &report.stages[0];
        assert_eq!(
            (stage.taken, stage.given, stage.failed, stage.retries),
            (5, 5, 0, 2)
        );
        assert!(all_errors(failures).await.is_empty());
    });
}

/// Scenario 70: an item that always fails is tried as often as was asked for, and its last failure is told, once.
#[test]
fn an_item_that_always_fails_is_told_once() {
    scenario("70").on(ALL).in_both_orders().run(async |world| {
        let flow = world.flow();
        let (errors, failures) = mpsc::channel(16);
        let body = flow.tries(2, |parcel, attempt| async move {
            match parcel.index {
                1 => Err(parcel.fault(&format!("failure {attempt}"))),
                _ => Ok(parcel),
            }
        });
        let log = body.log();
        let job = Pipeline::from_iter(flow.parcels(0..5))
            .stage(body)
            .name("save")
            .parallelism(2)
            .in_order(world.order())
            .retry(Retry::fixed(ms(5)).max_retries(3))
            .for_each(flow.receive())
            .errors(errors);
        let report = flow.run_failing(job, [1]).await.unwrap();
        flow.expect([0, 2, 3, 4]);
        let error = only_error(failures).await;
        assert_eq!((error.kind(), error.attempts()), (ErrorKind::Failed, 4));
        assert_eq!(error.source().unwrap().to_string(), "failure 4");
        assert_eq!(
            error.to_string(),
            "stage `save` failed on item 1 after 4 attempt(s)"
        );
        assert_eq!((log.count(1), log.total()), (4, 8));
        assert_eq!((report.stages[0].failed, report.stages[0].retries), (1, 3));
    });
}

/// Without an error channel it ends the run, after its last attempt.
#[test]
fn an_item_that_always_fails_ends_the_run_by_default() {
    scenario("fail fast after retries")
        .on(ALL)
        .run(async |world| {
            let flow = world.flow();
            let body = flow.tries(1, |parcel, _| ready(Err(parcel.fault("broken"))));
            let log = body.log();
            flow.failed(0);
            let job = Pipeline::from_iter(flow.parcels(0..5))
                .stage(body)
                .retry(at_once(2))
                .for_each(flow.receive());
            let failure = failure(flow.run(job).await);
            assert_eq!((failure.origin().first(), failure.attempts()), (0, 3));
            assert_eq!(log.total(), 3);
        });
}

/// Scenario 71: pauses double up to their limit.
#[test]
fn pauses_double_up_to_their_limit() {
    scenario("71").in_both_orders().run(async |world| {
        let flow = world.flow();
        let (errors, failures) = mpsc::channel(16);
        let body = flow.tries(1, |parcel, _| ready(Err(parcel.fault("broken"))));
        let log = body.log();
        let job = Pipeline::from_iter(flow.parcels(0..1))
            .stage(body)
            .in_order(world.order())
            .retry(Retry::exponential(ms(10)).max_delay(ms(50)).max_retries(7))
            .for_each(flow.receive())
            .errors(errors);
        let watch = Stopwatch::start();
        flow.run_failing(job, [0]).await.unwrap();
        assert!(watch.elapsed() < ms(300));
        log.expect_times(0, &[0, 10, 30, 70, 120, 170, 220, 270]);
        assert_eq!(only_error(failures).await.attempts(), 8);
    });
}

/// Jitter makes each pause longer, by less than as much again, and not the same for all.
#[test]
fn jitter_stays_in_its_range() {
    scenario("jitter").run(async |world| {
        let flow = world.flow();
        let body = flow.tries(50, |parcel, _| ready(Err(parcel.fault("broken"))));
        let log = body.log();
        let job = Pipeline::from_iter(flow.parcels(0..50))
            .stage(body)
            .parallelism(50)
            .retry(Retry::exponential(ms(1_000)).jitter())
            .for_each(flow.receive())
            .on_error(OnError::Continue);
        flow.run_failing(job, 0..50).await.unwrap();
        let mut firsts = Vec::new();
        for index in 0..50 {
            let times: Vec<_> = log.of(index).iter().map(|one| one.at).collect();
            assert_eq!(times.len(), 4);
            for (two, least) in times.windows(2).zip([1_000, 2_000, 4_000]) {
                let pause = two[1] - two[0];
                assert!(
                    (ms(least)..=ms(2 * least + 2)).contains(&pause),
                    "{pause:?} of {least} ms"
                );
            }
            firsts.push(times[1]);
        }
        firsts.sort_unstable();
        firsts.dedup();
        assert!(firsts.len() > 10, "{firsts:?}");
    });
}

/// Jitter is there so that those who failed together do not come back together, and that goes for runs as well.
#[test]
fn two_runs_have_not_the_same_jitter() {
    scenario("two runs").run(async |world| {
        let mut pauses = Vec::new();
        for _ in 0..2 {
            let flow = world.flow();
            let body = flow.tries(50, |parcel, _| ready(Err(parcel.fault("broken"))));
            let log = body.log();
            let job = Pipeline::from_iter(flow.parcels(0..50))
                .stage(body)
                .parallelism(50)
                .retry(Retry::fixed(ms(1_000)).max_retries(1).jitter())
                .for_each(flow.receive())
                .on_error(OnError::Continue);
            flow.run_failing(job, 0..50).await.unwrap();
            let pause = |index| {
                let times: Vec<_> = log.of(index).iter().map(|one| one.at).collect();
                times[1] - times[0]
            };
            pauses.push((0..50).map(pause).collect::<Vec<_>>());
        }
        assert_ne!(pauses[0], pauses[1]);
    });
}

/// Scenario 75: a run whose source has ended waits for the outcome of an item that is in a pause.
#[test]
fn the_run_ends_after_the_item_in_a_pause() {
    scenario("75").in_both_orders().run(async |world| {
        for succeeds in [true, false] {
            let flow = world.flow();
            let (errors, failures) = mpsc::channel(16);
            let body = flow.tries(1, move |parcel, attempt| {
                ready(match attempt == 4 && succeeds {
                    true => Ok(parcel),
                    false => Err(parcel.fault("broken")),
                })
            });
            let job = Pipeline::from_iter(flow.parcels(0..1))
                .stage(body)
                .in_order(world.order())
                .retry(Retry::fixed(ms(1_000)))
                .stage(flow.pass(1))
                .for_each(flow.receive())
                .errors(errors);
            let watch = Stopwatch::start();
            let report = flow
                .run_failing(job, (!succeeds).then_some(0))
                .await
                .unwrap();
            assert!((ms(3_000)..ms(3_010)).contains(&watch.elapsed()));
            assert_eq!(report.outcome, Some(Outcome::Finished));
            flow.expect(succeeds.then_some(0));
            assert_eq!(all_errors(failures).await.len(), usize::from(!succeeds));
        }
    });
}

/// Scenario 76: an item keeps its permit through its pauses, so the next one begins when it is done.
#[test]
fn an_item_keeps_its_permit_through_its_pauses() {
    scenario("76").in_both_orders().run(async |world| {
        let flow = world.flow();
        let body = flow.tries(1, |parcel, attempt| {
            ready(match (parcel.index, attempt) {
                (0, 1) => Err(parcel.fault("not yet")),
                _ => Ok(parcel),
            })
        });
        let (log, gauge) = (body.log(), body.gauge());
        let job = Pipeline::from_iter(flow.parcels(0..2))
            .stage(body)
            .in_order(world.order())
            .retry(Retry::fixed(ms(10_000)))
            .for_each(flow.receive());
        flow.run(job).await.unwrap();
        flow.expect([0, 1]);
        log.expect_times(0, &[0, 10_000]);
        log.expect_times(1, &[10_000]);
        assert_eq!(gauge.max(), 1);
    });
}

/// Scenario 76 and 100: a drain waits for a pause, up to its deadline; then the item counts as cancelled.
#[test]
fn a_drain_waits_for_pauses_up_to_its_deadline() {
    scenario("76 and 100, deadline")
        .in_both_orders()
        .run(async |world| {
            let flow = world.flow();
            let body = flow.tries(1, |parcel, _| ready(Err(parcel.fault("broken"))));
            let log = body.log();
            let job = Pipeline::from_iter(flow.parcels(0..u64::MAX))
                .buffer(1)
                .stage(body)
                .in_order(world.order())
                .retry(Retry::fixed(ms(10_000)))
                .for_each(flow.receive());
            let mut run = flow.start(job).unwrap();
            assert_eq!(world.settled(|| flow.pulled()).await, 2);
            let watch = Stopwatch::start();
            run.control().drain(ms(1_000));
            let error = run.wait().await.unwrap_err();
            watch.expect(ms(1_000));
            assert!(matches!(error.cause, Cause::DeadlinePassed(_)));
            assert_eq!(
                (error.report.items.taken, error.report.items.cancelled),
                (2, 2)
            );
            assert_eq!((log.count(0), log.total()), (1, 1));
        });
}

/// Scenario 100: with time enough a drain lets items in a pause be tried again.
#[test]
fn a_drain_lets_items_in_a_pause_be_tried_again() {
    scenario("100").in_both_orders().run(async |world| {
        let flow = world.flow();
        let body = flow.tries(4, |parcel, attempt| {
            ready(match attempt {
                1 => Err(parcel.fault("not yet")),
                _ => Ok(parcel),
            })
        });
        let job = Pipeline::from_iter(flow.parcels(0..u64::MAX))
            .buffer(1)
            .stage(body)
            .parallelism(4)
            .window(4)
            .in_order(world.order())
            .retry(Retry::fixed(ms(60_000)))
            .for_each(flow.receive());
        let mut run = flow.start(job).unwrap();
        let pulled = world.settled(|| flow.pulled()).await;
        assert_eq!(pulled, 5);
        let watch = Stopwatch::start();
        run.control().drain(HOUR);
        let report = run.wait().await.unwrap();
        // four at once, and then the one that was read ahead
        assert!((ms(119_000)..ms(121_000)).contains(&watch.elapsed()));
        assert_eq!(report.outcome, Some(Outcome::Drained));
        flow.expect(0..5);
    });
}

/// A cancel, or a drop, ends pauses at once; the items count as cancelled.
#[test]
fn a_cancel_ends_pauses_at_once() {
    scenario("cancel in a pause")
        .on(ALL)
        .in_both_orders()
        .run(async |world| {
            for dropped in [false, true] {
                let flow = world.flow();
                let (errors, failures) = mpsc::channel(64);
                let body = flow.tries(4, |parcel, _| ready(Err(parcel.fault("broken"))));
                let log = body.log();
                let job = Pipeline::from_iter(flow.parcels(0..40))
                    .stage(body)
                    .parallelism(4)
                    .in_order(world.order())
                    .retry(Retry::fixed(HOUR))
                    .for_each(flow.receive())
                    .errors(errors);
                let mut run = flow.start(job).unwrap();
                assert_eq!(world.settled(|| log.total()).await, 4);
                let watch = Stopwatch::start();
                if dropped {
                    drop(run);
                } else {
                    run.control().cancel();
                    let error = run.wait().await.unwrap_err();
                    assert!(matches!(error.cause, Cause::Cancelled));
                    let items = error.report.items;
                    assert_eq!((items.failed, items.cancelled), (0, 40));
                }
                if world.machine() == Machine::Paused {
                    watch.expect(ms(0));
                }
                assert!(all_errors(failures).await.is_empty());
                assert_eq!(log.total(), 4);
            }
        });
}

/// So it does between attempts that follow at once: the item is not even copied any more.
#[test]
fn a_cancel_between_attempts_at_once_is_the_end_of_them() {
    scenario("cancel between attempts at once")
        .in_both_orders()
        .run(async |world| {
            for dropped in [false, true] {
                let flow = world.flow();
                let body = flow.tries(2, |parcel, _| ready(Err(parcel.fault("broken"))));
                let log = body.log();
                let job = Pipeline::from_iter(flow.parcels(0..40))
                    .stage(body)
                    .parallelism(2)
                    .in_order(world.order())
                    .retry(at_once(u32::MAX))
                    .for_each(flow.receive());
                let mut run = flow.start(job).unwrap();
                while log.total() < 10 {
                    yield_now().await;
                }
                let tried = (log.total(), flow.copies());
                if dropped {
                    drop(run);
                } else {
                    run.control().cancel();
                    let error = run.wait().await.unwrap_err();
                    assert_eq!(error.report.items.cancelled, 40);
                }
                world.settled(|| ()).await;
                assert_eq!((log.total(), flow.copies()), tried);
            }
        });
}

/// Scenario 77: an error that does not deserve another attempt gets none.
#[test]
fn errors_that_will_not_pass_are_not_tried_again() {
    scenario("77").on(ALL).in_both_orders().run(async |world| {
        let flow = world.flow();
        let (errors, failures) = mpsc::channel(16);
        let body = flow.tries(2, |parcel, _| {
            ready(match parcel.index {
                1 => Err(parcel.fault("for ever")),
                2 => Err(parcel.fault("for now")),
                _ => Ok(parcel),
            })
        });
        let log = body.log();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let asks = asked.clone();
        let job = Pipeline::from_iter(flow.parcels(0..5))
            .stage(body)
            .parallelism(2)
            .in_order(world.order())
            .retry(Retry::fixed(ms(5)).max_retries(2))
            .retry_if(move |fault: &Fault| {
                let text = fault.to_string();
                let now = text == "for now";
                asks.lock().unwrap().push(text);
                now
            })
            .for_each(flow.receive())
            .errors(errors);
        let report = flow.run_failing(job, [1, 2]).await.unwrap();
        flow.expect([0, 3, 4]);
        assert_eq!((log.count(1), log.count(2)), (1, 3));
        assert_eq!(report.stages[0].retries, 2);
        let mut errors = all_errors(failures).await;
        errors.sort_by_key(|error| error.origin().first());
        assert_eq!((errors[0].attempts(), errors[1].attempts()), (1, 3));
        // once for each attempt that failed
        let mut asked = asked.lock().unwrap().clone();
        asked.sort();
        assert_eq!(asked, ["for ever", "for now", "for now", "for now"]);
    });
}

/// Scenario 77: a panic is not tried again, unless that was asked for; `retry_if` is not asked about it.
#[test]
fn a_panic_is_tried_again_only_if_that_was_asked_for() {
    scenario("77, panics")
        .on(ALL)
        .in_both_orders()
        .run(async |world| {
            for (retries_panics, await_first) in
                [(false, false), (false, true), (true, false), (true, true)]
            {
                let flow = world.flow();
                let (errors, failures) = mpsc::channel(16);
                let body = flow.tries(2, move |parcel, attempt| {
                    let explodes = parcel.index == 3 && attempt < 3;
                    assert!(await_first || !explodes, "in the call");
                    async move {
                        yield_now().await;
                        assert!(!explodes, "in the future");
                        Ok(parcel)
                    }
                });
                let log = body.log();
                let retry = Retry::fixed(ms(5));
                let job = Pipeline::from_iter(flow.parcels(0..6))
                    .stage(body)
                    .parallelism(2)
                    .in_order(world.order())
                    .retry(if retries_panics {
                        retry.panics()
                    } else {
                        retry
                    })
                    .retry_if(|_: &Fault| panic!("there is no error to ask about"))
                    .for_each(flow.receive())
                    .errors(errors);
                let fails = (!retries_panics).then_some(3);
                let report = flow.run_failing(job, fails).await.unwrap();
                flow.expect((0..6).filter(|index| fails != Some(*index)));
                if retries_panics {
                    assert_eq!((log.count(3), report.stages[0].retries), (3, 2));
                    assert_eq!(report.stages[0].panics, 0);
                    assert!(all_errors(failures).await.is_empty());
                } else {
                    assert_eq!((log.count(3), report.stages[0].retries), (1, 0));
                    let error = only_error(failures).await;
                    assert_eq!((error.kind(), error.attempts()), (ErrorKind::Panicked, 1));
                }
            }
        });
}

/// A panic at the last attempt is what is told, after errors before it, and the other way round.
#[test]
fn the_last_attempt_is_what_is_told() {
    scenario("mixed failures").on(ALL).run(async |world| {
        let flow = world.flow();
        let (errors, failures) = mpsc::channel(16);
        let body = flow.tries(1, |parcel, attempt| {
            assert!(
                !(attempt + parcel.index as u32).is_multiple_of(2),
                "explosion {attempt}"
            );
            ready(Err::<Parcel, _>(
                parcel.fault(&format!("failure {attempt}")),
            ))
        });
        let job = Pipeline::from_iter(flow.parcels(0..2))
            .stage(body)
            .retry(at_once(1).panics())
            .for_each(flow.receive())
            .errors(errors);
        flow.run_failing(job, [0, 1]).await.unwrap();
        let errors = all_errors(failures).await;
        let told: Vec<_> = errors
            .iter()
            .map(|error| (error.kind(), error.attempts()))
            .collect();
        assert_eq!(told, [(ErrorKind::Panicked, 2), (ErrorKind::Failed, 2)]);
        assert!(chain(&errors[0]).contains("explosion 2"));
        assert!(chain(&errors[1]).contains("failure 2"));
    });
}

/// An attempt that takes too long is dropped and the item tried again.
#[test]
fn an_attempt_that_takes_too_long_is_tried_again() {
    scenario("attempt timeout")
        .in_both_orders()
        .run(async |world| {
            let flow = world.flow();
            let (errors, failures) = mpsc::channel(16);
            let body = flow.tries(2, |parcel, attempt| async move {
                if parcel.index == 3 || parcel.index == 1 && attempt < 3 {
                    pending::<()>().await;
                }
                Ok(parcel)
            });
            let log = body.log();
            let job = Pipeline::from_iter(flow.parcels(0..6))
                .stage(body)
                .parallelism(2)
                .in_order(world.order())
                .attempt_timeout(ms(100))
                .retry(Retry::fixed(ms(10)))
                // not asked about attempts that took too long
                .retry_if(|_: &Fault| false)
                .for_each(flow.receive())
                .errors(errors);
            let report = flow.run_failing(job, [3]).await.unwrap();
            flow.expect([0, 1, 2, 4, 5]);
            log.expect_times(1, &[0, 110, 220]);
            log.expect_times(3, &[0, 110, 220, 330]);
            let stage = &report.stages[0];
            assert_eq!((stage.retries, stage.timeouts, stage.failed), (5, 1, 1));
            let error = only_error(failures).await;
            assert_eq!((error.kind(), error.attempts()), (ErrorKind::TimedOut, 4));
            let timed_out = error.downcast_ref::<TimedOut>().unwrap();
            assert_eq!(
                (timed_out.limit(), timed_out.time()),
                (Limit::Attempt, ms(100))
            );
            // the one before had the same fate
            let before = timed_out.last_failure().unwrap();
            assert_eq!(before.to_string(), "the attempt_timeout of 100ms was over");
        });
}

/// The limit of an item covers its attempts and pauses, and ends it in the middle of a pause, with its last failure inside.
#[test]
fn the_limit_of_an_item_ends_its_pauses() {
    scenario("timeout in a pause")
        .in_both_orders()
        .run(async |world| {
            let flow = world.flow();
            let (errors, failures) = mpsc::channel(16);
            let body = flow.tries(1, |parcel, attempt| async move {
                sleep(ms(10)).await;
                Err(parcel.fault(&format!("failure {attempt}")))
            });
            let log = body.log();
            let job = Pipeline::from_iter(flow.parcels(0..1))
                .stage(body)
                .in_order(world.order())
                .timeout(ms(100))
                .retry(Retry::fixed(ms(40)).max_retries(u32::MAX))
                .for_each(flow.receive())
                .errors(errors);
            let watch = Stopwatch::start();
            let report = flow.run_failing(job, [0]).await.unwrap();
            // attempts from 0 to 10 and from 50 to 60 ms; the third would begin at 100
            watch.expect(ms(100));
            assert!(log.total() <= 3);
            let error = only_error(failures).await;
            assert_eq!(error.kind(), ErrorKind::TimedOut);
            assert_eq!(u64::from(error.attempts()), log.total() as u64);
            let timed_out = error.downcast_ref::<TimedOut>().unwrap();
            assert_eq!(timed_out.limit(), Limit::Stay);
            let last = timed_out.last_failure().expect("what failed before");
            assert_eq!(last.to_string(), "failure 2");
            assert_eq!(timed_out.source().unwrap().to_string(), "failure 2");
            assert_eq!(report.stages[0].timeouts, 1);
        });
}

/// In the middle of a pause, and of an attempt: the limit of the item ends both at exactly its time.
#[test]
fn the_limit_of_an_item_is_exact() {
    scenario("exact timeout over attempts").run(async |world| {
        // (a body that fails after, a pause, the limit, attempts by then)
        for (body, pause, limit, attempts) in [
            (10, 1_000, 500, 1),
            (10, 100, 165, 2),
            (0, 30, 100, 4),
            (50, 0, 120, 3),
        ] {
            let flow = world.flow();
            let (errors, failures) = mpsc::channel(16);
            let stage = flow.tries(1, move |parcel, attempt| async move {
                if body > 0 {
                    sleep(ms(body)).await;
                }
                Err(parcel.fault(&format!("failure {attempt}")))
            });
            let log = stage.log();
            let job = Pipeline::from_iter(flow.parcels(0..1))
                .stage(stage)
                .timeout(ms(limit))
                .retry(Retry::fixed(ms(pause)).max_retries(u32::MAX))
                .for_each(flow.receive())
                .errors(errors);
            let watch = Stopwatch::start();
            flow.run_failing(job, [0]).await.unwrap();
            watch.expect(ms(limit));
            let error = only_error(failures).await;
            assert_eq!(
                (error.kind(), error.attempts()),
                (ErrorKind::TimedOut, attempts)
            );
            assert_eq!(log.total() as u32, attempts);
            let timed_out = error.downcast_ref::<TimedOut>().unwrap();
            assert!(timed_out.last_failure().is_some());
        }
    });
}

/// A body that fails at the very moment when the time of its item is over is tried again, if that is at once; after it, not.
#[test]
fn an_attempt_may_begin_at_the_very_end_of_the_time() {
    scenario("another attempt at the limit")
        .in_both_orders()
        .run(async |world| {
            for late in [false, true] {
                let (flow, gate) = (world.flow(), Gate::new());
                let (errors, failures) = mpsc::channel(16);
                let shut = gate.clone();
                let body = flow.tries(1, move |parcel, attempt| {
                    let shut = shut.clone();
                    async move {
                        shut.pass().await;
                        if attempt == 1 {
                            return Err(parcel.fault("broken"));
                        }
                        Ok(parcel)
                    }
                });
                let log = body.log();
                let job = Pipeline::from_iter(flow.parcels(0..1))
                    .stage(body)
                    .in_order(world.order())
                    .timeout(ms(100))
                    .retry(at_once(3))
                    .for_each(flow.receive())
                    .errors(errors);
                let mut run = flow.start(job).unwrap();
                // without letting the paused clock jump
                while log.total() < 1 {
                    yield_now().await;
                }
                gate.open();
                let over = Duration::from_nanos(late.into());
                advance(ms(100) + over).await;
                if late {
                    flow.failed(0);
                }
                let report = run.wait().await.unwrap();
                let kinds: Vec<_> = all_errors(failures)
                    .await
                    .iter()
                    .map(|error| (error.kind(), error.attempts()))
                    .collect();
                if late {
                    assert_eq!((log.total(), kinds), (1, vec![(ErrorKind::TimedOut, 1)]));
                } else {
                    assert_eq!((log.total(), kinds), (2, vec![]));
                    assert_eq!(report.items.delivered, 1);
                }
            }
        });
}

/// A body that fails at once and is tried again at once, for ever, ends when the time of its item is over.
#[test]
fn retries_at_once_end_with_the_time_of_the_item() {
    scenario("timeout over retries at once")
        .on(THREADS)
        .in_both_orders()
        .run(async |world| {
            let flow = world.flow();
            let (errors, failures) = mpsc::channel(16);
            let job = Pipeline::from_iter(0..3u64)
                .and_then(|n| ready(if n == 1 { Err("broken") } else { Ok(n) }))
                .in_order(world.order())
                .timeout(ms(50))
                .retry(at_once(u32::MAX))
                .collect()
                .errors(errors);
            let report = flow.run_failing(job, [1]).await.unwrap();
            assert_eq!(report.value, [0, 2]);
            let error = only_error(failures).await;
            assert_eq!(error.kind(), ErrorKind::TimedOut);
            assert!(error.attempts() > 1);
            let timed_out = error.downcast_ref::<TimedOut>().unwrap();
            assert_eq!(timed_out.last_failure().unwrap().to_string(), "broken");
        });
}

/// Retries at once, for ever, of a body that never waits do not keep others from running, and a cancel ends them.
#[test]
fn retries_at_once_leave_others_their_turn() {
    scenario("retries for ever")
        .on(ALL)
        .in_both_orders()
        .run(async |world| {
            let flow = world.flow();
            let tried = Arc::new(AtomicU64::new(0));
            let counter = tried.clone();
            let job = Pipeline::from_iter(0..10u64)
                .and_then(move |_| {
                    counter.fetch_add(1, Ordering::SeqCst);
                    ready(Err::<u64, _>("broken"))
                })
                .in_order(world.order())
                .retry(at_once(u32::MAX))
                .count();
            let mut run = flow.start(job).unwrap();
            // on one thread this is only reached if the worker gives way
            while tried.load(Ordering::SeqCst) < 1_000 {
                yield_now().await;
            }
            run.control().cancel();
            let error = run.wait().await.unwrap_err();
            assert!(matches!(error.cause, Cause::Cancelled));
            assert_eq!(
                (error.report.items.failed, error.report.items.delivered),
                (0, 0)
            );
            let tried = tried.load(Ordering::SeqCst);
            // the last one may have been begun and not been called any more
            let retries = error.report.stages[0].retries;
            assert!(
                (tried - 1..=tried).contains(&retries),
                "{retries} of {tried}"
            );
        });
}

/// `retry_if` without `retry` is refused when the job is started.
#[test]
fn a_condition_without_retries_is_refused() {
    scenario("retry_if alone").on(ALL).run(async |world| {
        for items in [0, 3] {
            let flow = world.flow();
            let job = Pipeline::from_iter(flow.parcels(0..items))
                .stage(flow.tries(1, |parcel, _| ready(Ok(parcel))))
                .name("save")
                .retry_if(|_: &Fault| true)
                .for_each(flow.receive());
            let error = flow.start(job).unwrap_err();
            assert_eq!(
                error.to_string(),
                "`save`: retry_if does nothing without retry: set that too, or leave both out"
            );
            assert!(matches!(error, BuildError::Without(_, "retry_if", "retry")));
            assert_eq!(flow.pulled(), 0);
        }
        // in whichever order they are called
        let flow = world.flow();
        let job = Pipeline::from_iter(flow.parcels(0..3))
            .stage(flow.tries(1, |parcel, _| ready(Ok(parcel))))
            .retry_if(|_: &Fault| true)
            .retry(at_once(1))
            .for_each(flow.receive());
        flow.run(job).await.unwrap();
        flow.expect(0..3);
    });
}

/// A predicate that panics fails its item, which is not tried again; the others go on.
#[test]
fn a_predicate_that_panics_fails_its_item() {
    scenario("panicking predicate")
        .on(ALL)
        .in_both_orders()
        .run(async |world| {
            let flow = world.flow();
            let (errors, failures) = mpsc::channel(16);
            let body = flow.tries(2, |parcel, attempt| async move {
                yield_now().await;
                match parcel.index {
                    1 => Err(parcel.fault("ask me not")),
                    2 if attempt == 1 => Err(parcel.fault("not yet")),
                    _ => Ok(parcel),
                }
            });
            let log = body.log();
            let job = Pipeline::from_iter(flow.parcels(0..5))
                .stage(body)
                .parallelism(2)
                .in_order(world.order())
                .retry(Retry::fixed(ms(5)))
                .retry_if(|fault: &Fault| {
                    assert_ne!(fault.to_string(), "ask me not", "in the predicate");
                    true
                })
                .for_each(flow.receive())
                .errors(errors);
            flow.run_failing(job, [1]).await.unwrap();
            flow.expect([0, 2, 3, 4]);
            assert_eq!((log.count(1), log.count(2)), (1, 2));
            let error = only_error(failures).await;
            assert_eq!(
                (error.kind(), error.origin().first()),
                (ErrorKind::Panicked, 1)
            );
            assert!(chain(&error).contains("in the predicate"));
        });
}

/// Copies are made before each attempt but the last possible one, and one more for the dead letters.
#[test]
fn no_copy_is_made_that_is_not_needed() {
    scenario("copies")
        .on(ALL)
        .in_both_orders()
        .run(async |world| {
            // (retries, dead letters, attempts that fail, copies)
            let cases = [
                (Some(3), false, 0, 1),
                (Some(3), false, 1, 2),
                (Some(3), false, 2, 3),
                (Some(3), false, 3, 3),
                (Some(3), false, 4, 3),
                (Some(3), true, 0, 1),
                (Some(3), true, 3, 4),
                (Some(3), true, 4, 4),
                (Some(1), false, 2, 1),
                (Some(0), false, 0, 0),
                (Some(0), false, 1, 0),
                (Some(0), true, 1, 1),
                (None, true, 0, 1),
                (None, true, 1, 1),
                (None, false, 1, 0),
            ];
            for (retries, letters, fails, copies) in cases {
                let flow = world.flow();
                let (to, mut dead) = mpsc::channel(16);
                let body = flow.tries(1, move |parcel, attempt| {
                    ready(match attempt <= fails {
                        true => Err(parcel.fault("not yet")),
                        false => Ok(parcel),
                    })
                });
                let log = body.log();
                let stage = Pipeline::from_iter(flow.parcels(0..3))
                    .stage(body)
                    .in_order(world.order());
                let stage = match retries {
                    Some(retries) => stage.retry(at_once(retries)),
                    None => stage,
                };
                let stage = match letters {
                    true => stage.dead_letters(to),
                    false => stage,
                };
                let job = stage.for_each(flow.receive()).on_error(OnError::Continue);
                let attempts = (fails + 1).min(retries.unwrap_or(0) + 1);
                let dies = fails >= attempts;
                flow.run_failing(job, (0..3).filter(|_| dies))
                    .await
                    .unwrap();
                let case = format!("{retries:?} retries, letters {letters}, {fails} failures");
                assert_eq!(log.total(), 3 * attempts as usize, "{case}");
                assert_eq!(flow.copies(), 3 * copies, "{case}");
                if letters {
                    for _ in (0..3).filter(|_| dies) {
                        dead.recv().await.expect(&case);
                    }
                    assert!(dead.recv().await.is_none(), "{case}");
                }
            }
        });
}

/// An item that cannot be copied a certain number of times.
struct Brittle {
    index: u64,
    copies: u32,
}

impl Clone for Brittle {
    fn clone(&self) -> Self {
        let breaks = self.index == 2 && self.copies == 0 || self.index == 4 && self.copies == 1;
        assert!(!breaks, "it broke");
        Brittle {
            index: self.index,
            copies: self.copies + 1,
        }
    }
}

/// An item whose `clone` panics fails, before its first attempt or between two; the others go on.
#[test]
fn an_item_that_cannot_be_copied_fails() {
    scenario("panicking clone")
        .on(ALL)
        .in_both_orders()
        .run(async |world| {
            let flow = world.flow();
            let (errors, failures) = mpsc::channel(16);
            let items = (0..6u64).map(|index| Brittle { index, copies: 0 });
            let tried = Arc::new(Mutex::new(Vec::new()));
            let tries = tried.clone();
            let job = Pipeline::from_iter(items)
                .and_then(move |brittle: Brittle| {
                    tries.lock().unwrap().push(brittle.index);
                    async move {
                        yield_now().await;
                        match brittle.index {
                            4 | 5 => Err("broken"),
                            index => Ok(index),
                        }
                    }
                })
                .in_order(world.order())
                .retry(at_once(2).panics())
                .collect()
                .errors(errors);
            let report = flow.run_failing(job, [2, 4, 5]).await.unwrap();
            assert_eq!(report.value, [0, 1, 3]);
            let errors = all_errors(failures).await;
            assert_eq!(origins(&errors), [2, 4, 5]);
            for error in &errors {
                let panicked = error.downcast_ref::<Panicked>();
                assert_eq!(panicked.is_some(), error.origin().first() != 5, "{error:?}");
            }
            let tried = tried.lock().unwrap().clone();
            assert_eq!(tried, [0, 1, 3, 4, 5, 5, 5]);
        });
}

/// A worker keeps its value through retries after errors; after a panic, or an attempt that was cut short, it has a new one.
#[test]
fn retries_keep_the_value_of_the_worker_unless_it_is_spoiled() {
    scenario("values")
        .on(ALL)
        .in_both_orders()
        .run(async |world| {
            for (how, values) in [("error", 1), ("panic", 3), ("timeout", 3)] {
                let flow = world.flow();
                let body = flow.tries(1, move |parcel, attempt| async move {
                    if parcel.index == 1 && attempt < 3 {
                        match how {
                            "error" => return Err(parcel.fault("not yet")),
                            "panic" => panic!("not yet"),
                            _ => pending().await,
                        }
                    }
                    Ok(parcel)
                });
                let log = body.log();
                let job = Pipeline::from_iter(flow.parcels(0..3))
                    .stage(body)
                    .in_order(world.order())
                    // only for those that hang: the others are ready at once
                    .attempt_timeout(ms(20))
                    .retry(Retry::fixed(ms(1)).panics())
                    .for_each(flow.receive());
                flow.run(job).await.unwrap();
                flow.expect(0..3);
                let mut used: Vec<_> = log.of(1).iter().map(|one| one.value).collect();
                assert_eq!(used.len(), 3);
                used.dedup();
                assert_eq!(used.len(), values, "{how}");
                assert_eq!(log.of(2)[0].value, used[values - 1]);
                // the fixture would say if a spoiled one had been closed
                assert_eq!(flow.closes_of(Kind::State), 1);
            }
        });
}

/// With room in the window, the other workers go on beside an item that is in a pause; ordered results wait for it.
#[test]
fn others_go_on_beside_an_item_in_a_pause() {
    scenario("others go on")
        .in_both_orders()
        .run(async |world| {
            let flow = world.flow();
            let body = flow.tries(2, |parcel, attempt| {
                ready(match (parcel.index, attempt) {
                    (0, 1 | 2) => Err(parcel.fault("not yet")),
                    _ => Ok(parcel),
                })
            });
            let (log, gauge) = (body.log(), body.gauge());
            let job = Pipeline::from_iter(flow.parcels(0..100))
                .stage(body)
                .parallelism(2)
                .in_order(world.order())
                .retry(Retry::fixed(ms(1_000)))
                .into_stream();
            let mut items = flow.start(job).unwrap();
            let watch = Stopwatch::start();
            let first = items.next().await.unwrap().unwrap();
            if world.ordered() {
                watch.expect(ms(2_000));
                assert_eq!(first, 0);
            } else {
                watch.expect(ms(0));
                assert_ne!(first, 0);
            }
            while let Some(item) = items.next().await {
                item.unwrap();
            }
            flow.expect(0..100);
            log.expect_times(0, &[0, 1_000, 2_000]);
            log.expect_times(99, &[0]);
            assert_eq!(gauge.max(), 1);
        });
}

/// A stage on blocking threads tries again, too, on the thread of the worker.
#[test]
fn blocking_bodies_are_tried_again() {
    scenario("blocking retries")
        .on(THREADS)
        .in_both_orders()
        .run(async |world| {
            let flow = world.flow();
            let (errors, failures) = mpsc::channel(16);
            let (log, gauge) = (Log::new(), flow.gauge(3));
            let (tries, threads) = (log.clone(), gauge.clone());
            let job = Pipeline::from_iter(flow.parcels(0..60))
                .try_blocking(move |parcel: Parcel| {
                    let _inside = threads.enter(parcel.index);
                    let attempt = tries.begin(parcel.index, 0);
                    match parcel.index % 10 {
                        7 => Err(parcel.fault(&format!("failure {attempt}"))),
                        8 if attempt == 1 => panic!("not yet"),
                        3 if attempt <= 2 => Err(parcel.fault("not yet")),
                        _ => Ok(parcel.open().output()),
                    }
                })
                .parallelism(3)
                .in_order(world.order())
                .retry(Retry::fixed(ms(1)).max_retries(2).panics())
                .for_each(flow.receive())
                .errors(errors);
            let fails = |index: &u64| index % 10 == 7;
            let report = flow.run_failing(job, (0..60).filter(fails)).await.unwrap();
            flow.expect((0..60).filter(|index| !fails(index)));
            assert_eq!(report.stages[0].retries, 6 * (2 + 2 + 1));
            assert_eq!(log.total(), 60 + 6 * (2 + 2 + 1));
            let errors = all_errors(failures).await;
            assert!(origins(&errors).into_iter().eq((0..60).filter(fails)));
            for error in errors {
                assert_eq!(error.attempts(), 3);
                assert_eq!(error.source().unwrap().to_string(), "failure 3");
            }
            assert!(gauge.max() <= 3);
        });
}

/// The limit of an item ends the pauses of a blocking body, with its last failure inside.
#[test]
fn the_limit_of_an_item_ends_the_pauses_of_blocking_bodies() {
    scenario("timeout in a blocking pause")
        .in_both_orders()
        .run(async |world| {
            let flow = world.flow();
            let (errors, mut failures) = mpsc::channel(16);
            let asked = Arc::new(AtomicU64::new(0));
            let asks = asked.clone();
            (0..2).for_each(|index| flow.failed(index));
            let job = Pipeline::from_iter(flow.parcels(0..2))
                .try_blocking(|parcel: Parcel| Err::<Item, _>(parcel.fault("broken")))
                .in_order(world.order())
                .timeout(ms(50))
                .retry(Retry::fixed(HOUR))
                .retry_if(move |_: &Fault| {
                    asks.fetch_add(1, Ordering::SeqCst);
                    true
                })
                .for_each(flow.receive())
                .errors(errors);
            let mut run = flow.start(job).unwrap();
            for index in 0..2 {
                // the body has come back, so it is a pause that the clock will end
                while asked.load(Ordering::SeqCst) == index {
                    yield_now().await;
                }
                advance(ms(60)).await;
                let error = failures.recv().await.unwrap();
                assert_eq!((error.origin().first(), error.attempts()), (index, 1));
                let timed_out = error.downcast_ref::<TimedOut>().unwrap();
                assert_eq!(timed_out.limit(), Limit::Stay);
                assert_eq!(timed_out.last_failure().unwrap().to_string(), "broken");
            }
            let report = run.wait().await.unwrap();
            let stage = &report.stages[0];
            assert_eq!((stage.timeouts, stage.retries), (2, 0));
        });
}

/// A cancel ends the pauses of blocking bodies at once.
#[test]
fn a_cancel_ends_the_pauses_of_blocking_bodies() {
    scenario("cancel in a blocking pause")
        .on(THREADS)
        .in_both_orders()
        .run(async |world| {
            let (flow, log) = (world.flow(), Log::new());
            let tries = log.clone();
            let job = Pipeline::from_iter(flow.parcels(0..2))
                .try_blocking(move |parcel: Parcel| {
                    tries.begin(parcel.index, 0);
                    Err::<Item, _>(parcel.fault("broken"))
                })
                .in_order(world.order())
                .retry(Retry::fixed(HOUR))
                .for_each(flow.receive());
            let mut run = flow.start(job).unwrap();
            assert_eq!(world.settled(|| log.total()).await, 1);
            run.control().cancel();
            let error = run.wait().await.unwrap_err();
            assert!(matches!(error.cause, Cause::Cancelled));
            assert_eq!(error.report.items.cancelled, 2);
        });
}

/// A late attempt of a blocking body has its result if another attempt was left; the last one ends with its time.
#[test]
fn only_the_last_attempt_of_a_blocking_body_ends_with_its_time() {
    scenario("blocking attempts")
        .in_both_orders()
        .run(async |world| {
            for late in [1, 2] {
                let flow = world.flow();
                let (errors, mut failures) = mpsc::channel(16);
                let (log, door) = (Log::new(), Door::new());
                let (tries, shut) = (log.clone(), door.clone());
                let job = Pipeline::from_iter(flow.parcels(0..1))
                    .try_blocking(move |parcel: Parcel| {
                        let attempt = tries.begin(parcel.index, 0);
                        if attempt == late {
                            shut.pass();
                            return Ok(parcel.open().output());
                        }
                        Err(parcel.fault("not yet"))
                    })
                    .in_order(world.order())
                    .attempt_timeout(ms(50))
                    .retry(at_once(1))
                    .for_each(flow.receive())
                    .errors(errors);
                let dies = late == 2;
                if dies {
                    flow.failed(0);
                }
                let mut run = flow.start(job).unwrap();
                while log.total() < late as usize {
                    yield_now().await;
                }
                advance(ms(60)).await;
                if dies {
                    let error = failures.recv().await.unwrap();
                    assert_eq!((error.kind(), error.attempts()), (ErrorKind::TimedOut, 2));
                    let timed_out = error.downcast_ref::<TimedOut>().unwrap();
                    assert_eq!(timed_out.limit(), Limit::Attempt);
                    assert_eq!(timed_out.last_failure().unwrap().to_string(), "not yet");
                }
                door.open();
                let report = run.wait().await.unwrap();
                flow.expect((!dies).then_some(0));
                let stage = &report.stages[0];
                assert_eq!(
                    (stage.timeouts, stage.retries),
                    (u64::from(dies), u64::from(dies))
                );
                assert!(failures.recv().await.is_none());
            }
        });
}

/// A fused function is not part of an attempt: what fails there is not tried again.
#[test]
fn fused_functions_are_not_tried_again() {
    scenario("fused functions")
        .on(ALL)
        .in_both_orders()
        .run(async |world| {
            let flow = world.flow();
            let (errors, failures) = mpsc::channel(16);
            let body = flow.tries(2, |parcel, _| ready(Ok(parcel)));
            let log = body.log();
            let job = Pipeline::from_iter(flow.parcels(0..6))
                .stage(body)
                .name("save")
                .parallelism(2)
                .in_order(world.order())
                .retry(at_once(3).panics())
                .inspect(|item| assert_ne!(item.index, 2, "not this one"))
                .for_each(flow.receive())
                .errors(errors);
            let report = flow.run_failing(job, [2]).await.unwrap();
            flow.expect([0, 1, 3, 4, 5]);
            assert_eq!((log.count(2), report.stages[0].retries), (1, 0));
            let error = only_error(failures).await;
            assert_eq!((error.stage(), error.attempts()), ("save+inspect", 1));
        });
}

/// Many items of which each fails a few times: in order, within limits, and all accounted for.
#[test]
fn many_items_may_be_in_trouble_at_once() {
    scenario("trouble")
        .on(ALL)
        .in_both_orders()
        .run(async |world| {
            let flow = world.flow();
            let (errors, failures) = mpsc::channel(1_000);
            let body = flow.tries(4, |parcel, attempt| async move {
                if (parcel.index + u64::from(attempt)).is_multiple_of(2) {
                    yield_now().await;
                }
                if u64::from(attempt) <= parcel.index % 5 {
                    return Err(parcel.fault("not yet"));
                }
                Ok(parcel)
            });
            let log = body.log();
            let job = Pipeline::from_iter(flow.parcels(0..200))
                .stage(body)
                .parallelism(4)
                .window(7)
                .in_order(world.order())
                .retry(at_once(3))
                .stage(flow.pass(2))
                .parallelism(2)
                .in_order(world.order())
                .for_each(flow.receive())
                .errors(errors);
            let fails = |index: &u64| index % 5 == 4;
            let report = flow.run_failing(job, (0..200).filter(fails)).await.unwrap();
            flow.expect((0..200).filter(|index| !fails(index)));
            let retries = 40 * (1 + 2 + 3 + 3);
            assert_eq!(
                (report.stages[0].retries, log.total()),
                (retries, 200 + retries as usize)
            );
            assert!(
                origins(&all_errors(failures).await)
                    .into_iter()
                    .eq((0..200).filter(fails))
            );
        });
}

/// The last attempt of a blocking body ends with its time, though the limit of the item is far away.
#[test]
fn the_last_attempt_of_a_blocking_body_fails_in_time() {
    scenario("the last blocking attempt")
        .on(THREADS)
        .in_both_orders()
        .run(async |world| {
            let flow = world.flow();
            let (errors, mut failures) = mpsc::channel(16);
            let (log, door) = (Log::new(), Door::new());
            let (tries, shut) = (log.clone(), door.clone());
            flow.failed(0);
            let job = Pipeline::from_iter(flow.parcels(0..1))
                .try_blocking(move |parcel: Parcel| {
                    if tries.begin(parcel.index, 0) == 1 {
                        return Err(parcel.fault("not yet"));
                    }
                    shut.pass();
                    Ok(parcel.open().output())
                })
                .in_order(world.order())
                .timeout(24 * HOUR)
                .attempt_timeout(ms(50))
                .retry(Retry::fixed(ms(1)).max_retries(1))
                .for_each(flow.receive())
                .errors(errors);
            let mut run = flow.start(job).unwrap();
            let error = failures.recv().await.expect("the attempt hangs");
            assert_eq!((error.kind(), error.attempts()), (ErrorKind::TimedOut, 2));
            door.open();
            let report = run.wait().await.unwrap();
            assert_eq!(report.items.failed, 1);
        });
}
