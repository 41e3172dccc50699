//! Several sources in one run: they drain, stop and fail as one, and items say which of them they are from.

use std::future::ready;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::stream;
use pipeline_core::error::Cause;
use pipeline_core::prelude::*;
use pipeline_core::report::Outcome;
use tests::prelude::*;
use tests::ticket::Kind;
use tokio::sync::mpsc;
use tokio::time::sleep;

const HOUR: std::time::Duration = ms(3_600_000);

/// Sources are numbered in the order of the plan, and each counts its items from 0.
#[test]
fn items_say_which_source_they_are_from() {
    scenario("numbers").on(ALL).run(async |world| {
        let flow = world.flow();
        let (errors, failures) = mpsc::channel(16);
        let sources =
            (0..4u64).map(|source| Pipeline::from_iter((0..10u64).map(move |n| (source, n))));
        let job = Pipeline::merge_all(sources)
            .try_map(|(source, n)| {
                if n == 7 {
                    Err(format!("{source}"))
                } else {
                    Ok(n)
                }
            })
            .count()
            .errors(errors);
        let plan = job.plan();
        assert_eq!(
            plan.steps
                .iter()
                .filter(|step| step.inputs.is_empty())
                .count(),
            4
        );
        let report = flow.run_failing(job, [7, 17, 27, 37]).await.unwrap();
        assert_eq!((report.items.taken, report.items.failed), (40, 4));
        for error in all_errors(failures).await {
            let source = error.origin().source();
            assert_eq!(
                chain(&error).split(": ").last().unwrap(),
                source.to_string()
            );
            assert_eq!(error.origin().first(), 7);
            let text = if source == 0 {
                "item 7".to_owned()
            } else {
                format!("item 7 of source {source}")
            };
            assert_eq!(error.origin().to_string(), text);
        }
    });
}

/// A drain stops all of them: an endless one, one that waits, a channel, of which what was accepted is delivered.
#[test]
fn all_sources_are_drained() {
    scenario("drain").on(ALL).run(async |world| {
        let flow = world.flow();
        let (sender, sent) = Pipeline::channel(100);
        let endless = flow.source(|_| async {
            tokio::task::yield_now().await;
            Ok(true)
        });
        let hands = flow.clone();
        let job = Pipeline::merge_all([
            Pipeline::from_source(endless),
            Pipeline::from_stream(stream::pending()),
            sent,
        ])
        .stage(flow.pass(4))
        .parallelism(4)
        .for_each(move |item| hands.hand(item));
        flow.hears_end();
        let mut run = flow.start(job).unwrap();
        for index in 0..50 {
            sender.send(flow.pull(u64::MAX / 2 + index)).await.unwrap();
        }
        run.control().drain(HOUR);
        world.until(|| sender.is_closed()).await;
        let report = run.wait().await.unwrap();
        assert_eq!(report.outcome, Some(Outcome::Drained));
        let sent: Vec<_> = flow
            .out()
            .into_iter()
            .filter(|index| *index >= u64::MAX / 2)
            .collect();
        assert_eq!(
            sent,
            (0..50)
                .map(|index| u64::MAX / 2 + index)
                .collect::<Vec<_>>()
        );
    });
}

/// A run whose one source has ended and whose other one is endless goes on, and is cancelled.
#[test]
fn all_sources_are_cancelled() {
    scenario("cancel").on(ALL).run(async |world| {
        let flow = world.flow();
        let [short, long] =
            [0..10, 10..u64::MAX].map(|range| Pipeline::from_iter(flow.items(range)));
        let mut run = flow
            .start(short.merge(long).for_each(flow.receive()))
            .unwrap();
        world.until(|| flow.out().len() > 5_000).await;
        run.control().cancel();
        assert!(matches!(cause(run.wait().await), Cause::Cancelled));
        assert!((0..10).all(|index| flow.out().contains(&index)));
    });
}

/// A source that fails makes the run fail. The others go on to their end, so that nothing that was taken is lost.
#[test]
fn a_source_that_fails_is_the_failure_of_the_run() {
    scenario("failure").on(ALL).run(async |world| {
        let flow = world.flow();
        let fault = std::sync::Mutex::new(Some(flow.fault("broken")));
        let fails = flow.source(move |_| ready(fault.lock().unwrap().take().map_or(Ok(true), Err)));
        let fine = Pipeline::from_iter(flow.items(0..1_000));
        let job = fine
            .merge(Pipeline::from_source(fails))
            .for_each(flow.receive());
        let cause = cause(flow.run(job).await);
        assert!(
            matches!(&cause, Cause::Source(error) if error.to_string() == "broken"),
            "{cause:?}"
        );
        flow.expect(0..1_000);
        assert_eq!(flow.closes_of(Kind::Source), 1);
    });
}

/// The first states of all stages are made before any source is asked, whichever of them is ready first.
#[test]
fn no_source_is_asked_before_the_first_states_are_made() {
    scenario("states first").on(ALL).run(async |world| {
        let (flow, gate) = (world.flow(), Gate::new());
        let made = Arc::new(AtomicUsize::new(0));
        let branch = |from: u64| {
            let (gate, made) = (gate.clone(), made.clone());
            let body = flow.pass(2);
            Pipeline::from_iter(flow.items(from..from + 100)).stage_with(move || {
                let (gate, made, body) = (gate.clone(), made.clone(), body.clone());
                async move {
                    gate.pass().await;
                    made.fetch_add(1, Ordering::SeqCst);
                    Ok::<_, BoxError>(body)
                }
            })
        };
        let plain = Pipeline::from_iter(flow.items(10_000..10_100));
        let job = Pipeline::merge_all([
            branch(0).into_pipeline(),
            branch(1_000).into_pipeline(),
            plain,
        ]);
        let mut run = flow.start(job.for_each(flow.receive())).unwrap();
        assert_eq!(world.settled(|| flow.pulled()).await, 0);
        gate.open();
        run.wait().await.unwrap();
        assert_eq!(flow.out().len(), 300);
        assert!(made.load(Ordering::SeqCst) >= 2);
    });
}

/// One slow source does not keep the others from going on, nor from coming to their end.
#[test]
fn sources_go_at_their_own_pace() {
    scenario("pace").run(async |world| {
        let flow = world.flow();
        let slow = flow.source(|index| async move {
            sleep(ms(100)).await;
            Ok(index < 5)
        });
        let fast = Pipeline::from_iter(flow.items(100..10_100));
        let mut run = flow
            .start(
                Pipeline::from_source(slow)
                    .merge(fast)
                    .for_each(flow.receive()),
            )
            .unwrap();
        sleep(ms(50)).await;
        assert_eq!(flow.out().len(), 10_000);
        let watch = Stopwatch::start();
        run.wait().await.unwrap();
        watch.expect(ms(550));
        assert_eq!(flow.out().len(), 10_005);
    });
}
