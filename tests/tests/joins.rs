//! Joins: several pipelines become one, by `merge`, `merge_ordered` and `zip`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::stream;
use pipeline_core::error::{Cause, ErrorKind};
use pipeline_core::prelude::*;
use pipeline_core::report::Outcome;
use tests::prelude::*;
use tests::tally::Class;
use tokio::sync::mpsc;
use tokio::time::sleep;

const HOUR: std::time::Duration = ms(3_600_000);

/// Scenario 150: one input ends at once, the other one gives four items.
#[test]
fn a_merge_ends_with_its_last_input() {
    scenario("150").on(ALL).run(async |world| {
        let flow = world.flow();
        let empty = Pipeline::from_iter(flow.items(0..0));
        let job = empty
            .merge(Pipeline::from_iter(flow.items(0..4)))
            .for_each(flow.receive());
        let report = flow.run(job).await.unwrap();
        assert_eq!(report.outcome, Some(Outcome::Finished));
        flow.expect(0..4);
    });
}

/// Scenario 150: one source fails: the run has failed, and what was taken from the others is delivered.
#[test]
fn a_merge_fails_with_one_of_its_sources() {
    scenario("150, failure").on(ALL).run(async |world| {
        let flow = world.flow();
        let fault = flow.fault("no more");
        let fault = std::sync::Mutex::new(Some(fault));
        let source = flow.source(move |index| {
            let end = if index < 3 {
                None
            } else {
                fault.lock().unwrap().take()
            };
            async move { end.map_or(Ok(true), Err) }
        });
        let four = Pipeline::from_iter(flow.items(100..104));
        let job = Pipeline::from_source(source)
            .merge(four)
            .for_each(flow.receive());
        let cause = cause(flow.run(job).await);
        assert!(matches!(&cause, Cause::Source(error) if error.to_string() == "no more"));
        let mut out = flow.out();
        out.sort_unstable();
        assert_eq!(out, [0, 1, 2, 100, 101, 102, 103]);
    });
}

/// A failed item of one input fails the run by the policy, and all sources end with it.
#[test]
fn a_failed_item_of_one_input_ends_all() {
    scenario("failed item").on(ALL).run(async |world| {
        let flow = world.flow();
        let endless = Pipeline::from_iter(flow.items(1_000..u64::MAX));
        let breaks =
            Pipeline::from_iter(flow.items(0..10)).stage(flow.breaks(1, |index| index == 5));
        let job = endless.merge(breaks).for_each(flow.receive());
        let failure = failure(flow.run(job).await);
        assert_eq!(
            (failure.origin().first(), failure.origin().source()),
            (5, 1)
        );
    });
}

/// Of each input the order is kept. On one thread, where all sources begin at once, one that has little is not kept from its
/// turn by those that always have something.
#[test]
fn a_merge_is_fair() {
    scenario("fair").on(ALL).run(async |world| {
        let flow = world.flow();
        let busy =
            [0, 1_000_000, 2_000_000].map(|n| Pipeline::from_iter(flow.items(n..n + 10_000)));
        let few = Pipeline::from_iter(flow.items(9_000_000..9_000_050));
        let job = Pipeline::merge_all(busy.into_iter().chain([few])).for_each(flow.receive());
        flow.run(job).await.unwrap();
        let out = flow.out();
        assert_eq!(out.len(), 30_050);
        let last = out.iter().rposition(|index| *index >= 9_000_000).unwrap();
        assert!(
            world.machine() != Machine::Paused || last < 5_000,
            "the last of few came as number {last}"
        );
        for input in [0, 1, 2, 9] {
            let of_one = out.iter().filter(|index| **index / 1_000_000 == input);
            assert!(of_one.is_sorted());
        }
    });
}

/// Two inputs that are always full take turns of a lot each.
#[test]
fn full_inputs_take_turns() {
    scenario("turns").run(async |world| {
        let (flow, gate) = (world.flow(), Gate::new());
        let [a, b] = [0, 100_000].map(|n| Pipeline::from_iter(flow.items(n..n + 3_000)));
        let slow = a
            .merge(b)
            .stage(flow.body_with(1, gate.clone(), |item, gate| async move {
                gate.pass().await;
                Ok(item)
            }));
        let mut run = flow.start(slow.window(1).for_each(flow.receive())).unwrap();
        world.settled(|| flow.pulled()).await;
        gate.open();
        run.wait().await.unwrap();
        let mut turns = Vec::new();
        for index in flow.out() {
            match turns.last_mut() {
                Some((of, length)) if *of == index / 100_000 => *length += 1,
                _ => turns.push((index / 100_000, 1)),
            }
        }
        let longest = turns.iter().map(|(_, length)| *length).max().unwrap();
        assert!(longest <= 64, "{longest} in a row");
    });
}

/// What has nothing to give does not hold up others, and items come without delay.
#[test]
fn a_silent_input_holds_up_nobody() {
    scenario("silent").run(async |world| {
        let flow = world.flow();
        let silent = Pipeline::from_stream(stream::pending());
        let (sender, spoken) = Pipeline::channel(8);
        let mut run = flow.start(silent.merge(spoken).into_stream()).unwrap();
        let watch = Stopwatch::start();
        for index in 0..5 {
            sender.send(flow.item(index)).await.unwrap();
            assert_eq!(run.next().await.unwrap().unwrap(), index);
        }
        watch.expect(ms(0));
        run.control().drain(HOUR);
        assert!(run.next().await.is_none());
    });
}

/// Of no pipelines, of one, of many.
#[test]
fn any_number_of_pipelines_is_merged() {
    scenario("any number").on(ALL).run(async |_world| {
        let none = Pipeline::merge_all(Vec::<Pipeline<u64>>::new());
        assert_eq!(none.collect().run().await.unwrap().value, []);
        let none = Pipeline::merge_all_ordered(Vec::<Pipeline<u64>>::new(), |n| *n);
        assert_eq!(
            none.map(|n| n)
                .parallelism(2)
                .count()
                .run()
                .await
                .unwrap()
                .value,
            0
        );
        let one = Pipeline::merge_all([Pipeline::from_iter(0..100)]);
        assert_eq!(one.count().run().await.unwrap().value, 100);
        let many = (0..40u64).map(|n| Pipeline::from_iter((0..50).map(move |i| i * 40 + n)));
        let report = Pipeline::merge_all_ordered(many, |n| *n)
            .collect()
            .run()
            .await
            .unwrap();
        assert_eq!(report.value, (0..2_000).collect::<Vec<_>>());
    });
}

/// Sorted inputs give a sorted output, whatever the lengths and speeds; equal keys come in the order of the inputs.
#[test]
fn a_merge_in_order_is_sorted() {
    scenario("sorted").on(ALL).run(async |world| {
        let flow = world.flow();
        let mut random = Random::new(7);
        // 3,000 numbers, each to one of four inputs
        let mut lists = vec![Vec::new(); 4];
        for index in 0..3_000 {
            lists[random.below(4) as usize].push(index);
        }
        let pipelines = lists.into_iter().enumerate().map(|(place, list)| {
            let flow = flow.clone();
            let items = Pipeline::from_iter(list.into_iter().map(move |index| flow.pull(index)));
            items.then(move |item| async move {
                if item.index % 97 == place as u64 {
                    sleep(ms(1)).await;
                }
                item
            })
        });
        let job =
            Pipeline::merge_all_ordered(pipelines, |item| item.index).for_each(flow.receive());
        flow.run(job).await.unwrap();
        assert_eq!(flow.out(), (0..3_000).collect::<Vec<_>>());

        let inputs = (0..3).map(|input| Pipeline::from_iter((0..500).map(move |n| (n / 2, input))));
        let merged = Pipeline::merge_all_ordered(inputs, |(n, _)| *n).collect();
        let values = merged.run().await.unwrap().value;
        assert!(values.is_sorted(), "equal keys in the order of the inputs");
        assert_eq!(values.len(), 1_500);
    });
}

/// An input that is not sorted makes the output unsorted, and nothing is lost.
#[test]
fn a_merge_of_unsorted_inputs_loses_nothing() {
    scenario("unsorted").on(ALL).run(async |world| {
        let flow = world.flow();
        let down = Pipeline::from_iter((0..500).rev().map({
            let flow = flow.clone();
            move |index| flow.pull(index)
        }));
        let up = Pipeline::from_iter(flow.items(500..1_000));
        let job = down
            .merge_ordered(up, |item| item.index)
            .for_each(flow.receive());
        flow.run(job).await.unwrap();
        let mut out = flow.out();
        out.sort_unstable();
        assert_eq!(out, (0..1_000).collect::<Vec<_>>());
    });
}

/// It waits for the next item of every input that has not ended.
#[test]
fn a_merge_in_order_waits_for_all() {
    scenario("waits").run(async |world| {
        let flow = world.flow();
        let (slow, late) = Pipeline::channel(4);
        let job = Pipeline::from_iter(flow.items(0..10))
            .merge_ordered(late, |item| item.index)
            .for_each(flow.receive());
        let mut run = flow.start(job).unwrap();
        assert_eq!(world.settled(|| flow.out()).await, []);
        slow.send(flow.pull(100)).await.unwrap();
        // the first one has ended, so that 100 is the lowest key
        assert_eq!(world.settled(|| flow.out().len()).await, 11);
        drop(slow);
        run.wait().await.unwrap();
        assert_eq!(flow.out().last(), Some(&100));
    });
}

/// A key whose comparison panics.
#[derive(PartialEq, Eq)]
struct Key(u64);

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Key {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        assert!(self.0 % 100 != 7 && other.0 % 100 != 7, "no comparison");
        self.0.cmp(&other.0)
    }
}

/// A panic of the key function, and one of a comparison, fail an item each, and the rest stays sorted.
#[test]
fn a_panic_of_a_key_fails_its_item() {
    scenario("panic of key").on(ALL).run(async |world| {
        let flow = world.flow();
        let (errors, failures) = mpsc::channel(2_000);
        let [even, odd] = [0, 1].map(|n| {
            let flow = flow.clone();
            Pipeline::from_iter((0..500).map(move |i| flow.pull(2 * i + n)))
        });
        let merged = even.merge_ordered(odd, |item| {
            assert!(item.index % 100 != 50, "no key");
            Key(item.index)
        });
        let job = merged.for_each(flow.receive()).errors(errors);
        let fail = (0..1_000).filter(|index| index % 100 == 50 || index % 100 == 7);
        let report = flow.run_failing(job, fail).await.unwrap();
        assert_eq!((report.items.failed, report.stages[0].panics), (20, 20));
        assert!(flow.out().is_sorted());
        let errors = all_errors(failures).await;
        assert!(
            errors.iter().all(
                |error| error.stage() == "merge_ordered" && error.kind() == ErrorKind::Panicked
            )
        );
    });
}

/// Pairs are made in order, and the shorter input ends the run: what has no partner is cancelled, and the source of the
/// longer one is closed.
#[test]
fn a_zip_ends_with_the_shorter_input() {
    for first_is_short in [false, true] {
        scenario("zip").on(ALL).run(async move |world| {
            let flow = world.flow();
            let source = flow.source(|_| async { Ok(true) });
            let endless = Pipeline::from_source(source)
                .stage(flow.pass(4))
                .parallelism(4);
            let short = Pipeline::from_iter(flow.items(1_000_000..1_000_500));
            flow.cuts_short();
            flow.hears_end();
            let hands = flow.clone();
            let receive = move |(a, b): (Item, Item)| {
                assert_eq!(a.index.abs_diff(b.index), 1_000_000);
                hands.hand(a);
                hands.hand(b);
            };
            let report = if first_is_short {
                flow.run(short.zip(endless).for_each(receive)).await
            } else {
                flow.run(endless.zip(short).for_each(receive)).await
            };
            let report = report.unwrap();
            assert_eq!(report.outcome, Some(Outcome::Finished));
            assert_eq!(report.items.delivered, 1_000);
            assert_eq!(report.items.cancelled, flow.pulled() - 1_000);
        });
    }
}

/// A pair is given when both of its items are there, and does not wait for more.
#[test]
fn a_pair_is_given_at_once() {
    scenario("zip, one by one").on(ALL).run(async |world| {
        let flow = world.flow();
        let (left, odd) = Pipeline::channel(8);
        let (right, even) = Pipeline::channel(8);
        flow.hears_end();
        let hands = flow.clone();
        let job = odd.zip(even).for_each(move |(a, b): (Item, Item)| {
            hands.hand(a);
            hands.hand(b);
        });
        let mut run = flow.start(job).unwrap();
        for index in 0..3 {
            assert!(left.send(flow.pull(2 * index)).await.is_ok());
            assert!(right.send(flow.pull(2 * index + 1)).await.is_ok());
            world
                .until(|| flow.out().len() as u64 == 2 * index + 2)
                .await;
        }
        drop((left, right));
        run.wait().await.unwrap();
        flow.expect(0..6);
    });
}

/// An input that is empty ends a zip at once, though the other one never gives anything.
#[test]
fn a_zip_with_nothing_ends_at_once() {
    scenario("zip with nothing").on(ALL).run(async |world| {
        for empty_first in [false, true] {
            let flow = world.flow();
            let (empty, silent) = (
                Pipeline::from_iter(0..0u64),
                Pipeline::from_stream(stream::pending::<u64>()),
            );
            let silent = silent
                .batch(10, ms(1_000))
                .then(async |batch| batch)
                .parallelism(2);
            let report = if empty_first {
                flow.run(empty.zip(silent).count()).await
            } else {
                flow.run(silent.zip(empty).count()).await
            };
            assert_eq!(report.unwrap().value, 0);
        }
    });
}

/// What is before the longer input comes to an end through every kind of step, also in the middle of a body, and an
/// operator does not go on for nobody.
#[test]
fn a_zip_ends_all_that_is_before_it() {
    scenario("zip ends all").on(ALL).run(async |world| {
        let flow = world.flow();
        flow.cuts_short();
        let [left, right] =
            Pipeline::from_iter(flow.items(0..u64::MAX)).route(|item| item.index as usize % 2);
        let held = Pipeline::from_iter(flow.items(u64::MAX / 2..u64::MAX))
            .stage(flow.body(2, |item| async move {
                if item.index == u64::MAX / 2 + 200 {
                    std::future::pending::<()>().await;
                }
                Ok(item)
            }))
            .parallelism(2);
        let endless = Pipeline::merge_all([
            left.into_pipeline(),
            right.into_pipeline(),
            held.into_pipeline(),
        ]);
        let endless = endless.batch(3, HOUR).batch(2, HOUR);
        let job = endless.zip(Pipeline::from_iter(flow.items(7..12))).count();
        let report = flow.run(job).await.unwrap();
        assert_eq!((report.value, report.outcome), (5, Some(Outcome::Finished)));
    });
}

/// An error behind a zip names the items of both, and fails both.
#[test]
fn a_pair_that_fails_fails_both() {
    scenario("pair").on(ALL).run(async |world| {
        let flow = world.flow();
        let (errors, failures) = mpsc::channel(16);
        let [a, b] = [0, 100].map(|n| Pipeline::from_iter(flow.items(n..n + 10)));
        let hands = flow.clone();
        flow.hears_end();
        let job = a
            .zip(b)
            .try_map(|(a, b)| {
                if a.index == 4 {
                    Err(a.fault("no"))
                } else {
                    Ok((a, b))
                }
            })
            .for_each(move |(a, b)| {
                hands.hand(a);
                hands.hand(b);
            })
            .errors(errors);
        let report = flow.run_failing(job, [4, 104]).await.unwrap();
        let error = only_error(failures).await;
        let origin = error.origin();
        assert_eq!((origin.first(), origin.count(), origin.source()), (4, 2, 0));
        assert_eq!(origin.to_string(), "item 4 and others");
        assert_eq!((report.items.delivered, report.items.failed), (18, 2));
    });
}

/// Joined again, the copies of an item are one item.
#[test]
fn what_was_one_item_is_one_again() {
    scenario("one again").on(ALL).run(async |world| {
        let flow = world.flow();
        let [a, b] = Pipeline::from_iter(flow.parcels(0..2_000)).broadcast();
        let a = a.then(async |parcel| parcel).parallelism(4);
        let hands = flow.clone();
        flow.hears_end();
        let job = a.zip(b).for_each(move |(a, b)| {
            assert_eq!(a.index, b.index);
            hands.hand(a.open());
        });
        let report = flow.run(job).await.unwrap();
        assert_eq!(report.items.delivered, 2_000);
        flow.expect(0..2_000);
    });
}

/// A slow end holds up all inputs of each kind of join: no more is taken than the plan says.
#[test]
fn a_slow_end_holds_up_joins() {
    scenario("slow end").on(ALL).run(async |world| {
        for kind in 0..3 {
            let (flow, gate) = (world.flow(), Gate::new());
            let [a, b] = [0, 50_000].map(|n| Pipeline::from_iter(flow.items(n..n + 5_000)));
            let passes = gate.clone();
            let hands = flow.clone();
            flow.hears_end();
            let end = move |items: Vec<Item>| {
                let (gate, flow) = (passes.clone(), hands.clone());
                async move {
                    gate.pass().await;
                    items.into_iter().for_each(|item| flow.hand(item));
                    Ok::<_, BoxError>(())
                }
            };
            let job = match kind {
                0 => a.merge(b).map(|item| vec![item]).try_for_each(end),
                1 => a
                    .merge_ordered(b, |item| item.index)
                    .map(|item| vec![item])
                    .try_for_each(end),
                _ => a.zip(b).map(|(a, b)| vec![a, b]).try_for_each(end),
            };
            let bound = job.plan().max_inside as u64;
            let mut run = flow.start(job).unwrap();
            let pulled = world.settled(|| flow.pulled()).await;
            assert!(pulled <= bound, "{pulled} of {bound}");
            gate.open();
            run.wait().await.unwrap();
            assert_eq!(flow.out().len(), 10_000);
        }
    });
}

/// A cancel, a drop of the owner and a drain in the middle of each kind of join.
#[test]
fn joins_are_stopped_in_the_middle() {
    for (kind, end) in (0..3).flat_map(|kind| (0..3).map(move |end| (kind, end))) {
        scenario("stopped").on(ALL).run(async move |world| {
            let flow = world.flow();
            let [a, b] =
                [0, u64::MAX / 2].map(|n| Pipeline::from_iter(flow.items(n..u64::MAX / 2 + n)));
            let hands = flow.clone();
            flow.hears_end();
            let receive =
                move |items: Vec<Item>| items.into_iter().for_each(|item| hands.hand(item));
            let job = match kind {
                0 => a.merge(b).map(|item| vec![item]).for_each(receive),
                1 => a
                    .merge_ordered(b, |item| item.index % 1_000)
                    .map(|item| vec![item])
                    .for_each(receive),
                _ => a.zip(b).map(|(a, b)| vec![a, b]).for_each(receive),
            };
            flow.cuts_short();
            let mut run = flow.start(job).unwrap();
            world.until(|| flow.out().len() > 500).await;
            match end {
                0 => {
                    run.control().cancel();
                    assert!(matches!(cause(run.wait().await), Cause::Cancelled));
                }
                1 => {
                    run.control().drain(HOUR);
                    let report = run.wait().await.unwrap();
                    assert_eq!(report.outcome, Some(Outcome::Drained));
                    // a zip may have been drained with more of the one than of the other
                    assert!(kind == 2 || report.items.cancelled == 0);
                }
                _ => drop(run),
            }
        });
    }
}

/// An item whose destructor panics.
struct Sharp(Item);

impl Drop for Sharp {
    fn drop(&mut self) {
        assert!(self.0.index.is_multiple_of(2), "a destructor");
    }
}

/// Destructors that panic take nobody down when what has no partner is dropped.
#[test]
fn destructors_of_what_has_no_partner_may_panic() {
    scenario("destructors").on(ALL).run(async |world| {
        let flow = world.flow();
        flow.cuts_short();
        let sharp = Pipeline::from_iter(flow.items(0..10_000).map(Sharp)).then(async |item| item);
        let job = sharp.zip(Pipeline::from_iter(0..0)).count();
        let report = flow.run(job).await.unwrap();
        assert_eq!(report.value, 0);
        assert_eq!(report.items.cancelled, report.items.taken);
        assert_eq!(world.tally().alive(Class::Item), 0);
    });
}

/// Many items through each kind of join.
#[test]
fn many_items_go_through_joins() {
    scenario("many").on(THREADS).run(async |world| {
        let flow = world.flow();
        let (evens, odds) = (
            (0..20_000u64).map(|n| 2 * n),
            (0..20_000u64).map(|n| 2 * n + 1),
        );
        let sorted = Pipeline::from_iter(evens).merge_ordered(Pipeline::from_iter(odds), |n| *n);
        let merged = sorted
            .zip(Pipeline::from_iter(0..))
            .merge(Pipeline::from_iter((0..20_000).map(|n| (n, n))));
        let wrong = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&wrong);
        let job = merged.for_each(move |(n, place)| {
            counter.fetch_add(u64::from(n != place), Ordering::SeqCst);
        });
        flow.cuts_short();
        let report = flow.run(job).await.unwrap();
        assert_eq!(wrong.load(Ordering::SeqCst), 0);
        assert_eq!(report.items.delivered, 100_000);
    });
}
