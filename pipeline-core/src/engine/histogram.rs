//! Times in buckets of one eighth of their power of two: quantiles to within 12.5 %, in fixed memory.
//!
//! The bucket scheme is the one of HdrHistogram with three significant bits
//! (<https://hdrhistogram.github.io/HdrHistogram/>).

use std::time::Duration;

const SUB_BITS: u32 = 3;
const SUBS: usize = 1 << SUB_BITS;
/// Up to 2^43 ns, more than two hours; anything longer counts as that.
const BUCKETS: usize = 42 * SUBS;

pub(super) struct Histogram(Box<[u64; BUCKETS]>);

impl Histogram {
    pub(super) fn new() -> Self {
        Histogram(Box::new([0; BUCKETS]))
    }

    #[inline]
    pub(super) fn add(&mut self, ns: u64, times: u64) {
        self.0[bucket(ns)] += times;
    }

    /// The time that `share` of all items did not exceed; zero if there were none.
    pub(super) fn quantile(&self, share: f64) -> Duration {
        let total: u64 = self.0.iter().sum();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a rank among counts"
        )]
        let rank = ((total as f64 * share).ceil() as u64).max(1);
        let mut seen = 0;
        for (index, count) in self.0.iter().enumerate() {
            seen += count;
            if seen >= rank {
                return Duration::from_nanos(upper(index));
            }
        }
        Duration::ZERO
    }
}

#[inline]
fn bucket(ns: u64) -> usize {
    if ns < SUBS as u64 {
        return ns as usize;
    }
    let exponent = ns.ilog2();
    let sub = (ns >> (exponent - SUB_BITS)) as usize - SUBS;
    (((exponent - SUB_BITS + 1) as usize) * SUBS + sub).min(BUCKETS - 1)
}

/// The largest time of a bucket.
fn upper(bucket: usize) -> u64 {
    if bucket < SUBS {
        return bucket as u64;
    }
    let shift = bucket / SUBS - 1;
    (((bucket % SUBS + SUBS + 1) as u64) << shift) - 1
}

#[cfg(all(test, not(any(shuttle, loom))))]
mod tests {
    use super::*;

    #[test]
    fn every_time_is_in_a_bucket_whose_bounds_are_an_eighth_apart() {
        for ns in (0..100_000)
            .chain((0..42).map(|bits| 1 << bits))
            .chain((3..42).map(|bits| (1 << bits) - 1))
        {
            let above = upper(bucket(ns));
            assert!(above >= ns && above - ns <= ns / 8, "{ns}: {above}");
            assert!(ns == 0 || bucket(ns - 1) <= bucket(ns));
        }
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn quantiles_count_from_below() {
        let mut times = Histogram::new();
        assert_eq!(times.quantile(0.5), Duration::ZERO);
        times.add(5, 98);
        times.add(1_000_000, 2);
        assert_eq!(times.quantile(0.5), Duration::from_nanos(5));
        assert!(times.quantile(0.99) >= Duration::from_millis(1));
    }
}
