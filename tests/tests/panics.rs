//! Panics of user code: each is the failure of one item, and nothing more.

use std::error::Error;
use std::panic::panic_any;
use std::pin::Pin;
use std::task::{Context, Poll};

use pipeline_core::error::{BoxError, Cause, ErrorKind, Panicked};
use pipeline_core::prelude::*;
use tests::prelude::*;
use tests::tally::Class;
use tokio::sync::mpsc;
use tokio::task::yield_now;

/// Panics with item 50, with a payload of the kind that was asked for.
fn explode(payload: usize) {
    match payload {
        0 => panic!("a str"),
        1 => panic!("a String, {}", "formatted"),
        _ => panic_any(vec![1, 2, 3]),
    }
}

/// Scenario 52: a panic is the failure of its item, with its text if it has one; the others do not notice.
#[test]
fn a_panic_fails_its_item_only() {
    scenario("52").on(ALL).in_both_orders().run(async |world| {
        for payload in 0..3 {
            let flow = world.flow();
            let (errors, failures) = mpsc::channel(16);
            let body = flow.body(8, move |item| async move {
                yield_now().await;
                if item.index == 50 {
                    explode(payload);
                }
                Ok(item)
            });
            let job = Pipeline::from_iter(flow.items(0..100))
                .stage(body)
                .name("explode")
                .parallelism(8)
                .in_order(world.order())
                .for_each(flow.receive())
                .errors(errors);
            let report = flow.run(job).await.unwrap();
            flow.expect((0..50).chain(51..100));
            let panics: u64 = report.stages.iter().map(|stage| stage.panics).sum();
            assert_eq!(panics, 1);

            let error = only_error(failures).await;
            assert_eq!(error.kind(), ErrorKind::Panicked);
            assert_eq!((error.stage(), error.origin().first()), ("explode", 50));
            let text = error.source().unwrap().to_string();
            match payload {
                0 => assert!(text.contains("a str"), "{text}"),
                1 => assert!(text.contains("a String, formatted"), "{text}"),
                _ => assert!(error.downcast_ref::<Panicked>().is_some()),
            }
        }
    });
}

/// Scenario 52: without an error channel the panic ends the run, and `run` returns it.
#[test]
fn a_panic_ends_the_run_by_default() {
    scenario("52, fail fast")
        .on(ALL)
        .in_both_orders()
        .run(async |world| {
            let flow = world.flow();
            let body = flow.body(8, |item| async move {
                assert_ne!(item.index, 50, "not this one");
                Ok(item)
            });
            let job = Pipeline::from_iter(flow.items(0..u64::MAX))
                .stage(body)
                .parallelism(8)
                .in_order(world.order())
                .for_each(flow.receive());
            let error = flow.run(job).await.unwrap_err();
            let Cause::Item(failure) = &error.cause else {
                panic!("{:?}", error.cause)
            };
            assert_eq!(failure.kind(), ErrorKind::Panicked);
            assert_eq!(failure.origin().first(), 50);
            let text = failure.downcast_ref::<Panicked>().unwrap().message();
            assert!(text.contains("not this one"), "{text}");
        });
}

/// Scenario 56: when the consumer panics, those who send into the pipeline are told, and wait no longer.
#[test]
fn a_panic_of_the_consumer_frees_the_senders() {
    scenario("56").on(ALL).run(async |world| {
        let flow = world.flow();
        let (sender, source) = Pipeline::channel(1);
        let job = source
            .stage(flow.pass(1))
            .window(1)
            .for_each(|item: Item| panic!("no appetite for item {}", item.index));
        let mut run = flow.start(job).unwrap();
        let items = flow.clone();
        let sending = tokio::spawn(async move {
            for index in 0..101 {
                if let Err(back) = sender.send(items.item(index)).await {
                    return Some(back.0.index);
                }
            }
            None
        });
        let Cause::Sink(source) = cause(run.wait().await) else {
            panic!("it was not the sink")
        };
        let text = source.downcast_ref::<Panicked>().unwrap().message();
        assert!(text.contains("no appetite for item 0"), "{text}");
        assert!(sending.await.unwrap().is_some());
    });
}

/// Scenario 60: a panic in one stage is named after it, and does not touch the stages round it.
#[test]
fn a_panic_in_the_middle_stage_leaves_the_others_alone() {
    scenario("60").on(ALL).in_both_orders().run(async |world| {
        let flow = world.flow();
        let (errors, failures) = mpsc::channel(16);
        let (first, last) = (flow.pass(2), flow.pass(2));
        let (before, after) = (first.gauge(), last.gauge());
        let middle = flow.body(2, |item| async move {
            assert_ne!(item.index, 7, "not this one");
            Ok(item)
        });
        let job = Pipeline::from_iter(flow.items(0..20))
            .stage(first)
            .name("first")
            .parallelism(2)
            .in_order(world.order())
            .stage(middle)
            .name("middle")
            .parallelism(2)
            .in_order(world.order())
            .stage(last)
            .name("last")
            .parallelism(2)
            .in_order(world.order())
            .for_each(flow.receive())
            .errors(errors);
        flow.run(job).await.unwrap();
        flow.expect((0..7).chain(8..20));
        assert_eq!((before.count(), after.count()), (20, 19));
        assert_eq!(only_error(failures).await.stage(), "middle");
    });
}

/// A panic in a fused function names the stage in whose workers it ran, and the function.
#[test]
fn a_panic_in_a_fused_function_names_both() {
    scenario("fused panic")
        .on(ALL)
        .in_both_orders()
        .run(async |world| {
            let flow = world.flow();
            let (errors, failures) = mpsc::channel(16);
            let job = Pipeline::from_iter(0..20u64)
                .then(std::future::ready)
                .name("decode")
                .parallelism(4)
                .in_order(world.order())
                .filter(|n| {
                    assert_ne!(*n, 7, "not this one");
                    *n != 9
                })
                .count()
                .errors(errors);
            let report = flow.run_failing(job, [7]).await.unwrap();
            assert_eq!(report.value, 18);
            assert_eq!((report.items.failed, report.items.filtered), (1, 1));
            let error = only_error(failures).await;
            assert_eq!(error.stage(), "decode+filter");
            assert_eq!(error.kind(), ErrorKind::Panicked);
            assert_eq!(error.origin().first(), 7);
        });
}

/// Workers go on after a panic: as many as before can meet afterwards.
#[test]
fn no_permit_is_lost_by_panics() {
    scenario("permits after panics")
        .on(ALL)
        .in_both_orders()
        .run(async |world| {
            let flow = world.flow();
            let (errors, mut failures) = mpsc::channel(1_000);
            let barrier = std::sync::Arc::new(tokio::sync::Barrier::new(8));
            let body = flow.body_with(8, barrier, |item, barrier| async move {
                assert!(item.index >= 200, "one of the first");
                barrier.wait().await;
                Ok(item)
            });
            let job = Pipeline::from_iter(flow.items(0..208))
                .stage(body)
                .parallelism(8)
                .in_order(world.order())
                .for_each(flow.receive())
                .errors(errors);
            flow.run(job).await.unwrap();
            flow.expect(200..208);
            failures.close();
            assert_eq!(failures.len(), 200);
        });
}

/// A future that panics when it is dropped. Its item is ready at once, or never.
struct Grenade {
    item: Option<Item>,
    ready: bool,
}

impl Future for Grenade {
    type Output = Result<Item, Fault>;

    fn poll(mut self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<Self::Output> {
        if !self.ready {
            return Poll::Pending;
        }
        Poll::Ready(Ok(self.item.take().expect("polled once")))
    }
}

impl Drop for Grenade {
    fn drop(&mut self) {
        panic!("in the destructor of a future");
    }
}

/// A future that panics when it is dropped, after it has given its value, fails its item.
#[test]
fn a_future_that_panics_when_dropped_fails_its_item() {
    scenario("panic in a future's drop")
        .on(ALL)
        .in_both_orders()
        .run(async |world| {
            let flow = world.flow();
            let (errors, failures) = mpsc::channel(16);
            let job = Pipeline::from_iter(flow.items(0..1))
                .and_then(|item| Grenade {
                    item: Some(item),
                    ready: true,
                })
                .parallelism(4)
                .in_order(world.order())
                .for_each(flow.receive())
                .errors(errors);
            flow.run_failing(job, [0]).await.unwrap();
            flow.expect([]);
            assert_eq!(only_error(failures).await.kind(), ErrorKind::Panicked);
        });
}

/// Futures that panic when they are dropped by a cancel change nothing.
#[test]
fn futures_that_panic_when_a_cancel_drops_them_are_contained() {
    scenario("panics in a cancel")
        .on(ALL)
        .in_both_orders()
        .run(async |world| {
            let flow = world.flow();
            let job = Pipeline::from_iter(flow.items(0..100))
                .and_then(|item| Grenade {
                    item: Some(item),
                    ready: false,
                })
                .parallelism(4)
                .in_order(world.order())
                .for_each(flow.receive());
            let mut run = flow.start(job).unwrap();
            world.settled(|| flow.pulled()).await;
            run.control().cancel();
            let error = run.wait().await.unwrap_err();
            assert!(matches!(error.cause, Cause::Cancelled));
        });
}

/// An item that panics when it is dropped.
struct Mine(
    #[expect(dead_code, reason = "it is there to be dropped")] Item,
    bool,
);

impl Drop for Mine {
    fn drop(&mut self) {
        assert!(!self.1, "in the destructor of an item");
    }
}

/// Items that panic when they are dropped do not keep others from being released.
#[test]
fn items_that_panic_when_a_cancel_drops_them_are_contained() {
    scenario("panics of items")
        .on(ALL)
        .in_both_orders()
        .run(async |world| {
            let (flow, gates) = (world.flow(), Gates::new());
            let shut = gates.clone();
            let job = Pipeline::from_iter(flow.items(0..100))
                .buffer(10)
                .map(|item| {
                    let bad = item.index % 3 == 0;
                    (item.index, Mine(item, bad))
                })
                .then(move |(index, mine)| {
                    let shut = shut.clone();
                    async move {
                        shut.pass(index).await;
                        mine
                    }
                })
                .parallelism(4)
                .window(8)
                .in_order(world.order())
                .for_each(drop);
            let mut run = flow.start(job).unwrap();
            for index in 1..3 {
                gates.open(index);
            }
            world.settled(|| flow.tally().alive(Class::Item)).await;
            run.control().cancel();
            run.wait().await.unwrap_err();
            // whether item 0 came out depends on the order; that nothing is left is a standing check
            assert!(flow.tally().made(Class::Item) > 8);
        });
}

/// What a failed run has collected is dropped by `wait`, whose outcome comes all the same.
#[test]
fn what_was_collected_may_panic_when_the_run_fails() {
    scenario("panics of what was collected")
        .on(ALL)
        .run(async |world| {
            let flow = world.flow();
            let job = Pipeline::from_iter(flow.items(0..9))
                .map(|item| match item.index {
                    8 => Err("last"),
                    index => Ok(Mine(item, index == 3)),
                })
                .parallelism(1)
                .try_map(|mine| mine)
                .name("last")
                .collect();
            flow.failed(8);
            let error = failure(flow.run(job).await);
            assert_eq!((error.stage(), error.origin().first()), ("last", 8));
        });
}

/// Of a run that has ended, but that its owner did not wait for.
async fn drop_unwaited<R: Send + 'static>(world: &World, flow: &Flow, job: Job<R>) {
    let run = flow.start(job).unwrap();
    world.until(|| flow.metrics().outcome.is_some()).await;
    drop(run);
}

/// What a run has collected is dropped with it when nobody waits, and its owner is spared the panic.
#[test]
fn what_nobody_takes_may_panic_when_it_is_dropped() {
    scenario("panics of what nobody takes")
        .on(ALL)
        .run(async |world| {
            let collects = |flow: &Flow| {
                let items = Pipeline::from_iter(flow.items(0..9));
                let mine = items.map(|item| (item.index == 3, item));
                mine.map(|(bad, item)| Mine(item, bad)).collect()
            };
            let flow = world.flow();
            drop_unwaited(&world, &flow, collects(&flow)).await;
            let flow = world.flow();
            let two = collects(&flow).join(Pipeline::from_iter(0..0).collect());
            drop_unwaited(&world, &flow, two).await;
            let flow = world.flow();
            let many = Job::join_all([collects(&flow)]);
            drop_unwaited(&world, &flow, many).await;
        });
}

/// A panic in every kind of stage is the failure of its item.
#[test]
fn every_kind_of_stage_survives_a_panic() {
    scenario("kinds of stages").on(ALL).run(async |world| {
        let kinds: Vec<fn(Pipeline<u64>) -> Job<u64>> = vec![
            |source| source.map(strict).count(),
            |source| source.map(strict).parallelism(2).count(),
            |source| source.try_map(|n| Ok::<_, BoxError>(strict(n))).count(),
            |source| source.then(|n| std::future::ready(strict(n))).count(),
            |source| source.then(async |n| strict(n)).count(),
            |source| {
                source
                    .and_then(async |n| Ok::<_, BoxError>(strict(n)))
                    .count()
            },
            |source| source.blocking(strict).count(),
            |source| {
                source
                    .try_blocking(|n| Ok::<_, BoxError>(strict(n)))
                    .count()
            },
            |source| source.filter_map(|n| Some(strict(n))).count(),
            |source| {
                let look = |n: &u64| {
                    strict(*n);
                };
                source.inspect(look).count()
            },
            |source| source.filter(|n| strict(*n) < 100).count(),
        ];
        for kind in kinds {
            let flow = world.flow();
            let (errors, failures) = mpsc::channel(16);
            let job = kind(Pipeline::from_iter(0..20)).errors(errors);
            assert_eq!(flow.run_failing(job, [7]).await.unwrap().value, 19);
            let error = only_error(failures).await;
            assert_eq!(error.kind(), ErrorKind::Panicked);
            assert_eq!(error.origin().first(), 7);
        }
    });
}

fn strict(n: u64) -> u64 {
    assert_ne!(n, 7, "not this one");
    n
}
