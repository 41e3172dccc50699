//! Keyed stages: items of one key one at a time and in order, whatever the others do.

super::shapes! {
    keys(4000, 4000);
    /// The window is full of items of a key whose first one is slow.
    full_of_one_key(4000, 4000);
    skewed(3000, 3000);
    failing(3000, 3000);
    /// Some keys panic, and whoever looks them up has to wait for room in the channel of errors.
    refused(3000, 3000);
    retried(3000, 3000);
    timed_out(3000, 3000);
    blocking(3000, 3000);
    chained(2000, 2000);
    cancelled(3000, 3000);
    drained(3000, 3000);
    let_go(2000, 2000);
}

mod play {
    use std::time::Duration;

    use shuttle::future::spawn;
    use tokio::sync::mpsc;

    use crate::{
        error::{Cause, Overflow},
        explore::{
            body::{FAILS, Habit, READY, WAITS, panic_quietly},
            world::{Item, World},
        },
        prelude::*,
    };

    const SLOW: Habit = Habit { turns: 4, ..WAITS };

    fn by(keys: u64) -> impl Fn(&Item) -> u64 + Send + Sync + 'static {
        move |item| item.index % keys
    }

    pub(super) async fn keys(world: World) {
        world.in_order_by(|index| index % 3);
        let job = Pipeline::from_iter(world.items(9))
            .buffer(3)
            .stage(world.body(2, WAITS))
            .keyed(by(3))
            .parallelism(2)
            .window(4)
            .for_each(world.receive());
        world.finish(job).await;
    }

    pub(super) async fn full_of_one_key(world: World) {
        world.in_order_by(|index| index % 2);
        let job = Pipeline::from_iter(world.items(8))
            .buffer(2)
            .stage(world.body(3, SLOW))
            .keyed(by(2))
            .parallelism(3)
            .window(3)
            .for_each(world.receive());
        world.finish(job).await;
    }

    /// Runs of several items, most of them of one key.
    pub(super) async fn skewed(world: World) {
        const HOT: fn(u64) -> u64 = |index| if index % 5 == 4 { index } else { 0 };
        world.in_order_by(HOT);
        let rarely = Habit { waits: 10, ..READY };
        let job = Pipeline::from_iter(world.items(30))
            .stage(world.body(3, rarely))
            .keyed(|item| HOT(item.index))
            .parallelism(3)
            .window(24)
            .for_each(world.receive());
        world.finish(job).await;
    }

    pub(super) async fn failing(world: World) {
        world.in_order_by(|index| index % 2);
        let (errors, told) = mpsc::channel(16);
        let job = Pipeline::from_iter(world.items(8))
            .buffer(3)
            .stage(world.body(2, FAILS))
            .keyed(by(2))
            .parallelism(2)
            .window(4)
            .for_each(world.receive())
            .errors(errors);
        world.finish(job).await;
        assert_eq!(told.len(), world.failures());
    }

    pub(super) async fn refused(world: World) {
        world.in_order_by(|index| index % 2);
        world.told_later();
        let (errors, mut told) = mpsc::channel(1);
        let refusing = world.clone();
        let key = move |item: &Item| {
            if item.index % 3 == 1 {
                refusing.failed(item);
                panic_quietly();
            }
            item.index % 2
        };
        let job = Pipeline::from_iter(world.items(9))
            .buffer(3)
            .stage(world.body(2, WAITS))
            .keyed(key)
            .parallelism(2)
            .window(4)
            .for_each(world.receive())
            .errors(errors)
            .error_overflow(Overflow::Wait);
        let ear = world.clone();
        let ear = spawn(async move {
            while let Some(error) = told.recv().await {
                ear.told(error.origin().first());
            }
        });
        world.finish(job).await;
        ear.await.expect("it was not aborted");
    }

    pub(super) async fn retried(world: World) {
        world.in_order_by(|index| index % 2);
        world.told_later();
        let (errors, mut told) = mpsc::channel(16);
        let again = Retry::fixed(Duration::from_millis(1))
            .max_retries(2)
            .panics();
        let job = Pipeline::from_iter(world.items(7))
            .buffer(2)
            .stage(world.body(2, FAILS))
            .keyed(by(2))
            .parallelism(2)
            .window(3)
            .retry(again)
            .for_each(world.receive())
            .errors(errors);
        let ear = world.clone();
        let ear = spawn(async move {
            while let Some(error) = told.recv().await {
                ear.told(error.origin().first());
            }
        });
        world.finish(job).await;
        ear.await.expect("it was not aborted");
    }

    pub(super) async fn timed_out(world: World) {
        world.in_order_by(|index| index % 2);
        world.told_later();
        let (errors, mut told) = mpsc::channel(16);
        let job = Pipeline::from_iter(world.items(7))
            .buffer(2)
            .stage(world.body(2, SLOW))
            .keyed(by(2))
            .parallelism(2)
            .window(3)
            .timeout(Duration::from_millis(1))
            .for_each(world.receive())
            .errors(errors);
        let report = world.finish(job).await;
        let mut failed = 0;
        while let Some(error) = told.recv().await {
            world.told(error.origin().first());
            failed += 1;
        }
        assert_eq!(report.items.failed, failed);
    }

    pub(super) async fn blocking(world: World) {
        world.in_order_by(|index| index % 2);
        let job = Pipeline::from_iter(world.items(7))
            .buffer(2)
            .try_blocking(world.blocking_body(2, WAITS))
            .keyed(by(2))
            .parallelism(2)
            .window(3)
            .for_each(world.receive());
        world.finish(job).await;
    }

    /// The order by key goes through two stages.
    pub(super) async fn chained(world: World) {
        world.in_order_by(|index| index % 2);
        let job = Pipeline::from_iter(world.items(7))
            .buffer(2)
            .stage(world.body(2, WAITS))
            .keyed(by(2))
            .parallelism(2)
            .window(2)
            .stage(world.body(2, WAITS))
            .keyed(by(2))
            .parallelism(2)
            .window(2)
            .for_each(world.receive());
        world.finish(job).await;
    }

    pub(super) async fn cancelled(world: World) {
        world.in_order_by(|index| index % 2);
        let job = Pipeline::from_iter(world.items(9))
            .buffer(2)
            .stage(world.body(2, SLOW))
            .keyed(by(2))
            .parallelism(2)
            .window(4)
            .for_each(world.receive());
        let running = world.start(job);
        let control = running.control();
        world.at_an_event(40, move || control.cancel());
        if let Err(error) = world.end(running).await {
            assert!(matches!(error.cause, Cause::Cancelled), "{error:?}");
        }
    }

    pub(super) async fn drained(world: World) {
        world.in_order_by(|index| index % 2);
        let job = Pipeline::from_source(world.spring(9, WAITS))
            .buffer(2)
            .stage(world.body(2, WAITS))
            .keyed(by(2))
            .parallelism(2)
            .window(4)
            .for_each(world.receive());
        let running = world.start(job);
        let control = running.control();
        world.at_an_event(30, move || control.drain(Duration::MAX));
        world
            .end(running)
            .await
            .expect("it is drained, or finishes");
    }

    pub(super) async fn let_go(world: World) {
        let job = Pipeline::from_iter(world.items(9))
            .buffer(2)
            .stage(world.body(2, SLOW))
            .keyed(by(2))
            .parallelism(2)
            .window(4)
            .for_each(world.receive());
        let running = world.start(job);
        let at = crate::explore::lots::one_of(0..=30);
        world.event_number(at).await;
        world.let_go(running).await;
    }
}
