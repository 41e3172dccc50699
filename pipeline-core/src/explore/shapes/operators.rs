//! Steps that change the shape of the flow, and what ends when one of them has enough.

super::shapes! {
    /// By number, weight and key; ages are over by lot.
    batches(2000, 2000);
    expansions(2000, 2000);
    throttled(2000, 2000);
    adaptor(2000, 2000);
    /// An adaptor that ends early, behind a source and stages that wait.
    enough(4000, 4000);
    /// Behind operators.
    enough_operators(2000, 2000);
    /// Behind a pause between two attempts, and a state that is being made.
    enough_waiting(2000, 2000);
    /// An adaptor whose items are read by another task, which ends later.
    elsewhere(2000, 2000);
    /// A cancel at any event.
    cancelled(3000, 3000);
}

mod play {
    use std::time::Duration;

    use shuttle::future::spawn;
    use tokio::sync::mpsc;
    use tokio_stream::StreamExt;

    use crate::{
        BoxError,
        error::Cause,
        explore::{
            body::{FAILS, WAITS},
            lots::{dawdle, one_of},
            world::{Item, World},
        },
        prelude::*,
    };

    const AGE: Duration = Duration::from_secs(1);

    /// Takes batches apart.
    fn receive(world: &World) -> impl FnMut(Vec<Item>) + Send + 'static {
        let mut receive = world.receive();
        move |batch| batch.into_iter().for_each(&mut receive)
    }

    pub(super) async fn batches(world: World) {
        let job = Pipeline::from_source(world.spring(8, WAITS))
            .buffer(2)
            .batch(3, AGE)
            .flatten()
            .stage(world.body(2, WAITS))
            .parallelism(2)
            .window(2)
            .batch_by(|item| item.index % 2, 2, AGE)
            .flatten()
            .batch_weighted(3, AGE, |item| item.index as usize % 4)
            .for_each(receive(&world));
        world.finish(job).await;
    }

    pub(super) async fn expansions(world: World) {
        world.in_order();
        let job = Pipeline::from_iter(world.items(8))
            .flat_map(|item| [item])
            .stage(world.body(2, WAITS))
            .parallelism(2)
            .window(2)
            .flat_map_stream(|item| {
                let mut item = Some(item);
                tokio_stream::iter(std::iter::from_fn(move || item.take()))
            })
            .for_each(world.receive());
        world.finish(job).await;
    }

    pub(super) async fn throttled(world: World) {
        world.in_order();
        let job = Pipeline::from_source(world.spring(8, WAITS))
            .throttle(Rate::per_second(1).burst(2))
            .stage(world.body(2, WAITS))
            .parallelism(2)
            .window(2)
            .for_each(world.receive());
        world.finish(job).await;
    }

    pub(super) async fn adaptor(world: World) {
        world.renumbers();
        world.in_order();
        let job = Pipeline::from_source(world.spring(8, WAITS))
            .through(|items| items.map(|item| item))
            .stage(world.body(2, WAITS))
            .parallelism(2)
            .through(|items| items.skip(1))
            .for_each(world.receive());
        world.finish(job).await;
    }

    pub(super) async fn enough(world: World) {
        world.renumbers();
        let takes = one_of(0..=4) as usize;
        let job = Pipeline::from_source(world.spring(20, WAITS))
            .buffer(2)
            .stage(world.body(2, WAITS))
            .parallelism(2)
            .window(3)
            .stage(world.body(3, WAITS))
            .parallelism(3)
            .window(3)
            .unordered()
            .through(move |items| items.take(takes))
            .for_each(world.receive());
        world.finish(job).await;
    }

    pub(super) async fn enough_operators(world: World) {
        world.renumbers();
        let (even, odd) = Pipeline::from_iter(world.items(20))
            .buffer(2)
            .batch(2, AGE)
            .flatten()
            .split(|item| item.index % 2 == 0);
        let even = even.stage(world.body(2, WAITS)).parallelism(2);
        let even = even.through(|items| items.take(2));
        let odd = odd.throttle(Rate::per_second(1)).through(|items| items);
        let job = even
            .for_each(world.receive())
            .join(odd.through(|items| items.take(1)).for_each(world.receive()));
        world.finish(job).await;
    }

    pub(super) async fn enough_waiting(world: World) {
        world.renumbers();
        world.told_later();
        let body = world.body(2, WAITS);
        let job = Pipeline::from_iter(world.items(10))
            .buffer(2)
            .stage(world.body(2, FAILS))
            .parallelism(2)
            .window(2)
            .retry(Retry::fixed(AGE).max_retries(2))
            .stage_with(move || {
                let body = body.clone();
                async move {
                    dawdle(2).await;
                    Ok::<_, BoxError>(body)
                }
            })
            .parallelism(2)
            .through(|items| items.take(2))
            .for_each(world.receive())
            .on_error(OnError::Continue);
        world.finish(job).await;
    }

    pub(super) async fn elsewhere(world: World) {
        world.renumbers();
        let takes = one_of(0..=6) as usize;
        let job = Pipeline::from_iter(world.items(6))
            .buffer(2)
            .through(move |mut items| {
                let (sender, receiver) = mpsc::channel(2);
                drop(spawn(async move {
                    while let Some(item) = items.next().await {
                        if sender.send(item).await.is_err() {
                            break;
                        }
                    }
                    drop(items.next().await);
                }));
                tokio_stream::wrappers::ReceiverStream::new(receiver).take(takes)
            })
            .for_each(world.receive());
        // what the other task holds at the end is not the engine's
        let mut running = world.start(job);
        let items = running.wait().await.expect("a run that finishes").items;
        assert_eq!(items.taken, items.delivered + items.cancelled);
        drop(running);
        world.empty().await;
    }

    pub(super) async fn cancelled(world: World) {
        world.renumbers();
        let job = Pipeline::from_source(world.spring(12, WAITS))
            .buffer(2)
            .batch(3, AGE)
            .flatten()
            .stage(world.body(2, WAITS))
            .parallelism(2)
            .through(|items| items)
            .batch_by(|item| item.index % 3, 2, AGE)
            .for_each(receive(&world));
        let running = world.start(job);
        let control = running.control();
        world.at_an_event(20, move || control.cancel());
        if let Err(error) = world.end(running).await {
            assert!(matches!(error.cause, Cause::Cancelled));
        }
    }
}
