//! Large items, which travel in boxes, behave like small ones.

use std::future::pending;

use pipeline_core::prelude::*;
use tests::prelude::*;
use tokio::sync::mpsc;
use tokio::task::yield_now;
use tokio::time::advance;
use tokio_stream::StreamExt;

/// An item with `N` bytes more.
struct Loaded<const N: usize> {
    item: Item,
    load: [u8; N],
}

fn load<const N: usize>(item: Item) -> Loaded<N> {
    let load = [item.index.to_le_bytes()[0]; N];
    Loaded { item, load }
}

/// The item again, if nothing has happened to its load.
fn unload<const N: usize>(loaded: Loaded<N>) -> Item {
    let expected = loaded.item.index.to_le_bytes()[0];
    assert!(loaded.load.iter().all(|byte| *byte == expected));
    loaded.item
}

/// From a source, through stages, fused steps and failures, into every kind of end.
fn travels<const N: usize>() {
    scenario("large items")
        .on(ALL)
        .in_both_orders()
        .run(async |world| {
            let flow = world.flow();
            let (errors, mut failures) = mpsc::channel(64);
            let fails = flow.clone();
            let job = Pipeline::from_iter(flow.items(0..300).map(load::<N>))
                .try_map(move |loaded| {
                    if loaded.item.index % 10 == 3 {
                        fails.failed(loaded.item.index);
                        return Err("three");
                    }
                    Ok(loaded)
                })
                .parallelism(4)
                .window(16)
                .in_order(world.order())
                .map(unload)
                .filter(flow.keep(|index| index % 10 != 7))
                .map(load::<N>)
                .parallelism(2)
                .for_each({
                    let mut receive = flow.receive();
                    move |loaded| receive(unload(loaded))
                })
                .errors(errors);
            let report = flow.run(job).await.expect("goes on");
            flow.expect((0..300).filter(|n| n % 10 != 3 && n % 10 != 7));
            assert_eq!((report.items.failed, report.items.filtered), (30, 30));
            let mut told = 0;
            while failures.recv().await.is_some() {
                told += 1;
            }
            assert_eq!(told, 30);
        });
}

/// On both sides of the size from which they travel in boxes, and far beyond it.
#[test]
fn items_of_any_size_arrive_whole_and_in_order() {
    travels::<0>();
    travels::<1000>();
    travels::<1025>();
    travels::<16_384>();
}

/// A stream of large items, left in the middle, drops the rest.
#[test]
fn a_stream_of_large_items_may_be_left() {
    scenario("large items, left").on(ALL).run(async |world| {
        let flow = world.flow();
        let pipeline = Pipeline::from_iter(flow.items(0..300).map(load::<4096>));
        let job = pipeline.map(|loaded| loaded).parallelism(2).into_stream();
        let mut running = job.start().expect("started");
        for index in 0..5 {
            let loaded = running
                .next()
                .await
                .expect("there are 300")
                .expect("nothing fails");
            assert_eq!(unload(loaded).index, index);
        }
        drop(running);
    });
}

/// A copy of an item with `N` bytes more.
#[derive(Clone)]
struct Heavy<const N: usize> {
    parcel: Parcel,
    load: [u8; N],
}

impl<const N: usize> Heavy<N> {
    fn new(parcel: Parcel) -> Self {
        let load = [parcel.index.to_le_bytes()[0]; N];
        Heavy { parcel, load }
    }

    /// Its number, if nothing has happened to its load.
    fn index(&self) -> u64 {
        let expected = self.parcel.index.to_le_bytes()[0];
        assert!(self.load.iter().all(|byte| *byte == expected));
        self.parcel.index
    }
}

/// Tried again, cut short, and sent away.
fn comes_back<const N: usize>() {
    scenario("large items in trouble")
        .on(ALL)
        .in_both_orders()
        .run(async |world| {
            let flow = world.flow();
            let (letters, mut dead) = mpsc::channel(64);
            let log = Log::new();
            let tries = log.clone();
            let fails = |index: &u64| matches!(index % 10, 3 | 6);
            let job = Pipeline::from_iter(flow.parcels(0..100).map(Heavy::<N>::new))
                .and_then(move |heavy: Heavy<N>| {
                    let attempt = tries.begin(heavy.index(), 0);
                    async move {
                        match heavy.index() % 10 {
                            3 => return Err("three"),
                            5 if attempt < 3 => return Err("not yet"),
                            6 => pending().await,
                            7 if attempt == 1 => pending().await,
                            _ => {}
                        }
                        Ok(heavy)
                    }
                })
                .parallelism(4)
                .window(16)
                .in_order(world.order())
                // only for those that hang: the others are ready at once
                .attempt_timeout(ms(10))
                .retry(Retry::fixed(ms(1)).max_retries(2))
                .dead_letters(letters)
                .map(|heavy| {
                    heavy.index();
                    heavy.parcel.open()
                })
                .for_each(flow.receive());
            let failing = flow.run_failing(job, (0..100).filter(fails));
            let reading = async {
                let mut indices = Vec::new();
                while let Some(letter) = dead.recv().await {
                    assert_eq!(letter.error.attempts(), 3);
                    indices.push(letter.item.index());
                }
                indices.sort_unstable();
                indices
            };
            let (report, indices) = tokio::join!(failing, reading);
            let report = report.expect("goes on");
            flow.expect((0..100).filter(|index| !fails(index)));
            assert!(indices.into_iter().eq((0..100).filter(fails)));
            assert_eq!(report.stages[0].timeouts, 10);
            assert_eq!(log.total(), 100 + 10 * (2 + 2 + 2 + 1));
        });
}

/// Items on both sides of the size from which they travel in boxes are tried again, cut short and sent away alike.
#[test]
fn items_of_any_size_are_tried_again_and_come_back_whole() {
    comes_back::<0>();
    comes_back::<1000>();
    comes_back::<1025>();
    comes_back::<16_384>();
}

/// The same on blocking threads, where somebody else decides about those that take too long.
#[test]
fn large_items_of_blocking_bodies_come_back_whole() {
    scenario("large items, blocking")
        .in_both_orders()
        .run(async |world| {
            let flow = world.flow();
            let (letters, mut dead) = mpsc::channel(4);
            let (gauge, door) = (flow.gauge(1), Door::new());
            let (threads, shut) = (gauge.clone(), door.clone());
            flow.failed(0);
            let job = Pipeline::from_iter(flow.parcels(0..3).map(Heavy::<4096>::new))
                .blocking(move |heavy: Heavy<4096>| {
                    let _inside = threads.enter(heavy.index());
                    if heavy.index() == 0 {
                        shut.pass();
                    }
                    heavy
                })
                .in_order(world.order())
                .timeout(ms(50))
                .dead_letters(letters)
                .map(|heavy| heavy.parcel.open())
                .for_each(flow.receive());
            let mut run = flow.start(job).expect("started");
            while gauge.count() == 0 {
                yield_now().await;
            }
            advance(ms(60)).await;
            let letter = dead.recv().await.expect("one takes too long");
            assert_eq!(letter.item.index(), 0);
            door.open();
            run.wait().await.expect("goes on");
            flow.expect([1, 2]);
        });
}
