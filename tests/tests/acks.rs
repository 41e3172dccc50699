//! Acknowledgements as they are built today: the end acknowledges what it has done, the dead letters are
//! refused, and what a cancel leaves behind is left open, for whoever gave it to give it again.

use std::sync::{Arc, Mutex};

use pipeline_core::error::{Cause, DeadLetter, Overflow};
use pipeline_core::prelude::*;
use tests::prelude::*;
use tokio::sync::mpsc;
use tokio::task::yield_now;

/// What a broker was told, in order.
#[derive(Debug, Clone, Default)]
struct Broker(Arc<Mutex<Vec<(u64, bool)>>>);

impl Broker {
    fn ack(&self, index: u64) {
        self.0
            .lock()
            .expect("no panic under this lock")
            .push((index, true));
    }

    fn nack(&self, index: u64) {
        self.0
            .lock()
            .expect("no panic under this lock")
            .push((index, false));
    }

    /// The messages that were acknowledged and those that were refused; none is both, none is it twice.
    fn told(&self) -> (Vec<u64>, Vec<u64>) {
        let mut all = self.0.lock().expect("no panic under this lock").clone();
        all.sort_unstable();
        let count = all.len();
        all.dedup_by_key(|(index, _)| *index);
        assert_eq!(all.len(), count, "a message was settled twice");
        let (acked, nacked): (Vec<_>, Vec<_>) = all.into_iter().partition(|(_, ack)| *ack);
        let index = |(index, _)| index;
        (
            acked.into_iter().map(index).collect(),
            nacked.into_iter().map(index).collect(),
        )
    }
}

/// Scenario 161: every message is acknowledged or refused, once.
#[test]
fn each_message_is_acknowledged_or_refused_once() {
    scenario("161").on(ALL).in_both_orders().run(async |world| {
        let (flow, broker) = (world.flow(), Broker::default());
        let (to, mut dead) = mpsc::channel::<DeadLetter<Parcel>>(16);
        let body = flow.tries(16, |parcel, _| async move {
            if parcel.index % 3 == 0 {
                yield_now().await;
            }
            match parcel.index % 10 {
                9 => Err(parcel.fault("broken")),
                _ => Ok(parcel),
            }
        });
        let (mut receive, acks) = (flow.receive(), broker.clone());
        let job = Pipeline::from_iter(flow.parcels(0..1_000))
            .stage(body)
            .parallelism(16)
            .in_order(world.order())
            .dead_letters(to)
            .for_each(move |item| {
                acks.ack(item.index);
                receive(item);
            })
            .error_overflow(Overflow::Wait);
        let nacks = broker.clone();
        let refusing = tokio::spawn(async move {
            while let Some(letter) = dead.recv().await {
                nacks.nack(letter.item.index);
            }
        });
        let failing = (0..1_000).filter(|index| index % 10 == 9);
        flow.run_failing(job, failing.clone()).await.unwrap();
        refusing.await.expect("no panic");
        let (acked, nacked) = broker.told();
        assert_eq!(nacked, failing.collect::<Vec<_>>());
        assert_eq!(acked.len(), 900);
    });
}

/// Scenario 167: what is in work at a cancel is neither acknowledged nor refused, and nothing is told to anybody
/// when the wait for the run has returned.
#[test]
fn a_cancel_leaves_messages_open() {
    scenario("167").on(ALL).run(async |world| {
        let (flow, broker, gates) = (world.flow(), Broker::default(), Gates::new());
        let (mut receive, acks) = (flow.receive(), broker.clone());
        (0..4).for_each(|index| gates.open(index));
        let body = flow.gated(8, &gates);
        let gauge = body.gauge();
        let job = Pipeline::from_iter(flow.items(0..100))
            .stage(body)
            .parallelism(8)
            .for_each(move |item: Item| {
                acks.ack(item.index);
                receive(item);
            });
        let mut run = flow.start(job).unwrap();
        world
            .until(|| flow.out().len() == 4 && gauge.now() == 8)
            .await;
        run.control().cancel();
        let error = run.wait().await.unwrap_err();
        assert!(matches!(error.cause, Cause::Cancelled));
        assert_eq!(broker.told(), (vec![0, 1, 2, 3], vec![]));
        (4..100).for_each(|index| gates.open(index));
        world.settled(|| broker.told()).await;
        assert_eq!(broker.told(), (vec![0, 1, 2, 3], vec![]));
    });
}

/// Scenario 168: a body that acknowledges early; the end sees that, and does not do it again.
#[test]
fn an_early_acknowledgement_is_the_only_one() {
    let early = |item: &Item| item.index.is_multiple_of(2);
    scenario("168")
        .on(ALL)
        .in_both_orders()
        .run(async move |world| {
            let (flow, broker) = (world.flow(), Broker::default());
            let body = flow.body_with(4, broker.clone(), move |item, broker| async move {
                if early(&item) {
                    broker.ack(item.index);
                }
                yield_now().await;
                Ok(item)
            });
            let (mut receive, acks) = (flow.receive(), broker.clone());
            let job = Pipeline::from_iter(flow.items(0..100))
                .stage(body)
                .parallelism(4)
                .in_order(world.order())
                .for_each(move |item| {
                    if !early(&item) {
                        acks.ack(item.index);
                    }
                    receive(item);
                });
            flow.run(job).await.unwrap();
            assert_eq!(broker.told(), ((0..100).collect(), vec![]));
        });
}
