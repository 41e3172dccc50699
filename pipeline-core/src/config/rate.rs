//! How many items may pass in how much time.

use std::{fmt, time::Duration};

/// So many items in so much time, for [`throttle`](crate::Pipeline::throttle): evenly spread, unless a
/// [`burst`](Self::burst) may go at once.
///
/// ```
/// use std::time::Duration;
/// use pipeline_core::prelude::*;
///
/// let _every_100_ms = Rate::per_second(10);
/// let _spread_over_the_day = Rate::new(1000, Duration::from_secs(24 * 60 * 60));
/// let _ten_at_once_then_every_100_ms = Rate::per_second(10).burst(10);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[must_use = "a rate does nothing until it is given to a step"]
pub struct Rate {
    items: u32,
    per: Duration,
    burst: u32,
}

impl Rate {
    /// `items` in `per`, each `per / items` after the one before. Neither may be zero.
    pub const fn new(items: u32, per: Duration) -> Self {
        Rate {
            items,
            per,
            burst: 1,
        }
    }

    /// `items` in a second.
    pub const fn per_second(items: u32) -> Self {
        Rate::new(items, Duration::from_secs(1))
    }

    /// After a time in which nothing came, so many may go at once; 1 unless set. Not 0.
    ///
    /// It is what can be saved up: in any stretch of time no more than `burst` items go beyond the rate.
    pub const fn burst(self, items: u32) -> Self {
        Rate {
            burst: items,
            ..self
        }
    }

    /// What is 0 and may not be.
    pub(crate) fn zero(&self) -> Option<&'static str> {
        match *self {
            Rate { items: 0, .. } => Some("rate"),
            Rate { burst: 0, .. } => Some("burst"),
            _ => None,
        }
    }

    pub(crate) fn has_no_period(&self) -> bool {
        self.per.is_zero()
    }

    /// The most items that may have to leave together, if whoever lets them go is this late.
    pub(crate) fn at_once(&self, late: Duration) -> usize {
        let items = late.as_nanos() * u128::from(self.items) / self.per.as_nanos().max(1);
        usize::try_from(items.max(u128::from(self.burst))).unwrap_or(usize::MAX)
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Rate { items, per, burst } = self;
        write!(f, "{items} per {per:?}, burst {burst}")
    }
}

/// When items may go by a rate. Time is counted from a start, in ns times the items of the rate: so the
/// time between two items is a whole number, and nothing is rounded that could add up.
#[derive(Debug)]
pub(crate) struct Schedule {
    items: u128,
    /// Between two items.
    step: u128,
    /// What the burst allows an item to come before its time.
    ahead: u128,
    /// When the next item would go if all of them were evenly spread.
    even: u128,
}

impl Schedule {
    pub(crate) fn new(rate: Rate) -> Self {
        let step = rate.per.as_nanos();
        Schedule {
            items: u128::from(rate.items.max(1)),
            step,
            ahead: step.saturating_mul(u128::from(rate.burst.saturating_sub(1))),
            even: 0,
        }
    }

    /// When the next item may go. None: so late that there is no telling.
    pub(crate) fn next(&self) -> Option<Duration> {
        let nanos = self.even.saturating_sub(self.ahead).div_ceil(self.items);
        let (seconds, nanos) = (nanos / 1_000_000_000, nanos % 1_000_000_000);
        let nanos = u32::try_from(nanos).unwrap_or(0);
        Some(Duration::new(u64::try_from(seconds).ok()?, nanos))
    }

    /// An item goes, which may. It was let go `late` after it could have gone, or less.
    pub(crate) fn go(&mut self, now: Duration, late: Duration) {
        let now = now.saturating_sub(late).as_nanos();
        let now = now.saturating_mul(self.items);
        let earliest = self.even.saturating_sub(self.ahead);
        self.even = self.even.max(now.max(earliest)).saturating_add(self.step);
    }
}

#[cfg(all(test, not(any(shuttle, loom))))]
mod tests {
    use super::*;

    const ZERO: Duration = Duration::ZERO;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    /// Lets an item go as soon as it may, but not before `now`, and says when that was.
    fn go(schedule: &mut Schedule, now: Duration) -> Duration {
        let at = schedule.next().expect("a time").max(now);
        schedule.go(at, ZERO);
        at
    }

    #[test]
    fn a_rate_that_does_not_divide_does_not_drift() {
        let mut schedule = Schedule::new(Rate::per_second(3));
        for n in 0..100_000_u64 {
            let at = schedule.next().expect("a time");
            assert_eq!(at.as_nanos(), u128::from(n * 1_000_000_000).div_ceil(3));
            // a timer is late by something each time
            schedule.go(at + Duration::from_nanos(n), ms(1));
        }
    }

    #[test]
    fn idle_time_earns_the_burst_and_no_more() {
        let mut schedule = Schedule::new(Rate::new(1, ms(100)).burst(3));
        let times: Vec<_> = (0..5).map(|_| go(&mut schedule, ZERO)).collect();
        assert_eq!(times, [ms(0), ms(0), ms(0), ms(100), ms(200)]);
        let late = ms(3_600_000);
        let times: Vec<_> = (0..5).map(|_| go(&mut schedule, late)).collect();
        assert_eq!(times, [late, late, late, late + ms(100), late + ms(200)]);
        // half of it comes back in half of the time
        let soon = late + ms(350);
        let times: Vec<_> = (0..3).map(|_| go(&mut schedule, soon)).collect();
        assert_eq!(times, [soon, late + ms(400), late + ms(500)]);
    }

    #[test]
    fn what_a_timer_was_late_is_made_up_for_up_to_a_limit() {
        let mut schedule = Schedule::new(Rate::new(1, ms(100)));
        schedule.go(ZERO, ZERO);
        schedule.go(ms(104), ms(5));
        assert_eq!(schedule.next(), Some(ms(200)));
        schedule.go(ms(250), ms(5));
        assert_eq!(schedule.next(), Some(ms(345)));
    }

    #[test]
    fn extremes_are_far_away_and_not_an_overflow() {
        for burst in [1, 2, u32::MAX] {
            for items in [1, u32::MAX] {
                for per in [Duration::from_nanos(1), ms(1), Duration::MAX] {
                    let rate = Rate::new(items, per).burst(burst);
                    let mut schedule = Schedule::new(rate);
                    for now in [ZERO, ms(1), Duration::MAX] {
                        schedule.go(now, ms(5));
                        schedule.next();
                    }
                    rate.at_once(Duration::MAX);
                }
            }
        }
        let mut schedule = Schedule::new(Rate::new(1, Duration::MAX));
        schedule.go(ZERO, ZERO);
        assert_eq!(schedule.next(), Some(Duration::MAX));
        schedule.go(ZERO, ZERO);
        assert_eq!(schedule.next(), None);
    }
}
