//! Dead letters: items that have failed for good are handed back, each with its error, and told nowhere else.

use std::future::{pending, ready};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use pipeline_core::error::{Cause, DeadLetter, ErrorKind, Limit, Overflow, TimedOut};
use pipeline_core::prelude::*;
use pipeline_core::report::Outcome;
use tests::prelude::*;
use tokio::sync::mpsc;
use tokio::task::yield_now;
use tokio::time::{advance, sleep};

const HOUR: Duration = ms(3_600_000);

/// All letters up to the end of the run, by their items.
async fn all_letters(mut dead: mpsc::Receiver<DeadLetter<Parcel>>) -> Vec<DeadLetter<Parcel>> {
    let mut letters = Vec::new();
    while let Some(letter) = dead.recv().await {
        assert_eq!(letter.item.index, letter.error.origin().first());
        letters.push(letter);
    }
    letters.sort_by_key(|letter| letter.item.index);
    letters
}

fn indices(letters: &[DeadLetter<Parcel>]) -> Vec<u64> {
    letters.iter().map(|letter| letter.item.index).collect()
}

/// A failed item comes back with its error. It is not told to the error channel, and ends no run, whatever the policy.
#[test]
fn a_failed_item_comes_back_with_its_error() {
    scenario("letters")
        .on(ALL)
        .in_both_orders()
        .run(async |world| {
            for policy in [OnError::Continue, OnError::FailFast, OnError::StopAfter(1)] {
                let flow = world.flow();
                let (to, dead) = mpsc::channel(16);
                let (errors, failures) = mpsc::channel(16);
                let body = flow.tries(3, |parcel, _| async move {
                    yield_now().await;
                    match parcel.index % 7 {
                        3 => Err(parcel.fault("broken")),
                        _ => Ok(parcel),
                    }
                });
                let job = Pipeline::from_iter(flow.parcels(0..20))
                    .stage(body)
                    .name("save")
                    .parallelism(3)
                    .in_order(world.order())
                    .dead_letters(to)
                    .for_each(flow.receive())
                    .errors(errors)
                    .on_error(policy);
                let report = flow.run_failing(job, [3, 10, 17]).await.unwrap();
                flow.expect((0..20).filter(|index| index % 7 != 3));
                assert_eq!(report.outcome, Some(Outcome::Finished));
                assert_eq!((report.items.failed, not_delivered(&report)), (3, 0));
                assert!(all_errors(failures).await.is_empty());
                let letters = all_letters(dead).await;
                assert_eq!(indices(&letters), [3, 10, 17]);
                for DeadLetter { error, .. } in &letters {
                    assert_eq!((error.stage(), error.kind()), ("save", ErrorKind::Failed));
                    assert_eq!(error.downcast_ref::<Fault>().unwrap().to_string(), "broken");
                    assert_eq!((error.origin().count(), error.attempts()), (1, 1));
                }
            }
        });
}

/// The item is as the stage was given it, whatever the body did to its own.
#[test]
fn the_item_is_as_it_was_given() {
    scenario("as it was given").on(ALL).run(async |world| {
        let (to, mut dead) = mpsc::channel(16);
        let flow = world.flow();
        let job = Pipeline::from_iter(["1", "two", "3"])
            .map(String::from)
            .and_then(async |mut text: String| {
                text.push('0');
                text.parse::<u32>()
            })
            .retry(Retry::fixed(Duration::ZERO))
            .dead_letters(to)
            .collect();
        let report = flow.run_failing(job, [1]).await.unwrap();
        assert_eq!(report.value, [10, 30]);
        let letter = dead.recv().await.unwrap();
        assert_eq!((letter.item.as_str(), letter.error.attempts()), ("two", 4));
        assert!(
            letter
                .error
                .downcast_ref::<std::num::ParseIntError>()
                .is_some()
        );
        assert!(dead.recv().await.is_none());
    });
}

/// Letters that find no room are counted, with the default, and hold nobody up.
#[test]
fn letters_that_find_no_room_are_counted() {
    scenario("full")
        .on(ALL)
        .in_both_orders()
        .run(async |world| {
            let flow = world.flow();
            let (to, dead) = mpsc::channel(4);
            let (errors, failures) = mpsc::channel(100);
            let body = flow.tries(2, |parcel, _| ready(Err(parcel.fault("broken"))));
            let job = Pipeline::from_iter(flow.parcels(0..50))
                .stage(body)
                .parallelism(2)
                .in_order(world.order())
                .dead_letters(to)
                .for_each(flow.receive())
                .errors(errors);
            let report = flow.run_failing(job, 0..50).await.unwrap();
            assert_eq!(report.stages[0].errors_not_delivered, 46);
            assert_eq!(all_letters(dead).await.len(), 4);
            // not in the other channel either, which has room
            assert!(all_errors(failures).await.is_empty());
        });
}

/// If none may be lost, the stage waits for room, and with it the pipeline, until somebody reads or the run is cancelled.
#[test]
fn letters_may_wait_for_room() {
    scenario("wait for room")
        .on(ALL)
        .in_both_orders()
        .run(async |world| {
            for cancelled in [false, true] {
                let flow = world.flow();
                let (to, dead) = mpsc::channel(4);
                let body = flow.tries(2, |parcel, _| ready(Err(parcel.fault("broken"))));
                let gauge = body.gauge();
                let job = Pipeline::from_iter(flow.parcels(0..50))
                    .buffer(4)
                    .stage(body)
                    .parallelism(2)
                    .in_order(world.order())
                    .dead_letters(to)
                    .for_each(flow.receive())
                    .error_overflow(Overflow::Wait);
                if !cancelled {
                    (0..50).for_each(|index| flow.failed(index));
                }
                let mut run = flow.start(job).unwrap();
                let stuck = world.settled(|| gauge.count()).await;
                // four are in the channel, and a worker or two wait
                assert!((5..=6).contains(&stuck), "{stuck}");
                if cancelled {
                    run.control().cancel();
                    let error = run.wait().await.unwrap_err();
                    assert!(matches!(error.cause, Cause::Cancelled));
                    let items = error.report.items;
                    assert_eq!(items.failed as usize, stuck);
                    let lost = error.report.stages[0].errors_not_delivered;
                    assert_eq!(lost as usize, stuck - 4);
                    assert_eq!(all_letters(dead).await.len(), 4);
                } else {
                    let (letters, report) = tokio::join!(all_letters(dead), run.wait());
                    assert!(indices(&letters).into_iter().eq(0..50));
                    assert_eq!(not_delivered(&report.unwrap()), 0);
                }
            }
        });
}

/// A reader that is gone, from the start or in the middle, makes nobody wait: letters are counted.
#[test]
fn a_reader_that_is_gone_holds_nobody_up() {
    scenario("reader gone")
        .on(ALL)
        .in_both_orders()
        .run(async |world| {
            for overflow in [Overflow::Count, Overflow::Wait] {
                for read in [0, 10] {
                    let flow = world.flow();
                    let (to, mut dead) = mpsc::channel(1);
                    let (errors, failures) = mpsc::channel(100);
                    let body = flow.tries(2, |parcel, _| ready(Err(parcel.fault("broken"))));
                    let job = Pipeline::from_iter(flow.parcels(0..50))
                        .stage(body)
                        .parallelism(2)
                        .in_order(world.order())
                        .dead_letters(to)
                        .for_each(flow.receive())
                        .errors(errors)
                        .error_overflow(overflow);
                    let reading = async move {
                        for _ in 0..read {
                            dead.recv().await;
                        }
                    };
                    let (report, ()) = tokio::join!(flow.run_failing(job, 0..50), reading);
                    let report = report.unwrap();
                    assert_eq!(report.items.failed, 50);
                    let lost = not_delivered(&report);
                    // in the channel when its reader went: at most one
                    assert!(lost >= 50 - read - 1, "{lost} of {read}");
                    if overflow == Overflow::Wait {
                        assert!(lost <= 50 - read, "{lost} of {read}");
                    }
                    assert!(all_errors(failures).await.is_empty());
                }
            }
        });
}

/// Whatever an item fails by, it comes back: an error, a panic in the call, in the future or in a fused function, a timeout.
#[test]
fn whatever_an_item_fails_by_it_comes_back() {
    scenario("kinds")
        .on(ALL)
        .in_both_orders()
        .run(async |world| {
            let flow = world.flow();
            let (to, dead) = mpsc::channel(16);
            let body = flow.tries(2, |parcel, _| {
                assert_ne!(parcel.index, 1, "in the call");
                async move {
                    match parcel.index {
                        3 => return Err(parcel.fault("broken")),
                        5 => panic!("in the future"),
                        7 => pending().await,
                        _ => {}
                    }
                    Ok(parcel)
                }
            });
            let job = Pipeline::from_iter(flow.parcels(0..12))
                .stage(body)
                .name("save")
                .parallelism(2)
                .in_order(world.order())
                .timeout(ms(50))
                .dead_letters(to)
                .filter(flow.keep(|index| {
                    assert_ne!(index, 9, "in a fused function");
                    index != 10
                }))
                .for_each(flow.receive())
                .on_error(OnError::FailFast);
            let report = flow.run_failing(job, [1, 3, 5, 7, 9]).await.unwrap();
            flow.expect([0, 2, 4, 6, 8, 11]);
            let stage = &report.stages[0];
            assert_eq!((stage.failed, stage.panics, stage.timeouts), (5, 3, 1));
            let told: Vec<_> = all_letters(dead)
                .await
                .iter()
                .map(|letter| {
                    let error = &letter.error;
                    (letter.item.index, error.kind(), error.stage().to_owned())
                })
                .collect();
            let name = || "save".to_owned();
            assert_eq!(
                told,
                [
                    (1, ErrorKind::Panicked, name()),
                    (3, ErrorKind::Failed, name()),
                    (5, ErrorKind::Panicked, name()),
                    (7, ErrorKind::TimedOut, name()),
                    (9, ErrorKind::Panicked, "save+filter".to_owned()),
                ]
            );
        });
}

/// A blocking body that takes too long: its item comes back in time, the body later.
#[test]
fn items_of_blocking_bodies_come_back_in_time() {
    scenario("blocking").in_both_orders().run(async |world| {
        let flow = world.flow();
        let (to, mut dead) = mpsc::channel(16);
        let (gauge, door) = (flow.gauge(1), Door::new());
        let (threads, shut) = (gauge.clone(), door.clone());
        [0, 1, 2].into_iter().for_each(|index| flow.failed(index));
        let job = Pipeline::from_iter(flow.parcels(0..4))
            .try_blocking(move |parcel: Parcel| {
                let _inside = threads.enter(parcel.index);
                match parcel.index {
                    0 => shut.pass(),
                    1 => return Err(parcel.fault("broken")),
                    2 => panic!("on a thread"),
                    _ => {}
                }
                Ok(parcel.open().output())
            })
            .in_order(world.order())
            .timeout(ms(50))
            .dead_letters(to)
            .for_each(flow.receive());
        let mut run = flow.start(job).unwrap();
        while gauge.count() == 0 {
            yield_now().await;
        }
        advance(ms(60)).await;
        let letter = dead.recv().await.unwrap();
        assert_eq!(
            (letter.item.index, letter.error.kind()),
            (0, ErrorKind::TimedOut)
        );
        let timed_out = letter.error.downcast_ref::<TimedOut>().unwrap();
        assert_eq!(timed_out.limit(), Limit::Stay);
        assert_eq!(gauge.now(), 1);
        door.open();
        run.wait().await.unwrap();
        flow.expect([3]);
        let kinds: Vec<_> = all_letters(dead)
            .await
            .iter()
            .map(|letter| letter.error.kind())
            .collect();
        assert_eq!(kinds, [ErrorKind::Failed, ErrorKind::Panicked]);
    });
}

/// The channel ends with the run, not before its last letter and not after `wait`.
#[test]
fn letters_end_with_the_run() {
    scenario("end").on(ALL).in_both_orders().run(async |world| {
        for how in ["finished", "failed", "cancelled", "dropped"] {
            let (flow, gates) = (world.flow(), Gates::new());
            let (to, mut dead) = mpsc::channel(16);
            let shut = gates.clone();
            let body = flow.tries(1, move |parcel, _| {
                let shut = shut.clone();
                async move {
                    if parcel.index == 1 {
                        shut.pass(1).await;
                    }
                    Err(parcel.fault("broken"))
                }
            });
            let job = Pipeline::from_iter(flow.parcels(0..2))
                .stage(body)
                .in_order(world.order())
                .dead_letters(to)
                .stage(flow.breaks(1, |_| true))
                .for_each(flow.receive());
            if how == "finished" {
                (0..2).for_each(|index| flow.failed(index));
            }
            let mut run = flow.start(job).unwrap();
            assert_eq!(dead.recv().await.unwrap().item.index, 0);
            assert!(dead.try_recv().is_err());
            match how {
                "finished" => {
                    gates.open(1);
                    run.wait().await.unwrap();
                    assert_eq!(dead.try_recv().unwrap().item.index, 1);
                }
                "dropped" => drop(run),
                _ => {
                    run.control().cancel();
                    run.wait().await.unwrap_err();
                }
            }
            if how != "dropped" {
                assert_eq!(
                    dead.try_recv().unwrap_err(),
                    mpsc::error::TryRecvError::Disconnected
                );
            }
            assert!(dead.recv().await.is_none());
        }
    });
}

/// A job that is dropped before it is started, or refused, lets go of the channel, too.
#[test]
fn a_job_that_never_ran_lets_go_of_the_channel() {
    scenario("never started").run(async |world| {
        for zero in [false, true] {
            let flow = world.flow();
            let (to, mut dead) = mpsc::channel(16);
            let stage = Pipeline::from_iter(flow.parcels(0..2))
                .stage(flow.tries(1, |parcel, _| ready(Ok(parcel))))
                .dead_letters(to);
            if zero {
                flow.start(stage.parallelism(0).for_each(flow.receive()))
                    .unwrap_err();
            } else {
                drop(stage.for_each(flow.receive()));
            }
            assert!(dead.recv().await.is_none());
        }
    });
}

/// With retries only what has failed for good comes back, with its last error.
#[test]
fn only_the_last_attempt_is_sent_away() {
    scenario("with retries")
        .on(ALL)
        .in_both_orders()
        .run(async |world| {
            let flow = world.flow();
            let (to, dead) = mpsc::channel(64);
            let body = flow.tries(3, |parcel, attempt| async move {
                yield_now().await;
                if u64::from(attempt) <= parcel.index % 5 {
                    return Err(parcel.fault(&format!("failure {attempt}")));
                }
                Ok(parcel)
            });
            let log = body.log();
            let job = Pipeline::from_iter(flow.parcels(0..20))
                .stage(body)
                .parallelism(3)
                .in_order(world.order())
                .retry(Retry::fixed(ms(1)).max_retries(2))
                .dead_letters(to)
                .for_each(flow.receive());
            let fails = |index: &u64| index % 5 >= 3;
            let report = flow.run_failing(job, (0..20).filter(fails)).await.unwrap();
            flow.expect((0..20).filter(|index| !fails(index)));
            let letters = all_letters(dead).await;
            assert!(indices(&letters).into_iter().eq((0..20).filter(fails)));
            for letter in &letters {
                assert_eq!(letter.error.attempts(), 3);
                assert_eq!(chain(&letter.error).matches("failure 3").count(), 1);
            }
            assert_eq!((log.total(), report.stages[0].retries), (48, 28));
        });
}

/// Each stage has letters of its own, of its own items; what fails in a stage without any goes to the error channel.
#[test]
fn each_stage_has_letters_of_its_own() {
    scenario("two boxes")
        .on(ALL)
        .in_both_orders()
        .run(async |world| {
            let (first, mut first_dead) = mpsc::channel(16);
            let (last, mut last_dead) = mpsc::channel(16);
            let (errors, failures) = mpsc::channel(16);
            let flow = world.flow();
            let job = Pipeline::from_iter(["1", "x", "30", "-4", "500"])
                .try_map(str::parse::<i64>)
                .name("parse")
                .in_order(world.order())
                .dead_letters(first)
                .and_then(async |n: i64| if n < 0 { Err("negative") } else { Ok(n) })
                .name("sign")
                .in_order(world.order())
                .try_map(u8::try_from)
                .name("narrow")
                .in_order(world.order())
                .dead_letters(last)
                .collect()
                .errors(errors);
            let report = flow.run_failing(job, [1, 3, 4]).await.unwrap();
            assert_eq!(report.value, [1, 30]);
            let letter = first_dead.recv().await.unwrap();
            assert_eq!((letter.item, letter.error.stage()), ("x", "parse"));
            let letter = last_dead.recv().await.unwrap();
            assert_eq!((letter.item, letter.error.stage()), (500i64, "narrow"));
            assert_eq!(letter.error.origin().first(), 4);
            assert_eq!(only_error(failures).await.stage(), "sign");
            assert!(first_dead.recv().await.is_none() && last_dead.recv().await.is_none());
        });
}

/// Several stages may share one channel.
#[test]
fn stages_may_share_a_channel() {
    scenario("one box for two")
        .on(ALL)
        .in_both_orders()
        .run(async |world| {
            let (to, mut dead) = mpsc::channel(16);
            let flow = world.flow();
            let fail = |at: u32| move |n: u32| if n == at { Err("broken") } else { Ok(n) };
            let job = Pipeline::from_iter(0..5u32)
                .try_map(fail(1))
                .name("one")
                .in_order(world.order())
                .dead_letters(to.clone())
                .try_map(fail(3))
                .name("three")
                .in_order(world.order())
                .dead_letters(to)
                .count();
            let report = flow.run_failing(job, [1, 3]).await.unwrap();
            assert_eq!(report.value, 3);
            let mut told = Vec::new();
            while let Some(letter) = dead.recv().await {
                told.push((letter.item, letter.error.stage().to_owned()));
            }
            told.sort();
            assert_eq!(told, [(1, "one".to_owned()), (3, "three".to_owned())]);
        });
}

/// An item that cannot be copied has nothing to send away: it fails like any other.
struct Unique(u64);

impl Clone for Unique {
    fn clone(&self) -> Self {
        assert_ne!(self.0, 1, "there is only one");
        Unique(self.0)
    }
}

/// An item whose `clone` panics is told to the error channel: there is no copy to send.
#[test]
fn an_item_that_cannot_be_copied_is_told_as_an_error() {
    scenario("no copy")
        .on(ALL)
        .in_both_orders()
        .run(async |world| {
            let flow = world.flow();
            let (to, mut dead) = mpsc::channel(16);
            let (errors, failures) = mpsc::channel(16);
            let called = Arc::new(AtomicBool::new(false));
            let calls = called.clone();
            let job = Pipeline::from_iter((0..3).map(Unique))
                .try_map(move |unique: Unique| {
                    calls.fetch_or(unique.0 == 1, Ordering::SeqCst);
                    Ok::<_, BoxError>(unique.0)
                })
                .in_order(world.order())
                .dead_letters(to)
                .collect()
                .errors(errors);
            let report = flow.run_failing(job, [1]).await.unwrap();
            assert_eq!(report.value, [0, 2]);
            assert!(!called.load(Ordering::SeqCst));
            assert!(dead.recv().await.is_none());
            let error = only_error(failures).await;
            assert_eq!(
                (error.kind(), error.origin().first()),
                (ErrorKind::Panicked, 1)
            );
        });
}

/// The reader may be the one that feeds the pipeline: letters go back into its channel.
#[test]
fn letters_may_be_sent_in_again() {
    scenario("once more").in_both_orders().run(async |world| {
        let flow = world.flow();
        let (to, mut dead) = mpsc::channel::<DeadLetter<(u64, u32)>>(16);
        let (sender, source) = Pipeline::channel(16);
        let job = source
            .and_then(async |(n, round): (u64, u32)| {
                if u64::from(round) < n {
                    Err("not yet")
                } else {
                    Ok(n)
                }
            })
            .in_order(world.order())
            .dead_letters(to)
            .collect();
        (0..6).for_each(|index| flow.failed(index));
        let mut run = flow.start(job).unwrap();
        for n in 0..4 {
            sender.send((n, 0)).await.unwrap();
        }
        for _ in 0..6 {
            let (n, round) = dead.recv().await.unwrap().item;
            sleep(HOUR).await;
            sender.send((n, round + 1)).await.unwrap();
        }
        drop(sender);
        let mut report = run.wait().await.unwrap();
        report.value.sort_unstable();
        assert_eq!(report.value, [0, 1, 2, 3]);
        assert_eq!((report.items.taken, report.items.failed), (10, 6));
        assert!(dead.recv().await.is_none());
    });
}
