//! `delay_by`, and the schedule of what waits in it: each item is decided about once, whoever comes when.

use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use pipeline_core::Schedule;
use pipeline_core::error::{BuildError, Cause, ErrorKind};
use pipeline_core::prelude::*;
use pipeline_core::report::Outcome;
use tests::prelude::*;
use tests::tally::Class;
use tokio::runtime::Builder;
use tokio::sync::mpsc;
use tokio::task::yield_now;
use tokio::time::{Instant, sleep, sleep_until};

const HOUR: Duration = ms(3_600_000);

/// Waits until so many items are inside.
async fn inside<K, T>(schedule: &Schedule<K, T>, count: usize) {
    while schedule.len() != count {
        yield_now().await;
    }
}

/// Items with their indices as keys, all due an hour from now, less a second for each: the last one first.
fn in_an_hour() -> impl Fn(&Item) -> (u64, Instant) + Send + Sync + 'static {
    let due = Instant::now() + HOUR;
    move |item| (item.index, due - ms(1_000 * item.index))
}

/// Scenario 117: what is flushed leaves at once, in the order of its deadlines.
#[test]
fn a_flush_lets_all_leave_in_the_order_of_deadlines() {
    scenario("117, flush").on(ALL).run(async |world| {
        let (flow, schedule) = (world.flow(), Schedule::new());
        let due = Instant::now() + 1_000 * HOUR;
        let job = Pipeline::from_iter(flow.items(0..100))
            .delay_by(
                &schedule,
                move |item: &Item| (item.index, due + ms(item.index * 7 % 100)),
                100,
            )
            .for_each(flow.receive());
        let mut run = flow.start(job).unwrap();
        inside(&schedule, 100).await;
        run.control().drain(HOUR);
        schedule.flush();
        run.wait().await.unwrap();
        let mut expected: Vec<u64> = (0..100).collect();
        expected.sort_by_key(|index| index * 7 % 100);
        flow.expect(expected);
        assert!(schedule.is_empty());
    });
}

/// Scenario 117: what is still inside at the deadline of a drain is handed back, the soonest first.
#[test]
fn a_drain_that_is_too_short_hands_back_what_is_inside() {
    scenario("117, undelivered").on(ALL).run(async |world| {
        let (flow, schedule) = (world.flow(), Schedule::new());
        let job = Pipeline::from_iter(flow.items(0..100))
            .delay_by(&schedule, in_an_hour(), 100)
            .for_each(flow.receive());
        let mut run = flow.start(job).unwrap();
        inside(&schedule, 100).await;
        run.control().drain(ms(100));
        let error = run.wait().await.unwrap_err();
        assert!(matches!(error.cause, Cause::DeadlinePassed(_)));
        assert_eq!(error.report.items.cancelled, 100);
        let undelivered = schedule.take_undelivered();
        let indices: Vec<_> = undelivered.iter().map(|(_, item)| item.index).collect();
        assert_eq!(indices, (0..100).rev().collect::<Vec<_>>());
        assert!(undelivered.is_sorted_by_key(|(due, _)| *due));
        assert!(schedule.take_undelivered().is_empty());
        assert_eq!(schedule.len(), 0);
    });
}

/// Whatever stops a run, what was inside is handed back; nobody who wants it, and it is dropped.
#[test]
fn what_is_inside_is_handed_back_however_the_run_is_stopped() {
    scenario("handed back").on(ALL).run(async |world| {
        for way in 0..4 {
            let (flow, schedule) = (world.flow(), Schedule::new());
            let fails = move |item: Item| match item.index {
                9 if way == 2 => Err(item.fault("not this one")),
                _ => Ok(item),
            };
            let job = Pipeline::from_iter(flow.items(0..10))
                .delay_by(&schedule, in_an_hour(), 100)
                .try_map(fails)
                .for_each(flow.receive());
            let mut run = flow.start(job).unwrap();
            inside(&schedule, 10).await;
            let mut left = 10;
            match way {
                0 => {
                    run.control().cancel();
                    assert!(matches!(cause(run.wait().await), Cause::Cancelled));
                }
                1 => drop(run),
                2 => {
                    flow.failed(9);
                    schedule.reschedule(&9, Instant::now());
                    failure(run.wait().await);
                    left = 9;
                }
                _ => {
                    drop(schedule);
                    run.control().cancel();
                    assert!(matches!(cause(run.wait().await), Cause::Cancelled));
                    assert_eq!(world.settled(|| world.tally().alive(Class::Item)).await, 0);
                    continue;
                }
            }
            inside(&schedule, 0).await;
            let mut undelivered = schedule.take_undelivered();
            while undelivered.is_empty() {
                yield_now().await;
                undelivered = schedule.take_undelivered();
            }
            let indices = undelivered.iter().map(|(_, item)| item.index);
            assert_eq!(
                indices.collect::<Vec<_>>(),
                (0..left).rev().collect::<Vec<_>>()
            );
            assert!(!schedule.cancel(&0) && !schedule.reschedule(&1, Instant::now()));
        }
    });
}

/// A runtime that goes leaves what waited to its schedule.
#[test]
fn what_is_inside_survives_its_runtime() {
    scenario("runtime gone").on(THREADS).run(async |world| {
        let (flow, schedule) = (world.flow(), Schedule::new());
        let (of_run, of_thread) = (flow.clone(), schedule.clone());
        let gone = tokio::task::spawn_blocking(move || {
            let runtime = Builder::new_multi_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let job = Pipeline::from_iter(of_run.items(0..10))
                    .delay_by(&of_thread, in_an_hour(), 100)
                    .for_each(of_run.receive());
                let run = of_run.start(job).unwrap();
                inside(&of_thread, 10).await;
                of_run.let_go();
                run
            })
        });
        let mut run = gone.await.unwrap();
        assert!(matches!(cause(run.wait().await), Cause::RuntimeGone));
        assert_eq!(schedule.take_undelivered().len(), 10);
    });
}

/// An item that is cancelled is gone, and counts as cancelled; what has left cannot be.
#[test]
fn an_item_can_be_cancelled_by_its_key() {
    scenario("cancel").on(ALL).run(async |world| {
        let (flow, schedule) = (world.flow(), Schedule::new());
        let start = Instant::now();
        let job = Pipeline::from_iter(flow.items(0..10))
            .delay_by(
                &schedule,
                move |item: &Item| {
                    let late = if item.index == 0 { ms(0) } else { HOUR };
                    (format!("key {}", item.index), start + late)
                },
                16,
            )
            .for_each(flow.receive());
        let mut run = flow.start(job).unwrap();
        inside(&schedule, 9).await;
        assert!(schedule.cancel("key 3"));
        assert!(!schedule.cancel("key 3"));
        assert!(schedule.cancel(&"key 9".to_owned()));
        assert!(!schedule.cancel("key 0"), "it has left");
        assert!(!schedule.cancel("key 10"), "it was never there");
        flow.cancelled(2);
        assert_eq!(schedule.len(), 7);
        schedule.flush();
        let report = run.wait().await.unwrap();
        assert_eq!(report.outcome, Some(Outcome::Finished));
        assert_eq!(report.items.cancelled, 2);
        flow.expect([0, 1, 2, 4, 5, 6, 7, 8]);
    });
}

/// When all that is left is cancelled, the run ends.
#[test]
fn the_last_item_may_be_cancelled() {
    scenario("cancel the last").on(ALL).run(async |world| {
        for _ in 0..100 {
            let (flow, schedule) = (world.flow(), Schedule::new());
            let job = Pipeline::from_iter(flow.items(0..1))
                .delay_by(&schedule, in_an_hour(), 1)
                .for_each(flow.receive());
            let mut run = flow.start(job).unwrap();
            inside(&schedule, 1).await;
            flow.cancelled(1);
            assert!(schedule.cancel(&0));
            let report = run.wait().await.unwrap();
            // it was counted before the run could be over
            assert_eq!(report.items.cancelled, 1);
        }
    });
}

/// Another time: sooner, later, in the past, and back again. The order is that of the last ones.
#[test]
fn an_item_can_be_rescheduled() {
    scenario("reschedule").run(async |world| {
        let (flow, schedule) = (world.flow(), Schedule::new());
        let (start, watch) = (Instant::now(), Stopwatch::start());
        let job = Pipeline::from_iter(flow.items(0..4))
            .delay_by(
                &schedule,
                move |item: &Item| (item.index, start + ms(100 * (item.index + 1))),
                16,
            )
            .for_each(flow.receive());
        let mut run = flow.start(job).unwrap();
        sleep(ms(10)).await;
        assert!(schedule.reschedule(&0, start + ms(1_000)));
        assert!(schedule.reschedule(&3, start + ms(50)));
        assert!(schedule.reschedule(&2, start + 1_000 * HOUR));
        assert!(schedule.reschedule(&2, start + ms(1_000)));
        sleep(ms(50)).await;
        assert_eq!(flow.out(), [3]);
        assert!(!schedule.reschedule(&3, start));
        run.wait().await.unwrap();
        watch.expect(ms(1_000));
        // of the same time, as if they had come when they were rescheduled
        flow.expect([3, 1, 0, 2]);
    });
}

/// While it is paused nothing leaves, and items come in up to the capacity; on resume what is due leaves in order.
#[test]
fn a_paused_schedule_lets_nothing_leave() {
    scenario("pause").run(async |world| {
        let (flow, schedule) = (world.flow(), Schedule::new());
        schedule.pause();
        schedule.pause();
        let start = Instant::now();
        let job = Pipeline::from_iter(flow.items(0..u64::MAX))
            .buffer(2)
            .delay_by(
                &schedule,
                move |item: &Item| (item.index, start + ms(20 - item.index % 20)),
                20,
            )
            .for_each(flow.receive());
        let mut run = flow.start(job).unwrap();
        sleep(ms(1_000)).await;
        assert!(flow.out().is_empty());
        assert!(schedule.is_full() && schedule.is_paused());
        assert_eq!(schedule.len(), 20);
        let pulled = flow.pulled();
        assert!(pulled <= 20 + 64 + 2, "{pulled}");
        run.control().drain(2 * HOUR);
        schedule.flush();
        sleep(HOUR).await;
        assert!(flow.out().is_empty(), "what is flushed waits as well");
        schedule.resume();
        run.wait().await.unwrap();
        assert_eq!(flow.out()[..20], (0..20).rev().collect::<Vec<_>>());
        assert_eq!(flow.out().len() as u64, pulled);
    });
}

/// Pauses at random times: each item comes once, and in order.
#[test]
fn pauses_lose_and_double_nothing() {
    scenario("pauses").on(ALL).run(async |world| {
        let (flow, schedule) = (world.flow(), Schedule::new());
        let start = Instant::now();
        let job = Pipeline::from_iter(flow.items(0..2_000))
            .delay_by(
                &schedule,
                move |item: &Item| (item.index, start + Duration::from_micros(100 * item.index)),
                2_000,
            )
            .for_each(flow.receive());
        let mut run = flow.start(job).unwrap();
        let mut random = Random::new(11);
        while start.elapsed() < ms(220) {
            schedule.pause();
            if random.below(3) == 0 {
                sleep(ms(random.below(4))).await;
            }
            schedule.resume();
            if random.below(2) == 0 {
                sleep(ms(random.below(3))).await;
            } else {
                yield_now().await;
                // so that a paused clock goes on
                sleep(ms(1)).await;
            }
        }
        run.wait().await.unwrap();
        flow.expect(0..2_000);
    });
}

/// The gauge: it is full while others wait in front of it, and room that a call makes is used.
#[test]
fn a_full_schedule_says_so() {
    scenario("full").on(ALL).run(async |world| {
        let (flow, schedule) = (world.flow(), Schedule::new());
        assert!(!schedule.is_full() && schedule.is_empty());
        let job = Pipeline::from_iter(flow.items(0..5))
            .delay_by(&schedule, in_an_hour(), 3)
            .for_each(flow.receive());
        let mut run = flow.start(job).unwrap();
        inside(&schedule, 3).await;
        assert!(schedule.is_full());
        assert!(!schedule.cancel(&4), "it waits in front");
        flow.cancelled(2);
        assert!(schedule.cancel(&0));
        while !schedule.cancel(&3) {
            yield_now().await;
        }
        inside(&schedule, 3).await;
        assert!(schedule.cancel(&4));
        flow.cancelled(1);
        assert!(!schedule.is_full());
        schedule.flush();
        run.wait().await.unwrap();
        flow.expect([2, 1]);
    });
}

/// What is due stays inside while the next step is full, and leaves when it is not.
#[test]
fn what_is_due_stays_inside_while_the_next_step_is_full() {
    scenario("schedule, due and full")
        .on(ALL)
        .run(async |world| {
            let (flow, gate, schedule) = (world.flow(), Gate::new(), Schedule::new());
            let (due, opened) = (Instant::now(), gate.clone());
            let job = Pipeline::from_iter(flow.items(0..2_000))
                .delay_by(&schedule, move |item: &Item| (item.index, due), 1_000)
                .sink(flow.sink(move |_| {
                    let gate = opened.clone();
                    async move {
                        gate.pass().await;
                        Ok(())
                    }
                }));
            let mut run = flow.start(job).unwrap();
            inside(&schedule, 1_000).await;
            gate.open();
            run.wait().await.unwrap();
            flow.expect(0..2_000);
        });
}

/// A key whose hashes are often the same, and which counts its drops.
struct Clash {
    number: u64,
    alive: Arc<AtomicU64>,
}

impl Clash {
    fn new(number: u64, alive: &Arc<AtomicU64>) -> Self {
        alive.fetch_add(1, Ordering::SeqCst);
        let alive = alive.clone();
        Clash { number, alive }
    }
}

impl Drop for Clash {
    fn drop(&mut self) {
        self.alive.fetch_sub(1, Ordering::SeqCst);
    }
}

impl PartialEq for Clash {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}

impl Eq for Clash {}

impl Hash for Clash {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.number % 3).hash(state);
    }
}

/// What a schedule does, in plain words: a sorted list.
#[derive(Default)]
struct Reference {
    /// In front, with keys and deadlines.
    front: Vec<(u64, u64, u64)>,
    /// By deadline and arrival: item, key, flushed.
    inside: BTreeMap<(u64, u64), (u64, u64, bool)>,
    capacity: usize,
    arrivals: u64,
    paused: bool,
    out: Vec<u64>,
    cancelled: u64,
}

impl Reference {
    /// All that happens by itself at this time.
    fn go_on(&mut self, now: u64) {
        loop {
            while self.inside.len() < self.capacity && !self.front.is_empty() {
                let (item, key, due) = self.front.remove(0);
                self.inside.insert((due, self.arrivals), (item, key, false));
                self.arrivals += 1;
            }
            let leave: Vec<_> = self
                .inside
                .iter()
                .filter(|((due, _), (_, _, flushed))| *due <= now || *flushed)
                .map(|(place, _)| *place)
                .collect();
            if leave.is_empty() || self.paused {
                return;
            }
            for place in leave {
                let (item, ..) = self.inside.remove(&place).unwrap();
                self.out.push(item);
            }
        }
    }

    fn with_key(&self, key: u64) -> Vec<(u64, u64)> {
        let found = self.inside.iter().filter(|(_, entry)| entry.1 == key);
        let mut places: Vec<_> = found.map(|(place, _)| *place).collect();
        places.sort_by_key(|(_, arrival)| *arrival);
        places
    }

    fn cancel(&mut self, key: u64) -> bool {
        let places = self.with_key(key);
        self.cancelled += places.len() as u64;
        for place in &places {
            self.inside.remove(place);
        }
        !places.is_empty()
    }

    fn reschedule(&mut self, key: u64, due: u64) -> bool {
        let places = self.with_key(key);
        for place in &places {
            let (item, key, _) = self.inside.remove(place).unwrap();
            self.inside.insert((due, self.arrivals), (item, key, false));
            self.arrivals += 1;
        }
        !places.is_empty()
    }
}

/// Cancels, other times, pauses and flushes by lot, with keys that clash and items that share one: what comes out, what
/// the calls answer and what is handed back is what a sorted list says.
#[test]
fn a_schedule_does_what_a_sorted_list_does() {
    scenario("model").run(async |world| {
        for seed in 0..400 {
            let mut random = Random::new(seed);
            let (flow, schedule) = (world.flow(), Schedule::new());
            let alive = Arc::new(AtomicU64::new(0));
            let count = 1 + random.below(60);
            // where items wait in front, what is due may leave before the next one has come in
            let all_fit = seed % 2 == 0;
            let capacity = if all_fit { count } else { 1 + random.below(60) };
            let mut reference = Reference {
                capacity: capacity as usize,
                ..Reference::default()
            };
            for item in 0..count {
                let (key, due) = (random.below(30), 4 * random.below(40));
                reference.front.push((item, key, due));
            }
            let start = Instant::now();
            let (front, keys) = (reference.front.clone(), alive.clone());
            let job = Pipeline::from_iter(flow.items(0..count))
                .delay_by(
                    &schedule,
                    move |item: &Item| {
                        let (_, key, due) = front[item.index as usize];
                        (Clash::new(key, &keys), start + ms(due))
                    },
                    reference.capacity,
                )
                .for_each(flow.receive());
            let mut run = flow.start(job).unwrap();
            // deadlines are at multiples of 4 ms, what is done is done between them
            let mut now = 0;
            for _ in 0..random.below(40) {
                let next = now + 4 * random.below(3) + if now == 0 { 2 } else { 0 };
                for time in now..=next {
                    reference.go_on(time);
                }
                now = next;
                sleep_until(start + ms(now)).await;
                sleep(ms(0)).await;
                let key = Clash::new(random.below(30), &alive);
                match random.below(8) {
                    0 | 1 => {
                        let before = reference.cancelled;
                        let expected = reference.cancel(key.number);
                        flow.cancelled(reference.cancelled - before);
                        assert_eq!(schedule.cancel(&key), expected, "seed {seed} at {now}");
                    }
                    2..=4 => {
                        let due = 4 * random.below(50);
                        let expected = reference.reschedule(key.number, due);
                        let done = schedule.reschedule(&key, start + ms(due));
                        assert_eq!(done, expected, "seed {seed} at {now}");
                    }
                    5 => {
                        reference.paused = true;
                        schedule.pause();
                    }
                    6 => {
                        reference.paused = false;
                        schedule.resume();
                    }
                    _ => {
                        let inside = reference.inside.values_mut();
                        inside.for_each(|entry| entry.2 = true);
                        schedule.flush();
                    }
                }
                reference.go_on(now);
                // it has its turn before anything else is done
                for _ in 0..20 {
                    yield_now().await;
                }
                assert_eq!(
                    schedule.len(),
                    reference.inside.len(),
                    "seed {seed} at {now}"
                );
            }
            let stopped = random.below(2) == 0;
            if stopped {
                run.control().cancel();
                match run.wait().await {
                    Ok(_) => assert!(reference.inside.is_empty()),
                    Err(error) => assert!(matches!(error.cause, Cause::Cancelled)),
                }
            } else {
                reference.paused = false;
                schedule.resume();
                (now..=1_000).for_each(|time| reference.go_on(time));
                run.wait().await.unwrap();
            }
            let mut out = flow.out();
            if !all_fit {
                out.sort_unstable();
                reference.out.sort_unstable();
            }
            assert_eq!(out, reference.out, "seed {seed}");
            let undelivered = schedule.take_undelivered();
            let undelivered = undelivered.iter().map(|(_, item)| item.index);
            let expected = reference.inside.values().map(|(item, ..)| *item);
            assert!(undelivered.eq(expected), "seed {seed}");
            assert_eq!(
                alive.load(Ordering::SeqCst),
                0,
                "seed {seed}: keys are left"
            );
        }
    });
}

/// Everything at once, on threads: each item ends once, and a cancel that says so was the one.
#[test]
fn races_decide_about_each_item_once() {
    const ITEMS: u64 = 3_000;
    scenario("races").on(ALL).run(async |world| {
        let (flow, schedule) = (world.flow(), Schedule::new());
        let (start, over) = (Instant::now(), Arc::new(AtomicBool::new(false)));
        let cancelled: Arc<Mutex<Vec<u64>>> = Arc::default();
        let source = flow.source(|index| async move {
            if index % 8 == 0 {
                yield_now().await;
            }
            Ok(index < ITEMS)
        });
        let job = Pipeline::from_source(source)
            .delay_by(
                &schedule,
                move |item: &Item| {
                    (
                        item.index,
                        start + Duration::from_micros(item.index * 7919 % 60_000),
                    )
                },
                500,
            )
            .for_each(flow.receive());
        let mut run = flow.start(job).unwrap();
        let tasks: Vec<_> = (0..4)
            .map(|seed| {
                let (schedule, over) = (schedule.clone(), over.clone());
                let (cancelled, flow) = (cancelled.clone(), flow.clone());
                tokio::spawn(async move {
                    let mut random = Random::new(seed);
                    while !over.load(Ordering::SeqCst) {
                        let key = random.below(ITEMS);
                        match random.below(20) {
                            0..=3 => {
                                if schedule.cancel(&key) {
                                    flow.cancelled(1);
                                    cancelled.lock().unwrap().push(key);
                                }
                            }
                            4..=15 => {
                                let soon =
                                    Instant::now() + Duration::from_micros(random.below(9_000));
                                schedule.reschedule(&key, soon);
                            }
                            16 => schedule.flush(),
                            17 => schedule.pause(),
                            _ => schedule.resume(),
                        }
                        if random.below(4) == 0 {
                            sleep(ms(1)).await;
                        }
                        yield_now().await;
                    }
                    schedule.resume();
                })
            })
            .collect();
        sleep(ms(300)).await;
        over.store(true, Ordering::SeqCst);
        for task in tasks {
            task.await.unwrap();
        }
        schedule.resume();
        let report = run.wait().await.unwrap();
        let mut cancelled = cancelled.lock().unwrap().clone();
        assert_eq!(report.items.cancelled, cancelled.len() as u64);
        cancelled.extend(flow.out());
        cancelled.sort_unstable();
        assert_eq!(cancelled, (0..ITEMS).collect::<Vec<_>>());
        assert!(schedule.take_undelivered().is_empty());
    });
}

/// Tens of thousands that share a key are taken out of their list as fast as one that has its own.
#[test]
fn many_items_may_have_one_key() {
    scenario("one key").run(async |world| {
        let (flow, schedule) = (world.flow(), Schedule::new());
        let due = Instant::now() + HOUR;
        let job = Pipeline::from_iter(0..40_000_u64)
            .delay_by(&schedule, move |n| (n % 2, due), 40_000)
            .count();
        let mut run = flow.start(job).unwrap();
        inside(&schedule, 40_000).await;
        flow.cancelled(20_000);
        assert!(schedule.cancel(&0));
        assert_eq!(schedule.len(), 20_000);
        assert!(schedule.reschedule(&1, due + HOUR));
        schedule.flush();
        let report = run.wait().await.unwrap();
        assert_eq!((report.value, report.items.cancelled), (20_000, 20_000));
    });
}

/// A key that panics when it is asked to.
struct Fragile {
    number: u64,
    hash: bool,
    eq: bool,
    drop: bool,
}

impl Fragile {
    fn sound(number: u64) -> Self {
        Fragile {
            number,
            hash: false,
            eq: false,
            drop: false,
        }
    }
}

impl Hash for Fragile {
    fn hash<H: Hasher>(&self, state: &mut H) {
        assert!(!self.hash, "no hash");
        self.number.hash(state);
    }
}

impl PartialEq for Fragile {
    fn eq(&self, other: &Self) -> bool {
        assert!(!self.eq && !other.eq, "no answer");
        self.number == other.number
    }
}

impl Eq for Fragile {}

impl Drop for Fragile {
    fn drop(&mut self) {
        assert!(!self.drop, "no end");
    }
}

/// Panics of keys, wherever they can be: they fail their item, or reach the caller, and break nothing.
#[test]
fn panics_of_keys_break_nothing() {
    scenario("keys that panic").on(ALL).run(async |world| {
        let (flow, schedule) = (world.flow(), Schedule::new());
        let (errors, failures) = mpsc::channel(16);
        let due = Instant::now() + HOUR;
        let job = Pipeline::from_iter(flow.items(0..8))
            .delay_by(
                &schedule,
                move |item: &Item| {
                    assert!(item.index != 1, "no key");
                    let key = Fragile {
                        number: item.index,
                        hash: item.index == 2,
                        eq: item.index == 3,
                        drop: item.index == 4 || item.index == 5,
                    };
                    (key, due)
                },
                16,
            )
            .for_each(flow.receive())
            .errors(errors);
        [1, 2].into_iter().for_each(|index| flow.failed(index));
        let mut run = flow.start(job).unwrap();
        inside(&schedule, 6).await;
        let answer = catch_unwind(AssertUnwindSafe(|| schedule.cancel(&Fragile::sound(3))));
        assert!(answer.is_err());
        flow.cancelled(2);
        assert!(schedule.cancel(&Fragile::sound(4)));
        assert!(schedule.cancel(&Fragile::sound(6)));
        assert!(schedule.reschedule(&Fragile::sound(7), due - ms(1)));
        schedule.flush();
        run.wait().await.unwrap();
        flow.expect([7, 0, 3, 5]);
        let errors = all_errors(failures).await;
        assert!(
            errors
                .iter()
                .all(|error| error.kind() == ErrorKind::Panicked)
        );
        assert!(errors.iter().all(|error| error.stage() == "delay_by"));
        assert_eq!(origins(&errors), [1, 2]);
    });
}

/// A key that can make the one who compares it wait.
struct Slow {
    number: u64,
    compared: Option<(mpsc::UnboundedSender<()>, Door)>,
}

impl Hash for Slow {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.number.hash(state);
    }
}

impl PartialEq for Slow {
    fn eq(&self, other: &Self) -> bool {
        for (compared, go_on) in self.compared.iter().chain(&other.compared) {
            compared.send(()).expect("the test waits");
            go_on.pass();
        }
        self.number == other.number
    }
}

impl Eq for Slow {}

/// An item that leaves while its key is being compared is not cancelled, and neither is the one that has its place by then.
#[test]
fn a_cancel_does_not_take_the_next_one_for_the_last() {
    scenario("cancel too late").on(THREADS).run(async |world| {
        let (flow, schedule) = (world.flow(), Schedule::new());
        let due = Instant::now() + HOUR;
        let key = move |item: &Item| {
            let number = item.index;
            let compared = None;
            (Slow { number, compared }, due)
        };
        let job = Pipeline::from_iter(flow.items(0..2))
            .delay_by(&schedule, key, 1)
            .for_each(flow.receive());
        let mut run = flow.start(job).unwrap();
        inside(&schedule, 1).await;
        let (compared, mut comparing) = mpsc::unbounded_channel();
        let (go_on, late) = (Door::new(), schedule.clone());
        let key = Slow {
            number: 0,
            compared: Some((compared, go_on.clone())),
        };
        let cancel = tokio::task::spawn_blocking(move || late.cancel(&key));
        comparing.recv().await.unwrap();
        schedule.flush();
        while flow.out().is_empty() || schedule.is_empty() {
            yield_now().await;
        }
        go_on.open();
        assert!(!cancel.await.unwrap());
        assert_eq!(schedule.len(), 1);
        schedule.flush();
        run.wait().await.unwrap();
        flow.expect([0, 1]);
    });
}

/// A schedule is for one step at a time, and can be used for one run after the other.
#[test]
fn a_schedule_is_for_one_step_at_a_time() {
    scenario("in use").on(ALL).run(async |world| {
        let schedule = Schedule::new();
        let describe = |flow: &Flow| {
            Pipeline::from_iter(flow.items(0..3))
                .delay_by(&schedule, in_an_hour(), 16)
                .for_each(flow.receive())
        };
        let flow = world.flow();
        let first = describe(&flow);
        let refused = describe(&world.flow()).start();
        assert!(matches!(
            refused,
            Err(BuildError::InUse(step, "schedule")) if &*step == "delay_by"
        ));
        let mut run = flow.start(first).unwrap();
        inside(&schedule, 3).await;
        run.control().cancel();
        assert!(matches!(cause(run.wait().await), Cause::Cancelled));

        let flow = world.flow();
        let mut run = flow.start(describe(&flow)).unwrap();
        inside(&schedule, 3).await;
        schedule.flush();
        run.wait().await.unwrap();
        flow.expect([2, 1, 0]);
        assert_eq!(schedule.take_undelivered().len(), 3);

        let flow = world.flow();
        let none = Pipeline::from_iter(flow.items(0..3))
            .delay_by(&schedule, in_an_hour(), 0)
            .for_each(flow.receive());
        assert!(matches!(none.start(), Err(BuildError::Zero(_, "capacity"))));
    });
}

/// Items that were put off and taken out a thousand times leave nothing in the schedule, and do not slow it down.
#[test]
fn what_was_rescheduled_leaves_nothing_behind() {
    scenario("rescheduled often").run(async |world| {
        let (flow, schedule) = (world.flow(), Schedule::new());
        let due = Instant::now() + HOUR;
        let job = Pipeline::from_iter(flow.items(0..100))
            .delay_by(&schedule, in_an_hour(), 100)
            .for_each(flow.receive());
        let mut run = flow.start(job).unwrap();
        inside(&schedule, 100).await;
        for round in 0..1_000 {
            for key in 0..100 {
                assert!(schedule.reschedule(&key, due + ms(round) - ms(key)));
            }
            yield_now().await;
        }
        assert_eq!(schedule.len(), 100);
        run.wait().await.unwrap();
        flow.expect((0..100).rev());
    });
}
