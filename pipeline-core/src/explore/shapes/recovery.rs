//! Limits of time, retries, dead letters: who decides about an item when several things happen at once.

super::shapes! {
    retries(3000, 3000);
    retries_unordered(3000, 3000);
    timeouts(3000, 3000);
    /// An attempt may end by its time, its failure or its result, and the item by its own time.
    attempts(3000, 3000);
    dead_letters(3000, 3000);
    /// The time of a body on a thread is over while it comes back.
    blocking_timeouts(4000, 4000);
    blocking_attempts(3000, 3000);
    blocking_letters(3000, 3000);
    cancelled(3000, 3000);
    drained(3000, 3000);
    let_go(2000, 2000);
}

mod play {
    use std::time::Duration;

    use shuttle::future::spawn;
    use tokio::sync::mpsc;

    use crate::{
        StageError,
        error::{Cause, DeadLetter, Overflow},
        explore::{
            body::{FAILS, Habit, WAITS},
            lots::dawdle,
            world::{Item, World},
        },
        prelude::*,
        report::Report,
    };

    /// What comes first is decided by lot, however long it is.
    const TIME: Duration = Duration::from_millis(1);

    const AGAIN: Retry = Retry::fixed(TIME).max_retries(2).panics();

    const AT_ONCE: Retry = Retry::fixed(Duration::ZERO).max_retries(2);

    const SLOW: Habit = Habit { turns: 4, ..FAILS };

    fn errors() -> (mpsc::Sender<StageError>, mpsc::Receiver<StageError>) {
        mpsc::channel(16)
    }

    /// Takes note of all that is told.
    async fn hear(world: &World, mut told: mpsc::Receiver<StageError>) -> u64 {
        let mut heard = 0;
        while let Some(error) = told.recv().await {
            assert!((1..=3).contains(&error.attempts()), "{error}");
            world.told(error.origin().first());
            heard += 1;
        }
        heard
    }

    async fn open(world: World, mut letters: mpsc::Receiver<DeadLetter<Item>>, turns: u64) -> u64 {
        let mut opened = 0;
        while let Some(letter) = letters.recv().await {
            assert_eq!(letter.item.index, letter.error.origin().first());
            world.told(letter.item.index);
            opened += 1;
            drop(letter);
            dawdle(turns).await;
        }
        opened
    }

    fn add_up(report: &Report, what: impl Fn(&crate::report::StageReport) -> u64) -> u64 {
        report.stages.iter().map(what).sum()
    }

    pub(super) async fn retries(world: World) {
        world.in_order();
        world.told_later();
        let (errors, told) = errors();
        let job = Pipeline::from_iter(world.items(6))
            .buffer(2)
            .stage(world.body(2, FAILS))
            .parallelism(2)
            .window(3)
            .retry(AGAIN)
            .filter(world.keep(|index| index != 3))
            .for_each(world.receive())
            .errors(errors);
        let report = world.finish(job).await;
        assert_eq!(hear(&world, told).await, report.items.failed);
    }

    pub(super) async fn retries_unordered(world: World) {
        world.told_later();
        let (errors, told) = errors();
        let job = Pipeline::from_source(world.spring(6, WAITS))
            .buffer(2)
            .stage(world.body(2, FAILS))
            .parallelism(2)
            .window(2)
            .unordered()
            .retry(AT_ONCE)
            .stage(world.body(2, FAILS))
            .parallelism(2)
            .window(2)
            .retry(AGAIN)
            .for_each(world.receive())
            .errors(errors);
        let report = world.finish(job).await;
        assert_eq!(hear(&world, told).await, report.items.failed);
    }

    pub(super) async fn timeouts(world: World) {
        world.in_order();
        world.told_later();
        let (errors, told) = errors();
        let job = Pipeline::from_iter(world.items(8))
            .buffer(2)
            .stage(world.body(2, SLOW))
            .parallelism(2)
            .window(3)
            .timeout(TIME)
            .stage(world.body(1, WAITS))
            .window(1)
            .attempt_timeout(TIME)
            .for_each(world.receive())
            .errors(errors);
        let report = world.finish(job).await;
        assert_eq!(hear(&world, told).await, report.items.failed);
    }

    pub(super) async fn attempts(world: World) {
        world.in_order();
        world.told_later();
        let (errors, told) = errors();
        let job = Pipeline::from_iter(world.items(6))
            .buffer(2)
            .stage(world.body(2, SLOW))
            .parallelism(2)
            .window(3)
            .timeout(TIME)
            .attempt_timeout(TIME)
            .retry(AGAIN)
            .for_each(world.receive())
            .errors(errors);
        let report = world.finish(job).await;
        assert_eq!(hear(&world, told).await, report.items.failed);
        assert!(add_up_timeouts(&report) <= report.items.failed);
    }

    fn add_up_timeouts(report: &Report) -> u64 {
        add_up(report, |stage| stage.timeouts)
    }

    pub(super) async fn dead_letters(world: World) {
        world.in_order();
        world.told_later();
        let (letters, dead) = mpsc::channel(1);
        let reader = spawn(open(world.clone(), dead, 3));
        let job = Pipeline::from_iter(world.items(7))
            .buffer(2)
            .stage(world.body(2, FAILS))
            .parallelism(2)
            .window(3)
            .attempt_timeout(TIME)
            .retry(AT_ONCE)
            .dead_letters(letters)
            .for_each(world.receive())
            .error_overflow(Overflow::Wait);
        let running = world.start(job);
        let report = running_to_its_end(running).await;
        let opened = reader.await.expect("it was not aborted");
        assert_eq!(opened, report.items.failed);
        assert_eq!(report.items.delivered + opened, 7);
        world.empty().await;
    }

    /// Letters may still be on their way when the run has ended, and their items are alive.
    async fn running_to_its_end(mut running: crate::Running) -> Report {
        let result = running.wait().await;
        result.expect("a run that finishes")
    }

    pub(super) async fn blocking_timeouts(world: World) {
        world.in_order();
        world.told_later();
        let (errors, told) = errors();
        let job = Pipeline::from_iter(world.items(6))
            .buffer(2)
            .try_blocking(world.blocking_body(2, SLOW))
            .parallelism(2)
            .window(3)
            .timeout(TIME)
            .for_each(world.receive())
            .errors(errors);
        let report = world.finish(job).await;
        assert_eq!(hear(&world, told).await, report.items.failed);
    }

    pub(super) async fn blocking_attempts(world: World) {
        world.told_later();
        let (errors, told) = errors();
        let job = Pipeline::from_iter(world.items(5))
            .buffer(2)
            .try_blocking(world.blocking_body(2, SLOW))
            .parallelism(2)
            .window(2)
            .unordered()
            .timeout(TIME)
            .attempt_timeout(TIME)
            .retry(AGAIN)
            .for_each(world.receive())
            .errors(errors);
        let report = world.finish(job).await;
        assert_eq!(hear(&world, told).await, report.items.failed);
    }

    pub(super) async fn blocking_letters(world: World) {
        world.in_order();
        world.told_later();
        let (letters, dead) = mpsc::channel(1);
        let reader = spawn(open(world.clone(), dead, 2));
        let job = Pipeline::from_iter(world.items(5))
            .buffer(2)
            .try_blocking(world.blocking_body(2, SLOW))
            .parallelism(2)
            .window(2)
            .attempt_timeout(TIME)
            .retry(AT_ONCE)
            .dead_letters(letters)
            .for_each(world.receive())
            .error_overflow(Overflow::Wait);
        let running = world.start(job);
        let report = running_to_its_end(running).await;
        let opened = reader.await.expect("it was not aborted");
        assert_eq!(report.items.delivered + opened, 5);
        world.empty().await;
    }

    /// In the middle of bodies, pauses, and of the making of states.
    pub(super) async fn cancelled(world: World) {
        world.told_later();
        let (errors, told) = errors();
        let job = Pipeline::from_iter(world.items(8))
            .buffer(2)
            .stage(world.body(2, SLOW))
            .parallelism(2)
            .window(3)
            .timeout(TIME)
            .retry(AGAIN)
            .try_blocking(world.blocking_body(2, SLOW))
            .parallelism(2)
            .window(2)
            .timeout(TIME)
            .retry(AT_ONCE)
            .for_each(world.receive())
            .errors(errors);
        let running = world.start(job);
        let control = running.control();
        world.at_an_event(60, move || control.cancel());
        let result = world.end(running).await;
        let failed = match &result {
            Ok(report) => report.items.failed,
            Err(error) => {
                assert!(matches!(error.cause, Cause::Cancelled), "{error:?}");
                error.report.items.failed
            }
        };
        assert_eq!(hear(&world, told).await, failed);
    }

    pub(super) async fn drained(world: World) {
        world.in_order();
        world.told_later();
        let (errors, told) = errors();
        let job = Pipeline::from_source(world.spring(8, WAITS))
            .buffer(2)
            .stage(world.body(2, SLOW))
            .parallelism(2)
            .window(3)
            .attempt_timeout(TIME)
            .retry(AGAIN)
            .for_each(world.receive())
            .errors(errors);
        let running = world.start(job);
        let control = running.control();
        world.at_an_event(40, move || control.drain(Duration::MAX));
        let failed = match world.end(running).await {
            Ok(report) => report.items.failed,
            // time has no order here
            Err(error) => {
                assert!(matches!(error.cause, Cause::DeadlinePassed(_)), "{error:?}");
                error.report.items.failed
            }
        };
        assert_eq!(hear(&world, told).await, failed);
    }

    pub(super) async fn let_go(world: World) {
        world.told_later();
        let job = Pipeline::from_iter(world.items(8))
            .buffer(2)
            .stage(world.body(2, SLOW))
            .parallelism(2)
            .window(3)
            .timeout(TIME)
            .retry(AGAIN)
            .try_blocking(world.blocking_body(2, SLOW))
            .parallelism(2)
            .window(2)
            .timeout(TIME)
            .for_each(world.receive())
            .on_error(OnError::Continue);
        let running = world.start(job);
        let turns = crate::explore::lots::one_of(0..=60);
        dawdle(turns).await;
        world.let_go(running).await;
    }
}
