use std::{fmt, time::Duration};

use backon::{BackoffBuilder, ConstantBuilder, ExponentialBuilder};

/// When to try an item again that has failed: after which pauses, and how often.
///
/// For [`Pipeline::retry`](crate::Pipeline::retry). Unless said otherwise there are 3 retries, so up
/// to 4 attempts, without jitter, and none after a panic. The sequences are those of
/// [`backon`](https://docs.rs/backon).
///
/// | | pauses |
/// | --- | --- |
/// | `Retry::fixed(ms(100))` | 100, 100, 100 ms |
/// | `Retry::exponential(ms(100))` | 100, 200, 400 ms |
/// | `Retry::exponential(ms(100)).max_retries(6).max_delay(ms(1000))` | 100, 200, 400, 800, 1000, 1000 ms |
/// | `Retry::exponential(ms(100)).jitter()` | 100 to 200, 200 to 400, 400 to 800 ms |
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retry {
    first: Duration,
    doubles: bool,
    max_delay: Option<Duration>,
    max_retries: u32,
    jitter: bool,
    panics: bool,
}

impl Retry {
    /// The same pause each time; zero tries again at once.
    #[must_use]
    pub const fn fixed(delay: Duration) -> Self {
        Retry {
            first: delay,
            doubles: false,
            max_delay: None,
            max_retries: 3,
            jitter: false,
            panics: false,
        }
    }

    /// A pause of `first`, then twice as long each time, but at most a minute.
    #[must_use]
    pub const fn exponential(first: Duration) -> Self {
        Retry {
            doubles: true,
            max_delay: Some(Duration::from_secs(60)),
            ..Retry::fixed(first)
        }
    }

    /// So many attempts after the first one, default 3; 0 is none. `u32::MAX` goes on until the item
    /// succeeds, its [`timeout`](crate::Pipeline::timeout) is over, or the run is stopped.
    #[must_use]
    pub const fn max_retries(self, n: u32) -> Self {
        Retry {
            max_retries: n,
            ..self
        }
    }

    /// No pause is longer, before jitter; default a minute. [`Duration::MAX`] is no limit.
    #[must_use]
    pub const fn max_delay(self, limit: Duration) -> Self {
        Retry {
            max_delay: Some(limit),
            ..self
        }
    }

    /// Makes each pause longer by a random part of itself, so that items that failed together are
    /// not tried again together.
    #[must_use]
    pub const fn jitter(self) -> Self {
        Retry {
            jitter: true,
            ..self
        }
    }

    /// Tries again after a panic, too. The worker goes on with a new value then.
    #[must_use]
    pub const fn panics(self) -> Self {
        Retry {
            panics: true,
            ..self
        }
    }

    pub(crate) fn retries(&self) -> u32 {
        self.max_retries
    }

    pub(crate) fn retries_panics(&self) -> bool {
        self.panics
    }

    /// The pauses for one item.
    pub(crate) fn pauses(&self, seed: u64) -> Pauses {
        let retries = usize::try_from(self.max_retries).unwrap_or(usize::MAX);
        let longest = self.max_delay.unwrap_or(FOREVER).min(FOREVER);
        let first = self.first.min(longest);
        if self.doubles {
            let pauses = ExponentialBuilder::new()
                .with_min_delay(first)
                .with_max_delay(longest)
                .with_max_times(retries)
                .with_jitter_seed(seed);
            Pauses::Doubling(
                if self.jitter {
                    pauses.with_jitter()
                } else {
                    pauses
                }
                .build(),
            )
        } else {
            let pauses = ConstantBuilder::new()
                .with_delay(first)
                .with_max_times(retries)
                .with_jitter_seed(seed);
            Pauses::Fixed(
                if self.jitter {
                    pauses.with_jitter()
                } else {
                    pauses
                }
                .build(),
            )
        }
    }
}

impl fmt::Display for Retry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.max_retries {
            u32::MAX => f.write_str("any number of retries")?,
            1 => f.write_str("1 retry")?,
            retries => write!(f, "{retries} retries")?,
        }
        write!(f, " after {:?}", self.first)?;
        if self.doubles {
            f.write_str(" doubling")?;
        }
        if self.jitter {
            f.write_str(" with jitter")?;
        }
        Ok(())
    }
}

/// Longer pauses are cut to 136 years: the arithmetic of jitter would overflow on the longest.
const FOREVER: Duration = Duration::from_secs(u32::MAX as u64);

/// What is left of the pauses of one item.
#[derive(Debug)]
pub(crate) enum Pauses {
    Fixed(<ConstantBuilder as BackoffBuilder>::Backoff),
    Doubling(<ExponentialBuilder as BackoffBuilder>::Backoff),
}

impl Iterator for Pauses {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let pause = match self {
            Pauses::Fixed(pauses) => pauses.next(),
            Pauses::Doubling(pauses) => pauses.next(),
        };
        pause.map(rounded)
    }
}

/// The sequences are computed in single precision: twice 100 ms is 200.000003 ms there, which a timer
/// of whole milliseconds would make 201 of.
fn rounded(pause: Duration) -> Duration {
    const GRAIN: u32 = 10_000;
    if pause < Duration::from_millis(1) {
        return pause;
    }
    let rest = pause.subsec_nanos() % GRAIN;
    let down = pause.saturating_sub(Duration::from_nanos(rest.into()));
    if rest < GRAIN / 2 {
        down
    } else {
        down + Duration::from_nanos(GRAIN.into())
    }
}

#[cfg(all(test, not(any(shuttle, loom))))]
mod tests {
    use super::*;

    fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    fn pauses(retry: Retry) -> Vec<Duration> {
        retry.pauses(7).collect()
    }

    #[test]
    fn pauses_are_as_documented() {
        assert_eq!(pauses(Retry::fixed(ms(100))), [ms(100); 3]);
        assert_eq!(pauses(Retry::exponential(ms(100))), [100, 200, 400].map(ms));
        let capped = Retry::exponential(ms(100))
            .max_retries(6)
            .max_delay(ms(1000));
        assert_eq!(pauses(capped), [100, 200, 400, 800, 1000, 1000].map(ms));
        assert_eq!(pauses(Retry::fixed(ms(100)).max_retries(0)), []);
        assert_eq!(pauses(Retry::fixed(ms(100)).max_delay(ms(30))), [ms(30); 3]);
        assert_eq!(pauses(Retry::fixed(Duration::ZERO)), [Duration::ZERO; 3]);
    }

    #[test]
    fn jitter_lengthens_by_less_than_as_much_again_and_differs_by_seed() {
        let retry = Retry::exponential(ms(100)).max_retries(5).jitter();
        for seed in 0..50 {
            let all: Vec<_> = retry.pauses(seed).collect();
            assert_eq!(all.len(), 5);
            for (pause, least) in all.into_iter().zip([100, 200, 400, 800, 1600].map(ms)) {
                assert!(
                    (least..least * 2).contains(&pause),
                    "{pause:?} of {least:?}"
                );
            }
        }
        assert_ne!(pauses(retry), retry.pauses(8).collect::<Vec<_>>());
    }

    #[test]
    fn absurd_numbers_do_not_overflow() {
        let retry = Retry::exponential(Duration::MAX)
            .max_retries(u32::MAX)
            .max_delay(Duration::MAX)
            .jitter();
        assert!(
            retry
                .pauses(1)
                .take(100)
                .all(|pause| pause > Duration::ZERO)
        );
        let retry = Retry::fixed(Duration::MAX).jitter();
        assert_eq!(retry.pauses(1).count(), 3);
    }
}
