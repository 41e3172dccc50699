//! Sources, sinks and stage factories that fail or panic, and channels whose senders come and go.

use std::future::ready;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use pipeline_core::error::{Cause, ErrorKind, Panicked};
use pipeline_core::prelude::*;
use pipeline_core::report::Outcome;
use tests::prelude::*;
use tests::ticket::Kind;
use tokio::sync::mpsc;
use tokio_stream::iter;

/// Scenario 171: what a source gave before it failed is processed; the run ends with the source's error.
#[test]
fn a_source_that_fails_ends_the_run_after_its_items() {
    scenario("171").on(ALL).in_both_orders().run(async |world| {
        let flow = world.flow();
        let fault = flow.clone();
        let source = flow.source(move |index| {
            ready(if index < 5 {
                Ok(true)
            } else {
                Err(fault.fault("dry"))
            })
        });
        let job = Pipeline::from_source(source)
            .stage(flow.pass(2))
            .parallelism(2)
            .in_order(world.order())
            .sink(flow.sink(|_| ready(Ok(()))));
        let error = flow.run(job).await.unwrap_err();
        flow.expect(0..5);
        assert_eq!(error.report.outcome, Some(Outcome::Failed));
        let Cause::Source(source) = &error.cause else {
            panic!("{:?}", error.cause)
        };
        assert_eq!(source.to_string(), "dry");
        assert_eq!(flow.closes_of(Kind::Source), 1);
        assert_eq!(flow.closes_of(Kind::Sink), 1);
    });
}

/// Scenario 172: an `Err` in a stream of results is a failed item, with its place in the stream.
#[test]
fn a_stream_of_results_has_failed_items() {
    scenario("172").on(ALL).in_both_orders().run(async |world| {
        let flow = world.flow();
        let (errors, failures) = mpsc::channel(16);
        let items = (0..10u64).map(|n| {
            if n == 5 || n == 6 {
                Err("bad row")
            } else {
                Ok(n)
            }
        });
        let job = Pipeline::from_try_stream(iter(items))
            .then(ready)
            .parallelism(4)
            .in_order(world.order())
            .collect()
            .errors(errors);
        let mut value = flow.run_failing(job, [5, 6]).await.unwrap().value;
        if !world.ordered() {
            value.sort_unstable();
        }
        assert_eq!(value, [0, 1, 2, 3, 4, 7, 8, 9]);
        let errors = all_errors(failures).await;
        assert_eq!(origins(&errors), [5, 6]);
        for error in errors {
            assert_eq!((error.stage(), error.kind()), ("source", ErrorKind::Failed));
            assert!(chain(&error).contains("bad row"));
        }
    });
}

/// Scenario 172: without an error channel such an item ends the run.
#[test]
fn a_stream_of_results_can_end_the_run() {
    scenario("172, fail fast").on(ALL).run(async |world| {
        let flow = world.flow();
        let items = (0..10u64).map(|n| if n == 5 { Err("bad row") } else { Ok(n) });
        let job = Pipeline::from_try_stream(iter(items)).count();
        let failure = failure(flow.run(job).await);
        assert_eq!((failure.stage(), failure.origin().first()), ("source", 5));
    });
}

/// Scenario 175: after a drain, an end or a cancel, who sends gets the item back at once.
#[test]
fn a_channel_that_nobody_reads_gives_items_back() {
    scenario("175").on(ALL).run(async |world| {
        for how in ["drain", "failure", "cancel", "drop"] {
            let flow = world.flow();
            let (sender, source) = Pipeline::channel(2);
            let job = source
                .stage(flow.breaks(1, move |_| how == "failure"))
                .for_each(flow.receive());
            let mut run = flow.start(job).unwrap();
            sender.send(flow.item(0)).await.unwrap();
            world.settled(|| flow.metrics().items).await;
            match how {
                "drain" => run.control().drain(ms(1_000)),
                "cancel" => run.control().cancel(),
                _ => {}
            }
            if how == "drop" {
                drop(run);
                world.until(|| sender.is_closed()).await;
            } else {
                assert_eq!(run.wait().await.is_ok(), how == "drain");
            }
            assert!(sender.is_closed(), "{how}");
            let back = sender.send(flow.item(1)).await.unwrap_err();
            assert_eq!(back.0.index, 1);
            let back = sender.try_send(flow.item(2)).unwrap_err();
            assert_eq!(back.into_inner().index, 2);
            assert!(sender.reserve().await.is_err());
        }
    });
}

/// Scenario 177: the stream ends with its last sender, and not before what is in the channel has been read.
#[test]
fn a_channel_ends_with_its_last_sender() {
    scenario("177").on(ALL).in_both_orders().run(async |world| {
        let flow = world.flow();
        let (sender, source) = Pipeline::channel(10);
        let others = [sender.clone(), sender.clone()];
        let job = source
            .stage(flow.pass(2))
            .parallelism(2)
            .in_order(world.order())
            .for_each(flow.receive());
        // nobody reads yet
        for index in 0..8 {
            sender.send(flow.item(index)).await.unwrap();
        }
        drop(sender);
        let mut run = flow.start(job).unwrap();
        let [second, third] = others;
        drop(third);
        world.settled(|| flow.out().len()).await;
        assert_eq!(flow.metrics().outcome, None);
        second.send(flow.item(8)).await.unwrap();
        second.send(flow.item(9)).await.unwrap();
        drop(second);
        let report = run.wait().await.unwrap();
        assert_eq!(report.outcome, Some(Outcome::Finished));
        assert_eq!(report.items.taken, 10);
        flow.expect(0..10);
    });
}

/// Scenario 177: plain threads feed a channel with `blocking_send`, wait there for room, and end it when the last one has gone.
#[test]
fn plain_threads_may_feed_a_channel() {
    scenario("177, threads")
        .on(ALL)
        .in_both_orders()
        .run(async |world| {
            let (flow, gates) = (world.flow(), Gates::new());
            let (sender, source) = Pipeline::channel(2);
            let job = source
                .buffer(2)
                .stage(flow.gated(2, &gates))
                .parallelism(2)
                .window(2)
                .in_order(world.order())
                .for_each(flow.receive());
            let inside = job.plan().max_inside as u64;
            let mut run = flow.start(job).unwrap();
            let sent = Arc::new(AtomicUsize::new(0));
            let threads: Vec<_> = (0..4u64)
                .map(|thread| {
                    let (sender, flow, sent) = (sender.clone(), flow.clone(), sent.clone());
                    std::thread::spawn(move || {
                        for index in (thread..100).step_by(4) {
                            sender.blocking_send(flow.item(index)).unwrap();
                            sent.fetch_add(1, Ordering::SeqCst);
                        }
                    })
                })
                .collect();
            drop(sender);
            // shut gates hold the threads back
            let stuck = world.settled(|| sent.load(Ordering::SeqCst)).await;
            assert!(stuck as u64 <= inside, "{stuck} of {inside}");
            (0..100).for_each(|index| gates.open(index));
            let report = run.wait().await.unwrap();
            assert_eq!(report.outcome, Some(Outcome::Finished));
            threads
                .into_iter()
                .for_each(|thread| thread.join().unwrap());
            let mut out = flow.out();
            // each thread's items are in its own order; between threads there is none
            if world.ordered() {
                for thread in 0..4 {
                    let mine = out.iter().filter(|index| *index % 4 == thread);
                    assert!(mine.is_sorted());
                }
            }
            out.sort_unstable();
            assert!(out.into_iter().eq(0..100));
        });
}

/// Scenario 175: a thread that waits in `blocking_send` when the run is cancelled, or drained, gets its item back.
///
/// In real time: a paused clock jumps to the deadline of the drain while the thread is in the middle of sending.
#[test]
fn a_plain_thread_that_waits_for_room_gets_its_item_back() {
    scenario("175, threads").on(THREADS).run(async |world| {
        for how in ["cancel", "drain", "drop"] {
            let (flow, gates) = (world.flow(), Gates::new());
            let (sender, source) = Pipeline::channel(1);
            let job = source
                .buffer(1)
                .stage(flow.gated(1, &gates))
                .window(1)
                .for_each(flow.receive());
            let mut run = flow.start(job).unwrap();
            let (items, sent) = (flow.clone(), Arc::new(AtomicUsize::new(0)));
            let counter = sent.clone();
            let (tell, told) = tokio::sync::oneshot::channel();
            let thread = std::thread::spawn(move || {
                for index in 0.. {
                    if let Err(back) = sender.blocking_send(items.item(index)) {
                        tell.send((index, back.0.index)).unwrap();
                        return;
                    }
                    counter.fetch_add(1, Ordering::SeqCst);
                }
            });
            while sent.load(Ordering::SeqCst) == 0 {
                tokio::task::yield_now().await;
            }
            world.settled(|| sent.load(Ordering::SeqCst)).await;
            match how {
                "cancel" => run.control().cancel(),
                "drain" => run.control().drain(ms(60_000)),
                _ => {}
            }
            if how == "drop" {
                drop(run);
            } else {
                (0..10).for_each(|index| gates.open(index));
                assert_eq!(run.wait().await.is_ok(), how == "drain");
            }
            let (index, back) = told.await.unwrap();
            thread.join().unwrap();
            assert_eq!(index, back);
            if how == "drain" {
                flow.expect(0..index);
            }
        }
    });
}

/// `blocking_send` in async code is a panic of tokio's, of whoever calls it: in a body, the failure of its item.
#[test]
fn a_blocking_send_in_async_code_panics() {
    scenario("blocking_send in async code")
        .on(ALL)
        .run(async |world| {
            let flow = world.flow();
            let (sender, source) = Pipeline::channel(4);
            let (errors, failures) = mpsc::channel(4);
            let feed = sender.downgrade();
            let body = flow.body_with(1, (feed, flow.clone()), |item, (feed, flow)| async move {
                if item.index == 0 {
                    let feed: mpsc::Sender<Item> = feed.upgrade().expect("the test holds one");
                    let _panics = feed.blocking_send(flow.item(9));
                }
                Ok(item)
            });
            let job = source.stage(body).for_each(flow.receive()).errors(errors);
            let mut run = flow.start(job).unwrap();
            sender.send(flow.item(0)).await.unwrap();
            sender.send(flow.item(1)).await.unwrap();
            world.settled(|| flow.out().len()).await;
            drop(sender);
            run.wait().await.unwrap();
            flow.expect([1]);
            assert_eq!(only_error(failures).await.kind(), ErrorKind::Panicked);
        });
}

/// A source that panics is the end of the run, with its text, however it came by its items.
#[test]
fn a_source_that_panics_ends_the_run() {
    fn dry(n: u64) -> u64 {
        assert!(n < 5, "the well is dry");
        n
    }
    scenario("panicking sources").on(ALL).run(async |world| {
        let flow = world.flow();
        let sources = [
            Pipeline::from_iter((0..).map(dry)),
            Pipeline::from_stream(iter((0..).map(dry))),
            Pipeline::from_try_stream(iter((0..).map(|n| Ok::<_, BoxError>(dry(n))))),
        ];
        for source in sources {
            expect_panic(
                cause(flow_run(&world, source.count()).await),
                "the well is dry",
            );
        }
        let source = flow.source(|index| async move { Ok(dry(index) == index) });
        let job = Pipeline::from_source(source)
            .stage(flow.pass(2))
            .for_each(flow.receive());
        expect_panic(cause(flow.run(job).await), "the well is dry");
    });
}

async fn flow_run<R: Send + 'static>(
    world: &World,
    job: Job<R>,
) -> Result<pipeline_core::report::Report<R>, pipeline_core::error::RunError> {
    world.flow().run(job).await
}

/// The source or the sink panicked with this text.
#[track_caller]
fn expect_panic(cause: Cause, text: &str) {
    let (Cause::Source(error) | Cause::Sink(error) | Cause::Stage(_, error)) = cause else {
        panic!("{cause:?}")
    };
    let message = error.downcast_ref::<Panicked>().expect("a panic").message();
    assert!(message.contains(text), "{message}");
}

/// A sink that fails ends the run; what it had written counts as delivered, what it left as failed.
#[test]
fn a_sink_that_fails_ends_the_run() {
    scenario("failing sink")
        .on(ALL)
        .in_both_orders()
        .run(async |world| {
            let flow = world.flow();
            let (fault, written) = (flow.clone(), Arc::new(AtomicUsize::new(0)));
            let sink = flow.sink(move |_| {
                let full = written.fetch_add(1, Ordering::SeqCst) == 3;
                ready(if full {
                    Err(fault.fault("disk full"))
                } else {
                    Ok(())
                })
            });
            let job = Pipeline::from_iter(flow.items(0..100))
                .stage(flow.pass(2))
                .parallelism(2)
                .in_order(world.order())
                .sink(sink);
            let error = flow.run(job).await.unwrap_err();
            assert_eq!(error.report.items.delivered, 3);
            assert!(error.report.items.failed >= 1);
            let Cause::Sink(source) = error.cause else {
                panic!("{:?}", error.cause)
            };
            assert_eq!(source.to_string(), "disk full");
            assert_eq!(flow.closes_of(Kind::Sink), 1);
        });
}

/// A sink that panics ends the run.
#[test]
fn a_sink_that_panics_ends_the_run() {
    scenario("panicking sink")
        .on(ALL)
        .in_both_orders()
        .run(async |world| {
            let flow = world.flow();
            let sink = flow.sink(|index| {
                assert!(index < 3, "the sink is full");
                ready(Ok(()))
            });
            let job = Pipeline::from_iter(flow.items(0..100))
                .stage(flow.pass(2))
                .parallelism(2)
                .in_order(world.order())
                .sink(sink);
            expect_panic(cause(flow.run(job).await), "the sink is full");
        });
}

/// So do the closures that end a pipeline.
#[test]
fn closures_that_end_a_pipeline_may_fail_and_panic() {
    scenario("closures at the end").on(ALL).run(async |world| {
        let source = || Pipeline::from_iter(0..100u64).then(ready).parallelism(4);
        let full = |n: u64| assert!(n < 3, "no more");
        expect_panic(
            cause(flow_run(&world, source().for_each(full)).await),
            "no more",
        );
        let job = source().fold(0, move |sum, n| {
            full(n);
            sum + n
        });
        expect_panic(cause(flow_run(&world, job).await), "no more");
        let job = source().try_for_each(move |n| {
            full(n);
            ready(Ok::<_, BoxError>(()))
        });
        expect_panic(cause(flow_run(&world, job).await), "no more");
        let job = source().try_for_each(|n| ready(if n < 3 { Ok(()) } else { Err("no more") }));
        let Cause::Sink(error) = cause(flow_run(&world, job).await) else {
            panic!("it was not the sink")
        };
        assert_eq!(error.to_string(), "no more");
    });
}

/// A sink gives up while it is flushed.
struct Unflushable;

impl Sink<u64> for Unflushable {
    type Error = &'static str;

    async fn write(&mut self, items: &mut Vec<u64>) -> Result<(), Self::Error> {
        items.clear();
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), Self::Error> {
        Err("cannot flush")
    }
}

/// A flush that fails is a failure of the sink, not a success with a footnote.
#[test]
fn a_sink_that_cannot_be_flushed_ends_the_run() {
    scenario("failing flush").on(ALL).run(async |world| {
        let job = Pipeline::from_iter(0..10).sink(Unflushable);
        let Cause::Sink(error) = cause(flow_run(&world, job).await) else {
            panic!("it was not the sink")
        };
        assert_eq!(error.to_string(), "cannot flush");
    });
}

/// A sink sees each item once, and is flushed after the last one.
#[test]
fn a_sink_is_flushed_at_the_end() {
    #[derive(Default)]
    struct Flushed(Arc<AtomicBool>);
    impl Sink<u64> for Flushed {
        type Error = BoxError;
        async fn write(&mut self, items: &mut Vec<u64>) -> Result<(), BoxError> {
            self.0.store(false, Ordering::SeqCst);
            items.clear();
            Ok(())
        }
        async fn flush(&mut self) -> Result<(), BoxError> {
            self.0.store(true, Ordering::SeqCst);
            Ok(())
        }
    }
    scenario("flush").on(ALL).run(async |world| {
        let flushed = Arc::new(AtomicBool::new(false));
        let job = Pipeline::from_iter(0..1_000).sink(Flushed(flushed.clone()));
        let report = flow_run(&world, job).await.unwrap();
        assert_eq!(report.items.delivered, 1_000);
        assert!(flushed.load(Ordering::SeqCst));
    });
}

/// If the first state of a stage cannot be made, the source is not asked for anything, and the error names the stage.
#[test]
fn a_factory_that_fails_first_ends_the_run_before_the_source_is_asked() {
    scenario("failing factory").on(ALL).run(async |world| {
        for panics in [false, true] {
            let flow = world.flow();
            let body = flow.pass(4);
            let job = Pipeline::from_iter(flow.items(0..100))
                .stage_with(move || {
                    assert!(!panics, "no connection");
                    let body = body.clone();
                    async move {
                        drop(body);
                        Err::<Body<fn(Item) -> std::future::Ready<Result<Item, Fault>>>, _>(
                            "no connection",
                        )
                    }
                })
                .name("connect")
                .parallelism(4)
                .for_each(flow.receive());
            let error = flow.run(job).await.unwrap_err();
            assert_eq!(flow.pulled(), 0);
            let Cause::Stage(name, source) = error.cause else {
                panic!("{:?}", error.cause)
            };
            assert_eq!(&*name, "connect");
            assert!(chain(&*source).contains("no connection"), "{source}");
        }
    });
}

/// Scenario 157: if a later state cannot be made, the run ends as well: never silently fewer workers.
#[test]
fn a_factory_that_fails_later_ends_the_run() {
    scenario("factory that fails later")
        .on(ALL)
        .in_both_orders()
        .run(async |world| {
            for panics in [false, true] {
                let (flow, gates) = (world.flow(), Gates::new());
                let (body, made) = (flow.gated(4, &gates), AtomicUsize::new(0));
                let job = Pipeline::from_iter(flow.items(0..100))
                    .stage_with(move || {
                        let third = made.fetch_add(1, Ordering::SeqCst) == 2;
                        assert!(!(panics && third), "no connection");
                        let body = body.clone();
                        ready(if third {
                            Err("no connection")
                        } else {
                            Ok(body)
                        })
                    })
                    .name("connect")
                    .parallelism(4)
                    .in_order(world.order())
                    .for_each(flow.receive());
                // no gate is ever opened: only the failure can end it
                let Cause::Stage(name, source) = cause(flow.run(job).await) else {
                    panic!("it was not the stage")
                };
                assert_eq!(&*name, "connect");
                assert!(chain(&*source).contains("no connection"), "{source}");
            }
        });
}

/// A stage whose `clone` panics.
struct Only;

impl Clone for Only {
    fn clone(&self) -> Self {
        panic!("there is only one")
    }
}

impl Stage<u64, u64> for Only {
    type Error = BoxError;

    async fn process(&mut self, item: u64) -> Result<u64, BoxError> {
        Ok(item)
    }
}

/// A stage that cannot be cloned for a worker ends the run, too.
#[test]
fn a_stage_whose_clone_panics_ends_the_run() {
    scenario("panicking clone").on(ALL).run(async |world| {
        let job = Pipeline::from_iter(0..10)
            .stage(Only)
            .name("only")
            .parallelism(2)
            .count();
        match flow_run(&world, job).await {
            // one worker may do with the value that was given
            Ok(report) => assert_eq!(report.value, 10),
            Err(error) => expect_panic(error.cause, "there is only one"),
        }
    });
}
