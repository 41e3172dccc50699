//! The jobs, and the stage that works on them.

use std::{
    iter,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use pipeline_core::prelude::*;
use tokio::time::{Instant, sleep};

use crate::schedule::Slot;

/// How long each of so many jobs takes: 0 to `max`, in whole milliseconds and evenly spread, the same
/// on every machine. They are the numbers of `splitmix64`, started with `seed`.
pub(crate) fn durations(jobs: usize, max: Duration, seed: u64) -> Vec<Duration> {
    let range = max.as_millis() as u64 + 1;
    let mut state = seed;
    iter::repeat_with(|| {
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        Duration::from_millis((z ^ (z >> 31)) % range)
    })
    .take(jobs)
    .collect()
}

/// A job that was done.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Done {
    pub(crate) job: usize,
    /// Who worked on it.
    pub(crate) lane: usize,
    pub(crate) slot: Slot,
}

// ANCHOR: stage
/// Work: sleeps for as long as a job takes.
///
/// Each worker of the stage has a value of its own: it is a lane of the picture.
#[derive(Clone, Debug)]
pub(crate) struct Work {
    start: Instant,
    lanes: Arc<AtomicUsize>,
    lane: usize,
}

impl Work {
    /// Times are counted from `start`.
    pub(crate) fn new(start: Instant) -> Self {
        Work {
            start,
            lanes: Arc::default(),
            lane: 0,
        }
    }
}

#[stage]
impl Work {
    /// Called once for the value of each worker.
    fn open(&mut self) {
        self.lane = self.lanes.fetch_add(1, Relaxed);
    }

    async fn process(&mut self, (job, takes): (usize, Duration)) -> Done {
        let begin = self.start.elapsed();
        if !takes.is_zero() {
            sleep(takes).await; // of zero it would take until the next millisecond
        }
        let end = self.start.elapsed();
        Done {
            job,
            lane: self.lane,
            slot: Slot {
                begin,
                end,
                left: end, // not yet: see `reordering`
            },
        }
    }
}
// ANCHOR_END: stage
