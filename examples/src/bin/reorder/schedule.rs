//! What can be expected, computed: when each job begins and ends if the pipeline itself costs nothing.

use std::{cmp::Reverse, collections::BinaryHeap, time::Duration};

/// When a job is worked on, and when its result leaves: from the start of the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slot {
    pub(crate) begin: Duration,
    pub(crate) end: Duration,
    pub(crate) left: Duration,
}

/// First in, first out: each job begins, in order, as soon as a worker is free and, with a `window`,
/// fewer than that many jobs are inside. A job is inside from its begin until its result leaves,
/// which is not before those of all jobs in front of it have left.
pub(crate) fn fifo(
    jobs: &[Duration],
    workers: usize,
    window: impl Into<Option<usize>>,
) -> Vec<Slot> {
    let window = window.into().unwrap_or(usize::MAX);
    let workers = workers.min(jobs.len());
    let mut free: BinaryHeap<_> = (0..workers).map(|_| Reverse(Duration::ZERO)).collect();
    let mut slots: Vec<Slot> = Vec::with_capacity(jobs.len());
    for (job, takes) in jobs.iter().enumerate() {
        let Reverse(worker) = free.pop().unwrap_or_default();
        let room = job
            .checked_sub(window)
            .map_or(Duration::ZERO, |before| slots[before].left);
        let begin = worker.max(room);
        let end = begin + *takes;
        free.push(Reverse(end));
        let left = slots.last().map_or(end, |last| last.left.max(end));
        slots.push(Slot { begin, end, left });
    }
    slots
}

/// When the last result has left.
pub(crate) fn length(slots: &[Slot]) -> Duration {
    slots.last().map_or(Duration::ZERO, |slot| slot.left)
}

/// No schedule is shorter: all workers are busy all the time, and no job is shorter than itself.
pub(crate) fn lower_bound(jobs: &[Duration], workers: usize) -> Duration {
    let sum: Duration = jobs.iter().sum();
    let longest = jobs.iter().max().copied().unwrap_or_default();
    sum.div_f64(workers as f64).max(longest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jobs::durations;

    const MAX: Duration = Duration::from_millis(99);

    /// The same numbers as a simulation written elsewhere gave.
    #[test]
    fn known_schedules_of_the_jobs_of_seed_1() {
        let jobs = durations(1000, MAX, 1);
        let millis = |workers, window| length(&fifo(&jobs, workers, window)).as_millis();
        for (workers, expected) in [
            (1, 48_658),
            (2, 24_340),
            (8, 6_122),
            (16, 3_081),
            (64, 825),
            (100, 549),
            (1000, 99),
        ] {
            assert_eq!(millis(workers, None), expected, "{workers} workers");
        }
        for (workers, window, expected) in [
            (8, 8, 9_195),
            (16, 16, 4_960),
            (64, 64, 1_450),
            (100, 100, 961),
            (100, 128, 763),
            (100, 200, 558),
            (100, 256, 549),
        ] {
            assert_eq!(
                millis(workers, Some(window)),
                expected,
                "{workers} workers, window {window}"
            );
        }
        assert_eq!(lower_bound(&jobs, 100), Duration::from_micros(486_580));
        assert_eq!(lower_bound(&jobs, 1000), MAX);
    }
}
