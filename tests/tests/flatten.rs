//! One item to many: asked for one by one, in order, and settled once.

use std::future::pending;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::{Stream, StreamExt, stream};
use pipeline_core::error::{Cause, Overflow};
use pipeline_core::prelude::*;
use pipeline_core::report::Outcome;
use tests::prelude::*;
use tests::tally::{Class, Tally, Token};
use tokio::sync::mpsc;
use tokio::time::sleep;

const HOUR: Duration = ms(3_600_000);

/// A part of an item, counted like one.
struct Part {
    of: u64,
    number: u64,
    _token: Token,
}

/// The parts of an item, made when they are asked for. Holds its item as long as it lives.
struct Parts {
    item: Item,
    tally: Tally,
    made: Arc<AtomicU64>,
    next: u64,
    count: u64,
    /// Panics instead of giving this one.
    panics_at: Option<u64>,
}

impl Iterator for Parts {
    type Item = Part;

    fn next(&mut self) -> Option<Part> {
        if self.next == self.count {
            return None;
        }
        assert_ne!(self.panics_at, Some(self.next), "in next");
        self.made.fetch_add(1, Ordering::SeqCst);
        self.next += 1;
        Some(Part {
            of: self.item.index,
            number: self.next - 1,
            _token: self.tally.token(Class::Output),
        })
    }
}

/// Expands items, and counts the parts that were made.
#[derive(Clone)]
struct Maker {
    tally: Tally,
    made: Arc<AtomicU64>,
}

impl Maker {
    fn new(flow: &Flow) -> Self {
        Maker {
            tally: flow.tally().clone(),
            made: Arc::default(),
        }
    }

    fn parts(&self, item: Item, count: u64) -> Parts {
        Parts {
            item,
            tally: self.tally.clone(),
            made: Arc::clone(&self.made),
            next: 0,
            count,
            panics_at: None,
        }
    }

    fn made(&self) -> u64 {
        self.made.load(Ordering::SeqCst)
    }
}

/// The same as a stream, which is not `Unpin` and waits before each part.
fn streamed(parts: Parts) -> impl Stream<Item = Part> {
    stream::unfold(parts, async |mut parts| {
        tokio::task::yield_now().await;
        Some((parts.next()?, parts))
    })
}

/// Each way to expand items; the number of parts of an item is given by a function.
#[derive(Debug, Clone, Copy)]
enum Way {
    Flatten,
    FlatMap,
    FlattenStream,
    FlatMapStream,
}

const WAYS: [Way; 4] = [
    Way::Flatten,
    Way::FlatMap,
    Way::FlattenStream,
    Way::FlatMapStream,
];

impl Way {
    fn expand(
        self,
        items: Pipeline<Item>,
        parts: impl Fn(Item) -> Parts + Send + Sync + 'static,
    ) -> Pipeline<Part> {
        match self {
            Way::Flatten => items.map(parts).flatten(),
            Way::FlatMap => items.flat_map(parts),
            Way::FlattenStream => {
                let items = items.map(move |item| Box::pin(streamed(parts(item))));
                items.flatten_stream()
            }
            Way::FlatMapStream => items.flat_map_stream(move |item| streamed(parts(item))),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Way::Flatten => "flatten",
            Way::FlatMap => "flat_map",
            Way::FlattenStream => "flatten_stream",
            Way::FlatMapStream => "flat_map_stream",
        }
    }
}

/// An end that keeps which part of which item it was given.
fn keep(into: &mpsc::UnboundedSender<(u64, u64)>) -> impl FnMut(Part) + Send + 'static {
    let into = into.clone();
    move |part| into.send((part.of, part.number)).expect("kept by the test")
}

/// All that came so far.
fn came(receiver: &mut mpsc::UnboundedReceiver<(u64, u64)>) -> Vec<(u64, u64)> {
    std::iter::from_fn(|| receiver.try_recv().ok()).collect()
}

/// Scenario 165: none, one or many parts, in order; an item without any is filtered, each other one is delivered
/// once, after its last part.
#[test]
fn items_are_expanded_in_order() {
    scenario("flatten").on(ALL).run(async |world| {
        for way in WAYS {
            let flow = world.flow();
            let maker = Maker::new(&flow);
            let (sender, mut receiver) = mpsc::unbounded_channel();
            let parts = maker.clone();
            let job = way
                .expand(Pipeline::from_iter(flow.items(0..300)), move |item| {
                    let count = item.index % 4;
                    parts.parts(item, count)
                })
                .for_each(keep(&sender));
            let mut run = job.start().unwrap();
            let report = run.wait().await.unwrap();
            let expected: Vec<_> = (0..300)
                .flat_map(|of| (0..of % 4).map(move |number| (of, number)))
                .collect();
            assert_eq!(came(&mut receiver), expected);
            let items = report.items;
            assert_eq!(
                (items.taken, items.filtered, items.delivered),
                (300, 75, 225)
            );
            let stage = report
                .stages
                .iter()
                .find(|stage| &*stage.name == way.name());
            let stage = stage.expect("it is in the report");
            assert_eq!((stage.taken, stage.given, stage.filtered), (300, 450, 75));
        }
    });
}

/// A million from one item are not collected: when nobody takes them, a handful is made.
#[test]
fn an_expansion_is_asked_for_one_by_one() {
    scenario("flatten, backpressure").run(async |world| {
        for way in WAYS {
            let flow = world.flow();
            let maker = Maker::new(&flow);
            let parts = maker.clone();
            let job = way
                .expand(Pipeline::from_iter(flow.items(0..u64::MAX)), move |item| {
                    parts.parts(item, 1_000_000)
                })
                .into_stream();
            let mut run = job.start().unwrap();
            for number in 0..3 {
                let part = run.next().await.unwrap().unwrap();
                assert_eq!((part.of, part.number), (0, number));
            }
            sleep(HOUR).await;
            // what waits behind the step, and what the end has taken at once
            assert!(maker.made() <= 128 + 128 + 3, "{}", maker.made());
            let made = maker.made();
            sleep(HOUR).await;
            assert_eq!(maker.made(), made);
            drop(run);
        }
    });
}

/// What a next step does to some parts is what becomes of the item: failed is more than delivered, delivered more
/// than filtered.
#[test]
fn the_parts_decide_about_their_item() {
    scenario("flatten, fates").on(ALL).run(async |world| {
        let flow = world.flow();
        let (errors, failures) = mpsc::channel(64);
        // of each item: parts that fail, are filtered, are delivered
        let kinds = ["fpd", "pd", "pp", "dd", "f", "fff", ""];
        let job = Pipeline::from_iter(kinds)
            .flat_map(str::chars)
            .try_map(|kind| if kind == 'f' { Err("broken") } else { Ok(kind) })
            .filter(|kind| *kind == 'd')
            .count()
            .errors(errors);
        let report = flow.run_failing(job, [0, 4, 5]).await.unwrap();
        assert_eq!(report.value, 4);
        let items = report.items;
        assert_eq!((items.failed, items.delivered, items.filtered), (3, 2, 2));
        let told = all_errors(failures).await;
        assert_eq!(origins(&told), [0, 4, 5, 5, 5]);
    });
}

/// A panic of the function, of `next`, or of a stream fails the item; what it gave goes on, and so does the run.
#[test]
fn a_panic_fails_the_item() {
    scenario("flatten, panics").on(ALL).run(async |world| {
        for way in WAYS {
            let flow = world.flow();
            let maker = Maker::new(&flow);
            let (errors, failures) = mpsc::channel(64);
            let (sender, mut receiver) = mpsc::unbounded_channel();
            let parts = maker.clone();
            let job = way
                .expand(Pipeline::from_iter(flow.items(0..30)), move |item| {
                    let panics_at = match item.index {
                        5 => Some(0),
                        15 => Some(2),
                        _ => None,
                    };
                    Parts {
                        panics_at,
                        ..parts.parts(item, 3)
                    }
                })
                .for_each(keep(&sender))
                .errors(errors);
            let report = job.start().unwrap().wait().await.unwrap();
            let told = all_errors(failures).await;
            assert_eq!(origins(&told), [5, 15]);
            assert!(told.iter().all(|error| error.stage() == way.name()));
            let expected: Vec<_> = (0..30)
                .flat_map(|of| (0..3).map(move |number| (of, number)))
                .filter(|part| part.0 != 5 && *part != (15, 2))
                .collect();
            assert_eq!(came(&mut receiver), expected);
            assert_eq!((report.items.delivered, report.items.failed), (28, 2));
        }
        // of the function itself
        for stream in [false, true] {
            let flow = world.flow();
            let (errors, failures) = mpsc::channel(64);
            let panics = |n: u64| {
                assert_ne!(n, 7, "in the function");
                [n, n]
            };
            let items = Pipeline::from_iter(0..10_u64);
            let job = if stream {
                items
                    .flat_map_stream(move |n| stream::iter(panics(n)))
                    .count()
            } else {
                items.flat_map(panics).count()
            };
            let report = flow.run_failing(job.errors(errors), [7]).await.unwrap();
            assert_eq!(report.value, 18);
            assert_eq!(only_error(failures).await.origin().first(), 7);
        }
    });
}

/// The line of a step in the report has its panics, and those of its errors that nobody was told of.
#[test]
fn panics_and_untold_errors_of_a_step_are_counted() {
    scenario("flatten, report").on(ALL).run(async |world| {
        for listens in [true, false] {
            let flow = world.flow();
            let (errors, failures) = mpsc::channel(64);
            let failures = listens.then_some(failures);
            let breaks = |n: u64| {
                assert_ne!(n % 5, 0, "a multiple of 5");
                [n]
            };
            let job = Pipeline::from_iter(0..10u64).flat_map(breaks).count();
            let job = job.errors(errors).on_error(OnError::Continue);
            let report = flow.run_failing(job, [0, 5]).await.unwrap();
            let line = &report.stages[0];
            assert_eq!((line.taken, line.failed, line.panics), (10, 2, 2));
            assert_eq!(line.errors_not_delivered, if listens { 0 } else { 2 });
            drop(failures);
        }
    });
}

/// An error that waits for room when its reader goes was not delivered, and that is counted too.
#[test]
fn an_error_that_waits_when_its_reader_goes_is_counted() {
    scenario("flatten, reader gone").on(ALL).run(async |world| {
        let flow = world.flow();
        let (errors, failures) = mpsc::channel(1);
        let breaks = |n: u64| {
            assert_ne!(n % 5, 0, "a multiple of 5");
            [n]
        };
        let job = Pipeline::from_iter(0..10u64).flat_map(breaks).count();
        let job = job.errors(errors).error_overflow(Overflow::Wait);
        flow.failed(0);
        flow.failed(5);
        let mut run = flow.start(job).unwrap();
        world.settled(|| failures.len()).await;
        drop(failures);
        let report = run.wait().await.unwrap();
        // the first one lay in the channel
        assert_eq!(
            (report.items.failed, report.stages[0].errors_not_delivered),
            (2, 1)
        );
    });
}

/// A destructor that panics concerns nobody.
#[test]
fn a_panic_in_a_destructor_concerns_nobody() {
    struct Bomb(std::ops::Range<u64>);
    impl Iterator for Bomb {
        type Item = u64;
        fn next(&mut self) -> Option<u64> {
            self.0.next()
        }
    }
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("in drop");
        }
    }
    scenario("flatten, destructors").on(ALL).run(async |world| {
        let flow = world.flow();
        let job = Pipeline::from_iter(0..10_u64)
            .flat_map(|n| Bomb(0..n))
            .count();
        assert_eq!(flow.run(job).await.unwrap().value, 45);

        let flow = world.flow();
        let job = Pipeline::from_iter(0..10_u64)
            .flat_map_stream(|n| stream::iter(Bomb(0..n)))
            .count();
        assert_eq!(flow.run(job).await.unwrap().value, 45);

        // in the middle of one
        let flow = world.flow();
        let job = Pipeline::from_iter(0..10_u64)
            .flat_map(|_| Bomb(0..u64::MAX))
            .then(|_| pending::<()>())
            .count();
        let mut run = flow.start(job).unwrap();
        world.settled(|| flow.metrics().items.taken).await;
        run.control().cancel();
        assert!(matches!(cause(run.wait().await), Cause::Cancelled));
    });
}

/// A run that is stopped drops the rest of an expansion, whichever way it is stopped.
#[test]
fn a_cancel_drops_the_rest_of_an_expansion() {
    let some = [Machine::Paused, Machine::Threads(2)];
    scenario("flatten, cancel").on(&some).run(async |world| {
        for way in WAYS {
            for how in ["cancel", "drop", "deadline"] {
                let flow = world.flow();
                let maker = Maker::new(&flow);
                let job = way
                    .expand(Pipeline::from_iter(flow.items(0..100)), move |item| {
                        maker.parts(item, u64::MAX)
                    })
                    .then(|part| async move {
                        pending::<()>().await;
                        part
                    })
                    .count();
                let mut run = flow.start(job).unwrap();
                let control = run.control();
                world.until(|| flow.metrics().items.taken == 100).await;
                match how {
                    "cancel" => {
                        control.cancel();
                        assert!(matches!(cause(run.wait().await), Cause::Cancelled));
                    }
                    "deadline" => {
                        // one that never ends is not waited for
                        control.drain(ms(10));
                        assert!(matches!(cause(run.wait().await), Cause::DeadlinePassed(_)));
                    }
                    _ => drop(run),
                }
                world.until(|| control.metrics().outcome.is_some()).await;
                let items = control.metrics().items;
                assert_eq!((items.taken, items.cancelled), (100, 100));
            }
        }
    });
}

/// An expansion that never has to wait is stopped all the same.
#[test]
fn an_endless_expansion_can_be_stopped() {
    scenario("flatten, endless").on(ALL).run(async |world| {
        for stream in [false, true] {
            let flow = world.flow();
            let seen = Arc::new(AtomicU64::new(0));
            let sees = Arc::clone(&seen);
            let items = Pipeline::from_iter(0..10_u64);
            let parts = if stream {
                items.flat_map_stream(|n| stream::iter(n..))
            } else {
                items.flat_map(|n| n..)
            };
            let job = parts.for_each(move |_| {
                sees.fetch_add(1, Ordering::SeqCst);
            });
            let mut run = flow.start(job).unwrap();
            while seen.load(Ordering::SeqCst) < 10_000 {
                tokio::task::yield_now().await;
            }
            // the paused clock stands still as long as there is work
            if world.machine() == Machine::Paused {
                run.control().cancel();
                assert!(matches!(cause(run.wait().await), Cause::Cancelled));
            } else {
                run.control().drain(ms(10));
                assert!(matches!(cause(run.wait().await), Cause::DeadlinePassed(_)));
            }
        }
    });
}

/// A drain finishes what was taken, to the last part.
#[test]
fn a_drain_finishes_expansions() {
    scenario("flatten, drain").on(ALL).run(async |world| {
        let flow = world.flow();
        let (sender, source) = Pipeline::channel(16);
        let gate = Gate::new();
        let waits = gate.clone();
        let job = source
            .flat_map_stream(move |_: Item| {
                let gate = waits.clone();
                stream::unfold(0, move |n| {
                    let gate = gate.clone();
                    async move {
                        gate.pass().await;
                        (n < 1_000).then_some((n, n + 1))
                    }
                })
            })
            .count();
        let mut run = flow.start(job).unwrap();
        for index in 0..3 {
            sender.send(flow.item(index)).await.unwrap();
        }
        world.settled(|| flow.metrics().items.taken).await;
        run.control().drain(HOUR);
        gate.open();
        let report = run.wait().await.unwrap();
        assert_eq!(
            (report.value, report.outcome),
            (3_000, Some(Outcome::Drained))
        );
        assert_eq!(report.items.delivered, 3);
    });
}

/// What a slow function has given is not held back while it works on.
#[test]
fn parts_are_handed_on_while_a_stream_waits() {
    scenario("flatten, at once").run(async |world| {
        let flow = world.flow();
        let times = || {
            stream::iter([0, 10, 30]).then(|at| async move {
                sleep(ms(at)).await;
                at
            })
        };
        let (sender, mut receiver) = mpsc::unbounded_channel();
        let watch = Stopwatch::start();
        let job = Pipeline::from_iter([()])
            .flat_map_stream(move |()| times())
            .for_each(move |_| sender.send(watch.elapsed()).expect("kept"));
        flow.run(job).await.unwrap();
        for at in [0, 10, 40] {
            let time = receiver.recv().await.expect("three parts");
            assert!((ms(at)..=ms(at + 2)).contains(&time), "{time:?}");
        }
    });
}

/// Parts of batches settle all of the batch.
#[test]
fn parts_of_a_batch_settle_its_items() {
    scenario("flatten, batches").on(ALL).run(async |world| {
        let flow = world.flow();
        let (errors, failures) = mpsc::channel(64);
        let job = Pipeline::from_iter(0..12_u64)
            .batch(4, HOUR)
            .flatten()
            .try_map(|n| if n == 5 { Err("five") } else { Ok(n) })
            .batch(3, HOUR)
            .flatten()
            .collect()
            .errors(errors);
        let report = flow.run_failing(job, 4..8).await.unwrap();
        assert_eq!(report.value, [0, 1, 2, 3, 4, 6, 7, 8, 9, 10, 11]);
        assert_eq!(
            only_error(failures).await.origin().to_string(),
            "items 4..=7"
        );
        // a batch is failed as a whole, and delivered as a whole
        assert_eq!((report.items.delivered, report.items.failed), (8, 4));
    });
}

/// An iterator that is very slow to answer.
struct Slow {
    polls: u32,
}

impl Stream for Slow {
    type Item = u32;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<u32>> {
        self.polls += 1;
        if !self.polls.is_multiple_of(3) {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready((self.polls < 30).then_some(self.polls))
    }
}

/// Many parts, many items, large ones, and streams that wait.
#[test]
fn many_parts_are_given() {
    scenario("flatten, many").on(ALL).run(async |world| {
        let flow = world.flow();
        let job = Pipeline::from_iter(0..1_000_u64)
            .flat_map(|n| (0..200).map(move |part| n + part))
            .count();
        assert_eq!(flow.run(job).await.unwrap().value, 200_000);

        let flow = world.flow();
        let job = Pipeline::from_iter(0..100_000_u64)
            .flat_map(|n| (n % 2 == 0).then_some(n))
            .count();
        let report = flow.run(job).await;
        // half of them became nothing, and the fixture counts no filters
        assert_eq!(report.unwrap().items.filtered, 50_000);

        let flow = world.flow();
        let job = Pipeline::from_iter(0..1_000)
            .flat_map_stream(|_| Slow { polls: 0 })
            .count();
        assert_eq!(flow.run(job).await.unwrap().value, 9_000);

        let flow = world.flow();
        let job = Pipeline::from_iter(0..300_u64)
            .flat_map(|n| [[n; 300], [n + 1; 300]])
            .fold(0, |sum, load| {
                assert!(load.iter().all(|n| *n == load[0]));
                sum + load[0]
            });
        assert_eq!(flow.run(job).await.unwrap().value, 300 * 299 + 300);
    });
}
