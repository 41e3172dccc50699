//! Runs that are stopped: cancel, drain and drop, at any event.

super::shapes! {
    cancel(4000, 4000);
    /// By a body of the run itself.
    cancel_from_inside(3000, 3000);
    cancel_by_token(2000, 2000);
    cancel_blocking(2000, 2000);
    /// While workers wait for room in an error channel that nobody reads.
    cancel_full_channel(2000, 2000);
    cancel_factory(2000, 2000);
    cancel_stream(2000, 2000);
    drain(4000, 4000);
    drain_channel(4000, 4000);
    drop_running(4000, 4000);
    drop_stream(2000, 2000);
    wait_for_stream(2000, 2000);
    /// Cancel, drain, looks and a drop, in any order.
    all_at_once(4000, 4000);
    /// A source, a stage and a sink that never come to the end of closing.
    endless_close(1000, 1000);
    endless_close_stream(1000, 1000);
}

mod play {
    use std::{
        future::pending,
        sync::{Arc, OnceLock},
        time::Duration,
    };

    use shuttle::future::spawn;
    use tokio::sync::mpsc;
    use tokio_stream::StreamExt;
    use tokio_util::sync::CancellationToken;

    use crate::{
        BoxError, Running, Sink, Source, Stage,
        error::{Cause, Overflow},
        explore::{
            body::{FAILS, Habit, READY, WAITS},
            lots::{dawdle, in_hundred, one_of},
            world::{Item, SENDER, World},
        },
        prelude::*,
        report::Outcome,
        run::Control,
    };

    const FAILS_OFTEN: Habit = Habit { fails: 60, ..WAITS };

    /// Two stages, a source and a sink that wait.
    fn usual(world: &World, habit: Habit) -> Job {
        Pipeline::from_source(world.spring(8, WAITS))
            .buffer(2)
            .stage(world.body(2, habit))
            .parallelism(2)
            .window(3)
            .stage(world.body(2, habit))
            .parallelism(2)
            .window(2)
            .unordered()
            .sink(world.basin(WAITS))
            .on_error(OnError::Continue)
    }

    fn expect_stopped(cause: Option<&Cause>) {
        match cause {
            None | Some(Cause::Cancelled) => {}
            Some(cause) => panic!("{cause:?}"),
        }
    }

    async fn end<R: Send + 'static>(world: &World, running: Running<R>) {
        let result = world.end(running).await;
        expect_stopped(result.err().map(|error| error.cause).as_ref());
    }

    pub(super) async fn cancel(world: World) {
        let running = world.start(usual(&world, FAILS));
        let control = running.control();
        world.at_an_event(80, move || control.cancel());
        end(&world, running).await;
    }

    pub(super) async fn cancel_from_inside(world: World) {
        let control: Arc<OnceLock<Control>> = Arc::default();
        let (inside, at) = (Arc::clone(&control), one_of(0..=7));
        let job = Pipeline::from_iter(world.items(8))
            .buffer(2)
            .stage(world.body(2, WAITS))
            .parallelism(2)
            .window(3)
            .inspect(move |item| {
                if item.index == at
                    && let Some(control) = inside.get()
                {
                    control.cancel();
                }
            })
            .stage(world.body(2, WAITS))
            .parallelism(2)
            .window(2)
            .for_each(world.receive());
        let running = world.start(job);
        // a control in its own run would keep it for ever
        let _ = control.set(running.control());
        end(&world, running).await;
    }

    pub(super) async fn cancel_by_token(world: World) {
        let token = CancellationToken::new();
        let job = usual(&world, READY).cancel_on(&token);
        world.at_an_event(60, move || token.cancel());
        end(&world, world.start(job)).await;
    }

    pub(super) async fn cancel_blocking(world: World) {
        let job = Pipeline::from_iter(world.items(8))
            .buffer(2)
            .try_blocking(world.blocking_body(2, WAITS))
            .parallelism(2)
            .window(2)
            .stage(world.body(2, WAITS))
            .parallelism(2)
            .window(2)
            .for_each(world.receive());
        let running = world.start(job);
        let control = running.control();
        world.at_an_event(40, move || control.cancel());
        end(&world, running).await;
    }

    pub(super) async fn cancel_full_channel(world: World) {
        let (errors, told) = mpsc::channel(1);
        let job = Pipeline::from_iter(world.items(8))
            .buffer(2)
            .stage(world.body(2, FAILS_OFTEN))
            .parallelism(2)
            .window(2)
            .for_each(world.receive())
            .errors(errors)
            .error_overflow(Overflow::Wait);
        let running = world.start(job);
        let control = running.control();
        let turns = one_of(0..=60);
        drop(spawn(async move {
            // by turns, because there may be no event any more
            dawdle(turns).await;
            control.cancel();
        }));
        end(&world, running).await;
        drop(told);
    }

    pub(super) async fn cancel_factory(world: World) {
        let original = world.body(2, FAILS);
        let job = Pipeline::from_iter(world.items(6))
            .buffer(2)
            .stage_with(move || {
                let made = original.clone();
                async move {
                    dawdle(4).await;
                    Ok::<_, BoxError>(made)
                }
            })
            .parallelism(2)
            .window(2)
            .for_each(world.receive())
            .on_error(OnError::Continue);
        let running = world.start(job);
        let control = running.control();
        let turns = one_of(0..=60);
        drop(spawn(async move {
            dawdle(turns).await;
            control.cancel();
        }));
        end(&world, running).await;
    }

    pub(super) async fn cancel_stream(world: World) {
        world.in_order();
        let job = Pipeline::from_source(world.spring(8, WAITS))
            .buffer(2)
            .stage(world.body(2, WAITS))
            .parallelism(2)
            .window(2)
            .into_stream();
        let running = world.start(job);
        let control = running.control();
        world.at_an_event(50, move || control.cancel());
        let reader = spawn(world.clone().read(running));
        let result = reader.await.expect("it was not aborted");
        expect_stopped(result.err().map(|error| error.cause).as_ref());
    }

    pub(super) async fn drain(world: World) {
        let running = world.start(usual(&world, FAILS));
        let control = running.control();
        let limit = if in_hundred(80) {
            Duration::MAX
        } else {
            Duration::ZERO
        };
        world.at_an_event(80, move || control.drain(limit));
        let result = world.end(running).await;
        match result.map_err(|error| error.cause) {
            Ok(report) => assert!(matches!(
                report.outcome,
                Some(Outcome::Drained | Outcome::Finished)
            )),
            Err(Cause::DeadlinePassed(passed)) => assert_eq!(passed, limit),
            Err(cause) => panic!("{cause:?}"),
        }
    }

    pub(super) async fn drain_channel(world: World) {
        world.in_order();
        let (sender, items) = Pipeline::channel(2);
        let job = items
            .stage(world.body(2, WAITS))
            .parallelism(2)
            .window(2)
            .for_each(world.receive());
        let running = world.start(job);
        for number in 0..2 {
            let (world, sender) = (world.clone(), sender.clone());
            drop(spawn(async move {
                for index in 0.. {
                    dawdle(1).await;
                    let Ok(permit) = sender.reserve().await else {
                        break;
                    };
                    permit.send(world.accepted(number * SENDER + index));
                }
            }));
        }
        drop(sender);
        let control = running.control();
        world.at_an_event(40, move || control.drain(Duration::MAX));
        let result = world.end(running).await;
        match result.map_err(|error| error.cause) {
            Ok(report) => assert_eq!(report.outcome, Some(Outcome::Drained)),
            Err(Cause::DeadlinePassed(_)) => {}
            Err(cause) => panic!("{cause:?}"),
        }
    }

    pub(super) async fn drop_running(world: World) {
        let running = world.start(usual(&world, FAILS));
        world.event_number(one_of(0..=80)).await;
        world.let_go(running).await;
    }

    pub(super) async fn drop_stream(world: World) {
        let job = Pipeline::from_iter(world.items(8))
            .buffer(2)
            .stage(world.body(2, WAITS))
            .parallelism(2)
            .window(2)
            .into_stream();
        let mut running = world.start(job);
        for _ in 0..one_of(0..=7) {
            let item = running.next().await.expect("eight items");
            world.received(item.expect("the run goes on"));
        }
        dawdle(20).await;
        world.let_go(running).await;
    }

    /// What was not read is dropped as it comes.
    pub(super) async fn wait_for_stream(world: World) {
        world.in_order();
        world.discards();
        let job = Pipeline::from_iter(world.items(8))
            .buffer(2)
            .stage(world.body(2, WAITS))
            .parallelism(2)
            .window(2)
            .into_stream();
        let mut running = world.start(job);
        for _ in 0..one_of(0..=7) {
            let item = running.next().await.expect("eight items");
            world.received(item.expect("the run goes on"));
        }
        world.end(running).await.expect("it finishes");
    }

    pub(super) async fn all_at_once(world: World) {
        let running = world.start(usual(&world, FAILS));
        let (one, two, three) = (running.control(), running.control(), running.control());
        world.at_an_event(80, move || one.cancel());
        world.at_an_event(80, move || two.drain(Duration::MAX));
        world.at_an_event(80, move || {
            let now = three.metrics();
            let ended =
                now.items.delivered + now.items.failed + now.items.filtered + now.items.cancelled;
            assert!(ended <= now.items.taken, "{now:?}");
        });
        if in_hundred(50) {
            world.event_number(one_of(0..=80)).await;
            world.let_go(running).await;
            return;
        }
        let result = world.end(running).await;
        match result.map_err(|error| error.cause) {
            Err(Cause::DeadlinePassed(_)) => {}
            result => expect_stopped(result.err().as_ref()),
        }
    }

    /// Closes for ever.
    #[derive(Clone)]
    struct Endless(World, u64);

    impl Source for Endless {
        type Item = Item;
        type Error = BoxError;

        async fn next(&mut self) -> Result<Option<Item>, BoxError> {
            let Some(left) = self.1.checked_sub(1) else {
                return Ok(None);
            };
            self.1 = left;
            Ok(Some(self.0.pull_next()))
        }

        async fn close(self) -> Result<(), BoxError> {
            pending().await
        }
    }

    impl Stage<Item, Item> for Endless {
        type Error = BoxError;

        async fn process(&mut self, item: Item) -> Result<Item, BoxError> {
            dawdle(1).await;
            Ok(item)
        }

        async fn close(self) -> Result<(), BoxError> {
            pending().await
        }
    }

    impl Sink<Item> for Endless {
        type Error = BoxError;

        async fn write(&mut self, items: &mut Vec<Item>) -> Result<(), BoxError> {
            items.drain(..).for_each(|item| self.0.received(item));
            Ok(())
        }

        async fn close(self) -> Result<(), BoxError> {
            pending().await
        }
    }

    fn took_too_long(cause: &Cause) -> bool {
        match cause {
            Cause::Stage(_, error) | Cause::Source(error) | Cause::Sink(error) => {
                error.to_string() == "it took too long to close"
            }
            _ => false,
        }
    }

    pub(super) async fn endless_close(world: World) {
        world.may_not_close();
        let source = in_hundred(50);
        let job = if source {
            Pipeline::from_source(Endless(world.clone(), 4)).into_pipeline()
        } else {
            Pipeline::from_iter(world.items(4)).into_pipeline()
        };
        let job = job
            .stage(Endless(world.clone(), 0))
            .parallelism(2)
            .stage(world.body(2, READY))
            .parallelism(2);
        let job = if in_hundred(50) {
            job.sink(Endless(world.clone(), 0))
        } else {
            job.for_each(world.receive())
        };
        let running = world.start(job);
        let control = running.control();
        world.at_an_event(40, move || control.cancel());
        let result = world.end(running).await;
        let cause = result.err().map(|error| error.cause);
        let expected = cause
            .as_ref()
            .is_none_or(|cause| took_too_long(cause) || matches!(cause, Cause::Cancelled));
        assert!(expected, "{cause:?}");
    }

    pub(super) async fn endless_close_stream(world: World) {
        world.may_not_close();
        let job = Pipeline::from_source(Endless(world.clone(), 4))
            .stage(world.body(2, READY))
            .parallelism(2)
            .into_stream();
        let result = world.clone().read(world.start(job)).await;
        let cause = result.err().map(|error| error.cause);
        assert!(cause.as_ref().is_some_and(took_too_long), "{cause:?}");
    }
}
