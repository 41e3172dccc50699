//! Steps that branch and come together again.

super::shapes! {
    routes(2000, 2000);
    merged_in_order(2000, 2000);
    /// Never a false alarm, though each way is soon full.
    diamond(3000, 3000);
    nested_diamonds(1000, 1000);
    /// What comes before the longer input ends, and is accounted for.
    shorter_input(3000, 3000);
    stopped_diamond(3000, 3000);
    /// The branch that everything goes to is full, and the other one is waited for.
    stall(1000, 1000);
}

mod play {
    use shuttle::future::spawn;

    use crate::{
        error::Cause,
        explore::{
            body::{Habit, READY, WAITS},
            lots::one_of,
            world::World,
        },
        prelude::*,
        report::Outcome,
    };

    /// They wait, but only for as long as others go on.
    const SLOW: Habit = Habit { turns: 2, ..READY };

    pub(super) async fn routes(world: World) {
        let [a, b, c] = Pipeline::from_iter(world.items(9))
            .buffer(2)
            .route(|item| item.index as usize % 3);
        let a = a.stage(world.body(2, WAITS)).parallelism(2).window(2);
        let b = b.stage(world.body(1, WAITS)).window(1);
        let all = Pipeline::merge_all([a.into_pipeline(), b.into_pipeline(), c]);
        world.finish(all.for_each(world.receive())).await;
    }

    pub(super) async fn merged_in_order(world: World) {
        world.in_order();
        let (a, b) = Pipeline::from_iter(world.items(9))
            .buffer(1)
            .split(|item| item.index % 2 == 0);
        let a = a.stage(world.body(2, WAITS)).parallelism(2).window(2);
        let merged = a.merge_ordered(b, |item| item.index);
        world.finish(merged.for_each(world.receive())).await;
    }

    pub(super) async fn diamond(world: World) {
        world.in_order();
        let [a, b] = Pipeline::from_iter(world.items(8)).buffer(1).broadcast();
        let a = a.stage(world.body(2, SLOW)).parallelism(2).window(2);
        let b = b.stage(world.body(1, SLOW)).window(1);
        let mut receive = world.receive();
        let job = a.zip(b).for_each(move |(a, b)| {
            assert_eq!(a.index, b.index);
            drop(b);
            receive(a);
        });
        world.finish(job).await;
    }

    pub(super) async fn nested_diamonds(world: World) {
        world.in_order();
        let [a, b] = Pipeline::from_iter(world.items(8)).buffer(1).broadcast();
        let (c, d) = b.split(|item| item.index % 3 == 0);
        let c = c.stage(world.body(1, SLOW)).window(1);
        let b = c.merge_ordered(d, |item| item.index);
        let mut receive = world.receive();
        let job = a.zip(b).for_each(move |(a, b)| {
            assert_eq!(a.index, b.index);
            drop(b);
            receive(a);
        });
        world.finish(job).await;
    }

    pub(super) async fn shorter_input(world: World) {
        world.discards();
        let long = Pipeline::from_iter(world.items(20)).buffer(2);
        let long = long.stage(world.body(2, WAITS)).parallelism(2).window(2);
        let puller = world.clone();
        let short = Pipeline::from_iter((100..103).map(move |index| puller.pull(index)));
        let mut receive = world.receive();
        let job = long.zip(short).for_each(move |(long, short)| {
            receive(long);
            receive(short);
        });
        world.finish(job).await;
    }

    pub(super) async fn stopped_diamond(world: World) {
        world.discards();
        let [a, b] = Pipeline::from_iter(world.items(12)).buffer(1).broadcast();
        let a = a.stage(world.body(2, SLOW)).parallelism(2).window(2);
        let mut receive = world.receive();
        let job = a.zip(b).for_each(move |(a, b)| {
            drop(b);
            receive(a);
        });
        let running = world.start(job);
        let control = running.control();
        let ending = one_of(0..=1);
        world.at_an_event(20, move || match ending {
            0 => control.cancel(),
            _ => control.drain(std::time::Duration::MAX),
        });
        let ended = world.end(running).await;
        assert!(
            ended.is_ok() || matches!(ended, Err(error) if matches!(error.cause, Cause::Cancelled))
        );
    }

    pub(super) async fn stall(_: World) {
        let (none, all) = Pipeline::from_iter(0..100).buffer(1).split(|n| *n == 99);
        let all = all.then(async |n| n).parallelism(2).window(2);
        let job = none.merge_ordered(all, |n| *n).count();
        let mut running = job.start().expect("a pipeline that can be started");
        let ended = spawn(async move { running.wait().await })
            .await
            .expect("no panic");
        let error = ended.expect_err("it cannot finish");
        assert_eq!(error.report.outcome, Some(Outcome::Stalled));
        let items = error.report.items;
        assert_eq!(items.taken, items.cancelled);
    }
}
