//! The best that any ordered run can do: the first-in-first-out schedule.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

/// When the last item ends if each one starts, in order, as soon as one of `workers` is free.
pub fn fifo(delays: &[Duration], workers: usize) -> Duration {
    let mut free: BinaryHeap<_> = std::iter::repeat_n(Reverse(Duration::ZERO), workers).collect();
    let mut end = Duration::ZERO;
    for delay in delays {
        let Reverse(start) = free.pop().unwrap_or_default();
        end = end.max(start + *delay);
        free.push(Reverse(start + *delay));
    }
    end
}

#[cfg(test)]
mod tests {
    use super::fifo;
    use crate::work::Delays;

    /// Known results for these delays.
    #[test]
    fn the_schedule_of_a_thousand_uniform_delays() {
        let delays = Delays::uniform(1000);
        let millis = |workers| fifo(delays.as_slice(), workers).as_millis();
        let expected = [
            (1, 48_658),
            (2, 24_340),
            (8, 6_122),
            (16, 3_081),
            (64, 825),
            (100, 549),
            (1000, 99),
        ];
        for (workers, end) in expected {
            assert_eq!(millis(workers), end, "{workers} workers");
        }
    }
}
