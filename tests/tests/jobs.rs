//! Jobs with several ends, made by `join` and `join_all`.

use std::future::{pending, ready};

use pipeline_core::error::{BuildError, Cause};
use pipeline_core::prelude::*;
use pipeline_core::report::Outcome;
use pipeline_core::run::Job;
use tests::prelude::*;
use tests::ticket::Kind;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

const HOUR: std::time::Duration = ms(3_600_000);

/// Two jobs that have nothing to do with each other are one run, with the values of both.
#[test]
fn jobs_are_run_as_one() {
    scenario("join").on(ALL).run(async |world| {
        let flow = world.flow();
        let sum = Pipeline::from_iter(0..1_000u64).fold(0, |sum, n| sum + n);
        let texts = Pipeline::from_iter(["a", "b"]).collect();
        let all = Pipeline::from_iter(flow.items(0..500)).for_each(flow.receive());
        let job = sum.join(texts).join(all);
        assert_eq!(job.plan().steps.len(), 6);
        let report = job.run().await.unwrap();
        assert_eq!(report.value, ((499_500, vec!["a", "b"]), ()));
        assert_eq!(report.items.delivered, 1_502);
        flow.expect(0..500);
    });
}

/// The values are in the order of the jobs, and there may be any number of them.
#[test]
fn any_number_of_jobs_is_joined() {
    scenario("join_all").on(ALL).run(async |_world| {
        let jobs = (0..50u64).map(|n| Pipeline::from_iter(0..n).then(ready).count());
        let report = Job::join_all(jobs).run().await.unwrap();
        assert_eq!(report.value, (0..50).collect::<Vec<_>>());
        let none = Job::join_all(Vec::<Job>::new());
        assert_eq!(none.plan().max_inside, 0);
        let report = none.run().await.unwrap();
        assert_eq!(
            (report.value, report.outcome),
            (Vec::new(), Some(Outcome::Finished))
        );
    });
}

/// The run is over when the last end is; what has ended before waits for it.
#[test]
fn a_joined_run_ends_with_its_last_end() {
    scenario("last end").run(async |world| {
        let flow = world.flow();
        let short = Pipeline::from_iter(flow.items(0..3)).for_each(flow.receive());
        let long = Pipeline::from_iter(flow.items(10..12))
            .stage(flow.sleeps(1, |_| ms(500)))
            .for_each(flow.receive());
        let watch = Stopwatch::start();
        flow.run(short.join(long)).await.unwrap();
        watch.expect(ms(1_000));
        assert_eq!(flow.out(), [0, 1, 2, 10, 11]);
    });
}

/// Where one end fails, everything is cancelled: the other source is closed, and what was inside is accounted for.
#[test]
fn the_failure_of_one_end_is_that_of_all() {
    scenario("failure").on(ALL).run(async |world| {
        let flow = world.flow();
        let fault = std::sync::Mutex::new(Some(flow.fault("full")));
        let sink = flow.sink(move |index| {
            let fault = if index == 5 {
                fault.lock().unwrap().take()
            } else {
                None
            };
            async move { fault.map_or(Ok(()), Err) }
        });
        let fails = Pipeline::from_iter(flow.items(0..10)).sink(sink);
        let source = flow.source(|_| ready(Ok(true)));
        let endless = Pipeline::from_source(source)
            .stage(flow.pass(2))
            .parallelism(2);
        let job = fails.join(endless.then(|_| pending::<()>()).count());
        let error = flow.start(job).unwrap().wait().await;
        // item 5 was offered to the sink, and those behind it
        let error = error.map(|_| ()).unwrap_err();
        assert!(matches!(&error.cause, Cause::Sink(error) if error.to_string() == "full"));
        assert_eq!(
            (flow.closes_of(Kind::Source), flow.closes_of(Kind::Sink)),
            (1, 1)
        );
    });
}

/// Options of the run may be set on either job, or on the joined one, and not twice.
#[test]
fn an_option_is_set_once() {
    scenario("options").on(ALL).run(async |_world| {
        let job = || {
            Pipeline::from_iter(0..10)
                .try_map(|n| if n == 3 { Err("3") } else { Ok(n) })
                .count()
        };
        let (errors, mut failures) = mpsc::channel(16);
        let twice = |first: Job<u64>, second: Job<u64>| match first.join(second).start() {
            Err(BuildError::SetTwice(option)) => option,
            other => panic!("{other:?}"),
        };
        assert_eq!(
            twice(job().errors(errors.clone()), job().errors(errors.clone())),
            "errors"
        );
        assert_eq!(
            twice(
                job().on_error(OnError::Continue),
                job().on_error(OnError::FailFast)
            ),
            "on_error"
        );
        let wait = |job: Job<u64>| job.error_overflow(pipeline_core::error::Overflow::Wait);
        assert_eq!(twice(wait(job()), wait(job())), "error_overflow");
        let ctrl_c = |job: Job<u64>| job.drain_on_ctrl_c(HOUR);
        assert_eq!(twice(ctrl_c(job()), ctrl_c(job())), "drain_on_ctrl_c");
        let signals = |job: Job<u64>| job.drain_on_signals(HOUR);
        assert_eq!(twice(signals(job()), ctrl_c(job())), "drain_on_signals");
        let deep = Job::join_all([
            job().join(job()),
            job()
                .errors(errors.clone())
                .join(job().errors(errors.clone())),
        ]);
        let error = deep.start().unwrap_err();
        assert_eq!(
            error.to_string(),
            "`errors` was set on two jobs that were joined: set it once, on the joined job"
        );

        // one of them is enough for both
        let report = job().join(job().errors(errors)).run().await.unwrap();
        assert_eq!((report.value, report.items.failed), ((9, 9), 2));
        let (a, b) = (
            failures.recv().await.unwrap(),
            failures.recv().await.unwrap(),
        );
        let mut sources = [a.origin().source(), b.origin().source()];
        sources.sort_unstable();
        assert_eq!(sources, [0, 1]);
        assert!(failures.recv().await.is_none());
    });
}

/// Tokens of both jobs count.
#[test]
fn the_tokens_of_each_job_count() {
    for first in [false, true] {
        scenario("tokens").on(ALL).run(async move |world| {
            let flow = world.flow();
            let (one, other) = (CancellationToken::new(), CancellationToken::new());
            let endless = || Pipeline::from_iter(0..u64::MAX).count();
            let job = endless()
                .cancel_on(&one)
                .join(endless().drain_on(&other, HOUR));
            let mut run = flow.start(job).unwrap();
            world.until(|| flow.metrics().items.delivered > 100).await;
            if first {
                one.cancel();
                assert!(matches!(cause(run.wait().await), Cause::Cancelled));
            } else {
                other.cancel();
                assert_eq!(run.wait().await.unwrap().outcome, Some(Outcome::Drained));
            }
        });
    }
}

/// The items of a stream in a joined job are discarded, while the other end has its own.
#[test]
fn a_joined_stream_is_discarded() {
    scenario("streams").on(ALL).run(async |world| {
        let flow = world.flow();
        flow.cuts_short();
        let stream = || Pipeline::from_iter(flow.items(0..2_000)).into_stream();
        let count = Pipeline::from_iter(0..1_000u64).count();
        let mut run = stream().join(count).join(stream()).start().unwrap();
        let report = run.wait().await.unwrap();
        assert_eq!(report.value.0.1, 1_000);
        assert_eq!(
            (report.items.delivered, report.items.cancelled),
            (1_000, 4_000)
        );
        drop(report);

        let streams = Job::join_all([stream(), stream()]);
        let report = streams.run().await.unwrap();
        assert_eq!((report.value.len(), report.items.cancelled), (2, 4_000));
    });
}

/// Dropping the owner of a joined run, or the job itself, leaves nothing behind.
#[test]
fn a_joined_job_is_dropped() {
    scenario("drop").on(ALL).run(async |world| {
        let flow = world.flow();
        let many = |from: u64| {
            Pipeline::from_iter(flow.items(from..u64::MAX / 2 + from))
                .stage(flow.pass(2))
                .for_each(flow.receive())
        };
        drop(many(0).join(many(u64::MAX / 2)));
        let run = flow.start(many(0).join(many(u64::MAX / 2))).unwrap();
        world.until(|| flow.out().len() > 100).await;
        drop(run);
    });
}
