//! Batches: by number, by weight, by key; when they leave, what they hold, and how they end.

use std::future::{Pending, pending};
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use pipeline_core::error::{BuildError, Cause};
use pipeline_core::prelude::*;
use pipeline_core::report::Outcome;
use tests::prelude::*;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until};

const HOUR: Duration = ms(3_600_000);

/// The items of each batch, and when it came.
#[derive(Debug, Clone)]
struct Seen {
    watch: Stopwatch,
    sender: mpsc::UnboundedSender<(Vec<u64>, Duration)>,
}

type Batches = mpsc::UnboundedReceiver<(Vec<u64>, Duration)>;

/// What an end has received.
fn seen() -> (Seen, Batches) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let watch = Stopwatch::start();
    (Seen { watch, sender }, receiver)
}

impl Seen {
    fn start(&self) -> Instant {
        Instant::now() - self.watch.elapsed()
    }

    /// An end that takes batches apart.
    fn receive(&self, flow: &Flow) -> impl FnMut(Vec<Item>) + Send + 'static {
        let (seen, mut receive) = (self.clone(), flow.receive());
        move |batch| {
            let indexes = batch.iter().map(|item| item.index).collect();
            let told = seen.sender.send((indexes, seen.watch.elapsed()));
            batch.into_iter().for_each(&mut receive);
            // who does not want to know has dropped the receiver
            drop(told);
        }
    }
}

/// All that came so far, without the times.
fn batches(receiver: &mut Batches) -> Vec<Vec<u64>> {
    let mut batches = Vec::new();
    while let Ok((batch, _)) = receiver.try_recv() {
        batches.push(batch);
    }
    batches
}

/// The next batch, which came at this time.
#[track_caller]
fn expect(receiver: &mut Batches, batch: &[u64], at: Duration) {
    let (items, time) = receiver.try_recv().expect("a batch");
    assert_eq!(items, batch);
    assert!(
        (at..=at + ms(2)).contains(&time),
        "expected at {at:?}, came at {time:?}"
    );
}

/// Scenario 124: full batches, and the rest.
#[test]
fn items_leave_by_the_batch() {
    scenario("124").on(ALL).run(async |world| {
        let flow = world.flow();
        let (seen, mut came) = seen();
        let job = Pipeline::from_iter(flow.items(0..10))
            .batch(4, HOUR)
            .for_each(seen.receive(&flow));
        let report = flow.run(job).await.unwrap();
        let expected = [&[0, 1, 2, 3][..], &[4, 5, 6, 7], &[8, 9]];
        assert_eq!(batches(&mut came), expected);
        let stage = &report.stages[0];
        assert_eq!((&*stage.name, stage.taken, stage.given), ("batch", 10, 3));
    });
}

/// Scenario 125: a batch leaves when it is full or old, and the age is that of its first item.
#[test]
fn a_batch_leaves_when_it_is_full_or_old() {
    type Step = fn(Pipeline<Item>) -> Pipeline<Vec<Item>>;
    let steps: [Step; 3] = [
        |items| items.batch(4, ms(5_000)),
        |items| items.batch_weighted(4, ms(5_000), |_| 1),
        |items| items.batch_by(|_| (), 4, ms(5_000)),
    ];
    scenario("125").run(async move |world| {
        for step in steps {
            let flow = world.flow();
            let (seen, mut came) = seen();
            let (sender, source) = Pipeline::channel(16);
            let job = step(source.into_pipeline()).for_each(seen.receive(&flow));
            let mut run = flow.start(job).unwrap();
            let start = Instant::now();
            let send = async |seconds: u64, indexes: &[u64]| {
                sleep_until(start + ms(seconds * 1_000)).await;
                for index in indexes {
                    sender.send(flow.item(*index)).await.unwrap();
                }
            };
            send(0, &[0, 1, 2]).await;
            send(4, &[3, 4]).await;
            send(8, &[5, 6]).await;
            send(20, &[7, 8]).await;
            sleep(ms(10)).await;
            expect(&mut came, &[0, 1, 2, 3], ms(4_000));
            expect(&mut came, &[4, 5, 6], ms(9_000));
            // nothing for eleven seconds, and no batch of nothing
            came.try_recv().unwrap_err();
            drop(sender);
            run.wait().await.unwrap();
            expect(&mut came, &[7, 8], ms(20_010));
            came.try_recv().unwrap_err();
        }
    });
}

/// Scenario 127: nothing makes an empty batch: not an end, not time, not an end after time.
#[test]
fn no_batch_is_ever_empty() {
    scenario("127").run(async |world| {
        for age in [Duration::ZERO, ms(5_000), Duration::MAX] {
            for items in [0, 4, 5] {
                let flow = world.flow();
                let (seen, mut came) = seen();
                let (sender, source) = Pipeline::channel(16);
                let by_key = source.batch(4, age).flatten().batch_by(|_| 0, 4, age);
                let job = by_key
                    .flatten()
                    .batch_weighted(4, age, |_| 1)
                    .for_each(seen.receive(&flow));
                let mut run = flow.start(job).unwrap();
                for index in 0..items {
                    sender.send(flow.item(index)).await.unwrap();
                }
                sleep(HOUR).await;
                drop(sender);
                run.wait().await.unwrap();
                flow.expect(0..items);
                assert!(batches(&mut came).iter().all(|batch| !batch.is_empty()));
            }
        }
    });
}

/// With an age of zero a batch is what is there.
#[test]
fn without_an_age_a_batch_is_what_is_there() {
    scenario("batch, what is there").run(async |world| {
        let flow = world.flow();
        let (seen, mut came) = seen();
        let (sender, source) = Pipeline::channel(16);
        let job = source
            .batch(4, Duration::ZERO)
            .for_each(seen.receive(&flow));
        let mut run = flow.start(job).unwrap();
        for lot in [0..1, 1..3, 3..9] {
            for index in lot.clone() {
                sender.try_send(flow.item(index)).unwrap();
            }
            // nothing is held back, though how many the source reads at once is its own affair
            sleep(ms(1)).await;
            flow.expect(0..lot.end);
        }
        drop(sender);
        run.wait().await.unwrap();
        let came = batches(&mut came);
        assert_eq!(came[0], [0]);
        assert!(came.iter().all(|batch| batch.len() <= 4), "{came:?}");
    });
}

/// Scenario 130: a weight limit, and an item above it.
#[test]
fn a_batch_has_a_weight() {
    scenario("130").on(ALL).run(async |world| {
        let weights = [1, 2, 3, 101, 4, 5, 6];
        let flow = world.flow();
        let (seen, mut came) = seen();
        let job = Pipeline::from_iter(flow.items(0..7))
            .batch_weighted(100, HOUR, move |item| weights[item.index as usize])
            .for_each(seen.receive(&flow));
        flow.run(job).await.unwrap();
        let expected = [&[0, 1, 2][..], &[3], &[4, 5, 6]];
        assert_eq!(batches(&mut came), expected);

        // at the limit; heavy ones in a row; without weight; beyond all numbers
        let cases: [(&[usize], &[&[u64]]); 4] = [
            (&[3, 7, 10, 4, 6, 1], &[&[0, 1], &[2], &[3, 4], &[5]]),
            (&[11, 12, 1, 13], &[&[0], &[1], &[2], &[3]]),
            (&[0; 12], &[&[0, 1, 2, 3, 4, 5, 6, 7, 8, 9], &[10, 11]]),
            (&[9, usize::MAX, usize::MAX, 1], &[&[0], &[1], &[2], &[3]]),
        ];
        for (weights, expected) in cases {
            let flow = world.flow();
            let (seen, mut came) = self::seen();
            let count = weights.len() as u64;
            let weights = weights.to_vec();
            let job = Pipeline::from_iter(flow.items(0..count))
                .batch_weighted(10, HOUR, move |item| weights[item.index as usize])
                .for_each(seen.receive(&flow));
            flow.run(job).await.unwrap();
            assert_eq!(batches(&mut came), expected);
        }
    });
}

/// An item that did not fit has its age from when it came.
#[test]
fn an_item_that_did_not_fit_is_not_forgotten() {
    scenario("batch_weighted, age").run(async |world| {
        let flow = world.flow();
        let (seen, mut came) = seen();
        let (sender, source) = Pipeline::channel(16);
        let job = source
            .batch_weighted(10, ms(1_000), |_| 6)
            .for_each(seen.receive(&flow));
        let mut run = flow.start(job).unwrap();
        sender.send(flow.item(0)).await.unwrap();
        sleep(ms(500)).await;
        sender.send(flow.item(1)).await.unwrap();
        sleep(HOUR).await;
        expect(&mut came, &[0], ms(500));
        expect(&mut came, &[1], ms(1_500));
        drop(sender);
        run.wait().await.unwrap();
    });
}

/// Scenario 132: the failure of a batch is one error that names its items, and all of them have failed.
#[test]
fn a_batch_fails_as_a_whole() {
    scenario("132").on(ALL).run(async |world| {
        let flow = world.flow();
        let (errors, failures) = mpsc::channel(4);
        let (seen, mut came) = seen();
        let job = Pipeline::from_iter(flow.items(0..12))
            .batch(4, HOUR)
            .try_map(|batch: Vec<Item>| match batch[0].index {
                4 => Err("broken"),
                8 => panic!("in a body"),
                _ => Ok(batch),
            })
            .for_each(seen.receive(&flow))
            .errors(errors);
        let report = flow.run_failing(job, 4..12).await.unwrap();
        assert_eq!(batches(&mut came), [[0, 1, 2, 3]]);
        let told = all_errors(failures).await;
        let origins: Vec<_> = told
            .iter()
            .map(|error| error.origin().to_string())
            .collect();
        assert_eq!(origins, ["items 4..=7", "items 8..=11"]);
        assert!(told.iter().all(|error| error.origin().count() == 4));
        assert_eq!((report.items.failed, report.items.delivered), (8, 4));
    });
}

/// Scenario 133: batches of a key hold that key alone, in order; the end sends the rest of each.
#[test]
fn batches_of_a_key_do_not_mix() {
    scenario("133").on(ALL).run(async |world| {
        let flow = world.flow();
        let (seen, mut came) = seen();
        let job = Pipeline::from_iter(flow.items(0..8))
            .batch_by(|item| item.index % 2, 2, HOUR)
            .for_each(seen.receive(&flow));
        flow.run(job).await.unwrap();
        assert_eq!(batches(&mut came), [[0, 2], [1, 3], [4, 6], [5, 7]]);

        let flow = world.flow();
        let (seen, mut came) = self::seen();
        let job = Pipeline::from_iter(flow.items(0..11))
            .batch_by(|item| item.index % 4, 3, HOUR)
            .for_each(seen.receive(&flow));
        let report = flow.run(job).await.unwrap();
        // the rest in the order of the first items
        let expected = [&[0, 4, 8][..], &[1, 5, 9], &[2, 6, 10], &[3, 7]];
        assert_eq!(batches(&mut came), expected);
        assert_eq!(report.stages[0].given, 4);
    });
}

/// Each key's batch has its own age.
#[test]
fn batches_of_a_key_leave_by_their_own_age() {
    scenario("batch_by, age").run(async |world| {
        let flow = world.flow();
        let (seen, mut came) = seen();
        let (sender, source) = Pipeline::channel(16);
        let job = source
            .batch_by(|item: &Item| item.index % 10, 3, ms(1_000))
            .for_each(seen.receive(&flow));
        let mut run = flow.start(job).unwrap();
        for (at, index) in [(0, 1), (300, 2), (600, 11), (700, 12), (800, 22), (900, 32)] {
            sleep_until(seen.start() + ms(at)).await;
            sender.send(flow.item(index)).await.unwrap();
        }
        sleep(HOUR).await;
        expect(&mut came, &[2, 12, 22], ms(800));
        expect(&mut came, &[1, 11], ms(1_000));
        expect(&mut came, &[32], ms(1_900));
        drop(sender);
        run.wait().await.unwrap();
    });
}

/// Of the same age, the one whose first item came first goes first; what is due together goes together.
#[test]
fn old_batches_leave_in_the_order_of_their_first_items() {
    scenario("batch_by, order").on(ALL).run(async |world| {
        for age in [Duration::ZERO, ms(10), HOUR] {
            let flow = world.flow();
            let (seen, mut came) = seen();
            let (sender, source) = Pipeline::channel(64);
            let job = source
                .batch_by(|item: &Item| item.index % 20, 9, age)
                .for_each(seen.receive(&flow));
            for index in (0..40).rev() {
                sender.try_send(flow.item(index)).unwrap();
            }
            let mut run = flow.start(job).unwrap();
            if age < HOUR {
                while flow.out().len() < 40 {
                    sleep(ms(1)).await;
                }
            }
            drop(sender);
            run.wait().await.unwrap();
            let came = batches(&mut came);
            // on threads the items of one key may be more than `age` apart
            if world.machine() == Machine::Paused || age == HOUR {
                let expected: Vec<_> = (20..40).rev().map(|n| vec![n, n - 20]).collect();
                assert_eq!(came, expected);
            }
        }
    });
}

/// Many rare keys: what is held is bounded, the oldest batch makes room, and nothing waits for ever.
#[test]
fn rare_keys_do_not_stop_the_flow() {
    scenario("batch_by, rare keys").on(ALL).run(async |world| {
        for (max, bound) in [(2, 1_024), (1_000, 4_000)] {
            let flow = world.flow();
            let (seen, mut came) = seen();
            let (sender, source) = Pipeline::channel(64);
            let job = source
                .batch_by(|item: &Item| item.index, max, Duration::MAX)
                .for_each(seen.receive(&flow));
            let mut run = flow.start(job).unwrap();
            for index in 0..10_000 {
                sender.send(flow.item(index)).await.unwrap();
            }
            let held = || 10_000 - flow.out().len();
            world.until(|| held() < bound).await;
            assert_eq!(world.settled(held).await, bound - 1);
            drop(sender);
            run.wait().await.unwrap();
            flow.expect(0..10_000);
            assert!(batches(&mut came).iter().all(|batch| batch.len() == 1));
        }
    });
}

/// A key that is counted, with a hash and an equality that may panic.
struct Key {
    number: u64,
    alive: Arc<AtomicUsize>,
    hash_panics: bool,
    eq_panics: bool,
    drop_panics: bool,
}

impl Key {
    fn new(number: u64, alive: &Arc<AtomicUsize>) -> Self {
        alive.fetch_add(1, Ordering::SeqCst);
        Key {
            number,
            alive: Arc::clone(alive),
            hash_panics: false,
            eq_panics: false,
            drop_panics: false,
        }
    }
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        assert!(!self.hash_panics, "hash");
        // many keys of a hash
        (self.number % 3).hash(state);
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        assert!(!self.eq_panics && !other.eq_panics, "eq");
        self.number == other.number
    }
}

impl Eq for Key {}

impl Drop for Key {
    fn drop(&mut self) {
        self.alive.fetch_sub(1, Ordering::SeqCst);
        assert!(!self.drop_panics, "drop of a key");
    }
}

/// A key is kept while it has an open batch, and not a moment longer.
#[test]
fn idle_keys_are_forgotten() {
    scenario("batch_by, keys").on(ALL).run(async |world| {
        let flow = world.flow();
        let alive = Arc::new(AtomicUsize::new(0));
        let counts = Arc::clone(&alive);
        let (sender, source) = Pipeline::channel(64);
        let (seen, _) = seen();
        let job = source
            .batch_by(
                move |item: &Item| Key::new(item.index / 2, &counts),
                2,
                Duration::MAX,
            )
            .for_each(seen.receive(&flow));
        let mut run = flow.start(job).unwrap();
        for index in 0..1_001 {
            sender.send(flow.item(index)).await.unwrap();
        }
        world.until(|| flow.out().len() >= 1_000).await;
        assert_eq!(world.settled(|| flow.out().len()).await, 1_000);
        assert_eq!(alive.load(Ordering::SeqCst), 1);
        drop(sender);
        run.wait().await.unwrap();
        flow.expect(0..1_001);
        assert_eq!(alive.load(Ordering::SeqCst), 0);
    });
}

/// A panic in the functions of the user's fails its item, under the name of the step, and nothing else is lost.
#[test]
fn a_panic_fails_its_item_and_no_other() {
    scenario("batches, panics").on(ALL).run(async |world| {
        // 13 panics in the function, 23 in `Hash`, 33 in `Eq`
        let fails = [13, 23, 33];
        let flow = world.flow();
        let (errors, failures) = mpsc::channel(64);
        let alive = Arc::new(AtomicUsize::new(0));
        let counts = Arc::clone(&alive);
        let (seen, mut came) = seen();
        let job = Pipeline::from_iter(flow.items(0..100))
            .batch_by(
                move |item| {
                    assert_ne!(item.index, 13, "key");
                    let mut key = Key::new(item.index % 10, &counts);
                    key.hash_panics = item.index == 23;
                    key.eq_panics = item.index == 33;
                    key
                },
                7,
                HOUR,
            )
            .for_each(seen.receive(&flow))
            .errors(errors);
        let report = flow.run_failing(job, fails).await.unwrap();
        let told = all_errors(failures).await;
        assert_eq!(origins(&told), fails);
        assert!(told.iter().all(|error| error.stage() == "batch_by"));
        let threes = [3, 43, 53, 63, 73, 83, 93];
        assert!(batches(&mut came).contains(&threes.to_vec()));
        assert_eq!((report.items.delivered, report.stages[0].panics), (97, 3));
        assert_eq!(alive.load(Ordering::SeqCst), 0);

        let flow = world.flow();
        let (errors, failures) = mpsc::channel(64);
        let (seen, mut came) = self::seen();
        let job = Pipeline::from_iter(flow.items(0..10))
            .batch_weighted(4, HOUR, |item| {
                assert_ne!(item.index, 5, "weight");
                1
            })
            .for_each(seen.receive(&flow))
            .errors(errors);
        flow.run_failing(job, [5]).await.unwrap();
        let error = only_error(failures).await;
        assert_eq!(
            (error.stage(), error.origin().first()),
            ("batch_weighted", 5)
        );
        let expected = [&[0, 1, 2, 3][..], &[4, 6, 7, 8], &[9]];
        assert_eq!(batches(&mut came), expected);
    });
}

/// A destructor that panics concerns nobody: that of a key, and that of an item that failed.
#[test]
fn a_panic_in_a_destructor_concerns_nobody() {
    struct Bomb(Item);
    impl Drop for Bomb {
        fn drop(&mut self) {
            assert_ne!(self.0.index, 5, "drop of an item");
        }
    }
    scenario("batches, destructors").on(ALL).run(async |world| {
        let flow = world.flow();
        let (errors, failures) = mpsc::channel(64);
        let alive = Arc::new(AtomicUsize::new(0));
        let job = Pipeline::from_iter(flow.items(0..100).map(Bomb))
            .batch_by(
                move |item| {
                    assert_ne!(item.0.index, 5, "key");
                    let mut key = Key::new(item.0.index, &alive);
                    key.drop_panics = item.0.index % 7 == 1;
                    key
                },
                7,
                HOUR,
            )
            .count()
            .errors(errors);
        let report = flow.run_failing(job, [5]).await.unwrap();
        assert_eq!(report.items.delivered, 99);
        assert_eq!(only_error(failures).await.origin().first(), 5);
    });
}

/// Scenario 92: a drain sends what was gathered at once.
#[test]
fn a_drain_sends_batches_as_they_are() {
    scenario("92, batches").on(ALL).run(async |world| {
        let flow = world.flow();
        let (seen, mut came) = seen();
        let (sender, source) = Pipeline::channel(16);
        let job = source
            .batch(4, HOUR)
            .flatten()
            .batch_by(|item: &Item| item.index, 4, HOUR)
            .flatten()
            .batch_weighted(4, HOUR, |_| 1)
            .for_each(seen.receive(&flow));
        let mut run = flow.start(job).unwrap();
        sender.send(flow.item(0)).await.unwrap();
        sender.send(flow.item(1)).await.unwrap();
        world.settled(|| flow.metrics().items.taken).await;
        run.control().drain(HOUR);
        let report = run.wait().await.unwrap();
        assert_eq!(report.outcome, Some(Outcome::Drained));
        assert_eq!(batches(&mut came), [[0, 1]]);
    });
}

/// What was gathered when a run is cancelled is cancelled, and dropped.
#[test]
fn a_cancel_drops_what_was_gathered() {
    scenario("batches, cancel").on(ALL).run(async |world| {
        for how in ["cancel", "drop", "deadline"] {
            let flow = world.flow();
            let job = Pipeline::from_iter(flow.items(0..u64::MAX))
                .batch_by(|item| item.index % 100, 7, HOUR)
                .flatten()
                .batch_weighted(11, HOUR, |item| item.index as usize % 5)
                .flatten()
                .batch(3, HOUR)
                .then(never)
                .for_each(|_| ());
            let mut run = flow.start(job).unwrap();
            let control = run.control();
            world.until(|| flow.pulled() > 1_024).await;
            match how {
                "cancel" => {
                    control.cancel();
                    assert!(matches!(cause(run.wait().await), Cause::Cancelled));
                }
                "deadline" => {
                    control.drain(ms(10));
                    assert!(matches!(cause(run.wait().await), Cause::DeadlinePassed(_)));
                }
                _ => drop(run),
            }
            world.until(|| control.metrics().outcome.is_some()).await;
            let items = control.metrics().items;
            assert_eq!(items.taken, items.cancelled);
        }
    });
}

/// A body that never ends.
fn never(batch: Vec<Item>) -> Pending<Vec<Item>> {
    drop(batch);
    pending()
}

/// A slow end is felt by the source, and no batch is lost or stays behind.
#[test]
fn batches_wait_for_room() {
    type Step = fn(Pipeline<Item>) -> Pipeline<Vec<Item>>;
    let steps: [Step; 4] = [
        |items| items.batch(10, HOUR),
        |items| items.batch(700, ms(1)),
        |items| items.batch_weighted(10, ms(1), |_| 3),
        |items| items.batch_by(|item| item.index % 300, 10, ms(1)),
    ];
    scenario("batches, backpressure").run(async move |world| {
        for step in steps {
            let flow = world.flow();
            let (gate, mut receive) = (Gate::new(), flow.receive());
            let waits = gate.clone();
            let items = Pipeline::from_iter(flow.items(0..20_000));
            let job = step(items)
                .then(move |batch| {
                    let gate = waits.clone();
                    async move {
                        gate.pass().await;
                        batch
                    }
                })
                .window(1)
                .for_each(move |batch: Vec<Item>| batch.into_iter().for_each(&mut receive));
            let bound = job.plan().max_inside as u64;
            let mut run = flow.start(job).unwrap();
            sleep(HOUR).await;
            let pulled = flow.pulled();
            assert!(pulled <= bound, "{pulled} of {bound}");
            gate.open();
            run.wait().await.unwrap();
            let mut out = flow.out();
            out.sort_unstable();
            assert!(out.into_iter().eq(0..20_000));
        }
    });
}

/// A batch whose time has come takes nothing more while it waits for room.
#[test]
fn an_old_batch_leaves_as_soon_as_there_is_room() {
    scenario("batch, late").run(async |world| {
        let flow = world.flow();
        let (seen, mut came) = seen();
        let (sender, source) = Pipeline::channel(64);
        let (gate, mut receive) = (Gate::new(), seen.receive(&flow));
        let job = source
            .buffer(64)
            .batch(700, ms(10))
            .try_for_each(move |batch| {
                receive(batch);
                let gate = gate.clone();
                async move {
                    sleep(ms(1_000)).await;
                    drop(gate);
                    Ok::<_, BoxError>(())
                }
            });
        let mut run = flow.start(job).unwrap();
        for index in 0..20 {
            sender.send(flow.item(index)).await.unwrap();
            sleep(ms(100)).await;
        }
        drop(sender);
        run.wait().await.unwrap();
        flow.expect(0..20);
        // 1 in the hands of the end, 2 behind the step, and one that waits for room
        let came = batches(&mut came);
        assert_eq!(came[..4], [[0], [1], [2], [3]]);
        assert!(came[4..].iter().any(|batch| batch.len() > 1), "{came:?}");
    });
}

/// What happens at the very moment at which a batch is due.
#[derive(Debug, Clone, Copy)]
enum Event {
    End,
    Drain,
    Item,
    Fill,
    Cancel,
}

/// An age that is over at the instant of something else: nothing is lost, doubled, empty or late.
#[test]
fn an_age_and_an_end_at_the_same_instant() {
    use Event::{Cancel, Drain, End, Fill, Item};
    const ROUNDS: u64 = 400;
    let kinds = [0, 1, 2];
    scenario("batches, race").run(async move |world| {
        for (event, kind) in [End, Drain, Item, Fill, Cancel]
            .into_iter()
            .flat_map(|event| kinds.map(|kind| (event, kind)))
        {
            for round in 0..ROUNDS {
                let flow = world.flow();
                let (seen, mut came) = seen();
                let (sender, source) = Pipeline::channel(16);
                let source = source.into_pipeline();
                let batches_of = match kind {
                    0 => source.batch(3, ms(10)),
                    1 => source.batch_weighted(6, ms(10), |_| 2),
                    _ => source.batch_by(|_| (), 3, ms(10)),
                };
                let job = batches_of.for_each(seen.receive(&flow));
                let mut run = flow.start(job).unwrap();
                // whose timer is made first decides who goes first
                let wait = sleep(ms(10 + round % 3));
                if round % 2 == 0 {
                    sender.send(flow.item(0)).await.unwrap();
                    tokio::task::yield_now().await;
                } else {
                    sleep(ms(1)).await;
                    sender.send(flow.item(0)).await.unwrap();
                }
                wait.await;
                let mut sent = 1;
                match event {
                    End => {}
                    Drain => run.control().drain(HOUR),
                    Cancel => run.control().cancel(),
                    Item => {
                        sender.try_send(flow.item(1)).unwrap();
                        sent = 2;
                    }
                    Fill => {
                        for index in 1..3 {
                            sender.try_send(flow.item(index)).unwrap();
                        }
                        sent = 3;
                    }
                }
                drop(sender);
                let watch = Stopwatch::start();
                let ended = run.wait().await;
                watch.expect_within(ms(0));
                let came = batches(&mut came);
                assert!(came.iter().all(|batch| !batch.is_empty()), "{came:?}");
                if matches!(event, Cancel) {
                    if let Err(error) = ended {
                        assert!(matches!(error.cause, Cause::Cancelled));
                    }
                } else {
                    ended.unwrap();
                    flow.expect(0..sent);
                }
            }
        }
    });
}

/// Many items, and large ones, on every runtime.
#[test]
fn many_items_in_batches() {
    scenario("batches, many").on(ALL).run(async |world| {
        let flow = world.flow();
        let job = Pipeline::from_iter(0..300_000_u64)
            .batch(100, HOUR)
            .map(|batch| batch.len() as u64)
            .parallelism(2)
            .fold(0, |sum, length| sum + length);
        let report = flow.run(job).await.unwrap();
        assert_eq!((report.value, report.items.delivered), (300_000, 300_000));

        let flow = world.flow();
        let job = Pipeline::from_iter(0..100_000_u64)
            .batch_by(|n| n % 17, 100, HOUR)
            .fold(0, |sum, batch| {
                assert!(batch.windows(2).all(|pair| pair[0] + 17 == pair[1]));
                sum + batch.len() as u64
            });
        assert_eq!(flow.run(job).await.unwrap().value, 100_000);

        let flow = world.flow();
        let mut receive = flow.receive();
        let job = Pipeline::from_iter(flow.items(0..1_000).map(|item| (item, [7_u8; 2_048])))
            .batch_weighted(10, HOUR, |_| 3)
            .for_each(move |batch| {
                for (item, load) in batch {
                    assert!(load.iter().all(|byte| *byte == 7));
                    receive(item);
                }
            });
        flow.run(job).await.unwrap();
        flow.expect(0..1_000);
    });
}

/// Scenario 191: a batch of 0 is refused, by the name of the setting.
#[test]
fn a_batch_of_0_is_refused() {
    scenario("191, batches").run(async |_| {
        let items = || Pipeline::from_iter(0..9_usize);
        let jobs = [
            ("batch", "max", items().batch(0, HOUR).count()),
            ("batch_by", "max", items().batch_by(|n| *n, 0, HOUR).count()),
            (
                "batch_weighted",
                "max_weight",
                items().batch_weighted(0, HOUR, |n| *n).count(),
            ),
        ];
        for (name, setting, job) in jobs {
            let error = job.start().expect_err("it must be refused");
            let text = error.to_string();
            assert!(text.contains(name) && text.contains(setting), "{text}");
            assert!(matches!(error, BuildError::Zero(..)));
        }
    });
}

/// The largest numbers are no overflow.
#[test]
fn a_batch_may_be_as_large_as_can_be_told() {
    scenario("batches, extremes").on(ALL).run(async |world| {
        for age in [HOUR, Duration::MAX - ms(1), Duration::MAX] {
            let flow = world.flow();
            let job = Pipeline::from_iter(0..1_000_usize)
                .batch(usize::MAX, age)
                .flatten()
                .batch_weighted(usize::MAX, age, |_| usize::MAX)
                .flatten()
                .batch_by(|_| 0, usize::MAX, age)
                .flatten()
                .count();
            assert_eq!(job.plan().max_inside, usize::MAX);
            assert_eq!(flow.run(job).await.unwrap().value, 1_000);
        }
    });
}
