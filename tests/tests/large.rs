//! Large items, which travel in boxes, behave like small ones.

use pipeline_core::prelude::*;
use tests::prelude::*;
use tokio::sync::mpsc;
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
