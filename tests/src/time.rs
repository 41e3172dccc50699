//! Time as scenarios speak of it: milliseconds of the runtime's clock, give or take the timer's grain.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use tokio::time::Instant;

/// Milliseconds.
pub const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// Tokio rounds each timer up to a millisecond: "at 100 ms" means 100 to 102.
const GRAIN: Duration = ms(2);

/// Time of the runtime's clock since it was made. For scenarios on the paused clock.
#[derive(Debug, Clone, Copy)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    /// Starts now.
    pub fn start() -> Self {
        Stopwatch(Instant::now())
    }

    /// Since the start.
    pub fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }

    /// Now is `expected`, at the grain of a timer.
    #[track_caller]
    pub fn expect(&self, expected: Duration) {
        let elapsed = self.elapsed();
        assert!(
            (expected..=expected + GRAIN).contains(&elapsed),
            "expected at {expected:?}, is at {elapsed:?}"
        );
    }

    /// Now is at most `limit`, at the grain of a timer.
    #[track_caller]
    pub fn expect_within(&self, limit: Duration) {
        let elapsed = self.elapsed();
        assert!(
            elapsed <= limit + GRAIN,
            "expected within {limit:?}, is at {elapsed:?}"
        );
    }
}

/// How long `servers` take for jobs of these durations, in milliseconds, if each that is free takes the next job in line.
pub fn fifo_makespan(servers: usize, durations: &[u64]) -> Duration {
    let mut free: BinaryHeap<_> = (0..servers).map(|_| Reverse(0)).collect();
    let mut end = 0;
    for duration in durations {
        let Reverse(start) = free.pop().expect("at least one server");
        free.push(Reverse(start + duration));
        end = end.max(start + duration);
    }
    ms(end)
}

#[cfg(test)]
mod tests {
    use super::{fifo_makespan, ms};

    #[test]
    fn the_server_that_is_free_first_takes_the_next_job() {
        assert_eq!(fifo_makespan(2, &[5, 1, 1, 1, 4]), ms(7));
        assert_eq!(fifo_makespan(1, &[5, 1, 1]), ms(7));
        assert_eq!(fifo_makespan(9, &[]), ms(0));
    }
}
