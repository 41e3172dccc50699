//! Branches: one pipeline becomes several, by `split`, `route` and `broadcast`.

use std::future::ready;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use futures_util::stream;
use pipeline_core::Schedule;
use pipeline_core::error::{BuildError, Cause, ErrorKind};
use pipeline_core::prelude::*;
use pipeline_core::report::Outcome;
use tests::prelude::*;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// The numbers of what arrived at an end.
#[derive(Clone, Default)]
struct Seen(Arc<Mutex<Vec<u64>>>);

impl Seen {
    fn push(&self, index: u64) {
        self.0.lock().unwrap().push(index);
    }

    fn list(&self) -> Vec<u64> {
        self.0.lock().unwrap().clone()
    }
}

/// Scenario 143: items are routed, worked on and merged: each of them comes out once.
#[test]
fn what_is_routed_and_merged_is_the_same() {
    scenario("143").on(ALL).in_both_orders().run(async |world| {
        let flow = world.flow();
        let inputs = [5, 2, 9, 1, 1, 1, 10];
        let source = flow.items(0..inputs.len() as u64);
        let (small, large) =
            Pipeline::from_iter(source).split(move |item| inputs[item.index as usize] < 5);
        let small = small
            .stage(flow.sleeps(4, |index| ms(index % 3)))
            .parallelism(4)
            .in_order(world.order());
        let large = large
            .stage(flow.pass(4))
            .parallelism(4)
            .in_order(world.order());
        let job = small.merge(large).for_each(flow.receive());
        let report = flow.run(job).await.unwrap();
        assert_eq!(report.items.delivered, 7);
        let mut out = flow.out();
        out.sort_unstable();
        assert_eq!(out, [0, 1, 2, 3, 4, 5, 6]);
    });
}

/// Each branch has the items that are for it, in their order.
#[test]
fn a_branch_keeps_the_order() {
    scenario("route").on(ALL).run(async |world| {
        let flow = world.flow();
        let branches: [_; 3] =
            Pipeline::from_iter(flow.items(0..5_000)).route(|item| item.index as usize % 3);
        let seen = [Seen::default(), Seen::default(), Seen::default()];
        let jobs = branches
            .into_iter()
            .zip(seen.clone())
            .map(|(branch, seen)| {
                let mut receive = flow.receive();
                branch.for_each(move |item| {
                    seen.push(item.index);
                    receive(item);
                })
            });
        flow.run(Job::join_all(jobs)).await.unwrap();
        for (rest, seen) in (0..).zip(seen) {
            let expected: Vec<u64> = (0..5_000).filter(|index| index % 3 == rest).collect();
            assert_eq!(seen.list(), expected);
        }
    });
}

/// Scenario 152: a branch that is not there is an error of that item, under the name of the step, and the run goes on.
#[test]
fn a_branch_that_is_not_there_fails_the_item() {
    scenario("152").on(ALL).run(async |world| {
        let flow = world.flow();
        let (errors, failures) = mpsc::channel(16);
        let [even, odd] = Pipeline::from_iter(flow.items(0..100)).route(|item| match item.index {
            42 => 7,
            43 => 2,
            index => index as usize % 2,
        });
        let job = even.merge(odd).for_each(flow.receive()).errors(errors);
        flow.run_failing(job, [42, 43]).await.unwrap();
        let errors = all_errors(failures).await;
        assert_eq!(origins(&errors), [42, 43]);
        for error in &errors {
            assert_eq!((error.stage(), error.kind()), ("route", ErrorKind::Failed));
        }
        assert!(
            chain(&errors[0]).contains("no branch 7"),
            "{}",
            chain(&errors[0])
        );
        assert_eq!(flow.out().len(), 98);
    });
}

/// A panic of the function fails its item, and no other one.
#[test]
fn a_panic_of_the_choice_fails_the_item() {
    scenario("panic of pick").on(ALL).run(async |world| {
        let flow = world.flow();
        let (errors, failures) = mpsc::channel(200);
        let (some, others) = Pipeline::from_iter(flow.items(0..1_000)).split(|item| {
            assert!(item.index % 10 != 3, "not this one");
            item.index % 2 == 0
        });
        let job = some.merge(others).for_each(flow.receive()).errors(errors);
        let fail = (0..1_000).filter(|index| index % 10 == 3);
        let report = flow.run_failing(job, fail.clone()).await.unwrap();
        let errors = all_errors(failures).await;
        assert_eq!(origins(&errors), fail.collect::<Vec<_>>());
        assert!(
            errors
                .iter()
                .all(|error| error.kind() == ErrorKind::Panicked && error.stage() == "split")
        );
        assert_eq!(report.stages[0].panics, 100);
        assert_eq!(report.items.delivered, 900);
    });
}

/// An item for a branch that is full waits, and those behind it. No more is taken than the plan says.
#[test]
fn a_full_branch_holds_up_the_others() {
    scenario("full branch").on(ALL).run(async |world| {
        let (flow, gate) = (world.flow(), Gate::new());
        let (first, rest) =
            Pipeline::from_iter(flow.items(0..20_000)).split(|item| item.index % 2 == 0);
        let slow = first.stage(flow.body_with(1, gate.clone(), |item, gate| async move {
            gate.pass().await;
            Ok(item)
        }));
        let job = slow
            .for_each(flow.receive())
            .join(rest.for_each(flow.receive()));
        let bound = job.plan().max_inside as u64;
        let mut run = flow.start(job).unwrap();
        let pulled = world.settled(|| flow.pulled()).await;
        assert!(pulled < 2 * bound, "{pulled} of {bound}");
        gate.open();
        run.wait().await.unwrap();
        assert_eq!(flow.out().len(), 20_000);
    });
}

/// Each branch gets each item, in order; a source item is delivered once, when all branches are done with it.
#[test]
fn a_broadcast_gives_each_item_to_all() {
    scenario("broadcast").on(ALL).run(async |world| {
        let flow = world.flow();
        let [first, second, third] = Pipeline::from_iter(flow.parcels(0..3_000)).broadcast();
        let (seen, also_seen) = (Seen::default(), Seen::default());
        let (sees, also_sees) = (seen.clone(), also_seen.clone());
        let mut receive = flow.receive();
        let first = first.for_each(move |parcel| sees.push(parcel.index));
        let second = second
            .then(|parcel: Parcel| async move {
                tokio::task::yield_now().await;
                parcel
            })
            .parallelism(8)
            .for_each(move |parcel| also_sees.push(parcel.index));
        let third = third.for_each(move |parcel| receive(parcel.open()));
        let report = flow.run(first.join(second).join(third)).await.unwrap();
        assert_eq!((report.items.taken, report.items.delivered), (3_000, 3_000));
        // the last branch got the items themselves
        assert_eq!(flow.copies(), 6_000);
        let all: Vec<u64> = (0..3_000).collect();
        assert_eq!(seen.list(), all);
        assert_eq!(also_seen.list(), all);
        flow.expect(0..3_000);
    });
}

/// A source item has failed if one branch has failed it, and was delivered if one has delivered it and the others left
/// it out.
#[test]
fn an_item_of_several_branches_has_one_fate() {
    scenario("fates").on(ALL).run(async |world| {
        let flow = world.flow();
        let (errors, failures) = mpsc::channel(200);
        let [checked, kept] = Pipeline::from_iter(0..100u64).broadcast();
        let checked = checked
            .try_map(|n| {
                if n % 10 == 0 {
                    Err(format!("{n}"))
                } else {
                    Ok(n)
                }
            })
            .filter(|n| n % 2 == 1);
        let kept = kept.filter(|n| n % 3 == 0);
        let job = checked.count().join(kept.count()).errors(errors);
        let report = flow
            .run_failing(job, (0..100).filter(|n| n % 10 == 0))
            .await
            .unwrap();
        assert_eq!(report.value, (50, 34));
        assert_eq!(origins(&all_errors(failures).await).len(), 10);
        let items = report.items;
        let delivered = (0..100)
            .filter(|n| n % 10 != 0 && (n % 2 == 1 || n % 3 == 0))
            .count();
        assert_eq!(items.delivered, delivered as u64);
        assert_eq!((items.failed, items.filtered), (10, 90 - delivered as u64));
    });
}

/// Counts its copies, and panics at the second one of some.
struct Fragile(u64, Arc<AtomicU64>);

impl Clone for Fragile {
    fn clone(&self) -> Self {
        let copies = self.1.fetch_add(1, Ordering::SeqCst);
        assert!(
            self.0 % 10 != 4 || copies.is_multiple_of(2),
            "a copy too many"
        );
        Fragile(self.0, Arc::clone(&self.1))
    }
}

/// A panic of `Clone` fails the item before any branch has got it.
#[test]
fn a_panic_of_clone_fails_the_item_everywhere() {
    scenario("panic of clone").on(ALL).run(async |world| {
        let flow = world.flow();
        let (errors, failures) = mpsc::channel(200);
        let [a, b, c] =
            Pipeline::from_iter((0..100).map(|n| Fragile(n, Arc::default()))).broadcast();
        let jobs = [a, b, c].map(|branch| branch.map(|item| item.0).collect());
        let job = Job::join_all(jobs).errors(errors);
        let fail = (0..100).filter(|n| n % 10 == 4);
        let report = flow.run_failing(job, fail.clone()).await.unwrap();
        let errors = all_errors(failures).await;
        assert_eq!(origins(&errors), fail.collect::<Vec<_>>());
        assert!(errors.iter().all(|error| error.stage() == "broadcast"));
        let expected: Vec<u64> = (0..100).filter(|n| n % 10 != 4).collect();
        assert!(report.value.iter().all(|values| *values == expected));
    });
}

/// The slowest branch holds up the others, and what is inside stays within the plan.
#[test]
fn the_slowest_branch_holds_up_a_broadcast() {
    scenario("slow branch").on(ALL).run(async |world| {
        let (flow, gate) = (world.flow(), Gate::new());
        let [slow, fast] = Pipeline::from_iter(flow.parcels(0..10_000)).broadcast();
        let passes = gate.clone();
        let slow = slow.then(move |parcel| {
            let gate = passes.clone();
            async move {
                gate.pass().await;
                parcel
            }
        });
        let seen = Arc::new(AtomicU64::new(0));
        let sees = Arc::clone(&seen);
        let fast = fast.for_each(move |_| {
            sees.fetch_add(1, Ordering::SeqCst);
        });
        let mut receive = flow.receive();
        let job = slow
            .for_each(move |parcel| receive(parcel.open()))
            .join(fast);
        let bound = job.plan().max_inside as u64;
        let mut run = flow.start(job).unwrap();
        let pulled = world.settled(|| flow.pulled()).await;
        assert!(pulled <= bound, "{pulled} of {bound}");
        assert!(seen.load(Ordering::SeqCst) < pulled);
        gate.open();
        run.wait().await.unwrap();
        assert_eq!(seen.load(Ordering::SeqCst), 10_000);
    });
}

/// Large items, which travel in boxes, are branched and joined like others.
#[test]
fn large_items_are_branched_and_joined() {
    scenario("large").on(ALL).run(async |world| {
        let flow = world.flow();
        let source = Pipeline::from_iter((0..600u64).map(|n| [n; 200]));
        let [first, second] = source.broadcast();
        let (even, odd) = second.split(|item| item[7] % 2 == 0);
        let sorted = even.merge_ordered(odd.map(|item| item), |item| item[0]);
        let job = first.zip(sorted).map(|(a, b)| (a[199], b[0])).collect();
        let pairs = flow.run(job).await.unwrap().value;
        assert!(pairs.iter().zip(0..600).all(|(pair, n)| *pair == (n, n)));
        assert_eq!(pairs.len(), 600);
    });
}

/// What an operator has made is handed on before it waits: an item that comes alone comes out.
#[test]
fn an_item_that_comes_alone_comes_out() {
    type End = mpsc::UnboundedSender<u64>;
    type Flow = fn(Pipeline<u64>, End) -> Job<()>;
    let operators: Vec<(&str, Flow)> = vec![
        ("split", |source, end| {
            let (even, odd) = source.split(|n| n % 2 == 0);
            even.merge(odd).for_each(move |n| end.send(n).unwrap())
        }),
        ("route", |source, end| {
            let routes: [_; 3] = source.route(|n| (n % 3) as usize);
            Pipeline::merge_all(routes).for_each(move |n| end.send(n).unwrap())
        }),
        ("broadcast, zip", |source, end| {
            let [a, b] = source.broadcast();
            a.zip(b).for_each(move |(n, _)| end.send(n).unwrap())
        }),
        ("merge_ordered", |source, end| {
            let [a, b] = source.broadcast();
            // the second one of two that are equal waits for the next
            let both = a.merge_ordered(b, |n| *n);
            both.for_each(move |n| end.send(n).unwrap())
        }),
        ("flat_map", |source, end| {
            let parts = source.flat_map(|n| [n]);
            parts.for_each(move |n| end.send(n).unwrap())
        }),
        ("flat_map_stream", |source, end| {
            let parts = source.flat_map_stream(|n| stream::iter([n]));
            parts.for_each(move |n| end.send(n).unwrap())
        }),
        ("batch", |source, end| {
            let batches = source.batch(1, ms(3_600_000));
            batches.for_each(move |batch| end.send(batch[0]).unwrap())
        }),
        ("batch_by", |source, end| {
            let batches = source.batch_by(|n| *n, 1, ms(3_600_000));
            batches.for_each(move |batch| end.send(batch[0]).unwrap())
        }),
        ("throttle", |source, end| {
            let slow = source.throttle(Rate::per_second(1_000));
            slow.for_each(move |n| end.send(n).unwrap())
        }),
        ("delay", |source, end| {
            let late = source.delay(ms(1), 10);
            late.for_each(move |n| end.send(n).unwrap())
        }),
        ("delay_until", |source, end| {
            let late = source.delay_until(|_| Instant::now(), 10);
            late.for_each(move |n| end.send(n).unwrap())
        }),
        ("delay_by", |source, end| {
            let late = source.delay_by(&Schedule::new(), |n| (*n, Instant::now()), 10);
            late.for_each(move |n| end.send(n).unwrap())
        }),
        ("through", |source, end| {
            let same = source.through(|items| items);
            same.for_each(move |n| end.send(n).unwrap())
        }),
    ];
    scenario("alone").on(ALL).run(async move |_| {
        for (name, operator) in &operators {
            let (sender, source) = Pipeline::channel(8);
            let (end, mut out) = mpsc::unbounded_channel();
            let mut run = operator(source, end).start().unwrap();
            for n in 0..3 {
                sender.send(n).await.unwrap();
                while out.recv().await.expect(name) != n {}
            }
            drop(sender);
            run.wait().await.unwrap();
        }
    });
}

/// As many items as a moment allows go through branches and come together again.
#[test]
fn many_items_go_through_branches() {
    scenario("many").on(THREADS).run(async |world| {
        let flow = world.flow();
        let [a, b, c] = Pipeline::from_iter(0..100_000u64).route(|n| (n % 3) as usize);
        let job = Pipeline::merge_all([a, b, c]).fold(0, |sum, n| sum + n);
        let report = flow.run(job).await.unwrap();
        assert_eq!(report.value, 100_000 * 99_999 / 2);
    });
}

/// A cancel in the middle, a drop of the owner in the middle: nothing is lost from the account.
#[test]
fn branches_are_cancelled_in_the_middle() {
    for drops in [false, true] {
        scenario("cancel").on(ALL).run(async move |world| {
            let flow = world.flow();
            let [left, right] = Pipeline::from_iter(flow.parcels(0..u64::MAX)).broadcast();
            let (some, others) = left.split(|parcel| parcel.index % 3 == 0);
            let left = some.merge_ordered(others, |parcel| parcel.index);
            let job = left.zip(right).for_each({
                let flow = flow.clone();
                flow.hears_end();
                move |(left, _right)| flow.hand(left.open())
            });
            flow.cuts_short();
            let mut run = flow.start(job).unwrap();
            world.until(|| flow.out().len() > 1_000).await;
            if drops {
                drop(run);
            } else {
                run.control().cancel();
                assert!(matches!(cause(run.wait().await), Cause::Cancelled));
            }
        });
    }
}

/// A drain delivers in all branches what was taken.
#[test]
fn branches_are_drained() {
    scenario("drain").on(ALL).run(async |world| {
        let flow = world.flow();
        let [left, right] = Pipeline::from_iter(flow.parcels(0..u64::MAX)).broadcast();
        let mut receive = flow.receive();
        let left = left.for_each(move |parcel| receive(parcel.open()));
        let job = left.join(right.then(ready).parallelism(3).count());
        let mut run = flow.start(job).unwrap();
        world.until(|| flow.out().len() > 1_000).await;
        run.control().drain(ms(3_600_000));
        let report = run.wait().await.unwrap();
        assert_eq!(report.outcome, Some(Outcome::Drained));
        assert_eq!(report.value.1, flow.pulled());
        flow.expect(0..flow.pulled());
    });
}

/// A branch that leads nowhere, or into another job, is refused at the start, with the name of the step.
#[test]
fn a_branch_that_leads_nowhere_is_refused() {
    scenario("unconnected").on(ALL).run(async |world| {
        let flow = world.flow();
        let (some, others) = Pipeline::from_iter(flow.items(0..9)).split(|item| item.index > 3);
        drop(others);
        let error = flow.start(some.for_each(flow.receive())).unwrap_err();
        assert!(matches!(&error, BuildError::Unconnected(name, 1) if &**name == "split"));
        assert!(error.to_string().contains("branch 1 of `split`"), "{error}");

        let [a, b, c] = Pipeline::from_iter(flow.items(0..9)).route(|_| 0);
        let job = a.merge(c).for_each(flow.receive());
        let error = flow.start(job).unwrap_err();
        assert!(matches!(error, BuildError::Unconnected(name, 1) if &*name == "route"));
        let error = flow.start(b.for_each(flow.receive())).unwrap_err();
        assert!(matches!(error, BuildError::Unconnected(_, 0)));

        // each branch in a job of its own
        let [a, b] = Pipeline::from_iter(0..9).broadcast();
        let (first, second) = (a.count(), b.count());
        assert!(matches!(
            first.start().unwrap_err(),
            BuildError::Unconnected(_, 1)
        ));
        assert!(matches!(
            second.start().unwrap_err(),
            BuildError::Unconnected(_, 0)
        ));
        assert_eq!(flow.pulled(), 0);
    });
}
