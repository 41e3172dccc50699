//! Random choices. Shuttle draws them, so that they are replayed with the schedule.

use std::ops::RangeInclusive;

use shuttle::rand::{Rng, thread_rng};

/// A number of `range`.
pub(super) fn one_of(range: RangeInclusive<u64>) -> u64 {
    if range.start() == range.end() {
        return *range.start();
    }
    thread_rng().gen_range(range)
}

/// True in so many of a hundred cases.
pub(super) fn in_hundred(cases: u64) -> bool {
    cases > 0 && one_of(1..=100) <= cases
}

/// Gives others a few turns.
pub(super) async fn dawdle(most: u64) {
    for _ in 0..one_of(0..=most) {
        shuttle::future::yield_now().await;
    }
}
