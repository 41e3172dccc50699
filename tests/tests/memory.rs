//! Memory, tasks and threads, by the counts of the whole process: so these tests run one at a time.

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use pipeline_core::Schedule;
use pipeline_core::prelude::*;
use tests::alloc::{Counting, alone};
use tests::prelude::*;
use tokio::runtime::Handle;
use tokio::task::yield_now;

#[global_allocator]
static ALLOCATOR: Counting = Counting::new();

const ITEM: usize = 10_000;

/// A consumer that takes 20 us of its thread for each item.
fn slowly(item: Vec<u8>) {
    let start = Instant::now();
    while start.elapsed() < Duration::from_micros(20) {
        black_box(&item);
    }
    drop(item);
}

/// The most bytes alive while so many items pass, and the most items that may be inside.
async fn peak(world: &World, count: usize) -> (usize, usize) {
    let flow = world.flow();
    let job = Pipeline::from_iter((0..count).map(|_| vec![1u8; ITEM]))
        .buffer(16)
        .then(std::future::ready)
        .parallelism(8)
        .window(64)
        .in_order(world.order())
        .for_each(slowly);
    let inside = job.plan().max_inside;
    let before = ALLOCATOR.restart();
    flow.run(job).await.unwrap();
    (ALLOCATOR.peak().saturating_sub(before), inside)
}

/// Scenario 28: memory is bounded by what the plan says is inside, and does not grow with the number of items.
#[test]
fn memory_does_not_grow_with_the_number_of_items() {
    let _alone = alone();
    scenario("28")
        .on(&[Machine::Threads(2)])
        .in_both_orders()
        .run(async |world| {
            // on a busy machine a short run may end before it was ever full: so the most of some
            let (mut few, mut inside) = (0, 0);
            for _ in 0..20 {
                let (bytes, plan) = peak(&world, 1_000).await;
                (few, inside) = (few.max(bytes), plan);
            }
            let (many, _) = peak(&world, 50_000).await;
            let ratio = many as f64 / few as f64;
            assert!(
                ratio <= 1.2,
                "{few} bytes for 1,000 items, {many} for 50,000"
            );
            let bound = inside * ITEM + 256 * 1_024;
            assert!(many <= bound, "{many} bytes where {bound} are allowed");
            // the pipeline was in use: else the bounds say nothing
            assert!(few > 10 * ITEM, "{few} bytes");
        });
}

/// Threads of this process, where the system tells.
fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").map_or(0, Iterator::count)
}

/// One small pipeline with most of what there is: failures, filters, several workers.
async fn small() {
    let (errors, failures) = tokio::sync::mpsc::channel(4);
    let report = Pipeline::from_iter(0..20u64)
        .and_then(|n| async move {
            yield_now().await;
            if n == 7 { Err("broken") } else { Ok(n) }
        })
        .parallelism(4)
        .filter(|n| n % 2 == 0)
        .then(std::future::ready)
        .parallelism(2)
        .unordered()
        .collect()
        .errors(errors)
        .run()
        .await
        .unwrap();
    assert_eq!(report.value.len(), 10);
    drop(failures);
}

/// Scenario 106: a thousand pipelines in one process leave no task, no thread and no memory behind.
#[test]
fn a_thousand_pipelines_leave_nothing_behind() {
    let _alone = alone();
    let machines = [Machine::Paused, Machine::Threads(2)];
    scenario("106").on(&machines).run(async |_world| {
        let seen = || {
            (
                Handle::current().metrics().num_alive_tasks(),
                threads(),
                ALLOCATOR.live(),
            )
        };
        let mut early = seen();
        for round in 0..1_000 {
            small().await;
            if round < 10 {
                early = seen();
            }
        }
        let more = || {
            let late = seen();
            (
                late.0.saturating_sub(early.0),
                late.1.saturating_sub(early.1),
                late.2.saturating_sub(early.2),
            )
        };
        // The blocking pool of the runtime may have grown a little; one thread for each pipeline would be 990. The bytes are
        // less than one small allocation for each, or what a thread brings along.
        let constant =
            |(tasks, threads, bytes)| tasks == 0 && threads < 32 && bytes < 8_192 * (1 + threads);
        // what watched over the last run may still be on its way out
        let mut patience = 1_000;
        while !constant(more()) && patience > 0 {
            patience -= 1;
            tokio::time::sleep(ms(1)).await;
        }
        assert!(
            constant(more()),
            "tasks, threads, bytes more after 990 pipelines: {:?}",
            more()
        );
    });
}

/// What waited in a delay is given back when it has left, while the run goes on.
#[test]
fn a_delay_gives_back_what_it_held() {
    const ITEMS: u64 = 20_000;
    let _alone = alone();
    scenario("delays").run(async |world| {
        let (flow, schedule) = (world.flow(), Schedule::new());
        let (sender, source) = Pipeline::channel(16);
        let count = Arc::new(AtomicU64::new(0));
        let start = tokio::time::Instant::now();
        let received = count.clone();
        let job = source
            .delay_by(
                &schedule,
                move |n: &u64| (*n, start + ms(100_000)),
                ITEMS as usize,
            )
            .delay_until(move |n| start + ms(200_000 - n % 100), ITEMS as usize)
            .delay(ms(100_000), ITEMS as usize)
            .for_each(move |_| {
                received.fetch_add(1, Ordering::SeqCst);
            });
        let mut run = flow.start(job).unwrap();
        tokio::time::sleep(ms(1)).await;
        let before = ALLOCATOR.live();
        for n in 0..ITEMS {
            sender.send(n).await.unwrap();
        }
        let held = || ALLOCATOR.live().saturating_sub(before);
        // in the first one, in the second, in the third, in none
        for (until, at_least, at_most) in [
            (50_000, 40, usize::MAX),
            (150_000, 40, usize::MAX),
            (250_000, 32, usize::MAX),
            (400_000, 0, 400_000),
        ] {
            tokio::time::sleep_until(start + ms(until)).await;
            let held = held();
            assert!(
                held >= at_least * ITEMS as usize && held <= at_most,
                "{held} bytes at {until} ms"
            );
        }
        assert_eq!(count.load(Ordering::SeqCst), ITEMS);
        drop(sender);
        run.wait().await.unwrap();
    });
}
