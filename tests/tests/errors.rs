//! Failed items: one destination for each, and the policy that says when they end the run.

use std::error::Error;
use std::fmt;
use std::future::ready;
use std::num::ParseIntError;

use pipeline_core::error::{BoxError, Cause, ErrorKind};
use pipeline_core::prelude::*;
use pipeline_core::report::Outcome;
use tests::prelude::*;
use tokio::sync::mpsc;
use tokio::task::{JoinError, yield_now};

/// Scenario 41: a failed item is missing from the output, and the error says which it was, where, and why.
#[test]
fn a_failed_item_becomes_one_error_and_the_rest_goes_on() {
    scenario("41").on(ALL).in_both_orders().run(async |world| {
        let flow = world.flow();
        let (errors, failures) = mpsc::channel(16);
        let job = Pipeline::from_iter(flow.items(1..6))
            .stage(flow.breaks(4, |index| index == 3))
            .name("check")
            .parallelism(4)
            .in_order(world.order())
            .for_each(flow.receive())
            .errors(errors);
        let report = flow.run(job).await.unwrap();
        flow.expect([1, 2, 4, 5]);
        assert_eq!(report.outcome, Some(Outcome::Finished));
        let errors = all_errors(failures).await;
        assert_eq!(errors.len(), 1);
        let error = &errors[0];
        assert_eq!(error.stage(), "check");
        assert_eq!(error.kind(), ErrorKind::Failed);
        assert_eq!(error.attempts(), 1);
        // item 3 is the third that the source gave, and these are counted from 0
        assert_eq!((error.origin().first(), error.origin().count()), (2, 1));
        assert_eq!(error.origin().to_string(), "item 2");
        assert_eq!(error.downcast_ref::<Fault>().unwrap().to_string(), "broken");
        assert_eq!(error.source().unwrap().to_string(), "broken");
        for part in ["check", "item 2"] {
            assert!(error.to_string().contains(part), "{error}");
        }
    });
}

/// Scenario 42: it makes no difference whether an item fails before or after its body's first await, or before there is a future.
#[test]
fn an_item_may_fail_at_any_time() {
    scenario("42").on(ALL).in_both_orders().run(async |world| {
        for how in 0..4 {
            let flow = world.flow();
            let (errors, failures) = mpsc::channel(16);
            let body = flow.body(4, move |item| {
                let fails = item.index == 3;
                assert!(!(fails && how == 0), "broken in the call");
                async move {
                    assert!(!(fails && how == 1), "broken in the first poll");
                    if fails && how == 2 {
                        return Err(item.fault("broken before an await"));
                    }
                    yield_now().await;
                    if fails {
                        return Err(item.fault("broken after an await"));
                    }
                    Ok(item)
                }
            });
            let job = Pipeline::from_iter(flow.items(1..6))
                .stage(body)
                .parallelism(4)
                .in_order(world.order())
                .for_each(flow.receive())
                .errors(errors);
            flow.run(job).await.unwrap();
            flow.expect([1, 2, 4, 5]);
            let errors = all_errors(failures).await;
            assert_eq!(errors.len(), 1);
            assert_eq!(errors[0].origin().first(), 2);
            let kind = [ErrorKind::Panicked, ErrorKind::Failed][how / 2];
            assert_eq!(errors[0].kind(), kind);
            let text = errors[0].source().unwrap().to_string();
            let place = [
                "in the call",
                "in the first poll",
                "before an await",
                "after an await",
            ][how];
            assert!(text.contains(place), "{text}");
        }
    });
}

/// Scenario 50: under `Continue` all other items come first, and the failure is told all the same.
#[test]
fn a_run_that_goes_on_delivers_all_others() {
    scenario("50").on(ALL).in_both_orders().run(async |world| {
        let flow = world.flow();
        let job = Pipeline::from_iter(flow.items(0..10))
            .stage(flow.breaks(1, |index| index == 2))
            .name("check")
            .in_order(world.order())
            .for_each(flow.receive())
            .on_error(OnError::Continue);
        let report = flow.run(job).await.unwrap();
        flow.expect([0, 1, 3, 4, 5, 6, 7, 8, 9]);
        assert_eq!(report.outcome, Some(Outcome::Finished));
        assert_eq!(report.items.failed, 1);
        // nobody could be told, and that is counted
        assert_eq!(not_delivered(&report), 1);
    });
}

/// An error of the user's with a cause of its own.
#[derive(Debug)]
struct NoRate(ParseIntError);

impl fmt::Display for NoRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no rate")
    }
}

impl Error for NoRate {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.0)
    }
}

/// A failure and the end of a run say why if they are asked to, and all levels of it, each once.
#[test]
fn errors_print_their_causes() {
    scenario("printed").run(async |_world| {
        let rate = |text: &str| text.parse::<u32>().map_err(NoRate);
        let job = || {
            let rates = Pipeline::from_iter(["1", "x"]).try_map(rate).name("rate");
            rates.count()
        };
        let (errors, failures) = mpsc::channel(1);
        assert_eq!(job().errors(errors).run().await.unwrap().value, 1);
        let failure = &all_errors(failures).await[0];
        let item = "stage `rate` failed on item 1 after 1 attempt(s)";
        let why = "no rate: invalid digit found in string";
        assert_eq!(failure.to_string(), item);
        assert_eq!(format!("{failure:#}"), format!("{item}: {why}"));

        let error = job().run().await.unwrap_err();
        let line = format!("the run did not finish: an item failed: {item}: {why}");
        assert_eq!(error.to_string(), "the run did not finish");
        assert_eq!(format!("{error:#}"), line);
        assert_eq!(format!("{error:?}"), line);
        // and so through the box of a `main`
        assert_eq!(format!("{:?}", BoxError::from(error)), line);
    });
}

/// Scenario 51: a body that waits for a task that is aborted fails like any other.
#[test]
fn an_aborted_task_inside_a_body_is_an_ordinary_failure() {
    scenario("51").on(ALL).in_both_orders().run(async |world| {
        let flow = world.flow();
        let (errors, failures) = mpsc::channel(16);
        let job = Pipeline::from_iter(0..10u64)
            .and_then(|n| async move {
                let task = tokio::spawn(std::future::pending::<()>());
                if n == 4 {
                    task.abort();
                    task.await?;
                } else {
                    task.abort();
                }
                Ok::<_, JoinError>(n)
            })
            .parallelism(4)
            .in_order(world.order())
            .collect()
            .errors(errors);
        let mut out = flow.run_failing(job, [4]).await.unwrap().value;
        out.sort_unstable();
        assert_eq!(out, [0, 1, 2, 3, 5, 6, 7, 8, 9]);
        let errors = all_errors(failures).await;
        assert_eq!(errors.len(), 1);
        assert!(
            errors[0]
                .downcast_ref::<JoinError>()
                .unwrap()
                .is_cancelled()
        );
    });
}

/// Without an error channel the first failure ends the run, and is what `run` returns.
#[test]
fn the_first_failure_ends_the_run_by_default() {
    scenario("fail fast")
        .on(ALL)
        .in_both_orders()
        .run(async |world| {
            let flow = world.flow();
            let job = Pipeline::from_iter(flow.items(0..u64::MAX))
                .stage(flow.breaks(4, |index| index == 30))
                .name("check")
                .parallelism(4)
                .in_order(world.order())
                .for_each(flow.receive());
            let error = flow.run(job).await.unwrap_err();
            assert_eq!(error.report.outcome, Some(Outcome::Failed));
            assert_eq!(error.report.items.failed, 1);
            let Cause::Item(failure) = &error.cause else {
                panic!("{:?}", error.cause)
            };
            assert_eq!((failure.stage(), failure.origin().first()), ("check", 30));
            assert!(failure.downcast_ref::<Fault>().is_some());
            // the chain of errors leads to the user's own
            let chain = error.source().unwrap().source().unwrap();
            assert_eq!(chain.source().unwrap().to_string(), "broken");
            // in order, only items before the failed one can have left
            if world.ordered() {
                let out = flow.out();
                assert!(out.len() <= 30 && out.iter().copied().eq(0..out.len() as u64));
            }
        });
}

/// `FailFast` ends the run also where there is an error channel, which then gets nothing.
#[test]
fn fail_fast_can_be_asked_for() {
    scenario("explicit fail fast").on(ALL).run(async |world| {
        let flow = world.flow();
        let (errors, failures) = mpsc::channel(16);
        let job = Pipeline::from_iter(flow.items(0..100))
            .stage(flow.breaks(1, |index| index >= 10))
            .for_each(flow.receive())
            .errors(errors)
            .on_error(OnError::FailFast);
        let failure = failure(flow.run(job).await);
        assert_eq!(failure.origin().first(), 10);
        assert!(all_errors(failures).await.is_empty());
    });
}

/// `StopAfter(n)` sends the failures before the n-th to the channel, and returns the n-th.
#[test]
fn a_run_can_stop_after_some_failures() {
    scenario("stop after 3").on(ALL).run(async |world| {
        let flow = world.flow();
        let (errors, failures) = mpsc::channel(16);
        let job = Pipeline::from_iter(flow.items(0..100))
            .stage(flow.breaks(1, |index| index % 10 == 5))
            .for_each(flow.receive())
            .errors(errors)
            .on_error(OnError::StopAfter(3));
        let error = flow.run(job).await.unwrap_err();
        assert_eq!(error.report.items.failed, 3);
        let Cause::Item(failure) = error.cause else {
            panic!("{:?}", error.cause)
        };
        assert_eq!(failure.origin().first(), 25);
        assert_eq!(origins(&all_errors(failures).await), [5, 15]);
    });
}

/// `StopAfter(n)` is not reached by fewer failures.
#[test]
fn fewer_failures_than_the_limit_do_not_stop_the_run() {
    scenario("stop after 3 of 2")
        .on(ALL)
        .in_both_orders()
        .run(async |world| {
            let flow = world.flow();
            let job = Pipeline::from_iter(flow.items(0..100))
                .stage(flow.breaks(4, |index| index == 5 || index == 50))
                .parallelism(4)
                .in_order(world.order())
                .for_each(flow.receive())
                .on_error(OnError::StopAfter(3));
            let report = flow.run(job).await.unwrap();
            assert_eq!(report.items.failed, 2);
            assert_eq!(flow.out().len(), 98);
        });
}

/// More failures in a row than there are workers, and a failure as the very last thing, stall nothing.
#[test]
fn failures_in_a_row_and_at_the_end_do_not_stall() {
    scenario("failures in a row")
        .on(ALL)
        .in_both_orders()
        .run(async |world| {
            for window in [2, 3, 1_024] {
                let flow = world.flow();
                let (errors, failures) = mpsc::channel(1_000);
                let job = Pipeline::from_iter(flow.items(0..500))
                    .stage(flow.breaks(2, |index| (100..400).contains(&index) || index == 499))
                    .parallelism(2)
                    .window(window)
                    .in_order(world.order())
                    .for_each(flow.receive())
                    .errors(errors);
                flow.run(job).await.unwrap();
                flow.expect((0..100).chain(400..499));
                let failed = origins(&all_errors(failures).await);
                assert!(failed.into_iter().eq((100..400).chain([499])));
            }
        });
}

/// An item has one origin through all stages: filters and failures before it do not shift it.
#[test]
fn an_error_names_the_item_of_the_source_behind_filters_and_failures() {
    scenario("origin")
        .on(ALL)
        .in_both_orders()
        .run(async |world| {
            let flow = world.flow();
            let (errors, failures) = mpsc::channel(16);
            let job = Pipeline::from_iter(flow.items(0..100))
                .stage(flow.breaks(4, |index| index == 10))
                .name("first")
                .parallelism(4)
                .in_order(world.order())
                .filter(flow.keep(|index| index % 2 == 0))
                .stage(flow.breaks(4, |index| index == 60))
                .name("second")
                .parallelism(4)
                .in_order(world.order())
                .for_each(flow.receive())
                .errors(errors);
            flow.run(job).await.unwrap();
            let mut failed: Vec<_> = all_errors(failures)
                .await
                .iter()
                .map(|error| (error.origin().first(), error.stage().to_owned()))
                .collect();
            failed.sort();
            // the fused filter is part of the first stage, but did not take part in this failure
            assert_eq!(failed[0], (10, "first".to_owned()));
            assert_eq!(failed[1], (60, "second".to_owned()));
        });
}

/// Errors of any type that is an error are taken: boxed ones, and texts.
#[test]
fn a_body_may_fail_with_any_error() {
    scenario("kinds of errors").on(ALL).run(async |world| {
        let (errors, failures) = mpsc::channel(16);
        let flow = world.flow();
        let job = Pipeline::from_iter(["1", "x", "-1"])
            .try_map(|text| text.parse::<i64>())
            .name("parse")
            .and_then(|n| ready(if n < 0 { Err("negative") } else { Ok(n) }))
            .name("sign")
            .and_then(|n| ready(Ok::<_, BoxError>(n)))
            .collect()
            .errors(errors);
        let report = flow.run_failing(job, [1, 2]).await.unwrap();
        assert_eq!(report.value, [1]);
        let mut errors = all_errors(failures).await;
        errors.sort_by_key(|error| error.origin().first());
        assert_eq!(errors[0].stage(), "parse");
        assert!(
            errors[0]
                .downcast_ref::<std::num::ParseIntError>()
                .is_some()
        );
        assert_eq!(errors[1].stage(), "sign");
        assert_eq!(errors[1].source().unwrap().to_string(), "negative");
    });
}
