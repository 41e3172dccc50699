//! Operators of one input: batches, expansions, delays, a pace, and who is told to stop while they hold items.

super::shapes! {
    batches(3000, 3000);
    batches_between_stages(3000, 3000);
    batches_by_key(3000, 3000);
    batches_cancelled(3000, 3000);
    expansions(3000, 3000);
    /// Full steps on both sides.
    delays(3000, 3000);
    paces(2000, 2000);
    cancelled(3000, 3000);
    drained(3000, 3000);
    let_go(2000, 2000);
}

mod play {
    use std::time::Duration;

    use crate::{
        config::Rate,
        error::Cause,
        explore::{
            body::{Habit, WAITS},
            lots::one_of,
            world::{Item, World},
        },
        prelude::*,
        run::Job,
    };

    /// What comes first is decided by lot, however long it is.
    const TIME: Duration = Duration::from_millis(1);

    const SLOW: Habit = Habit { turns: 3, ..WAITS };

    pub(super) async fn batches(world: World) {
        world.in_order();
        let job = Pipeline::from_iter(world.items(9))
            .buffer(2)
            .batch(3, TIME)
            .flatten()
            .for_each(world.receive());
        world.finish(job).await;
    }

    pub(super) async fn batches_between_stages(world: World) {
        world.in_order();
        let job = Pipeline::from_source(world.spring(8, WAITS))
            .buffer(2)
            .stage(world.body(2, WAITS))
            .parallelism(2)
            .window(3)
            .batch(2, TIME)
            .flatten()
            .stage(world.body(2, WAITS))
            .parallelism(2)
            .window(2)
            .for_each(world.receive());
        world.finish(job).await;
    }

    pub(super) async fn batches_by_key(world: World) {
        world.in_order_by(|index| index % 2);
        let job = Pipeline::from_source(world.spring(8, WAITS))
            .buffer(2)
            .batch_by(|item: &Item| item.index % 2, 2, TIME)
            .flatten()
            .for_each(world.receive());
        world.finish(job).await;
    }

    pub(super) async fn expansions(world: World) {
        world.in_order();
        let job = Pipeline::from_iter(world.items(8))
            .buffer(2)
            .stage(world.body(2, WAITS))
            .parallelism(2)
            .window(2)
            .flat_map(|item| [item])
            .stage(world.body(2, WAITS))
            .parallelism(2)
            .window(2)
            .for_each(world.receive());
        world.finish(job).await;
    }

    fn delayed(world: &World) -> Job {
        Pipeline::from_source(world.spring(8, WAITS))
            .buffer(2)
            .stage(world.body(2, SLOW))
            .parallelism(2)
            .window(2)
            .delay(TIME, 2)
            .stage(world.body(1, WAITS))
            .window(1)
            .for_each(world.receive())
    }

    pub(super) async fn delays(world: World) {
        world.in_order();
        let job = delayed(&world);
        world.finish(job).await;
    }

    pub(super) async fn paces(world: World) {
        world.in_order();
        let job = Pipeline::from_iter(world.items(6))
            .buffer(2)
            .throttle(Rate::new(2, TIME).burst(2))
            .stage(world.body(2, WAITS))
            .parallelism(2)
            .window(2)
            .for_each(world.receive());
        world.finish(job).await;
    }

    /// All of a batch is delivered, or all of it is cancelled.
    pub(super) async fn batches_cancelled(world: World) {
        world.in_order();
        let mut receive = world.receive();
        let job = Pipeline::from_source(world.spring(8, WAITS))
            .buffer(2)
            .stage(world.body(2, WAITS))
            .parallelism(2)
            .window(2)
            .batch(3, TIME)
            .for_each(move |batch| batch.into_iter().for_each(&mut receive));
        let running = world.start(job);
        let control = running.control();
        world.at_an_event(40, move || control.cancel());
        if let Err(error) = world.end(running).await {
            assert!(matches!(error.cause, Cause::Cancelled), "{error:?}");
        }
    }

    pub(super) async fn cancelled(world: World) {
        world.in_order();
        let running = world.start(delayed(&world));
        let control = running.control();
        world.at_an_event(60, move || control.cancel());
        if let Err(error) = world.end(running).await {
            assert!(matches!(error.cause, Cause::Cancelled), "{error:?}");
        }
    }

    pub(super) async fn drained(world: World) {
        world.in_order();
        let running = world.start(delayed(&world));
        let control = running.control();
        world.at_an_event(40, move || control.drain(Duration::MAX));
        match world.end(running).await {
            Ok(_) => {}
            // time has no order here
            Err(error) => assert!(matches!(error.cause, Cause::DeadlinePassed(_)), "{error:?}"),
        }
    }

    pub(super) async fn let_go(world: World) {
        let running = world.start(delayed(&world));
        world.event_number(one_of(0..=40)).await;
        world.let_go(running).await;
    }
}
