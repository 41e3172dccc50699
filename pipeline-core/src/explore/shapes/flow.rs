//! Items that pass: order, windows, backpressure, every kind of source, stage and end.

super::shapes! {
    ordered(4000, 4000);
    unordered(4000, 4000);
    one_by_one(3000, 3000);
    wide(3000, 3000);
    chain(2000, 2000);
    long_runs(1000, 1000);
    /// Bodies that hold their threads until an item behind them has begun: the sentry starts a worker.
    hog(2000, 2000);
    filters(3000, 3000);
    blocking(2000, 2000);
    factory(3000, 3000);
    slow_source(3000, 3000);
    slow_sink(3000, 3000);
    channel(3000, 3000);
    stream(3000, 3000);
}

mod play {
    use shuttle::future::spawn;

    use crate::{
        BoxError,
        explore::{
            body::{Habit, READY, WAITS},
            lots::dawdle,
            world::{Item, SENDER, World},
        },
        prelude::*,
        report::Outcome,
    };

    const SLOW: Habit = Habit { turns: 3, ..WAITS };

    pub(super) async fn ordered(world: World) {
        world.in_order();
        let job = Pipeline::from_iter(world.items(8))
            .buffer(2)
            .stage(world.body(2, WAITS))
            .parallelism(2)
            .window(3)
            .for_each(world.receive());
        world.finish(job).await;
    }

    pub(super) async fn unordered(world: World) {
        let job = Pipeline::from_iter(world.items(8))
            .buffer(1)
            .stage(world.body(3, WAITS))
            .parallelism(3)
            .window(3)
            .unordered()
            .for_each(world.receive());
        world.finish(job).await;
    }

    /// No room anywhere.
    pub(super) async fn one_by_one(world: World) {
        world.in_order();
        let job = Pipeline::from_iter(world.items(6))
            .buffer(1)
            .stage(world.body(1, WAITS))
            .window(1)
            .stage(world.body(1, READY))
            .window(1)
            .for_each(world.receive());
        world.finish(job).await;
    }

    /// More finishes behind a slow item than there is room for.
    pub(super) async fn wide(world: World) {
        world.in_order();
        let job = Pipeline::from_iter(world.items(10))
            .buffer(3)
            .stage(world.body(3, SLOW))
            .parallelism(3)
            .window(4)
            .for_each(world.receive());
        world.finish(job).await;
    }

    pub(super) async fn chain(world: World) {
        let job = Pipeline::from_iter(world.items(6))
            .buffer(2)
            .stage(world.body(2, WAITS))
            .parallelism(2)
            .window(2)
            .stage(world.body(3, WAITS))
            .parallelism(3)
            .window(3)
            .unordered()
            .stage(world.body(1, READY))
            .window(1)
            .for_each(world.receive());
        world.finish(job).await;
    }

    /// Items that are ready at once: runs become longer, and are given back where one is not.
    pub(super) async fn long_runs(world: World) {
        world.in_order();
        let rarely = Habit { waits: 5, ..READY };
        let job = Pipeline::from_iter(world.items(40))
            .stage(world.body(3, rarely))
            .parallelism(3)
            .window(16)
            .stage(world.body(2, rarely))
            .parallelism(2)
            .window(8)
            .fold(0, world.count());
        assert_eq!(world.finish(job).await.value, 40);
    }

    pub(super) async fn hog(world: World) {
        world.in_order();
        let seen = world.clone();
        let (sender, items) = Pipeline::channel(3);
        // Two of two threads, and the third item is the one that the other two wait for. A run is of one
        // item, as the window is so small.
        let job = items
            .map(move |item: Item| {
                seen.begun(item.index);
                while item.index % 3 < 2 && !seen.has_begun(item.index / 3 * 3 + 2) {
                    shuttle::thread::yield_now();
                }
                item
            })
            .parallelism(3)
            .window(7)
            .for_each(world.receive());
        let waves = world.clone();
        let sender = spawn(async move {
            for index in 0..6 {
                if index == 3 {
                    // the sentry is about to go home
                    dawdle(500).await;
                }
                let permit = sender.reserve().await.expect("nobody ends the run");
                permit.send(waves.accepted(index));
            }
        });
        world.finish(job).await;
        sender.await.expect("it was not aborted");
    }

    pub(super) async fn filters(world: World) {
        world.in_order();
        let job = Pipeline::from_iter(world.items(9))
            .buffer(2)
            .filter(world.keep(|index| index % 4 != 0))
            .stage(world.body(2, WAITS))
            .parallelism(2)
            .window(2)
            .filter(world.keep(|index| index % 3 != 0))
            .inspect(|_| {})
            .for_each(world.receive());
        let items = world.finish(job).await.items;
        assert_eq!((items.delivered, items.filtered), (4, 5));
    }

    pub(super) async fn blocking(world: World) {
        world.in_order();
        let job = Pipeline::from_iter(world.items(6))
            .buffer(2)
            .try_blocking(world.blocking_body(2, WAITS))
            .parallelism(2)
            .window(2)
            .stage(world.body(2, WAITS))
            .parallelism(2)
            .window(2)
            .for_each(world.receive());
        world.finish(job).await;
    }

    /// Each worker's state is made by a function that waits.
    pub(super) async fn factory(world: World) {
        world.in_order();
        let original = world.body(2, WAITS);
        let job = Pipeline::from_iter(world.items(6))
            .buffer(2)
            .stage_with(move || {
                let made = original.clone();
                async move {
                    dawdle(3).await;
                    Ok::<_, BoxError>(made)
                }
            })
            .parallelism(2)
            .window(3)
            .for_each(world.receive());
        world.finish(job).await;
    }

    pub(super) async fn slow_source(world: World) {
        world.in_order();
        let job = Pipeline::from_source(world.spring(6, SLOW))
            .buffer(3)
            .stage(world.body(2, READY))
            .parallelism(2)
            .window(2)
            .for_each(world.receive());
        world.finish(job).await;
    }

    pub(super) async fn slow_sink(world: World) {
        world.in_order();
        let job = Pipeline::from_iter(world.items(10))
            .buffer(2)
            .stage(world.body(2, READY))
            .parallelism(2)
            .window(2)
            .sink(world.basin(SLOW));
        world.finish(job).await;
    }

    pub(super) async fn channel(world: World) {
        world.in_order();
        let (sender, items) = Pipeline::channel(1);
        let job = items
            .stage(world.body(2, WAITS))
            .parallelism(2)
            .window(2)
            .for_each(world.receive());
        let senders = [0, 1].map(|number| {
            let (world, sender) = (world.clone(), sender.clone());
            spawn(async move {
                for index in 0..3 {
                    dawdle(1).await;
                    let permit = sender.reserve().await.expect("nobody ends the run");
                    permit.send(world.accepted(number * SENDER + index));
                }
            })
        });
        drop(sender);
        world.finish(job).await;
        for sender in senders {
            sender.await.expect("it was not aborted");
        }
    }

    /// The end is another task's.
    pub(super) async fn stream(world: World) {
        world.in_order();
        let job = Pipeline::from_iter(world.items(8))
            .buffer(2)
            .stage(world.body(2, WAITS))
            .parallelism(2)
            .window(3)
            .into_stream();
        let reader = spawn(world.clone().read(world.start(job)));
        let result = reader.await.expect("it was not aborted");
        assert_eq!(
            result.expect("it finishes").outcome,
            Some(Outcome::Finished)
        );
    }
}
