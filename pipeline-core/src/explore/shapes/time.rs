//! Items that leave later: a schedule and the calls that reach into it.

super::shapes! {
    /// Nothing leaves twice, and who is told that he has cancelled an item is the only one who has it.
    scheduled(3000, 3000);
}

mod play {
    use std::sync::{Arc, Mutex};

    use shuttle::future::spawn;
    use tokio::time::Instant;

    use crate::{
        Schedule,
        explore::{
            lots::{dawdle, in_hundred, one_of},
            world::World,
        },
        prelude::*,
    };

    const ITEMS: u64 = 6;

    /// Some calls, and what they have cancelled.
    async fn meddle(schedule: Schedule<u64, u64>) -> Vec<u64> {
        let mut cancelled = Vec::new();
        for _ in 0..6 {
            let key = one_of(0..=2);
            match one_of(0..=6) {
                0..=2 => {
                    if schedule.cancel(&key) {
                        cancelled.push(key);
                    }
                }
                3 => drop(schedule.reschedule(&key, Instant::now())),
                4 => schedule.flush(),
                5 => schedule.pause(),
                _ => schedule.resume(),
            }
            dawdle(2).await;
        }
        schedule.resume();
        cancelled
    }

    pub(super) async fn scheduled(world: World) {
        world.discards();
        let schedule = Schedule::new();
        // everything is due at once: else there would be nothing inside to be called for
        schedule.pause();
        let received = Arc::new(Mutex::new(Vec::new()));
        let end = Arc::clone(&received);
        let job = Pipeline::from_iter(0..ITEMS)
            .buffer(1)
            .delay_by(&schedule, |n| (*n, Instant::now()), 2)
            .for_each(move |n| end.lock().expect("no panic under this lock").push(n));
        let mut running = job.start().expect("a pipeline that can be started");
        let calls = [(); 2].map(|()| spawn(meddle(schedule.clone())));
        if in_hundred(30) {
            dawdle(12).await;
            running.control().cancel();
        }
        let ended = running.wait().await;
        let finished = ended.is_ok();
        let items = ended.map_or_else(|error| error.report.items, |report| report.items);
        let mut fates = received.lock().expect("no panic under this lock").clone();
        assert_eq!(fates.len() as u64, items.delivered);
        let undelivered = schedule.take_undelivered();
        fates.extend(undelivered.iter().map(|(_, n)| *n));
        let mut cancelled = undelivered.len() as u64;
        for call in calls {
            let gone = call.await.expect("it does not panic");
            cancelled += gone.len() as u64;
            fates.extend(gone);
        }
        fates.sort_unstable();
        assert!(fates.windows(2).all(|pair| pair[0] < pair[1]), "{fates:?}");
        assert_eq!(items.taken, items.delivered + items.cancelled);
        if finished {
            assert_eq!((fates.len() as u64, items.cancelled), (ITEMS, cancelled));
        }
    }
}
