//! Items that fail, and runs that fail: errors, panics, full error channels, policies.

super::shapes! {
    failures(4000, 4000);
    failures_unordered(4000, 4000);
    /// After a storm of panics all permits are there again.
    storm(3000, 3000);
    blocking_failures(2000, 2000);
    factory_failures(2000, 2000);
    full_channel(4000, 4000);
    reader_goes(3000, 3000);
    counted_overflow(2000, 2000);
    fail_fast(3000, 3000);
    /// The last task to leave is the one that stops the run. It has to do so while the supervisor is about to look, which
    /// few schedules have.
    fail_last(2000, 30000);
    stop_after(3000, 3000);
    /// Items that have failed before they come.
    failing_source(3000, 3000);
    broken_factory(2000, 2000);
    broken_close(2000, 2000);
    broken_source(2000, 2000);
    broken_sink(2000, 2000);
}

mod play {
    use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

    use shuttle::future::spawn;
    use tokio::sync::mpsc;

    use crate::{
        BoxError, StageError,
        error::{Cause, ErrorKind, Overflow},
        explore::{
            body::{FAILS, Habit, READY, WAITS, panic_quietly},
            lots::{dawdle, in_hundred, one_of},
            world::World,
        },
        prelude::*,
        report::Report,
    };

    const STORM: Habit = Habit {
        panics: 100,
        ..WAITS
    };

    const FAILS_OFTEN: Habit = Habit { fails: 50, ..READY };

    const BROKEN: Habit = Habit {
        breaks: 40,
        ..WAITS
    };

    async fn read(mut errors: mpsc::Receiver<StageError>, turns: u64) -> usize {
        let mut count = 0;
        while errors.recv().await.is_some() {
            count += 1;
            dawdle(turns).await;
        }
        count
    }

    fn not_delivered<R>(report: &Report<R>) -> u64 {
        let stages = report.stages.iter();
        stages.map(|stage| stage.errors_not_delivered).sum()
    }

    pub(super) async fn failures(world: World) {
        world.in_order();
        let (errors, told) = mpsc::channel(16);
        let job = Pipeline::from_iter(world.items(8))
            .buffer(2)
            .stage(world.body(2, FAILS))
            .parallelism(2)
            .window(3)
            .filter(world.keep(|index| index != 3))
            .stage(world.body(1, FAILS))
            .window(1)
            .for_each(world.receive())
            .errors(errors);
        world.finish(job).await;
        assert_eq!(read(told, 0).await, world.failures());
    }

    pub(super) async fn failures_unordered(world: World) {
        let (errors, told) = mpsc::channel(16);
        let job = Pipeline::from_source(world.spring(8, WAITS))
            .buffer(2)
            .stage(world.body(3, FAILS))
            .parallelism(3)
            .window(3)
            .unordered()
            .stage(world.body(2, FAILS))
            .parallelism(2)
            .window(2)
            .unordered()
            .for_each(world.receive())
            .errors(errors);
        world.finish(job).await;
        assert_eq!(read(told, 0).await, world.failures());
    }

    pub(super) async fn storm(world: World) {
        world.in_order();
        let job = Pipeline::from_iter(world.items(7))
            .buffer(2)
            .stage(world.body(2, STORM))
            .parallelism(2)
            .window(2)
            .for_each(world.receive())
            .on_error(OnError::Continue);
        let report = world.finish(job).await;
        assert_eq!((report.items.failed, report.stages[0].panics), (7, 7));
    }

    pub(super) async fn blocking_failures(world: World) {
        let (errors, told) = mpsc::channel(16);
        let job = Pipeline::from_iter(world.items(6))
            .buffer(2)
            .try_blocking(world.blocking_body(2, FAILS))
            .parallelism(2)
            .window(2)
            .unordered()
            .stage(world.body(2, FAILS))
            .parallelism(2)
            .window(2)
            .for_each(world.receive())
            .errors(errors);
        world.finish(job).await;
        assert_eq!(read(told, 0).await, world.failures());
    }

    /// States are lost and made again, by a function that waits.
    pub(super) async fn factory_failures(world: World) {
        world.in_order();
        let original = world.body(2, FAILS);
        let job = Pipeline::from_iter(world.items(8))
            .buffer(2)
            .stage_with(move || {
                let made = original.clone();
                async move {
                    dawdle(2).await;
                    Ok::<_, BoxError>(made)
                }
            })
            .parallelism(2)
            .window(2)
            .for_each(world.receive())
            .on_error(OnError::Continue);
        let report = world.finish(job).await;
        assert_eq!(not_delivered(&report), report.items.failed);
    }

    pub(super) async fn full_channel(world: World) {
        world.in_order();
        let (errors, told) = mpsc::channel(1);
        let reader = spawn(read(told, 3));
        let job = Pipeline::from_iter(world.items(8))
            .buffer(2)
            .stage(world.body(2, FAILS))
            .parallelism(2)
            .window(2)
            .stage(world.body(2, FAILS))
            .parallelism(2)
            .window(2)
            .for_each(world.receive())
            .errors(errors)
            .error_overflow(Overflow::Wait);
        let report = world.finish(job).await;
        assert_eq!(not_delivered(&report), 0);
        let read = reader.await.expect("it was not aborted");
        assert_eq!(read, world.failures());
    }

    /// Whoever waits for room in the error channel goes on when its reader has gone.
    pub(super) async fn reader_goes(world: World) {
        world.in_order();
        let (errors, mut told) = mpsc::channel(1);
        let job = Pipeline::from_iter(world.items(8))
            .buffer(2)
            .stage(world.body(3, FAILS))
            .parallelism(3)
            .window(3)
            .for_each(world.receive())
            .errors(errors)
            .error_overflow(Overflow::Wait);
        let running = world.start(job);
        let turns = one_of(0..=40);
        drop(spawn(async move {
            // by turns, because there may be no event any more
            dawdle(turns).await;
            let _one = told.try_recv();
        }));
        world.end(running).await.expect("it finishes");
    }

    pub(super) async fn counted_overflow(world: World) {
        let (errors, told) = mpsc::channel(2);
        let job = Pipeline::from_iter(world.items(8))
            .buffer(2)
            .stage(world.body(3, FAILS))
            .parallelism(3)
            .window(3)
            .unordered()
            .for_each(world.receive())
            .errors(errors);
        let report = world.finish(job).await;
        let read = read(told, 0).await as u64;
        assert_eq!(not_delivered(&report) + read, report.items.failed);
    }

    pub(super) async fn fail_fast(world: World) {
        world.in_order();
        let job = Pipeline::from_iter(world.items(8))
            .buffer(2)
            .stage(world.body(2, FAILS))
            .parallelism(2)
            .window(3)
            .stage(world.body(2, WAITS))
            .parallelism(2)
            .window(2)
            .for_each(world.receive());
        let result = world.end(world.start(job)).await;
        match result.map_err(|error| error.cause) {
            Ok(_) => assert_eq!(world.failures(), 0),
            Err(Cause::Item(error)) => {
                assert!(matches!(
                    error.kind(),
                    ErrorKind::Failed | ErrorKind::Panicked
                ));
                assert!(world.failures() > 0);
            }
            Err(cause) => panic!("{cause:?}"),
        }
    }

    pub(super) async fn fail_last(world: World) {
        let job = Pipeline::from_iter(world.items(2))
            .buffer(2)
            .stage(world.body(2, FAILS_OFTEN))
            .parallelism(2)
            .window(2)
            .for_each(world.receive());
        match world.end(world.start(job)).await {
            Ok(_) => assert_eq!(world.failures(), 0),
            Err(_) => assert!(world.failures() > 0),
        }
    }

    pub(super) async fn stop_after(world: World) {
        let (errors, told) = mpsc::channel(16);
        let job = Pipeline::from_iter(world.items(8))
            .buffer(2)
            .stage(world.body(2, FAILS))
            .parallelism(2)
            .window(3)
            .stage(world.body(2, FAILS))
            .parallelism(2)
            .window(2)
            .unordered()
            .for_each(world.receive())
            .errors(errors)
            .on_error(OnError::StopAfter(2));
        let result = world.end(world.start(job)).await;
        let read = read(told, 0).await;
        match result.map_err(|error| error.cause) {
            Ok(_) => assert!(world.failures() < 2 && read == world.failures()),
            Err(Cause::Item(_)) => assert!(world.failures() >= 2 && read >= 1),
            Err(cause) => panic!("{cause:?}"),
        }
    }

    pub(super) async fn failing_source(world: World) {
        world.in_order();
        let (errors, told) = mpsc::channel(1);
        let reader = spawn(read(told, 2));
        let failing = world.clone();
        let items = world.items(8).map(move |item| {
            if in_hundred(40) {
                failing.failed(&item);
                return Err("broken");
            }
            Ok(item)
        });
        let job = Pipeline::from_try_stream(tokio_stream::iter(items))
            .buffer(2)
            .stage(world.body(2, FAILS))
            .parallelism(2)
            .window(2)
            .for_each(world.receive())
            .errors(errors)
            .error_overflow(Overflow::Wait);
        world.finish(job).await;
        let read = reader.await.expect("it was not aborted");
        assert_eq!(read, world.failures());
    }

    /// Whatever cannot be closed, the items have arrived.
    pub(super) async fn broken_close(world: World) {
        world.in_order();
        let job = Pipeline::from_source(world.spring(5, BROKEN))
            .buffer(2)
            .stage(world.body(2, BROKEN))
            .parallelism(2)
            .window(2)
            .sink(world.basin(BROKEN));
        let result = world.end(world.start(job)).await;
        let items = match result {
            Ok(report) => report.items,
            Err(error) => {
                let broken = matches!(
                    error.cause,
                    Cause::Source(_) | Cause::Stage(..) | Cause::Sink(_)
                );
                assert!(broken, "{error:?}");
                error.report.items
            }
        };
        assert_eq!(items.delivered, 5);
    }

    pub(super) async fn broken_factory(world: World) {
        let original = world.body(3, FAILS);
        let made = AtomicU64::new(0);
        let job = Pipeline::from_iter(world.items(8))
            .buffer(2)
            .stage_with(move || {
                let state = original.clone();
                let number = made.fetch_add(1, Relaxed);
                if number == 3 && in_hundred(50) {
                    panic_quietly();
                }
                async move {
                    dawdle(1).await;
                    if number == 2 && in_hundred(50) {
                        return Err(BoxError::from("no more"));
                    }
                    Ok(state)
                }
            })
            .parallelism(3)
            .window(3)
            .for_each(world.receive())
            .on_error(OnError::Continue);
        let result = world.end(world.start(job)).await;
        let cause = result.err().map(|error| error.cause);
        assert!(matches!(cause, None | Some(Cause::Stage(..))), "{cause:?}");
    }

    pub(super) async fn broken_source(world: World) {
        world.in_order();
        let panics = in_hundred(50);
        let items = world.items(5).chain(std::iter::once_with(move || {
            if panics {
                panic_quietly();
            }
            unreachable!("the stream fails before");
        }));
        let items = tokio_stream::iter(items);
        let job = Pipeline::from_stream(items)
            .buffer(2)
            .stage(world.body(2, WAITS))
            .parallelism(2)
            .window(2)
            .for_each(world.receive());
        let result = world.end(world.start(job)).await;
        let error = result.expect_err("its source failed");
        assert!(matches!(error.cause, Cause::Source(_)), "{error:?}");
        // what it gave before is not lost
        assert_eq!(error.report.items.delivered, 5);
    }

    pub(super) async fn broken_sink(world: World) {
        world.in_order();
        let mut receive = world.receive();
        let panics = in_hundred(50);
        let mut left = 4;
        let failing = world.clone();
        let job = Pipeline::from_iter(world.items(8))
            .buffer(2)
            .stage(world.body(2, WAITS))
            .parallelism(2)
            .window(2)
            .try_for_each(move |item| {
                left -= 1;
                let result = if left > 0 {
                    receive(item);
                    Ok(())
                } else {
                    failing.failed(&item);
                    if panics {
                        panic_quietly();
                    }
                    Err("full")
                };
                async move {
                    dawdle(2).await;
                    result
                }
            });
        let result = world.end(world.start(job)).await;
        let error = result.expect_err("its sink failed");
        assert!(matches!(error.cause, Cause::Sink(_)), "{error:?}");
        assert_eq!(error.report.items.failed, 1);
    }
}
