//! Order by key: items of one key one at a time and in order, those of others side by side.

use std::collections::HashMap;
use std::future::pending;
use std::hash::{Hash, Hasher};
use std::panic::resume_unwind;
use std::sync::{Arc, Mutex};

use pipeline_core::error::{BuildError, Cause, ErrorKind};
use pipeline_core::prelude::*;
use pipeline_core::report::Outcome;
use tests::prelude::*;
use tokio::sync::mpsc;
use tokio::task::yield_now;

/// Items of each key, in the order in which they came.
fn by_key(out: &[u64], key: impl Fn(u64) -> u64) -> HashMap<u64, Vec<u64>> {
    let mut keys: HashMap<u64, Vec<u64>> = HashMap::new();
    for &index in out {
        keys.entry(key(index)).or_default().push(index);
    }
    keys
}

/// The consumer has all of `count` items, and those of each key in order.
#[track_caller]
fn expect_order_by_key(flow: &Flow, count: u64, key: impl Fn(u64) -> u64) {
    let out = flow.out();
    assert_eq!(out.len() as u64, count);
    for (key, items) in by_key(&out, key) {
        assert!(items.is_sorted(), "key {key} came as {items:?}");
    }
}

/// Who is in work, by key: more than one at a time is wrong.
#[derive(Debug, Clone, Default)]
struct Busy(Arc<Mutex<HashMap<u64, u64>>>);

impl Busy {
    fn enter(&self, key: u64) -> Leave {
        let mut busy = self.0.lock().expect("no panic under this lock");
        let inside = busy.entry(key).or_default();
        *inside += 1;
        assert_eq!(*inside, 1, "two items of key {key} at once");
        Leave(self.clone(), key)
    }
}

struct Leave(Busy, u64);

impl Drop for Leave {
    fn drop(&mut self) {
        let mut busy = self.0.0.lock().expect("no panic under this lock");
        *busy.entry(self.1).or_default() -= 1;
    }
}

/// Scenario 134: whatever the order in which bodies end, a key has one of them at a time, and its order.
#[test]
fn one_item_of_a_key_at_a_time_and_in_order() {
    for seed in 0..100 {
        scenario(format!("134, seed {seed}")).run(async move |world| {
            let (flow, gates, busy) = (world.flow(), Gates::new(), Busy::default());
            let context = (gates.clone(), busy);
            let body = flow.body_with(25, context, |item, (gates, busy)| async move {
                let _inside = busy.enter(item.index % 7);
                gates.pass(item.index).await;
                Ok(item)
            });
            let job = Pipeline::from_iter(flow.items(0..50))
                .stage(body)
                .keyed(|item| item.index % 7)
                .parallelism(25)
                .for_each(flow.receive());
            let mut run = flow.start(job).unwrap();
            for index in Random::new(seed).shuffled(50) {
                gates.open(index);
                yield_now().await;
            }
            run.wait().await.unwrap();
            expect_order_by_key(&flow, 50, |index| index % 7);
        });
    }
}

/// Scenario 134, on threads and with items that are ready at once.
#[test]
fn keys_keep_their_order_on_threads() {
    scenario("134").on(ALL).run(async |world| {
        let (flow, busy) = (world.flow(), Busy::default());
        let body = flow.body_with(8, busy, |item, busy| async move {
            let _inside = busy.enter(item.index % 5);
            if item.index.is_multiple_of(3) {
                yield_now().await;
            }
            Ok(item)
        });
        let job = Pipeline::from_iter(flow.items(0..3_000))
            .stage(body)
            .keyed(|item| item.index % 5)
            .parallelism(8)
            .for_each(flow.receive());
        flow.run(job).await.unwrap();
        expect_order_by_key(&flow, 3_000, |index| index % 5);
    });
}

/// Scenario 137: an item that fails, panics or takes too long hands its key to the next one.
#[test]
fn a_key_goes_on_after_an_item_that_fails() {
    scenario("137").on(ALL).run(async |world| {
        let flow = world.flow();
        let (errors, mut failures) = mpsc::channel(64);
        let told = flow.clone();
        let body = flow.body(4, move |item| {
            let told = told.clone();
            async move {
                match item.index % 10 {
                    3 => return Err(item.fault("broken")),
                    5 => panic!("a panic of the test"),
                    7 => {
                        told.failed(item.index);
                        pending::<()>().await;
                    }
                    _ => yield_now().await,
                }
                Ok(item)
            }
        });
        let job = Pipeline::from_iter(flow.items(0..40))
            .stage(body)
            .keyed(|item| item.index % 2)
            .parallelism(4)
            .timeout(ms(20))
            .for_each(flow.receive())
            .errors(errors);
        flow.run(job).await.unwrap();
        expect_order_by_key(&flow, 28, |index| index % 2);
        let mut kinds = [0; 3];
        while let Some(error) = failures.recv().await {
            kinds[match error.kind() {
                ErrorKind::Failed => 0,
                ErrorKind::Panicked => 1,
                _ => 2,
            }] += 1;
        }
        assert_eq!(kinds, [4, 4, 4]);
    });
}

/// A retried item keeps its key through the pause, and the others of its key wait for it.
#[test]
fn a_retried_item_keeps_its_key() {
    scenario("a retried item keeps its key").run(async |world| {
        let (flow, tries) = (world.flow(), Arc::new(Mutex::new(0)));
        let job = Pipeline::from_iter(0..6u64)
            .and_then(move |index| {
                let tries = Arc::clone(&tries);
                async move {
                    let mut tries = tries.lock().expect("no panic under this lock");
                    *tries += 1;
                    if index == 0 && *tries < 4 {
                        return Err("not yet");
                    }
                    Ok(index)
                }
            })
            .keyed(|index| index % 2)
            .parallelism(4)
            .retry(Retry::fixed(ms(100)))
            .collect();
        let watch = Stopwatch::start();
        let out = flow.run(job).await.unwrap().value;
        assert_eq!(by_key(&out, |index| index % 2)[&0], [0, 2, 4]);
        assert!(out.iter().position(|n| *n == 5) < out.iter().position(|n| *n == 0));
        watch.expect_within(ms(400));
    });
}

/// Scenario 141: a panic of the key's function, of its hash or of its comparison fails that item alone.
#[test]
fn a_panic_of_a_key_fails_its_item_alone() {
    /// Panics where it is told to.
    struct Key(u64);
    impl Hash for Key {
        fn hash<H: Hasher>(&self, state: &mut H) {
            assert!(self.0 != 4, "a panic of the test");
            (self.0 % 3).hash(state);
        }
    }
    impl PartialEq for Key {
        fn eq(&self, other: &Self) -> bool {
            assert!(self.0 != 8 && other.0 != 8, "a panic of the test");
            self.0 % 3 == other.0 % 3
        }
    }
    impl Eq for Key {}
    scenario("141").on(ALL).run(async |world| {
        let flow = world.flow();
        let (errors, mut failures) = mpsc::channel(64);
        // 5 has the key of 8, and is in work, so the two are compared
        let (gates, told) = (Gates::new(), flow.clone());
        let job = Pipeline::from_iter(flow.items(0..12))
            .stage(flow.gated(2, &gates))
            .name("by customer")
            .keyed(move |item: &Item| {
                if item.index == 3 {
                    told.failed(3);
                    panic!("a panic of the test");
                }
                if [4, 8].contains(&item.index) {
                    told.failed(item.index);
                }
                Key(item.index)
            })
            .parallelism(2)
            .for_each(flow.receive())
            .errors(errors);
        let mut run = flow.start(job).unwrap();
        world.settled(|| flow.pulled()).await;
        (0..12).for_each(|index| gates.open(index));
        let report = run.wait().await.unwrap();
        expect_order_by_key(&flow, 9, |index| index % 3);
        let mut origins = Vec::new();
        while let Some(error) = failures.recv().await {
            assert_eq!(
                (error.kind(), error.stage()),
                (ErrorKind::Panicked, "by customer")
            );
            origins.push(error.origin().first());
        }
        assert_eq!(origins, [3, 4, 8]);
        assert_eq!(report.stages.len(), 1);
        let stage = &report.stages[0];
        assert_eq!(
            (stage.taken, stage.given, stage.failed, stage.panics),
            (12, 9, 3, 3)
        );
    });
}

/// Scenario 142: while work is ready no permit idles, whoever's key it is.
#[test]
fn a_permit_that_is_free_takes_the_next_of_any_key() {
    scenario("142").run(async |world| {
        let (flow, gates) = (world.flow(), Gates::new());
        let body = flow.gated(4, &gates);
        let gauge = body.gauge();
        // four keys first, each with ten items, and then four others
        let key = |index: u64| if index < 40 { index % 4 } else { index % 8 };
        let job = Pipeline::from_iter(flow.items(0..48))
            .stage(body)
            .keyed(move |item| key(item.index))
            .parallelism(4)
            .for_each(flow.receive());
        let mut run = flow.start(job).unwrap();
        assert_eq!(world.settled(|| gauge.now()).await, 4);
        for index in 0..44 {
            gates.open(index);
            let left = 48 - (index as usize + 1);
            // of the last ones some share a key
            let busy = world.settled(|| gauge.now()).await;
            if left >= 8 {
                assert_eq!(busy, 4, "after item {index}");
            }
        }
        (44..48).for_each(|index| gates.open(index));
        run.wait().await.unwrap();
        expect_order_by_key(&flow, 48, key);
    });
}

/// A key that hangs holds up itself; the others go on as long as the window has room.
#[test]
fn a_key_that_hangs_holds_up_itself_alone() {
    scenario("a key that hangs").on(ALL).run(async |world| {
        let (flow, gates) = (world.flow(), Gates::new());
        let held = gates.clone();
        let body = flow.body_with(2, held, |item, gates| async move {
            if item.index == 0 {
                gates.pass(0).await;
            }
            Ok(item)
        });
        let job = Pipeline::from_iter(flow.items(0..1_000))
            .stage(body)
            .keyed(|item| item.index % 10)
            .parallelism(2)
            .window(200)
            .for_each(flow.receive());
        let mut run = flow.start(job).unwrap();
        // 100 items of the key wait inside the window, and none of the others does
        world.until(|| flow.out().len() == 900).await;
        assert_eq!(world.settled(|| flow.out().len()).await, 900);
        gates.open(0);
        run.wait().await.unwrap();
        expect_order_by_key(&flow, 1_000, |index| index % 10);
    });
}

/// Nearly all items have one key: nothing grows, nothing is lost, and the others get through.
#[test]
fn skewed_keys_stay_bounded_and_fair() {
    scenario("skew").on(ALL).run(async |world| {
        let (flow, gates) = (world.flow(), Gates::new());
        let held = gates.clone();
        let body = flow.body_with(4, held, |item, gates| async move {
            if item.index == 0 {
                gates.pass(0).await;
            }
            yield_now().await;
            Ok(item)
        });
        let key = |index: u64| if index % 1_000 == 999 { index } else { 0 };
        let job = Pipeline::from_iter(flow.items(0..10_000))
            .buffer(16)
            .stage(body)
            .keyed(move |item| key(item.index))
            .parallelism(4)
            .window(2_500)
            .for_each(flow.receive());
        let bound = job.plan().max_inside as u64;
        let mut run = flow.start(job).unwrap();
        // the rare keys that are inside the window are done though the first item hangs
        world.until(|| flow.out().len() == 2).await;
        let mut out = world.settled(|| flow.out()).await;
        out.sort_unstable();
        assert_eq!(out, [999, 1_999]);
        assert!(flow.pulled() <= bound);
        gates.open(0);
        run.wait().await.unwrap();
        expect_order_by_key(&flow, 10_000, key);
    });
}

/// Keys are kept as long as something of theirs is inside, and no longer.
#[test]
fn keys_are_forgotten() {
    /// Counts how many there are.
    #[derive(Clone)]
    struct Key {
        number: u64,
        _alive: Arc<()>,
    }
    impl Hash for Key {
        fn hash<H: Hasher>(&self, state: &mut H) {
            self.number.hash(state);
        }
    }
    impl PartialEq for Key {
        fn eq(&self, other: &Self) -> bool {
            self.number == other.number
        }
    }
    impl Eq for Key {}
    scenario("keys are forgotten").on(ALL).run(async |world| {
        let (alive, most) = (Arc::new(()), Arc::new(Mutex::new(0)));
        let (made, seen) = (Arc::clone(&alive), Arc::clone(&most));
        let flow = world.flow();
        let job = Pipeline::from_iter(0..100_000u64)
            .buffer(16)
            .then(|index| async move { index })
            .keyed(move |index| {
                let mut seen = seen.lock().expect("no panic under this lock");
                *seen = (*seen).max(Arc::strong_count(&made));
                Key {
                    number: *index,
                    _alive: Arc::clone(&made),
                }
            })
            .parallelism(4)
            .window(64)
            .count();
        // each key is of one item, so there are no more of them than items inside, but for those that have
        // just left
        let bound = job.plan().max_inside + 64;
        assert_eq!(flow.run(job).await.unwrap().value, 100_000);
        let most = *most.lock().expect("no panic under this lock");
        assert!(most <= bound, "{most} keys at once, {bound} items inside");
        // one in this scope: the closure is gone with the run
        assert_eq!(Arc::strong_count(&alive), 1);
    });
}

/// Cancel, drain and the drop of the owner, with items in work, in queues and before the stage.
#[test]
fn a_keyed_stage_can_be_stopped_anywhere() {
    for stop in ["cancel", "drain", "drop"] {
        scenario(stop).on(ALL).run(async move |world| {
            let (flow, gates) = (world.flow(), Gates::new());
            (1..2_000).for_each(|index| gates.open(index));
            let job = Pipeline::from_iter(flow.items(0..2_000))
                .buffer(16)
                .stage(flow.gated(3, &gates))
                .keyed(|item| item.index % 3)
                .parallelism(3)
                .window(300)
                .for_each(flow.receive());
            let mut run = flow.start(job).unwrap();
            world.settled(|| flow.out().len()).await;
            match stop {
                "cancel" => {
                    run.control().cancel();
                    let error = run.wait().await.unwrap_err();
                    assert!(matches!(error.cause, Cause::Cancelled));
                }
                "drain" => {
                    run.control().drain(ms(60_000));
                    gates.open(0);
                    let report = run.wait().await.unwrap();
                    assert_eq!(report.outcome, Some(Outcome::Drained));
                }
                _ => drop(run),
            }
        });
    }
}

/// A key function whose destructor panics spoils neither the run nor its owner, however the run ends.
#[test]
fn the_destructor_of_a_key_function_may_panic() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            resume_unwind(Box::new("part of the scenario"));
        }
    }
    for stop in ["end", "cancel", "drop"] {
        scenario(stop).on(ALL).run(async move |world| {
            let flow = world.flow();
            let (sender, sent) = Pipeline::channel(4);
            let bomb = Bomb;
            let job = sent
                .stage(flow.pass(2))
                .keyed(move |item| {
                    let _ = &bomb;
                    item.index % 3
                })
                .parallelism(2)
                .for_each(flow.receive());
            let mut run = flow.start(job).unwrap();
            for index in 0..4 {
                sender.send(flow.pull(index)).await.unwrap();
            }
            world.until(|| flow.out().len() == 4).await;
            match stop {
                "end" => {
                    drop(sender);
                    run.wait().await.unwrap();
                }
                "cancel" => {
                    run.control().cancel();
                    let error = run.wait().await.unwrap_err();
                    assert!(matches!(error.cause, Cause::Cancelled));
                }
                _ => drop(run),
            }
        });
    }
}

/// Large items travel in boxes, with their lanes.
#[test]
fn large_items_have_keys_too() {
    scenario("large items").on(ALL).run(async |world| {
        let flow = world.flow();
        let job = Pipeline::from_iter((0..200u64).map(|index| [index; 256]))
            .then(|item| async move {
                yield_now().await;
                item
            })
            .keyed(|item| item[0] % 4)
            .parallelism(4)
            .map(|item| item[255])
            .collect();
        let out = flow.run(job).await.unwrap().value;
        assert_eq!(out.len(), 200);
        for (_, items) in by_key(&out, |index| index % 4) {
            assert!(items.is_sorted());
        }
    });
}

/// A body on a thread of its own keeps its key until it comes back, also when its time was over before.
#[test]
fn a_blocking_body_keeps_its_key_until_it_is_back() {
    scenario("blocking").on(THREADS).run(async |world| {
        let (flow, door) = (world.flow(), Door::new());
        let (errors, mut failures) = mpsc::channel(4);
        let (held, busy) = (door.clone(), Busy::default());
        let job = Pipeline::from_iter(0..4u64)
            .blocking(move |index| {
                let _inside = busy.enter(index % 2);
                if index == 0 {
                    held.pass();
                }
                index
            })
            .keyed(|index| index % 2)
            .parallelism(2)
            .timeout(ms(50))
            .collect()
            .errors(errors);
        flow.failed(0);
        let mut run = flow.start(job).unwrap();
        let error = failures.recv().await.unwrap();
        assert_eq!(
            (error.origin().first(), error.kind()),
            (0, ErrorKind::TimedOut)
        );
        door.open();
        let mut out = run.wait().await.unwrap().value;
        out.sort_unstable();
        assert_eq!(out, [1, 2, 3]);
    });
}

/// The last call counts, and an order by key needs one.
#[tokio::test]
async fn the_last_order_counts() {
    let numbers = || Pipeline::from_iter(0..100u64).map(|n| n);
    let ordered = numbers().keyed(|n| *n).ordered().parallelism(4).collect();
    assert!(
        ordered
            .plan()
            .to_string()
            .contains("ordered, parallelism 4")
    );
    assert!(ordered.run().await.unwrap().value.is_sorted());
    let keyed = numbers().ordered().keyed(|n| *n).count();
    assert!(
        keyed.plan().to_string().contains("keyed, parallelism 1"),
        "{}",
        keyed.plan()
    );

    /// Says that it is keyed, and does not say by what.
    #[derive(Clone)]
    struct Keyless;
    impl Stage<u64, u64> for Keyless {
        type Error = BoxError;
        async fn process(&mut self, n: u64) -> Result<u64, BoxError> {
            Ok(n)
        }
        fn defaults() -> StageConfig<u64> {
            let mut config = StageConfig::default();
            config.order = Some(pipeline_core::config::Order::Keyed);
            config
        }
    }
    let job = Pipeline::from_iter(0..100u64).stage(Keyless).count();
    let error = job.start().unwrap_err();
    assert!(matches!(error, BuildError::Without(..)), "{error}");
}

/// A later stage that loses the order by key is told of by the plan.
#[test]
fn the_plan_says_where_an_order_by_key_is_lost() {
    let by_key = || {
        Pipeline::from_iter(0..9u64)
            .map(|n| n)
            .keyed(|n| *n)
            .parallelism(4)
            .name("by user")
    };
    let lost = by_key()
        .map(|n| n)
        .parallelism(4)
        .unordered()
        .count()
        .plan();
    let note = "`map-2` is unordered, and loses the order by key of `by user`";
    assert_eq!(lost.notes, [note]);
    assert!(lost.to_string().ends_with(&format!("note: {note}\n")));
    let kept = by_key().map(|n| n).parallelism(4).count().plan();
    assert!(kept.notes.is_empty());
}
