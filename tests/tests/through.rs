//! Any stream adaptor between two steps: what it does with items, how it ends, and how those before it end.

use std::future::{pending, ready};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::{FutureExt, Stream, StreamExt, stream};
use pipeline_core::error::Cause;
use pipeline_core::pipeline::Upstream;
use pipeline_core::prelude::*;
use pipeline_core::report::{Counts, Outcome};
use tests::prelude::*;
use tests::tally::Class;
use tests::ticket::Kind;
use tokio::sync::mpsc;
use tokio::time::sleep;

const HOUR: Duration = ms(3_600_000);

/// Everything that was taken has ended in one way.
#[track_caller]
fn conserved(items: &Counts) {
    let ended = items.delivered + items.failed + items.filtered + items.cancelled;
    assert_eq!(items.taken, ended, "{items:?}");
}

/// What an adaptor does is done, in its order; both sides are counted.
#[test]
fn an_adaptor_stands_between_two_steps() {
    scenario("through").on(ALL).run(async |world| {
        let flow = world.flow();
        flow.renumbers();
        let job = Pipeline::from_iter(flow.items(0..1_000))
            .stage(flow.pass(4))
            .parallelism(4)
            .through(|items| items.chunks(3).map(|items| items.into_iter().rev()))
            .flatten()
            .for_each(flow.receive());
        let report = flow.run(job).await.unwrap();
        let expected: Vec<u64> = (0..334)
            .flat_map(|chunk| (chunk * 3..1_000.min(chunk * 3 + 3)).rev())
            .collect();
        assert_eq!(flow.out(), expected);
        // 1,000 of the source, 334 of the adaptor
        assert_eq!((report.items.taken, report.items.delivered), (1_334, 1_334));
        let stage = report.stages.iter().find(|stage| &*stage.name == "through");
        let stage = stage.expect("it is in the report");
        assert_eq!((stage.taken, stage.given), (1_000, 334));
    });
}

/// Behind it items have the adaptor's numbers, and another source.
#[test]
fn items_are_numbered_anew() {
    scenario("through, origins").on(ALL).run(async |world| {
        let flow = world.flow();
        flow.renumbers();
        let (errors, failures) = mpsc::channel(64);
        let job = Pipeline::from_iter(0..100_u64)
            .try_map(|n| if n == 7 { Err("seven") } else { Ok(n) })
            .through(|numbers| numbers.filter(|n| ready(n % 2 == 0)))
            .try_map(|n| if n == 20 { Err("twenty") } else { Ok(n) })
            .count()
            .errors(errors);
        let report = flow.run(job).await.unwrap();
        assert_eq!(report.value, 49);
        let mut told: Vec<_> = all_errors(failures).await;
        told.sort_unstable_by_key(|error| error.origin().first());
        let told: Vec<_> = told
            .iter()
            .map(|error| error.origin().to_string())
            .collect();
        assert_eq!(told, ["item 7", "item 10 of source 1"]);
        let expected = (100 + 50, 99 + 49, 2);
        let items = report.items;
        assert_eq!((items.taken, items.delivered, items.failed), expected);
    });
}

/// Two adaptors and two ends: each is a source of its own, in the order of the plan.
#[test]
fn adaptors_are_counted_among_the_sources() {
    scenario("through, several").on(ALL).run(async |world| {
        let flow = world.flow();
        flow.renumbers();
        let (errors, failures) = mpsc::channel(64);
        let fail = |n: u64| if n == 3 { Err("three") } else { Ok(n) };
        let first = Pipeline::from_iter(0..10)
            .through(|items| items)
            .through(|items| items);
        let second = Pipeline::from_iter(0..10).through(|items| items);
        let job = first
            .try_map(fail)
            .count()
            .join(second.try_map(fail).count());
        let report = flow.run(job.errors(errors)).await.unwrap();
        assert_eq!(report.value, (9, 9));
        let told = all_errors(failures).await;
        let mut sources: Vec<_> = told.iter().map(|error| error.origin().source()).collect();
        sources.sort_unstable();
        assert_eq!(sources, [2, 4]);
        assert_eq!((report.items.taken, report.items.delivered), (50, 48));
    });
}

/// The bound counts the items before it by what they stand for, and those behind it one by one.
#[test]
fn the_plan_starts_anew_behind_it() {
    let job = Pipeline::from_iter(0..9)
        .batch(10, Duration::MAX)
        .through(|batches| batches)
        .count();
    let steps = [
        1024,          // the source's buffer
        10 + 64,       // in `batch`
        102 * 10,      // batches behind it
        (1 + 64) * 10, // in `through`
        128,           // its own items behind it
        128,           // at the end
    ];
    assert_eq!(job.plan().max_inside, steps.iter().sum::<usize>());
}

/// Takes `count` items and has had enough.
fn some(count: usize) -> impl FnOnce(Upstream<Item>) -> stream::Take<Upstream<Item>> + Send {
    move |items| items.take(count)
}

/// The source of a run that goes on without it is closed, and the run finishes.
#[test]
fn an_adaptor_that_ends_early_ends_its_source() {
    scenario("through, early").on(ALL).run(async |world| {
        for count in [0, 1, 64, 2_000] {
            let flow = world.flow();
            flow.renumbers();
            let job = Pipeline::from_source(flow.source(|_| ready(Ok(true))))
                .through(some(count))
                .for_each(flow.receive());
            let report = flow.run(job).await.unwrap();
            assert_eq!(report.outcome, Some(Outcome::Finished));
            flow.expect(0..count as u64);
            assert_eq!(flow.closes_of(Kind::Source), 1);
            let (items, count) = (report.items, count as u64);
            // what was given to it, and what it gave
            assert_eq!(items.delivered, 2 * count);
            assert_eq!(items.cancelled, flow.pulled() - count);
        }
    });
}

/// A source that waits for its next item is not waited for; the sender of a channel is told.
#[test]
fn an_adaptor_that_ends_early_ends_a_source_that_waits() {
    scenario("through, early, waiting")
        .on(ALL)
        .run(async |world| {
            let flow = world.flow();
            flow.renumbers();
            let source = flow.source(|index| async move {
                if index == 5 {
                    pending::<()>().await;
                }
                Ok(true)
            });
            let job = Pipeline::from_source(source)
                .through(some(5))
                .for_each(flow.receive());
            flow.run(job).await.unwrap();
            flow.expect(0..5);

            let flow = world.flow();
            flow.renumbers();
            let (sender, source) = Pipeline::channel(4);
            let job = source.through(some(1)).for_each(flow.receive());
            let mut run = flow.start(job).unwrap();
            sender.send(flow.item(0)).await.unwrap();
            run.wait().await.unwrap();
            flow.expect(0..1);
            sender.send(flow.item(1)).await.unwrap_err();
        });
}

/// Bodies behind which nobody is left are dropped, wherever they are, and their states closed.
#[test]
fn an_adaptor_that_ends_early_ends_the_bodies_before_it() {
    scenario("through, early, bodies")
        .on(ALL)
        .in_both_orders()
        .run(async |world| {
            for (first, second) in [(1, 1), (4, 1), (8, 8)] {
                let flow = world.flow();
                flow.renumbers();
                let waits = |limit| {
                    flow.body(limit, |item: Item| async move {
                        if item.index >= 20 {
                            pending::<()>().await;
                        }
                        Ok(item)
                    })
                };
                let job = Pipeline::from_iter(flow.items(0..u64::MAX))
                    .stage(waits(first))
                    .parallelism(first)
                    .in_order(world.order())
                    .stage(waits(second))
                    .parallelism(second)
                    .in_order(world.order())
                    .through(some(10))
                    .for_each(flow.receive());
                let report = flow.run(job).await.unwrap();
                assert_eq!(report.outcome, Some(Outcome::Finished));
                assert_eq!(flow.out().len(), 10);
                conserved(&report.items);
            }
        });
}

/// A pause before another attempt is not waited out.
#[test]
fn an_adaptor_that_ends_early_ends_a_pause_between_attempts() {
    scenario("through, early, retry").run(async |world| {
        let flow = world.flow();
        flow.renumbers();
        let body = flow.tries(4, |parcel, _| async move {
            if parcel.index >= 2 {
                return Err(parcel.fault("broken"));
            }
            // the others have failed by now
            sleep(ms(10)).await;
            Ok(parcel)
        });
        let job = Pipeline::from_iter(flow.parcels(0..u64::MAX))
            .stage(body)
            .parallelism(4)
            .retry(Retry::fixed(HOUR))
            .through(some(2))
            .for_each(flow.receive());
        let watch = Stopwatch::start();
        let report = flow.run(job).await.unwrap();
        watch.expect(ms(10));
        flow.expect(0..2);
        assert_eq!(report.items.failed, 0);
    });
}

/// A state that is being made is not waited for.
#[test]
fn an_adaptor_that_ends_early_ends_the_making_of_states() {
    scenario("through, early, states")
        .on(ALL)
        .run(async |world| {
            let flow = world.flow();
            flow.renumbers();
            let states = AtomicUsize::new(0);
            let body = flow.sleeps(4, |_| ms(1));
            let job = Pipeline::from_iter(flow.items(0..u64::MAX))
                .stage_with(move || {
                    let number = states.fetch_add(1, Ordering::SeqCst);
                    let body = body.clone();
                    async move {
                        if number > 0 {
                            pending::<()>().await;
                        }
                        Ok::<_, BoxError>(body)
                    }
                })
                .parallelism(4)
                .through(some(10))
                .for_each(flow.receive());
            flow.run(job).await.unwrap();
            flow.expect(0..10);
        });
}

/// A run of two ends whose second one has an adaptor that ends before the states are there loses nothing of
/// the first.
#[test]
fn an_adaptor_that_ends_at_once_leaves_other_sources_alone() {
    scenario("through, early, preparing")
        .on(ALL)
        .run(async |world| {
            let flow = world.flow();
            flow.renumbers();
            let body = flow.pass(1);
            let unused = flow.pass(1);
            let first = Pipeline::from_iter(flow.items(0..100))
                .stage(body)
                .for_each(flow.receive());
            let second = Pipeline::from_iter(0..u64::MAX)
                .map(|_| -> Item { panic!("never called") })
                .stage_with(move || {
                    let body = unused.clone();
                    async move {
                        sleep(ms(10)).await;
                        Ok::<_, BoxError>(body)
                    }
                })
                .through(some(0))
                .count();
            flow.run(first.join(second)).await.unwrap();
            flow.expect(0..100);
        });
}

/// A body on a blocking thread is waited for, and nothing behind it.
#[test]
fn an_adaptor_that_ends_early_waits_for_blocking_bodies() {
    scenario("through, early, blocking")
        .on(THREADS)
        .run(async |world| {
            for timeout in [Duration::MAX, HOUR] {
                let flow = world.flow();
                flow.renumbers();
                let (door, inside) = (Door::new(), Gate::new());
                let (opens, enters) = (door.clone(), inside.clone());
                let job = Pipeline::from_iter(flow.items(0..u64::MAX))
                    .blocking(move |item: Item| {
                        if item.index == 1 {
                            enters.open();
                            opens.pass();
                        }
                        item
                    })
                    .parallelism(2)
                    .timeout(timeout)
                    .then(move |item| {
                        let inside = inside.clone();
                        async move {
                            inside.pass().await;
                            item
                        }
                    })
                    .through(some(1))
                    .for_each(flow.receive());
                let mut run = flow.start(job).unwrap();
                let control = run.control();
                let delivered = || control.metrics().items.delivered;
                world.until(|| delivered() == 2).await;
                assert_eq!(world.settled(delivered).await, 2);
                assert_eq!(control.metrics().outcome, None);
                door.open();
                run.wait().await.unwrap();
                flow.expect(0..1);
            }
        });
}

/// Operators end as stages do, whatever they wait for.
#[test]
fn an_adaptor_that_ends_early_ends_the_operators_before_it() {
    scenario("through, early, operators")
        .on(ALL)
        .run(async |world| {
            let flow = world.flow();
            flow.renumbers();
            let job = Pipeline::from_iter(flow.items(0..u64::MAX))
                .batch(3, Duration::MAX)
                .batch_by(|_| 0, 2, HOUR)
                .batch_weighted(3, HOUR, Vec::len)
                .flatten()
                .flat_map_stream(|batch| stream::iter(batch).chain(stream::pending()))
                .flatten()
                .throttle(Rate::new(1, HOUR).burst(3))
                .through(some(3))
                .for_each(flow.receive());
            let report = flow.run(job).await.unwrap();
            assert_eq!(report.outcome, Some(Outcome::Finished));
            flow.expect(0..3);
            conserved(&report.items);
            assert_eq!(flow.closes_of(Kind::Source), 0);
        });
}

/// Each operator by itself, with items that it holds.
#[test]
fn an_adaptor_that_ends_early_cancels_what_operators_hold() {
    scenario("through, early, held").on(ALL).run(async |world| {
        type Step = fn(Pipeline<Item>) -> Pipeline<Item>;
        let steps: [Step; 6] = [
            |items| items.batch(2, Duration::ZERO).flatten(),
            |items| {
                // 0 alone, the others are held
                let batches =
                    items.batch_weighted(9, HOUR, |item| [9, 1][usize::from(item.index > 0)]);
                batches.flatten()
            },
            |items| {
                let batches = items.batch_by(|item| item.index, 1, HOUR);
                batches.flatten()
            },
            |items| items.throttle(Rate::new(1, HOUR)),
            |items| items.flat_map_stream(|item| stream::iter([item]).chain(stream::pending())),
            |items| items.through(|items| items),
        ];
        for step in steps {
            let flow = world.flow();
            flow.renumbers();
            let (sender, source) = Pipeline::channel(16);
            for index in 0..6 {
                sender.try_send(flow.item(index)).unwrap();
            }
            let job = step(source.into_pipeline())
                .through(some(1))
                .for_each(flow.receive());
            let mut run = flow.start(job).unwrap();
            let report = run.wait().await.unwrap();
            assert_eq!(report.outcome, Some(Outcome::Finished));
            flow.expect(0..1);
            conserved(&report.items);
            assert!(sender.is_closed());
        }
    });
}

/// The other branch of a split goes on.
#[test]
fn an_adaptor_that_ends_early_ends_its_branch() {
    scenario("through, early, branches")
        .on(ALL)
        .run(async |world| {
            let flow = world.flow();
            flow.renumbers();
            let (even, odd) =
                Pipeline::from_iter(flow.items(0..10_000)).split(|item| item.index % 2 == 0);
            let even = even.stage(flow.pass(2)).parallelism(2).through(some(3));
            let job = odd.for_each(flow.receive()).join(even.count());
            let report = flow.run(job).await.unwrap();
            assert_eq!(report.value.1, 3);
            flow.expect((0..10_000).filter(|n| n % 2 == 1));
            assert_eq!(report.items.delivered, 5_000 + 3 + 3);
            assert_eq!(report.items.cancelled, 5_000 - 3);

            // when both have had enough, the source has
            let flow = world.flow();
            flow.renumbers();
            let (even, odd) =
                Pipeline::from_iter(flow.items(0..u64::MAX)).split(|item| item.index % 2 == 0);
            let job = odd
                .through(some(5))
                .count()
                .join(even.through(some(3)).count());
            let report = flow.run(job).await.unwrap();
            assert_eq!(report.value, (5, 3));
            conserved(&report.items);
        });
}

/// One behind another: the second one ends the first.
#[test]
fn an_adaptor_that_ends_early_ends_the_one_before_it() {
    scenario("through, early, nested")
        .on(ALL)
        .run(async |world| {
            let flow = world.flow();
            flow.renumbers();
            let job = Pipeline::from_iter(flow.items(0..u64::MAX))
                .through(|items| items.chain(stream::pending()))
                .through(|items| items)
                .through(some(100))
                .for_each(flow.receive());
            let report = flow.run(job).await.unwrap();
            flow.expect(0..100);
            conserved(&report.items);
        });
}

/// An adaptor may go on without its items.
#[test]
fn an_adaptor_that_drops_its_items_may_go_on() {
    scenario("through, dropped").on(ALL).run(async |world| {
        let flow = world.flow();
        flow.renumbers();
        let extra: Vec<_> = (100..200).map(|index| flow.item(index)).collect();
        let job = Pipeline::from_source(flow.source(|_| ready(Ok(true))))
            .through(|items| items.take(2).chain(stream::iter(extra)))
            .for_each(flow.receive());
        flow.run(job).await.unwrap();
        flow.expect((0..2).chain(100..200));
        assert_eq!(flow.closes_of(Kind::Source), 1);
    });
}

/// The items may be read by another task; they end when the adaptor does.
#[test]
fn an_adaptor_may_take_its_items_elsewhere() {
    scenario("through, elsewhere").on(ALL).run(async |world| {
        for (takes, sends) in [(u64::MAX, true), (10, true), (0, false)] {
            let flow = world.flow();
            flow.renumbers();
            let (ended, mut end) = mpsc::channel::<()>(1);
            let job = Pipeline::from_iter(flow.items(0..1_000)).through(move |mut items| {
                let (sender, receiver) = mpsc::channel(4);
                tokio::spawn(async move {
                    let _ended = ended;
                    while let Some(item) = items.next().await {
                        if sends && sender.send(item).await.is_err() {
                            break;
                        }
                    }
                    // kept for a while after the end
                    drop(items.next().await);
                });
                let takes = usize::try_from(takes).unwrap_or(usize::MAX);
                stream::unfold(receiver, async |mut receiver| {
                    Some((receiver.recv().await?, receiver))
                })
                .take(takes)
            });
            let report = flow.run(job.for_each(flow.receive())).await.unwrap();
            flow.expect(0..takes.min(1_000));
            conserved(&report.items);
            assert_eq!(end.recv().await, None);
        }
    });
}

/// An item whose destructor panics, if it has an odd number.
struct Odd(Item);

impl Drop for Odd {
    fn drop(&mut self) {
        assert!(self.0.index.is_multiple_of(2), "a destructor");
    }
}

/// What was taken for an adaptor that has ended, and that it did not ask for, is dropped when its end is asked again or
/// dropped, and concerns nobody then.
#[test]
fn an_adaptor_may_keep_its_end_of_a_run_that_is_over() {
    scenario("through, kept").on(ALL).run(async |world| {
        for asks in [true, false] {
            let flow = world.flow();
            flow.renumbers();
            flow.cuts_short();
            let kept = Arc::new(Mutex::new(None));
            let keep = Arc::clone(&kept);
            let job = Pipeline::from_iter(flow.items(0..1_000))
                .map(Odd)
                .through(move |items| {
                    stream::once(async move {
                        let mut items = items;
                        let first = items.next().await;
                        *keep.lock().unwrap() = Some(items);
                        first.map(|odd| odd.0.index)
                    })
                });
            let report = flow.run(job.collect()).await.unwrap();
            assert_eq!(report.value, [Some(0)]);
            conserved(&report.items);
            assert_eq!((report.items.delivered, report.items.failed), (2, 0));
            let mut items = kept.lock().unwrap().take().unwrap();
            if asks {
                assert!(items.next().await.is_none());
                assert_eq!(flow.tally().alive(Class::Item), 0);
            }
        }
    });
}

/// Whatever is held when a run is cancelled is cancelled, and nothing is left.
#[test]
fn a_cancel_drops_the_adaptor() {
    scenario("through, cancel").on(ALL).run(async |world| {
        for how in ["cancel", "drop", "drain"] {
            let flow = world.flow();
            flow.renumbers();
            let job = Pipeline::from_iter(flow.items(0..u64::MAX))
                .through(|items| items.chunks(100))
                .flatten()
                .through(|items| items.then(|item| pending::<()>().map(|()| item)))
                .for_each(flow.receive());
            let mut run = flow.start(job).unwrap();
            let control = run.control();
            world.until(|| flow.pulled() > 100).await;
            match how {
                "cancel" => {
                    control.cancel();
                    assert!(matches!(cause(run.wait().await), Cause::Cancelled));
                }
                "drain" => {
                    control.drain(ms(10));
                    assert!(matches!(cause(run.wait().await), Cause::DeadlinePassed(_)));
                }
                _ => drop(run),
            }
            world.until(|| control.metrics().outcome.is_some()).await;
            let items = control.metrics().items;
            conserved(&items);
            // the first adaptor was done with all that it had been given but one
            assert!(items.cancelled > 0, "{items:?}");
        }
    });
}

/// A drain is the end of the adaptor's items, and it may give what it still has.
#[test]
fn a_drain_ends_the_items_of_an_adaptor() {
    scenario("through, drain").on(ALL).run(async |world| {
        let flow = world.flow();
        flow.renumbers();
        let (sender, source) = Pipeline::channel(16);
        let job = source
            .through(|items| items.chunks(100))
            .flatten()
            .for_each(flow.receive());
        let mut run = flow.start(job).unwrap();
        for index in 0..42 {
            sender.send(flow.item(index)).await.unwrap();
        }
        world.settled(|| flow.metrics().items.taken).await;
        run.control().drain(HOUR);
        let report = run.wait().await.unwrap();
        assert_eq!(report.outcome, Some(Outcome::Drained));
        flow.expect(0..42);
    });
}

/// Gives two items, and panics when it is asked for another one, or dropped.
struct Bomb {
    items: Upstream<Item>,
    given: u32,
    in_drop: bool,
}

impl Stream for Bomb {
    type Item = Item;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Item>> {
        match (self.given, self.in_drop) {
            (2, false) => panic!("adaptor"),
            (2, true) => return Poll::Ready(None),
            _ => {}
        }
        let polled = Pin::new(&mut self.items).poll_next(context);
        self.given += u32::from(polled.is_ready());
        polled
    }
}

impl Drop for Bomb {
    fn drop(&mut self) {
        assert!(!self.in_drop, "destructor");
    }
}

/// A panic of the adaptor ends the run, under its name; one of its destructor concerns nobody.
#[test]
fn a_panic_of_an_adaptor_ends_the_run() {
    scenario("through, panic").on(ALL).run(async |world| {
        let panicked = |cause: Cause| match cause {
            Cause::Stage(name, error) => (name, chain(&*error)),
            other => panic!("{other:?}"),
        };
        let bomb = |in_drop| {
            move |items| Bomb {
                items,
                given: 0,
                in_drop,
            }
        };
        let flow = world.flow();
        flow.renumbers();
        let job = Pipeline::from_iter(flow.items(0..10))
            .through(bomb(false))
            .for_each(flow.receive());
        let (name, text) = panicked(cause(flow.run(job).await));
        assert_eq!(&*name, "through");
        assert!(text.contains("adaptor"), "{text}");

        let flow = world.flow();
        flow.renumbers();
        let job = Pipeline::from_iter(flow.items(0..10))
            .through(|_| -> stream::Empty<Item> { panic!("maker") })
            .for_each(flow.receive());
        let (_, text) = panicked(cause(flow.run(job).await));
        assert!(text.contains("maker"), "{text}");

        let flow = world.flow();
        flow.renumbers();
        let job = Pipeline::from_iter(flow.items(0..10))
            .through(bomb(true))
            .for_each(flow.receive());
        flow.run(job).await.unwrap();
        flow.expect(0..2);
    });
}

/// A slow end is felt through the adaptor.
#[test]
fn an_adaptor_is_asked_while_there_is_room() {
    scenario("through, backpressure").run(async |world| {
        let flow = world.flow();
        flow.renumbers();
        let job = Pipeline::from_iter(flow.items(0..u64::MAX))
            .through(|items| items)
            .into_stream();
        flow.hears_end();
        let bound = job.plan().max_inside as u64;
        let mut items = flow.start(job).unwrap();
        sleep(HOUR).await;
        let pulled = flow.pulled();
        assert!(pulled <= bound, "{pulled} of {bound}");
        for index in 0..2 * bound {
            assert_eq!(items.next().await.unwrap().unwrap(), index);
        }
        sleep(HOUR).await;
        assert!(flow.pulled() <= 3 * bound);
    });
}

/// An adaptor that swallows everything leaves the thread to others.
#[test]
fn an_adaptor_that_gives_nothing_can_be_stopped() {
    scenario("through, nothing").on(ALL).run(async |world| {
        let flow = world.flow();
        flow.renumbers();
        let seen = Arc::new(AtomicUsize::new(0));
        let sees = Arc::clone(&seen);
        let job = Pipeline::from_iter(0..u64::MAX)
            .through(move |items| {
                items.filter(move |_| {
                    sees.fetch_add(1, Ordering::SeqCst);
                    ready(false)
                })
            })
            .count();
        let mut run = flow.start(job).unwrap();
        while seen.load(Ordering::SeqCst) < 10_000 {
            tokio::task::yield_now().await;
        }
        run.control().cancel();
        assert!(matches!(cause(run.wait().await), Cause::Cancelled));
    });
}

/// Many items, and large ones.
#[test]
fn many_items_go_through() {
    scenario("through, many").on(ALL).run(async |world| {
        let flow = world.flow();
        flow.renumbers();
        let job = Pipeline::from_iter(0..200_000_u64)
            .through(|items| items.map(|n| n + 1))
            .fold(0, |sum, n| sum + n);
        let report = flow.run(job).await.unwrap();
        assert_eq!(report.value, 200_000 * 200_001 / 2);
        assert_eq!(report.items.delivered, 400_000);

        let flow = world.flow();
        flow.renumbers();
        let job = Pipeline::from_iter(flow.items(0..1_000).map(|item| (item, [7_u8; 4_096])))
            .through(|items| items.filter(|(item, _)| ready(item.index % 2 == 0)))
            .for_each({
                let flow = flow.clone();
                move |(item, load)| {
                    assert!(load.iter().all(|byte| *byte == 7));
                    flow.hand(item);
                }
            });
        flow.run(job).await.unwrap();
        flow.expect((0..1_000).filter(|n| n % 2 == 0));
    });
}
